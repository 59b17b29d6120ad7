"""Numbered migrations: how the tables of a SQLite file grow without ever being made anew.

Every package registers its steps under a word of its own; opening a file runs the steps that it has not run yet, all or
none. It does not know what the tables hold.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path

from stillroom.core.errors import DataError

Migration = Callable[[sqlite3.Connection], None]
_steps: dict[str, dict[int, Migration]] = {}


def migration(namespace: str, number: int) -> Callable[[Migration], Migration]:
    """Register one step; `migrate` runs the steps of a namespace in the order of their numbers.

    A published step never changes: a new column is a new number.

    >>> @migration("ledger", 1)
    ... def add_calls(connection):
    ...     connection.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, usd REAL NOT NULL)")

    Parameters
    ----------
    namespace
        The package's own word; `core` is taken.
    number
        1, 2, 3, … without gaps.

    Raises
    ------
    ValueError
        The number is not the next one of its namespace.
    """

    steps = _steps.setdefault(namespace, {})
    if number != len(steps) + 1:
        raise ValueError(f"the next migration of {namespace!r} is {len(steps) + 1}, not {number}")

    def register(step: Migration) -> Migration:
        steps[number] = step
        return step

    return register


def migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the file at `path` to the newest schema that the imported packages know, in one transaction.

    Raises
    ------
    DataError
        A newer package wrote the file, or the database is another program's.
    """
    if not _pending(connection, path):
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS stillroom_migrations (namespace TEXT NOT NULL, number INTEGER NOT NULL, "
            "PRIMARY KEY (namespace, number))"
        )
        for namespace, number, step in _pending(connection, path):  # again: another process may have been first
            step(connection)
            connection.execute("INSERT INTO stillroom_migrations VALUES (?, ?)", (namespace, number))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _pending(connection: sqlite3.Connection, path: Path) -> list[tuple[str, int, Migration]]:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    if tables and "stillroom_migrations" not in tables:
        raise DataError(f"{path} is another program's database: choose another file")
    done = set(connection.execute("SELECT namespace, number FROM stillroom_migrations")) if tables else set()
    for namespace, number in done:
        # Tables of a package that is not imported here are none of our business.
        if namespace in _steps and number > len(_steps[namespace]):
            raise DataError(f"a newer Stillroom wrote {path} (step {number} of {namespace!r}): update to open it")
    return [
        (namespace, number, step)
        for namespace, steps in _steps.items()
        for number, step in sorted(steps.items())
        if (namespace, number) not in done
    ]
