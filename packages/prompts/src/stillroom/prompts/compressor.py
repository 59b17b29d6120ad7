"""Compress prompts with a token classifier: read the text, score its tokens, keep the best of its words.

>>> compressor = Compressor.from_pretrained("microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank")
>>> compressor.compress(text, rate=0.5).text

A text's result depends on that text and the options alone, whatever is compressed beside it. It knows no chat API and
no files, and never trains.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np

from stillroom.core.errors import DataError, RecipeError, UserError
from stillroom.prompts import messages, tags
from stillroom.prompts.compressed import Compressed
from stillroom.prompts.counters import Counter, counter
from stillroom.prompts.drafts import Draft, draft
from stillroom.prompts.options import Options
from stillroom.prompts.protection import spans
from stillroom.prompts.span import Span

if TYPE_CHECKING:
    from stillroom.prompts.scorer import Scorer, Tokens

Prompt = str | Sequence[Mapping[str, Any]]
NAMED = 5  # protected stretches in a sentence about a cap that they exceed
BETWEEN = "\n\n"  # the texts of several messages, where they are shown as one


@dataclass(eq=False)
class Part:
    """A text of a prompt on its way: as it was given, without tags, its words, its tokens, what the model says."""

    source: str
    text: str
    draft: Draft
    threshold: float | None = None
    cap: int | None = None
    length: int = 0
    tokens: Tokens | None = None
    probabilities: np.ndarray | None = None

    @property
    def undecided(self) -> bool:
        """Whether the model must be asked what to keep."""
        too_long = self.cap is not None and self.length > self.cap
        return self.draft.loose and (self.draft.rated or self.threshold is not None or too_long)


@dataclass(eq=False)
class Job:
    """A prompt on its way: what was given, its texts, and how sentences about it begin."""

    prompt: Prompt
    parts: list[Part]
    name: str = ""


@dataclass(frozen=True, eq=False, repr=False)
class Compressor:
    """Compresses texts and chat messages; threads may share one, and processes may be sent one.

    Parameters
    ----------
    scorer
        The model. `from_pretrained` loads one.
    counter
        How tokens are counted where a call does not say (see `counters.counter`); None: by the model's tokenizer.
    """

    scorer: Scorer
    counter: Any = None
    _loaded: tuple[Any, ...] | None = None
    _counters: dict[str, Counter] = field(default_factory=dict)

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | Path, *, device: str = "cpu", dtype: str = "auto", counter: Any = None
    ) -> Compressor:
        """Load a token classifier with two labels from a folder or a hub id; see `Scorer.from_pretrained`.

        Raises
        ------
        ModelError
            No such model, or none with two labels.
        """
        from stillroom.prompts.scorer import Scorer

        loaded = (str(name_or_path), device, dtype)
        return cls(Scorer.from_pretrained(*loaded), counter, loaded)

    @overload
    def compress(self, prompt: Prompt, *, reference: Literal[False] = False, **options: Any) -> Compressed: ...

    @overload
    def compress(self, prompt: Any, *, reference: Literal[True], **options: Any) -> dict[str, Any]: ...

    def compress(self, prompt: Any, *, reference: bool = False, **options: Any) -> Compressed | dict[str, Any]:
        """Return a prompt with its least telling words left out, as `Compressed`.

        Parameters
        ----------
        prompt
            A text, in which `<llmlingua>` tags are honoured (see `tags`), or chat messages (see `messages`).
        reference
            Return what llmlingua 0.2.2 returns instead, a dict; the options are then its own (see `reference`), and
            `counter`.
        options
            `rate`, `target_tokens` or `threshold`, and more: see `Options`.

        Raises
        ------
        RecipeError
            An option that cannot be meant, or none that says how much to keep.
        DataError
            No text, half a character in it, or with `strict=True` protected text that exceeds `target_tokens`.
        """
        if reference:
            return self._as_llmlingua(prompt, **options)
        asked = Options.read(options)
        jobs = self.read([prompt], asked)
        self.score(jobs)
        return self.write(jobs, asked)[0]

    def compress_many(self, prompts: Iterable[Prompt], *, workers: int = 0, **options: Any) -> Iterator[Compressed]:
        """Yield the compressed prompts in order, while more are read; see `stream.compress`.

        Parameters
        ----------
        workers
            Processes to share the work among, each with a model of its own; 0 works in this one.
        options
            As for `compress`.
        """
        from stillroom.prompts.stream import compress

        return compress(self, prompts, Options.read(options), workers)

    def read(self, prompts: Sequence[Prompt], options: Options, first: int | None = None) -> list[Job]:
        """Cut prompts into words and tokens, and share out what each text may cost.

        Parameters
        ----------
        first
            The number of the first prompt, for sentences about what is wrong with one; None where there is but one.
        """
        jobs = []
        for number, prompt in enumerate(prompts):
            name = "" if first is None else f"prompt {first + number}: "
            try:
                jobs.append(Job(prompt, self._parts(prompt, options), name))
            except UserError as error:
                raise type(error)(f"{name}{error}") from error
        count, own = self._count(options)
        parts = [part for job in jobs for part in job.parts]
        for part, tokens in zip(parts, self.scorer.tokenize([part.text for part in parts]), strict=True):
            part.tokens = tokens
            part.length = len(tokens) if own else count(part.text)
        if options.target_tokens is not None:
            for job in jobs:
                _share(job.parts, options.target_tokens, count)
        return jobs

    def score(self, jobs: Sequence[Job]) -> None:
        """Ask the model about all texts where there is something to decide, in batches of like length."""
        parts = [part for job in jobs for part in job.parts if part.undecided]
        tokens = [part.tokens for part in parts if part.tokens is not None]
        for part, probabilities in zip(parts, self.scorer.probabilities(tokens), strict=True):
            part.probabilities = probabilities

    def write(self, jobs: Sequence[Job], options: Options) -> list[Compressed]:
        """Return what is left of each prompt."""
        count, _ = self._count(options)
        return [_result(job, options, count) for job in jobs]

    def _parts(self, prompt: Prompt, options: Options) -> list[Part]:
        if isinstance(prompt, str):
            return [_part(prompt, "compress", options)]
        if not isinstance(prompt, list | tuple):
            raise DataError(f"a prompt is a text or a list of chat messages, not a {type(prompt).__name__}")
        return [_part(part.text, part.rate, options) for part in messages.plan(prompt, options.policy)]

    def _count(self, options: Options) -> tuple[Counter, bool]:
        """Return the counter to use, and whether it is the model's own tokenizer."""
        named = self.counter if options.counter is None else options.counter
        if named is None:
            backend = self.scorer.tokenizer.backend_tokenizer
            return lambda text: len(backend.encode(text, add_special_tokens=False)), True
        if not isinstance(named, str | Path):
            return counter(named), False
        if str(named) not in self._counters:
            self._counters[str(named)] = counter(named)
        return self._counters[str(named)], False

    def _as_llmlingua(self, prompt: Any, **options: Any) -> dict[str, Any]:
        from stillroom.prompts import reference

        count = counter(options.pop("counter", None) or self.counter or "tiktoken:gpt-3.5-turbo")
        return reference.compress(self._plain, self.scorer.tokenizer, prompt, count=count, **options)

    @cached_property
    def _plain(self) -> Any:
        """The network with its layers as they were saved, which is how llmlingua runs it."""
        if self._loaded is None:
            return self.scorer.model
        from transformers import AutoModelForTokenClassification

        from stillroom.core.hub import cache_only_without_network

        name, device, _ = self._loaded
        with cache_only_without_network():
            network = AutoModelForTokenClassification.from_pretrained(
                name, dtype="float32" if device == "cpu" else "auto", trust_remote_code=False
            )
        return network.to(device).eval()

    def __repr__(self) -> str:
        return f"<Compressor {self._loaded[0] if self._loaded else type(self.scorer.model).__name__}>"

    def __reduce__(self) -> tuple[Any, ...]:
        """Be sent to another process as the name of the model, where it has one."""
        if self._loaded is None:
            return Compressor, (self.scorer, self.counter)
        name, device, dtype = self._loaded
        load = partial(Compressor.from_pretrained, name, device=device, dtype=dtype, counter=self.counter)
        return load, ()


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


