"""The plan of a recipe: its own rows and tokenizer where they are here, stated guesses where they are not.

What a plan is, plan.py says; this module finds out what to plan for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, MissingError, ModelError, RecipeError
from stillroom.language.lessons import material
from stillroom.language.plan import Plan, plan
from stillroom.language.prompting import StudentPrompt, render
from stillroom.language.recipe import DistillRecipe
from stillroom.language.rows import Row, Source, expanded

GUESSED_TOKENS, GUESSED_ANSWER = 128.0, 48.0
"""Tokens of a row and of its answer where no row is here: a sentence or two, an instruction, a sentence in reply."""

LETTERS_A_TOKEN = 3.5  # of European text in a vocabulary of 32,000; where no tokenizer is here
SAMPLE = 500  # rows whose tokens are counted


@dataclass(frozen=True)
class Lengths:
    """How long rows are, and how that is known."""

    rows: int
    tokens: float
    answer_tokens: float
    sentence: str


def planned(
    recipe: DistillRecipe | Mapping[str, Any] | str | Path, *, rows: int | None = None, config: str | Path | None = None
) -> tuple[Plan, str]:
    """Return the plan of a recipe, and how the lengths of its rows are known.

    Parameters
    ----------
    rows
        To learn from, where the recipe's data are not here yet.
    config
        A folder with `config.json`, or the file, where the student is not here yet.

    Raises
    ------
    RecipeError
        The data are not here and `rows` is not given. Otherwise as `plan`.
    """
    recipe = DistillRecipe.of(recipe)
    lengths = _lengths(recipe, rows)
    found = plan(
        str(config or recipe.student.model),
        recipe.adapter,
        recipe.train,
        lengths.rows,
        lengths.tokens,
        lengths.answer_tokens,
        recipe.max_tokens,
        recipe.packing,
        kind=recipe.student.kind,
        classes=recipe.student.classes,
    )
    return found, lengths.sentence


def _lengths(recipe: DistillRecipe, rows: int | None) -> Lengths:
    away = [source.path for source in (*recipe.data, *([recipe.exam] if recipe.exam else [])) if not _here(source)]
    if away and rows is None:
        raise RecipeError(f"{away[0]} is not here; to plan without it, say how many rows there will be: --rows")
    if away:
        said = f"{away[0]} is not here: {GUESSED_TOKENS:g} tokens a row and {GUESSED_ANSWER:g} an answer are guesses"
        return Lengths(rows or 0, GUESSED_TOKENS, GUESSED_ANSWER, said)
    learned = material(recipe).learn
    sample = learned[:SAMPLE]
    answers = [row.answer or "" for row in sample]
    try:
        from stillroom.language.students import tokenizer_of

        tokenizer = tokenizer_of(recipe.student.model)
        asked = [render(recipe.prompt, tokenizer, row) for row in sample]
        before, after = (_mean([len(tokenizer(one).input_ids) for one in texts]) for texts in (asked, answers))
        how = "counted"
    except (ModelError, MissingError):
        before = _mean([_letters(recipe.prompt, row) for row in sample]) / LETTERS_A_TOKEN
        after = _mean([len(one) for one in answers]) / LETTERS_A_TOKEN
        how = f"reckoned at {LETTERS_A_TOKEN:g} letters a token, as the student's tokenizer is not here"
    said = f"{before + after:.0f} tokens a row, {after:.0f} of them the answer ({how})"
    return Lengths(rows or len(learned), before + after, max(after, 1.0), said)


def _here(source: Source) -> bool:
    try:
        return expanded(source.path).is_file()
    except DataError:  # a variable that is not set
        return False


def _letters(prompt: StudentPrompt, row: Row) -> int:
    return len(prompt.system) + len(prompt.user) + len(row.input)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
