"""One UniTS-style model, four jobs: a table of each beside baselines, and how far it is from what was asked of it.

    python benchmarks/units.py --model FOLDER_OR_NAME --out DIR [--jobs classify,impute,detect,forecast]
                               [--only TASK,…] [--json]

classify  Accuracy on `ucr-small` beside 1-NN (Euclidean, DTW) and MiniRocket, in several ways. `units` learns as it
          does by default (ridge or tokens, whichever is right more often on items kept back); `multi-task` answers by
          the model's own task of that set, where it has one, and learns nothing; `prompt-tuned` trains tokens alone;
          `few-shot` learns by default from 5, 15 or 20 % of the training items of each class. What the model was
          trained on it knows in every way.
impute    MSE on the test months of ETTh1 and ETTh2, standardised by the train part, beside linear and seasonal
          interpolation: points and blocks of 16 steps, 25 and 50 % hidden.
detect    Point-wise AUC_PR and range-aware VUS_PR on SMAP, MSL and NAB beside a moving z-score and an isolation forest;
          means over series that have an anomaly. NAB is the mean over its series, not over its categories.
forecast  WQL and MASE on Chronos Benchmark II relative to seasonal naive (geometric mean), beside the forecaster mini;
          once more on those sets alone that neither was trained on.

A score with `*` is of a data set whose training part the model was trained on. Scores are kept in DIR, a folder a
suite, and are not computed again; `stillroom bench report` and the other commands read them. STILLROOM_DATA names the
data; sets that cannot be had are left out.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from stillroom.bench.kinds import kind_of
from stillroom.bench.leaderboard import leaderboard
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import Suite, load_suite
from stillroom.core.errors import DataError, UserError
from stillroom.core.registry import resolve_model
from stillroom.units.bench import taught

UNITS, DTW, LINEAR, NAIVE = "units", "dtw-1nn", "linear-interpolation", "seasonal-naive"
WAYS: dict[str, dict[str, Any]] = {
    "multi-task": {"head": "known"},
    "prompt-tuned": {"head": "tokens"},
    "few-shot-5": {"share": 0.05},
    "few-shot-15": {"share": 0.15},
    "few-shot-20": {"share": 0.2},
}
"""Ways to learn classes beside the default one: fields of `stillroom.units.classify.Lesson`."""
CATEGORY = "nab_"
"""Begins the tasks of NAB, a category each."""


@dataclass(frozen=True)
class Job:
    """What is run for a job: suites, those of their tasks that match, and what stands beside the model."""

    suites: tuple[str, ...]
    baselines: tuple[str, ...]
    metrics: tuple[str, ...]
    tasks: str = ""


JOBS = {
    "classify": Job(("ucr-small",), ("nearest-neighbour", DTW, "minirocket"), ("ACCURACY",)),
    "impute": Job(
        ("imputation-ett",), (LINEAR, "seasonal-interpolation"), ("MSE",), r"ETTh[12]-(point|block16)-0\.(25|5)$"
    ),
    "detect": Job(("telemetry", "nab"), ("moving-z-score", "isolation-forest"), ("AUC_PR", "VUS_PR")),
    "forecast": Job(("chronos-benchmark-ii",), (NAIVE, "forecaster"), ("WQL", "MASE")),
}


@dataclass(frozen=True)
class Target:
    """What was asked: a sentence, the number that was found (NaN: there is none), and whether it is met."""

    asked: str
    found: float
    met: bool
    note: str = ""

    def line(self) -> str:
        """For people."""
        if np.isnan(self.found):
            return f"- {self.asked}: not measured. {self.note}".rstrip()
        return f"- {self.asked}: {self.found:.3f}, {'met' if self.met else 'not met'}. {self.note}".rstrip()

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return vars(self) | ({"found": None, "met": None} if np.isnan(self.found) else {})


class Scores:
    """The rows of one job: numbers by task and model, in the order in which they were asked for."""

    def __init__(self, frame: pd.DataFrame, models: Sequence[str], tasks: Sequence[str]) -> None:
        self.frame = frame
        self.rows = {(row["task"], row["model"]): row for row in frame.to_dict("records")}
        self.models = list(models)
        self.tasks = [task for task in tasks if any((task, model) in self.rows for model in models)]

    def of(self, task: str, model: str, metric: str) -> float:
        """NaN where the row failed, or is not there."""
        value = self.rows.get((task, model), {}).get(metric)
        return float("nan") if value is None or pd.isna(value) else float(value)

    def values(self, model: str, metric: str, tasks: Sequence[str] | None = None) -> np.ndarray:
        """Of some tasks; None: of all."""
        return np.array([self.of(task, model, metric) for task in (self.tasks if tasks is None else tasks)])

    def cell(self, model: str, value: float, *tasks: str) -> str:
        """A value, marked where the model was trained on one of the tasks that it is of."""
        leaks = any(self.rows.get((task, model), {}).get("leakage") is True for task in tasks)
        return shown(value) + "*" * leaks

    def seconds(self, model: str) -> float:
        """Of learning and answering, all tasks together."""
        return float(np.nansum([self.values(model, f"{part}_seconds") for part in ("fit", "inference")]))


def measured(job: str, models: Mapping[str, str], arguments) -> Scores:
    """Run what is not there yet; `models` are the names that tables have and those that the runner knows."""
    frames, order = [], []
    for name in JOBS[job].suites:
        suite = load_suite(name)
        only = arguments.only or [task.id for task in suite.tasks if re.match(JOBS[job].tasks, task.id)]
        tasks = tuple(task for task in suite.tasks if task.id in only)
        if not tasks:
            continue
        plan = make_plan(Suite(name, suite.description, tasks), list(models.values()), Path(arguments.out, name))
        absent = sorted({cell.task.id for cell in plan.skipped})
        tell(f"{name}: {len(plan.todo)} to run, {len(plan.done)} done" + absent_said(absent))
        frames.append(run(plan, on_row=failed))
        order += [task.id for task in tasks]
    if not frames:
        return Scores(pd.DataFrame(columns=["task", "model", "status"]), list(models), [])
    frame = pd.concat(frames, ignore_index=True)
    short = {resolve_model(name).id: known for known, name in models.items()}
    frame["model"] = frame["model"].map(short)
    ran = frame["model"].notna() & frame["task"].isin(order) & (frame["status"] != "skipped")
    return Scores(frame[ran], list(models), order)


def absent_said(absent: Sequence[str]) -> str:
    return f", without the data of {', '.join(absent)}" if absent else ""


def failed(row: Mapping[str, Any]) -> None:
    if row["status"] == "failed":
        tell(f"failed {row['task']}, {row['model']}: {row['reason']}")


def tell(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)


def classify(scores: Scores) -> tuple[list[list[str]], list[Target]]:
    """Accuracies, their means, and means against 1-NN DTW's on the sets that the row has."""
    table = [["set", *scores.models]]
    for task in scores.tasks:
        table.append([task, *(scores.cell(model, scores.of(task, model, "ACCURACY"), task) for model in scores.models)])
    targets = []
    theirs = scores.values(DTW, "ACCURACY")
    means = ["mean (sets)"]
    for model in scores.models:
        own = scores.values(model, "ACCURACY")
        there = ~np.isnan(own)
        means.append(f"{shown(mean(own[there]))} ({there.sum()})")
        if model == UNITS or model in WAYS:
            both = there & ~np.isnan(theirs)
            bar = mean(theirs[both])
            asked = f"{model}: mean accuracy at least 1-NN DTW's, {shown(bar)} on the same sets ({both.sum()})"
            lacking = "" if both.all() else f"On {(~both).sum()} other sets there is no score."
            targets.append(Target(asked, mean(own[both]), mean(own[both]) >= bar, lacking))
    return [*table, means, seconds(scores)], targets


