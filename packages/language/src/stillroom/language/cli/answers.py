"""`stillroom language generate | evaluate`: a student at work, and how good it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Rows = Annotated[Path, typer.Argument(help="A .jsonl, .csv or .parquet file, or a store of labels.")]
Form = Annotated[
    str | None,
    typer.Option(help="chat, plain, or a Jinja2 template. Default: what the Run was trained with, else chat."),
]
Room = Annotated[int | None, typer.Option(min=1, help="Tokens of an answer. Default: 1.5 times its prompt, and 16.")]
Column = Annotated[str, typer.Option(help="The column that is asked.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]


def generate(
    rows: Rows,
    model: Annotated[str, typer.Option(help="A Run, a folder, a hub id or the name of a mini.")],
    out: Annotated[Path | None, typer.Option(help="A .jsonl file. Default: JSON Lines on stdout.")] = None,
    input_column: Column = "input",
    form: Form = None,
    max_new_tokens: Room = None,
) -> None:
    """Answer every row of a file: its columns, `answer` and whether the answer was `finished`."""
    import json
    import sys

    from stillroom.core.runs import write_atomic
    from stillroom.language.family import load
    from stillroom.language.work import asked

    read, records = asked(rows, input_column)
    answerer = load(model)
    said = answerer.ask(read, answerer.prompt_of_form(form), max_new_tokens)
    lines = [
        json.dumps({**record, "answer": text, "finished": text is not None}, ensure_ascii=False)
        for record, text in zip(records, said.texts, strict=True)
    ]
    typer.echo(said.sentence, err=True)
    if out is None:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        return
    write_atomic(out, "".join(f"{line}\n" for line in lines))
    typer.echo(str(out))


def evaluate(
    rows: Rows,
    model: Annotated[list[str], typer.Option(help="A Run, a folder, a hub id or a mini; may be repeated.")],
    metric: Annotated[list[str] | None, typer.Option(help="A metric; may be repeated. Default: exact.")] = None,
    group: Annotated[str | None, typer.Option(help="The column of a slice, such as language. Default: group.")] = None,
    input_column: Column = "input",
    answer_column: Annotated[str, typer.Option(help="The column of the right answer.")] = "answer",
    form: Form = None,
    max_new_tokens: Room = None,
    as_json: Json = False,
) -> None:
    """Judge models on rows with right answers, beside the copy of the input and a column `teacher` if there is one."""
    from stillroom.core.cli import echo_json
    from stillroom.language.family import load
    from stillroom.language.judging import table
    from stillroom.language.metrics import metric as known
    from stillroom.language.rows import Columns, Source, read

    metrics = metric or ["exact"]
    for name in metrics:
        known(name)
    columns = Columns(input=input_column, answer=answer_column, group=group)
    found = read(Source(path=str(rows), columns=columns))
    typer.echo(found.report.sentence(), err=True)
    said = {}
    for name in model:
        answerer = load(name)
        told = answerer.ask(found.rows, answerer.prompt_of_form(form), max_new_tokens)
        typer.echo(f"{name}: {told.sentence}", err=True)
        said[name] = told.texts
    judged = table(found.rows, said, metrics)
    if as_json:
        echo_json(judged.rows())
        return
    typer.echo("\n".join(judged.lines()))
