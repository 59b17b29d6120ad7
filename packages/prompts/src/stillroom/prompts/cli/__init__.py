"""`stillroom prompts`: one module a command; what they import is imported when they are called."""

import typer

app = typer.Typer(no_args_is_help=True)


@app.callback()
def prompts() -> None:
    """Compress prompts, and train your own compressor."""
