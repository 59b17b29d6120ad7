"""`stillroom prompts evaluate`: how good a compressor is, beside what it must beat."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer


def evaluate(
    model: Annotated[str, typer.Argument(help="A compressor: a folder or hub id.")],
    on: Annotated[
        str,
        typer.Option(
            help="Where people kept words: google_sentcomp, qmsum, … (its val; NAME/test for another split) or a file "
            "that align wrote. Or contexts with gold answers: SQuAD's .json(.gz), or .jsonl with context and answers."
        ),
    ],
    rate: Annotated[list[float] | None, typer.Option(help="May be repeated; default 0.5 and 0.33.")] = None,
    language: Annotated[
        str | None, typer.Option(help="Whose clean sentences the baselines count, where the data does not say: en, …")
    ] = None,
    limit: Annotated[int | None, typer.Option(min=1, help="Take so many texts, the first.")] = None,
    requests: Annotated[
        Path | None, typer.Option(help="Write the questions of full and compressed contexts here, for a teacher.")
    ] = None,
    labels: Annotated[
        str | None, typer.Option(help="The label table that came back: exact match of its answers.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the numbers as JSON.")] = False,
) -> None:
    """Measure F1 against human deletions, answers that survive, and how exactly rates are met; baselines beside."""
    from stillroom.core.cli import echo_json
    from stillroom.core.errors import RecipeError
    from stillroom.prompts.report import report

    rates = tuple(rate or (0.5, 0.33))
    for one in rates:
        if not 0 < one <= 1:
            raise RecipeError(f"a rate is above 0 and at most 1, not {one:g}")
    found = report(model, on, rates, language=language, limit=limit, requests=requests, labels=labels)
    if as_json:
        echo_json(found)
    else:
        typer.echo(_table(found))


def _table(found: dict[str, Any]) -> str:
    """Return the numbers as text: a row a ranking, a column a rate."""
    lines = [f"{found['set']}: {found['texts']} texts, {found['words']} words"]
    for measure, what in {"F1": "F1 of the kept words", "survival": "gold answers that survive"}.items():
        if measure in found:
            columns = list(next(iter(found[measure].values())))
            lines += ["", f"{what:<26}" + "".join(f"{column:>10}" for column in columns)]
            for name, values in found[measure].items():
                lines.append(f"{name:<26}" + "".join(f"{value:>10.3f}" for value in values.values()))
    lines.append("")
    for rate, met in found["rates"].items():
        lines.append(
            f"rate {rate}: {met['rate']:.4f} of the tokens; the worst text is {met['worst_tokens']:.1f} tokens off"
        )
    for variant, values in found.get("exact_match", {}).items():
        as_full = f", {values['as_full']:.3f} as from the full context" if "as_full" in values else ""
        lines.append(f"answers, {variant}: {values['exact_match']:.3f} of {values['answers']} exact{as_full}")
    return "\n".join(lines)
