"""`stillroom bench`: one module a command; what they import is imported when they are called."""

import typer

from stillroom.bench.cli.board import leaderboard
from stillroom.bench.cli.compare import compare
from stillroom.bench.cli.fev import to_fev
from stillroom.bench.cli.report import report
from stillroom.bench.cli.rescore import rescore
from stillroom.bench.cli.run import run

app = typer.Typer(no_args_is_help=True, help="Run models on tasks, keep every score, compare them.")
for command in (run, leaderboard, compare, report, rescore, to_fev):
    app.command()(command)
