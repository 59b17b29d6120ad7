"""Which rows teach, which choose the checkpoint and which judge: by the content of the input, so none crosses over.

Where a row falls depends on its input and the seed alone: neither on its place nor on the other rows. Texts that differ
in case, white space or the form of their Unicode fall together, and so do the tasks and rationales of one input. It
looks at nothing else, but at the answer of a row without an input.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from hashlib import blake2b

from stillroom.core.errors import RecipeError
from stillroom.language.rows import Row

LEARN = "learn"
SHARES = {"choose": 0.05, "judge": 0.05}
"""Of 5,000 rows 250 choose and 250 judge: enough to see a difference of a few points, and few lost to learning."""


def split(rows: Sequence[Row], shares: Mapping[str, float] = SHARES, seed: int = 0) -> dict[str, list[Row]]:
    """Return the rows of each part, in their order: `learn`, which is what the shares leave, and then the named parts.

    Parameters
    ----------
    shares
        Of the different inputs that there could be; so of few rows a part may have more or less.
    seed
        Another seed is another split. Runs that are to be compared share one.

    Raises
    ------
    RecipeError
        Shares that are no shares, or leave nothing to learn from.
    """
    if LEARN in shares:
        raise RecipeError(f"{LEARN} is what the other shares leave: leave it out")
    if any(not 0 <= share < 1 for share in shares.values()) or sum(shares.values()) >= 1:
        said = ", ".join(f"{name} {share:g}" for name, share in shares.items())
        raise RecipeError(f"each share is from 0 to below 1, and together they leave something to learn from: {said}")
    parts: dict[str, list[Row]] = {name: [] for name in (LEARN, *shares)}
    for row in rows:
        parts[_part(place(row.input.strip() or row.answer or "", seed), shares)].append(row)
    return parts


def place(text: str, seed: int = 0) -> float:
    """Return where in [0, 1) a text lies: evenly spread over texts, the same for near duplicates."""
    salt = seed.to_bytes(8, "big", signed=True)
    digest = blake2b(normalised(text).encode("utf-8", "surrogatepass"), digest_size=6, salt=salt).digest()
    return int.from_bytes(digest, "big") / 2**48


def normalised(text: str) -> str:
    """Return what near duplicates share: without case, in one form of Unicode (NFKC), each white space one blank."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return " ".join(unicodedata.normalize("NFKC", folded).split())  # folding can undo the form


def _part(place: float, shares: Mapping[str, float]) -> str:
    reached = 0.0
    for name, share in shares.items():
        reached += share
        if place < reached:
            return name
    return LEARN
