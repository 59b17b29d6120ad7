"""What a compressor learns from and is judged on: a text, its words, and which of them somebody kept.

One form for human deletions, evidence and aligned answers, and its files (Parquet, or JSON Lines). It does not know
where the labels come from, nor a model's tokens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stillroom.core.errors import DataError, MissingError
from stillroom.core.runs import write_atomic
from stillroom.core.tables import rows


@dataclass(frozen=True, eq=False)
class Example:
    """A text and the fate of its words.

    Parameters
    ----------
    start, end
        (words,) int64 character positions of the labelled words, ascending; characters between them have no label.
    keep
        (words,) float32: 1 for a word that was kept, 0 for one that was dropped; between them where nobody was sure.
    source
        Where it comes from: the name of a data set, or the row that was asked about.
    language
        "en", "de", …; None if nobody said.
    variation_rate, alignment_gap
        How well an answer could be aligned (see `align`); None for labels that people made.
    """

    text: str
    start: np.ndarray
    end: np.ndarray
    keep: np.ndarray
    source: str
    language: str | None = None
    variation_rate: float | None = None
    alignment_gap: float | None = None

    @property
    def words(self) -> list[str]:
        """The labelled words."""
        return [self.text[start:end] for start, end in zip(self.start.tolist(), self.end.tolist(), strict=True)]


def write(examples: Iterable[Example], path: str | Path) -> None:
    """Write examples to a Parquet file, or to JSON Lines if its name ends in .jsonl.

    Raises
    ------
    DataError
        Another kind of file.
    MissingError
        pyarrow is not installed.
    """
    path = writable(path)
    records = [_record(example) for example in examples]
    if path.suffix == ".jsonl":
        write_atomic(path, "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
        return
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise MissingError("Parquet needs pyarrow: `pip install 'stillroom-prompts[parquet]'`") from error
    positions, text, number = pyarrow.list_(pyarrow.int32()), pyarrow.string(), pyarrow.float64()
    kinds = {"text": text, "start": positions, "end": positions, "keep": pyarrow.list_(pyarrow.float32())}
    kinds |= {"source": text, "language": text, "variation_rate": number, "alignment_gap": number}
    buffer = pyarrow.BufferOutputStream()
    parquet.write_table(pyarrow.Table.from_pylist(records, schema=pyarrow.schema(list(kinds.items()))), buffer)
    write_atomic(path, buffer.getvalue().to_pybytes())


def writable(path: str | Path) -> Path:
    """Return the path; raises DataError, before any work is done, if `write` knows no such kind of file."""
    path = Path(path)
    if path.suffix not in (".parquet", ".jsonl"):
        raise DataError(f"training data goes to a .parquet or .jsonl file, not to {path}")
    return path


def read(path: str | Path) -> Iterator[Example]:
    """Yield the examples of a file that `write` wrote, or another tool with its columns.

    Raises
    ------
    DataError
        There is no such file, or a row has no text, or labels that do not fit it.
    """
    for number, row in enumerate(rows(path), start=1):
        try:
            start, end = (np.array(row[name], dtype=np.int64) for name in ("start", "end"))
            keep = np.array(row["keep"], dtype=np.float32)
            text = str(row["text"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"row {number} of {path} needs text, start, end and keep, a number a word") from error
        edges = np.stack((start, end), axis=1).ravel() if start.shape == end.shape == keep.shape else np.array([1, 0])
        inside = not len(edges) or (edges[0] >= 0 and edges[-1] <= len(text))
        if not inside or (np.diff(edges) < 0).any() or not ((keep >= 0) & (keep <= 1)).all():
            raise DataError(f"row {number} of {path}: start, end and keep do not fit each other or the text")
        known = {name: row.get(name) for name in ("language", "variation_rate", "alignment_gap")}
        yield Example(text, start, end, keep, str(row.get("source") or number), **known)


def _record(example: Example) -> dict[str, object]:
    spans = {name: getattr(example, name).tolist() for name in ("start", "end", "keep")}
    names = ("source", "language", "variation_rate", "alignment_gap")
    return {"text": example.text, **spans, **{name: getattr(example, name) for name in names}}
