"""`stillroom prompts requests`: what to ask a teacher, so that its answers can train a compressor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer


def requests(
    file: Annotated[str, typer.Argument(help="Documents: .jsonl, .csv or .parquet; - is JSON Lines on stdin.")],
    field: Annotated[str, typer.Option(help="The column with the text.")] = "text",
    out: Annotated[Path, typer.Option(help="Where the request rows go, as JSON Lines.")] = Path("requests.jsonl"),
    prompt: Annotated[Path, typer.Option(help="Where the Prompt file goes.")] = Path("prompt.yaml"),
    chunk_tokens: Annotated[int, typer.Option(min=1, help="Tokens a chunk at most; published: 512.")] = 512,
    counter: Annotated[
        str, typer.Option(help="Counts the tokens: estimate, tiktoken:NAME, or a tokenizer's folder or hub id.")
    ] = "estimate",
) -> None:
    """Cut documents at sentence ends into request rows, and write the published instruction as a Prompt file.

    Ask a teacher with both, then give its answers to `stillroom prompts align`.
    """
    from stillroom.core.cli import progress
    from stillroom.core.errors import DataError
    from stillroom.core.runs import write_atomic
    from stillroom.core.tables import rows
    from stillroom.prompts import requests as room
    from stillroom.prompts.counters import counter as named

    lines = []
    with progress("cutting documents") as advance:
        for row in room.requests(rows(file), field, named(counter), chunk_tokens):
            lines.append(json.dumps(row, ensure_ascii=False) + "\n")
            advance()
    if not lines:
        raise DataError(f"{file} has no text to ask about")
    write_atomic(out, "".join(lines))
    write_atomic(prompt, room.prompt_file())
    typer.echo(f"{len(lines)} requests in {out}; the Prompt file is {prompt}", err=True)
