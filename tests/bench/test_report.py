"""The report of real runs: what it says is what the scores say, and it needs nothing beside it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stillroom.bench import report
from stillroom.bench.executor import in_process
from stillroom.bench.export import board_columns, texts
from stillroom.bench.keys import stem
from stillroom.bench.kinds import kind_of
from stillroom.bench.leaderboard import leaderboard
from stillroom.bench.plausibility import flags
from stillroom.bench.report import provenance, words
from stillroom.bench.rows import assemble, write_row
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import load_suite, read_suite
from stillroom.core.errors import DataError

VOID = {"meta", "br", "hr", "img", "input", "link", "wbr"}


class Page(HTMLParser):
    """Reads a page strictly: every tag is closed in its turn; keeps elements, and text by the elements around it."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[tuple[tuple[str, ...], str]] = []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((tuple(self.open), data))

    def all(self, name: str) -> list[dict[str, str]]:
        return [attributes for tag, attributes in self.elements if tag == name]

    @property
    def text(self) -> str:
        shown = "".join(data for around, data in self.texts if not {"style", "script"} & set(around))
        return " ".join(shown.split())


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """A real run of two models on three tasks of real series, one of which cannot be had."""
    chosen = [task for task in load_suite("demo-forecast").tasks if task.id in ("elnino", "nile")]
    tasks = [task.model_dump(mode="json") for task in chosen]
    tasks.append({"id": "gone", "dataset": "hub:nobody/nothing/gone", "prediction_length": 3})
    out = tmp_path_factory.mktemp("scores")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("HF_HUB_OFFLINE", "1")
        run(make_plan(read_suite({"tasks": tasks}, "small"), ["auto-theta"], out), executor=in_process)
    return out


@pytest.fixture(scope="module")
def page(folder) -> Page:
    return Page(report.render(folder))


def made(tmp_path: Path, rows: list[dict]) -> Path:
    """A folder with rows that no run has made."""
    for row in rows:
        spec = {"id": row["task"], "kind": "forecast", "dataset": "hub:no/where/x", "prediction_length": 3}
        row = {
            "suite": "made", "kind": "forecast", "dataset": spec["dataset"], "status": "ok", "leakage": False,
            "seed": 0, "inference_seconds": 1.0, "size": 100, "bytes_on_disk": 0, "weights": "made==1",
            "fingerprint": "f", "key": "k", "finished": "2026-01-02T03:04:05+00:00", "versions": {"numpy": "2"},
            "spec": spec, **row,
        }  # fmt: skip
        write_row(tmp_path, stem(row["task"], row["model"]), row)
    return tmp_path


def scored(task: str, model: str, value: float, **changes) -> dict:
    return {"task": task, "model": model, "metrics": {"WQL": value, "MASE": value}} | changes


def test_the_page_needs_nothing_beside_it(folder, page):
    text = report.render(folder)
    for _, attributes in page.elements:
        assert not {"src", "srcset", "action", "poster", "data"} & set(attributes)
        assert attributes.get("href", "#").startswith("#")
    assert not re.search(r"url\(|@import|https?://", text)
    policy = next(meta["content"] for meta in page.all("meta") if "http-equiv" in meta)
    assert policy.startswith("default-src 'none'")


def test_ids_are_unique_and_every_reference_finds_one(page):
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for _, attributes in page.elements:
        wanted = [attributes.get("href", "")[1:], attributes.get("aria-labelledby"), attributes.get("aria-describedby")]
        assert {name for name in wanted if name} <= set(ids)


def test_headings_are_in_order_and_drawings_have_words(page):
    levels = [int(tag[1]) for tag, _ in page.elements if tag in ("h1", "h2", "h3")]
    assert levels.count(1) == 1
    assert all(after - before <= 1 for before, after in pairwise(levels))
    assert page.all("svg")
    for svg in page.all("svg"):
        assert svg["role"] == "img"
        assert svg.get("aria-label") or svg.get("aria-labelledby")
    for region in (attributes for _, attributes in page.elements if attributes.get("class") == "scroll"):
        assert region["tabindex"] == "0"
        assert region["aria-label"]


def test_the_numbers_are_those_of_the_leaderboard(folder, page):
    board = leaderboard(assemble(folder))
    cells = [data for around, data in page.texts if "td" in around]
    columns = {header: shown for header, shown in board_columns(board.metrics).items() if header != "leaking"}
    for line in texts(board.table, columns):
        for value, interval in line[1:]:
            assert value in cells
            assert not interval or interval in cells


