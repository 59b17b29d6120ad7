from __future__ import annotations

import hashlib

import pytest

from stillroom.core.errors import MissingError, RecipeError
from stillroom.prompts import counters
from stillroom.prompts.counters import counter


def test_a_tokenizer_counts_by_folder_by_object_and_by_its_inner_tokenizer(models, scorers, sentences):
    tokenizer = scorers["bert"].tokenizer
    for named in (models["bert"], str(models["bert"]), tokenizer, tokenizer.backend_tokenizer):
        count = counter(named)
        assert [count(text) for text in sentences] == [
            len(tokenizer.encode(text, add_special_tokens=False)) for text in sentences
        ]
        assert count("") == 0


def test_a_tokenizer_that_truncates_counts_everything_and_is_left_as_it_was(models):
    backend = counters._load(str(models["bert"])).backend_tokenizer
    backend.enable_truncation(4)
    assert counter(backend)("fox " * 50) == 50 * counter(backend)("fox")
    assert backend.truncation["max_length"] == 4


def test_a_function_counts_itself():
    assert counter(len)("abc") == 3


def test_the_estimate_follows_its_rule():
    assert counter("estimate")("Hello, world! 你好") == 2 + 1 + 2 + 1 + 2
    assert counter("estimate")("é") == 1
    assert counter("estimate")("éééé") == 2
    assert counter("estimate")("") == 0


@pytest.mark.parametrize("name", ["no/such/folder", 7, None, object()])
def test_what_counts_no_tokens_is_refused_in_one_sentence(name, monkeypatch):
    monkeypatch.setattr("stillroom.core.hub.answers", lambda: False)
    with pytest.raises(RecipeError, match="estimate"):
        counter(name)


@pytest.fixture
def no_network(monkeypatch, tmp_path):
    tiktoken = pytest.importorskip("tiktoken")

    def refuse(*arguments, **options):
        raise AssertionError("a network call")

    monkeypatch.setattr("tiktoken.load.read_file", refuse)
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(tmp_path))
    return tiktoken


@pytest.mark.parametrize("name", ["o200k_base", "gpt-4o", "gpt2", "o200k_harmony"])
def test_tiktoken_without_its_files_is_missing_and_asks_no_network(no_network, name):
    with pytest.raises(MissingError, match="nothing is downloaded"):
        counter(f"tiktoken:{name}")


def test_a_torn_tiktoken_file_is_missing_too_and_left_where_it_is(no_network, tmp_path):
    file = tmp_path / hashlib.sha1((counters._PUBLIC + "o200k_base.tiktoken").encode()).hexdigest()
    file.write_text("torn")
    with pytest.raises(MissingError, match="o200k_base"):
        counter("tiktoken:o200k_base")
    assert file.read_text() == "torn"


def test_tiktoken_counts_where_its_files_are(no_network, tmp_path, monkeypatch):
    file = tmp_path / hashlib.sha1((counters._PUBLIC + "o200k_base.tiktoken").encode()).hexdigest()
    file.write_text("any")
    digest = hashlib.sha256(b"any").hexdigest()
    monkeypatch.setitem(counters.TIKTOKEN_FILES, "o200k_base", ("o200k_base.tiktoken", digest))
    ranks = {bytes([byte]): byte for byte in range(256)} | {b"ab": 256}
    small = no_network.Encoding("small", pat_str=r"\w+|\W+", mergeable_ranks=ranks, special_tokens={"<|end|>": 257})
    monkeypatch.setattr(no_network, "get_encoding", lambda name: small)
    assert counter("tiktoken:o200k_base")("abab <|end|>") == 2 + 3 + 3 + 2
    assert counter(small)("ab") == 1


def test_a_name_that_tiktoken_does_not_know_is_refused(no_network):
    with pytest.raises(RecipeError, match="o200k_base"):
        counter("tiktoken:none")


def test_tiktoken_looks_its_files_up_where_the_table_says(no_network):
    import inspect

    from tiktoken_ext import openai_public

    for name, (file, digest) in counters.TIKTOKEN_FILES.items():
        source = inspect.getsource(openai_public.ENCODING_CONSTRUCTORS[name])
        assert (counters._PUBLIC + file in source and digest in source) or name in ("o200k_harmony", "p50k_edit")
