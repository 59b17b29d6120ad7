"""A SQLite file that loses nothing it has committed, for threads, processes and forks at once.

Every commit is synced (`synchronous=FULL` on the write-ahead log): what is committed outlives a killed process, SIGKILL
at any instant, and a power cut as far as the disk keeps its own promises. One connection a process, behind a lock: who
writes waits a little, and nobody starves. It does not know which tables there are.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, UserError
from stillroom.core.schema import migrate

BUSY_SECONDS = 60.0  # how long a writer waits for other processes
PAGE = 256  # rows fetched at a time, so that a slow reader does not hold up the log


class Database:
    """The file at `path`, created when it is not there, with the newest schema that the imported packages know.

    It may be shared by threads and inherited by forked processes. Not over a network file system: the log needs shared
    memory.

    Raises
    ------
    DataError
        The path is a folder, cannot be written, is not a database, is another program's, or a newer package wrote it.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path).absolute()
        self._inherited: list[sqlite3.Connection] = []
        self._open()

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Hold the write lock; what the body writes is committed as one, or undone as one when the body raises.

        Inside another `transaction` of the same thread it joins that one. Other writers are waiting: keep it short, and
        do not `await` in it.

        Raises
        ------
        DataError
            Another process held the lock for a minute, or the disk is full.
        """
        self._reopen_after_fork()
        with self._lock:
            if self._connection.in_transaction:
                yield self._connection
                return
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException as error:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                explained = _explain(error, self.path)
                if explained is None:
                    raise
                raise explained from error

    def query(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Return all rows of a SELECT."""
        self._reopen_after_fork()
        with self._lock:
            return self._connection.execute(statement, values).fetchall()

    def pages(self, table: str, columns: str, where: str, *values: Any) -> Iterator[tuple[Any, ...]]:
        """Give the rows of a table in the order of their `id`, without holding a lock between them."""
        last = 0
        limit = f"id > ?{len(values) + 1} ORDER BY id LIMIT {PAGE}"
        while rows := self.query(f"SELECT id, {columns} FROM {table} WHERE ({where}) AND {limit}", *values, last):
            for row in rows:
                yield row[1:]
            last = rows[-1][0]

    def close(self) -> None:
        """Close the file; SQLite then folds its log into it."""
        self._reopen_after_fork()
        with self._lock:
            self._connection.close()

    def _open(self) -> None:
        self._lock = threading.RLock()
        self._process = os.getpid()
        self._connection = _connect(self.path)

    def _reopen_after_fork(self) -> None:
        if self._process != os.getpid():
            # SQLite forbids using, and even closing, a connection of the parent.
            self._inherited.append(self._connection)
            self._open()


def _connect(path: Path) -> sqlite3.Connection:
    if path.is_dir():
        raise DataError(f"{path} is a folder: a target store is a file, such as {path / 'targets.sqlite'}")
    connection = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        _use_log(connection)
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA fullfsync = ON")  # macOS: fsync alone leaves the data in the disk's cache
        migrate(connection, path)
    except OSError as error:
        raise DataError(f"{path} cannot be made ({error.strerror}): choose another place") from error
    except (sqlite3.Error, UserError) as error:
        if connection is not None:
            connection.close()
        explained = _explain(error, path)
        if explained is None:
            raise
        raise explained from error
    return connection


def _use_log(connection: sqlite3.Connection) -> None:
    """Switch to the write-ahead log; when several processes do so on a new file, SQLite does not wait by itself."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _explain(error: BaseException, path: Path) -> DataError | None:
    """What a failure of SQLite means to the user; None when only a programmer can mend it."""
    sentences = {
        sqlite3.SQLITE_BUSY: f"{path} has been in use by another process for {BUSY_SECONDS:.0f} s: try again later",
        sqlite3.SQLITE_CANTOPEN: f"{path} cannot be opened: a store needs a folder that you may write to",
        sqlite3.SQLITE_READONLY: f"{path} cannot be written: a store needs a file and a folder that you may write to",
        sqlite3.SQLITE_NOTADB: f"{path} is not a target store: choose another file",
        sqlite3.SQLITE_FULL: f"the disk of {path} is full: make room; nothing that was committed is lost",
    }
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return DataError(sentences[code]) if code in sentences else None
