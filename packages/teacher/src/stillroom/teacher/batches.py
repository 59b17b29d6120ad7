"""A job through a provider's batch endpoints: half the price, an answer within a day, each paid for once all the same.

Rows wait in the store until a batch takes them, and their reservations are committed before the provider hears of it.
Killed at any moment and run again it goes on: a batch whose id was never received is looked for by its token before
anything is sent again; one that was is polled; what was fetched is in the store. It does not know how rows become
requests, nor what stands in a file.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import chain, islice
from typing import Any, TypeVar

from openai import AsyncOpenAI

from stillroom.core.targets import TargetStore
from stillroom.teacher import batch_files
from stillroom.teacher.asking import PAUSES, Final, Question, to_label
from stillroom.teacher.batch_queue import Line, Queue, Settled, settled
from stillroom.teacher.calls import Api, Failure, Hopeless, Reply
from stillroom.teacher.forms import Unfit
from stillroom.teacher.labelling import BUDGET, GROUP, Job, Labelled, Misfit, alone, finish
from stillroom.teacher.ledger import FAILED, LABELLED, REFUSED, UNFIT, Ending, Ledger
from stillroom.teacher.prices import PICO

POLL = (1.0, 60.0)  # seconds between two looks at what is under way: at first, and at most; doubled from look to look
WORTHWHILE = 0.1  # of what waits: when the budget covers less, it is not worth another batch, which may take a day
GRACE = 10.0  # seconds after which a batch that was asked for, and is not listed, was never made
UNDER_WAY = "under way in a batch: run again to fetch it"

T = TypeVar("T")


def batch(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    store: TargetStore,
    api: Api,
    *,
    wait: bool = True,
    lines: int = batch_files.LINES,
    advance: Callable[[int], object] = lambda steps: None,
) -> Labelled:
    """Label rows in batches.

    It shares store, ledger and the job's budget with `labelling.label`, and gives the same labels. `concurrency`,
    `rpm` and `tpm` of the job mean nothing here; `patience` is for the endpoints, not for a row.

    Parameters
    ----------
    rows
        As for `label`; all of them are read before the first batch is made.
    wait
        Until all batches have ended and what failed was tried again; else fetch what has ended, submit what waits, and
        return: the rest is fetched by another call.
    lines
        The most requests in a batch; fewer where an account may not have so many tokens in the queue.
    advance
        Called with the number of requests that were done; a negative one for those that will be done again.

    Raises
    ------
    DataError
        A row that does not fit the prompt, or another process that has the job.
    RecipeError
        A job that cannot be meant, a model without a batch price, or a job with batches of another prompt, model or
        API under way.
    """
    job.price.reservation(0, 1, batch=True)  # refuses a model without a batch price before anything is written
    with alone(store, job.title):
        budget = None if job.budget_usd is None else round(job.budget_usd * PICO)
        ledger = Ledger(store, job.title, budget)
        ledger.abandon()
        before = settled(ledger)
        found = Labelled(job.title, store)
        try:
            finish(_batch(rows, job, ledger, api, found, wait, lines, advance))
        finally:
            found.charged = ledger.charged()
            found.spent = settled(ledger) - before  # what is reserved for calls under way is no cost yet
    return found


async def _batch(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    ledger: Ledger,
    api: Api,
    found: Labelled,
    wait: bool,
    lines: int,
    advance: Callable[[int], object],
) -> None:
    async with api.client() as client:
        url = client.base_url
        queue = Queue(
            ledger, prompt_hash=job.prompt_hash, model=job.model, api=f"{url.netloc.decode()}{url.path}",
            compressed=job.policy is not None,
        )  # fmt: skip
        queue.drop()  # what a killed run had read and not submitted: these rows are read now
        _read(rows, job, queue, found)
        try:
            await _Batches(job, client, queue, found, lines, advance).run(wait)
        except (Hopeless, Failure) as error:
            found.stopped = str(error)
    waiting = queue.drop()
    if not found.stopped and queue.under_way():
        found.stopped = UNDER_WAY
        found.reasons |= dict.fromkeys(waiting, BUDGET)
    elif not found.stopped and waiting:
        found.stopped = BUDGET
    found.labelled = sum(1 for _ in found)


def _read(rows: Iterable[Mapping[str, Any]], job: Job, queue: Queue, found: Labelled) -> None:
    """Let wait what is to be asked."""
    pending = job.questions(rows)
    while group := list(islice(pending, GROUP)):
        found.rows += len(group)
        questions = [one for one in group if isinstance(one, Question)]
        stored = queue.store.get_labels([one.request.key for one in questions]).keys()
        for one in group:
            if isinstance(one, Misfit):
                found.spool.put(one.key, one.row_id, "")
                found.reasons[one.key] = one.reason
            else:
                found.spool.put(one.request.key, one.row_id, one.request.input)
                found.stored += one.request.key in stored
        queue.put(_line(one, job) for one in questions if one.request.key not in stored)


def _line(question: Question, job: Job) -> Line:
    request = question.request
    return Line(
        key=request.key,
        row_id=question.row_id,
        input=request.input,
        line=batch_files.line(request),
        reservation=job.price.reservation(request.size, request.body["max_tokens"], batch=True),
        saved_tokens=request.saved_tokens,
    )


class _Batches:
    """Takes the lines of a queue through batches."""

    def __init__(
        self,
        job: Job,
        client: AsyncOpenAI,
        queue: Queue,
        found: Labelled,
        lines: int,
        advance: Callable[[int], object],
    ) -> None:
        self.job, self.client, self.queue, self.found = job, client, queue, found
        self.lines, self.advance = lines, advance
        self.prompt_hash, self.policy = job.prompt_hash, job.policy
        self._told: dict[str, int] = {}  # of each submission, what `advance` was told of

    async def run(self, wait: bool) -> None:
        """Fetch, submit and poll, until nothing is under way or, without `wait`, once.

        What came back without a label goes again when all else has come back, too: by then the budget is freed of
        reservations, and the provider's queue of what it may have had too much of.
        """
        first, pause = True, POLL[0]
        while True:
            moved = [await self._look(one.token, one.batch) for one in self.queue.open() if one.batch is not None]
            if first or (not self.queue.open() and self.queue.covered() > WORTHWHILE):
                moved.append(await self._submit())
            if not wait or not self.queue.open():
                return
            pause = POLL[0] if any(moved) else min(2 * pause, POLL[1])
            first = False
            await asyncio.sleep(pause)

    async def _submit(self) -> bool:
        """Send what a run before this one did not, and all that waits, as far as the budget goes; was there any?"""
        unsent = [one.token for one in self.queue.open() if one.batch is None]
        count = 0
        for token in chain(unsent, iter(lambda: self.queue.take(self.lines, batch_files.BYTES), None)):
            await self._patiently(partial(self._send, token))
            count += 1
        return count > 0

    async def _send(self, token: str) -> None:
        """Have a batch made, unless it was; if the provider will not have them, its lines are given up."""
        sent = self.queue.sent(token)
        batch = None if sent is None else await self._lost(token, sent)
        try:
            content = self.queue.content(token)
            if batch is None and not content:  # killed when it was refused, and given up, but not yet ended
                self.queue.end(token, "refused")
                return
            if batch is None:
                file = await batch_files.upload(self.client, token, content)
                self.queue.sending(token)
                batch = await batch_files.create(self.client, token, self.job.prompt.endpoint, file)
        except (Failure, Hopeless) as error:
            if isinstance(error, Failure) and error.again:
                raise
            self._settle_rest(token, Failure(str(error), again=False, paid=False))
            self.queue.end(token, "refused")
            if isinstance(error, Hopeless):
                raise
        else:
            self.queue.created(token, batch)

    async def _lost(self, token: str, sent: float) -> str | None:
        """Look for a batch that was asked for, long enough for a provider to list it."""
        batch = await batch_files.find(self.client, token)
        left = min(sent + GRACE - time.time(), GRACE)
        if batch is None and left > 0:
            await asyncio.sleep(left)
            batch = await batch_files.find(self.client, token)
        return batch

    async def _look(self, token: str, batch: str) -> bool:
        """Look how a batch stands; fetch it if it has ended, and return whether it has."""
        found = await self._patiently(partial(batch_files.look, self.client, batch))
        counts = found.request_counts
        self._tell(token, 0 if counts is None else (counts.completed or 0) + (counts.failed or 0))
        if found.status not in batch_files.ENDED:
            return False
        done = 0
        for file in (found.output_file_id, found.error_file_id):
            if file:
                content = await self._patiently(partial(batch_files.download, self.client, file))
                for answers in batch_files.answers(content, self.job.prompt.endpoint):
                    done += self._settle([(one, answers[one.key]) for one in self.queue.lines(token, list(answers))])
        done += self._settle_rest(token, batch_files.unanswered(found))
        self.queue.end(token, found.status)
        self._tell(token, done)
        return True

    def _tell(self, token: str, done: int) -> None:
        self.advance(done - self._told.get(token, 0))
        self._told[token] = done

    def _settle_rest(self, token: str, failure: Failure) -> int:
        """Settle what no answer came for."""
        done = 0
        while lines := self.queue.rest(token):
            done += self._settle([(line, failure) for line in lines])
        return done

    def _settle(self, answered: Sequence[tuple[Line, Reply | Failure]]) -> int:
        """Settle lines by what came of them, and return how many will not go again."""
        ended = [self._settled(line, answer) for line, answer in answered]
        self.queue.settle(ended)
        for one in ended:
            if one.ending.label is not None:
                self.found.saved_tokens += one.line.saved_tokens
            elif not one.again:
                self.found.reasons[one.line.key] = str(one.ending.reason)
        return sum(not one.again for one in ended)

    def _settled(self, line: Line, answer: Reply | Failure) -> Settled:
        more = line.failures + 1 < self.job.attempts
        if isinstance(answer, Failure):
            outcome, cost = (FAILED, None) if answer.paid else (REFUSED, 0)
            crowded = answer.too_fast and len(self.queue.open()) > 1
            ending = Ending(line.call, outcome, answer.reason, cost)
            return Settled(line, ending, again=answer.again and (more or crowded), counted=not crowded)
        cost = None
        if answer.prompt_tokens is not None and answer.completion_tokens is not None:
            cost = self.job.price.cost(
                answer.prompt_tokens, answer.completion_tokens, answer.cached_tokens,
                written_tokens=answer.written_tokens, batch=True,
            )  # fmt: skip
        usage = (cost, answer.prompt_tokens, answer.cached_tokens, answer.completion_tokens)
        question = Question(line.request(self.job.prompt.endpoint), line.row_id)
        try:
            label = to_label(question, answer, self.job.prompt.output, self.prompt_hash, self.policy)
        except Unfit as reason:
            again = more and not isinstance(reason, Final)
            return Settled(line, Ending(line.call, UNFIT, str(reason), *usage), again=again)
        return Settled(line, Ending(line.call, LABELLED, None, *usage, label=label))

    async def _patiently(self, action: Callable[[], Awaitable[T]]) -> T:
        """Try until it works, with growing pauses, as long as the job's patience lasts."""
        pause, began = PAUSES[0], time.monotonic()
        while True:
            try:
                return await action()
            except Failure as failure:
                if not failure.again or time.monotonic() - began > self.job.patience:
                    raise
                await asyncio.sleep(max(failure.retry_after or 0.0, pause))
                pause = min(2 * pause, PAUSES[1])
