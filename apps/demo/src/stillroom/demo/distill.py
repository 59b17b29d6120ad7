"""Chapter 3: the model teaches a student of a quarter of its parameters; accuracy and speed side by side."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from stillroom.demo.domain import COLUMNS, HORIZON, LEVELS, Domain, cells, fertility
from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.chronos.model import ChronosModel

ABOUT = (
    "Distil the model into a student of a quarter of its parameters, for the same domain: starting from nothing, it "
    "learns from what happened and from what its teacher says."
)
TAKES = "less than a minute"
TURNS = 7  # of each model at the clock


def run(tour: Tour, series: int | None = None, steps: int = 600) -> Result:
    """Distil, and set teacher and student side by side; `series` takes only the first so many."""
    from stillroom.bench.baselines.forecasters import seasonal_naive
    from stillroom.chronos.distill import distill

    domain = fertility(series)
    train = {"steps": steps, "eval_every": max(1, steps // 10), "optimizer": "muon", "learning_rate": 3e-3, "ema": 0.99}
    recipe = {"prediction_length": HORIZON, "train": train}  # from nothing, Muon needs half the steps of AdamW
    distilled = distill(tour.model, "quarter", domain.past, recipe, tour.folder("distill"))
    pair = {"teacher": tour.model, "student": distilled.model}
    parameters = distilled.run.metrics["parameters"]
    after = {name: domain.score(model) for name, model in pair.items()}
    cost = milliseconds(domain, pair)
    naive = domain.score(seasonal_naive())
    change = after["student"]["WQL"] / after["teacher"]["WQL"] - 1
    return Result(
        "A student of a quarter of the size",
        [
            f"The student has {parameters['student'] / parameters['teacher']:.0%} of its teacher's parameters and is "
            f"{cost['teacher'] / cost['student']:.1f} times as fast; on the hidden {HORIZON} years its WQL is "
            f"{abs(change):.1%} {'above' if change > 0 else 'below'} its teacher's.",
            "It has not its teacher's breadth: it was taught this domain and this horizon, and knows no other.",
        ],
        [
            Table(
                f"The hidden {HORIZON} years of {len(domain.past)} countries; CPU time on one thread",
                ["model", "parameters", *COLUMNS, "ms a series"],
                [
                    ["seasonal-naive", "", *cells(naive), ""],
                    *([name, f"{parameters[name]:,}", *cells(after[name]), f"{cost[name]:.2f}"] for name in pair),
                ],
            )
        ],
        {"parameters": parameters, "after": {"seasonal-naive": naive, **after}, "milliseconds_a_series": cost},
        [str(tour.folder("distill"))],
    )


def milliseconds(domain: Domain, models: dict[str, ChronosModel]) -> dict[str, float]:
    """CPU time a series of each model: the least of several turns, taken in alternation."""
    least = dict.fromkeys(models, float("inf"))
    for _ in range(TURNS):
        for name, model in models.items():
            began = time.process_time()
            model.predict(domain.window, LEVELS)
            least[name] = min(least[name], time.process_time() - began)
    return {name: 1000 * seconds / len(domain.past) for name, seconds in least.items()}
