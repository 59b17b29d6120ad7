"""Charts of models: an interval a row of the leaderboard, and accuracy against what it costs.

They take plain numbers and know nothing of where these come from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup

from stillroom.bench.report.svg import Part, Scale, drawing, number, short, tag

ROW_WIDTH, ROW_HEIGHT = 150.0, 22.0
WIDTH, HEIGHT = 380.0, 310.0
LEFT, RIGHT, TOP, BOTTOM = 46.0, 14.0, 30.0, 44.0
NOWHERE = 58.0
"""Width of the strip left of a log axis, for what costs nothing."""
LETTER, LINE = 6.3, 13.0
"""About how wide and how high a letter of a label is: labels are placed before anything is measured."""
LONGEST = 26


def whiskers(rows: Sequence[tuple[str, float, float, float]], metric: str) -> tuple[Markup, list[Markup]]:
    """The axis and one drawing a row of (model, relative score, low, high): a dot with its interval, 1 marked."""
    bounds = [value for row in rows for value in row[1:] if value > 0]
    scale = Scale.around([*bounds, 1.0], 6.0, ROW_WIDTH - 6, "log")
    ticks = scale.ticks(4)
    axis = tag(
        "svg",
        *(tag("text", short(t), x=scale(t), y=ROW_HEIGHT - 7, text_anchor="middle") for t in ticks),
        *(tag("line", x1=scale(t), x2=scale(t), y1=ROW_HEIGHT - 4, y2=ROW_HEIGHT, class_="axis") for t in ticks),
        **_row("Scale of the drawings below: " + ", ".join(map(short, ticks))),
    )
    return axis, [_whisker(scale, *row, metric) for row in rows]


def _whisker(scale: Scale, model: str, value: float, low: float, high: float, metric: str) -> Markup:
    middle, one = ROW_HEIGHT / 2, scale(1.0)
    parts = [tag("line", x1=one, x2=one, y1=0, y2=ROW_HEIGHT, class_="one")]
    said = f"{model}: relative {metric} {value:.3f}"
    verdict = ""
    if math.isfinite(low):
        said += f", 95 % interval {low:.3f} to {high:.3f}"
        verdict = " better" if high < 1 else " worse" if low > 1 else ""
        parts.append(tag("line", x1=scale(low), x2=scale(high), y1=middle, y2=middle, class_=f"whisker{verdict}"))
    parts.append(tag("circle", cx=scale(value), cy=middle, r=4.5, class_=f"dot{verdict}"))
    return tag("svg", *parts, **_row(said))


def _row(said: str) -> dict[str, object]:
    size = {"width": ROW_WIDTH, "height": ROW_HEIGHT, "viewBox": f"0 0 {ROW_WIDTH:g} {ROW_HEIGHT:g}"}
    return {"class_": "row-chart", "role": "img", "aria-label": said, **size}


@dataclass(frozen=True)
class Point:
    """A model in a chart: `cost` to the right (0: in a strip of its own), `score` upwards; of both, less is better."""

    name: str
    cost: float
    score: float
    rank: int
    """Its place on the leaderboard, which stands for a name that has no room."""
    baseline: bool = False


def front(points: Sequence[Point]) -> list[Point]:
    """The Pareto front, cheapest first: those that no other point matches or beats in both and beats in one."""
    best: list[Point] = []
    for point in sorted(points, key=lambda point: (point.cost, point.score)):
        if not best or point.score < best[-1].score or (point.cost, point.score) == (best[-1].cost, best[-1].score):
            best.append(point)
    return best


def tradeoff(key: str, points: Sequence[Point], cost: str, score: str, free: str) -> Markup:
    """Accuracy against a cost, both on log axes; the front is joined by steps.

    Parameters
    ----------
    key
        Unique in the page.
    points
        At least one.
    cost, score
        What the axes say, units included.
    free
        What the strip says in which models without a cost stand.
    """
    paid = [point.cost for point in points if point.cost > 0]
    strip = NOWHERE if len(paid) < len(points) else 0.0
    span = [min(paid) / 2, *paid, 2 * max(paid)] if paid else []  # costs that differ by little should look so
    x = Scale.around(span, LEFT + strip, WIDTH - RIGHT, "log")
    y = Scale.around([1.0, *(point.score for point in points)], HEIGHT - BOTTOM, TOP, "log")
    places = {point: (x(point.cost) if point.cost > 0 else LEFT + strip / 2 - 4, y(point.score)) for point in points}
    best = front(points)
    named = "; ".join(f"{p.name}: {score} {p.score:.3f}, {cost} {short(p.cost) if p.cost else free}" for p in points)
    parts = [
        *_frame(x, y, strip, free, cost, score, bool(paid)),
        _steps([places[point] for point in best]),
        *(_dot(point, places[point], point in best) for point in points),
        *_labels(points, places, best, y(1)),
    ]
    title = f"{score} against {cost}"
    description = f"On the front, cheapest first: {', '.join(point.name for point in best)}. All: {named}."
    return drawing(key, WIDTH, HEIGHT, title, description, parts)


def _frame(x: Scale, y: Scale, strip: float, free: str, cost: str, score: str, paid: bool) -> Iterator[Part]:
    low, left, right = HEIGHT - BOTTOM, LEFT, WIDTH - RIGHT
    for tick in y.ticks(5):
        yield tag("line", x1=left, x2=right, y1=y(tick), y2=y(tick), class_="grid")
        yield tag("text", short(tick), x=left - 6, y=y(tick) + 4, text_anchor="end", class_="tick")
    yield tag("line", x1=left, x2=right, y1=y(1), y2=y(1), class_="one")
    for tick in x.ticks(5) if paid else []:
        yield tag("line", x1=x(tick), x2=x(tick), y1=low, y2=low + 4, class_="axis")
        yield tag("text", short(tick), x=x(tick), y=low + 17, text_anchor="middle", class_="tick")
    if strip:
        yield tag("line", x1=left, x2=left + strip - 8, y1=low, y2=low, class_="axis")
        yield tag("text", free, x=left + strip / 2 - 4, y=low + 17, text_anchor="middle", class_="tick")
    if paid:
        yield tag("line", x1=left + strip, x2=right, y1=low, y2=low, class_="axis")
    yield tag("text", f"{cost} · lower is better ←", x=right, y=HEIGHT - 6, text_anchor="end", class_="label")
    yield tag("text", f"↓ {score} · lower is better", x=4, y=14, class_="label")


def _steps(corners: Sequence[tuple[float, float]]) -> Markup:
    path = f"M{number(corners[0][0])} {number(corners[0][1])}"
    for (_, _), (across, down) in pairwise(corners):
        path += f"H{number(across)}V{number(down)}"
    return tag("path", d=path, class_="front")


def _dot(point: Point, place: tuple[float, float], best: bool) -> Markup:
    across, down = place
    look = "point best" if best else "point"
    if point.baseline:  # another shape: the one that all others are relative to
        diamond = f"M{number(across)} {number(down - 6)}l6 6l-6 6l-6-6z"
        return tag("path", d=diamond, class_=f"{look} baseline")
    return tag("circle", cx=across, cy=down, r=4.5, class_=look)


def _labels(
    points: Sequence[Point], places: dict[Point, tuple[float, float]], best: Sequence[Point], one: float
) -> Iterator[Markup]:
    """Names beside their points where they hide nothing, those of the front first; else the rank, or nothing."""
    taken = [(across - 6, down - 6, across + 6, down + 6) for across, down in places.values()]
    taken += [(LEFT, one - 1, WIDTH, one + 1)]
    for (left, top), (right, bottom) in pairwise([places[point] for point in best]):
        taken += [(left, top - 1, right, top + 1), (right - 1, min(top, bottom), right + 1, max(top, bottom))]
    for point in sorted(points, key=lambda point: (point not in best, point.rank)):
        for text in (clipped(point.name), f"{point.rank}"):
            place = _free(*places[point], LETTER * len(text), taken)
            if place is not None:
                left, top = place
                taken.append((left, top, left + LETTER * len(text), top + LINE))
                look = "name best" if point in best else "name"
                yield tag("text", text, x=left, y=top + LINE - 3, class_=look)
                break


def _free(
    across: float, down: float, width: float, taken: Sequence[tuple[float, float, float, float]]
) -> tuple[float, float] | None:
    """The left upper corner of a free place for a label near a point; a front falls to the right."""
    half = LINE / 2
    for left, top in (
        (across + 9, down - half),
        (across - 9 - width, down - half),
        (across + 6, down + 6),
        (across - 6 - width, down - 6 - LINE),
        (across - width / 2, down + 9),
        (across - width / 2, down - 9 - LINE),
        (across + 6, down - 6 - LINE),
        (across - 6 - width, down + 6),
    ):
        right, bottom = left + width, top + LINE
        inside = left >= LEFT + 2 and right <= WIDTH - 2 and top >= TOP - 8 and bottom <= HEIGHT - BOTTOM
        if inside and not any(left < r and x < right and top < b and y < bottom for x, y, r, b in taken):
            return left, top
    return None


def clipped(name: str) -> str:
    """The last part of a name of many, cut where a chart has no room for more."""
    name = name.rstrip("/").rpartition("/")[2]
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
