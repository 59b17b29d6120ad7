"""The server's own bill: one line for each request that was computed, on disk before anything of it is sent.

A line is one `write` to a file opened for appending, so what was billed outlives a killed server (it is not synced: a
power cut may take the last lines). A kill can tear the last line only; `read` does not count it, `mend` cuts it off
before a new server appends.

It does not know what was answered, nor whether the client ever got it.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

PICODOLLARS = 10**12  # in a dollar; a dollar a million tokens is a million picodollars a token, so prices are integers


def content_hash(body: Any) -> str:
    """Return the SHA-256 (hex) of a request body as canonical JSON: sorted keys, no spaces, ASCII."""
    return sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


@dataclass(frozen=True)
class Charge:
    """One line of the bill: a request that was computed.

    Parameters
    ----------
    number
        The request's number; it starts from 0 again when the server does.
    content
        The body's `content_hash`.
    completions
        Answers computed: `n`, times the prompts of a legacy request.
    prompt_tokens, cached_tokens, completion_tokens
        As in the usage; the cached ones are among the prompt's.
    picodollars
        The price, half of it (rounded down) through a batch.
    batch
        The id of the batch, or None.
    """

    number: int
    content: str
    completions: int
    prompt_tokens: int
    cached_tokens: int
    completion_tokens: int
    picodollars: int
    batch: str | None = None


@dataclass(frozen=True)
class Bill:
    """What the server has computed and charges for, in the order in which it did."""

    charges: tuple[Charge, ...] = ()

    @property
    def requests(self) -> int:
        """Requests that were computed."""
        return len(self.charges)

    @cached_property
    def completions(self) -> int:
        """Answers that were computed: more than requests where `n` was more than 1."""
        return sum(charge.completions for charge in self.charges)

    @cached_property
    def prompt_tokens(self) -> int:
        """Tokens of the prompts, cached ones included."""
        return sum(charge.prompt_tokens for charge in self.charges)

    @cached_property
    def cached_tokens(self) -> int:
        """Tokens of the prompts that were charged at the lower price."""
        return sum(charge.cached_tokens for charge in self.charges)

    @cached_property
    def completion_tokens(self) -> int:
        """Tokens of the answers."""
        return sum(charge.completion_tokens for charge in self.charges)

    @cached_property
    def picodollars(self) -> int:
        """What it comes to, exactly."""
        return sum(charge.picodollars for charge in self.charges)

    @property
    def usd(self) -> float:
        """What it comes to in US dollars."""
        return self.picodollars / PICODOLLARS

    @cached_property
    def by_content(self) -> Counter[str]:
        """How often each body was charged for, by its `content_hash`."""
        return Counter(charge.content for charge in self.charges)


def cost(rates: tuple[int, int, int], prompt: int, cached: int, completion: int, *, batch: bool) -> int:
    """Return what a request costs, in picodollars; through a batch half of it, rounded down.

    `rates` are picodollars a token of the prompt, of its cached part and of the completion.
    """
    fresh, seen, out = rates
    return ((prompt - cached) * fresh + cached * seen + completion * out) >> batch


def append(descriptor: int, charges: Iterable[Charge]) -> None:
    """Write charges to a file opened with O_APPEND, in one write."""
    lines = "".join(json.dumps(vars(charge), separators=(",", ":")) + "\n" for charge in charges)
    os.write(descriptor, lines.encode())


def read(path: Path) -> Bill:
    """Read a bill; without a file it is empty, and a last line without its end does not count."""
    if not path.exists():
        return Bill()
    whole = path.read_bytes().rpartition(b"\n")[0]
    return Bill(tuple(Charge(**json.loads(line)) for line in whole.splitlines()))


def mend(path: Path) -> None:
    """Cut off a last line that a kill has torn."""
    if path.exists():
        whole, end, _ = path.read_bytes().rpartition(b"\n")
        os.truncate(path, len(whole) + len(end))
