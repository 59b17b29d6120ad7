"""The quality of a label table as one HTML page that needs nothing beside it and asks the network for nothing.

It shows what `quality.measure` found. Answers come from strangers, so everything is escaped, and the page's own policy
forbids scripts.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def render(measured: Mapping[str, Any]) -> str:
    """Return the page of what `quality.measure` returned."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": _percent, "number": _number, "names": _names}
    return environment.get_template("quality_report.html.j2").render(**measured)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.1%}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:.3g}"


def _names(row_ids: list[str]) -> str:
    return ", ".join(row_ids) or "–"
