"""The kind `compress`: its data, its metrics by hand, what it refuses, and its suite, run by the real runner."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, MissingError, ModelError, RecipeError
from stillroom.core.protocols import Compressor
from stillroom.prompts import textsets
from stillroom.prompts.bench import CompressTask, _inside, kind
from stillroom.prompts.compressed import Compressed
from stillroom.prompts.first_k import FirstK

TEXT = "Anna, who came late, found the error."


def task(dataset: object, **more) -> CompressTask:
    return CompressTask(id="mine", dataset=str(dataset), **more)


@pytest.fixture
def deletions(tmp_path):
    path = tmp_path / "mine.jsonl"
    rows = [
        {"tokens": ["Anna", ",", "who", "came", "late", ",", "found", "the", "error", "."], "keep": "1000001111"},
        {"tokens": ["Well", ",", "it", "rained", "."], "keep": "00111"},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture
def questions(tmp_path):
    path = tmp_path / "asked.jsonl"
    rows = [
        {"context": TEXT, "question": "Who?", "answers": ["Anna"]},
        {"context": TEXT, "question": "What?", "answers": ["the error", "error"]},
        {"context": TEXT, "question": "Where?", "answers": ["in Paris"]},
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


class Says:
    """A model that answers with these stretches."""

    def __init__(self, *kept) -> None:
        self.kept = kept

    def compress_many(self, texts, *, rate):
        for stretches in self.kept:
            yield Compressed("", stretches, 0, 0)


def scored(dataset, model, **more) -> dict[str, float]:
    spec = task(dataset, **more)
    data = kind.load(spec)
    return kind.score(spec, data, kind.predict(model, spec, data, None))


def test_the_natural_rate_is_the_share_of_words_that_people_kept(deletions):
    data = kind.load(task(deletions))
    assert data.rate == 8 / 15
    assert [one.text for one in data.texts] == [TEXT, "Well, it rained."]


def test_agreement_counts_the_words_of_all_texts_together(deletions):
    found = scored(deletions, Says([(0, 4), (21, 37)], [(0, 16)]))
    assert found["F1"] == found["FIDELITY"] == pytest.approx(2 * 8 / (5 + 5 + 8))
    assert (found["PRECISION"], found["RECALL"]) == (pytest.approx(8 / 10), 1.0)


def test_a_word_that_is_kept_in_part_is_not_kept(deletions):
    assert scored(deletions, Says([(0, 3)], []))["F1"] == 0


def test_an_answer_survives_whole_and_any_of_a_question_s_will_do(questions):
    assert scored(questions, Says([(31, 36)]), rate=0.5)["SURVIVAL"] == 0.5
    assert scored(questions, Says([(0, 4), (31, 37)]), rate=0.5)["SURVIVAL"] == 1.0
    assert scored(questions, Says([(27, 34)]), rate=0.5)["SURVIVAL"] == 0.0


def test_who_keeps_everything_gains_nothing(questions, deletions):
    found = scored(questions, Says([(0, len(TEXT))]), rate=0.5)
    assert (found["SURVIVAL"], found["OVERSPENT"], found["RATE_ERROR"]) == (1.0, 1.0, 0.5)
    assert found["FIDELITY"] == 0.5
    assert scored(deletions, Says([(0, len(TEXT))], [(0, 16)]))["FIDELITY"] < 0.7


def test_the_order_of_kept_rows_says_nothing_and_those_of_other_texts_are_refused(deletions):
    spec = task(deletions)
    data = kind.load(spec)
    rows = kind.predict(Says([(0, 4)], [(6, 16)]), spec, data, None)
    assert kind.score(spec, data, rows[::-1]) == kind.score(spec, data, rows)
    with pytest.raises(DataError, match="run the task again"):
        kind.score(spec, data, rows[:1])


@pytest.mark.parametrize(
    ("answers", "sentence"),
    [
        (([(0, 4)],), "1 texts came back instead of 2"),
        (([(0, 4)], [], []), "3 texts came back"),
        (([(5, 9), (0, 4)], []), "kept of text 0 is not in order"),
        (([], [(0, 99)]), "text 1 is not in order, or not within"),
    ],
)
def test_answers_that_cannot_be_are_the_model_s_fault(answers, sentence, deletions):
    with pytest.raises(ModelError, match=sentence):
        scored(deletions, Says(*answers))


@pytest.mark.parametrize(
    ("content", "more", "error", "sentence"),
    [
        ('{"tokens": ["a", "b"], "keep": "1"}', {}, DataError, "row 1 of .* needs tokens"),
        ('{"tokens": ["a", "b"], "keep": "12"}', {}, DataError, "a 0 or 1 for each"),
        ('{"tokens": ["a", "b"], "keep": "00"}', {}, RecipeError, "the task must say a rate"),
        ('{"context": "a b", "answers": ["a"]}', {}, RecipeError, "the task must say a rate"),
        ('{"text": "a b"}', {}, DataError, "needs contexts with answers"),
        ("", {"rate": 0.5}, DataError, "is empty"),
    ],
)
def test_data_that_cannot_be_meant_is_refused_in_a_sentence(content, more, error, sentence, tmp_path):
    (tmp_path / "mine.jsonl").write_text(content)
    with pytest.raises(error, match=sentence):
        kind.load(task(tmp_path / "mine.jsonl", **more))


def test_public_sets_are_read_where_they_are_and_missing_where_not(monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    with pytest.raises(MissingError, match="STILLROOM_DATA"):
        kind.load(task("google_sentcomp:test"))
    with pytest.raises(DataError, match="there is no data set 'googel'"):
        kind.load(task("googel"))


def test_the_fingerprint_is_that_of_texts_and_labels(deletions):
    before = kind.load(task(deletions)).fingerprint
    assert kind.load(task(deletions, rate=0.5)).fingerprint == before  # the rate is in the task's own key
    deletions.write_text(deletions.read_text().replace("00111", "00110"))
    assert kind.load(task(deletions)).fingerprint != before


def test_stretches_that_touch_hold_what_reaches_over_both():
    runs = np.array([[0, 3], [3, 6], [8, 9]])
    start, end = np.array([1, 5, 8, 9]), np.array([5, 7, 9, 9])
    assert _inside(start, end, runs).tolist() == [True, False, True, True]
    assert _inside(start, end, runs[:0]).tolist() == [False] * 4


def test_the_baseline_keeps_the_first_words_that_reach_the_rate():
    one, whole, none = FirstK().compress_many(["one two three four", "whole", ""], rate=0.4)
    assert (one.text, one.kept) == ("one two", ((0, 7),))
    assert (whole.text, none.text, none.kept) == ("whole", "", ())


def test_the_demo_sets_are_as_their_marks_say():
    first, *_, last = texts = textsets.demo_deletions()
    assert first.text.startswith("As you may already have heard")
    assert [word for word, keep in zip(first.words, first.keep, strict=True) if keep] == (
        ["the", "office", "will", "be", "closed", "on", "Friday", "."]
    )
    assert last.language == "es"
    assert not any(mark in one.text for one in texts for mark in ("[-", "-]", " ,", " ."))
    assert all(0 < one.keep.mean() < 1 for one in texts)
    assert all(question.spans for context in textsets.demo_answers() for question in context.questions)


def test_a_compressor_can_do_it_and_so_can_the_baseline(scorers):
    from stillroom.prompts import Compressor as Ours

    assert isinstance(Ours(scorers["bert"]), Compressor)
    assert isinstance(FirstK(), Compressor)


def test_the_demo_runs_offline_and_is_judged(models, tmp_path, monkeypatch):
    bench = pytest.importorskip("stillroom.bench.runner", reason="the runner is stillroom-bench's")
    from stillroom.bench.executor import in_process
    from stillroom.bench.leaderboard import leaderboard
    from stillroom.bench.tasks import load_suite

    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    plan = bench.make_plan(load_suite("demo-compress"), [str(models["bert"])], tmp_path)
    assert not plan.skipped
    scores = bench.run(plan, executor=in_process)
    assert (scores["status"] == "ok").all(), scores["reason"].tolist()
    board = leaderboard(scores)
    assert (board.baseline, board.metrics, len(board.tasks)) == ("first-k", ("FIDELITY",), 2)
    tasks = {spec.id: spec for spec in plan.suite.tasks}
    for row in scores.itertuples():
        spec = tasks[row.task]
        again = kind.score(spec, kind.load(spec), pd.read_parquet(tmp_path / row.predictions))
        assert again["FIDELITY"] == row.FIDELITY
