"""The quality of a label table, in numbers: what is missing, copied, contradictory or odd, and how far to trust it.

Each number has rows behind it, which are named, so that one can look. It changes no table and knows no task: a share of
copied answers is alarming for summaries, and is the thing to beat where most inputs are right already (a correction).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator, Mapping
from dataclasses import asdict
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.plain import to_plain
from stillroom.teacher.agreement import MEASURES, compare, exact, kappa, normalised
from stillroom.teacher.votes import Vote, answered, votes

CLASSES = 50
"""Answers are classes if at most so many differ,"""

MEMBERS = 3
"""and each was given so many times on average."""

ROBUST_Z = 3.5
"""Deviations from the median beyond which a length is an outlier (Iglewicz and Hoaglin 1993)."""

LISTED = 20
"""Rows that are named for each finding."""

TEXT = 200
"""Characters of an answer that are shown."""


def measure(
    table: Iterable[Mapping[str, Any]],
    *,
    gold: Iterable[Mapping[str, Any]] | None = None,
    second: Iterable[Mapping[str, Any]] | None = None,
    by: str = "normalised",
) -> dict[str, Any]:
    """Return the quality of a label table as a JSON value.

    Parameters
    ----------
    table
        Rows with the columns of `stillroom.core.labels`, of which `row_id` and `answer` are needed. Rows of one row_id
        are samples, and count by their majority's answer; tables of several prompts, models or policies (see `sources`)
        are better measured one at a time.
    gold
        Rows with `row_id` and `answer`, the right one.
    second
        Another teacher's label table.
    by
        The measure of agreement (see `agreement.MEASURES`); it also says which answers are one answer.

    Returns
    -------
    rows, answered, cut_short, unanswered
        Rows of the table, those with an answer, those of them that ended for want of tokens, and the number without an
        answer by `finish_reason`.
    sources
        Rows of each model, prompt and policy.
    tokens
        Sums of the three columns of usage.
    copied
        Share of the answers that equal their input, exactly and normalised; and as `gold` the agreement with gold of
        nothing but copying.
    duplicates
        Inputs that several row_ids have (case and white space aside), how many of them have answers that differ, and
        the row_ids of those.
    lengths
        Of answers in characters, and of answers over inputs: the median, the bounds, and how many answers lie outside
        them; None where answers are classes, whose lengths mean nothing.
    classes
        How often each answer was given; None where answers are no classes.
    consistency
        Of the rows with several answers: the share where all agree, the mean pairwise agreement, the mean share of the
        majority and entropy in bits, and the least sure rows. None where no row has several.
    gold, second
        Agreement with the other table (rows, mean, 95 % interval), kappa where answers are classes, and the most
        frequent disagreements. A row that the teacher did not answer is one.

    Raises
    ------
    DataError
        The table is empty or not a label table, or has no row in common with `gold` or `second`.
    RecipeError
        There is no such measure.
    """
    if by not in MEASURES:
        raise RecipeError(f"there is no measure {by!r}: choose one of {', '.join(MEASURES)}")
    tally = _Tally()
    found = votes(tally.over(table), by)
    if not found:
        raise DataError("the label table has no rows: label some first")
    classes = _classes(found.values())
    truth = None if gold is None else {row_id: vote for row_id, vote in votes(gold, by).items() if vote.counts}
    report = {
        "by": by,
        **tally.counted(),
        "duplicates": _duplicates(found),
        "lengths": None if classes else tally.lengths(),
        "classes": classes,
        "consistency": _consistency(found, by),
        "gold": None if truth is None else _agreement(found, truth, by),
        "second": None if second is None else _agreement(found, votes(second, by), by),
    }
    if truth is not None:
        inputs = {row_id: vote.input for row_id, vote in found.items()}
        copying = compare(inputs, {row_id: vote.answer for row_id, vote in truth.items()}, by)
        report["copied"]["gold"] = asdict(copying)
    plain: dict[str, Any] = to_plain(report)
    return plain


class _Tally:
    """What is counted of rows while they pass by."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.unanswered: Counter[str] = Counter()
        self.sources: Counter[tuple[str, ...]] = Counter()
        self.tokens = dict.fromkeys(("prompt_tokens", "completion_tokens", "cached_tokens"), 0)
        self.copies: list[str] = []
        self.row_ids: list[str] = []
        self.sizes: list[tuple[int, int]] = []  # characters of the answer and the input

    def over(self, table: Iterable[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
        for row in table:
            yield row  # first, as whoever takes it refuses what is no label table
            self.counts["rows"] += 1
            self.sources[tuple(str(row.get(name) or "") for name in ("model", "prompt_hash", "policy"))] += 1
            for name in self.tokens:
                self.tokens[name] += _tokens(row, name)
            answer, reason = answered(row), str(row.get("finish_reason") or "unknown")
            if answer is None:
                self.unanswered[reason] += 1
                continue
            source = str(row.get("input") or "")
            self.counts["answered"] += 1
            self.counts["cut_short"] += reason == "length"
            self.counts["exact"] += exact(answer, source)
            if normalised(answer, source):
                self.copies.append(str(row["row_id"]))
            self.row_ids.append(str(row["row_id"]))
            self.sizes.append((len(answer), len(source)))

    def counted(self) -> dict[str, Any]:
        answers = max(self.counts["answered"], 1)
        names = ("model", "prompt_hash", "policy", "rows")
        return {
            **{name: self.counts[name] for name in ("rows", "answered", "cut_short")},
            "unanswered": dict(self.unanswered.most_common()),
            "sources": [dict(zip(names, (*source, n), strict=True)) for source, n in self.sources.most_common(LISTED)],
            "tokens": self.tokens,
            "copied": {
                "exact": self.counts["exact"] / answers,
                "normalised": len(self.copies) / answers,
                "row_ids": list(dict.fromkeys(self.copies))[:LISTED],
            },
        }

    def lengths(self) -> dict[str, Any] | None:
        if not self.sizes:
            return None
        answers, inputs = np.array(self.sizes, np.float64).T
        return {
            "answer": _outliers(self.row_ids, answers),
            "answer/input": _outliers(self.row_ids, answers / np.maximum(inputs, 1)) if inputs.any() else None,
        }


def _tokens(row: Mapping[str, Any], name: str) -> int:
    try:
        return int(float(row.get(name) or 0))
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(
            f"row {row['row_id']} has {row[name]!r} for {name}: it should be a number, or nothing"
        ) from error


def _outliers(row_ids: list[str], sizes: np.ndarray) -> dict[str, Any]:
    """Return what lies beyond `ROBUST_Z` deviations from the median of the logarithms, as lengths are skewed."""
    logs = np.log(sizes)
    median = np.median(logs)
    away = np.abs(logs - median)
    # Both are scaled to a standard deviation; the second is for lengths most of which are the same.
    deviation = 1.4826 * np.median(away) or 1.2533 * away.mean()
    outside = np.flatnonzero(away > ROBUST_Z * deviation)
    worst = outside[np.argsort(-away[outside], kind="stable")]
    low, high = np.exp(median - ROBUST_Z * deviation), np.exp(median + ROBUST_Z * deviation)
    return {
        "median": np.exp(median), "low": low, "high": high, "outliers": len(outside),
        "row_ids": list(dict.fromkeys(row_ids[place] for place in worst.tolist()))[:LISTED],
    }  # fmt: skip


def _duplicates(found: Mapping[str, Vote]) -> dict[str, Any]:
    same: dict[str, list[str]] = {}
    for row_id, vote in found.items():
        same.setdefault(" ".join(vote.input.casefold().split()), []).append(row_id)
    same.pop("", None)  # tables without inputs
    groups = [row_ids for row_ids in same.values() if len(row_ids) > 1]
    torn = [group for group in groups if len({found[row_id].key for row_id in group} - {None}) > 1]
    return {
        "inputs": len(groups),
        "rows": sum(map(len, groups)),
        "differing": len(torn),
        "row_ids": [group[:LISTED] for group in torn[:LISTED]],
    }


def _classes(found: Iterable[Vote]) -> list[dict[str, Any]] | None:
    counts: Counter[Hashable] = Counter()
    written: dict[Hashable, str] = {}
    for vote in found:
        counts.update(vote.counts)
        for key, answer in vote.answers.items():
            written.setdefault(key, answer)
    total = counts.total()
    if not counts or len(counts) > min(CLASSES, total / MEMBERS):
        return None
    return [{"answer": _cut(written[key]), "rows": n, "share": n / total} for key, n in counts.most_common()]


def _consistency(found: Mapping[str, Vote], by: str) -> dict[str, Any] | None:
    several = {row_id: vote for row_id, vote in found.items() if vote.samples > 1}
    if not several:
        return None
    torn = sorted((row_id for row_id in several if several[row_id].share < 1), key=lambda one: several[one].share)

    def mean(values: Iterable[float]) -> float:
        return math.fsum(values) / len(several)

    return {
        "rows": len(several),
        "samples": mean(vote.samples for vote in several.values()),
        "unanimous": 1 - len(torn) / len(several),
        "pairwise": mean(vote.pairwise(by) for vote in several.values()),
        "majority": mean(vote.share for vote in several.values()),
        "entropy": mean(vote.entropy for vote in several.values()),
        "least_sure": [
            {"row_id": row_id, "answer": _cut(several[row_id].answer), "share": several[row_id].share}
            for row_id in torn[:LISTED]
        ],
    }


def _agreement(found: Mapping[str, Vote], other: Mapping[str, Vote], by: str) -> dict[str, Any]:
    answers, others = ({row_id: vote.answer for row_id, vote in side.items()} for side in (found, other))
    both = [row_id for row_id in found if row_id in other and found[row_id].counts and other[row_id].counts]
    pairs = [(found[row_id].key, other[row_id].key) for row_id in both]
    differing = Counter((answers[one], others[one]) for one, (a, b) in zip(both, pairs, strict=True) if a != b)
    few = len({key for pair in pairs for key in pair}) <= min(CLASSES, 2 * len(pairs) / MEMBERS)
    return {
        **asdict(compare(answers, others, by)),
        "kappa": kappa(pairs) if few else None,
        "differing": [{"answer": _cut(a), "other": _cut(b), "rows": n} for (a, b), n in differing.most_common(LISTED)],
    }


def _cut(text: str | None) -> str:
    text = text or ""
    return text if len(text) <= TEXT else f"{text[:TEXT]}…"
