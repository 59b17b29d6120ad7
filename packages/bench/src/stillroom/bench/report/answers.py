"""What one model said, drawn: the best, the median and the worst items of up to three tasks.

Data is loaded again and the predictions are those that were kept; the kind chooses the items. Whatever of it is not
there any more becomes a sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from markupsafe import Markup

from stillroom.bench.examples import Example, pick
from stillroom.bench.keys import stem
from stillroom.bench.kinds import Kind
from stillroom.bench.leaderboard import Grid, Leaderboard
from stillroom.bench.report.pictures import legend, picture
from stillroom.bench.rows import read_row
from stillroom.bench.tasks import read_task
from stillroom.core.errors import DataError, UserError

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Drawn:
    """A picture with what stands above it, or the sentence that says why there is none."""

    title: str
    sentence: str
    svg: Markup | None = None


@dataclass(frozen=True)
class Shown:
    """One task: `rank` says where it stands among the tasks, `ratio` what the model's error is of the baseline's."""

    task: str
    rank: str
    ratio: str
    pictures: tuple[Drawn, ...] = ()
    legend: tuple[tuple[str, str], ...] = ()
    sentence: str = ""
    """Why there are no pictures."""


def answers(folder: Path, kind: Kind, grid: Grid, board: Leaderboard, model: str) -> Iterator[Shown]:
    """The tasks on which the model does best, median and worst against the baseline, and its answers there."""
    errors = grid.errors(board.metrics[0], kind)
    mine, base = (errors[:, grid.models.index(name)] for name in (model, board.baseline))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = mine / base
    for rank, place in pick(ratios):
        task = str(grid.tasks[place])
        about = (task, rank if len(ratios) > 1 else "only", f"{ratios[place]:.3f}")
        key = key_of(f"{kind.name}-{place}")
        try:
            examples = examples_of(folder, kind, task, model)
            drawn = tuple(draw(f"{key}-{number}", example, examples) for number, example in enumerate(examples))
            shown = Shown(*about, drawn, tuple(legend(examples)), "" if drawn else "This task has no items to draw.")
        except UserError as error:
            shown = Shown(*about, sentence=f"No pictures: {str(error).rstrip('.')}.")
        except Exception as error:  # a kind of others may raise anything; the rest of the page must go on
            shown = Shown(*about, sentence=f"No pictures: {type(error).__name__}: {error}")
        yield shown


def examples_of(folder: Path, kind: Kind, task: str, model: str) -> Sequence[Example]:
    """What the kind shows of kept predictions.

    Raises
    ------
    UserError
        When the predictions or the data are not there any more, or the data has changed since.
    """
    import pandas as pd

    row = read_row(folder, stem(task, model)) or {}
    path = folder / str(row.get("predictions"))
    if not path.is_file():
        raise DataError("the predictions are not in the folder any more")
    spec = read_task(row["spec"], f"task {task}")
    data = kind.load(spec)
    if data.fingerprint != row["fingerprint"]:
        raise DataError("the data has changed since")
    return kind.examples(spec, data, pd.read_parquet(path))


def draw(key: str, example: Example, among: Sequence[Example]) -> Drawn:
    """The picture of one of the examples."""
    rank = example.rank if len(among) > 1 else "the only item"
    return Drawn(rank, f"{example.item}, {example.metric} {example.value:.3g}", picture(key, example))


def key_of(text: str) -> str:
    """The text as an id in the page."""
    return "".join(letter if letter.isalnum() else "-" for letter in text)