def test_the_heat_map_has_every_ratio_and_the_baselines_own_score(folder, page):
    scores = assemble(folder).set_index(["task", "model"])
    shown = " ".join(data for around, data in page.texts if "td" in around)
    for task in ("elnino", "nile"):
        for metric in kind_of("forecast").metrics:
            base = scores.loc[(task, "seasonal-naive"), metric]
            assert f"{base:.4g}" in shown
            assert f"{scores.loc[(task, 'auto-theta'), metric] / base:.2f}" in shown


def test_the_page_opens_with_what_was_compared_and_who_leads(page):
    assert "2 models were compared on 2 of the 3 tasks of small. 1 task was skipped" in page.text
    assert "By WQL, auto-theta leads: its error is" in page.text
    assert "2 tasks are too few to lean on that interval" in page.text
    assert "Nothing failed." in page.text


def test_best_and_worst_items_are_drawn_from_the_kept_predictions(folder, page):
    kind = kind_of("forecast")
    task = next(task for task in load_suite("demo-forecast").tasks if task.id == "elnino")
    predictions = pd.read_parquet(folder / "predictions" / f"{stem('elnino', 'auto-theta')}.parquet")
    (example,) = kind.examples(task, kind.load(task), predictions)
    assert f"MASE {example.value:.3g}" in page.text
    assert {"history", "what came", "median", "80 % band"} <= {data.strip() for _, data in page.texts}


def test_skips_and_provenance_are_told(folder, page):
    scores = assemble(folder)
    assert "hub:nobody/nothing/gone cannot be had here" in page.text
    for column in ("fingerprint", "weights"):
        for value in scores[column].dropna().unique():
            assert value in page.text
    assert scores["finished"].max()[:10] in page.text
    assert all(f"{package} {version}" in page.text for package, version in json.loads(scores["versions"][1]).items())
    assert "weighted quantile loss" in page.text


def test_the_command_and_the_suite_file_in_it_make_the_same_plan(folder, page, tmp_path):
    commands = [data for around, data in page.texts if around[-2:] == ("pre", "code")]
    assert commands[0] == "stillroom bench run tasks.yaml --model auto-theta --out scores"
    (tmp_path / "tasks.yaml").write_text(commands[1])
    plan = make_plan(load_suite(str(tmp_path / "tasks.yaml")), ["auto-theta"], folder)
    assert not plan.todo
    assert len(plan.done) == 4


def test_a_registered_suite_is_named_in_the_command():
    suite = load_suite("demo-forecast")
    for limit in (None, 3):
        tasks = {task.id: task.model_copy(update={"max_series": limit}).model_dump(mode="json") for task in suite.tasks}
        scores = pd.DataFrame([{"suite": suite.name, "task": task, "model": "it's", "seed": 7} for task in tasks])
        (command,) = provenance.commands(scores, tasks, ["seasonal-naive"])
        option = "" if limit is None else " --max-series 3"
        assert command == f"""stillroom bench run demo-forecast{option} --model 'it'"'"'s' --seed 7 --out scores"""


def test_the_same_rows_make_the_same_page(folder):
    assert report.render(folder) == report.render(folder)


def test_names_of_others_are_text_and_never_markup(tmp_path):
    evil = "<script>alert(1)</script>"
    rows = [scored(task, model, value) for task in (evil, "a&b", '"quoted"') for model, value in
            (("seasonal-naive", 1.0), (evil, 0.5), ("'x' onload=y", 0.7))]  # fmt: skip
    rows.append({"task": "worse", "model": evil, "status": "failed", "reason": f"ValueError: {evil}", "notes": evil})
    rows.append(scored("worse", "seasonal-naive", 1.0))
    text = report.render(made(tmp_path, rows))
    page = Page(text)
    assert "<script>alert" not in text
    assert len(page.all("script")) == 1  # our own
    assert evil in page.text
    assert not any(name.startswith("on") for _, attributes in page.elements for name in attributes)


def test_failures_leaks_flags_and_notes_are_told(tmp_path):
    rows = [scored(f"t{n}", "seasonal-naive", 1.0) for n in range(4)]
    rows += [scored(f"t{n}", "mine", 0.5, leakage=n == 0, notes="took a short cut") for n in range(3)]
    rows.append({"task": "t3", "model": "mine", "status": "failed", "reason": "time limit: 5 s"})
    rows[4]["metrics"]["CROSSING"] = 0.25
    page = Page(report.render(made(tmp_path, rows)))
    for told in (
        "1 of 8 jobs failed: mine (1).",
        "time limit: 5 s",
        "Trained on data that it is judged on: mine (1 task).",
        *flags(assemble(tmp_path))["flag"],
        "took a short cut",
        "† = the model was trained on the task’s data",
    ):
        assert told in page.text
    assert tuple({a["class"] for a in page.all("td") if a.get("class") == "failed"}) == ("failed",)


