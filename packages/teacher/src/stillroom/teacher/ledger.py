"""What calls cost: each is reserved before it is made and settled after, in the same file as the labels.

A reservation is committed before its call leaves, so that whatever happens to this process, the calls it made are all
in the books, and a budget holds over all runs and kills together. A call that ends without a word about its usage, or
that was under way when its process died, stays charged at its reservation. Money is in whole picodollars.

It makes no calls and knows no prices.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from stillroom.core.errors import RecipeError
from stillroom.core.labels import Label
from stillroom.core.schema import migration
from stillroom.core.targets import TargetStore

MOST = 2**62  # picodollars: 4.6 million dollars, what a SQLite integer can add up
OPEN, LABELLED, UNFIT, FAILED, REFUSED = "open", "labelled", "unfit", "failed", "refused"


@migration("teacher", 1)
def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE teacher_jobs (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, created TEXT NOT NULL, "
        "budget INTEGER, charged INTEGER NOT NULL DEFAULT 0)"
    )
    connection.execute(
        "CREATE TABLE teacher_calls (id INTEGER PRIMARY KEY, job INTEGER NOT NULL REFERENCES teacher_jobs, "
        "key TEXT NOT NULL, model TEXT NOT NULL, sent TEXT NOT NULL, outcome TEXT NOT NULL, reason TEXT, "
        "charged INTEGER NOT NULL, "
        "settled INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER, cached_tokens INTEGER, completion_tokens INTEGER, "
        "saved_tokens INTEGER NOT NULL, compressed INTEGER NOT NULL, batch TEXT, seconds REAL)"
    )
    connection.execute("CREATE INDEX teacher_calls_by_job ON teacher_calls (job, outcome)")


@dataclass(frozen=True)
class Intent:
    """A call that is about to be made.

    Parameters
    ----------
    key, model
        The address of the answer, and who is asked.
    reservation
        The most that it can cost, in picodollars.
    saved_tokens, compressed
        Tokens that compression took out of it, and whether there was any.
    batch
        The provider's batch that it travels in, if it does.
    """

    key: str
    model: str
    reservation: int
    saved_tokens: int = 0
    compressed: bool = False
    batch: str | None = None


@dataclass(frozen=True)
class Ending:
    """How a call ended.

    Parameters
    ----------
    call
        Its number, as `reserve` gave it.
    outcome, reason
        `labelled`, `unfit` (an answer that is no label), `failed` (no answer) or `refused` (never taken on); and why.
    cost
        Picodollars; None: nobody said, so it stays charged at its reservation.
    label
        What is stored with it, as one.
    """

    call: int
    outcome: str
    reason: str | None = None
    cost: int | None = None
    prompt_tokens: int | None = None
    cached_tokens: int | None = None
    completion_tokens: int | None = None
    seconds: float | None = None
    label: Label | None = None


class Ledger:
    """The books of one job in a store.

    A job is known by its name: whoever opens it again goes on with its budget, and with what it has spent.

    Parameters
    ----------
    budget
        Picodollars that the job may be charged, over all its runs; None: no bound.

    Raises
    ------
    RecipeError
        A budget below what the job was charged already, or beyond what can be counted.
    """

    def __init__(self, store: TargetStore, job: str, budget: int | None = None) -> None:
        self.store, self.job, self.budget = store, job, budget
        if budget is not None and not 0 < budget < MOST:
            raise RecipeError("a budget is more than nothing and less than four million dollars")
        with store.transaction() as connection:
            made = "INSERT INTO teacher_jobs (name, created) VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
            connection.execute(made, (job, now()))
            connection.execute("UPDATE teacher_jobs SET budget = ? WHERE name = ?", (budget, job))
            ((self.id,),) = connection.execute("SELECT id FROM teacher_jobs WHERE name = ?", (job,))

    def charged(self) -> int:
        """Return what the job was charged so far, open reservations included, in picodollars."""
        with self.store.transaction() as connection:
            ((charged,),) = connection.execute("SELECT charged FROM teacher_jobs WHERE id = ?", (self.id,))
        return int(charged)

    def abandon(self) -> int:
        """Note that open calls of earlier runs will never be settled; return how many there were.

        To be called by the one process that has the job, before it makes calls.
        """
        with self.store.transaction() as connection:
            statement = (
                "UPDATE teacher_calls SET outcome = ?, reason = 'the process ended while it was under way' "
                "WHERE job = ? AND outcome = ? AND batch IS NULL"
            )
            return connection.execute(statement, (FAILED, self.id, OPEN)).rowcount

    def in_batches(self) -> set[str]:
        """Return the keys that are under way in a provider's batch, of this job or another."""
        with self.store.transaction() as connection:
            rows = connection.execute("SELECT key FROM teacher_calls WHERE outcome = ? AND batch IS NOT NULL", (OPEN,))
            return {key for (key,) in rows}

    def write(self, entries: Sequence[Intent | Ending]) -> list[int | None]:
        """Commit intents and endings as one; return the number of each call that the budget allows, None for all else.

        Endings come first, since they free what their calls did not use.
        """
        numbers: list[int | None] = [None] * len(entries)
        with self.store.transaction() as connection:
            self._settle(connection, [entry for entry in entries if isinstance(entry, Ending)])
            ((charged,),) = connection.execute("SELECT charged FROM teacher_jobs WHERE id = ?", (self.id,))
            sent = now()
            for place, entry in enumerate(entries):
                if isinstance(entry, Intent) and charged + entry.reservation <= (self.budget or MOST):
                    charged += entry.reservation
                    numbers[place] = self._reserve(connection, entry, sent)
            connection.execute("UPDATE teacher_jobs SET charged = ? WHERE id = ?", (charged, self.id))
        return numbers

    def _reserve(self, connection: sqlite3.Connection, intent: Intent, sent: str) -> int | None:
        statement = (
            "INSERT INTO teacher_calls (job, key, model, sent, outcome, charged, saved_tokens, compressed, batch) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        )
        row = (self.id, intent.key, intent.model, sent, OPEN, intent.reservation, intent.saved_tokens)
        return connection.execute(statement, (*row, intent.compressed, intent.batch)).lastrowid

    def _settle(self, connection: sqlite3.Connection, endings: Iterable[Ending]) -> None:
        for ending in endings:
            ((before,),) = connection.execute("SELECT charged FROM teacher_calls WHERE id = ?", (ending.call,))
            cost = before if ending.cost is None else ending.cost
            connection.execute(
                "UPDATE teacher_calls SET outcome = ?, reason = ?, charged = ?, settled = 1, prompt_tokens = ?, "
                "cached_tokens = ?, completion_tokens = ?, seconds = ? WHERE id = ?",
                (ending.outcome, ending.reason, cost, ending.prompt_tokens, ending.cached_tokens,
                 ending.completion_tokens, ending.seconds, ending.call),
            )  # fmt: skip
            connection.execute("UPDATE teacher_jobs SET charged = charged + ? WHERE id = ?", (cost - before, self.id))
            if ending.label is not None:
                self.store.put_label(ending.label)


def now() -> str:
    """Return the time in UTC, as the books have it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


_SUMS = (
    "COUNT(*) AS calls, SUM(outcome = 'labelled') AS labelled, SUM(outcome = 'unfit') AS unfit, "
    "SUM(outcome = 'failed') AS failed, SUM(outcome = 'refused') AS refused, SUM(outcome = 'open') AS open, "
    "COUNT(*) - COUNT(DISTINCT key) AS retries, SUM(prompt_tokens) AS prompt_tokens, "
    "SUM(cached_tokens) AS cached_tokens, SUM(completion_tokens) AS completion_tokens, "
    "SUM(CASE outcome WHEN 'labelled' THEN saved_tokens ELSE 0 END) AS saved_tokens, "
    "SUM(teacher_calls.charged) AS charged, "
    "AVG(CASE WHEN outcome = 'labelled' AND NOT compressed THEN seconds END) AS seconds_full, "
    "AVG(CASE WHEN outcome = 'labelled' AND compressed THEN seconds END) AS seconds_compressed"
)
BY = {"job": "teacher_jobs.name", "model": "teacher_calls.model", "day": "substr(sent, 1, 10)"}


def entries(store: TargetStore, by: Sequence[str] = ("job", "model", "day")) -> Iterator[dict[str, object]]:
    """Yield the sums of the books by any of job, model and day: calls by outcome, tokens, picodollars, mean seconds."""
    groups = ", ".join(f"{BY[name]} AS {name}" for name in by)
    tables = "teacher_calls JOIN teacher_jobs ON teacher_jobs.id = teacher_calls.job"
    statement = f"SELECT {groups}, {_SUMS} FROM {tables} GROUP BY {', '.join(by)}"
    with store.transaction() as connection:
        cursor = connection.execute(f"{statement} ORDER BY {', '.join(by)}")
        names = [column[0] for column in cursor.description]
        found = [dict(zip(names, row, strict=True)) for row in cursor]
    yield from found


def paid(store: TargetStore, keys: Collection[str]) -> tuple[int, int]:
    """Return the picodollars and tokens of all calls for some answers, whichever job made them."""
    charged = tokens = 0
    statement = "SELECT key, charged, IFNULL(prompt_tokens, 0) + IFNULL(completion_tokens, 0) FROM teacher_calls"
    with store.transaction() as connection:
        for key, picodollars, used in connection.execute(statement):
            if key in keys:
                charged += picodollars
                tokens += used
    return charged, tokens
