"""The metrics by name: what a recipe's `metrics` may say. All are in 0 … 1, and higher is better.

    exact      right once both are normalised          strict      right character by character
    edit_f05   F0.5 over edits, for correction         chrf, bleu, rouge_l   overlap with the reference
    accuracy   exact, for classes                      macro_f1    each class counts the same
    numeric    the last number is right, for maths

The rules of each stand in its own module.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import get_close_matches
from typing import TypeAlias

from stillroom.core.errors import RecipeError
from stillroom.language import classes, edits, exact, numeric, overlap
from stillroom.language.scored import Predictions, References, Scored

Metric: TypeAlias = Callable[[Predictions, References, Sequence[str]], Scored]
"""From predictions, references and sources, one (or several references) a row."""

METRICS: Mapping[str, Metric] = {
    "exact": exact.normalised,
    "strict": exact.strict,
    "edit_f05": edits.f05,
    "chrf": overlap.chrf,
    "bleu": overlap.bleu,
    "rouge_l": overlap.rouge_l,
    "accuracy": classes.accuracy,
    "macro_f1": classes.macro_f1,
    "numeric": numeric.match,
}


def metric(name: str) -> Metric:
    """Return a metric by its name; RecipeError names the nearest if there is none."""
    if name not in METRICS:
        near = get_close_matches(name, METRICS, n=1)
        meant = f"did you mean {near[0]}?" if near else f"there are {', '.join(METRICS)}"
        raise RecipeError(f"there is no metric {name!r}: {meant}")
    return METRICS[name]


def score(name: str, predictions: Predictions, references: References, sources: Sequence[str] = ()) -> Scored:
    """Return how well predictions did by the metric of that name; only `edit_f05` needs sources.

    >>> score("exact", ["It’s  late.", None], ["It's late.", "He is late."]).value
    0.5
    """
    return metric(name)(predictions, references, sources)
