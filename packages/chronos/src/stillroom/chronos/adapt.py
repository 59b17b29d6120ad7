"""Adapt a Chronos model to one's own series, and keep the result only if it is better on series it did not learn from.

    base ── attach ── train (the last window chooses) ── judge on the window before it ── kept, or the base as it was

Any adapter of the core on any of the three families. This module decides what is trained, chosen and judged on what;
how a family forecasts is model.py's business, how weights move the core's.
"""

from __future__ import annotations

import copy
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.chronos import families
from stillroom.chronos.architectures import ARCHITECTURES
from stillroom.chronos.losses import LOSSES
from stillroom.chronos.model import ChronosModel, quiet
from stillroom.chronos.recipe import AdaptRecipe
from stillroom.chronos.samples import TrainingWindows
from stillroom.core import adapters
from stillroom.core.errors import ModelError
from stillroom.core.gate import Verdict, judge
from stillroom.core.progress import progress
from stillroom.core.runs import Run, new_folder
from stillroom.core.seeds import own_random
from stillroom.core.trainer import DistillTrainer
from stillroom.series.heldout import HeldOut, assess, hold_out, losses_by_series

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd

    from stillroom.series.panel import Panel


CONFIDENCE = 0.99
"""Of the interval that the gate bounds the gain by. Stricter than usual: people try one adapter after another on the
same judging window, and each try is another chance for a lucky one."""


@dataclass(frozen=True, eq=False)
class Adapted:
    """What came of an adaptation.

    Parameters
    ----------
    model
        The adapted model if the gate kept it, otherwise the base, untouched.
    verdict
        What the gate found, with a sentence for people.
    run
        The Run directory; `load(run.folder)` gives `model` again.
    """

    model: ChronosModel
    verdict: Verdict
    run: Run


def adapt(
    model: ChronosModel | str | Path,
    frame: pd.DataFrame | Panel | str | Path,
    recipe: AdaptRecipe | Mapping[str, Any] | str | Path,
    folder: str | Path | None = None,
) -> Adapted:
    """Train an adapter on the history of `frame`, and judge it.

    Parameters
    ----------
    model
        A loaded model, a folder, a hub id or a registered name. It is not changed.
    frame
        Everything before the test: a long frame, a panel, or what `stillroom.series.intake.load` takes. Its last
        window chooses the checkpoint, the one before it judges, the rest is trained on.
    recipe
        An `AdaptRecipe`, a mapping, or the path of a YAML file; `{"prediction_length": 24}` is enough.
    folder
        The Run directory; a training that was cut short there goes on. None: a new folder under `runs/`.

    Raises
    ------
    DataError
        No series is long enough.
    ModelError
        The family cannot take the frame's covariates or targets, or the model is adapted already.
    RecipeError
        A recipe that cannot be meant, or the folder of another run.

    Notes
    -----
    Kept only if the lower bound of the paired bootstrap (99 %) over series of the relative WQL gain is above zero.
    Fewer than 20 series are judged too, and the verdict says that the evidence is thin.
    """
    from stillroom.series.reading import to_panel

    recipe = AdaptRecipe.of(recipe)
    base = model if isinstance(model, ChronosModel) else families.find(str(model))
    if hasattr(base.model, "stillroom_adapter"):
        raise ModelError(f"{base.source} carries an adapter already: merge it first, then adapt what comes out.")
    panel = to_panel(frame, recipe.columns)
    base.check_takes(panel)
    held = hold_out(panel, recipe.prediction_length, seed=recipe.train.seed)
    windows = TrainingWindows(
        base,
        held.train,
        horizon=min(recipe.prediction_length, base.prediction_length),  # longer ones are unrolled
        context_length=min(recipe.context_length or base.context_length, base.context_length),
        batch_size=recipe.train.batch_size,
        seed=recipe.train.seed,
    )
    run = Run.create(
        folder or new_folder("adapt"),
        recipe={"family": "chronos", "verb": "adapt", "base": base.source, **recipe.model_dump(exclude={"model"})},
        seeds={"seed": recipe.train.seed},
        data={"series": panel.fingerprint()},
    )
    started = time.monotonic()
    network = attached(base, recipe)
    adapted = base.with_network(network)
    trainer = DistillTrainer(
        network,
        LOSSES[base.kind],
        recipe.train,
        run.folder / "checkpoints",
        train_data=windows,
        validate=partial(choose, base, held),
    )
    trainer.train()
    network.to(base.model.device)
    with progress("judging", total=2) as advance:
        baseline = assess(base, *held.judge)
        advance()
        candidate = assess(adapted, *held.judge)
        advance()
    truth = held.judge[1]
    verdict = judge(losses_by_series(candidate, truth), losses_by_series(baseline, truth), confidence=CONFIDENCE)
    if verdict.keep:
        adapters.save(network, run.folder)
        adapted = replace(adapted, source=str(run.folder.resolve()))
    run.record(
        metrics={
            "verdict": verdict,
            "base": baseline.totals,
            "adapted": candidate.totals,
            "chosen_at": trainer.best,
            "series": {"judged": verdict.n, "too_short": len(held.skipped), "too_short_to_train_on": windows.skipped},
        },
        cost={"train_seconds": time.monotonic() - started, "trained": adapters.trainable(network)[0]},
    )
    _write_card(run, base, verdict, recipe)
    return Adapted(adapted if verdict.keep else base, verdict, run)


