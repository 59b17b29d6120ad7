"""Reasons asked for after the answers: a second call a row, which shows the answer and asks why it is the answer.

The other way, both in one call, is a form of answer (`forms.Output`). Asked after, the answer is what it
would have been without; the reasons are told to fit it (Hsieh et al. 2023, arXiv:2305.02301, have them before it). Both
calls are of one job, with one budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from stillroom.core.errors import RecipeError
from stillroom.core.labels import Label
from stillroom.core.targets import TargetStore
from stillroom.teacher.calls import Api
from stillroom.teacher.forms import Output
from stillroom.teacher.labelling import Job, Labelled, label
from stillroom.teacher.prompt import Prompt

ANSWER = "answer_to_explain"  # the column that shows the answer; no row of a user's has it by chance
WHY = "\n\nThe answer is: {{ " + ANSWER + " }}\nSay in a few sentences why. Give the reasons alone."
MAX_TOKENS = 256  # a few sentences


def why(prompt: Prompt, max_tokens: int = MAX_TOKENS) -> Prompt:
    """Return the prompt that asks for the reasons of an answer: the same, with the answer, and without examples."""
    user = prompt.user.model_copy(update={"text": prompt.user.text + WHY})
    changes = {"user": user, "examples": type(prompt.examples)(), "output": Output(), "max_tokens": max_tokens}
    return prompt.model_copy(update=changes | {"name": f"{prompt.name}-why", "top_logprobs": None})


def explain(
    rows: Iterable[Mapping[str, Any]],
    found: Labelled,
    job: Job,
    store: TargetStore,
    api: Api,
    *,
    max_tokens: int = MAX_TOKENS,
    advance: Callable[[int], object] = lambda steps: None,
) -> tuple[Labelled, Iterator[tuple[str, Label | None, str]]]:
    """Ask for the reasons of the answers that a job found; return that run, and the job's outcomes with reasons.

    Parameters
    ----------
    rows
        The job's rows, from the beginning.
    found
        What came of the job.

    Raises
    ------
    RecipeError
        The job has several answers a row, or asked for reasons already.
    """
    if job.samples > 1 or job.prompt.output.rationale:
        raise RecipeError("reasons are asked for after one answer a row, and once: leave out samples or rationale")
    outcomes = found.outcomes()
    answered = (
        {**row, "row_id": one.row_id, ANSWER: one.answer}
        for row, (_, one, _) in zip(rows, outcomes, strict=False)
        if one is not None
    )
    second = replace(job, prompt=why(job.prompt, max_tokens), name=job.title)
    reasons = label(answered, second, store, api, advance=advance)
    return reasons, _joined(found, reasons)


def _joined(found: Labelled, reasons: Labelled) -> Iterator[tuple[str, Label | None, str]]:
    rest = reasons.outcomes()
    for row_id, one, because in found.outcomes():
        if one is None:
            yield row_id, None, because
            continue
        _, said, _ = next(rest)
        yield row_id, replace(one, rationale=None if said is None else said.answer), because
