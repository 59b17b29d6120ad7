"""What a teacher is asked, as data: the parts of a prompt, how far each may be compressed, and the form of an answer.

A Prompt is a YAML file or a mapping:

    system: You are a careful linguist.
    instructions: Correct the sentence. Answer with the corrected sentence alone.
    examples:
      - {input: He go home., output: He goes home.}
    user: "{{ input }}"              # Jinja2, over the columns of a row
    output: text                     # or {one_of: [yes, no]}, or {json_schema: {…}}
    max_tokens: 64

It says nothing of who answers, at what price, or to which rows.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, field_validator, model_validator

from stillroom.core.errors import RecipeError
from stillroom.core.keys import key
from stillroom.core.recipes import checked
from stillroom.teacher.forms import Output, Unfit

Policy = float | Literal["never", "auto"]
"""`never`: the text stays as it is; a number in (0, 1]: this share of its tokens stays; `auto`: the job decides."""


class Part(BaseModel):
    """A text of a prompt, and what compression may do to it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str
    compress: Policy = "auto"

    _bounded = field_validator("compress")(lambda value: _policy(value))


class Example(BaseModel):
    """A row with its right answer, shown before the row that is asked about.

    Parameters
    ----------
    input
        The columns of the row, by name; a text is the column `input`.
    output
        The answer: a text, or for a JSON schema any value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str | dict[str, Any]
    output: Any

    @property
    def answer(self) -> str:
        """The answer as the teacher would write it."""
        return self.output if isinstance(self.output, str) else json.dumps(self.output, ensure_ascii=False)

    @property
    def row(self) -> dict[str, Any]:
        """The columns."""
        return {"input": self.input} if isinstance(self.input, str) else self.input


class Examples(BaseModel):
    """Examples, and what compression may do to their inputs; answers always stay as they are."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    items: tuple[Example, ...] = ()
    compress: Policy = "auto"

    _bounded = field_validator("compress")(lambda value: _policy(value))


class Prompt(BaseModel):
    """What a teacher is asked.

    Parameters
    ----------
    name
        What reports call it.
    system, instructions
        Both go into the system message, in this order; a text, or `{text: …, compress: …}`.
    examples
        A list, or `{items: […], compress: …}`.
    user
        A Jinja2 template over the columns of a row; examples go through it, too. As `{text: …, compress: …}` the row's
        own texts are compressed before they are put in, which never happens unasked.
    input
        The column that label tables carry as `input`; by default `input` if rows have it, else the one column that
        `user` names, else the whole user message.
    output
        The form of an answer (see `forms.Output`); an answer of another form is no label.
    endpoint
        `chat`, or `completions` for servers that only complete texts; then
    template
        is the Jinja2 template of the whole text, over `system`, `examples` (each with `user` and `assistant`) and
        `user`, such as "[INST] {{ system }} {{ user }} [/INST]".
    max_tokens
        The most tokens of an answer: with the price it bounds what a call can cost, so every paid job needs it, here or
        as an option.
    temperature, top_p, seed, stop
        Sent as they are; None is not sent. 0 is the default temperature, so that an answer can be had again.
    top_logprobs
        Ask for so many alternatives at each token: where the API has them, answers of a set get soft targets.
    extra
        More fields of the request's body, for servers that have their own.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = "prompt"
    system: Part | None = None
    instructions: Part | None = None
    examples: Examples = Examples()
    user: Part
    input: str | None = None
    output: Output = Output()
    endpoint: Literal["chat", "completions"] = "chat"
    template: str | None = None
    max_tokens: PositiveInt | None = None
    temperature: float | None = Field(default=0.0, ge=0)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = None
    stop: str | list[str] | None = None
    top_logprobs: int | None = Field(default=None, ge=1, le=20)
    extra: dict[str, Any] = Field(default_factory=dict)

    @field_validator("system", "instructions", mode="before")
    @classmethod
    def _part(cls, value: Any) -> Any:
        return {"text": value} if isinstance(value, str) else value

    @field_validator("user", mode="before")
    @classmethod
    def _payload(cls, value: Any) -> Any:
        return {"text": value, "compress": "never"} if isinstance(value, str) else {"compress": "never", **value}

    @field_validator("examples", mode="before")
    @classmethod
    def _examples(cls, value: Any) -> Any:
        return {"items": value} if isinstance(value, list | tuple) else value

    @model_validator(mode="after")
    def _possible(self) -> Prompt:
        if (self.endpoint == "completions") != (self.template is not None):
            raise ValueError("template and endpoint: completions belong together: give both or neither")
        for number, example in enumerate(self.examples.items):
            try:
                self.output.read(example.answer)
            except Unfit as reason:
                raise ValueError(f"example {number} teaches what would be no label: its output {reason}") from reason
        return self

    @classmethod
    def read(cls, prompt: Prompt | Mapping[str, Any] | str | Path, **changes: Any) -> Prompt:
        """Return a prompt, a mapping or a YAML file as a Prompt, with changes that are not None.

        Raises
        ------
        RecipeError
            No such file, a name that means nothing, a value that cannot be meant, or a template that is none.
        """
        read = checked(cls, prompt)
        changes = {name: value for name, value in changes.items() if value is not None}
        if changes:
            read = checked(cls, read.model_dump(mode="json", exclude_defaults=True) | changes)
        from stillroom.teacher.rendering import Rendering

        Rendering(read)  # refuses templates that are none
        return read

    def digest(self, rates: Mapping[str, float] | None = None) -> str:
        """Return a sha256 (hex) of everything that shapes the requests; `rates` are those of compression, by part."""
        return key(prompt=self.model_dump(mode="json", exclude={"name"}), rates=dict(rates or {}))

    def rates(self, auto: float | None = None) -> dict[str, float]:
        """Return the rate of each part that is to be compressed: its own, or `auto` where it leaves it to the job."""
        parts = {"system": self.system, "instructions": self.instructions, "examples": self.examples, "user": self.user}
        found = {}
        for name, part in parts.items():
            policy = "never" if part is None or part == Examples() else part.compress
            rate = auto if policy == "auto" else policy
            if isinstance(rate, float | int) and rate < 1:
                found[name] = float(rate)
        return found

    def bounded(self) -> int:
        """Return `max_tokens`.

        Raises
        ------
        RecipeError
            There is none.
        """
        if self.max_tokens is None:
            raise RecipeError(
                "an answer without a bound has no bounded price: give max_tokens in the prompt, or --max-tokens"
            )
        return self.max_tokens


def _policy(value: Policy) -> Policy:
    if isinstance(value, float | int) and not 0 < value <= 1:
        raise ValueError(f"the share of tokens to keep is above 0 and at most 1, not {value:g}")
    return value
