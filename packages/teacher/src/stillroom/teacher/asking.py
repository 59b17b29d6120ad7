"""Ask for one row until there is a label, or until it is clear that there will be none.

Before each call its reservation is committed, after it what it cost, and with a good answer the label, as one. What
fails is tried again with growing pauses; what breaks the form it should have is asked for a few times. It does not
know where rows come from, nor where labels go.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

from openai import AsyncOpenAI

from stillroom.core.labels import Label
from stillroom.teacher.calls import Failure, Hopeless, Reply, call
from stillroom.teacher.forms import Output, Unfit
from stillroom.teacher.journal import Journal
from stillroom.teacher.ledger import FAILED, LABELLED, REFUSED, UNFIT, Ending, Intent
from stillroom.teacher.pace import Pace
from stillroom.teacher.prices import Price
from stillroom.teacher.rendering import Request

ATTEMPTS = 3  # answers that are no label, before a row is given up
PATIENCE = 300.0  # seconds that a row is tried for while the API fails: a server may be away for a minute or two
PAUSES = (0.5, 30.0)  # seconds before the second try, and at most; doubled from try to try
IN_VAIN = 20  # requests refused one after the other, none ever answered, before the job is given up


class OutOfBudget(Exception):
    """What is left of the budget does not cover the call."""


@dataclass(frozen=True)
class Question:
    """A row's request, and what its label will say of it."""

    request: Request
    row_id: str


class Asker:
    """Asks for the rows of one job; its methods run in one event loop.

    Parameters
    ----------
    prompt_hash, policy
        What labels say about the prompt.
    """

    def __init__(
        self,
        client: AsyncOpenAI,
        journal: Journal,
        pace: Pace,
        price: Price,
        output: Output,
        *,
        prompt_hash: str,
        policy: str | None = None,
        attempts: int = ATTEMPTS,
        patience: float = PATIENCE,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self.client, self.journal, self.pace, self.price, self.output = client, journal, pace, price, output
        self.prompt_hash, self.policy = prompt_hash, policy
        self.attempts, self.patience, self.jitter = attempts, patience, jitter
        self.answered = False
        self._open = 0  # calls that are reserved, or about to be, and not settled
        self._settled = asyncio.Event()
        self._in_vain = 0

    async def ask(self, question: Question) -> str | None:
        """Ask until there is a label; return None, or why there is none.

        Raises
        ------
        OutOfBudget
            The budget does not cover the call, and no call is open that might free some of it.
        Hopeless
            The API will answer no call.
        """
        request = question.request
        bound = self.price.reservation(request.size, request.body["max_tokens"])
        intent = Intent(request.key, request.body["model"], bound, request.saved_tokens, self.policy is not None)
        unfit, pause, began = 0, PAUSES[0], time.monotonic()
        while True:
            try:
                reply, number = await self._call(request, intent)
            except Failure as failure:
                if not failure.again or time.monotonic() - began > self.patience:
                    return failure.reason
                await asyncio.sleep(max(failure.retry_after or 0.0, pause * (0.5 + self.jitter())))
                pause = min(2 * pause, PAUSES[1])
                continue
            try:
                label = self._label(question, reply)
            except Unfit as reason:
                unfit += 1
                await self._settle(number, reply, UNFIT, str(reason))
                if unfit >= self.attempts or isinstance(reason, Final):
                    return str(reason)
                continue
            await self._settle(number, reply, LABELLED, label=label)
            return None

    async def _call(self, request: Request, intent: Intent) -> tuple[Reply, int]:
        """Make one call within pace and budget; a failure is settled here, a reply by the caller."""
        await self.pace.enter(request.size // 4 + request.body["max_tokens"])
        try:
            number = await self._reserve(intent)
            try:
                reply = await call(self.client, request)
            except Failure as failure:
                await self._fail(number, failure)
                raise
            except Hopeless as reason:
                await self._end(Ending(number, REFUSED, str(reason), cost=0))
                raise
            except asyncio.CancelledError:
                self.journal.put(Ending(number, FAILED, "stopped while it was under way"))
                raise
            self.answered, self._in_vain = True, 0
            self.pace.went_well()
            return reply, number
        finally:
            self.pace.leave()

    async def _reserve(self, intent: Intent) -> int:
        while True:
            self._settled.clear()
            self._open += 1
            number = await self.journal.put(intent)
            if number is not None:
                return int(number)
            self._open -= 1
            if not self._open:
                self._settled.set()  # others wait for this attempt to become a call that settles
                raise OutOfBudget
            await self._settled.wait()  # what is open may cost less than it was reserved for

    async def _fail(self, number: int, failure: Failure) -> None:
        if failure.too_fast:
            self.pace.too_fast(failure.retry_after)
        cost = None if failure.paid else 0
        await self._end(Ending(number, FAILED if failure.paid else REFUSED, failure.reason, cost))
        if not failure.again and not self.answered:
            self._in_vain += 1
            if self._in_vain >= IN_VAIN:
                raise Hopeless(f"the first {IN_VAIN} requests were all refused: {failure.reason}")

    async def _settle(
        self, number: int, reply: Reply, outcome: str, reason: str | None = None, label: Label | None = None
    ) -> None:
        cost = None
        if reply.prompt_tokens is not None and reply.completion_tokens is not None:
            cost = self.price.cost(
                reply.prompt_tokens, reply.completion_tokens, reply.cached_tokens, written_tokens=reply.written_tokens
            )
        await self._end(
            Ending(
                number, outcome, reason, cost, reply.prompt_tokens, reply.cached_tokens, reply.completion_tokens,
                reply.seconds, label,
            )
        )  # fmt: skip

    async def _end(self, ending: Ending) -> None:
        await self.journal.put(ending)
        self._open -= 1
        self._settled.set()

    def _label(self, question: Question, reply: Reply) -> Label:
        """Return the label that a reply is; Unfit if it is none."""
        return to_label(question, reply, self.output, self.prompt_hash, self.policy)


class Final(Unfit):
    """An answer that would be no better the second time."""


def to_label(question: Question, reply: Reply, output: Output, prompt_hash: str, policy: str | None) -> Label:
    """Return the label that a reply is.

    Raises
    ------
    Unfit
        It is none: refused, cut off, empty, or of another form than asked for.
    """
    request = question.request
    if reply.refusal or reply.finish_reason == "content_filter":
        raise Final(f"was refused: {' '.join((reply.refusal or 'by the content filter').split())[:200]}")
    if reply.finish_reason == "length":
        raise Final(f"was cut off at max_tokens ({request.body['max_tokens']})")
    answer, rationale = output.read(reply.text)
    return Label(
        key=request.key,
        row_id=question.row_id,
        input=request.input,
        answer=answer,
        model=request.body["model"],
        rationale=rationale,
        soft_targets=output.soft_targets(reply.alternatives),
        finish_reason=reply.finish_reason,
        prompt_hash=prompt_hash,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        cached_tokens=reply.cached_tokens,
        policy=policy,
    )
