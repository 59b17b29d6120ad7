"""`stillroom prompts compress`: a text, chat messages or a million rows, with their least telling words left out."""

from __future__ import annotations

import json
import os
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

if TYPE_CHECKING:
    from stillroom.prompts.compressed import Compressed
    from stillroom.prompts.compressor import Compressor


def compress(
    file: Annotated[str, typer.Argument(help="A text; - is standard input.")],
    model: Annotated[
        str, typer.Option(help="A mini, or the folder or hub id of a token classifier with two labels.")
    ] = "compressor",
    rate: Annotated[float | None, typer.Option(help="The share of tokens to keep, above 0 and up to 1.")] = None,
    target_tokens: Annotated[int | None, typer.Option(help="Instead of a rate: a cap on the tokens left.")] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Instead of a rate: keep words that the model gives this probability.")
    ] = None,
    counter: Annotated[
        str | None,
        typer.Option(
            help="Counts the tokens: estimate, tiktoken:NAME, or a tokenizer's folder or hub id; default: the model's."
        ),
    ] = None,
    keep: Annotated[list[str] | None, typer.Option(help="A regular expression: what it matches stays.")] = None,
    protect: Annotated[
        str | None, typer.Option(help="Kinds of text that stay, with commas between, or none; default: all kinds.")
    ] = None,
    question: Annotated[str | None, typer.Option(help="Prefer what speaks of this question.")] = None,
    jsonl: Annotated[
        bool,
        typer.Option("--jsonl", help="FILE is rows (.jsonl, .csv, .parquet; - is JSON Lines), to JSON Lines."),
    ] = False,
    field: Annotated[str | None, typer.Option(help="Where rows have it; default: text, or messages.")] = None,
    messages: Annotated[
        bool, typer.Option("--messages", help="It is chat messages: JSON, a list of objects with role and content.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option(help="Where the result goes, whole or not at all, instead of stdout.")
    ] = None,
    show: Annotated[bool, typer.Option("--show", help="Print the original, with what goes struck out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print text and numbers as one JSON document.")] = False,
) -> None:
    """Leave the least telling words of a text out, and print what is left; the numbers go to stderr."""
    from stillroom.core.errors import RecipeError
    from stillroom.prompts.counters import counter as named
    from stillroom.prompts.family import find
    from stillroom.prompts.options import Options
    from stillroom.prompts.protection import spans

    asked: dict[str, Any] = {"rate": rate, "target_tokens": target_tokens, "threshold": threshold, "question": question}
    asked["keep"] = tuple(keep or ())
    if protect is not None:
        asked["protect"] = [kind.strip() for kind in protect.split(",")] if protect != "none" else []
    options = Options.read(asked)
    spans("", options.protect, options.keep)  # mistakes are to be found before a model is loaded
    if not options.says_how_much:
        raise RecipeError("how much is to stay? Give --rate 0.5 (the share of tokens), --target-tokens or --threshold")
    if jsonl and (show or (as_json and out is None)):
        raise RecipeError(f"{'--show takes one text' if show else '--json beside rows needs --out'}: not with --jsonl")
    if field is not None and not jsonl:
        raise RecipeError("--field names a column of rows: give --jsonl, too")
    if counter is not None:
        asked["counter"] = named(counter)
    if out is not None:
        _writable(out)
    if jsonl:
        _rows(find(model), file, field or ("messages" if messages else "text"), messages, asked, out, as_json)
    else:
        prompt = _messages(file) if messages else _text(file)
        _one(find(model), prompt, asked, out, show, as_json)


def _one(
    compressor: Compressor, prompt: Any, asked: dict[str, Any], out: Path | None, show: bool, as_json: bool
) -> None:
    from stillroom.core.cli import echo_json
    from stillroom.core.runs import write_atomic

    began = time.perf_counter()
    result = compressor.compress(prompt, **asked)
    numbers = _Numbers().plus(result)._replace(seconds=time.perf_counter() - began)
    left = result.text
    if result.messages is not None:
        left = json.dumps(result.messages, ensure_ascii=False, indent=2) + "\n"
    if out is not None:
        write_atomic(out, left)
    if show:
        _show(prompt, result)
    elif as_json:
        whole = {"messages": result.messages} if result.messages is not None else {"text": left}
        echo_json({**whole, "kept": result.kept, **numbers.plain()})
    elif out is None:
        sys.stdout.buffer.write(left.encode())
        if sys.stdout.isatty() and not left.endswith("\n"):
            typer.echo()
    typer.echo(numbers.sentence(), err=True)


