"""What a comparison found: each training with its cost and its quality, as a table for people and for machines.

Where the numbers come from, summary.py says; it reads nothing and trains nothing.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from io import StringIO
from pathlib import Path
from typing import Any

from stillroom.language.correlation import spearman
from stillroom.language.grid import short

RUNS, SCORES = "runs", "scores"
CLEAN, NOISY = "clean", "noisy"
LEFT_OUT = (
    "Bottleneck adapters (Houlsby et al. 2019) are left out: PEFT has none, and their layers stay in the network at "
    "work, where they cost time in every answer and cannot be merged."
)
NAN = math.nan


@dataclass(frozen=True)
class Entry:
    """One training.

    Parameters
    ----------
    name
        Of its Run.
    student, method, rank, alpha, seed
        What it has of what varies; rank and alpha are None where the method has none, or its default.
    labels
        Rows it learned from; one with a reason is two, where reasons are learned.
    trained
        Parameters that moved.
    seconds
        From loading to judging; where `resumed`, of the last stretch alone.
    memory_mb
        Peak of its process, in MB (10^6 bytes), libraries included (about 500); of the GPU where it computed on one.
        None: not measured.
    loss
        Validation cross-entropy of the chosen weights: of right answers, on the rows that chose.
    quality, base, copy
        The recipe's first metric on the rows that judge: of the student as trained, whether or not the gate kept it, of
        its base, and of the copy of the input.
    kept
        Whether the gate kept it; what `bench` judges is what was kept.
    clean, noisy
        QUALITY by `bench`, on the rows as they are and with slips; None: not scored.
    """

    name: str
    student: str
    method: str
    rank: int | None
    alpha: float | None
    labels: int
    seed: int
    trained: int
    seconds: float
    resumed: bool
    memory_mb: float | None
    loss: float
    quality: float
    base: float
    copy: float
    kept: bool
    clean: float | None = None
    noisy: float | None = None


@dataclass(frozen=True)
class Line:
    """The trainings that differ in their seed alone; numbers are means, NaN where one of them has none."""

    student: str
    method: str
    rank: int | None
    alpha: float | None
    labels: int
    entries: Sequence[Entry]

    def mean(self, name: str) -> float:
        """Return the mean of a number over seeds."""
        values = [getattr(one, name) for one in self.entries]
        return NAN if any(value is None for value in values) else sum(values) / len(values)

    def spread(self, name: str) -> tuple[float, float]:
        """Return the lowest and the highest over seeds."""
        values = [getattr(one, name) for one in self.entries]
        return (NAN, NAN) if any(value is None for value in values) else (min(values), max(values))


@dataclass(frozen=True)
class Comparison:
    """What was found.

    Parameters
    ----------
    folder
        Of the comparison.
    metric
        The recipe's first one, which `quality` is.
    entries
        Trainings that are done, by student, labels and trained parameters.
    failed
        By name, why a training is not there.
    """

    folder: Path
    metric: str
    entries: Sequence[Entry]
    failed: Mapping[str, str] = field(default_factory=dict)

    @property
    def correlations(self) -> dict[str, float]:
        """By student, Spearman's rank correlation of validation loss and quality over its trainings.

        −1: the lower the loss, the better the answers, without exception: choosing by the loss, which costs no
        generation, would have done. Losses of students that write in other tokens cannot be compared, so each is apart.
        """
        found = {}
        for student in dict.fromkeys(one.student for one in self.entries):
            own = [one for one in self.entries if one.student == student]
            found[student] = spearman([one.loss for one in own], [one.quality for one in own])
        return found

    @property
    def command(self) -> str:
        """What judges the Runs by the suite; `summary` then finds the scores."""
        models = [part for one in self.entries for part in ("--model", str(self.folder / RUNS / one.name))]
        suite, out = self.folder / "suite.yaml", self.folder / SCORES
        return shlex.join(["stillroom", "bench", "run", str(suite), *models, "--out", str(out)])

    def lines(self) -> list[Line]:
        """Return the trainings, those that differ in their seed alone as one."""
        groups: dict[tuple[Any, ...], list[Entry]] = {}
        for one in self.entries:
            groups.setdefault((one.student, one.method, one.rank, one.alpha, one.labels), []).append(one)
        return [
            Line(student, method, rank, alpha, labels, those)
            for (student, method, rank, alpha, labels), those in groups.items()
        ]

    def floors(self) -> dict[str, float]:
        """Return the quality of what costs no training, by name: the copy of the input, and each student as it was."""
        return {"copy of the input": self.entries[0].copy} | {
            f"{self.names[one.student]} as it was": one.base for one in self.entries
        }

    @property
    def names(self) -> dict[str, str]:
        """Short names of the students."""
        students = list(dict.fromkeys(one.student for one in self.entries))
        return dict(zip(students, short(students), strict=True))

    def rows(self) -> list[dict[str, Any]]:
        """Return the trainings as plain rows."""
        return [asdict(one) for one in self.entries]

    def plain(self) -> dict[str, Any]:
        """Return all of it for `--json`."""
        return {
            "metric": self.metric,
            "runs": self.rows(),
            "failed": dict(self.failed),
            "rank_correlation": self.correlations,
            "bench": self.command,
            "notes": self.notes(),
        }

    def notes(self) -> list[str]:
        """Return what the table does not say, in sentences."""
        found = []
        for student, value in self.correlations.items():
            count = sum(one.student == student for one in self.entries)
            whose = f"{self.names[student]}: " if len(self.correlations) > 1 else ""
            if math.isnan(value):
                found.append(
                    f"{whose}too few different trainings ({count}) to rank validation loss against {self.metric}."
                )
            else:
                found.append(
                    f"{whose}rank correlation of validation loss and {self.metric} over {count} trainings: "
                    f"{_signed(value)} (−1: the loss alone would have ranked them so)."
                )
        if any(one.resumed for one in self.entries):
            found.append("≥ marks times of trainings that were cut short and went on: their last stretch.")
        if dropped := sum(not one.kept for one in self.entries):
            found.append(
                f"{dropped} of {len(self.entries)} trainings are no better than their base by the gate (marked °): "
                "bench judges the base there."
            )
        found += [f"{name} is not there: {why}" for name, why in self.failed.items()]
        return [*found, LEFT_OUT]

    def markdown(self) -> str:
        """Return the table and the notes in Markdown."""
        heads, lines = self._cells()
        shown = [heads, [":---", *["---:"] * (len(heads) - 1)], *lines]
        table = "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in shown)
        return table + "".join(f"\n{note}\n" for note in self.notes())

    def text(self) -> list[str]:
        """Return the same for a terminal, aligned."""
        from rich import box
        from rich.console import Console
        from rich.table import Table

        heads, lines = self._cells()
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, head in enumerate(heads):
            table.add_column(head, justify="left" if place == 0 else "right", no_wrap=True)
        for line in lines:
            table.add_row(*line)
        file = StringIO()
        wide = 10 + sum(4 + max(2 * len(line[place]) for line in [heads, *lines]) for place in range(len(heads)))
        Console(file=file, width=wide, markup=False, emoji=False, highlight=False).print(table)
        return [*(line for line in map(str.rstrip, file.getvalue().splitlines()) if line), *self.notes()]

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        lines = self.lines()
        columns: dict[str, Callable[[Line], str]] = {
            "adapter": lambda line: _adapter(line, self.names[line.student] if len(self.names) > 1 else ""),
            "labels": lambda line: f"{line.labels:,}",
            "trained": lambda line: f"{line.mean('trained'):,.0f}",
            "seconds": lambda line: (
                ("≥ " if any(one.resumed for one in line.entries) else "")
                + _number(line.mean("seconds"), "{:,.0f}" if line.mean("seconds") >= 10 else "{:.1f}")
            ),
            "memory MB": lambda line: _number(line.mean("memory_mb"), "{:,.0f}"),
            "loss": lambda line: _number(line.mean("loss"), "{:.3f}"),
            self.metric: lambda line: _share(line, "quality") + ("" if all(one.kept for one in line.entries) else " °"),
        }
        for name in (CLEAN, NOISY):
            if any(getattr(one, name) is not None for one in self.entries):
                columns[f"{name} (bench)"] = lambda line, name=name: _share(line, name)  # type: ignore[misc]
        found = [[cell(line) for cell in columns.values()] for line in lines]
        return list(columns), [*self._floors(list(columns)), *found]

    def _floors(self, heads: Sequence[str]) -> Iterator[list[str]]:
        """The lines of what costs no training."""
        at = heads.index(self.metric)
        empty = [""] * len(heads)
        for name, value in self.floors().items():
            yield [name, *empty[1:at], _number(100 * value, "{:.1f}"), *empty[at + 1 :]]


def _adapter(line: Line, student: str) -> str:
    strengths = [f"r={line.rank}" if line.rank is not None else "", f"α={line.alpha:g}" if line.alpha else ""]
    return " ".join(filter(None, [student, line.method, *strengths]))


def _signed(value: float) -> str:
    return f"{value:+.2f}".replace("-", "−")


def _number(value: float, form: str) -> str:
    return "" if math.isnan(value) else form.format(value)


def _share(line: Line, name: str) -> str:
    """A share in hundredths; of several seeds their mean, and in brackets the lowest and the highest."""
    said = _number(100 * line.mean(name), "{:.1f}")
    if len(line.entries) < 2 or not said:
        return said
    low, high = line.spread(name)
    return f"{said} [{100 * low:.1f}, {100 * high:.1f}]"
