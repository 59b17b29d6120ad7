"""The tour's own words: where it goes, and what a chapter brings back.

A chapter brings a `Result`: a few sentences and tables, which the terminal and the page show alike, and the same
numbers as plain values for machines. It is kept beside the chapter's files, so that chapters can run one by one.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import DataError, ModelError
from stillroom.core.plain import to_plain
from stillroom.core.runs import write_atomic

if TYPE_CHECKING:
    from stillroom.chronos.model import ChronosModel


@dataclass(frozen=True)
class Table:
    """A table in print: the first column names the row, the others are numbers."""

    caption: str
    columns: list[str]
    rows: list[list[str]]


@dataclass(frozen=True)
class Result:
    """What a chapter found.

    Parameters
    ----------
    title
        Its heading.
    sentences
        What was done and what came of it, a paragraph each.
    tables
        The numbers, in print.
    numbers
        The same, for machines.
    files
        What to look at, as paths.
    pictures
        PNG files to be shown on the page, as paths below the tour's folder.
    """

    title: str
    sentences: list[str]
    tables: list[Table] = field(default_factory=list)
    numbers: dict[str, Any] = field(default_factory=dict)
    files: list[str] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)


@dataclass(frozen=True, eq=False)
class Tour:
    """One model on tour.

    Parameters
    ----------
    name
        The model as the user names it.
    model
        The same, loaded.
    out
        Where everything is written.
    weights
        The first letters of the weights' hash. Folders are named by it: with the same weights a tour that was cut short
        goes on where it was, with others it starts anew.
    """

    name: str
    model: ChronosModel
    out: Path
    weights: str

    @property
    def title(self) -> str:
        """What tables call the model."""
        return Path(self.name).name

    @property
    def parameters(self) -> int:
        """How many numbers the model is made of."""
        return sum(parameter.numel() for parameter in self.model.model.parameters())

    @classmethod
    def of(cls, name: str, out: Path) -> Tour:
        """Load the model.

        Raises
        ------
        ModelError
            There is no such model, or no weights where the mini should have some.
        DataError
            Nothing can be written to `out`.
        """
        from stillroom import minis
        from stillroom.chronos import families

        if name == "forecaster" and not (minis.forecaster / "config.json").is_file():
            raise ModelError(
                f"the mini's weights are not at {minis.forecaster}: install stillroom-minis again, "
                "or take another model with --model"
            )
        model = families.find(name)
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DataError(f"nothing can be written to {out}: {error.strerror}; choose another --out") from error
        return cls(name, model, out, model.fingerprint()[:8])

    def folder(self, chapter: str) -> Path:
        """Where a chapter keeps its files."""
        return self.out / f"{chapter}-{self.weights}"

    def keep(self, chapter: str, result: Result) -> None:
        """Write a chapter's result beside its files."""
        write_atomic(self.folder(chapter) / "chapter.json", json.dumps(to_plain(asdict(result)), indent=1))

    def kept(self, chapter: str) -> Result | None:
        """Read a chapter's result, if it has run with these weights."""
        path = self.folder(chapter) / "chapter.json"
        if not path.is_file():
            return None
        written = json.loads(path.read_text(encoding="utf-8"))
        return Result(**{**written, "tables": [Table(**table) for table in written["tables"]]})
