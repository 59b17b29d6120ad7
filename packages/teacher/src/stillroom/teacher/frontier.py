"""The picture of a calibration: what a rate costs against how far its answers agree with those to the full prompt."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import DataError, MissingError

if TYPE_CHECKING:
    from stillroom.teacher.calibration import Calibration, Variant

INK, FAINT, CHOSEN = "#333333", "#999999", "#c2410c"


def require() -> None:
    """Raise MissingError where matplotlib is not installed: better before a pilot is paid for than after."""
    if find_spec("matplotlib") is None:
        raise MissingError("a plot needs matplotlib: pip install 'stillroom-teacher[plot]'")


def draw(found: Calibration) -> bytes:
    """Draw the agreement of each rate with its 95 % interval against its cost for 1,000 rows; returns a PNG.

    Where nothing is paid the cost is in prompt tokens a row.

    Raises
    ------
    DataError
        The API said nothing of its usage, so there is no cost.
    MissingError
        matplotlib is not installed.
    """
    require()
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: no display, no global state

    paid = any(one.usd_per_1000 for one in found.table)
    places = [
        (cost, one) for one in found.table if (cost := one.usd_per_1000 if paid else one.prompt_tokens) is not None
    ]
    if not places:
        raise DataError("there is nothing to draw: the API says nothing of the tokens it used")
    figure = Figure(figsize=(6.4, 4.0), layout="constrained", dpi=130)
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    right = 1.15 * max(cost for cost, _ in places)
    lowest = min([1 - found.tolerance, *(_bounds(one, found)[1] for _, one in places)])
    room = 1 - lowest
    axes.set_xlim(0, right)
    axes.set_ylim(lowest - 0.12 * room, 1 + 0.12 * room)
    _line(axes, 1 - found.tolerance, f"tolerated: {1 - found.tolerance:g}", (0, (4, 3)))
    if found.self_agreement is not None:
        _line(axes, found.self_agreement.mean, "the full prompt with itself", (0, (1, 2)))
    for cost, one in places:
        _point(axes, cost, one, found)
    axes.set_xlabel("USD for 1,000 rows" if paid else "prompt tokens a row", fontsize=9, color=INK)
    axes.set_title(f"Agreement with the full prompt ({found.measure}), {found.pilot:,} rows, 95 % intervals", fontsize=10,
                   loc="left", color=INK)  # fmt: skip
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=8, colors="#666666", length=3)
    axes.locator_params(axis="y", nbins=6)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bounds(one: Variant, found: Calibration) -> tuple[float, float, float]:
    """Mean, lower and upper bound; the full prompt is the measure of all, and agrees by definition."""
    agreement = one.agreement.get(found.measure)
    return (1.0, 1.0, 1.0) if agreement is None else (agreement.mean, agreement.low, agreement.high)


def _line(axes: Any, height: float, text: str, dashes: Any) -> None:
    axes.axhline(height, color=FAINT, linewidth=0.9, linestyle=dashes, zorder=0)
    axes.annotate(text, (0, height), xytext=(4, 3), textcoords="offset points", fontsize=8, color="#666666",
                  xycoords=("axes fraction", "data"))  # fmt: skip


def _point(axes: Any, cost: float, one: Variant, found: Calibration) -> None:
    """One rate: filled where it is safe, in colour where it is chosen, named beside its mean."""
    mean, low, high = _bounds(one, found)
    chosen = one.rate == found.chosen
    colour = CHOSEN if chosen else INK
    safe = one.verdict in ("full", "safe")
    axes.plot([cost, cost], [low, high], color=colour, linewidth=1.2, solid_capstyle="butt")
    axes.plot([cost], [mean], "o", markersize=6, color=colour, markerfacecolor=colour if safe else "white")
    name = "full prompt" if one.verdict == "full" else f"rate {one.rate:g}"
    text = f"{name}\n{'chosen' if chosen else one.verdict}" if chosen or one.verdict != "full" else name
    axes.annotate(text, (cost, mean), xytext=(6, 0), textcoords="offset points", fontsize=8, color=colour, va="center")
