"""The `stillroom` command: the host of the sub-commands that installed packages register.

Sub-commands are listed from the metadata of their packages and imported only when they are called, so `--help` is
quick and one broken package does not take the others down. Results go to stdout (with `--json` as JSON), messages and
progress to stderr. Exit codes: 0 done, 1 a failure of ours, 2 a mistake that the user can mend, 130 stopped by Ctrl-C.

It knows no command of its own but `--version`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from stillroom.core import registry
from stillroom.core.errors import StillroomError, UserError
from stillroom.core.plain import to_plain
from stillroom.core.progress import progress
from stillroom.core.runs import versions

__all__ = ["app", "echo_json", "main", "progress"]

COMMANDS = "stillroom.commands"


class _Installed(TyperCommand):
    """A registered sub-command that stays unimported until it is called or completed."""

    def __init__(self, name: str) -> None:
        super().__init__(name, help=_summary(name))

    def make_context(self, info_name: Any, args: Any, parent: Any = None, **extra: Any) -> Any:
        return self.load().make_context(info_name, args, parent, **extra)

    def load(self) -> Any:
        sub_app = registry.get(COMMANDS, str(self.name))
        if not isinstance(sub_app, typer.Typer):
            kind = type(sub_app).__name__
            raise UserError(f"the command {self.name!r} is registered as {kind}, not as a Typer app")
        command = get_command(sub_app)
        # Shell completion is installed for `stillroom`, not for each of its parts.
        command.params = [p for p in command.params if p.name not in ("install_completion", "show_completion")]
        return command


class _Commands(TyperGroup):
    """The top level: its commands are whatever is installed."""

    def list_commands(self, ctx: Any) -> list[str]:
        return registry.names(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return _Installed(cmd_name) if cmd_name in registry.names(COMMANDS) else None

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if not args[0].startswith("-"):
            registry.entry_point(COMMANDS, args[0])  # says the nearest names when there is none
        return super().resolve_command(ctx, args)


app = typer.Typer(
    cls=_Commands,
    add_completion=False,
    no_args_is_help=True,
    help="Distil what large models know into small ones that you own.",
)


def _print_versions(wanted: bool) -> None:
    if wanted:
        for name, version in versions().items():
            typer.echo(f"{name} {version}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print what is installed.", is_eager=True, callback=_print_versions)
    ] = False,
) -> None:
    pass


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and leave the process: `arguments` default to the process's own."""
    code: Any = 0
    try:
        get_command(app)(args=None if arguments is None else list(arguments), prog_name="stillroom")
    except SystemExit as leaving:  # how Typer ends, also when all is well
        code = leaving.code
    except StillroomError as error:
        typer.echo(f"error: {error}", err=True)
        code = 2 if isinstance(error, UserError) else 1
    except KeyboardInterrupt:  # where Typer does not catch it
        code = 130
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # the reader left (`stillroom … | head`): nothing to say, and nobody to say it to
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def echo_json(value: Any) -> None:
    """Print `value` on stdout as one JSON document: what every command does with its result under `--json`."""
    typer.echo(json.dumps(to_plain(value), indent=2, ensure_ascii=False, allow_nan=False))


def _summary(name: str) -> str:
    """The one line that `--help` shows: the package's own, or why the command cannot work."""
    try:
        entry = registry.entry_point(COMMANDS, name)
        missing = registry.missing_module(entry)
    except Exception as error:  # an outsider's metadata may be wrong in any way; the rest must go on
        line = f"broken: {error}"
    else:
        line = f"broken: its module {missing} is not installed" if missing else ""
        line = line or str(entry.dist.metadata["Summary"] or "" if entry.dist else "")
    return line.replace("[", r"\[")  # or rich would take it for markup
