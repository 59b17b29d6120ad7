"""Chapter 2: LoRA adapts the model to one domain, and the gate says whether it is any better for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stillroom.demo.domain import COLUMNS, HORIZON, cells, fertility
from stillroom.demo.tour import Result, Table, Tour

if TYPE_CHECKING:
    from stillroom.core.protocols import Forecaster

ABOUT = (
    "Adapt the model with LoRA to one domain, births a woman in some 200 countries, and let the gate decide whether "
    "the adapter stays. The last five years are hidden from both."
)
TAKES = "some twenty seconds"


def run(tour: Tour, series: int | None = None, steps: int = 300) -> Result:
    """Adapt, judge, and look at the hidden years; `series` takes only the first so many."""
    from stillroom.bench.baselines.forecasters import seasonal_naive
    from stillroom.chronos.adapt import adapt

    domain = fertility(series)
    recipe = {
        "prediction_length": HORIZON,
        "adapter": {"method": "lora", "rank": 8},
        "train": {"steps": steps, "eval_every": max(1, steps // 10), "learning_rate": 1e-3},
    }
    adapted = adapt(tour.model, domain.past, recipe, tour.folder("adapt"))
    verdict, judged = adapted.verdict, {name: adapted.run.metrics[name] for name in ("base", "adapted")}
    models: dict[str, Forecaster] = {"seasonal-naive": seasonal_naive(), tour.title: tour.model}
    if verdict.keep:
        models[f"{tour.title}, adapted"] = adapted.model
    after = {name: domain.score(model) for name, model in models.items()}
    return Result(
        "Adapting to one domain",
        [
            f"LoRA trained {adapted.run.cost['trained']:,} numbers beside the model's {tour.parameters:,}, for {steps} "
            f"steps. The last {HORIZON} years before the hidden ones chose the checkpoint, the {HORIZON} before them "
            f"judged it: WQL {judged['base']['WQL']:.4f} as it was, {judged['adapted']['WQL']:.4f} adapted.",
            f"The gate's verdict: {verdict.sentence}",
            "The countries' curves are smooth and fall together, so they are fewer witnesses than they seem. The table "
            "asks again, on years that had no part in any of this.",
        ],
        [
            Table(
                f"The hidden {HORIZON} years of {len(domain.past)} countries",
                ["model", *COLUMNS],
                [[name, *cells(score)] for name, score in after.items()],
            )
        ],
        {"verdict": verdict, "judged": judged, "after": after},
        [str(tour.folder("adapt"))],
    )
