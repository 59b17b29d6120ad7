"""From a table of a teacher's answers to training data: align each answer, leave out those that cannot be trusted.

The table has the columns of `stillroom.core.labels`, of which `input` and `answer` are needed; any tool may make it.
It does not know how to align, nor who answered.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from stillroom.core.errors import DataError
from stillroom.prompts.align import align
from stillroom.prompts.examples import Example

# Pan et al. 2024, section 3.3: the worst 5 % and the worst 10 % go. (Their published script takes 90 for both.)
VARIATION_PERCENTILE, GAP_PERCENTILE = 95.0, 90.0


@dataclass
class Tally:
    """What became of the rows of a label table.

    Attributes
    ----------
    rows
        All of them.
    unanswered, cut_short
        Left out at once: without an answer, and with one that ended for want of tokens (`finish_reason` "length").
    varied, misaligned
        Left out for the variation rate, and then for the alignment gap.
    rate
        Share of the words that was kept, over the examples that stayed.
    """

    rows: int = 0
    unanswered: int = 0
    cut_short: int = 0
    varied: int = 0
    misaligned: int = 0
    rate: float | None = None


def training_data(
    labels: Iterable[Mapping[str, Any]],
    variation_percentile: float = VARIATION_PERCENTILE,
    gap_percentile: float = GAP_PERCENTILE,
) -> tuple[list[Example], Tally]:
    """Return an example for each answer that can be trusted, in the order of the table, and the tally.

    Left out are the answers whose variation rate lies above its percentile, then, of the others, those whose alignment
    gap does. What lies on the percentile stays, so that a table of perfect answers stays whole.

    Raises
    ------
    DataError
        A row without `input` or `answer`, a percentile outside 0 … 100, or no answer to learn from.
    """
    for percentile in (variation_percentile, gap_percentile):
        if not 0 <= percentile <= 100:
            raise DataError(f"a percentile lies between 0 and 100, not at {percentile:g}")
    tally = Tally()
    examples = list(_aligned(labels, tally))
    if not examples:
        raise DataError(f"none of the {tally.rows} rows has an answer to learn from")
    trusted = _lowest(examples, "variation_rate", variation_percentile)
    kept = _lowest(trusted, "alignment_gap", gap_percentile)
    tally.varied, tally.misaligned = len(examples) - len(trusted), len(trusted) - len(kept)
    tally.rate = float(np.concatenate([example.keep for example in kept]).mean())
    return kept, tally


def _aligned(labels: Iterable[Mapping[str, Any]], tally: Tally) -> Iterator[Example]:
    for row in labels:
        tally.rows += 1
        missing = [name for name in ("input", "answer") if name not in row]
        if missing or not isinstance(row["input"], str):
            what = " and ".join(missing) or "text in input"
            raise DataError(f"row {tally.rows} of the label table has no {what}: is it a label table?")
        answer = row["answer"]
        if answer is None or not str(answer).strip() or not row["input"].strip():
            tally.unanswered += 1
        elif row.get("finish_reason") == "length":
            tally.cut_short += 1
        else:
            found = align(row["input"], str(answer))
            yield Example(
                text=row["input"],
                start=found.words.start,
                end=found.words.end,
                keep=found.keep.astype(np.float32),
                source=str(row.get("row_id") or tally.rows),
                variation_rate=found.variation_rate,
                alignment_gap=found.alignment_gap,
            )


def _lowest(examples: list[Example], metric: str, percentile: float) -> list[Example]:
    values = np.array([getattr(example, metric) for example in examples])
    chosen = values <= np.percentile(values, percentile)
    return [example for example, stays in zip(examples, chosen.tolist(), strict=True) if stays]