def impute(scores: Scores) -> tuple[list[list[str]], list[Target]]:
    """Mean squared errors, and the model's as a share of linear interpolation's."""
    table = [["task", *scores.models, f"{UNITS} / {LINEAR}"]]
    for task in scores.tasks:
        values = [scores.of(task, model, "MSE") for model in scores.models]
        cells = [scores.cell(model, value, task) for model, value in zip(scores.models, values, strict=True)]
        table.append([task, *cells, shown(share(scores, [task]))])
    points = [f"ETTh{number}-point-0.25" for number in (1, 2)]
    of_means, of_shares = share(scores, points), mean(np.array([share(scores, [task]) for task in points]))
    larger = max(of_means, of_shares)  # NaN where one of the two tasks was not asked for
    asked = "points at 25 %: MSE at most 0.75 of linear's, averaged over both sets"
    note = f"The larger of: mean error over mean error {shown(of_means)}, mean of both shares {shown(of_shares)}."
    targets = [Target(asked, larger, larger <= 0.75, "" if np.isnan(larger) else note)]
    for task, bar in (("ETTh1-block16-0.25", 0.35), ("ETTh2-block16-0.25", 1.0)):
        found = share(scores, [task])
        targets.append(Target(f"{task}: MSE at most {bar:g} of linear's", found, found <= bar))
    return [*table, seconds(scores)], targets


