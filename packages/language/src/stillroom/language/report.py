"""Systems side by side (teacher, student, base, copy) by every metric, over all rows and each group, with intervals.

It knows no model: a system is a name and what it said.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from io import StringIO
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import DataError
from stillroom.language.intervals import Interval, bounds, joint, resampled
from stillroom.language.metrics import metric as metric_of
from stillroom.language.scored import Predictions, References, Scored

if TYPE_CHECKING:
    from numpy.typing import NDArray

ALL = "all"
"""The group that has every row."""

RESAMPLES = 2000


@dataclass(frozen=True)
class Entry:
    """A number of the table; `low` and `high` are NaN where there are fewer than two rows."""

    system: str
    group: str
    metric: str
    value: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, eq=False)
class Table:
    """What `compare` found.

    Attributes
    ----------
    entries
        By group, system and metric, in the order they were given; the group `all` first.
    scored
        Of each system and metric over all rows, for `intervals.difference`, `intervals.joint` and `closed`.
    """

    entries: Sequence[Entry]
    scored: Mapping[tuple[str, str], Scored]

    def rows(self) -> list[dict[str, Any]]:
        """Return the numbers as plain rows: system, group, metric, value, low, high, n."""
        return [asdict(entry) for entry in self.entries]

    def value(self, system: str, metric: str, group: str = ALL) -> float:
        """Return one number."""
        for entry in self.entries:
            if (entry.system, entry.metric, entry.group) == (system, metric, group):
                return entry.value
        raise KeyError((system, metric, group))

    def markdown(self) -> str:
        """Return the table in Markdown: a line for each system of each group, in hundredths, intervals in brackets."""
        heads, lines = self._cells()
        shown = [heads, ["---", "---", *["---:"] * (len(heads) - 2)], *lines]
        return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |\n" for line in shown)

    def lines(self) -> list[str]:
        """Return the same for a terminal, aligned."""
        from rich import box
        from rich.console import Console
        from rich.table import Table as RichTable

        heads, lines = self._cells()
        table = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
        for place, head in enumerate(heads):
            table.add_column(head, justify="left" if place < 2 else "right", no_wrap=True)
        before = None
        for line in lines:
            if before not in (None, line[0]):
                table.add_section()
            table.add_row(*line)
            before = line[0]
        file = StringIO()
        wide = 10 + sum(4 + max(len(line[place]) * 2 for line in [heads, *lines]) for place in range(len(heads)))
        Console(file=file, width=wide, markup=False, emoji=False, highlight=False).print(table)
        return [line for line in map(str.rstrip, file.getvalue().splitlines()) if line]

    def _cells(self) -> tuple[list[str], list[list[str]]]:
        metrics = list(dict.fromkeys(entry.metric for entry in self.entries))
        lines: dict[tuple[str, str], list[str]] = {}
        for entry in self.entries:
            line = lines.setdefault((entry.group, entry.system), [entry.group, entry.system, f"{entry.n:,}"])
            line.append(_cell(entry))
        return ["group", "system", "rows", *metrics], list(lines.values())


def compare(
    systems: Mapping[str, Predictions],
    references: References,
    sources: Sequence[str] = (),
    groups: Sequence[str] = (),
    metrics: Iterable[str] = ("exact",),
    seed: int = 0,
) -> Table:
    """Judge systems on the same rows.

    Parameters
    ----------
    systems
        What each said, by its name: one answer a row, None where it has none, which is wrong. Give the copy of the
        sources as one of them (see `copied`): a student that only repeats its input must not look good.
    references
        One or several a row.
    sources
        One a row; needed for `edit_f05`.
    groups
        The language, or another slice, of each row; none: there is only the group `all`.
    metrics
        Names in `metrics.METRICS`.
    seed
        Of the bootstrap: 2,000 resamples of the rows of each group, the same for all systems and metrics.

    Raises
    ------
    RecipeError
        There is no such metric.
    DataError
        No systems, or they, references, sources and groups do not have one for each row.
    """
    metrics = list(dict.fromkeys(metrics))
    judges = {name: metric_of(name) for name in metrics}  # before any work
    if not systems or not metrics:
        raise DataError("there is nothing to compare: give at least one system and one metric")
    if len(groups) not in (0, len(references)):
        raise DataError(f"there are {len(groups)} groups for {len(references)} rows: give one each row, or none")
    scored = {}
    for system, said in systems.items():
        if len(said) != len(references):
            raise DataError(f"{system} has {len(said)} answers to {len(references)} rows: give one each row, or None")
        for name, judge in judges.items():
            scored[system, name] = judge(said, references, sources)
    parts = {ALL: np.arange(len(references))}
    names = np.array(groups, dtype=object)
    different = sorted(set(groups))
    if len(different) > 1:
        parts |= {group or "none": np.flatnonzero(names == group) for group in different}
    entries = [entry for group, rows in parts.items() for entry in _entries(scored, group, rows, seed)]
    return Table(entries, scored)


def copied(sources: Sequence[str]) -> list[str | None]:
    """Return what a system says that repeats its input: the baseline of correction."""
    return list(sources)


def closed(student: Scored, teacher: Scored, *baselines: Scored, seed: int = 0) -> Interval:
    """Return the share of the gap between the best baseline and the teacher that a student closes, with its interval.

    (student − best baseline) / (teacher − best baseline): 0 is no better than the baseline, 1 as good as the teacher.
    NaN where the teacher is not better than the baselines; without bounds where it is not so in every resample.
    """

    def share(
        mine: NDArray[np.float64], theirs: NDArray[np.float64], *others: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        floor = np.max(others, axis=0)
        gap = theirs - floor
        return np.where(gap > 0, (mine - floor) / np.where(gap > 0, gap, 1), np.nan)

    if not baselines:
        raise DataError("a gap is closed from a baseline: give the base model, the copy, or both")
    return joint([student, teacher, *baselines], share, resamples=RESAMPLES, seed=seed)


def _entries(scored: Mapping[tuple[str, str], Scored], group: str, rows: Any, seed: int) -> list[Entry]:
    own = [one.take(rows) for one in scored.values()]
    drawn = resampled(own, RESAMPLES, seed)
    return [
        Entry(system, group, metric, one.value, *bounds(values, len(rows)), len(rows))
        for (system, metric), one, values in zip(scored, own, drawn.T, strict=True)
    ]


def _cell(entry: Entry) -> str:
    if np.isnan(entry.low):
        return f"{100 * entry.value:.1f}"
    return f"{100 * entry.value:.1f} [{100 * entry.low:.1f}, {100 * entry.high:.1f}]"
