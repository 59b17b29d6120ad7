"""What is hidden from a model that learns to fill: points, blocks, whole patches, or the end of a series.

Functions of an array (variables, time) that says what was observed, and of a random generator; all return such an array
that says what is hidden. Where it lies is `stillroom.series.gaps`' choice, whose gaps imputers are judged by. What is
missing already is never hidden, and at least one observed value of every variable is left. It knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from stillroom.series import gaps

KINDS = ("points", "blocks", "patches", "tail")
BLOCKS = (4, 64)
"""The shortest and the longest block, in steps; short ones are as likely as long ones on a logarithmic scale."""
RATIOS = (0.1, 0.6)
"""The least and the largest share of the observed values that is hidden."""
TOGETHER = 0.25
"""How often the same steps of all variables are hidden, as when a logger fails; else each variable has its own gaps."""


def points(observed: np.ndarray, ratio: float, rng: np.random.Generator, *, together: bool = False) -> np.ndarray:
    """Hide single values, `ratio` of them."""
    return _hide(observed, ratio, 1, rng, together)


def blocks(
    observed: np.ndarray, ratio: float, rng: np.random.Generator, *, length: int | None = None, together: bool = False
) -> np.ndarray:
    """Hide blocks of `length` observed values in a row.

    By default the length is drawn between the two of `BLOCKS`, and no longer than what `ratio` asks for, so that even
    a short series has a gap.
    """
    if length is None:
        drawn = int(np.exp(rng.uniform(*np.log((BLOCKS[0], BLOCKS[1] + 1)))))
        length = max(min(drawn, int(ratio * observed.shape[1])), 1)
    return _hide(observed, ratio, length, rng, together)


def patches(
    observed: np.ndarray, ratio: float, rng: np.random.Generator, *, patch_size: int, together: bool = False
) -> np.ndarray:
    """Hide whole patches of `patch_size` steps, which end where the series ends; the first may be shorter."""
    variables, steps = observed.shape
    count = -(-steps // patch_size)
    missing = count * patch_size - steps
    grid = np.pad(observed, ((0, 0), (missing, 0))).reshape(variables, count, patch_size).max(axis=2)
    hidden: np.ndarray = np.repeat(_hide(grid, ratio, 1, rng, together), patch_size, axis=1)[:, missing:] & observed
    return hidden


def tail(observed: np.ndarray, ratio: float) -> np.ndarray:
    """Hide the last steps of all variables, `ratio` of all steps, at least one."""
    steps = observed.shape[1]
    last = np.arange(steps) >= steps - max(round(ratio * steps), 1)
    return _leave_one(observed & last, observed)


def draw(observed: np.ndarray, rng: np.random.Generator, *, kinds: Mapping[str, float], patch_size: int) -> np.ndarray:
    """Hide something: a kind drawn by the weights of `kinds`, a ratio within `RATIOS`, together or not.

    Where that hides nothing, as patches of a series that is hardly longer than one, points are hidden instead.
    """
    names = list(kinds)
    weights = np.array([kinds[name] for name in names])
    kind = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    ratio = float(rng.uniform(*RATIOS))
    together = bool(rng.random() < TOGETHER)
    if kind == "tail":
        hidden = tail(observed, ratio)
    elif kind == "patches":
        hidden = patches(observed, ratio, rng, patch_size=patch_size, together=together)
    else:
        hidden = {"points": points, "blocks": blocks}[kind](observed, ratio, rng, together=together)
    return hidden if hidden.any() else points(observed, 0.5, rng)


def _hide(observed: np.ndarray, ratio: float, length: int, rng: np.random.Generator, together: bool) -> np.ndarray:
    key = int(rng.integers(2**63))
    if not together:
        return gaps.hide(observed, ratio, key, block_length=length)
    steps = gaps.hide(np.asarray(observed.any(axis=0, keepdims=True)), ratio, key, block_length=length)
    return _leave_one(observed & steps, observed)


def _leave_one(hidden: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Show a variable whole that would have nothing left."""
    hidden[~(observed & ~hidden).any(axis=1)] = False
    return hidden