def share(scores: Scores, tasks: Sequence[str]) -> float:
    """The model's mean error over linear interpolation's."""
    return mean(scores.values(UNITS, "MSE", tasks)) / mean(scores.values(LINEAR, "MSE", tasks))


def detect(scores: Scores) -> tuple[list[list[str]], list[Target]]:
    """Both metrics on the three collections, and on how many the model is above both baselines."""
    groups: dict[str, list[str]] = {}
    for task in scores.tasks:
        groups.setdefault("NAB" if task.startswith(CATEGORY) else task, []).append(task)
    columns = [(model, metric) for metric in JOBS["detect"].metrics for model in scores.models]
    table = [["collection", *(f"{metric} {model}" for model, metric in columns)]]
    specs = {task.id: task for name in JOBS["detect"].suites for task in load_suite(name).tasks}
    above = {}
    for name, tasks in groups.items():
        weights = np.array([counting(specs[task]) for task in tasks])
        found = {column: weighted(scores.values(column[0], column[1], tasks), weights) for column in columns}
        cells = [scores.cell(model, found[model, metric], *tasks) for model, metric in columns]
        table.append([f"{name} ({weights.sum()} series)", *cells])
        best = max(found[model, "AUC_PR"] for model in JOBS["detect"].baselines)
        above[name] = found[UNITS, "AUC_PR"] > best
        for task in tasks if name == "NAB" else ():
            values = [scores.of(task, model, metric) for model, metric in columns]
            table.append([f"  {task}", *map(shown, values)])
    won = [name for name, own in above.items() if own]
    measured_all = set(groups) >= {"SMAP", "MSL", "NAB"}
    note = f"Above on: {', '.join(won) or 'none'}." + ("" if measured_all else f" Of {', '.join(groups)} alone.")
    asked = "AUC_PR above both baselines on at least two of SMAP, MSL and NAB"
    return [*table, seconds(scores)], [Target(asked, float(len(won)), len(won) >= 2, note)]


def counting(task: Any) -> int:
    """Series of a task that have an anomaly to be found: those its AUC_PR is the mean of."""
    items = kind_of(task.kind).load(task).items
    return sum(bool(item.truth.any() and not item.truth.all()) for item in items)


def weighted(values: np.ndarray, weights: np.ndarray) -> float:
    """Mean over the series of several tasks, from their means; NaN where one that counts has none."""
    counts = weights > 0
    return float(np.average(values[counts], weights=weights[counts])) if counts.any() else float("nan")


