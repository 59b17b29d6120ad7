"""The form of an answer: a text, one of a set, or JSON after a schema; and what an answer of that form says.

Servers are not trusted to keep to a form: an answer is read here, and what does not fit is `Unfit`, with the reason.
It does not know who answered.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

ANSWER = re.compile(r"^\W*(?:final )?answer\W*:\W*?(?=\S|$)", re.IGNORECASE | re.MULTILINE)
REASONS = re.compile(r"\A\W*(?:reasoning|rationale)\W*:\s*", re.IGNORECASE)
FENCE = re.compile(r"\A```\w*\n(.*)\n```\Z", re.DOTALL)
TOGETHER = 'Think first: write "Reasoning:" and a few sentences, then on a new line "Answer:" and the answer.'


class Unfit(ValueError):
    """An answer that is no label; the message says why, in a few words."""


class Output(BaseModel):
    """The form of an answer; in YAML `text`, `{one_of: […]}`, `{json_schema: {…}}`, each of them with `rationale`.

    Parameters
    ----------
    one_of
        The answers there are. Case, quotes and a full stop at the end make no difference.
    json_schema
        A JSON schema (draft 2020-12) that answers fulfil; references to other files are not followed.
    rationale
        `together` asks for the reasoning before the answer, and keeps both.
    tell
        Say in the system message which form is wanted, so that prompts need not.
    response_format
        Send the schema to the server, too, which may hold the model to it. Some refuse what they do not know.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, ignored_types=(cached_property,))

    one_of: tuple[str, ...] | None = Field(default=None, min_length=1)
    json_schema: dict[str, Any] | None = None
    rationale: Literal["together"] | None = None
    tell: bool = True
    response_format: bool = False

    @model_validator(mode="before")
    @classmethod
    def _named(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and any(isinstance(one, bool) for one in value.get("one_of") or ()):
            raise ValueError('YAML reads yes and no as true and false: write ["yes", "no"]')
        return {} if value == "text" else value

    @model_validator(mode="after")
    def _possible(self) -> Output:
        if self.one_of and self.json_schema is not None:
            raise ValueError("an answer is one of a set or fulfils a schema: give one_of or json_schema")
        if self.one_of and len({_folded(one) for one in self.one_of}) < len(self.one_of):
            raise ValueError("two answers of one_of differ in nothing but case or punctuation")
        if self.response_format and self.json_schema is None:
            raise ValueError("response_format sends a json_schema: give one")
        if self.json_schema is not None:
            import jsonschema

            try:
                jsonschema.Draft202012Validator.check_schema(self.json_schema)
            except jsonschema.SchemaError as error:
                raise ValueError(f"json_schema is no JSON schema: {error.message}") from error
        return self

    def instruction(self) -> str:
        """Return what the teacher is told about the form; "" where there is nothing to tell."""
        if not self.tell:
            return ""
        told = []
        if self.rationale:
            told.append(TOGETHER)
        if self.one_of:
            told.append(f"Answer with exactly one of: {', '.join(self.one_of)}.")
        if self.json_schema is not None:
            schema = json.dumps(self.json_schema, ensure_ascii=False)
            told.append(f"Answer with JSON alone that fulfils this schema: {schema}")
        return "\n".join(told)

    def fields(self) -> dict[str, Any]:
        """Return what the form adds to a request's body."""
        if not self.response_format:
            return {}
        named = {"name": "answer", "schema": self.json_schema, "strict": True}
        return {"response_format": {"type": "json_schema", "json_schema": named}}

    def read(self, text: str) -> tuple[str, str | None]:
        """Return the answer and the rationale that a text of the teacher's holds.

        One of a set comes back as the set has it, JSON as `json.dumps` writes it, a text without white space around it.

        Raises
        ------
        Unfit
            It has another form.
        """
        rationale = None
        if self.rationale:
            *_, last = [None, *ANSWER.finditer(text)]
            if last is None:
                raise Unfit("has no line that begins with 'Answer:'")
            rationale, text = REASONS.sub("", text[: last.start()]).strip(), text[last.end() :]
            if not rationale:
                raise Unfit("gives no reasoning")
        text = text.strip()
        if not text:
            raise Unfit("is empty")
        if self.one_of:
            text = self._chosen(text)
        elif self.json_schema is not None:
            text = self._valid(text)
        return text, rationale

    def _chosen(self, text: str) -> str:
        found = self._folded.get(_folded(text))
        if found is None:
            raise Unfit(f"is none of the {len(self.one_of or ())} it should be one of")
        return found

    def _valid(self, text: str) -> str:
        fenced = FENCE.match(text)
        try:
            value = json.loads(fenced[1] if fenced else text, parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Unfit("is no JSON") from error
        wrong = next(self._validator.iter_errors(value), None)
        if wrong is not None:
            place = "".join(f"[{part!r}]" for part in wrong.absolute_path)
            raise Unfit(f"breaks the schema{' at ' + place if place else ''}: {wrong.message[:200]}")
        return json.dumps(value, ensure_ascii=False)

    def soft_targets(self, alternatives: Iterable[Mapping[str, float]]) -> dict[str, float] | None:
        """Return the probability of each of the set, from the log-probabilities of the alternatives at each token.

        Told apart by the first token that is not blank: an alternative counts for the one answer that begins with it.
        None where this is no set, the API gave nothing, or two answers begin alike. What the alternatives leave out is
        lost: probabilities are of those that were given, and sum to one.
        """
        if not self.one_of or self.rationale:
            return None
        first = next((one for one in alternatives if any(token.strip() for token in one)), {})
        mass = dict.fromkeys(self.one_of, 0.0)
        for token, logarithm in first.items():
            begun = _folded(token)
            meant = [one for folded, one in self._folded.items() if begun and folded.startswith(begun)]
            if len(meant) > 1:
                return None
            for one in meant:
                mass[one] += math.exp(logarithm)
        total = sum(mass.values())
        return {one: share / total for one, share in mass.items()} if total > 0 else None

    @cached_property
    def _folded(self) -> dict[str, str]:
        return {_folded(one): one for one in self.one_of or ()}

    @cached_property
    def _validator(self) -> Any:
        import jsonschema

        return jsonschema.Draft202012Validator(self.json_schema)


def _folded(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" \"'`*.")


def _no_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON")
