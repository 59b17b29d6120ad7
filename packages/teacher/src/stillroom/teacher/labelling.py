"""A job: rows in, labels out, in the order of the rows; each answer is paid for once, whatever happens on the way.

Rows stream. Those whose answer is stored already cost nothing; of equal rows one is asked. A job that was killed goes
on: what was answered is in the store, and only what was under way is asked again. It does not know how a row is asked.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from stillroom.core.errors import DataError, RecipeError, UserError
from stillroom.core.labels import Label
from stillroom.core.targets import TargetStore
from stillroom.teacher.asking import ATTEMPTS, PATIENCE, Asker, OutOfBudget, Question
from stillroom.teacher.calls import Api, Hopeless
from stillroom.teacher.journal import Journal
from stillroom.teacher.ledger import Ledger
from stillroom.teacher.pace import Pace
from stillroom.teacher.prices import PICO, Price
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.rendering import Rendering, Shorten
from stillroom.teacher.spool import Spool

GROUP = 256  # rows looked up in the store at a time
BUDGET = "the budget is used up"
IN_BATCH = "it is under way in a batch: `stillroom teacher batch` fetches it"


@dataclass(frozen=True, eq=False)
class Job:
    """What is asked, of whom, and for how much.

    Parameters
    ----------
    prompt, model
        What is asked, with a `max_tokens`, and who.
    price
        What the model's tokens cost.
    name
        Under which the ledger has it; by default made of the prompt's name and hash and the model. A budget is a job's,
        over all its runs.
    budget_usd
        The most the job may be charged; None: no bound.
    samples
        Answers a row.
    rate, shorten
        The rate of the prompt's parts that leave it to the job (None: they stay as they are), and the compressor.
    concurrency, rpm, tpm
        The most calls at once; requests and tokens a minute.
    attempts
        Answers of another form than asked for, before a row is given up.
    patience
        Seconds that a row is tried for while the API fails.
    """

    prompt: Prompt
    model: str
    price: Price
    name: str = ""
    budget_usd: float | None = None
    samples: int = 1
    rate: float | None = None
    shorten: Shorten | None = None
    concurrency: int = 64
    rpm: float | None = None
    tpm: float | None = None
    attempts: int = ATTEMPTS
    patience: float = PATIENCE

    def __post_init__(self) -> None:
        self.prompt.bounded()
        for name in ("samples", "concurrency", "attempts"):
            if getattr(self, name) < 1:
                raise RecipeError(f"{name} is 1 or more, not {getattr(self, name)}")
        if self.budget_usd is not None and not self.budget_usd > 0:
            raise RecipeError("a budget is more than nothing; leave it out for none")
        if self.rates and self.shorten is None:
            raise RecipeError("parts of the prompt are to be compressed: name a compressor")

    @property
    def rates(self) -> dict[str, float]:
        """The rate of each part of the prompt that is compressed."""
        return self.prompt.rates(self.rate)

    @property
    def prompt_hash(self) -> str:
        """A hash of all that shapes the requests but the rows."""
        return self.prompt.digest(self.rates)

    @property
    def title(self) -> str:
        """Its name, given or made."""
        return self.name or f"{self.prompt.name}-{self.prompt.digest()[:8]}-{self.model}"

    @property
    def policy(self) -> str | None:
        """How the prompt is compressed, in words."""
        return ", ".join(f"{part} {rate:g}" for part, rate in self.rates.items()) or None

    def rendering(self) -> Rendering:
        """Return what turns rows into requests."""
        return Rendering(self.prompt, self.rates, self.shorten)

    def questions(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Question | Misfit]:
        """Yield the questions that rows make, `samples` a row; a row that does not fit the prompt is a `Misfit`.

        Raises
        ------
        DataError
            The first row does not fit: then the prompt is of other rows.
        """
        rendering = self.rendering()
        for number, row in enumerate(rows):
            row_id = str(next((row[name] for name in ("row_id", "id") if row.get(name) is not None), number))
            for sample in range(self.samples):
                try:
                    request = rendering.request(row, self.model, sample=sample, name=f"row {number}")
                except DataError as error:
                    if not number:
                        raise
                    yield Misfit(row_id, str(error))
                else:
                    yield Question(request, row_id)


@dataclass(frozen=True)
class Misfit:
    """A row that does not fit the prompt, and why."""

    row_id: str
    reason: str

    @property
    def key(self) -> str:
        """An address that no label has."""
        return f"row {self.row_id}"


class Labelled:
    """What came of a job's run.

    Attributes
    ----------
    job
        Its name.
    rows, labelled, stored
        Rows (times samples), those with a label, and of those the ones whose label was there before.
    charged, spent
        What the job was charged over all its runs, and in this one, in picodollars.
    saved_tokens
        Prompt tokens that compression took out of this run's requests, as the compressor counts them.
    stopped
        Why the run ended before its rows did; None if it did not.
    """

    def __init__(self, job: str, store: TargetStore) -> None:
        self.job, self.store, self.spool = job, store, Spool()
        self.rows = self.labelled = self.stored = self.charged = self.spent = self.saved_tokens = 0
        self.stopped: str | None = None
        self.reasons: dict[str, str] = {}

    @property
    def unlabelled(self) -> int:
        """Rows without a label."""
        return self.rows - self.labelled

    def __iter__(self) -> Iterator[Label]:
        """Yield the labels in the order of the rows, those without one left out."""
        return (label for _, label, _ in self.outcomes() if label is not None)

    def missing(self) -> Iterator[tuple[str, str]]:
        """Yield row_id and reason of each row without a label."""
        return ((row_id, reason) for row_id, label, reason in self.outcomes() if label is None)

    def outcomes(self) -> Iterator[tuple[str, Label | None, str]]:
        """Yield row_id, label if there is one, and why there is none."""
        lines = iter(self.spool)
        while group := list(islice(lines, GROUP)):
            labels = self.store.get_labels([key for key, _, _ in group])
            for key, row_id, text in group:
                label = labels.get(key)
                own = None if label is None else replace(label, row_id=row_id, input=text)
                yield row_id, own, "" if own else self.reasons.get(key) or self.stopped or "not asked"


def label(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    store: TargetStore,
    api: Api,
    *,
    advance: Callable[[int], object] = lambda steps: None,
) -> Labelled:
    """Label rows.

    >>> found = label(rows, Job(Prompt.read("prompt.yaml"), "gpt-5-mini", price_of("gpt-5-mini")), store, Api())
    >>> [one.answer for one in found]

    Parameters
    ----------
    rows
        Mappings of columns; `row_id` or `id` names a row, else its number. They are read once, as they are needed.
    advance
        Called with the number of rows that are done.

    Raises
    ------
    DataError
        A row that does not fit the prompt, or another process that has the job.
    RecipeError
        A job that cannot be meant.
    """
    with alone(store, job.title):
        budget = None if job.budget_usd is None else round(job.budget_usd * PICO)
        ledger = Ledger(store, job.title, budget)
        ledger.abandon()
        before = ledger.charged()
        found = Labelled(job.title, store)
        try:
            finish(_label(rows, job, ledger, api, found, advance))
        finally:
            found.charged = ledger.charged()
            found.spent = found.charged - before
    return found


async def _label(
    rows: Iterable[Mapping[str, Any]],
    job: Job,
    ledger: Ledger,
    api: Api,
    found: Labelled,
    advance: Callable[[int], object],
) -> None:
    journal = Journal(ledger.write)
    pace = Pace(job.concurrency, job.rpm, job.tpm)
    questions: asyncio.Queue[Question | None] = asyncio.Queue(maxsize=2 * job.concurrency)
    under_way: set[str] = set()
    in_batches = ledger.in_batches()
    client = api.client()
    asker = Asker(
        client, journal, pace, job.price, job.prompt.output,
        prompt_hash=job.prompt_hash, policy=job.policy, attempts=job.attempts, patience=job.patience,
    )  # fmt: skip

    async def read() -> None:
        """Put on the queue what has to be asked; blocking work comes in pieces of `GROUP` rows."""
        pending = job.questions(rows)
        try:
            while group := list(islice(pending, GROUP)):
                await ask(group)
        finally:  # also where the rows cannot be read to their end: what is under way is finished
            for _ in range(job.concurrency):
                await questions.put(None)

    async def ask(group: Sequence[Question | Misfit]) -> None:
        stored = ledger.store.get_labels([one.request.key for one in group if isinstance(one, Question)]).keys()
        for one in group:
            found.rows += 1
            if isinstance(one, Misfit):
                found.spool.put(one.key, one.row_id, "")
                found.reasons[one.key] = one.reason
                advance(1)
                continue
            key = one.request.key
            found.spool.put(key, one.row_id, one.request.input)
            found.stored += key in stored
            if key in in_batches and key not in stored:
                found.reasons[key] = IN_BATCH
            if key in stored or key in under_way or key in found.reasons or found.stopped:
                advance(1)
            else:
                under_way.add(key)
                await questions.put(one)

    async def work() -> None:
        while (question := await questions.get()) is not None:
            key = question.request.key
            if not found.stopped:
                try:
                    reason = await asker.ask(question)
                except OutOfBudget:
                    reason = found.stopped = BUDGET
                except Hopeless as error:
                    reason = found.stopped = str(error)
                except UserError as error:  # a row that cannot be asked
                    reason = str(error)
                if reason is None:
                    found.saved_tokens += question.request.saved_tokens
                elif not found.stopped:
                    found.reasons[key] = reason
            under_way.discard(key)
            advance(1)

    tasks = [asyncio.ensure_future(one) for one in (*(work() for _ in range(job.concurrency)), read())]
    try:
        await asyncio.gather(*tasks[:-1])
        await tasks[-1]
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await journal.close()
        await client.close()
    found.labelled = sum(1 for _ in found)


def finish(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, also where an event loop is running already, as in a notebook."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        asyncio.run(work)
    else:
        with ThreadPoolExecutor(1) as pool:
            pool.submit(asyncio.run, work).result()


@contextmanager
def alone(store: TargetStore, job: str) -> Iterator[None]:
    """Hold a job's lock, which the system lets go when the process dies: two runs at once would pay twice."""
    name = re.sub(r"[^\w.-]", "_", job)[-100:]
    lock = FileLock(Path(f"{store.path}.{name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout as error:
        raise DataError(
            f"another process is at the job {job!r}: wait for it, or give this one another --job"
        ) from error
    try:
        yield
    finally:
        lock.release()
