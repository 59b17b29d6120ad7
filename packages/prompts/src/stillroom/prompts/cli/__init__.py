"""`stillroom prompts`: one module a command; what they import is imported when they are called."""

import typer

from stillroom.prompts.cli.align import align
from stillroom.prompts.cli.requests import requests

app = typer.Typer(no_args_is_help=True)


@app.callback()
def prompts() -> None:
    """Compress prompts, and train your own compressor."""


for command in (requests, align):
    app.command()(command)
