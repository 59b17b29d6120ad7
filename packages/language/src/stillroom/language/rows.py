"""Rows to learn from: a text, its answer, and where they come from: a target store, JSON Lines, CSV or Parquet.

What cannot be learned from is left out and counted, never trained on: missing answers, answers that were cut short,
duplicates. It knows no tokenizer and no model.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveFloat, PositiveInt

from stillroom.core.errors import DataError
from stillroom.core.recipes import filled_in
from stillroom.core.tables import rows as table_rows
from stillroom.core.targets import TargetStore
from stillroom.language.duplicates import deduplicated, limited
from stillroom.language.prompting import StudentPrompt
from stillroom.language.prompting import columns as used

CSV_EMPTY = ("nan", "NaN", "None", "null", "<NA>")
"""What programs write into a CSV cell for "nothing": a CSV cannot tell it from the word, the other kinds can."""

REFERENCES = "references"
"""The column of several right answers: the first stands for them where there is no `answer`."""

_SQLITE = b"SQLite format 3\0"


@dataclass(frozen=True)
class Row:
    """A text and its answer.

    Parameters
    ----------
    input, answer
        What is asked, and what should be said; None: nobody said it.
    task
        Which job it is, where a student learns several.
    group
        Its language, or another slice that is reported apart.
    rationale
        Why the answer is the answer.
    soft_targets
        Probability of each class, by name.
    extra
        Its other columns, which a prompt may use.
    prefix
        Put before the user's text: whether the student should answer or say why (see `rationale`).
    reasons
        Whether its answer is a rationale.
    """

    input: str
    answer: str | None = None
    task: str = ""
    group: str = ""
    rationale: str | None = None
    soft_targets: Mapping[str, float] | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    prefix: str = ""
    reasons: bool = False


class Columns(BaseModel):
    """The names that a file has for what a row holds; a column that is not named here need not be there.

    Parameters
    ----------
    input, answer, rationale, soft_targets, group
        See `Row`; None: the column of the same name if there is one. `soft_targets` are a mapping, or JSON of one. An
        empty name for `input` says that there is none: the answers are texts, and all of them is learned.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str | None = None
    answer: str | None = None
    rationale: str | None = None
    soft_targets: str | None = None
    group: str | None = None


