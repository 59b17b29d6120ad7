"""Count the tokens of a job before it is paid for, as `plan` wants them.

Every row is rendered and counted once. What the requests of a random sample of rows begin with alike is the prefix.
Where rows' own texts are to be compressed, that is done for the sample alone, and the others are taken to shrink as
much. Tokens are those of the counter, not of the bill: a message adds what OpenAI's chat format does, and what a
provider makes of a schema is not known.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from statistics import fmean
from typing import Any

from stillroom.core.errors import DataError, MissingError
from stillroom.core.targets import TargetStore
from stillroom.teacher.labelling import GROUP, Job
from stillroom.teacher.plan import Counts, Plan, plans
from stillroom.teacher.prices import Price
from stillroom.teacher.rendering import Rendering, Request
from stillroom.teacher.sampling import Sample

Counter = Callable[[str], int]

MESSAGE_TOKENS = 4  # of a message beside its text (OpenAI's cookbook, "How to count tokens with tiktoken")
OWN_TOKENS = MESSAGE_TOKENS + 3  # of the row's message, and to open the answer
LABELS = 10_000  # whose mean length is taken for that of all
MIXED = "compressed + cached whole prefix"


@dataclass(frozen=True)
class Estimate:
    """A job's tokens, and how they were counted.

    Parameters
    ----------
    counts
        Of what is still to be asked.
    rows, stored, repeated, misfits
        All rows (times samples); of them those that are answered in the store, ask what another row asks, or do not
        fit the prompt. None of these is asked.
    sampled
        Rows whose own texts were compressed to learn how far that shrinks them; 0 where they stay as they are.
    completion
        Where the length of an answer comes from, in words.
    """

    counts: Counts
    rows: int
    stored: int
    repeated: int
    misfits: int
    sampled: int
    completion: str


def estimate(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    count: Counter,
    store: TargetStore | None = None,
    *,
    sample: int = 1000,
    completion_tokens: int | None = None,
    advance: Callable[[int], object] = lambda steps: None,
) -> Estimate:
    """Count a job's tokens.

    Parameters
    ----------
    rows
        Read once, as they come.
    job
        Its rates are those of the compressed ways; "as is" has every part of the prompt whole.
    count
        Says how many tokens a text has (see `counter`).
    store
        Rows that it has an answer for, of the whole prompt or of the compressed one, are left out. Where rows' own
        texts are compressed it is looked up for the whole prompt alone.
    sample
        Rows in the sample. The share of their texts that stays after compression is known to about its spread from
        row to row, divided by the root of this number.
    completion_tokens
        Of an answer. By default the mean of labels in the store, of the same prompt and model; else of the examples'
        outputs; else all of `max_tokens`.

    Raises
    ------
    DataError
        The first row does not fit the prompt.
    """
    whole = Rendering(job.prompt)
    short = Rendering(job.prompt, job.rates, job.shorten) if job.rates else None
    payload = "user" in job.rates
    drawn: Sample[tuple[Mapping[str, Any], Request, int]] = Sample(sample)
    seen: set[bytes] = set()
    total = stored = repeated = misfits = tokens = 0
    pending = _requests(rows, job, whole, None if payload else short)
    while group := list(islice(pending, GROUP)):
        fitting = [one for one in group if one is not None]
        keys = {request.key for _, *requests in fitting for request in requests}
        kept = set() if store is None else store.get_labels([*keys]).keys()
        total += len(group)
        misfits += len(group) - len(fitting)
        for row, request, shorter in fitting:
            key = bytes.fromhex(request.key)[:16]
            if request.key in kept or shorter.key in kept:
                stored += 1
            elif key in seen:
                repeated += 1
            else:
                seen.add(key)
                own = count(_following(request))
                tokens += own
                drawn.add(request.key, (row, request, own))
        advance(len(group))

    asked = len(seen)
    leading, shared = _prefix([request for _, request, _ in drawn], count)
    rest = max(0, tokens - asked * shared)
    form = asked * OWN_TOKENS if job.prompt.endpoint == "chat" else 0
    compressed_prefix = compressed_rest = None
    if short is not None and asked:
        shorter_requests = [short.request(row, job.model) for row, _, _ in drawn]
        shorter_leading, shorter_shared = _prefix(shorter_requests, count)
        if set(job.rates) != {"user"}:
            compressed_prefix = shorter_leading + shorter_shared
        if payload:
            before = sum(own - shared for _, _, own in drawn)
            after = sum(count(_following(request)) - shorter_shared for request in shorter_requests)
            compressed_rest = (round(rest * max(0, after) / before) if before > 0 else rest) + form
    each, source = _completion(job, count, store, completion_tokens)
    counts = Counts(asked, leading + shared, rest + form, round(asked * each), compressed_prefix, compressed_rest)
    return Estimate(counts, total, stored, repeated, misfits, len(drawn) if payload else 0, source)


def ways(counts: Counts, price: Price) -> list[Plan]:
    """Return the ways to ask of `plans`, and one more: the prefix whole and cached, what follows it compressed.

    It is often the best one where rows' own texts may be compressed, as little is left to save on a cached prefix.
    """
    found = plans(counts, price)
    if counts.compressed_prefix is not None and counts.compressed_rest is not None:
        mixed = {plan.name: plan for plan in plans(replace(counts, compressed_prefix=None), price)}
        place = [plan.name for plan in found].index("compressed + cached prefix") + 1
        found.insert(place, replace(mixed["compressed + cached prefix"], name=MIXED))
    return found


def counter(name: str | None = None) -> tuple[Counter, str]:
    """Return what counts the tokens of a text, and what to call it.

    Parameters
    ----------
    name
        What stillroom-prompts' `counters.counter` takes: `tiktoken:gpt-4o`, a tokenizer's folder or hub id, or
        `estimate`. None: `estimate`, or bytes / 4 where that package is not installed.

    Raises
    ------
    MissingError
        A counter is named, and stillroom-prompts is not installed, or the counter's own files are not.
    RecipeError
        There is no such tokenizer.
    """
    try:
        from stillroom.prompts import counters
    except ImportError as error:
        if name is not None:
            raise MissingError(
                "counting with a tokenizer needs stillroom-prompts: pip install 'stillroom-teacher[prompts]', or leave "
                "out --counter to count bytes / 4"
            ) from error
        return bytes_by_four, "UTF-8 bytes / 4"
    return counters.counter(name or "estimate"), name or "stillroom-prompts' estimate"


def bytes_by_four(text: str) -> int:
    """Return a quarter of a text's UTF-8 bytes, rounded up: about right for English, a third too many for German."""
    return -(-len(text.encode()) // 4)


def _requests(
    rows: Iterable[Mapping[str, Any]], job: Job, whole: Rendering, short: Rendering | None
) -> Iterator[tuple[Mapping[str, Any], Request, Request] | None]:
    """Yield each row, its request and its compressed one (without `short` the same); None if it does not fit."""
    for number, row in enumerate(rows):
        for sample in range(job.samples):
            try:
                request = whole.request(row, job.model, sample=sample, name=f"row {number}")
                shorter = request if short is None else short.request(row, job.model, sample=sample)
            except DataError:
                if not number:
                    raise
                yield None
            else:
                yield row, request, shorter


def _prefix(requests: Sequence[Request], count: Counter) -> tuple[int, int]:
    """Tokens of the messages that all requests begin with, and of what they have in common after these."""
    if not requests:
        return 0, 0
    leading = sum(count(text) + MESSAGE_TOKENS for text in requests[0].texts[: requests[0].prefix])
    texts = [_following(one) for one in requests]
    first, last = min(texts), max(texts)  # what these two begin with, all that sort between them do
    same = next((place for place, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1), len(first))
    return leading, count(first[:same]) if len(requests) > 1 else 0


def _following(request: Request) -> str:
    """What the teacher reads after the messages that all requests begin with."""
    return "\n".join(request.texts[request.prefix :])


def _completion(job: Job, count: Counter, store: TargetStore | None, given: int | None) -> tuple[float, str]:
    """Tokens of an answer, and where that comes from."""
    if given is not None:
        return given, "as given"
    for digest in dict.fromkeys((job.prompt_hash, job.prompt.digest())):
        labels = () if store is None else islice(store.labels(model=job.model, prompt_hash=digest), LABELS)
        lengths = [label.completion_tokens for label in labels if label.completion_tokens is not None]
        if lengths:
            return fmean(lengths), f"the mean of {len(lengths):,} labels in the store"
    outputs = [example.output for example in job.prompt.examples.items]
    if outputs:
        texts = [one if isinstance(one, str) else json.dumps(one, ensure_ascii=False) for one in outputs]
        return fmean(map(count, texts)), f"the mean of the prompt's {len(texts):,} examples, reasoning not counted"
    return job.prompt.bounded(), "max_tokens, the most there can be"
