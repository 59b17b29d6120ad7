from __future__ import annotations

import resource
from itertools import count, islice

import numpy as np
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.prompts import Compressor, stream
from stillroom.prompts.stream import BatchCompressor, windows


@pytest.fixture(scope="module")
def compressor(models):
    return Compressor.from_pretrained(models["distilbert"])


def prompts(sentences, number):
    """Texts of many lengths, each with a number of its own."""
    return [f"{' '.join(sentences[: i % 5])} Number {i}!" for i in range(number)]


def test_results_come_in_order_and_as_if_alone(compressor, sentences, monkeypatch):
    monkeypatch.setattr(stream, "PROMPTS", 7)
    texts = prompts(sentences, 40)
    assert list(compressor.compress_many(texts, rate=0.5)) == [compressor.compress(text, rate=0.5) for text in texts]


def test_texts_and_messages_may_be_mixed(compressor, sentences):
    mixed = [sentences[0], [{"role": "user", "content": sentences[1]}], "", []]
    assert list(compressor.compress_many(mixed, rate=0.5)) == [compressor.compress(one, rate=0.5) for one in mixed]


def test_no_more_than_a_few_windows_are_read_ahead(compressor, monkeypatch):
    monkeypatch.setattr(stream, "PROMPTS", 10)
    read = []
    endless = (read.append(number) or f"prompt number {number}" for number in count())
    for number, result in enumerate(islice(compressor.compress_many(endless, rate=0.5), 55)):
        assert str(number) in result.text
        assert len(read) <= number + 3 * 10 + 1


def test_a_window_ends_with_the_prompt_that_makes_it_long():
    long, short = "a" * stream.CHARACTERS, "b"
    assert [(first, len(window)) for first, window in windows([short, long, long, *[short] * 30], 12)] == [
        (0, 2), (2, 1), (3, 12), (15, 12), (27, 6),
    ]  # fmt: skip
    messages = [{"role": "user", "content": "a" * (stream.CHARACTERS // 2)}] * 3
    assert [first for first, _ in windows([messages, messages], 12)] == [0, 1]


def test_nothing_gives_nothing(compressor):
    assert list(compressor.compress_many([], rate=0.5)) == []


def test_a_fault_names_the_prompt_and_results_before_its_window_have_come(compressor, sentences, monkeypatch):
    monkeypatch.setattr(stream, "PROMPTS", 4)
    texts = [*sentences[:9], "half a \ud800", "more"]
    results = compressor.compress_many(texts, rate=0.5)
    came = []
    with pytest.raises(DataError, match=r"^prompt 9: .*lone surrogate"):
        came.extend(results)
    with pytest.raises(DataError, match=r"^prompt 1: protected text"):
        list(compressor.compress_many(["fox", "not 1, 2, 3"], target_tokens=1, strict=True))


def test_options_are_refused_before_anything_is_read(compressor):
    def refuse():
        raise AssertionError("read")
        yield

    for options in ({"rate": 0}, {"rate": 0.5, "workers": -1}, {"rate": 0.5, "workers": True}, {"ratte": 1}):
        with pytest.raises(RecipeError):
            compressor.compress_many(refuse(), **options)
    with pytest.raises(DataError, match="list"):
        compressor.compress_many("a text", rate=0.5)
    with pytest.raises(RecipeError, match="other processes"):
        list(compressor.compress_many(["a"], rate=0.5, counter=lambda text: 1, workers=1))


def test_leaving_early_ends_the_work(compressor, sentences):
    results = compressor.compress_many(sentences * 1000, rate=0.5)
    next(results)
    results.close()


def test_processes_return_the_same_in_order(compressor, sentences, monkeypatch):
    monkeypatch.setattr(stream, "SHARE", 8)
    texts = prompts(sentences, 50)
    alone = list(compressor.compress_many(texts, rate=0.5))
    assert list(compressor.compress_many(iter(texts), rate=0.5, workers=2)) == alone


def test_processes_pass_faults_on(compressor):
    with pytest.raises(DataError, match=r"^prompt 2: "):
        list(compressor.compress_many(["a", "b", "\ud800"], rate=0.5, workers=1))


def test_batches_of_columns_are_compressed_in_place_of_their_texts(compressor, sentences):
    batch = {"id": np.arange(3), "prompt": np.array(sentences[:3], dtype=object)}
    found = BatchCompressor(compressor, column="prompt", rate=0.5)(batch)
    alone = [compressor.compress(text, rate=0.5) for text in sentences[:3]]
    assert list(found["id"]) == [0, 1, 2]
    assert found["prompt"] == [one.text for one in alone]
    assert found["original_tokens"] == [one.original_tokens for one in alone]
    assert found["compressed_tokens"] == [one.compressed_tokens for one in alone]
    with pytest.raises(DataError, match="it has id, prompt"):
        BatchCompressor(compressor, rate=0.5)(batch)
    with pytest.raises(RecipeError):
        BatchCompressor(compressor, rate=5)


def test_batches_are_loaded_by_the_name_of_a_model(models, compressor, sentences):
    named = BatchCompressor(str(models["distilbert"]), rate=0.5)
    assert named({"text": sentences[:2]}) == BatchCompressor(compressor, rate=0.5)({"text": sentences[:2]})


@pytest.mark.slow
def test_ray_data_maps_its_batches(models, compressor, sentences):
    ray = pytest.importorskip("ray")
    ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False)
    try:
        dataset = ray.data.from_items([{"id": i, "text": text} for i, text in enumerate(sentences)])
        mapped = dataset.map_batches(
            BatchCompressor, fn_constructor_args=[str(models["distilbert"])], fn_constructor_kwargs={"rate": 0.5},
            batch_size=4, concurrency=1,
        )  # fmt: skip
        found = sorted(mapped.take_all(), key=lambda row: row["id"])
    finally:
        ray.shutdown()
    assert [row["text"] for row in found] == [compressor.compress(text, rate=0.5).text for text in sentences]


@pytest.mark.slow
def test_a_hundred_thousand_short_prompts_go_through_in_bounded_memory(compressor):
    texts = (f"Prompt number {number}, a short one for the committee." for number in range(100_000))
    results = compressor.compress_many(texts, rate=0.5)
    for _ in islice(results, 10_000):
        pass
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = sum(1 for _ in results)
    assert seen == 90_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000, "kilobytes"