def _rows(
    compressor: Compressor,
    file: str,
    field: str,
    messages: bool,
    asked: dict[str, Any],
    out: Path | None,
    as_json: bool,
) -> None:
    from stillroom.core.cli import echo_json, progress
    from stillroom.core.errors import DataError
    from stillroom.core.runs import writing_atomic
    from stillroom.core.tables import rows

    waiting: deque[dict[str, Any]] = deque()  # rows whose prompts are being compressed: a few windows of them

    def prompts() -> Iterator[Any]:
        for number, row in enumerate(rows(file), start=1):
            if not isinstance(row.get(field), list if messages else str):
                wanted = "list of messages" if messages else "text"
                raise DataError(
                    f"row {number} of {_name(file)} has no {wanted} under {field!r}; it has {', '.join(row)}"
                )
            waiting.append(row)
            yield row[field]

    began = time.perf_counter()
    numbers = _Numbers()
    with progress("compressing") as advance, writing_atomic(out) if out else nullcontext(sys.stdout.buffer) as lines:
        for result in compressor.compress_many(prompts(), **asked):
            lines.write(_line(waiting.popleft() | {field: result.messages if messages else result.text}))
            numbers = numbers.plus(result)
            advance()
    numbers = numbers._replace(seconds=time.perf_counter() - began)
    if as_json:
        echo_json(numbers.plain())
    typer.echo(numbers.sentence(), err=True)


class _Numbers(NamedTuple):
    """What compression did to some prompts."""

    prompts: int = 0
    before: int = 0
    after: int = 0
    over_budget: int = 0
    seconds: float = 0.0

    def plus(self, result: Compressed) -> _Numbers:
        return self._replace(
            prompts=self.prompts + 1,
            before=self.before + result.original_tokens,
            after=self.after + result.compressed_tokens,
            over_budget=self.over_budget + result.over_budget,
        )

    @property
    def rate(self) -> float:
        return self.after / self.before if self.before else 1.0

    def plain(self) -> dict[str, Any]:
        counts = {"original_tokens": self.before, "compressed_tokens": self.after, "rate": self.rate}
        return {"prompts": self.prompts, **counts, "over_budget": self.over_budget, "seconds": self.seconds}

    def sentence(self) -> str:
        many = f"{self.prompts:,} prompts: " if self.prompts != 1 else ""
        of_them = f" of {self.over_budget:,} of them" if many else ""
        over = f"; protected text alone{of_them} exceeds the cap" if self.over_budget else ""
        return f"{many}{self.before:,} → {self.after:,} tokens ({self.rate:.1%}) in {self.seconds:.2f} s{over}"


def _line(row: dict[str, Any]) -> bytes:
    try:
        return (json.dumps(row, ensure_ascii=False, default=str) + "\n").encode()
    except UnicodeEncodeError:  # half a character in another column: it stays what it was
        return (json.dumps(row, default=str) + "\n").encode()


def _writable(out: Path) -> None:
    from stillroom.core.errors import DataError

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DataError(f"nothing can be written to {out}: {error.strerror}; choose another --out") from error
    if out.is_dir() or not os.access(out.parent, os.W_OK):
        raise DataError(f"nothing can be written to {out}: name a file in a folder of yours with --out")


def _name(file: str) -> str:
    return "standard input" if file == "-" else file


def _text(file: str) -> str:
    """Read a text to the byte: its line ends are its own."""
    from stillroom.core.errors import DataError

    try:
        return (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"{_name(file)} is no UTF-8 text (byte {error.start}): convert it first, with iconv, say"
        ) from error
    except OSError as error:
        raise DataError(f"{file} cannot be read: {error.strerror}") from error


def _messages(file: str) -> list[Any]:
    from stillroom.core.errors import DataError

    try:
        content = json.loads(_text(file))
    except ValueError as error:
        raise DataError(f"{_name(file)} is no JSON: {error}") from error
    if isinstance(content, dict):  # a whole request
        content = content.get("messages")
    if not isinstance(content, list):
        raise DataError(f"{_name(file)} should be a list of messages, or an object that has one under 'messages'")
    return content


def _show(prompt: Any, result: Compressed) -> None:
    from rich.console import Console

    from stillroom.prompts.messages import plan
    from stillroom.prompts.paint import paint

    # of messages, `kept` counts characters in their texts with a blank line between them
    text = prompt if isinstance(prompt, str) else "\n\n".join(part.text for part in plan(prompt))
    console = Console()
    painted = paint(text, result.kept, styled=console.color_system is not None)
    console.print(painted, soft_wrap=True, end="" if text.endswith("\n") else "\n")
