"""The kind `generate`: its data, its metrics, its noise, what it refuses, and its suite in the real runner."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest
import yaml

from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Generator
from stillroom.language.bench import GenerateTask, demo_corrections, kind
from stillroom.language.copied import Copy
from stillroom.language.metrics import METRICS, score
from stillroom.language.noisy import disturbed

ROWS = [
    {"input": "he go home", "answer": "he goes home", "group": "en", "level": 1},
    {"input": "elle vas bien", "references": ["elle va bien", "elle se porte bien"], "group": "fr", "level": 2},
    {"input": "they are here", "answer": "they are here", "group": "en", "level": 1},
    {"input": "he have it", "answer": "he has it", "group": "en", "level": 3},
]


class Says:
    """Answers with these, and remembers what it was asked."""

    def __init__(self, *answers):
        self.answers, self.asked = answers, {}

    def answer(self, rows, *, prompt, max_new_tokens):
        self.asked = {"rows": rows, "prompt": prompt, "max_new_tokens": max_new_tokens}
        return self.answers


def table(path: Path, rows=ROWS) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def task(dataset: object, **more) -> GenerateTask:
    return GenerateTask(id="mine", dataset=str(dataset), **more)


def scored(spec, *answers) -> dict[str, float]:
    data = kind.load(spec)
    return kind.score(spec, data, kind.predict(Says(*answers), spec, data, None))


@pytest.fixture
def rows(tmp_path):
    return table(tmp_path / "mine.jsonl")


def test_scores_are_those_of_the_metrics_by_upper_case_names(rows):
    said = ["he goes home", "elle se porte bien", "they were here", None]
    names = [name for name in METRICS if name != "numeric"]  # there are no numbers here
    found = scored(task(rows, metrics=names), *said)
    right = [row.get("references") or row["answer"] for row in ROWS]
    for name in names:
        assert found[name.upper()] == pytest.approx(score(name, said, right, [row["input"] for row in ROWS]).value)
    assert set(found) == {"QUALITY", "ANSWERED", *map(str.upper, names)} == kind.higher - {"NUMERIC"}
    assert (found["EXACT"], found["ANSWERED"]) == (0.5, 0.75)


def test_quality_is_the_first_metric_of_the_task(rows):
    for name in ("chrf", "edit_f05"):
        found = scored(task(rows, metrics=[name, "exact"]), *(row["input"] for row in ROWS))
        assert found["QUALITY"] == found[name.upper()] != found["EXACT"]


def test_no_model_sees_a_right_answer_and_all_other_columns_are_shown(rows):
    spec = task(rows, prompt={"system": "Correct.", "user": "{{ level }}: {{ input }}"}, max_new_tokens=7)
    model = Says(*[None] * 4)
    kind.predict(model, spec, kind.load(spec), None)
    assert model.asked["rows"] == [
        {name: value for name, value in row.items() if name not in ("answer", "references")} for row in ROWS
    ]
    assert model.asked["max_new_tokens"] == 7
    assert model.asked["prompt"]["system"] == "Correct."


def test_a_task_without_a_prompt_leaves_it_to_the_model(rows):
    spec, model = task(rows), Says(*[None] * 4)
    kind.predict(model, spec, kind.load(spec), None)
    assert (model.asked["prompt"], model.asked["max_new_tokens"]) == (None, None)


def test_noise_is_in_the_inputs_alone_and_in_what_edits_are_counted_from(rows):
    clean, noisy = kind.load(task(rows)), kind.load(task(rows, noise=0.5))
    assert noisy.references == clean.references
    assert [row["input"] for row in noisy.rows] == [disturbed(row["input"], 0.5) for row in ROWS]
    assert noisy.fingerprint != clean.fingerprint != kind.load(task(rows, noise=0.5, noise_seed=1)).fingerprint
    spec = task(rows, noise=0.5, metrics=["edit_f05"])
    assert scored(spec, *(row["input"] for row in noisy.rows))["EDIT_F05"] == 0
    right = (row["references"][0] if "references" in row else row["answer"] for row in ROWS)
    assert scored(spec, *right)["EDIT_F05"] == 1


def test_a_group_and_a_number_of_rows_make_smaller_tasks_of_their_own(rows):
    whole = kind.load(task(rows))
    english = kind.load(task(rows, group="en"))
    first = kind.load(task(rows, group="en", max_rows=2))
    assert (whole.size, english.size, first.size) == (4, 3, 2)
    assert len({one.fingerprint for one in (whole, english, first)}) == 3
    with pytest.raises(DataError, match=r"no rows of the group 'de': there are en, fr"):
        kind.load(task(rows, group="de"))


def test_the_fingerprint_is_that_of_inputs_other_columns_and_right_answers(tmp_path):
    before = kind.load(task(table(tmp_path / "a.jsonl"))).fingerprint
    assert before == kind.load(task(table(tmp_path / "b.jsonl"))).fingerprint
    for name, value in (("input", "another"), ("answer", "another"), ("level", 9)):
        changed = [ROWS[0] | {name: value}, *ROWS[1:]]
        assert kind.load(task(table(tmp_path / "c.jsonl", changed))).fingerprint != before


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_other_tables_are_read_alike(ending, tmp_path, rows):
    frame = pd.DataFrame([row for row in ROWS if "answer" in row])
    path = tmp_path / f"mine.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    data = kind.load(task(path))
    assert data.references == [("he goes home",), ("they are here",), ("he has it",)]


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"answer": "x"}, "row 0 of .* needs a text `input`"),
        ({"input": " ", "answer": "x"}, "needs a text `input`"),
        ({"input": "x"}, "needs a right answer"),
        ({"input": "x", "references": []}, "needs a right answer"),
        ({"input": "x", "answer": 4}, "needs a right answer"),
        ({"input": "x", "answer": "y"}, "has no 'title', which the prompt asks for; it has input, answer"),
    ],
)
def test_rows_that_cannot_be_judged_are_refused_in_a_sentence(tmp_path, row, sentence):
    with pytest.raises(DataError, match=sentence):
        kind.load(task(table(tmp_path / "mine.jsonl", [row]), prompt={"user": "{{ title }} {{ input }}"}))


def test_right_answers_that_a_metric_cannot_judge_are_found_before_any_model_runs(rows):
    with pytest.raises(DataError, match="task mine: the reference of row 0 has no number"):
        kind.load(task(rows, metrics=["exact", "numeric"]))


def test_names_that_mean_nothing_are_refused_with_the_nearest(tmp_path):
    with pytest.raises(RecipeError, match="did you mean 'demo-corrections'"):
        kind.load(task("demo-correction"))
    with pytest.raises(ValueError, match="did you mean exact"):
        task("demo-corrections", metrics=["exakt"])
    with pytest.raises(DataError, match="has no rows"):
        kind.load(task(table(tmp_path / "empty.jsonl", [])))


@pytest.mark.parametrize(
    ("answers", "sentence"), [(["x"], "1 answers came back for 4"), (["x", 1, "y", None], "not 1")]
)
def test_answers_that_cannot_be_are_the_model_s_fault(rows, answers, sentence):
    with pytest.raises(ModelError, match=sentence):
        scored(task(rows), *answers)


def test_predictions_of_other_rows_are_refused(rows):
    with pytest.raises(DataError, match="other rows"):
        kind.score(task(rows), kind.load(task(rows)), pd.DataFrame({"item_id": [0, 1], "answer": ["x", "y"]}))


def test_answers_outlive_the_file_they_are_kept_in(rows, tmp_path):
    spec = task(rows)
    data = kind.load(spec)
    said = kind.predict(Says("he goes home", None, "they are here", None), spec, data, None)
    said.to_parquet(tmp_path / "said.parquet")
    assert kind.score(spec, data, pd.read_parquet(tmp_path / "said.parquet")) == kind.score(spec, data, said)


def test_the_demo_set_is_whole_and_copying_it_corrects_little():
    rows = demo_corrections()
    assert len({row["input"] for row in rows}) == len(rows) == 80
    assert {row["group"] for row in rows} == {"en", "fr", "de", "es"}
    found = [one["input"] for one in rows]
    assert score("exact", found, [one["answer"] for one in rows], found).value <= 0.2


def test_copy_is_registered_and_says_the_input():
    model = registry.resolve_model("copy").load()
    assert isinstance(model, Generator)
    assert isinstance(model, Copy)
    assert model.answer([{"input": "one"}], prompt=None, max_new_tokens=None) == ["one"]


@pytest.fixture
def bench(tmp_path):
    """Run a suite with models, here and now."""
    runner = pytest.importorskip("stillroom.bench.runner", reason="the runner is stillroom-bench's")
    from stillroom.bench.executor import in_process
    from stillroom.bench.tasks import load_suite

    def run(*models, suite="demo-generate", out="out"):
        plan = runner.make_plan(load_suite(suite), [str(one) for one in models], tmp_path / out)
        return runner.run(plan, executor=in_process).set_index(["model", "task"]), plan

    return run


def test_the_demo_runs_offline_with_what_is_registered(bench):
    scores, plan = bench()
    assert set(scores.status) == {"ok"}
    assert len(scores) == len(plan.suite.tasks) == 6
    copied = scores.loc["copy"]
    assert copied.loc["demo-corrections", "EDIT_F05"] == 0
    assert copied.loc["demo-corrections-noisy", "CHRF"] < copied.loc["demo-corrections", "CHRF"] < 1
    assert copied.loc["demo-corrections", "QUALITY"] == copied.loc["demo-corrections", "EXACT"] <= 0.2


def test_a_language_model_is_judged_by_the_runner_beside_copy(bench, llama, tmp_path):
    from stillroom.bench.leaderboard import leaderboard
    from stillroom.language.answering import answer
    from stillroom.language.prompting import StudentPrompt
    from stillroom.language.rows import Row
    from stillroom.language.students import load

    table(tmp_path / "mine.jsonl")
    values = {"id": "mine", "kind": "generate", "dataset": "mine.jsonl", "prompt": {"form": "plain"}}
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump({"tasks": [{**values, "max_new_tokens": 3}]}))
    scores, _ = bench(llama, suite=str(tmp_path / "suite.yaml"))
    row = scores.loc[str(llama), "mine"]
    assert row.status == "ok", row.reason
    assert row.parameters == sum(one.numel() for one in load(llama).model.parameters())
    rows = [Row(one["input"]) for one in ROWS]
    said = answer(load(llama), rows, StudentPrompt(form="plain"), max_new_tokens=3).texts
    kept = pd.read_parquet(tmp_path / "out" / row.predictions)["answer"]
    assert [one if isinstance(one, str) else None for one in kept] == said
    cut = sum(one is None for one in said)
    assert row.notes == f"{cut} of 4 answers were cut before they ended"
    assert row["ANSWERED"] == 1 - cut / 4
    assert leaderboard(scores.reset_index()).baseline == "copy"


def test_a_task_that_is_no_generation_or_has_strange_keys_is_refused(bench, tmp_path):
    suite = tmp_path / "suite.yaml"
    suite.write_text("tasks: [{id: mine, kind: generate, dataset: demo-corrections, noize: 0.1}]")
    with pytest.raises(RecipeError, match="did you mean 'noise'"):
        bench(suite=str(suite))


def test_quality_of_nothing_wanted_and_nothing_done_is_no_number_and_no_crash(tmp_path):
    right = [{"input": "it is so", "answer": "it is so"}]
    found = scored(task(table(tmp_path / "mine.jsonl", right), metrics=["edit_f05"]), "it is so")
    assert math.isnan(found["EDIT_F05"]) or found["EDIT_F05"] == 1


OUTSIDER = """
class Loud:
    def answer(self, rows, *, prompt, max_new_tokens):
        return [row["input"].upper() for row in rows]

def shouts():
    return [{"input": f"say {n}", "answer": f"SAY {n}"} for n in range(5)]
"""


def test_an_outsider_brings_a_generator_and_a_data_set(bench, tmp_path, monkeypatch):
    (tmp_path / "loud_words.py").write_text(OUTSIDER)
    info = tmp_path / "loudwords-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loudwords\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[stillroom.models]\nloud-words = loud_words:Loud\n[stillroom.datasets]\nshouted = loud_words:shouts\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    suite = tmp_path / "mine.yaml"
    suite.write_text("tasks: [{id: shouting, kind: generate, dataset: shouted, metrics: [strict]}]")
    scores, _ = bench("loud-words", suite=str(suite))
    assert scores["STRICT"].to_dict() == {("copy", "shouting"): 0.0, ("loud-words", "shouting"): 1.0}


def test_to_know_the_kind_takes_no_torch():
    script = "import sys, stillroom.language.bench, stillroom.language.family; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
