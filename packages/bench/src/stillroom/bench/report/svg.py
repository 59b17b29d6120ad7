"""Drawing: elements of SVG as escaped text, scales from values to pixels, and ticks at round numbers.

It knows no scores and no colours: elements carry classes, and the style sheet of the page says how they look in the
light and in the dark.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from markupsafe import Markup, escape

Part = str | Markup


def tag(name: str, *parts: Part, **attributes: object) -> Markup:
    """An element. Text is escaped; `class_` stands for `class`, `text_anchor` for `text-anchor`; None is left out."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else escape(value)}"'
        for key, value in attributes.items()
        if value is not None
    )
    return Markup(f"<{name}{written}>{''.join(escape(part) for part in parts)}</{name}>")


def drawing(
    key: str, width: float, height: float, title: str, description: str, parts: Iterable[Part], class_: str = "chart"
) -> Markup:
    """An `<svg>` that reads out its title and description; `key` must be unique in the page."""
    return tag(
        "svg",
        tag("title", title, id=f"{key}-title"),
        tag("desc", description, id=f"{key}-desc"),
        *parts,
        **{
            "class_": class_,
            "viewBox": f"0 0 {number(width)} {number(height)}",
            "role": "img",
            "aria-labelledby": f"{key}-title",
            "aria-describedby": f"{key}-desc",
        },
    )


def number(value: float) -> str:
    """Coordinates to a tenth of a pixel."""
    return f"{value:.1f}".removesuffix(".0")


@dataclass(frozen=True)
class Scale:
    """Takes values from `low` to `high` to pixels from `start` to `end` (which may be less than `start`)."""

    low: float
    high: float
    start: float
    end: float
    kind: Literal["linear", "log"] = "linear"

    def __call__(self, value: float) -> float:
        """Pixels of one value."""
        return float(self.many(np.array([value]))[0])

    def many(self, values: np.ndarray) -> np.ndarray:
        """Pixels of values, NaN where there is none."""
        low, high = self.low, self.high
        if self.kind == "log":
            low, high, values = math.log(low), math.log(high), np.log(values)
        return self.start + (values - low) / ((high - low) or 1.0) * (self.end - self.start)

    @classmethod
    def around(
        cls, values: Iterable[float], start: float, end: float, kind: Literal["linear", "log"] = "linear"
    ) -> Scale:
        """A scale with all finite `values` inside, and a little room at both ends; those of a log scale are > 0."""
        finite = [value for value in values if math.isfinite(value)]
        low, high = (min(finite), max(finite)) if finite else (1.0, 1.0)
        if kind == "log":
            room = max((high / low) ** 0.06, 1.02)
            return cls(low / room, high * room, start, end, kind)
        room = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        return cls(low - room, high + room, start, end, kind)

    def ticks(self, most: int = 6) -> list[float]:
        """At most so many round numbers inside."""
        if self.kind == "linear" or self.high / self.low < 4:
            return round_numbers(self.low, self.high, most)
        decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
        for digits in ((1, 2, 5), (1, 3), (1,)):
            ticks = [t for decade in decades for d in digits if self.low <= (t := d * 10.0**decade) <= self.high]
            if len(ticks) <= most:
                return ticks
        return ticks[:: -(-len(ticks) // most)]


def round_numbers(low: float, high: float, most: int) -> list[float]:
    """Multiples of 1, 2 or 5 times a power of ten between two numbers, at most so many."""
    if not high > low:
        return []
    rough = (high - low) / most
    power = 10.0 ** math.floor(math.log10(rough))
    for step in (power * d for d in (1, 2, 5, 10, 20)):
        first = math.ceil(low / step - 1e-9)
        ticks = [i * step for i in range(first, math.floor(high / step + 1e-9) + 1)]
        if len(ticks) <= most:
            break
    return ticks


def short(value: float) -> str:
    """A number for an axis: 0.85, 12, 1,500, 20k, 3M."""
    size = abs(value)
    for least, unit in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if size >= least:
            return f"{value / 10 ** (3 * math.floor(math.log10(least) / 3)):.4g}{unit}"
    if 0 < size < 1e-4:
        return f"{value:.0e}".replace("e-0", "e-").replace("-", "−")
    return (f"{value:,.0f}" if size >= 1000 else f"{value:.4g}").replace("-", "−")
