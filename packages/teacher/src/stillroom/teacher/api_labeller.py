"""A prompt and a model behind an API as one labeller, so that bench can judge it: a folder with a `config.json`.

    {"prompt": {"user": "{{ input }}", "max_tokens": 8}, "model": "gpt-5-mini", "budget_usd": 1.0}

Answers and ledger are kept beside it, in `teacher.sqlite`: what was paid for once is not paid for again, by no task and
no other run. It does not know the right answers; and it holds no key, which the environment's OPENAI_API_KEY does.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict

from stillroom.core.errors import ModelError
from stillroom.core.keys import key
from stillroom.core.protocols import Labeller
from stillroom.core.recipes import checked
from stillroom.core.registry import ModelFamily
from stillroom.core.runs import write_atomic
from stillroom.teacher.prompt import Prompt

CONFIG = "config.json"  # the name that bench hashes: another prompt or model is another score
STORE = "teacher.sqlite"


class Config(BaseModel):
    """What is asked, and of whom.

    Parameters
    ----------
    prompt
        A Prompt, with a `max_tokens`. If its answers are texts and a task has classes, they are what it asks for.
    model, base_url
        As the API calls it, and where that is; None: OpenAI's, or the environment's OPENAI_BASE_URL.
    input_usd, cached_usd, output_usd
        USD per million tokens, for models that our table of prices has not; see `prices.price_of`.
    budget_usd
        The most that the rows of one task may be charged, over all runs; None: no bound.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    prompt: Prompt
    model: str
    base_url: str | None = None
    input_usd: float | None = None
    cached_usd: float | None = None
    output_usd: float | None = None
    budget_usd: float | None = None

    def save(self, folder: str | Path) -> None:
        """Make a labeller of a folder, which is created if it is not there."""
        Path(folder).mkdir(parents=True, exist_ok=True)
        content = self.model_dump(mode="json", exclude_defaults=True)
        write_atomic(Path(folder) / CONFIG, json.dumps(content, ensure_ascii=False, indent=2) + "\n")


class ApiLabeller:
    """A labeller that asks an API; see `load`.

    Attributes
    ----------
    cost_usd, tokens
        What all calls for the rows last labelled were charged, whichever run or task made them, and the tokens of their
        prompts and answers: so a score says what its answers cost, also when they were there before.
    notes
        How many were.
    """

    def __init__(self, config: Config, store: Path) -> None:
        self.config, self.store = config, store
        self.cost_usd, self.tokens, self.notes = 0.0, 0, ""

    def label(
        self,
        rows: Sequence[Mapping[str, Any]],
        *,
        examples: Sequence[Mapping[str, Any]],
        classes: Sequence[str] | None,
    ) -> list[str | None]:
        """Ask for each row; the prompt has its own examples, if any.

        Raises
        ------
        ModelError
            The job stopped before its end: the budget is used up, or the API refuses to work. What was answered is
            kept, and a later run goes on from there.
        """
        from stillroom.core.targets import TargetStore
        from stillroom.teacher.calls import Api
        from stillroom.teacher.labelling import Job, label
        from stillroom.teacher.ledger import paid
        from stillroom.teacher.prices import price_of, usd

        config = self.config
        prompt = Prompt.read(config.prompt)
        if classes is not None and prompt.output.one_of is None and prompt.output.json_schema is None:
            output = prompt.output.model_dump(exclude_defaults=True) | {"one_of": list(classes)}
            prompt = Prompt.read(prompt, output=output)
        price = price_of(
            config.model, input_usd=config.input_usd, cached_usd=config.cached_usd, output_usd=config.output_usd
        )
        name = f"bench-{key(rows=repr(rows), prompt=prompt.digest(), model=config.model)[:16]}"
        with TargetStore(self.store) as store:
            job = Job(prompt, config.model, price, name=name, budget_usd=config.budget_usd)
            found = label(rows, job, store, Api(config.base_url))
            if found.stopped:
                raise ModelError(f"{found.stopped}, with {found.labelled} of {found.rows} rows labelled")
            charged, self.tokens = paid(store, {address for address, _, _ in found.spool})
            self.cost_usd = usd(charged)
            self.notes = f"{found.stored} of {found.rows} answers were there before"
            return [None if one is None else one.answer for _, one, _ in found.outcomes()]


def claims(source: str) -> bool:
    """Say whether a folder holds a labeller, from its `config.json` alone."""
    content = _content(Path(source).expanduser())
    return isinstance(content, dict) and {"prompt", "model"} <= content.keys()


def load(source: str, *, device: str = "cpu") -> ApiLabeller:
    """Load a labeller from a folder; `device` makes no difference, as it computes elsewhere.

    Raises
    ------
    ModelError
        The folder holds no labeller.
    RecipeError
        Its `config.json` cannot be meant.
    """
    folder = Path(source).expanduser()
    if not claims(source):
        raise ModelError(f"{source} is no labeller: its {CONFIG} should name a prompt and a model")
    return ApiLabeller(checked(Config, _content(folder)), folder / STORE)


def _content(folder: Path) -> Any:
    try:
        return json.loads((folder / CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


family = ModelFamily(load=load, claims=claims, can=(Labeller,))
