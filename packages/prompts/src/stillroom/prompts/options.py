"""What a compression can be asked for, checked before any work begins."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from typing import Any

from stillroom.core.errors import RecipeError
from stillroom.prompts.protection import DEFAULT


@dataclass(frozen=True)
class Options:
    """How much to keep (one of the first three), and what.

    Parameters
    ----------
    rate
        The share of tokens to keep, in (0, 1], of what is not protected; exact to the tokens of one word.
    target_tokens
        A cap on the tokens that are left, counted by `counter`. Several messages share it by their lengths alone.
    threshold
        Keep the words that the model gives at least this probability, in [0, 1].
    keep
        A regular expression or several: what they match stays, with the whole words it lies in.
    protect
        The kinds of text that stay as they are (`protection.DEFAULT` are all of them), or () for none.
    key_rates
        Rates of the strings under a key of JSON or YAML, by the key; None keeps them.
    question
        Prefer what speaks of this question, by the words they share. The result then depends on the question.
    policy
        Of messages: for each role "keep", "compress" or a rate; see `messages`.
    counter
        See `counters.counter`; None counts by the compressor's own tokenizer.
    strict
        Raise where protected text alone exceeds `target_tokens`; otherwise `over_budget` says so.

    Raises
    ------
    RecipeError
        More than one of rate, target_tokens and threshold, or a value outside its bounds.
    """

    rate: float | None = None
    target_tokens: int | None = None
    threshold: float | None = None
    keep: Iterable[str | re.Pattern[str]] = ()
    protect: Iterable[str] = DEFAULT
    key_rates: Mapping[str, float | None] = field(default_factory=dict)
    question: str | None = None
    policy: Any = None
    counter: Any = None
    strict: bool = False

    def __post_init__(self) -> None:
        asked = {name: getattr(self, name) for name in ("rate", "target_tokens", "threshold")}
        asked = {name: value for name, value in asked.items() if value is not None}
        if len(asked) > 1:
            raise RecipeError(f"{' and '.join(asked)} both say how much to keep: give one of them")
        if self.rate is not None and not (_is_number(self.rate) and 0 < self.rate <= 1):
            raise RecipeError(f"rate={self.rate!r}: the share of tokens to keep is a number above 0 and at most 1")
        if self.threshold is not None and not (_is_number(self.threshold) and 0 <= self.threshold <= 1):
            raise RecipeError(f"threshold={self.threshold!r}: a probability is a number from 0 to 1")
        cap = self.target_tokens
        if cap is not None and not (_is_number(cap) and cap == int(cap) and cap >= 1):
            raise RecipeError(f"target_tokens={cap!r}: a cap is a whole number of tokens, 1 or more")
        if self.question is not None and not isinstance(self.question, str):
            raise RecipeError(f"question={self.question!r}: a question is text")
        object.__setattr__(self, "keep", _as_tuple(self.keep))
        object.__setattr__(self, "protect", _as_tuple(self.protect))

    @classmethod
    def read(cls, options: Mapping[str, Any]) -> Options:
        """Return the options of a call.

        Raises
        ------
        RecipeError
            There is no option of that name, or one cannot be meant.
        """
        names = [option.name for option in fields(cls)]
        for name in options:
            if name not in names:
                near = get_close_matches(name, names, n=1)
                hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
                raise RecipeError(f"there is no option {name!r}: {hint}")
        return cls(**options)

    @property
    def says_how_much(self) -> bool:
        """Whether there is a rate, a cap or a threshold for text that nothing else speaks of."""
        return (self.rate, self.target_tokens, self.threshold) != (None, None, None)


def _is_number(value: Any) -> bool:
    """Whether this is a finite number; True is none."""
    try:
        return not isinstance(value, bool) and math.isfinite(value)
    except TypeError:
        return False


def _as_tuple(values: Any) -> tuple[Any, ...]:
    return (values,) if isinstance(values, str | re.Pattern) else tuple(values or ())