class Source(BaseModel):
    """An item of a recipe's `data`: where rows come from, and what they are for.

    Parameters
    ----------
    path
        A target store, or a `.jsonl`, `.csv` or `.parquet` file; environment variables are expanded.
    model, prompt_hash
        Whose labels, and to which prompt: needed where there are those of several.
    columns
        Their names in the file.
    join
        A file of rows with the same `row_id`, or else the same `input`, whose other columns are added: a store keeps
        nothing but the input, and what was labelled may have had a language, a reference or a context beside it.
    task
        The name of the job, where a student learns several.
    weight
        How often its rows are drawn beside those of other tasks; None: as many as there are (see `mixing`).
    limit
        So many rows, no more (see `duplicates.limited`).
    prompt
        The student's prompt for these rows; None: that of the recipe.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    path: str
    model: str | None = None
    prompt_hash: str | None = None
    columns: Columns = Columns()
    join: str | None = None
    task: str = ""
    weight: PositiveFloat | None = None
    limit: PositiveInt | None = None
    prompt: StudentPrompt | None = None


@dataclass(frozen=True)
class Report:
    """What became of the rows of a source.

    Attributes
    ----------
    read, kept
        How many there were, and how many are there to learn from.
    no_input, no_answer
        Left out: without an input, without an answer.
    cut_short
        Left out: the answer ended for want of tokens (`finish_reason` "length").
    duplicates
        Left out: the same input with the same answer was there already.
    conflicts
        Left out: the same input has another answer, which more rows gave, or gave first.
    over_limit
        Left out: more than the recipe asked for.
    held_out
        Left out: what judges has nearly the same input (see `augment`).
    name
        Of the source.
    """

    read: int = 0
    kept: int = 0
    no_input: int = 0
    no_answer: int = 0
    cut_short: int = 0
    duplicates: int = 0
    conflicts: int = 0
    over_limit: int = 0
    held_out: int = 0
    name: str = ""

    def sentence(self) -> str:
        """Say it to people."""
        reasons = {
            "without an input": self.no_input,
            "without an answer": self.no_answer,
            "with an answer that was cut short": self.cut_short,
            "duplicates": self.duplicates,
            "with another answer than their duplicates": self.conflicts,
            "over the limit": self.over_limit,
            "nearly the same as one held out": self.held_out,
        }
        left_out = ", ".join(f"{count:,} {reason}" for reason, count in reasons.items() if count)
        said = f"{self.name}: " if self.name else ""
        if not left_out:
            return f"{said}all {self.read:,} rows are kept"
        return f"{said}{self.kept:,} of {self.read:,} rows are kept; left out: {left_out}"


@dataclass(frozen=True)
class Read:
    """Rows, and what became of those that are not among them."""

    rows: list[Row]
    report: Report


def read(source: Source, inputs: Sequence[str] = ("input",)) -> Read:
    """Read the rows of a source that can be learned from, in its order.

    Parameters
    ----------
    inputs
        The columns that make up what is asked: two rows are duplicates if they agree in all of them. A source with a
        prompt of its own brings its own (see `prompting.columns`).

    Raises
    ------
    DataError
        There is no such file, it is of another kind, a column is missing or holds something else, there are labels of
        several models or prompts and none is chosen, or no row can be learned from.
    MissingError
        It is Parquet and pyarrow is not installed.
    """
    path = expanded(source.path)
    records = _chosen(list(_joined(_records(path), source.join)), source, path)
    names = _names(records, source.columns, path)
    counts: Counter[str] = Counter()
    rows = []
    for number, record in enumerate(records, start=1):
        try:
            row = _row(record, names, source.task, csv=path.suffix == ".csv")
        except ValueError as error:
            raise DataError(f"row {number} of {path}: {error}") from error
        why = _unusable(row, record, asks="input" in names)
        counts[why] += 1
        if not why:
            rows.append(row)
    usable, duplicates, conflicts = deduplicated(rows, inputs if source.prompt is None else used(source.prompt))
    kept = limited(usable, source.limit)
    report = Report(
        read=len(records),
        kept=len(kept),
        no_input=counts["no input"],
        no_answer=counts["no answer"],
        cut_short=counts["cut short"],
        duplicates=duplicates,
        conflicts=conflicts,
        over_limit=len(usable) - len(kept),
        name=path.name,
    )
    if not kept:
        raise DataError(f"there is nothing to learn from: {report.sentence()}")
    return Read(kept, report)


def expanded(path: str) -> Path:
    """Return a path with its environment variables and `~` filled in; MissingError where a variable is not set."""
    return Path(filled_in(path)).expanduser()


def text_of(value: Any) -> str | None:
    """Return the text of a cell; None for nothing at all (None, NaN, blanks). A whole number has no decimals.

    Raises
    ------
    ValueError
        It is neither text nor a number.
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    if isinstance(value, float) and value.is_integer():  # how Parquet keeps whole numbers beside missing ones
        value = int(value)
    if not isinstance(value, str | int | float):
        raise ValueError(f"text is needed, not {type(value).__name__}")
    text = str(value)
    return text if text.strip() else None


def _records(path: Path) -> Iterator[dict[str, Any]]:
    if path.is_file() and path.suffix not in (".jsonl", ".json", ".ndjson", ".csv", ".parquet"):
        with path.open("rb") as file:
            if file.read(len(_SQLITE)) == _SQLITE:
                with TargetStore(path) as store:
                    yield from map(asdict, store.labels())
                return
    yield from table_rows(path)


def _chosen(records: list[dict[str, Any]], source: Source, path: Path) -> list[dict[str, Any]]:
    """Keep the labels of one model and one prompt."""
    labels = any("prompt_hash" in record for record in records)  # in other tables a column `model` may be anything
    for name in ("model", "prompt_hash"):
        wanted, there = getattr(source, name), Counter(str(record.get(name)) for record in records)
        listed = ", ".join(f"{value} ({count:,})" for value, count in there.most_common(5))
        if wanted is not None and wanted not in there:
            raise DataError(f"{path} has no rows whose {name} is {wanted!r}: there are {listed or 'no rows at all'}")
        if wanted is None and labels and len(there) > 1:
            raise DataError(f"{path} has labels of more than one {name}: say which is meant, of {listed}")
        if wanted is not None:
            records = [record for record in records if str(record.get(name)) == wanted]
    return records


