"""The picture: six real series, what a model said would come, and what came."""

from __future__ import annotations

from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from stillroom.core.protocols import Forecaster
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import Window

LEVELS = (0.1, 0.5, 0.9)
INK, FORECAST = "#333333", "#c2410c"


@dataclass(frozen=True)
class View:
    """One series of the suite `demo-forecast`, and how it is shown: `steps` of history before its last window."""

    task: str
    item: str
    title: str
    steps: int


VIEWS = (
    View("co2", "co2", "CO₂ on Mauna Loa, ppm, weekly", 156),
    View(
        "elec_equip",
        "STS.M.I7.W.TOVT.NS0016.4.000",
        "Turnover of electrical equipment makers, euro area, index, monthly",
        60,
    ),
    View("elnino", "TEMPERATURE", "Sea surface temperature, El Niño region, °C, monthly", 60),
    View("sunspots", "SUNACTIVITY", "Sunspots, yearly", 66),
    View("macrodata", "unemp", "US unemployment, %, quarterly", 48),
    View("fertility", "India", "Births a woman, India, yearly", 30),
)


def draw(model: Forecaster, views: Sequence[View] = VIEWS) -> bytes:
    """Forecast the last window of each view and draw them all; returns a PNG."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: no display, no global state
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    from stillroom.bench.kinds import kind_of
    from stillroom.bench.tasks import load_suite

    tasks = {task.id: task for task in load_suite("demo-forecast").tasks}
    columns = min(2, len(views))
    rows = -(-len(views) // columns)
    figure = Figure(figsize=(6.0 * columns, 2.6 * rows), layout=ConstrainedLayoutEngine(hspace=0.08), dpi=130)
    FigureCanvasAgg(figure)
    for number, view in enumerate(views):
        data = kind_of("forecast").load(tasks[view.task])
        window, truth = data.windows[-1]
        place = [item.item_id for item in window.past].index(view.item)
        forecast = np.asarray(model.predict(window, LEVELS))[place, 0]
        axes = figure.add_subplot(rows, columns, number + 1)
        _panel(axes, view, window, place, truth[place, 0], forecast, labelled=number == 0)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _panel(
    axes: Any, view: View, window: Window, place: int, truth: np.ndarray, forecast: np.ndarray, *, labelled: bool
) -> None:
    """One series: history and truth in ink, the forecast in colour; `labelled` names them where they are."""
    item = window.past.items[place]
    times = _times(window.past, item, window.prediction_length)
    past, ahead = times[: item.length][-view.steps :], times[item.length :]
    history = item.target[0][-view.steps :]
    axes.plot(past, history, color=INK, linewidth=1.1)
    since, came = [past[-1], *ahead], [history[-1], *truth]  # reality has no gap where the forecast begins
    axes.plot(since, came, color=INK, linewidth=1.1, linestyle=(0, (2, 1.5)))
    axes.fill_between(ahead, forecast[:, 0], forecast[:, 2], color=FORECAST, alpha=0.18, linewidth=0)
    axes.plot(ahead, forecast[:, 1], color=FORECAST, linewidth=1.5)
    axes.set_title(view.title, fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#999999")
    axes.tick_params(labelsize=8, colors="#666666", length=3)
    axes.margins(x=0.01)
    axes.locator_params(axis="y", nbins=5)
    if labelled:
        _label(axes, past, history, ahead, truth, forecast)


def _label(axes: Any, past: Any, history: np.ndarray, ahead: Any, truth: np.ndarray, forecast: np.ndarray) -> None:
    """Write at the end of each line what it is, apart from one another."""
    axes.annotate("history", (past[len(past) // 3], np.nanmax(history)), color=INK, fontsize=8, ha="center")
    ends = [
        (forecast[-1, 2], "80 % band", FORECAST),
        (forecast[-1, 1], "median", FORECAST),
        (truth[-1], "what came", INK),
    ]
    low, high = axes.get_ylim()
    apart, lowest = 0.09 * (high - low), np.inf
    for value, text, colour in sorted(ends, key=lambda end: -end[0]):
        lowest = min(value, lowest - apart)
        axes.annotate(
            text, (ahead[-1], lowest), xytext=(4, 0), textcoords="offset points", color=colour, fontsize=8, va="center",
            annotation_clip=False,
        )  # fmt: skip


def _times(panel: Panel, item: Item, ahead: int) -> Any:
    return panel.timestamps(item, ahead=ahead).to_pydatetime()
