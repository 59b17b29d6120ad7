"""Chapter 1: the model as it is, beside a classic that is fitted to every series and beside the last season again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.progress import progress
from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.bench.leaderboard import Leaderboard
    from stillroom.bench.worker import Job

ABOUT = (
    "Forecast ten sets of real series with the model as it is, and compare it with seasonal naive (the last season "
    "again) and AutoTheta, which is fitted to every series."
)
TAKES = "some twenty seconds"
BASELINE = "seasonal-naive"
CLASSIC = "auto-theta"


def run(tour: Tour, tasks: int | None = None) -> Result:
    """Run the suite `demo-forecast`, or its first `tasks`, and make the leaderboard."""
    from stillroom.bench import report
    from stillroom.bench.leaderboard import leaderboard
    from stillroom.bench.runner import make_plan
    from stillroom.bench.runner import run as bench
    from stillroom.bench.tasks import load_suite
    from stillroom.core.registry import resolve_model

    suite = load_suite("demo-forecast")
    suite = replace(suite, tasks=suite.tasks[:tasks])
    folder = tour.folder("forecast")
    plan = make_plan(suite, [tour.name, CLASSIC], folder)
    with progress("forecasting", total=len(plan.todo)) as advance:
        scores = bench(plan, executor=here, on_row=lambda row: advance())
    page = report.write(folder, tour.out / "leaderboard.html")
    scores["model"] = scores["model"].replace(resolve_model(tour.name).id, tour.title)
    board = leaderboard(scores)
    wql = scores.pivot_table("WQL", "task", "model", aggfunc="last").astype(float)
    ratios = wql.div(wql[BASELINE], axis=0).reindex(columns=[tour.title, CLASSIC])
    won = int((ratios[tour.title] < 1).sum())
    ahead = int((ratios[tour.title] < ratios[CLASSIC]).sum())
    leaks = int(board.table.set_index("model")["leakage"].get(tour.title, 0))
    shapes = {task.id: [str(task.prediction_length), str(task.windows)] for task in suite.tasks}
    return Result(
        "Forecasting zero-shot",
        [
            f"{len(board.tasks)} sets of real series that come with statsmodels, several windows each. The model was "
            f"not fitted to them{f', but trained on {leaks} of them' if leaks else ''}; its WQL is below seasonal "
            f"naive's on {won} of {len(ratios)} sets, below AutoTheta's on {ahead}. WQL measures whole distributions, "
            "MASE medians; lower is better. With so few sets the intervals are wide.",
        ],
        [
            _board(board),
            Table(
                "WQL relative to seasonal naive, set by set",
                ["set", "steps ahead", "windows", tour.title, CLASSIC],
                [
                    [name, *shapes[name], *(f"{ratio:.2f}" for ratio in row)]
                    for name, row in zip(ratios.index, ratios.to_numpy(), strict=True)
                ],
            ),
        ],
        {"models": board.table.to_dict(orient="records"), "relative_WQL": ratios.to_dict(orient="index")},
        [str(folder / "scores.parquet"), str(page)],
    )


def here(job: Job, log: Path) -> dict[str, Any]:
    """Run a job in this process: thirty fresh ones would spend their time on starting."""
    from stillroom.bench.worker import execute

    return execute(job)


def _board(board: Leaderboard) -> Table:
    def cell(row: Any, name: str) -> str:
        return f"{row[name]:.2f} ({row[f'{name}_low']:.2f} – {row[f'{name}_high']:.2f})"

    return Table(
        "Relative to seasonal naive: geometric mean over sets, 95 % interval",
        ["model", "WQL", "MASE", "rank", "seconds"],
        [
            [
                row["model"],
                cell(row, "relative_WQL"),
                cell(row, "relative_MASE"),
                f"{row['average_rank']:.1f}",
                f"{row['inference_seconds']:.1f}",
            ]
            for _, row in board.table.iterrows()
        ],
    )
