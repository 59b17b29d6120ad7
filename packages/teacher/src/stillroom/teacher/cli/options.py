"""What several commands ask for in the same words: whom to ask, at what price, how compressed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from stillroom.teacher.calls import Api
    from stillroom.teacher.labelling import Job
    from stillroom.teacher.prompt import Prompt

Rows = Annotated[str, typer.Argument(help="Rows: .jsonl, .csv or .parquet; - is JSON Lines on stdin.")]
PromptFile = Annotated[Path, typer.Option("--prompt", help="The Prompt file, YAML.")]
Model = Annotated[str, typer.Option(help="The model, as the API names it.")]
BaseUrl = Annotated[str | None, typer.Option(help="The API, .../v1; default: OPENAI_BASE_URL, or OpenAI's.")]
Store = Annotated[Path, typer.Option(envvar="STILLROOM_STORE", help="Where answers and the ledger are kept.")]
MaxTokens = Annotated[int | None, typer.Option(min=1, help="Most tokens of an answer; default: the prompt's.")]
Prices = Annotated[Path | None, typer.Option(help="A file with prices of your own, YAML.")]
InputUsd = Annotated[float | None, typer.Option(min=0, help="USD per million prompt tokens.")]
OutputUsd = Annotated[float | None, typer.Option(min=0, help="USD per million answer tokens.")]
Rate = Annotated[float | None, typer.Option(help="Compress the parts of the prompt that leave it to the job.")]
Policy = Annotated[Path | None, typer.Option(help="What `calibrate` wrote: the rate and the compressor.")]
CompressorName = Annotated[str, typer.Option("--compressor", help="A mini, folder or hub id of a compressor.")]
Out = Annotated[Path, typer.Option(help="Where the labels go: .parquet, .csv or .jsonl.")]
BudgetUsd = Annotated[float | None, typer.Option(help="The most this job may cost, over all its runs.")]
Samples = Annotated[int, typer.Option(min=1, help="Answers a row.")]
Rationale = Annotated[bool, typer.Option(help="Ask for the reasoning before the answer, and keep it.")]
JobName = Annotated[str, typer.Option("--job", help="The job's name in the ledger; default: by prompt and model.")]
Concurrency = Annotated[int, typer.Option(min=1, help="The most calls at once; fewer if the API asks.")]
Rpm = Annotated[float | None, typer.Option(min=1, help="The most requests a minute.")]
Tpm = Annotated[float | None, typer.Option(min=1, help="The most tokens a minute.")]
Attempts = Annotated[int, typer.Option(min=1, help="Answers of a wrong form before a row is given up.")]
Patience = Annotated[float, typer.Option(min=0, help="Seconds to try a row for while the API fails.")]
Timeout = Annotated[float, typer.Option(min=0.1, help="Seconds a call may take.")]
DryRun = Annotated[bool, typer.Option(help="Render and count; ask nobody.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]

OUT = Path("labels.parquet")
STORE = Path("teacher.sqlite")
COMPRESSOR = "compressor"


def job(
    prompt: Prompt | Mapping[str, Any] | Path,
    model: str,
    *,
    max_tokens: int | None = None,
    rationale: bool = False,
    prices: Path | None = None,
    input_usd: float | None = None,
    output_usd: float | None = None,
    rate: float | None = None,
    policy: Path | None = None,
    compressor: str = COMPRESSOR,
    **more: Any,
) -> Job:
    """Return the job that options describe; raises as its parts do."""
    from stillroom.core.errors import RecipeError
    from stillroom.teacher.labelling import Job
    from stillroom.teacher.prices import price_of
    from stillroom.teacher.prompt import Prompt

    asked = Prompt.read(prompt, max_tokens=max_tokens)
    if rationale:
        asked = asked.model_copy(update={"output": asked.output.model_copy(update={"rationale": "together"})})
    if policy is not None:
        from stillroom.teacher.policies import read

        if rate is not None:
            raise RecipeError("a policy says the rate: give --policy or --rate")
        rate, compressor = read(policy, asked)
    if rate is not None and not 0 < rate <= 1:
        raise RecipeError(f"--rate {rate:g}: the share of tokens to keep is above 0 and at most 1")
    shorten = None
    if asked.rates(rate):
        from stillroom.teacher.shortening import shortener

        shorten = shortener(compressor)
    price = price_of(model, prices, input_usd=input_usd, output_usd=output_usd)
    return Job(asked, model, price, rate=rate, shorten=shorten, **more)


def api(base_url: str | None, timeout: float) -> Api:
    """Return the API that options name; ModelError, before anything is written, where there is no key for it."""
    from stillroom.teacher.calls import Api

    named = Api(base_url, timeout=timeout)
    named.options()
    return named
