"""`stillroom language`: one module a family of commands; what they import is imported when they are called."""

import typer

from stillroom.language.cli.answers import evaluate, generate
from stillroom.language.cli.comparing import compare
from stillroom.language.cli.data import augment, corpus, grammar
from stillroom.language.cli.training import capture, distill, merge, plan, pretrain

app = typer.Typer(no_args_is_help=True)


@app.callback()
def language() -> None:
    """Distil a large language model into a small student that is yours."""


for command in (distill, plan, capture, generate, evaluate, merge, compare, augment, corpus, grammar, pretrain):
    app.command()(command)
