"""The pictures of the chapter of four jobs, one a job. Whatever was computed comes from `units`."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.demo.picture import FORECAST as OURS
from stillroom.demo.picture import INK

if TYPE_CHECKING:
    from stillroom.demo.units import Filled, Forecast, Told, Watched

THEIRS, SHADE, GREY = "#2563a8", "#e8e4da", "#999999"
HISTORY = 156  # weeks that are shown before the forecast
MOTION = "walking"  # of the test part's motions, the first of this kind is shown
SENSORS = ("acceleration x", "acceleration y", "acceleration z", "turning x", "turning y", "turning z")
MOVEMENTS = {"1": "draws a gun", "2": "points a finger"}
AROUND = 400  # steps that are shown before and after the anomaly


def forecast(done: Forecast) -> bytes:
    """Draw the end of the history, the fan of quantiles, seasonal naive and what came; returns a PNG."""
    figure, [axes] = _figure(1, height=3.4)
    past = done.window.past
    times = past.timestamps(past.items[0], ahead=len(done.truth)).to_pydatetime()
    before, ahead = times[: -len(done.truth)][-HISTORY:], times[-len(done.truth) :]
    axes.plot(before, past.items[0].target[0][-HISTORY:], color=INK, linewidth=1.1, label="history")
    levels = done.quantiles.shape[1]
    for low in range(levels // 2):  # nested bands of one faint colour make the fan
        fan = done.quantiles[:, low], done.quantiles[:, levels - 1 - low]
        label = "bands of 80, 60, 40 and 20 %" if low == 0 else None
        axes.fill_between(ahead, *fan, color=OURS, alpha=0.13, linewidth=0, label=label)
    axes.plot(ahead, done.quantiles[:, levels // 2], color=OURS, linewidth=1.5, label="median")
    axes.plot(ahead, done.naive, color=THEIRS, linewidth=1.1, label="seasonal naive")
    axes.plot(ahead, done.truth, color=INK, linewidth=1.1, linestyle=(0, (2, 1.5)), label="what came")
    axes.set_title("Forecast: CO₂ on Mauna Loa, ppm, weekly", fontsize=10, loc="left", color=INK)
    _legend(figure, [axes])
    return _png(figure)


def impute(done: Filled) -> bytes:
    """Draw one motion, sensor by sensor, with what was hidden of it and both fillings; returns a PNG."""
    figure, panels = _figure(len(SENSORS), columns=2, height=1.6)
    place = int(np.argmax(done.labels == MOTION))
    title = f"Impute: a watch's six sensors, its wearer {done.labels[place]}; gaps of half a second"
    figure.suptitle(title, fontsize=10, x=0.01, ha="left", color=INK)
    seconds = np.arange(done.truth.shape[2]) / 10
    for number, (axes, sensor) in enumerate(zip(panels, SENSORS, strict=True)):
        truth, hidden = done.truth[place, number], done.hidden[place, number]
        for first, last in _stretches(hidden):
            axes.axvspan(seconds[first] - 0.05, seconds[last] + 0.05, color=SHADE, linewidth=0)
        axes.plot(seconds, np.where(hidden, np.nan, truth), color=INK, linewidth=1.1, label="observed")
        for values, colour, style, label in (
            (truth, INK, (0, (2, 1.5)), "hidden"),
            (done.lines[place, number], THEIRS, "-", "straight lines"),
            (done.filled[place, number], OURS, "-", "the network"),
        ):
            near = np.convolve(hidden, [1, 1, 1], mode="same") > 0  # so that it meets what was observed
            axes.plot(
                seconds, np.where(near, values, np.nan), color=colour, linestyle=style, linewidth=1.3, label=label
            )
        axes.set_title(sensor, fontsize=9, loc="left", color=INK)
    for axes in panels[-2:]:
        axes.set_xlabel("seconds", fontsize=8, color="#666666")
    _legend(figure, panels[:1])
    return _png(figure)


def classify(done: Told) -> bytes:
    """Draw the test part's movements, a panel a class, and those that were told wrong in colour; returns a PNG."""
    classes = done.split.classes.tolist()
    figure, panels = _figure(len(classes), columns=2, height=3.2)
    for axes, label in zip(panels, classes, strict=True):
        mine = np.flatnonzero(done.split.test_labels == label)
        wrong = done.said[mine] != label
        for place in mine[~wrong]:
            axes.plot(done.split.test[place][0], color=INK, linewidth=0.6, alpha=0.35)
        for place in mine[wrong]:
            axes.plot(done.split.test[place][0], color=OURS, linewidth=1.2)
        title = f"Classify: a hand {MOVEMENTS.get(label, label)}, {int((~wrong).sum())} of {len(mine)} told right"
        axes.set_title(title, fontsize=10, loc="left", color=INK)
        axes.set_xlabel("steps", fontsize=8, color="#666666")
    heights = [axes.get_ylim() for axes in panels]
    for axes in panels:
        axes.set_ylim(min(low for low, _ in heights), max(high for _, high in heights))
    panels[0].plot([], [], color=INK, linewidth=0.9, label="told right")
    panels[0].plot([], [], color=OURS, linewidth=1.2, label="told wrong")
    _legend(figure, panels)
    return _png(figure)


