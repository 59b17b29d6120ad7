"""Compress prompts with a token classifier: read the text, score its tokens, keep the best of its words.

>>> compressor = Compressor.from_pretrained("microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank")
>>> compressor.compress(text, rate=0.5).text

A text's result depends on that text and the options alone, whatever is compressed beside it. It knows no chat API and
no files, and never trains.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from stillroom.core.errors import UserError
from stillroom.prompts.compressed import Compressed
from stillroom.prompts.counters import Counter, counter
from stillroom.prompts.jobs import Counts, Job, Prompt, job, results, share
from stillroom.prompts.options import Options

if TYPE_CHECKING:
    from stillroom.prompts.scorer import Scorer


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
    _counters: dict[str | int, tuple[Any, Counter]] = field(default_factory=dict)

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
                jobs.append(job(prompt, options, name))
            except UserError as error:
                raise type(error)(f"{name}{error}") from error
        parts = [part for job in jobs for part in job.parts]
        texts = [part.text for part in parts]
        tokens = self.scorer.tokenize(texts)
        named = self._named(options)
        lengths = [len(one) for one in tokens] if named is None else [named(text) for text in texts]
        for part, one, length in zip(parts, tokens, lengths, strict=True):
            part.tokens, part.length = one, length
        if options.target_tokens is not None:
            for whole in jobs:
                share(whole.parts, options.target_tokens, self._counts(options))
        return jobs

    def score(self, jobs: Sequence[Job]) -> None:
        """Ask the model about all texts where there is something to decide, in batches of like length."""
        parts = [part for job in jobs for part in job.parts if part.undecided]
        found = self.scorer.probabilities([part.tokens for part in parts])
        for part, probabilities in zip(parts, found, strict=True):
            part.probabilities = probabilities

    def write(self, jobs: Sequence[Job], options: Options) -> list[Compressed]:
        """Return what is left of each prompt."""
        return results(jobs, options, self._counts(options))

    def _named(self, options: Options) -> Counter | None:
        """Return the counter that was asked for, or None for the model's own tokenizer."""
        name = self.counter if options.counter is None else options.counter
        if name is None:
            return None
        key = str(name) if isinstance(name, str | Path) else id(name)
        if key not in self._counters:
            self._counters[key] = name, counter(name)  # with the name, so that no other object takes its id
        return self._counters[key][1]

    def _counts(self, options: Options) -> Counts:
        named = self._named(options)
        if named is None:
            return self.scorer.count
        return lambda texts: [named(text) for text in texts]

    def _as_llmlingua(self, prompt: Any, **options: Any) -> dict[str, Any]:
        from stillroom.prompts import reference

        count = counter(options.pop("counter", None) or self.counter or "tiktoken:gpt-3.5-turbo")
        options = {"use_context_level_filter": True} | options  # as `compress_prompt`, which most people call, has it
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
