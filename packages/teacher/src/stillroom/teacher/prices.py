"""What a token costs: a table of prices, and calls priced by it, before they are made and after.

Money is whole picodollars (a dollar has 10**12 of them), so that a million calls add up without drift: 0.02 USD per
million tokens are exactly 20,000 a token. A table is a YAML file, ours (`prices.yaml`) or the user's own:

    models:
      my-model: {input: 0.5, cached_input: 0.05, output: 1.5, batch: 0.5, cache_minimum: 1024}

It does not know who is asked, nor what has been spent; and it knows what providers publish, not what they bill.
"""

from __future__ import annotations

import datetime
import difflib
import functools
import math
import re
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, NonNegativeInt, PositiveInt, model_validator

from stillroom.core.errors import RecipeError
from stillroom.core.recipes import checked

PICO = 10**12  # picodollars in a dollar
OVERHEAD = 256
"""Tokens a provider's chat template may add to a request: OpenAI counts 3 a message and 3 to open the answer, and a
schema or a tool brings some instructions of the provider's own."""

Usd = Annotated[float, Field(ge=0, allow_inf_nan=False)]
_DATE = re.compile(r"-\d{4}-?\d{2}-?\d{2}$")  # gpt-4o-2024-08-06, claude-sonnet-4-5-20250929


class Price(BaseModel):
    """What a model's tokens cost.

    Parameters
    ----------
    input, cached_input, output
        USD per million tokens: of a prompt, of the part of a prompt that the provider's cache served (by default as
        `input`), and of a completion, with the reasoning that is not shown.
    batch
        Factor on all prices at the batch endpoint; None where there is none.
    cache_minimum
        Tokens under which a prefix is never cached; None where nothing is cached, or it is not known from where on.
    cache_write
        Factor on `input` for tokens that are written to the cache, such as 1.25.
    longest_prompt
        Tokens of the longest prompt at these prices, where longer ones cost more; None where all cost the same.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Usd
    cached_input: Usd = 0.0  # never stays: see `_as_input`
    output: Usd
    batch: Annotated[float, Field(ge=0, le=1)] | None = None
    cache_minimum: NonNegativeInt | None = None
    cache_write: Annotated[float, Field(ge=1, allow_inf_nan=False)] = 1.0
    longest_prompt: PositiveInt | None = None

    @model_validator(mode="before")
    @classmethod
    def _as_input(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and "input" in values and values.get("cached_input") is None:
            return {**values, "cached_input": values["input"]}
        return values

    def cost(
        self,
        prompt_tokens: int,
        completion_tokens: int,
        cached_tokens: int = 0,
        *,
        written_tokens: int = 0,
        batch: bool = False,
    ) -> int:
        """Return what a call costs by its usage, in picodollars, rounded up.

        Parameters
        ----------
        prompt_tokens, completion_tokens
            As the API reports them: `prompt_tokens` includes the next two.
        cached_tokens, written_tokens
            Served by the provider's cache, and written to it (`cache_write_tokens`, where a provider reports them).
        batch
            At the prices of the batch endpoint. Cached tokens then cost as others: providers differ in whether they
            grant both discounts, and what is counted must not be less than what is billed.

        Raises
        ------
        RecipeError
            There is no batch endpoint.
        """
        plain = max(0, prompt_tokens - cached_tokens - written_tokens)  # a slip in a report never lowers a bill
        total = plain * _pico(self.input) + completion_tokens * _pico(self.output)
        total += cached_tokens * _pico(self.input if batch else self.cached_input)
        total += written_tokens * _pico(self.input) * _exact(self.cache_write)
        return math.ceil(total * self._factor(batch))

    def reservation(self, body_bytes: int, max_tokens: int, *, overhead: int = OVERHEAD, batch: bool = False) -> int:
        """Return what a call that is yet to be made costs at most, in picodollars.

        A token of a byte-level BPE, or of SentencePiece with byte fallback, stands for at least one byte of the text,
        so a text has no more tokens than bytes in UTF-8; each is taken to cost as much as the dearest kind of input.
        This holds for text, not for images or sound, and for tokenizers that do not lengthen a text by normalising it.

        Parameters
        ----------
        body_bytes
            Of all text in the request, in UTF-8: messages, schemas and tools. The whole JSON body is no less.
        max_tokens
            The most that may be answered, reasoning included.
        overhead
            Tokens that the provider's template adds.
        batch
            At the prices of the batch endpoint.

        Raises
        ------
        RecipeError
            There is no batch endpoint, or the prompt may be longer than the prices are good for.
        """
        tokens = body_bytes + overhead
        if self.longest_prompt is not None and tokens > self.longest_prompt:
            raise RecipeError(
                f"a request of {body_bytes:,} bytes may pass {self.longest_prompt:,} tokens, from where on this model "
                f"costs more than the price table says: shorten it, or give the higher price with --input-usd and "
                f"--output-usd"
            )
        dearest = max(_pico(self.cached_input), _pico(self.input) * _exact(self.cache_write))
        return math.ceil((tokens * dearest + max_tokens * _pico(self.output)) * self._factor(batch))

    def _factor(self, batch: bool) -> Fraction:
        if not batch:
            return Fraction(1)
        if self.batch is None:
            raise RecipeError(
                "no batch endpoint is known for this model: ask without one, or give `batch` in a file for --prices"
            )
        return _exact(self.batch)


class Table(BaseModel):
    """Prices by model; when they were read, and where."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    as_of: datetime.date | None = None
    sources: dict[str, str] = {}
    models: dict[str, Price]


