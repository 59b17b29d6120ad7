"""The kind `label`: its data, its metrics beside scikit-learn's, what it refuses, its suite in the real runner."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core import registry
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Labeller
from stillroom.core.targets import TargetStore
from stillroom.teacher import ledger
from stillroom.teacher.api_labeller import ApiLabeller, Config, claims, load
from stillroom.teacher.bench import LabelTask, demo_remarks, kind, macro_f1
from stillroom.teacher.prices import usd
from stillroom.teacher.testing import Fault, Script, ScriptedServer
from stillroom.teacher.trivial import Trivial

COLOURS = ("red", "green", "blue")
PRICE = {"input_usd": 0.15, "output_usd": 0.60}


def about(body: dict) -> str:
    """Answer what a remark is about, by its words; "weather" where it is hard to say."""
    text = body["messages"][-1]["content"].casefold()
    words = {
        "delivery": ("came", "parcel", "driver", "deliver", "box"),
        "price": ("cost", "pay", "paid", "cheap"),
        "service": ("phone", "rang", "refund", "answer"),
        "product": ("it ", "the "),
    }
    return next((name for name, marks in words.items() if any(mark in text for mark in marks)), "weather")


def table(path, rows) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


def sky(count: int, **more) -> list[dict]:
    return [{"input": f"thing {number}", "answer": COLOURS[number % 3], **more} for number in range(count)]


def task(dataset: object, **more) -> LabelTask:
    return LabelTask(id="mine", dataset=str(dataset), **more)


class Says:
    """A model that answers so, and remembers what it was shown."""

    def __init__(self, answers) -> None:
        self.answers = answers

    def label(self, rows, *, examples, classes):
        self.rows, self.examples, self.classes = rows, examples, classes
        return self.answers


def scored(spec: LabelTask, answers) -> dict[str, float]:
    data = kind.load(spec)
    return kind.score(spec, data, kind.predict(Says(answers), spec, data, None))


def test_rows_are_split_as_they_say_and_else_every_tenth_is_an_example(tmp_path):
    said = [{**row, "split": "train" if number < 5 else "test"} for number, row in enumerate(sky(12))]
    data = kind.load(task(table(tmp_path / "said.jsonl", said), classes=COLOURS))
    assert [row["input"] for row in data.examples] == [f"thing {number}" for number in range(5)]
    data = kind.load(task(table(tmp_path / "plain.jsonl", sky(30)), classes=COLOURS, max_rows=4))
    assert [row["input"] for row in data.examples] == ["thing 0", "thing 10", "thing 20"]
    assert ([row["input"] for row in data.rows], data.size) == ([f"thing {number}" for number in range(1, 5)], 4)


def test_no_model_sees_the_answers_of_the_rows_that_are_judged(tmp_path):
    spec = task(table(tmp_path / "mine.jsonl", sky(20, title="t")), classes=COLOURS)
    data, model = kind.load(spec), Says(["red"] * 18)
    kind.predict(model, spec, data, None)
    assert all(row.keys() == {"input", "title"} for row in model.rows)
    assert {row["input"] for row in model.rows}.isdisjoint(row["input"] for row in model.examples)
    assert model.classes == COLOURS


def test_answers_count_as_the_task_compares_them_and_none_is_a_wrong_one(tmp_path):
    rows = [{"input": "x", "answer": "red"}, *({"input": f"{n}", "answer": "Red."} for n in range(4))]
    spec = task(table(tmp_path / "mine.jsonl", rows), classes=("red", "blue"))
    found = scored(spec, ["RED", "blue", None, "neither"])
    assert found == {"ACCURACY": 0.25, "ANSWERED": 0.5, "MACRO_F1": pytest.approx((2 / 5 + 0) / 2)}
    numbers = table(tmp_path / "sums.jsonl", [{"input": f"{n}", "answer": "It is 1,000"} for n in range(3)])
    assert scored(task(numbers, by="numeric"), ["1000.0", "999"])["ACCURACY"] == 0.5


def test_open_answers_are_matched_as_in_squad(tmp_path):
    rows = [{"input": f"{n}", "answer": "the red house"} for n in range(5)]
    found = scored(task(table(tmp_path / "mine.jsonl", rows)), ["The red house!", "red house here", None, "no"])
    assert found["EXACT_MATCH"] == found["ACCURACY"] == 0.25
    assert found["F1"] == pytest.approx((1 + 2 / 3) / 4)
    assert found["ANSWERED"] == 0.75


@settings(deadline=None)  # the first call imports scikit-learn
@given(st.lists(st.tuples(st.sampled_from(COLOURS), st.sampled_from([*COLOURS, "grey", None])), min_size=1))
def test_macro_f1_equals_the_reference_of_scikit_learn(pairs):
    metrics = pytest.importorskip("sklearn.metrics")
    truth, said = zip(*pairs, strict=True)
    classes = sorted({*truth, *filter(None, said)})
    theirs = metrics.f1_score(
        truth, [one or "" for one in said], labels=classes, average="macro", zero_division=0
    )  # where nothing is said of a row, nothing is said of any class
    assert math.isclose(macro_f1(truth, said), theirs, abs_tol=1e-12)


def test_the_order_of_kept_rows_says_nothing_and_those_of_other_rows_are_refused(tmp_path):
    spec = task(table(tmp_path / "mine.jsonl", sky(10)), classes=COLOURS)
    data = kind.load(spec)
    kept = kind.predict(Says(["red", None, "blue"] * 3), spec, data, None)
    assert kind.score(spec, data, kept[::-1]) == kind.score(spec, data, kept)
    kept.to_parquet(tmp_path / "kept.parquet")
    assert kind.score(spec, data, pd.read_parquet(tmp_path / "kept.parquet")) == kind.score(spec, data, kept)
    with pytest.raises(DataError, match="run the task again"):
        kind.score(spec, data, kept[1:])


@pytest.mark.parametrize(
    ("answers", "sentence"), [(["red"], "1 answers came back for 9 rows"), ([3] * 9, "a text or None, not 3")]
)
def test_answers_that_cannot_be_are_the_model_s_fault(tmp_path, answers, sentence):
    with pytest.raises(ModelError, match=sentence):
        scored(task(table(tmp_path / "mine.jsonl", sky(10)), classes=COLOURS), answers)


@pytest.mark.parametrize(
    ("rows", "error", "sentence"),
    [
        ([{"input": "x"}], DataError, "row 0 of .* needs `input` and `answer`, both texts"),
        ([{"input": "x", "answer": 4}], DataError, "both texts"),
        ([{"input": "x", "answer": "grey"}], DataError, "'grey' is none of the task's classes"),
        ([{"input": "x", "answer": "red"}], DataError, "no rows to judge"),
        (sky(3, split="test"), RecipeError, "no rows whose split is train"),
    ],
)
def test_data_that_cannot_be_meant_is_refused_in_a_sentence(tmp_path, rows, error, sentence):
    with pytest.raises(error, match=sentence):
        kind.load(task(table(tmp_path / "mine.jsonl", rows), classes=COLOURS))


def test_names_and_classes_that_mean_nothing_are_refused():
    with pytest.raises(RecipeError, match="did you mean 'demo-remarks'"):
        kind.load(task("demo-remark"))
    with pytest.raises(ValueError, match="two classes are the same answer"):
        task("demo-remarks", classes=("yes", "Yes."))


def test_the_fingerprint_is_that_of_rows_answers_and_examples(tmp_path):
    def fingerprint(rows) -> str:
        return kind.load(task(table(tmp_path / "mine.jsonl", rows))).fingerprint

    before = fingerprint(sky(10))
    assert before == fingerprint(sky(10))
    for place, name in ((0, "answer"), (5, "answer"), (5, "input")):
        changed = sky(10)
        changed[place][name] = "another"
        assert fingerprint(changed) != before


def test_the_baseline_is_the_majority_of_the_examples_or_the_input():
    assert isinstance(Trivial(), Labeller)
    examples = [{"input": "", "answer": answer} for answer in ("red", "blue", "blue")]
    rows = [{"input": "one"}, {"input": "two"}]
    assert Trivial().label(rows, examples=examples, classes=COLOURS) == ["blue", "blue"]
    assert Trivial().label(rows, examples=examples, classes=None) == ["one", "two"]


def test_the_demo_set_is_whole_and_balanced_enough():
    rows = demo_remarks()
    assert len({row["input"] for row in rows}) == len(rows) == 60
    answers = [row["answer"] for row in rows]
    assert min(map(answers.count, set(answers))) >= 10


@pytest.fixture
def bench(tmp_path):
    """Run the demo suite with models, here and now."""
    runner = pytest.importorskip("stillroom.bench.runner", reason="the runner is stillroom-bench's")
    from stillroom.bench.executor import in_process
    from stillroom.bench.tasks import load_suite

    def run(*models, suite="demo-label", out="out"):
        plan = runner.make_plan(load_suite(suite), list(models), tmp_path / out)
        return runner.run(plan, executor=in_process).set_index("model"), plan

    return run


@pytest.fixture
def labeller(tmp_path):
    """Make a labeller of a folder."""

    def make(server, name="asks", **changes):
        prompt = {"system": "What is the remark about?", "user": "{{ input }}", "max_tokens": 8}
        values = {"prompt": prompt, "model": "scripted", "base_url": server.base_url, **PRICE, **changes}
        Config(**values).save(tmp_path / name)
        return str(tmp_path / name)

    return make


def test_the_demo_runs_offline_with_what_is_registered(bench):
    scores, plan = bench()
    assert list(scores.index) == ["trivial"]
    row = scores.loc["trivial"]
    (spec,) = plan.suite.tasks
    gold = kind.load(spec).gold
    assert (row.status, row.ACCURACY) == ("ok", gold.count("delivery") / len(gold))


def test_a_labeller_is_judged_by_the_runner_and_its_cost_is_what_was_billed(bench, labeller, tmp_path):
    metrics = pytest.importorskip("sklearn.metrics")
    from stillroom.bench.leaderboard import leaderboard

    with ScriptedServer(Script(answer=about, latency=0.005)) as server:
        model = labeller(server)
        scores, plan = bench(model)
        bill = server.bill()
        assert "one of: delivery, product, price, service" in server.requests()[0]["body"]["messages"][0]["content"]
    row, (spec,) = scores.loc[model], plan.suite.tasks
    assert row.status == "ok", row.reason
    truth = kind.load(spec).gold
    said = [one or "" for one in pd.read_parquet(tmp_path / "out" / row.predictions)["answer"]]
    assert row["ACCURACY"] == metrics.accuracy_score(truth, said)
    theirs = metrics.f1_score(truth, said, labels=sorted(set(truth)), average="macro", zero_division=0)
    assert row["MACRO_F1"] == pytest.approx(theirs)
    assert bill.requests >= len(truth)  # an answer that is no class is asked for again
    assert row.cost_usd == pytest.approx(usd(bill.picodollars))
    assert row.tokens == bill.prompt_tokens + bill.completion_tokens
    assert leaderboard(scores.reset_index()).baseline == "trivial"


def test_another_run_asks_nobody_and_says_what_the_answers_cost(bench, labeller):
    with ScriptedServer(Script(answer="price")) as server:
        model = labeller(server)
        first, _ = bench(model)
        requests = server.bill().requests
        again, _ = bench(model, out="again")
        assert server.bill().requests == requests == 40
    assert again.loc[model].cost_usd == first.loc[model].cost_usd > 0
    assert (first.loc[model].notes, again.loc[model].notes) == (
        "0 of 40 answers were there before", "40 of 40 answers were there before"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("script", "changes", "sentence"),
    [
        (Script(), {"budget_usd": 1e-9}, "the budget is used up, with 0 of 40 rows labelled"),
        (Script(faults=(Fault("status", share=1.0, status=401),)), {}, "the API refuses the key"),
        (Script(), {"input_usd": None, "output_usd": None}, "there is no price for 'scripted'"),
        (Script(), {"prompt": {"user": "{{ input }}"}}, "give max_tokens in the prompt"),
    ],
)
def test_a_labeller_that_cannot_go_on_is_a_failed_row_with_its_reason(bench, labeller, script, changes, sentence):
    with ScriptedServer(script) as server:
        model = labeller(server, **changes)
        scores, _ = bench(model)
    assert scores.loc[model].status == "failed"
    assert sentence in scores.loc[model].reason


def test_rows_keep_their_order_and_a_row_without_an_answer_its_place(labeller):
    with ScriptedServer(Script(answer=about)) as server:
        model = load(labeller(server, prompt={"user": "{{ title }}: {{ input }}", "max_tokens": 8}))
        rows = [{"input": text, "title": "t"} for text in ("cheap", "hm", "box", "cheap")]
        assert model.label(rows, examples=[], classes=("price", "delivery")) == ["price", None, "delivery", "price"]
        with TargetStore(model.store) as store:
            (books,) = ledger.entries(store, ["model"])
        assert model.cost_usd == usd(books["charged"])
        assert model.label(rows[:1], examples=[], classes=None) == ["price"]


def test_another_prompt_is_another_model_to_the_runner(bench, labeller):
    with ScriptedServer(Script(answer="price")) as server:
        _, before = bench(labeller(server))
        _, same = bench(labeller(server))
        _, other = bench(labeller(server, prompt={"user": "Remark: {{ input }}", "max_tokens": 8}))
    assert (len(before.todo), len(same.todo), len(other.todo)) == (2, 0, 1)


def test_a_folder_is_found_by_its_config_and_holds_no_key(labeller, tmp_path):
    class Anywhere:
        base_url = None

    folder = labeller(Anywhere)
    assert claims(folder)
    assert isinstance(registry.resolve_model(folder).load(), ApiLabeller)
    assert isinstance(registry.resolve_model(f"labeller:{folder}").load(), ApiLabeller)
    assert not claims(str(tmp_path))
    with pytest.raises(ModelError, match="is no labeller"):
        load(str(tmp_path))
    content = json.loads((tmp_path / "asks" / "config.json").read_text())
    (tmp_path / "asks" / "config.json").write_text(json.dumps(content | {"api_key": "sk-secret"}))
    with pytest.raises(RecipeError, match="api_key"):
        load(folder)


OUTSIDER = """
class Loud:
    def label(self, rows, *, examples, classes):
        return [row["input"].upper() for row in rows]

def shouts():
    return [{"input": f"say {n}", "answer": f"SAY {n}"} for n in range(11)]
"""


def test_an_outsider_brings_a_labeller_and_a_data_set(bench, tmp_path, monkeypatch):
    (tmp_path / "loud_labels.py").write_text(OUTSIDER)
    info = tmp_path / "loud-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: loud\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[stillroom.models]\nloud = loud_labels:Loud\n[stillroom.datasets]\nshouts = loud_labels:shouts\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    suite = tmp_path / "mine.yaml"
    suite.write_text("tasks: [{id: shouting, kind: label, dataset: shouts, by: exact}]")
    scores, _ = bench("loud", suite=str(suite))
    assert scores["ACCURACY"].to_dict() == {"trivial": 0.0, "loud": 1.0}
    assert scores["EXACT_MATCH"].to_dict() == {"trivial": 1.0, "loud": 1.0}


def test_to_know_a_labeller_takes_no_client():
    script = "import sys, stillroom.teacher.api_labeller, stillroom.teacher.bench; print('openai' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], capture_output=True, text=True).stdout == "False\n"
