"""Where targets are kept: what a teacher said for one input, stored once and never computed or paid for again.

A database file, with large tensors beside it in files named by their content. Once `put` or `transaction` has returned,
the target is safe (see `database`). A tensor file is written aside, synced, renamed and its folder synced before the
row that names it is committed: a crash in between leaves a file that no row names, which does no harm and which `sweep`
removes. The first target stored under a key stays: what was committed is not replaced.

Another package may add tables of its own (`migration`, in a module imported before the store is opened) and write to
them in the same `transaction`. The store does not know what a target means, nor who pays.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core.database import Database
from stillroom.core.errors import CorruptError, DataError
from stillroom.core.keys import key
from stillroom.core.labels import COLUMNS as LABEL_COLUMNS
from stillroom.core.labels import Label, add_policy, create_table, from_row, to_row, write_parquet
from stillroom.core.runs import sync_folder, write_atomic
from stillroom.core.schema import migration
from stillroom.core.tensors import pack, unpack

__all__ = ["Label", "Target", "TargetStore", "key", "migration"]

INLINE_BYTES = 32 * 1024  # tensors up to here live in their row: one sync instead of three, and no million small files
_COLUMNS = "key, kind, value, tensors, tensors_sha256, sha256, created"
_LABELS = ", ".join(LABEL_COLUMNS)


@migration("core", 1)
def _create(connection: sqlite3.Connection) -> None:
    connection.execute(
        "CREATE TABLE targets (id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, "
        "value TEXT NOT NULL, tensors BLOB, tensors_sha256 TEXT, sha256 TEXT NOT NULL, created TEXT NOT NULL)"
    )
    connection.execute("CREATE INDEX targets_by_kind ON targets (kind, id)")
    create_table(connection)


migration("core", 2)(add_policy)


@dataclass(frozen=True, eq=False)
class Target:
    """What the teacher said for one input.

    Parameters
    ----------
    key, kind
        Its address (see the function `key`), and what it is: `"quantiles"`, `"top_k"`, …
    value
        A JSON value.
    tensors
        Arrays by name; empty when there are none.
    created
        When it was stored, in UTC.
    """

    key: str
    kind: str
    value: Any
    tensors: dict[str, np.ndarray]
    created: str


class TargetStore:
    """Targets and labels in the file `path`, created when it is not there; large tensors in the folder `path`.tensors.

    It may be shared by threads and processes on one machine, inherited by forks, and pickled (the copy opens it anew).

    >>> with TargetStore("targets.sqlite") as store:
    ...     store.put(key(teacher="t5", series="a"), "quantiles", tensors={"quantiles": np.zeros((9, 24))})

    Raises
    ------
    DataError
        The path is a folder, cannot be written, is not a database, is another program's, or a newer package wrote it.
    """

    def __init__(self, path: str | Path) -> None:
        self._database = Database(path)
        self.path = self._database.path
        self.folder = self.path.with_name(self.path.name + ".tensors")

    def put(self, key: str, kind: str, value: Any = None, tensors: Mapping[str, Any] | None = None) -> bool:
        """Store a target; False, and nothing is changed, when the key has one already.

        Parameters
        ----------
        key, kind
            Its address and what it is.
        value
            A JSON value; tuples come back as lists.
        tensors
            Numpy arrays or torch tensors by name; they come back as numpy arrays, bfloat16 as float32.

        Raises
        ------
        DataError
            The value is not JSON, a tensor does not hold numbers, or the disk is full.
        """
        text = _json(value)
        data = pack(tensors) if tensors else None
        digest = None if data is None else _sha256(data)
        with self.transaction() as connection:
            if self.has(key):
                return False
            blob = data
            if data is not None and digest is not None and len(data) > INLINE_BYTES:
                # In the write lock, so that no `sweep` comes between the file and its row.
                self._write_tensors(digest, data)
                blob = None
            row = (key, kind, text, blob, digest, _row_sha256(key, kind, text, digest), _now())
            connection.execute(f"INSERT INTO targets ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", row)
        return True

    def get(self, key: str, *, verify: bool = False) -> Target | None:
        """Return the target of `key`, or None; with `verify` its tensors are read against their hash as well.

        Raises
        ------
        CorruptError
            The target is not as it was written, or its tensor file is gone.
        """
        rows = self._database.query(f"SELECT {_COLUMNS} FROM targets WHERE key = ?", key)
        return self._target(rows[0], verify) if rows else None

    def has(self, key: str) -> bool:
        """Whether `key` has a target."""
        return bool(self._database.query("SELECT 1 FROM targets WHERE key = ?", key))

    def keys(self, kind: str | None = None) -> list[str]:
        """Return the keys, of one kind or all, in the order in which they were stored."""
        rows = self._database.query("SELECT key FROM targets WHERE ?1 IS NULL OR kind = ?1 ORDER BY id", kind)
        return [key for (key,) in rows]

    def iterate(self, kind: str | None = None, *, verify: bool = False) -> Iterator[Target]:
        """Give the targets, of one kind or all, in the order in which they were stored; raises as `get` does."""
        for row in self._database.pages("targets", _COLUMNS, "?1 IS NULL OR kind = ?1", kind):
            yield self._target(row, verify)

    def put_label(self, label: Label) -> bool:
        """Store a label; False, and nothing is changed, when its key has one already."""
        row = to_row(replace(label, created=label.created or _now()))
        marks = ", ".join("?" * len(row))
        with self.transaction() as connection:
            statement = f"INSERT INTO labels ({_LABELS}) VALUES ({marks}) ON CONFLICT (key) DO NOTHING"
            return connection.execute(statement, row).rowcount == 1

    def get_label(self, key: str) -> Label | None:
        """Return the label of `key`, or None."""
        rows = self._database.query(f"SELECT {_LABELS} FROM labels WHERE key = ?", key)
        return from_row(rows[0]) if rows else None

    def get_labels(self, keys: Sequence[str]) -> dict[str, Label]:
        """Return the labels of those of the keys that have one, by key; for a few hundred keys at a time."""
        marks = ", ".join("?" * len(keys))
        rows = self._database.query(f"SELECT {_LABELS} FROM labels WHERE key IN ({marks})", *keys)
        return {label.key: label for label in map(from_row, rows)}

    def labels(self, *, model: str | None = None, prompt_hash: str | None = None) -> Iterator[Label]:
        """Give the labels, of one model or one prompt or all, in the order in which they were stored."""
        where = "(?1 IS NULL OR model = ?1) AND (?2 IS NULL OR prompt_hash = ?2)"
        for row in self._database.pages("labels", _LABELS, where, model, prompt_hash):
            yield from_row(row)

    def export_labels(self, path: str | Path) -> int:
        """Write all labels to a Parquet file and return how many there are; MissingError where pyarrow is missing."""
        rows = list(self._database.pages("labels", _LABELS, "1"))
        write_parquet(rows, path)
        return len(rows)

    def transaction(self) -> AbstractContextManager[sqlite3.Connection]:
        """Write several things as one, ours with `put` and a package's own with SQL on the connection it gives.

        >>> with store.transaction() as connection:
        ...     store.put_label(label)
        ...     connection.execute("INSERT INTO calls VALUES (?, ?)", (label.key, 0.002))
        """
        return self._database.transaction()

    def sweep(self) -> int:
        """Remove the tensor files that no target names, left by killed writers; return how many there were."""
        with self.transaction():
            rows = self._database.query("SELECT tensors_sha256 FROM targets WHERE tensors IS NULL")
            named = {self._file(digest) for (digest,) in rows if digest}
            orphans = [file for file in self.folder.glob("*") if file not in named]
            for file in orphans:
                file.unlink()
        return len(orphans)

    def check(self) -> None:
        """Read the whole store against the hashes written with it.

        Raises
        ------
        CorruptError
            At the first thing that is not as it was written.
        """
        ((verdict,),) = self._database.query("PRAGMA integrity_check(1)")
        if verdict != "ok":
            raise CorruptError(f"{self.path} is damaged ({verdict}): bring back a copy of it")
        for _ in self.iterate(verify=True):
            pass

    def close(self) -> None:
        """Close the file; what was stored needs no closing to be safe."""
        self._database.close()

    def __enter__(self) -> TargetStore:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[type[TargetStore], tuple[Path]]:
        return TargetStore, (self.path,)

    def _file(self, digest: str) -> Path:
        return self.folder / f"{digest}.safetensors"

    def _write_tensors(self, digest: str, data: bytes) -> None:
        try:
            self.folder.mkdir(exist_ok=True)
            sync_folder(self.folder.parent)
            if self._file(digest).exists():  # another target's, or left by a writer killed before it synced the folder
                sync_folder(self.folder)
            else:
                write_atomic(self._file(digest), data)
        except OSError as error:
            raise DataError(
                f"{self.folder} cannot be written ({error.strerror}): make room or choose another"
            ) from error

    def _target(self, row: tuple[Any, ...], verify: bool) -> Target:
        key, kind, text, data, digest, sha256, created = row
        if digest and data is None:
            try:
                data = self._file(digest).read_bytes()
            except OSError as error:
                raise CorruptError(f"the tensors of target {key} cannot be read from {self._file(digest)}") from error
        if _row_sha256(key, kind, text, digest) != sha256 or (verify and digest and _sha256(data) != digest):
            raise CorruptError(f"target {key} in {self.path} is not as it was written: bring back a copy of it")
        return Target(key, kind, json.loads(text), unpack(data) if digest else {}, created)


def _json(value: Any) -> str:
    """Exact JSON, with NaN and infinities, which Python's reader takes back."""
    try:
        _check_names(value)
        return json.dumps(value, separators=(",", ":"))
    except TypeError as error:
        raise DataError(f"a target's value must be JSON ({error}); give arrays as tensors") from error


def _check_names(value: Any) -> None:
    """`json.dumps` would turn the names 1 and "1" into one."""
    if isinstance(value, dict):
        if not all(isinstance(name, str) for name in value):
            raise TypeError("the names in a mapping must be text")
        value = list(value.values())
    if isinstance(value, list | tuple):
        for item in value:
            _check_names(item)


def _row_sha256(*parts: str | None) -> str:
    return _sha256(json.dumps(parts).encode())


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