def detect(done: Watched) -> bytes:
    """Draw how strange each step of the record is, and the record itself around its anomaly; returns a PNG."""
    figure, [whole, near] = _figure(2, height=2.3)
    steps = done.item.train.shape[1] + np.arange(len(done.scores))
    places = np.flatnonzero(done.item.truth)
    first, last = steps[places[0]], steps[places[-1]]
    whole.plot(steps, done.scores, color=INK, linewidth=0.7, label="how strange")
    whole.axhline(done.threshold, color=THEIRS, linewidth=1.1, label="threshold, of the training part")
    whole.axvspan(first, last, color=GREY, alpha=0.35, linewidth=3, zorder=0)  # a few steps would be a hair
    whole.set_title("Detect: how strange each step of a patient's record is", fontsize=10, loc="left", color=INK)
    part = slice(max(places[0] - AROUND, 0), places[-1] + AROUND)
    values, alarms = done.item.test[0][part], (done.scores > done.threshold)[part]
    near.axvspan(first - 0.5, last + 0.5, color=GREY, alpha=0.35, linewidth=0, zorder=0, label="labelled anomaly")
    near.plot(steps[part], values, color=INK, linewidth=1.1)
    near.plot(steps[part][alarms], values[alarms], color=OURS, marker=".", linestyle="", label="alarms")
    near.set_title("The record around its anomaly", fontsize=10, loc="left", color=INK)
    near.set_xlabel("steps", fontsize=8, color="#666666")
    _legend(figure, [whole, near])
    return _png(figure)


def _stretches(flags: np.ndarray) -> list[tuple[int, int]]:
    """First and last place of every run of True."""
    from stillroom.series.anomalies import ranges

    starts, stops = ranges(flags)
    return list(zip(starts.tolist(), (stops - 1).tolist(), strict=True))


def _figure(panels: int, *, height: float, columns: int = 1) -> tuple[Any, list[Any]]:
    """A figure of so many panels, each so many inches high, and the panels row by row."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: no display, no global state

    rows = -(-panels // columns)
    figure = Figure(figsize=(9.0, height * rows + 0.4), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    found = [figure.add_subplot(rows, columns, number + 1) for number in range(panels)]
    for axes in found:
        axes.spines[["top", "right"]].set_visible(False)
        axes.spines[["left", "bottom"]].set_color(GREY)
        axes.tick_params(labelsize=8, colors="#666666", length=3)
        axes.margins(x=0.01)
        axes.locator_params(axis="y", nbins=5)
    return figure, found


def _legend(figure: Any, panels: Sequence[Any]) -> None:
    """Name the lines below all panels, where the names cover nothing."""
    named = [axes.get_legend_handles_labels() for axes in panels]
    handles = [handle for own, _ in named for handle in own]
    labels = [label for _, own in named for label in own]
    figure.legend(
        handles, labels, loc="outside lower left", ncols=len(labels), fontsize=8, frameon=False, labelcolor=INK
    )


def _png(figure: Any) -> bytes:
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()
