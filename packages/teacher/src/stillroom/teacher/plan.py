"""What a job would cost, asked in several ways, before a cent is spent: sums of counted tokens.

- "as is": every token at full price, as when nothing is reused.
- "compressed": fewer tokens, at full price.
- "cached prefix": what begins every request, byte for byte, is paid in full once, and then at the price of the cache.
- "compressed + cached prefix": both. Little is left to save on a prefix that is cached; and one that compression takes
  under the length from which a provider caches may cost more than before, which its note then says.
- "batch" and "compressed + batch": every price times the factor of the batch endpoint. No cache is counted on there:
  requests run in any order over a day, and some providers grant one discount only.

A cache is a hope: providers that cache by themselves promise nothing, and requests sent at the same moment all miss it
(send one ahead). It does not know the texts, and expected completions are the caller's guess.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stillroom.teacher.prices import Price, dollars

CACHE_STEP = 128
"""Prefixes are cached in steps of so many tokens: OpenAI's (Prompt Caching guide: "in increments of 128 tokens").
Others publish finer ones or none, so this counts on less than they give."""


@dataclass(frozen=True)
class Counts:
    """The tokens of a job.

    Parameters
    ----------
    rows
        Requests that will be made, each with the same prefix.
    prefix
        Tokens of what every request begins with.
    rest
        Tokens of all that follows it, summed over the requests.
    completion
        Tokens that will be answered, summed over the requests.
    compressed_prefix, compressed_rest
        The same after compression; None where it stays as it is.
    """

    rows: int
    prefix: int
    rest: int
    completion: int
    compressed_prefix: int | None = None
    compressed_rest: int | None = None


@dataclass(frozen=True)
class Plan:
    """A way to ask.

    Parameters
    ----------
    name
        See the module.
    cost
        In picodollars; None where this way is not open, and `note` says why.
    prompt_tokens, cached_tokens, completion_tokens
        Summed over the requests; `cached_tokens` are part of `prompt_tokens`.
    note
        One sentence.
    """

    name: str
    cost: int | None
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    note: str


WAYS = {  # by name: compressed? cached? in a batch?
    "as is": (False, False, False),
    "compressed": (True, False, False),
    "cached prefix": (False, True, False),
    "compressed + cached prefix": (True, True, False),
    "batch": (False, False, True),
    "compressed + batch": (True, False, True),
}


def plans(counts: Counts, price: Price) -> list[Plan]:
    """Return the ways to ask, in the order of `WAYS`; those that are not open have a `cost` of None."""
    return [_plan(name, counts, price, *way) for name, way in WAYS.items()]


def cheapest(plans: Iterable[Plan]) -> Plan:
    """Return the cheapest of the ways that are open; of two that cost the same the first, which is the simpler."""
    return min((plan for plan in plans if plan.cost is not None), key=lambda plan: plan.cost or 0)


def break_even_rate(counts: Counts, price: Price) -> float | None:
    """Return the share of the prefix that compression must stay under to beat leaving it whole and cached.

    Where the cache asks a tenth of the price it is about 0.1; a few requests, which pay for the cache and hardly use
    it, raise it. None where the prefix is not cached, or costs nothing.
    """
    uncached = price.cost(counts.rows * counts.prefix, 0)
    if _not_cached(counts.prefix, price) or not uncached:
        return None
    return _cached_cost(counts.rows, counts.prefix, 0, 0, price) / uncached


def _plan(name: str, counts: Counts, price: Price, compressed: bool, cached: bool, batch: bool) -> Plan:
    prefix, rest = _compressed(counts) if compressed else (counts.prefix, counts.rest)
    tokens = counts.rows * prefix + rest
    closed = ""
    if compressed and counts.compressed_prefix is None and counts.compressed_rest is None:
        closed = "nothing is compressed"
    elif batch and price.batch is None:
        closed = "no batch endpoint is known for this model"
    elif cached:
        closed = _not_cached(prefix, price)
    if closed:
        return Plan(name, None, tokens, 0, counts.completion, closed)
    if cached:
        cost = _cached_cost(counts.rows, prefix, rest, counts.completion, price)
    else:
        cost = price.cost(tokens, counts.completion, batch=batch)
    hits = _hits(counts.rows, prefix) if cached else 0
    return Plan(name, cost, tokens, hits, counts.completion, _note(counts, price, compressed, cached, batch, cost))


def _compressed(counts: Counts) -> tuple[int, int]:
    """Tokens of the prefix and of the rest after compression."""
    prefix, rest = counts.compressed_prefix, counts.compressed_rest
    return counts.prefix if prefix is None else prefix, counts.rest if rest is None else rest


def _not_cached(prefix: int, price: Price) -> str:
    """Why a prefix is not cached; empty if it is."""
    if price.cache_minimum is None:
        return "no prompt cache is known for this model"
    if prefix < price.cache_minimum:
        return f"the prefix has {prefix:,} tokens, and prefixes are cached from {price.cache_minimum:,} on"
    return ""


def _hits(rows: int, prefix: int) -> int:
    """Tokens that all requests but the first read from the cache."""
    return max(0, rows - 1) * (prefix // CACHE_STEP * CACHE_STEP)


def _cached_cost(rows: int, prefix: int, rest: int, completion: int, price: Price) -> int:
    """What requests cost when the first writes the prefix to the cache and the others read it."""
    written = min(1, rows) * prefix
    return price.cost(rows * prefix + rest, completion, _hits(rows, prefix), written_tokens=written)


def _note(counts: Counts, price: Price, compressed: bool, cached: bool, batch: bool, cost: int) -> str:
    """What is to be known of a way that costs `cost`."""
    if batch:
        return f"every price times {price.batch:g}, no cache counted on; the answers may take a day"
    if not compressed:
        return "after the first request the prefix comes from the cache" if cached else "every token at full price"
    prefix, rest = _compressed(counts)
    share = f"{counts.rows * prefix + rest:,} of {counts.rows * counts.prefix + counts.rest:,} prompt tokens stay"
    if prefix == counts.prefix or _not_cached(counts.prefix, price):
        return share
    # The rest is compressed either way: what the prefix's own compression is worth, beside leaving it whole and cached.
    lost = cost - _cached_cost(counts.rows, counts.prefix, rest, counts.completion, price)
    if cached:
        return f"{share}; compressing a cached prefix {'saves' if lost <= 0 else 'costs'} {dollars(abs(lost))} of this"
    if lost <= 0 or not _not_cached(prefix, price):
        return share
    return (
        f"{share}, but {dollars(lost)} more than with the prefix left whole and cached: compressed it has {prefix:,} "
        f"tokens, under the {price.cache_minimum:,} from which on prefixes are cached; it pays to keep less than "
        f"{break_even_rate(counts, price):.0%} of the prefix, or all of it"
    )