@functools.cache
def published() -> Table:
    """Return the table that comes with the package."""
    return checked(Table, Path(__file__).with_name("prices.yaml"))


def price_of(
    model: str,
    table: str | Path | Mapping[str, Any] | None = None,
    *,
    input_usd: float | None = None,
    cached_usd: float | None = None,
    output_usd: float | None = None,
) -> Price:
    """Return the price of a model: as given here, else of the user's table, else of ours.

    A name that neither table has is looked up without the provider before a slash ("openai/gpt-4o") and without the
    date at its end ("gpt-4o-2024-08-06").

    Parameters
    ----------
    model
        As the API calls it.
    table
        A YAML file, or a mapping, of the form of ours; a model in it replaces ours of the same name.
    input_usd, cached_usd, output_usd
        USD per million tokens, 0 for a server of one's own. They say all there is to say: neither a batch endpoint nor
        a cache is then assumed.

    Raises
    ------
    RecipeError
        The table cannot be read or meant, only half a price is given, or there is none for the model.
    """
    if input_usd is not None and output_usd is not None:
        return checked(Price, {"input": input_usd, "cached_input": cached_usd, "output": output_usd})
    if (input_usd, cached_usd, output_usd) != (None, None, None):
        raise RecipeError("a price needs both --input-usd and --output-usd (0 where it is free)")
    prices = dict(published().models)
    if table is not None:
        prices |= checked(Table, table).models
    bare = model.rpartition("/")[2]
    for name in (model, bare, _DATE.sub("", model), _DATE.sub("", bare)):
        if name in prices:
            return prices[name]
    near = difflib.get_close_matches(bare, prices, n=3)
    hint = f" (the nearest names are {', '.join(near)})" if near else ""
    raise RecipeError(
        f"there is no price for {model!r}{hint}: give one with --prices FILE, or with --input-usd and --output-usd"
    )


def usd(pico: int) -> float:
    """Return picodollars as dollars, for reports: a float is not for adding up."""
    return pico / PICO


def dollars(pico: int) -> str:
    """Return picodollars for print, to the cent from a dollar on and to three digits below: "$0.0123"."""
    amount = Decimal(pico).scaleb(-12)
    digits = 2 if not pico else max(2, 2 - amount.adjusted())
    return f"${amount:,.{digits}f}"


@functools.cache
def _exact(number: float) -> Fraction:
    """The decimal number that was written, not the binary one next to it: 0.1 is a tenth."""
    return Fraction(str(number))


@functools.cache
def _pico(price: float) -> Fraction:
    """Picodollars a token, of a price in USD per million."""
    return _exact(price) * (PICO // 10**6)
