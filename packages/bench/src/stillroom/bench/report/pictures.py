"""Pictures of single items: what was known, what came, what the model said; scores and thresholds on an axis below.

They draw any `stillroom.bench.examples.Example` and know no kind of task.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import groupby

import numpy as np
from markupsafe import Markup

from stillroom.bench.examples import Example, Line
from stillroom.bench.report.svg import Part, Scale, drawing, number, short, tag

WIDTH, MAIN, LOWER = 340.0, 170.0, 70.0
LEFT, RIGHT, TOP, GAP, BOTTOM = 46.0, 14.0, 8.0, 12.0, 34.0
BELOW = ("score", "threshold")
ORDER = ("history", "truth", "prediction", "score", "threshold")
"""Of drawing, so that answers lie on top, and of the legend."""
VARIANTS = 4
"""Looks of lines that have the same role, as the variables of one series do."""


def picture(key: str, example: Example) -> Markup:
    """Draw one item; `key` must be unique in the page."""
    above = [line for line in example.lines if line.role not in BELOW]
    below = [line for line in example.lines if line.role in BELOW]
    steps = np.concatenate([line.x for line in example.lines] + [band.x for band in example.bands])
    low, high = (steps.min(), steps.max()) if len(steps) else (0, 1)
    x = Scale(float(low), float(high), LEFT, WIDTH - RIGHT)
    panels: list[tuple[list[Line], Scale, float, float]] = []
    bottom = TOP
    for lines, height in ((above, MAIN), (below, LOWER)):
        if lines:
            top = bottom + (GAP if panels else 0)
            bottom = top + height
            values = [line.y for line in lines]
            if lines is above:
                values += [side for band in example.bands for side in (band.low, band.high)]
            panels.append((lines, Scale.around(np.concatenate(values), bottom, top), top, bottom))
    looks = {(line.role, line.name): look for line, look in styled([example])}
    parts: list[Part] = list(_spans(example, x, bottom))
    for lines, y, top, end in panels:
        parts += _axis(y, top, end)
        if lines is above:
            parts += [_band(x, y, band.x, band.low, band.high) for band in example.bands]
        for line in sorted(lines, key=lambda line: ORDER.index(line.role)):
            parts += _line(x, y, line, looks[line.role, line.name])
    parts += _steps(x, bottom)
    title = f"{example.item}, the {example.rank} by {example.metric} ({example.value:.4g})"
    return drawing(key, WIDTH, bottom + BOTTOM, title, "; ".join(_said(example)) + ".", parts, class_="picture")


def legend(examples: Sequence[Example]) -> list[tuple[str, str]]:
    """What is drawn, as (class, name), each once; of many lines of a role only the first and the last are named."""
    entries: list[tuple[str, str]] = []
    for _, group in groupby(styled(examples), key=lambda pair: pair[0].role):
        named = [(look, line.name) for line, look in group]
        if len(named) > VARIANTS:
            named = [(named[0][0], f"{named[0][1]} to {named[-1][1]}")]
        entries += named
    entries += [("band", band.name) for e in examples for band in e.bands]
    entries += [("span", span.name) for e in examples for span in e.spans]
    return list(dict.fromkeys(entries))


def styled(examples: Sequence[Example]) -> list[tuple[Line, str]]:
    """Every line by role and name, each once, with its class: lines of one role take turns in how they look."""
    lines = {(line.role, line.name): line for e in examples for line in e.lines}
    ordered = sorted(lines.values(), key=lambda line: ORDER.index(line.role))
    return [
        (line, f"{role} variant-{place % VARIANTS}" if place else role)
        for role, group in groupby(ordered, key=lambda line: line.role)
        for place, line in enumerate(group)
    ]


def thin(x: np.ndarray, y: np.ndarray, most: int) -> tuple[np.ndarray, np.ndarray]:
    """At most about so many points that draw the same line: the lowest and the highest value of each stretch."""
    if len(x) <= most:
        return x, y
    kept = []
    for part in np.array_split(np.arange(len(x)), most // 2):
        values = y[part]
        if np.isnan(values).all():
            kept.append(part[:1])
        else:
            kept.append(np.unique(part[[np.nanargmin(values), np.nanargmax(values)]]))
    chosen = np.concatenate(kept)
    return x[chosen], y[chosen]


def _spans(example: Example, x: Scale, bottom: float) -> Iterator[Markup]:
    for span in example.spans:
        left, right = x(span.start), x(span.end)
        width = max(right - left, 2.0)
        yield tag("rect", x=(left + right - width) / 2, y=TOP, width=width, height=bottom - TOP, class_="span")


def _axis(y: Scale, top: float, bottom: float) -> Iterator[Markup]:
    for tick in y.ticks(5 if bottom - top > LOWER else 3):
        yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=y(tick), y2=y(tick), class_="grid")
        yield tag("text", short(tick), x=LEFT - 6, y=y(tick) + 4, text_anchor="end", class_="tick")


def _steps(x: Scale, bottom: float) -> Iterator[Markup]:
    yield tag("line", x1=LEFT, x2=WIDTH - RIGHT, y1=bottom, y2=bottom, class_="axis")
    for tick in (tick for tick in x.ticks(6) if tick == round(tick)):
        yield tag("line", x1=x(tick), x2=x(tick), y1=bottom, y2=bottom + 4, class_="axis")
        yield tag("text", short(tick), x=x(tick), y=bottom + 16, text_anchor="middle", class_="tick")
    yield tag("text", "time step", x=WIDTH - RIGHT, y=bottom + 30, text_anchor="end", class_="label")


def _line(x: Scale, y: Scale, line: Line, look: str) -> Iterator[Markup]:
    """A path for each stretch without gaps; a value that stands alone is a dot."""
    across, down = thin(np.asarray(line.x, np.float64), np.asarray(line.y, np.float64), int(2 * WIDTH))
    points = np.stack([x.many(across), y.many(down)], axis=1)
    path = ""
    for stretch in np.split(points, np.flatnonzero(np.isnan(points[:, 1]))):
        stretch = stretch[~np.isnan(stretch[:, 1])]
        if len(stretch) == 1:
            yield tag("circle", cx=float(stretch[0, 0]), cy=float(stretch[0, 1]), r=2.2, class_=f"dot {look}")
        elif len(stretch):
            path += f"M{_joined(stretch)}"
    if path:
        yield tag("path", d=path, class_=f"line {look}")


def _band(x: Scale, y: Scale, steps: np.ndarray, low: np.ndarray, high: np.ndarray) -> Markup:
    seen = ~(np.isnan(low) | np.isnan(high))
    sides = []
    for side in (high, low):
        across, down = thin(np.asarray(steps[seen], np.float64), side[seen], int(WIDTH))
        points = np.stack([x.many(across), y.many(down)], axis=1)
        if len(points) == 1:  # wide enough to be seen
            points = np.add(points, [[-4.0, 0.0], [4.0, 0.0]])
        sides.append(points)
    outline = np.concatenate([sides[0], sides[1][::-1]])
    return tag("path", d=f"M{_joined(outline)}Z" if len(outline) else "", class_="band")


def _joined(points: np.ndarray) -> str:
    return "L".join(f"{number(across)} {number(down)}" for across, down in points)


def _said(example: Example) -> Iterator[str]:
    """What the picture shows, for those who do not see it."""
    for line in example.lines:
        seen = line.y[~np.isnan(line.y)]
        if len(seen):
            yield (
                f"{line.name}: steps {line.x[0]:g} to {line.x[-1]:g}, between {seen.min():.4g} and {seen.max():.4g}, "
                f"{seen.mean():.4g} on average"
            )
    for band in example.bands:
        if len(band.x):
            yield f"{band.name}: {np.nanmean(band.high - band.low):.4g} wide on average"
    for name in dict.fromkeys(span.name for span in example.spans):
        spans = [f"{span.start:g} to {span.end:g}" for span in example.spans if span.name == name]
        more = f" and {len(spans) - 10} more" if len(spans) > 10 else ""
        yield f"{name}: steps {', '.join(spans[:10])}{more}"