def test_a_baseline_alone_is_no_comparison(tmp_path):
    page = Page(report.render(made(tmp_path, [scored("a", "seasonal-naive", 1.0)])))
    assert "Only the baseline seasonal-naive ran, so there is nothing to compare it with." in page.text
    assert "Task by task" not in page.text


def test_without_any_leaderboard_the_reasons_are_still_told(tmp_path):
    rows = [{"task": "a", "model": model, "status": "failed", "reason": "ValueError: no luck"} for model in ("x", "y")]
    page = Page(report.render(made(tmp_path, rows)))
    assert "There is no leaderboard: there are no scores of the baseline 'seasonal-naive'" in page.text
    assert "ValueError: no luck" in page.text


def test_a_kind_that_is_not_installed_has_no_leaderboard(tmp_path):
    rows = [scored("a", "seasonal-naive", 1.0), scored("b", "m", 1.0, kind="brew", spec={"id": "b", "kind": "brew"})]
    page = Page(report.render(made(tmp_path, rows)))
    assert "There is no leaderboard: no installed package brings this kind" in page.text
    assert "kind: brew" in page.text  # in the suite file


def test_missing_predictions_and_changed_data_are_said_in_a_sentence(folder, tmp_path):
    copy = shutil.copytree(folder, tmp_path / "copy")
    (copy / "predictions" / f"{stem('nile', 'auto-theta')}.parquet").unlink()
    row = copy / "rows" / f"{stem('elnino', 'auto-theta')}.json"
    row.write_text(json.dumps(json.loads(row.read_text()) | {"fingerprint": "other"}))
    page = Page(report.render(copy))
    assert "No pictures: the predictions are not in the folder any more." in page.text
    assert "No pictures: the data has changed since." in page.text


def test_models_of_unknown_size_are_named_and_not_drawn(tmp_path):
    rows = []
    for task in ("a", "b"):
        rows += [
            scored(task, "seasonal-naive", 1.0),
            scored(task, "owner/far", 0.5, weights="hub:abc"),
            scored(task, "near", 0.7, bytes_on_disk=3_000_000, weights="ff"),
        ]
    page = Page(report.render(made(tmp_path, rows)))
    assert "Weights and settings on disk (without a known size: owner/far)." in page.text
    assert "3 MB" in page.text
    assert "unknown" in page.text


@pytest.mark.parametrize(
    ("values", "sentences"),
    [
        ([0.5, 0.6, 0.55, 0.5, 0.6, 0.5], ["mine leads", "whole interval is below 1"]),
        ([0.5, 1.9, 0.6, 1.7, 0.5, 1.5], ["The interval includes 1", "do not tell mine from the baseline"]),
        ([1.5, 1.4, 1.6, 1.5, 1.4, 1.6], ["nothing beats the baseline seasonal-naive; mine comes next", "above 1"]),
        ([0.5], ["Of one task there is no interval"]),
    ],
    ids=["better", "undecided", "worse", "one task"],
)
def test_the_first_sentence_says_how_sure_it_is(tmp_path, values, sentences):
    rows = [scored(f"t{n}", model, value) for n, own in enumerate(values) for model, value in
            (("seasonal-naive", 1.0), ("mine", own))]  # fmt: skip
    said = words.leader(leaderboard(assemble(made(tmp_path, rows))))
    for sentence in sentences:
        assert sentence in said


def test_thirty_models_on_forty_tasks_stay_small(tmp_path):
    random = np.random.default_rng(0)
    models = ["seasonal-naive", *(f"owner/quite-a-long-model-name-{n}" for n in range(29))]
    rows = [scored(f"monash_data_set_{t}", model, float(random.uniform(0.1, 2)), bytes_on_disk=10**6 * (n + 1))
            for t in range(40) for n, model in enumerate(models)]  # fmt: skip
    page = report.write(made(tmp_path, rows))
    assert page == tmp_path / "report.html"
    assert page.stat().st_size < 2_000_000
    Page(page.read_text())


def test_the_command_writes_the_file_and_names_it(stillroom, folder, tmp_path):
    out = tmp_path / "deep" / "page.html"
    done = stillroom("bench", "report", folder, "--out", out)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(out)
    assert out.read_text() == report.render(folder)


def test_what_cannot_be_read_or_written_is_one_sentence(stillroom, tmp_path, folder):
    done: subprocess.CompletedProcess = stillroom("bench", "report", tmp_path)
    assert done.returncode == 2
    assert "holds no scores" in done.stderr
    with pytest.raises(DataError, match="cannot be written"):
        report.write(folder, tmp_path)
