"""The picture of a calibration: what a rate costs against how far its answers agree with those to the full prompt."""

from __future__ import annotations

from importlib.util import find_spec
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np

from stillroom.core.errors import DataError, MissingError

if TYPE_CHECKING:
    from stillroom.teacher.calibration import Calibration, Variant

CLOSE = 0.15  # of the width: names of points nearer than that would cover one another
TICKS = (1, 0.999, 0.995, 0.99, 0.98, 0.95, 0.9, 0.8, 0.65, 0.5, 0.25, 0)
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
    costs = [cost for cost, _ in places]
    width = max(costs) - min(costs) or max(costs) or 1.0
    bar, itself = 1 - found.tolerance, found.self_agreement
    heights = [bar] if itself is None else [bar, itself.mean]
    _near_one(axes, min([*heights, *(_bounds(one, found)[1] for _, one in places)]))
    axes.set_xlim(min(costs) - 0.15 * width, max(costs) + 0.15 * width)
    _line(axes, bar, f"tolerated: {bar:g}", (0, (4, 3)), above=bar > min(heights))
    if itself is not None:
        _line(axes, itself.mean, "the full prompt with itself", (0, (1, 2)), above=itself.mean >= bar)
    before, above = float("-inf"), True
    for cost, one in sorted(places, key=lambda place: place[0]):
        above = not above if cost - before < CLOSE * width else False
        _point(axes, cost, one, found, above)
        before = cost
    axes.set_xlabel("USD for 1,000 rows" if paid else "prompt tokens a row", fontsize=9, color=INK)
    title = f"Agreement with the full prompt ({found.measure}), {found.pilot:,} rows, 95 % intervals"
    axes.set_title(title, fontsize=10, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color(FAINT)
    axes.tick_params(labelsize=8, colors="#666666", length=3)
    buffer = BytesIO()
    figure.savefig(buffer, format="png", metadata={"Software": None})
    return buffer.getvalue()


def _bounds(one: Variant, found: Calibration) -> tuple[float, float, float]:
    """Mean, lower and upper bound; the full prompt is the measure of all, and agrees by definition."""
    agreement = one.agreement.get(found.measure)
    return (1.0, 1.0, 1.0) if agreement is None else (agreement.mean, agreement.low, agreement.high)


def _near_one(axes: Any, lowest: float) -> None:
    """Scale agreement by the root of what is missing to 1, so that a tolerance is seen beside a rate that fails."""
    depth = (1 - lowest) ** 0.5
    axes.set_yscale("function", functions=(lambda y: np.copysign(np.sqrt(abs(y - 1)), y - 1), _unscaled))
    axes.set_ylim(_unscaled(-1.2 * depth), _unscaled(0.2 * depth))
    shown, last = [], -1.0
    for tick in TICKS:
        if lowest <= tick and (1 - tick) ** 0.5 - last >= 0.1 * depth:
            shown.append(tick)
            last = (1 - tick) ** 0.5
    axes.set_yticks(shown, [f"{tick:g}" for tick in shown])
    axes.minorticks_off()


def _unscaled(place: Any) -> Any:
    return 1 + np.copysign(np.square(place), place)


def _line(axes: Any, height: float, text: str, dashes: Any, *, above: bool) -> None:
    axes.axhline(height, color=FAINT, linewidth=0.9, linestyle=dashes, zorder=0)
    axes.annotate(
        text, (1, height), xytext=(-4, 3 if above else -3), textcoords="offset points", fontsize=8, color="#666666",
        xycoords=("axes fraction", "data"), va="bottom" if above else "top", ha="right",  # cheap rates are on the left
    )  # fmt: skip


def _point(axes: Any, cost: float, one: Variant, found: Calibration, above: bool) -> None:
    """One rate: filled where it is safe, in colour where it is chosen, named at the end of its interval."""
    mean, low, high = _bounds(one, found)
    colour = CHOSEN if one.rate == found.chosen else INK
    safe = one.verdict in ("full", "safe")
    axes.plot([cost, cost], [low, high], color=colour, linewidth=1.2, solid_capstyle="butt")
    axes.plot([cost], [mean], "o", markersize=6, color=colour, markerfacecolor=colour if safe else "white")
    said = ["full prompt" if one.verdict == "full" else f"rate {one.rate:g}"]
    said += ["chosen"] if one.rate == found.chosen else [one.verdict] if one.verdict != "full" else []
    axes.annotate(
        "\n".join(said), (cost, high if above else low), xytext=(0, 6 if above else -6), textcoords="offset points",
        fontsize=8, color=colour, ha="center", va="bottom" if above else "top",
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )  # fmt: skip