def forecast(scores: Scores) -> tuple[list[list[str]], list[Target]]:
    """Scores relative to seasonal naive, and their geometric means on all sets and on those nobody was trained on."""
    columns = [(model, metric) for metric in ("WQL", "MASE") for model in scores.models if model != NAIVE]
    table = [["set", *(f"{metric} {model}" for model, metric in columns)]]
    for task in scores.tasks:
        ratios = [scores.of(task, model, metric) / scores.of(task, NAIVE, metric) for model, metric in columns]
        cells = [scores.cell(model, ratio, task) for (model, _), ratio in zip(columns, ratios, strict=True)]
        table.append([task, *cells])
    targets = []
    for rule, which in (("flag", "all sets"), ("exclude", "sets that no training used")):
        asked = f"relative WQL below 0.90 on {which}"
        try:
            board = leaderboard(scores.frame, leakage=rule)
        except DataError as error:
            targets.append(Target(asked, float("nan"), False, f"{error}."))
            continue
        found = board.table.set_index("model")
        means = [found.loc[model, f"relative_{metric}"] for model, metric in columns]
        table.append([f"{which} ({len(board.tasks)})", *map(shown, means)])
        own = found.loc[UNITS]
        note = (
            f"95 % interval {shown(own['relative_WQL_low'])} to {shown(own['relative_WQL_high'])} over "
            f"sets ({len(board.tasks)}); relative MASE {shown(own['relative_MASE'])}."
        )
        targets.append(Target(asked, float(own["relative_WQL"]), bool(own["relative_WQL"] < 0.9), note))
    return [
        *table,
        ["seconds", *(f"{scores.seconds(model):.0f}" for model, metric in columns if metric == "WQL")],
    ], targets


def seconds(scores: Scores) -> list[str]:
    return ["seconds", *(f"{scores.seconds(model):.0f}" for model in scores.models)]


def mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else float("nan")


def shown(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.3f}"


def markdown(table: Sequence[Sequence[str]]) -> str:
    head, *rows = table
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *([*row, *[""] * (len(head) - len(row))] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def beside(job: str, arguments) -> dict[str, str]:
    """Name everything that a table of a job has, and how the runner finds it."""
    models = {UNITS: arguments.model}
    if job == "classify":
        for name, lesson in WAYS.items():
            models[name] = str(taught(arguments.model, Path(arguments.out, "models", name), **lesson))
    return models | {name: name for name in JOBS[job].baselines}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True)
    parser.add_argument("--out", required=True)
    parser.add_argument("--jobs", type=lambda text: text.split(","), default=list(JOBS))
    parser.add_argument("--only", type=lambda text: text.split(","), default=[], help="tasks, such as GunPoint,MSL")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    if strange := [job for job in arguments.jobs if job not in JOBS]:
        parser.error(f"there is no job {strange[0]!r}: {', '.join(JOBS)} are there")
    known = {task.id for job in arguments.jobs for name in JOBS[job].suites for task in load_suite(name).tasks}
    if strange := [task for task in arguments.only if task not in known]:
        parser.error(f"no task of these jobs is called {strange[0]!r}: {', '.join(sorted(known))} are")
    tables = {"classify": classify, "impute": impute, "detect": detect, "forecast": forecast}
    found = {}
    try:
        for job in arguments.jobs:
            scores = measured(job, beside(job, arguments), arguments)
            if not scores.tasks:
                continue
            table, targets = tables[job](scores)
            columns = ["task", "model", "status", "leakage", *JOBS[job].metrics, "fit_seconds", "inference_seconds"]
            rows = scores.frame.reindex(columns=columns)
            found[job] = {
                "rows": json.loads(rows.to_json(orient="records")),
                "targets": [one.plain() for one in targets],
            }
            if not arguments.json:
                print(f"\n## {job}: {', '.join(JOBS[job].metrics)}\n\n{markdown(table)}\n")
                print("\n".join(target.line() for target in targets), flush=True)
    except UserError as error:
        sys.exit(f"{error}")
    if arguments.json:
        print(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
