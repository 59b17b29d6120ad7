"""The picture of a comparison: what trainings reached against how many parameters they moved."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from itertools import cycle
from typing import Any

from stillroom.core.errors import MissingError
from stillroom.language.comparison import Comparison, Line

INK, FAINT = "#333333", "#999999"
COLOURS = ("#c2410c", "#1d4ed8", "#15803d", "#7e22ce", "#0e7490", "#a16207", "#be185d", "#4d7c0f", "#475569")
MARKS = "osD^vP*X"


def require() -> None:
    """Raise MissingError where matplotlib is not installed: better before trainings than after."""
    if find_spec("matplotlib") is None:
        raise MissingError("a plot needs matplotlib: pip install 'stillroom-language[plot]'")


def draw(found: Comparison) -> bytes:
    """Draw the quality of every training against the parameters it moved, on a logarithmic scale; returns a PNG.

    A method has its colour, a number of labels (with a student, where there are several) its mark; ranks of a method
    are joined, and a bar spans the seeds. Broken lines say what costs no training: the copy, and each student as it
    was.

    Raises
    ------
    MissingError
        matplotlib is not installed.
    """
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: no display, no global state
    from matplotlib.lines import Line2D
    from matplotlib.ticker import FuncFormatter, LogLocator

    lines = found.lines()
    methods = dict(zip(dict.fromkeys(line.method for line in lines), cycle(COLOURS), strict=False))
    scales = dict(zip(dict.fromkeys(_scale(found, line) for line in lines), cycle(MARKS), strict=False))
    figure = Figure(figsize=(7.2, 4.2), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.set_xscale("log")
    series: dict[tuple[str, str], list[Line]] = {}
    for line in lines:
        series.setdefault((line.method, _scale(found, line)), []).append(line)
    for (method, scale), those in series.items():
        _series(axes, those, methods[method], scales[scale])
    for value, names in _floors(found).items():
        axes.axhline(value, color=FAINT, linewidth=0.9, linestyle=(0, (4, 3)), zorder=0)
        axes.annotate(
            ", ".join(names), (1, value), xytext=(-4, 3), textcoords="offset points", fontsize=7, color="#666666",
            xycoords=("axes fraction", "data"), ha="right",
        )  # fmt: skip
    keys = [Line2D([], [], color=colour, marker="o", linewidth=1, label=name) for name, colour in methods.items()]
    if len(scales) > 1:
        keys += [Line2D([], [], color=INK, marker=mark, linestyle="", label=scale) for scale, mark in scales.items()]
    figure.legend(handles=keys, loc="outside right upper", frameon=False, fontsize=8)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _count(value)))
    axes.minorticks_off()
    axes.set_xlabel("trained parameters", fontsize=9, color=INK)
    axes.set_title(f"{found.metric} on rows that no training saw, in hundredths", fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=8, colors="#666666", length=3)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _series(axes: Any, lines: list[Line], colour: str, mark: str) -> None:
    """A method at its ranks; hollow where the gate kept none of the seeds."""
    lines = sorted(lines, key=lambda line: line.mean("trained"))
    places = [(line.mean("trained"), 100 * line.mean("quality")) for line in lines]
    axes.plot(*zip(*places, strict=True), color=colour, linewidth=1, alpha=0.6, zorder=1)
    for line, (trained, quality) in zip(lines, places, strict=True):
        low, high = line.spread("quality")
        axes.plot([trained, trained], [100 * low, 100 * high], color=colour, linewidth=1.2)
        filled = any(one.kept for one in line.entries)
        axes.plot([trained], [quality], mark, color=colour, markersize=6, markerfacecolor=colour if filled else "white")


def _floors(found: Comparison) -> dict[float, list[str]]:
    """What costs no training, by its quality to a tenth: names that would cover one another stand on one line."""
    named: dict[float, list[str]] = {}
    for name, value in found.floors().items():
        named.setdefault(round(100 * value, 1), []).append(name)
    return named


def _scale(found: Comparison, line: Line) -> str:
    labels = f"{line.labels:,} labels"
    return f"{found.names[line.student]}, {labels}" if len(found.names) > 1 else labels


def _count(value: float) -> str:
    for size, unit in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
