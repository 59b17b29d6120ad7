"""What a student is asked: the text before its answer, from a row and a prompt, as a chat or as plain text.

Training, generation and the teacher all go through `render`, so they read the same text. Templates run in Jinja2's
sandbox, without its random parts. It counts no tokens and knows no answer but those of the examples.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, field_validator, model_validator

from stillroom.core.errors import DataError, RecipeError

if TYPE_CHECKING:
    from stillroom.language.rows import Row

PROBE = "stillroomsystemprobe"  # no template changes it, and no text holds it


class Shown(BaseModel):
    """A row with its right answer, shown before the row that is asked about.

    Parameters
    ----------
    input
        The columns of the row, by name; a text is the column `input`.
    answer
        As it should be said.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: str | dict[str, Any]
    answer: str


class StudentPrompt(BaseModel):
    """The `prompt` part of a recipe.

    Parameters
    ----------
    system
        Who the student is and what it should do; a text. Students that are trained need none.
    user
        A Jinja2 template over the columns of a row, its `input`, `group` and `task`; examples go through it, too.
    form
        `chat` is the chat template of the tokenizer. `plain` is the system text, the examples and the user's text, with
        blank lines between them, and a new line for the answer: right for encoder-decoders and classifiers. Anything
        else is a Jinja2 template of the whole, over `system`, `user`, `examples` (each with `user` and `assistant`),
        `bos_token` and `eos_token`, such as "[INST] {{ system }} {{ user }} [/INST]".
    examples
        What is shown before each row.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    system: str = ""
    user: str = "{{ input }}"
    form: str = "chat"
    examples: tuple[Shown, ...] = ()

    @field_validator("user")
    @classmethod
    def _a_template(cls, value: str) -> str:
        _variables(value, "user")
        return value

    @model_validator(mode="after")
    def _nothing_is_lost(self) -> StudentPrompt:
        if self.form in ("chat", "plain"):
            return self
        if "{{" not in self.form:
            raise ValueError(f"form is chat, plain, or a Jinja2 template that shows {{{{ user }}}}, not {self.form!r}")
        shown = _variables(self.form, "form")
        needed = {"user": True, "system": bool(self.system.strip()), "examples": bool(self.examples)}
        for name, there in needed.items():
            if there and name not in shown:
                raise ValueError(f"the template in form leaves out the {name}: put {{{{ {name} }}}} into it")
        return self


def render(
    prompt: StudentPrompt,
    tokenizer: Any,
    row: Row,
    examples: Sequence[tuple[Row | Mapping[str, Any] | str, str]] = (),
) -> str:
    """Return the text before the answer of a row.

    Parameters
    ----------
    tokenizer
        A Hugging Face tokenizer; only its chat template and the names of its special tokens are used.
    examples
        More rows with their answers, shown after those of the prompt.

    Raises
    ------
    DataError
        The row has not what the template asks for, or half a character (a lone surrogate).
    RecipeError
        The form is `chat` and the tokenizer has no chat template, or one that refuses the turns.
    """
    pairs: list[tuple[Row | Mapping[str, Any] | str, str]] = [(one.input, one.answer) for one in prompt.examples]
    shown = [{"user": _user(prompt, one), "assistant": answer} for one, answer in (*pairs, *examples)]
    user, system = _user(prompt, row), prompt.system.strip()
    if prompt.form == "chat":
        return _chat(tokenizer, system, shown, user)
    if prompt.form == "plain":
        before = [system] if system else []
        return "\n\n".join([*before, *(f"{one['user']}\n{one['assistant']}" for one in shown), f"{user}\n"])
    if shown and "examples" not in _variables(prompt.form, "form"):
        raise RecipeError("the template in form leaves out the examples: put {{ examples }} into it")
    names = {"bos_token": tokenizer.bos_token or "", "eos_token": tokenizer.eos_token or ""}
    return str(_compiled(prompt.form, "form").render(system=system, examples=shown, user=user, **names))


def columns(prompt: StudentPrompt) -> tuple[str, ...]:
    """Return the columns of a row that a prompt asks for, sorted: what makes two rows the same question."""
    return tuple(sorted(_variables(prompt.user, "user")))


def _user(prompt: StudentPrompt, row: Row | Mapping[str, Any] | str) -> str:
    from jinja2 import TemplateError, UndefinedError

    prefix, values = "", {"input": row} if isinstance(row, str) else row
    if not isinstance(values, Mapping):
        prefix, values = values.prefix, _values(values)
    try:
        text = prefix + str(_compiled(prompt.user, "user").render(values))
        text.encode()
    except UndefinedError as error:
        missing = ", ".join(repr(name) for name in columns(prompt) if name not in values) or str(error)
        raise DataError(f"a row has no {missing}, which the prompt asks for; it has {', '.join(values)}") from error
    except UnicodeEncodeError as error:
        raise DataError("a row holds half a character (a lone surrogate): decode it with errors='replace'") from error
    except (TemplateError, TypeError, ValueError, ArithmeticError) as error:
        raise DataError(f"a row cannot be put into the prompt: {error}") from error
    return text


def _values(row: Row) -> dict[str, Any]:
    """The columns of a row that a prompt may show; its answer is not among them."""
    return {**row.extra, "input": row.input, "group": row.group, "task": row.task}


def _chat(tokenizer: Any, system: str, shown: Sequence[Mapping[str, str]], user: str) -> str:
    template = tokenizer.get_chat_template() if getattr(tokenizer, "chat_template", None) else None
    if template is None:
        raise RecipeError("this tokenizer has no chat template: give the prompt a form, `plain` or a template")
    turns = [{"role": role, "content": one[role]} for one in shown for role in ("user", "assistant")]
    turns.append({"role": "user", "content": user})
    if system and _takes_system(tokenizer, template):
        turns.insert(0, {"role": "system", "content": system})
    elif system:
        turns[0] = {"role": "user", "content": f"{system}\n\n{turns[0]['content']}"}
    try:
        return _applied(tokenizer, turns)
    except Exception as error:
        raise RecipeError(f"the chat template of this tokenizer refuses the turns: {error}") from error


def _applied(tokenizer: Any, turns: Sequence[Mapping[str, str]]) -> str:
    return str(tokenizer.apply_chat_template(list(turns), tokenize=False, add_generation_prompt=True))


_known: dict[str, bool] = {}


def _takes_system(tokenizer: Any, template: str) -> bool:
    """Whether a system text survives the chat template; said once if it does not."""
    if template not in _known:
        try:
            turns = [{"role": "system", "content": PROBE}, {"role": "user", "content": "text"}]
            _known[template] = PROBE in _applied(tokenizer, turns)
        except Exception:
            _known[template] = False
        if not _known[template]:
            told = "the chat template has no system role: the system text is put before the first user text"
            warnings.warn(told, stacklevel=2)
    return _known[template]


@cache
def _environment() -> Any:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, keep_trailing_newline=True)
    environment.policies["json.dumps_kwargs"] = {"ensure_ascii": False, "sort_keys": True}
    del environment.filters["random"], environment.globals["lipsum"]  # a prompt is the same every time
    return environment


@cache
def _compiled(template: str, name: str) -> Any:
    from jinja2 import TemplateError

    try:
        return _environment().from_string(template)
    except TemplateError as error:
        raise RecipeError(f"{name} is no Jinja2 template: {error}") from error


@cache
def _variables(template: str, name: str) -> frozenset[str]:
    from jinja2 import meta

    _compiled(template, name)
    return frozenset(meta.find_undeclared_variables(_environment().parse(template)))