def attached(base: ChronosModel, recipe: AdaptRecipe) -> Any:
    """A copy of the base's network with the recipe's adapter on it; the base itself stays as it is."""
    architecture = ARCHITECTURES[base.kind]
    quantization = adapters.quantization(recipe.adapter, architecture)
    if quantization is None:
        network = copy.deepcopy(base.model)
    else:  # the base in 4 bit, from where it was loaded
        network = families.pretrained(base.source, str(base.model.device), "float32", quantization).model
    with own_random("adapter", recipe.train.seed):  # its first weights are drawn
        return adapters.attach(network, recipe.adapter, architecture, total_steps=recipe.train.steps)


def merge(model: ChronosModel | str | Path, folder: str | Path) -> Path:
    """Fold an adapter into its base and write a folder that upstream's `from_pretrained` reads.

    Raises
    ------
    ModelError
        The model carries no adapter.
    RecipeError
        A prompt method: a prompt is input, not weights.
    """
    model = model if isinstance(model, ChronosModel) else families.find(str(model))
    if not hasattr(model.model, "stillroom_adapter"):
        raise ModelError(f"{model.source} carries no adapter: there is nothing to merge.")
    network = copy.deepcopy(model.model)
    where = network.get_base_model().name_or_path if hasattr(network, "get_base_model") else model.source
    plain: Any = adapters.merge(network, lambda: families.pretrained(where, "cpu", "float32").model)
    with quiet():
        plain.save_pretrained(folder)
    return Path(folder)


def choose(model: ChronosModel, held: HeldOut, network: Any) -> dict[str, float]:
    """The metrics of a network in training, on the window that chooses the checkpoint."""
    totals = assess(model.with_network(network), *held.choose).totals
    return {name: totals[name] for name in ("WQL", "MASE")}


def _write_card(run: Run, base: ChronosModel, verdict: Verdict, recipe: AdaptRecipe) -> None:
    kept = "an adapter" if verdict.keep else "no adapter: the base forecasts these series as well or better"
    text = (
        f"This run holds {kept}. {verdict.sentence}\n\n"
        f"Base: `{base.source}` ({base.title}), adapted with {recipe.adapter.method} to forecast "
        f"{recipe.prediction_length} steps. The last window of every series chose the checkpoint, the window before it "
        "judged; neither was trained on. Load it with `stillroom.chronos.load`."
    )
    run.write_card(f"{base.title}, adapted", text, base_model=base.source, pipeline_tag="time-series-forecasting")
