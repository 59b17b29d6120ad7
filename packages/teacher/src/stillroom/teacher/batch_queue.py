"""Lines on their way through a provider's batches, in the file of labels and ledger: what waits, what is under way.

A line waits until a submission takes it. That commits its reservation, and the line is under way until one commit
settles the call, stores the label if there is one, and takes the line out (or lets it wait again). A submission has a
token, committed before anybody hears of it, and later the provider's id. So a process may be killed between any two
steps. It knows no provider.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import uuid4

from stillroom.core.errors import RecipeError
from stillroom.core.schema import migration
from stillroom.teacher.ledger import OPEN, Ending, Intent, Ledger
from stillroom.teacher.rendering import Request

GROUP = 256  # lines a commit


@migration("teacher-batches", 1)  # a word of its own: who only labels need not know it to open the store
def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE teacher_batches (id INTEGER PRIMARY KEY, job INTEGER NOT NULL, token TEXT NOT NULL UNIQUE, "
        "prompt_hash TEXT NOT NULL, model TEXT NOT NULL, api TEXT NOT NULL, sent REAL, batch TEXT, status TEXT)"
    )
    connection.execute(
        "CREATE TABLE teacher_batch_lines (id INTEGER PRIMARY KEY, job INTEGER NOT NULL, key TEXT NOT NULL, "
        "row_id TEXT NOT NULL, input TEXT NOT NULL, line TEXT NOT NULL, reservation INTEGER NOT NULL, "
        "saved_tokens INTEGER NOT NULL, failures INTEGER NOT NULL DEFAULT 0, token TEXT, call INTEGER, "
        "UNIQUE (job, key))"
    )
    connection.execute("CREATE INDEX teacher_batch_lines_by_token ON teacher_batch_lines (job, token, id)")


@dataclass(frozen=True)
class Line:
    """A line that waits or is under way.

    Parameters
    ----------
    key, row_id, input
        What its label will say.
    line
        As it is uploaded, without its end.
    reservation
        The most that it can cost, in picodollars.
    failures
        How often it came back without a label.
    call
        Its number in the ledger while it is under way.
    """

    key: str
    row_id: str
    input: str
    line: str
    reservation: int
    saved_tokens: int
    failures: int = 0
    call: int = 0

    def request(self, endpoint: str) -> Request:
        """Return the request that it carries."""
        return Request(endpoint, json.loads(self.line)["body"], 0, 0, self.saved_tokens, self.input)


_LINE = "key, row_id, input, line, reservation, saved_tokens, failures, call"


@dataclass(frozen=True)
class Submission:
    """Lines that travel together.

    Parameters
    ----------
    token
        Ours.
    batch
        The provider's id; None where it is not known that there is one.
    """

    token: str
    batch: str | None


@dataclass(frozen=True)
class Settled:
    """What became of a line: how its call ended, and whether it waits for another submission.

    `counted` is False where it came back through no fault of its own.
    """

    line: Line
    ending: Ending
    again: bool = False
    counted: bool = True


class Queue:
    """The lines of one job.

    Parameters
    ----------
    prompt_hash, model, api
        What is asked, of whom, and where. Batches that are under way must have been made with the same.

    Raises
    ------
    RecipeError
        They were not.
    """

    def __init__(self, ledger: Ledger, *, prompt_hash: str, model: str, api: str, compressed: bool = False) -> None:
        self.ledger, self.store, self.compressed = ledger, ledger.store, compressed
        self._asked = {"prompt": prompt_hash, "model": model, "API": api}
        with self.store.transaction() as connection:
            statement = "SELECT prompt_hash, model, api FROM teacher_batches WHERE job = ? AND status IS NULL"
            for values in connection.execute(statement, (ledger.id,)):
                for what, value in zip(self._asked, values, strict=True):
                    if value != self._asked[what]:
                        said = "" if what == "prompt" else f", {value}"
                        raise RecipeError(
                            f"the job {ledger.job!r} has a batch under way with another {what}{said}: run that to its "
                            "end first, or give this one another --job"
                        )

    def put(self, lines: Iterable[Line]) -> None:
        """Let lines wait; those that wait or are under way already stay as they are."""
        statement = (
            "INSERT INTO teacher_batch_lines (job, key, row_id, input, line, reservation, saved_tokens) "
            "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (job, key) DO NOTHING"
        )
        rows = [(self.ledger.id, o.key, o.row_id, o.input, o.line, o.reservation, o.saved_tokens) for o in lines]
        with self.store.transaction() as connection:
            connection.executemany(statement, rows)

    def drop(self) -> list[str]:
        """Take out the lines that wait, and return their keys."""
        with self.store.transaction() as connection:
            statement = "DELETE FROM teacher_batch_lines WHERE job = ? AND token IS NULL RETURNING key"
            return [key for (key,) in connection.execute(statement, (self.ledger.id,))]

    def take(self, lines: int, size: int) -> str | None:
        """Make a submission of waiting lines, as far as the budget goes; return its token, or None if it goes nowhere.

        Parameters
        ----------
        lines, size
            The most lines, and bytes.
        """
        token, taken, last, room = uuid4().hex, 0, 0, True
        while room and taken < lines:
            with self.store.transaction() as connection:
                statement = (
                    "SELECT id, key, reservation, saved_tokens, length(line) + 1 FROM teacher_batch_lines "
                    "WHERE job = ? AND token IS NULL AND id > ? ORDER BY id LIMIT ?"
                )
                waiting = connection.execute(statement, (self.ledger.id, last, min(GROUP, lines - taken))).fetchall()
                group: list[tuple[int, str, int, int, int]] = []
                for one in waiting:
                    size -= one[-1]
                    if size < 0 and (taken or group):  # a line that is too long by itself is the provider's to refuse
                        break
                    group.append(one)
                intents = [
                    Intent(key, self._asked["model"], reservation, saved, self.compressed, token)
                    for _, key, reservation, saved, _ in group
                ]
                numbers = self.ledger.write(intents)
                covered = [(token, call, one[0]) for call, one in zip(numbers, group, strict=True) if call is not None]
                connection.executemany("UPDATE teacher_batch_lines SET token = ?, call = ? WHERE id = ?", covered)
                if covered and not taken:
                    made = "INSERT INTO teacher_batches (job, token, prompt_hash, model, api) VALUES (?, ?, ?, ?, ?)"
                    connection.execute(made, (self.ledger.id, token, *self._asked.values()))
            taken += len(covered)
            last = group[-1][0] if group else last
            room = bool(group) and len(covered) == len(waiting)
        return token if taken else None

    def covered(self) -> float:
        """Return which share of the lines that wait the budget covers, by their reservations; 0 if there are none."""
        with self.store.transaction() as connection:
            statement = "SELECT TOTAL(reservation) FROM teacher_batch_lines WHERE job = ? AND token IS NULL"
            ((waiting,),) = connection.execute(statement, (self.ledger.id,))
        left = waiting if self.ledger.budget is None else self.ledger.budget - self.ledger.charged()
        return left / waiting if waiting else 0.0

    def open(self) -> list[Submission]:
        """Return the submissions that have not ended, in the order in which they were made."""
        with self.store.transaction() as connection:
            statement = "SELECT token, batch FROM teacher_batches WHERE job = ? AND status IS NULL ORDER BY id"
            return [Submission(*row) for row in connection.execute(statement, (self.ledger.id,))]

    def under_way(self) -> int:
        """Return how many lines are under way."""
        with self.store.transaction() as connection:
            statement = "SELECT COUNT(*) FROM teacher_batch_lines WHERE job = ? AND token IS NOT NULL"
            ((count,),) = connection.execute(statement, (self.ledger.id,))
        return int(count)

    def content(self, token: str) -> bytes:
        """Return the file of a submission."""
        return b"".join(line.line.encode() + b"\n" for group in self._groups(token) for line in group)

    def lines(self, token: str, keys: Sequence[str]) -> list[Line]:
        """Return those lines of a submission, of some hundred keys, that are under way."""
        marks = ", ".join("?" * len(keys))
        with self.store.transaction() as connection:
            statement = f"SELECT {_LINE} FROM teacher_batch_lines WHERE job = ? AND token = ? AND key IN ({marks})"
            return [Line(*row) for row in connection.execute(statement, (self.ledger.id, token, *keys))]

    def rest(self, token: str) -> list[Line]:
        """Return some of the lines of a submission that are under way; none when all are settled."""
        return next(self._groups(token), [])

    def sent(self, token: str) -> float | None:
        """Return when the provider was last asked to make a batch of a submission, in seconds since 1970."""
        with self.store.transaction() as connection:
            ((sent,),) = connection.execute("SELECT sent FROM teacher_batches WHERE token = ?", (token,))
        return None if sent is None else float(sent)

    def sending(self, token: str) -> None:
        """Commit that the provider is about to be asked for a batch."""
        self._update(token, "sent = ?", time.time())

    def created(self, token: str, batch: str) -> None:
        """Commit the provider's id."""
        self._update(token, "batch = ?", batch)

    def settle(self, settled: Sequence[Settled]) -> None:
        """Commit what became of lines, as one."""
        with self.store.transaction() as connection:
            self.ledger.write([one.ending for one in settled])
            for one in settled:
                where = "WHERE job = ? AND key = ?"
                change = "UPDATE teacher_batch_lines SET token = NULL, call = NULL, failures = failures + ?"
                if one.again:
                    connection.execute(f"{change} {where}", (int(one.counted), self.ledger.id, one.line.key))
                else:
                    connection.execute(f"DELETE FROM teacher_batch_lines {where}", (self.ledger.id, one.line.key))

    def end(self, token: str, status: str) -> None:
        """Commit that a submission has ended; its lines are settled."""
        self._update(token, "status = ?", status)

    def _groups(self, token: str) -> Iterator[list[Line]]:
        last = 0
        while True:
            with self.store.transaction() as connection:
                where = f"WHERE job = ? AND token = ? AND id > ? ORDER BY id LIMIT {GROUP}"
                statement = f"SELECT id, {_LINE} FROM teacher_batch_lines {where}"
                rows = connection.execute(statement, (self.ledger.id, token, last)).fetchall()
            if not rows:
                return
            yield [Line(*row[1:]) for row in rows]
            last = rows[-1][0]

    def _update(self, token: str, change: str, value: object) -> None:
        with self.store.transaction() as connection:
            connection.execute(f"UPDATE teacher_batches SET {change} WHERE token = ?", (value, token))


def settled(ledger: Ledger) -> int:
    """Return what the job's calls that have ended cost, in picodollars: what it was charged, less open reservations."""
    with ledger.store.transaction() as connection:
        statement = "SELECT COALESCE(SUM(charged), 0) FROM teacher_calls WHERE job = ? AND outcome = ?"
        ((reserved,),) = connection.execute(statement, (ledger.id, OPEN))
        return ledger.charged() - int(reserved)
