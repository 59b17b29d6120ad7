"""The rows of a run in their order, on disk: which key each has, and what a label table calls it.

Rows may come from a pipe and may be a million; what is needed of them again is kept in a file that has no name and
vanishes with the process. It does not know what a label is.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator


class Spool:
    """Lines of key, row_id and input; written one by one, read from the beginning as often as wanted."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the spool
        self._at_end = True

    def put(self, key: str, row_id: str, text: str) -> None:
        """Add a line."""
        if not self._at_end:
            self._file.seek(0, 2)
            self._at_end = True
        self._file.write(json.dumps([key, row_id, text]).encode() + b"\n")

    def __iter__(self) -> Iterator[tuple[str, str, str]]:
        place = 0
        while True:
            self._at_end = False
            self._file.seek(place)
            line = self._file.readline()
            if not line:
                return
            place = self._file.tell()
            key, row_id, text = json.loads(line)
            yield key, row_id, text