def _joined(records: Iterable[dict[str, Any]], join: str | None) -> Iterator[dict[str, Any]]:
    if join is None:
        yield from records
        return
    path = expanded(join)
    beside: dict[str, dict[str, dict[str, Any]]] = {"row_id": {}, "input": {}}
    for other in table_rows(path):
        for name, found in beside.items():
            if other.get(name) is not None:
                found[str(other[name])] = other
    if not any(beside.values()):
        raise DataError(f"{path} cannot be joined: it has neither a column row_id nor a column input")
    matched = True
    for record in records:
        by_name = (found.get(str(record.get(name))) for name, found in beside.items())
        match = next((one for one in by_name if one is not None), None)
        matched = matched and match is not None
        yield {**(match or {}), **record}  # what the label lacks stays missing: an answer of the file's is another's
    if not matched:
        raise DataError(f"{path} lacks some of the rows it should be joined to: give the file that was labelled")


def _names(records: Sequence[Mapping[str, Any]], columns: Columns, path: Path) -> dict[str, str]:
    """Return the column of each field of a row that has one."""
    if not records:
        raise DataError(f"{path} has no rows: label some first")
    there = dict.fromkeys(name for record in records for name in record)
    names = {}
    for wanted in Columns.model_fields:
        name = getattr(columns, wanted)
        if name == "" and wanted == "input":
            continue
        if (name or wanted) in there:
            names[wanted] = name or wanted
        elif (
            name is not None
            or wanted == "input"
            or (wanted == "answer" and there.keys().isdisjoint(("soft_targets", REFERENCES)))
        ):
            has = ", ".join(map(str, there))
            raise DataError(f"{path} has no column {name or wanted!r}: name its {wanted} in columns; it has {has}")
    return names


def _row(record: Mapping[str, Any], names: Mapping[str, str], task: str, *, csv: bool) -> Row:
    found = {name: record.get(column) for name, column in names.items()}
    if csv:
        if None in record:
            raise ValueError("it has more cells than the header has names: put quotes around cells with commas")
        found = {name: None if value in CSV_EMPTY and name != "input" else value for name, value in found.items()}
    soft = _soft_targets(found.pop("soft_targets", None))
    texts = {name: text_of(value) for name, value in found.items()}
    answer = texts.get("answer")
    if answer is None and isinstance(several := record.get(REFERENCES), list | tuple):  # each of them is right
        answer = next(filter(None, map(text_of, several)), None)
    if answer is None and soft:
        answer = max(soft, key=soft.__getitem__)
    return Row(
        input=texts.get("input") or "",
        answer=answer,
        task=task,
        group=texts.get("group") or "",
        rationale=texts.get("rationale"),
        soft_targets=soft,
        extra={name: value for name, value in record.items() if name not in names.values() and value is not None},
    )


def _soft_targets(value: Any) -> dict[str, float] | None:
    if value is None or (isinstance(value, str | float) and text_of(value) is None):
        return None
    try:
        value = json.loads(value) if isinstance(value, str) else value
    except ValueError as error:
        raise ValueError(f"its soft targets are no JSON: {error}") from error
    if not isinstance(value, Mapping):
        raise ValueError(f"soft targets are a mapping from each class to its probability, not {type(value).__name__}")
    soft = {str(name): float(share) for name, share in value.items() if share is not None}  # Parquet fills in nulls
    if soft and (not all(share >= 0 for share in soft.values()) or not 0.98 < sum(soft.values()) < 1.02):
        raise ValueError(f"soft targets are probabilities that add up to 1, not to {sum(soft.values()):g}")
    return soft or None


def _unusable(row: Row, record: Mapping[str, Any], *, asks: bool) -> str:
    if asks and not row.input:
        return "no input"
    if row.answer is None:
        return "no answer"
    return "cut short" if record.get("finish_reason") == "length" else ""