def _share(parts: Sequence[Part], target: int, count: Callable[[str], int]) -> None:
    """Give each text its share of a cap: what must stay, and of the rest in proportion to its length and rate."""
    if len(parts) == 1:
        parts[0].cap = target
        return
    floors = [count(part.draft.bare) for part in parts]
    loose = [max(part.length - floor, 0) * part.draft.rates[0] for part, floor in zip(parts, floors, strict=True)]
    left = max(target - sum(floors), 0)
    for part, floor, weight in zip(parts, floors, loose, strict=True):
        part.cap = floor + int(left * weight / (sum(loose) or 1))


def _result(job: Job, options: Options, count: Callable[[str], int]) -> Compressed:
    parts = tuple(_written(part, options, count) for part in job.parts)
    spent = sum(part.compressed_tokens for part in parts)
    over = options.target_tokens is not None and spent > options.target_tokens
    if over and options.strict:
        raise DataError(job.name + _excess(job.parts, spent, options))
    if isinstance(job.prompt, str):
        (part,) = parts
        return Compressed(part.text, part.kept, part.original_tokens, part.compressed_tokens, over)
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


def _written(part: Part, options: Options, count: Callable[[str], int]) -> Compressed:
    start, probabilities = np.empty(0), np.empty(0)
    if part.probabilities is not None and part.tokens is not None:
        start, probabilities = part.tokens.start, part.probabilities
    text, runs = part.draft.finish(
        start, probabilities, threshold=part.threshold, cap=part.cap, count=count, question=options.question
    )
    if part.text != part.source:
        runs = tags.original(part.source, runs)
    length = part.length if text == part.text else count(text)
    return Compressed(text, tuple(map(tuple, runs.tolist())), part.length, length)


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
