"""The last chapter: a picture of forecasts, and one page with all that was found, which needs nothing beside it."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from stillroom.core.runs import versions, write_atomic
from stillroom.demo.picture import VIEWS, draw
from stillroom.demo.tour import Result, Table, Tour

ABOUT = "Draw forecasts of six real series, and write one page with all that was found."
TAKES = "a few seconds"
BEFORE = ("forecast", "adapt", "distill", "compress", "label", "student")

CAPTION = (
    "The last windows of six of the sets: history, the model's median and 80 % band, and what came (dashed). The model "
    "was not fitted to them."
)
LEADERBOARD = '<p><a href="leaderboard.html">The leaderboard in full</a>: set by set, with intervals and pictures.</p>'
STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; color: #222; max-width: 58rem; margin: 2rem auto; padding: 0 1rem; }
h1, h2 { line-height: 1.2; font-weight: 600; } h2 { margin-top: 2.2rem; }
table { border-collapse: collapse; margin: 1rem 0; font-variant-numeric: tabular-nums; }
caption { text-align: left; color: #666; font-size: .9em; padding-bottom: .3rem; }
th, td { padding: .2rem .8rem; text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
thead th { border-bottom: 1px solid #999; font-weight: 600; }
figure { margin: 1.5rem 0; } img { width: 100%; } figcaption, footer { color: #666; font-size: .9em; }
"""


def run(tour: Tour, views: int = len(VIEWS)) -> Result:
    """Draw the picture, and write the page with what the chapters before found; `views` draws only the first so many.

    A chapter that has not run with these weights is left out, and named.
    """
    picture = draw(tour.model, VIEWS[:views])
    results = {chapter: tour.kept(chapter) for chapter in BEFORE}
    write_atomic(tour.out / "forecasts.png", picture)
    write_atomic(tour.out / "index.html", page(tour, [result for result in results.values() if result], picture))
    left_out = [chapter for chapter, result in results.items() if not result]
    return Result(
        "The page",
        ["One page with the picture and the tables of all chapters."]
        if not left_out
        else [f"The page leaves out what has not run with this model: {', '.join(left_out)}."],
        numbers={"left_out": left_out},
        files=[str(tour.out / "index.html"), str(tour.out / "forecasts.png")],
    )


def page(tour: Tour, results: Sequence[Result], picture: bytes) -> str:
    """Write the page as HTML."""
    made = ", ".join(f"{name} {version}" for name, version in versions().items() if name in ("python", "torch"))
    return f"""<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Stillroom: what small models can do</title>
<style>{STYLE}</style>
<h1>What small models can do</h1>
<p>Everything here was computed on one machine, on real series and texts that come with statsmodels, on made-up
remarks of guests and made-up sentences with mistakes; the series by <b>{escape(tour.title)}</b>, a
{escape(tour.model.title)} of
{tour.parameters:,} parameters. Nothing but weights came ready.</p>
<figure>{_image(picture, CAPTION)}
<figcaption>{escape(CAPTION)}</figcaption></figure>
{"".join(_section(tour, result) for result in results)}
{LEADERBOARD if (tour.out / "leaderboard.html").is_file() else ""}
<footer><p>Written by <code>stillroom demo</code> on {datetime.now(UTC):%Y-%m-%d} ({escape(made)}; weights
{tour.weights}).</p></footer>
</html>
"""


def _section(tour: Tour, result: Result) -> str:
    sentences = "".join(f"<p>{escape(sentence)}</p>\n" for sentence in result.sentences)
    drawn = [path for name in result.pictures if (path := tour.out / name).is_file()]
    pictures = "".join(f"<figure>{_image(path.read_bytes(), result.title)}</figure>\n" for path in drawn)
    return f"<h2>{escape(result.title)}</h2>\n{sentences}{''.join(map(_table, result.tables))}{pictures}"


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def _table(table: Table) -> str:
    head = "".join(f"<th>{escape(column)}</th>" for column in table.columns)
    body = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in row)}</tr>\n" for row in table.rows)
    caption = f"<caption>{escape(table.caption)}</caption>"
    return f"<table>{caption}<thead><tr>{head}</tr></thead>\n<tbody>\n{body}</tbody></table>\n"
