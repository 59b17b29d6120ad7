"""The sizes of a UniTS network and the tasks it has tokens for, as `config.json` keeps them.

It knows no weights; importing it brings transformers' configurations and not its models.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from transformers import PretrainedConfig

from stillroom.core.errors import RecipeError

DECILES = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
TASKS = ("forecast", "impute", "detect")  # those that fill: they have prompt tokens and no classes
SIZES = ("patch_size", "d_model", "num_layers", "num_heads", "d_ff", "prompt_tokens", "operator_size", "max_length")
NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]*")  # what can be part of a weight's name


class UnitsConfig(PretrainedConfig):  # type: ignore[no-untyped-call]
    """The sizes of a UniTS network; the defaults make one of 2.6 million parameters.

    Parameters
    ----------
    patch_size
        Time steps a token. 8 sees seasons that 16 blurs.
    d_model, num_layers, num_heads, d_ff
        Width, blocks, attention heads and inner width of the feed-forward layers. A head's width, d_model / num_heads,
        is even.
    prompt_tokens
        Learned tokens that stand in front of every variable and say which task is asked.
    operator_size
        Side of the dynamic operator's learned weight, which is interpolated to any number of tokens.
    quantiles
        Levels of the quantile head, ascending.
    max_length
        The most time steps, context and horizon together.
    dropout
        On what each branch of a block adds, while training.
    tasks
        Every task by name with its classes, or None where it fills values and has no classes. None: the three that
        fill, `forecast`, `impute` and `detect`.

    Raises
    ------
    RecipeError
        Sizes that fit no network, levels that are not ascending between 0 and 1, a task without two different classes.
    """

    model_type = "units"

    patch_size: int = 8
    d_model: int = 192
    num_layers: int = 4
    num_heads: int = 6
    d_ff: int = 512
    prompt_tokens: int = 8
    operator_size: int = 32
    quantiles: Sequence[float] = DECILES
    max_length: int = 4096
    dropout: float = 0.0
    tasks: dict[str, list[str] | None] = None  # type: ignore[assignment]  # None only until __post_init__

    def __post_init__(self, **kwargs: Any) -> None:
        self.quantiles = [float(level) for level in self.quantiles]
        tasks, self.tasks = self.tasks, {}
        for size in SIZES:
            if not isinstance(getattr(self, size), int) or getattr(self, size) < 1:
                raise RecipeError(f"{size} is {getattr(self, size)!r}: give a whole number above 0.")
        if self.d_model % self.num_heads or self.d_model // self.num_heads % 2:
            raise RecipeError(
                f"d_model {self.d_model} does not make {self.num_heads} heads of an even width: change one of them."
            )
        if (
            not self.quantiles
            or self.quantiles != sorted({*self.quantiles})
            or not 0 < min(self.quantiles) <= max(self.quantiles) < 1
        ):
            raise RecipeError("The quantiles' levels ascend and lie strictly between 0 and 1, as in 0.1, 0.5, 0.9.")
        if not 0 <= self.dropout < 1:
            raise RecipeError(f"dropout is {self.dropout}: give a number from 0 to below 1.")
        for name, classes in (dict.fromkeys(TASKS) if tasks is None else tasks).items():
            self.add_task(name, classes)
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]

    def add_task(self, name: str, classes: Sequence[str] | None = None) -> None:
        """Note a task and its classes. The network's tokens for it are made by `UnitsModel.add_task`.

        Raises RecipeError when there is such a task, when its name is not a word, or for fewer than two classes.
        """
        if name in self.tasks:
            raise RecipeError(f"There is a task {name!r} already: give the new one another name.")
        if not isinstance(name, str) or not NAME.fullmatch(name):
            raise RecipeError(
                f"A task cannot be named {name!r}: take letters, digits, - and _, beginning with a letter."
            )
        if classes is not None and (isinstance(classes, str) or len({*classes}) < max(2, len(classes))):
            raise RecipeError(f"The task {name!r} needs the names of two or more different classes.")
        self.tasks[name] = None if classes is None else [str(label) for label in classes]
