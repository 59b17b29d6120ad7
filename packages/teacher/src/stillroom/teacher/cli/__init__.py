"""`stillroom teacher`: one module a command; what they import is imported when they are called."""

import typer

from stillroom.teacher.cli.batch import batch
from stillroom.teacher.cli.calibrate import calibrate
from stillroom.teacher.cli.judge import judge
from stillroom.teacher.cli.label import label
from stillroom.teacher.cli.ledger import ledger
from stillroom.teacher.cli.plan import plan
from stillroom.teacher.cli.quality import quality
from stillroom.teacher.cli.review import review
from stillroom.teacher.cli.synthesize import synthesize

app = typer.Typer(no_args_is_help=True)


@app.callback()
def teacher() -> None:
    """Label data with a large model, pay for each answer once, and stay inside the budget."""


for command in (plan, calibrate, label, batch, synthesize, quality, judge, ledger):
    app.command()(command)
app.add_typer(review, name="review")
