"""Prompts on their way: which texts they have, what each may cost, and what they are put together to in the end.

It knows neither the model nor its tokenizer; whoever asks it brings tokens, probabilities and a way to count.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, RecipeError
from stillroom.prompts import messages, tags
from stillroom.prompts.compressed import BETWEEN, Compressed
from stillroom.prompts.drafts import Draft, draft
from stillroom.prompts.options import Options
from stillroom.prompts.protection import spans
from stillroom.prompts.span import Span

Prompt = str | Sequence[Mapping[str, Any]]
Counts = Callable[[Sequence[str]], list[int]]  # the tokens of each text
NAMED = 5  # protected stretches in a sentence about a cap that they exceed


@dataclass(eq=False)
class Part:
    """A text of a prompt.

    Attributes
    ----------
    source, text
        As it was given, and without tags.
    draft
        Its words.
    threshold, cap
        What goes beside the rates in the draft: the least probability, the most tokens.
    length
        Its tokens, by the caller's counter.
    tokens, probabilities
        The model's tokens, and what it says of them: (tokens,), or None where it need not be asked.
    """

    source: str
    text: str
    draft: Draft
    threshold: float | None = None
    cap: int | None = None
    length: int = 0
    tokens: Any = None
    probabilities: np.ndarray | None = None

    @property
    def undecided(self) -> bool:
        """Whether the model must be asked what to keep."""
        too_long = self.cap is not None and self.length > self.cap
        return self.draft.loose and (self.draft.rated or self.threshold is not None or too_long)


@dataclass(eq=False)
class Job:
    """A prompt: what was given, its texts, and how sentences about it begin."""

    prompt: Prompt
    parts: list[Part]
    name: str = ""


def job(prompt: Prompt, options: Options, name: str = "") -> Job:
    """Find the texts of a prompt and cut them into words.

    Raises
    ------
    DataError, RecipeError
        As `Compressor.compress`.
    """
    if isinstance(prompt, str):
        return Job(prompt, [_part(prompt, "compress", options)], name)
    if not isinstance(prompt, list | tuple):
        raise DataError(f"a prompt is a text or a list of chat messages, not a {type(prompt).__name__}")
    return Job(prompt, [_part(part.text, part.rate, options) for part in messages.plan(prompt, options.policy)], name)


def share(parts: Sequence[Part], target: int, counts: Counts) -> None:
    """Give each text its share of a cap: what must stay, and of the rest in proportion to its length and rate."""
    if len(parts) == 1:
        parts[0].cap = target
        return
    floors = counts([part.draft.bare for part in parts])
    loose = [max(part.length - floor, 0) * part.draft.rates[0] for part, floor in zip(parts, floors, strict=True)]
    left = max(target - sum(floors), 0)
    for part, floor, weight in zip(parts, floors, loose, strict=True):
        part.cap = floor + int(left * weight / (sum(loose) or 1))


def results(jobs: Sequence[Job], options: Options, counts: Counts) -> list[Compressed]:
    """Return what is left of each prompt.

    Raises
    ------
    DataError
        With `strict`, protected text exceeds the cap.
    """
    parts = [part for job in jobs for part in job.parts]
    left = [_left(part, options, counts) for part in parts]
    changed = [text for part, (text, _) in zip(parts, left, strict=True) if text != part.text]
    lengths = iter(counts(changed))
    done = iter(
        Compressed(text, _in_source(part, runs), part.length, part.length if text == part.text else next(lengths))
        for part, (text, runs) in zip(parts, left, strict=True)
    )
    return [_together(one, tuple(next(done) for _ in one.parts), options) for one in jobs]


def _part(text: str, rate: float | str | None, options: Options) -> Part:
    if rate is None:
        return Part(text, text, draft(text, [Span(0, len(text), None, "message")], 1.0))
    if rate == "compress" and not options.says_how_much:
        raise RecipeError("how much is to stay? Give rate=0.5 (the share of tokens), target_tokens= or threshold=")
    bare, tagged = tags.parse(text)
    found = [*tagged, *spans(bare, options.protect, options.keep, rates=options.key_rates)]
    if rate == "compress":
        return Part(text, bare, draft(bare, found, options.rate or 1.0), options.threshold)
    return Part(text, bare, draft(bare, found, float(rate)))


def _left(part: Part, options: Options, counts: Counts) -> tuple[str, np.ndarray]:
    nothing = np.empty(0)
    said = (nothing, nothing) if part.probabilities is None else (part.tokens.start, part.probabilities)
    fits = part.cap is None or (part.length <= part.cap and not part.draft.rated)
    return part.draft.finish(
        *said,
        threshold=part.threshold,
        cap=None if fits else part.cap,
        count=lambda text: counts([text])[0],
        question=options.question,
    )


def _in_source(part: Part, runs: np.ndarray) -> tuple[tuple[int, int], ...]:
    if part.text != part.source:
        runs = tags.original(part.source, runs)
    return tuple((start, end) for start, end in runs.tolist())


def _together(job: Job, parts: tuple[Compressed, ...], options: Options) -> Compressed:
    spent = sum(part.compressed_tokens for part in parts)
    over = options.target_tokens is not None and spent > options.target_tokens
    if over and options.strict:
        raise DataError(f"{job.name}{_excess(job.parts, spent, options)}")
    if isinstance(job.prompt, str):
        return replace(parts[0], over_budget=over)
    starts = np.cumsum([0, *(len(part.source) + len(BETWEEN) for part in job.parts)]).tolist()
    return Compressed(
        text=BETWEEN.join(part.text for part in parts),
        kept=tuple((a + at, b + at) for part, at in zip(parts, starts, strict=False) for a, b in part.kept),
        original_tokens=sum(part.original_tokens for part in parts),
        compressed_tokens=spent,
        over_budget=over,
        messages=messages.rebuild(job.prompt, [part.text for part in parts]),
        parts=parts,
    )


def _excess(parts: Sequence[Part], spent: int, options: Options) -> str:
    """Say which protected stretches alone exceed the cap."""
    named = [
        f"{_short(part.text[span.start : span.end])} ({span.reason} at {span.start})"
        for part in parts
        for span in part.draft.spans
        if span.start < span.end
    ]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    return (
        f"protected text alone has {spent} tokens, more than target_tokens={options.target_tokens}: "
        f"{', '.join(named[:NAMED])}{more}; allow more tokens, or protect less"
    )


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:39] + "…")
