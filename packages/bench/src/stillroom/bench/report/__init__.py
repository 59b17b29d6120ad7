"""The report: all that a folder of scores says, as one HTML file that needs nothing beside it.

    stillroom.bench.report.write(folder)      # folder/report.html

The page needs no script, asks the network for nothing (its own policy forbids it), and is the same for the same rows.
It knows kinds of tasks only by `kinds.Kind`: their leaderboards, the examples they give and what their metrics mean.
"""

from __future__ import annotations

import hashlib
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from markupsafe import Markup, escape

from stillroom.bench.report import provenance, troubles, words
from stillroom.bench.report.heatmap import LEGEND
from stillroom.bench.report.section import section
from stillroom.bench.rows import assemble
from stillroom.core.errors import DataError
from stillroom.core.runs import write_atomic

HERE = Path(__file__).parent


def write(folder: Path, out: Path | None = None) -> Path:
    """Write the report of a folder that `stillroom bench run` wrote; returns its path, by default FOLDER/report.html.

    Raises
    ------
    DataError
        When the folder holds no scores, or the file cannot be written.
    """
    page = render(folder)
    out = out or folder / "report.html"
    try:
        write_atomic(out, page)
    except OSError as error:
        raise DataError(f"the report cannot be written to {out}: {error.strerror or error}") from None
    return out


def render(folder: Path) -> str:
    """The page as text."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__name__, "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["soft"] = soft
    return environment.get_template("page.html.j2").render(**content(folder))


def soft(name: str) -> Markup:
    """A name that may be broken after `_`, `-` and `/` where there is little room."""
    return Markup(re.sub(r"([_/-]+)", r"\1<wbr>", str(escape(name))))


def content(folder: Path) -> dict[str, Any]:
    """Everything that the template shows."""
    from stillroom.bench.plausibility import flags

    script = (HERE / "sort.js").read_text(encoding="utf-8")
    scores = assemble(folder)
    tasks = provenance.specs(folder, scores)
    sections = [section(folder, scores[scores["kind"] == kind]) for kind in scores["kind"].unique()]
    boards = [part.board for part in sections if part.board]
    flagged = flags(scores)
    finished = sorted(scores["finished"].dropna())
    return {
        "style": (HERE / "style.css").read_text(encoding="utf-8"),
        "script": script,
        "script_hash": f"sha256-{b64encode(hashlib.sha256(script.encode()).digest()).decode()}",
        "suites": words.joined(sorted(scores["suite"].unique())),
        "sentences": [words.compared(scores, boards), words.failed(scores), words.doubts(scores, flagged)],
        "sections": sections,
        "legend": LEGEND,
        "fewest": words.FEWEST,
        "failed": troubles.failures(scores),
        "skipped": troubles.skips(scores),
        "flags": flagged.to_dict("records"),
        "leaks": troubles.leaks(scores),
        "notes": troubles.notes(scores),
        "dates": list(dict.fromkeys([finished[0][:10], finished[-1][:10]])) if finished else [],
        "seeds": sorted(scores["seed"].dropna().unique()),
        "commands": provenance.commands(scores, tasks, [board.baseline for board in boards]),
        "models": provenance.models(scores),
        "data": provenance.data(scores),
        "versions": provenance.versions(scores),
        "suite_file": provenance.as_suite(tasks),
        "suite_file_name": provenance.OWN,
    }
