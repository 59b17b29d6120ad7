"""`stillroom prompts`: one module a command; what they import is imported when they are called."""

import typer

from stillroom.prompts.cli.align import align
from stillroom.prompts.cli.compress import compress
from stillroom.prompts.cli.evaluate import evaluate
from stillroom.prompts.cli.requests import requests
from stillroom.prompts.cli.train import train

app = typer.Typer(no_args_is_help=True)


@app.callback()
def prompts() -> None:
    """Compress prompts, and train your own compressor."""


for command in (compress, requests, align, train, evaluate):
    app.command()(command)
