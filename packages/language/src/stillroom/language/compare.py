"""Compare adapters: one recipe, many trainings, and what each gained for how many parameters, seconds and bytes.

    FOLDER/rows/…          what they learn from, choose by and are judged on: the same split for all
    FOLDER/runs/<cell>/    a Run each; done ones are never trained again, one that was cut short goes on
    FOLDER/logs/<cell>.log what a training said that failed
    FOLDER/suite.yaml      tasks for `stillroom bench run`: the judged rows as they are, and with slips of the keyboard
    FOLDER/models.txt      the Runs, a line each

Bottleneck adapters (Houlsby et al. 2019) are left out, as PEFT has none: their layers stay in the network at work and
can be folded into no weight. Trainings run one after another; it knows no metric and no network.

References
----------
Zhuo et al. (2024), Astraios: Parameter-Efficient Instruction Tuning Code Large Language Models, arXiv:2401.00788: many
methods at several scales, validation loss against what tasks say. Ding et al. (2023), Parameter-efficient fine-tuning
of large-scale pre-trained language models, Nature Machine Intelligence 5, for the families of methods.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from stillroom.core.errors import CorruptError, DataError, RecipeError, StillroomError
from stillroom.core.plain import to_plain
from stillroom.core.runs import Run, without_secrets, write_atomic
from stillroom.language import cell as cells
from stillroom.language.comparison import CLEAN, NOISY, RUNS, Comparison
from stillroom.language.grid import Cell, CompareRecipe, grid
from stillroom.language.portions import Portions, portions, write_once
from stillroom.language.recipe import DistillRecipe
from stillroom.language.summary import LOGS, MODELS, summary, trainings
from stillroom.language.work import as_lines


def compare(
    recipe: CompareRecipe | Mapping[str, Any] | str | Path, folder: str | Path, *, apart: bool = True
) -> Comparison:
    """Train every cell of a grid that is not trained yet, write a suite that judges them, and say what came of it.

    Parameters
    ----------
    recipe
        A `CompareRecipe`, a mapping, or the path of a YAML file.
    folder
        Of the comparison. One that was cut short goes on there; so does one whose grid has grown: what was trained
        before stays in the table.
    apart
        A process of its own for every training, which makes its peak memory true. False: all in this one, without
        their memory: for a debugger, or where a model is so small that starting a process costs more than training it.

    Returns
    -------
    Comparison
        A training that failed is among its `failed`, with its reason; the others go on. Another call tries it again.

    Raises
    ------
    RecipeError
        A grid that cannot be meant, or a folder that holds another comparison.
    DataError
        Rows that cannot be read or split, or no training that succeeded.
    ModelError, MissingError
        A student that is not there, or a package that a method needs.
    """
    recipe, folder = CompareRecipe.of(recipe), Path(folder)
    base = DistillRecipe.of(recipe.base)
    found = portions(base)
    recipe, sentences = _fitting(recipe, len(found.learn))
    planned = grid(recipe)
    for sentence in (*found.sentences, *sentences, *planned.sentences):
        _say(sentence)
    shared = _sharing_targets(recipe.base, folder)
    orders = {}
    for one in planned.cells:  # all of them, before the first is trained
        order = one.recipe(shared, found.write(folder / "rows", one.labels)).model_dump(mode="json")
        orders[one] = order
        _check_same(folder / RUNS / one.name, order)
    write_suite(folder, found, base, recipe.noise)
    names = dict.fromkeys([*trainings(folder), *(one.name for one in planned.cells)])
    write_atomic(folder / MODELS, "".join(f"{folder / RUNS / name}\n" for name in names))
    todo = [one for one in planned.cells if not _done(folder / RUNS / one.name)]
    _say(f"{len(planned.cells)} trainings, {len(planned.cells) - len(todo)} of them done before")
    for number, one in enumerate(todo, start=1):
        _say(f"{number} of {len(todo)}: {one.name}")
        why = _train(one, orders[one], folder, apart)
        if why is not None:
            _say(f"{one.name} failed: {why}")
    return summary(folder)


def write_suite(folder: Path, found: Portions, base: DistillRecipe, noise: float) -> None:
    """Write the rows that judge, and the suite of them: as they are, and with slips in a share of their words."""
    write_once(folder / "rows" / "judge.jsonl", as_lines(found.asked(base.prompt)))
    import yaml

    task: dict[str, Any] = {"kind": "generate", "dataset": "rows/judge.jsonl", "metrics": list(base.metrics)}
    if not found.prompts:  # all models are asked the same then, a base and a teacher as well
        task["prompt"] = base.prompt.model_dump(mode="json", exclude_defaults=True)
    if base.max_new_tokens != "auto":
        task["max_new_tokens"] = base.max_new_tokens
    suite = {
        "description": f"{len(found.judged):,} rows that no training of this comparison saw, and the same with slips "
        f"of the keyboard in {noise:.0%} of their words",
        "defaults": task,
        "tasks": [{"id": CLEAN}, {"id": NOISY, "noise": noise}],
    }
    write_atomic(folder / "suite.yaml", yaml.safe_dump(suite, sort_keys=False, allow_unicode=True))


def _fitting(recipe: CompareRecipe, learn: int) -> tuple[CompareRecipe, list[str]]:
    """Leave out numbers of labels that are not there."""
    over = [labels for labels in recipe.labels if labels > learn]
    if not over:
        return recipe, []
    said = (
        f"there are {learn:,} rows to learn from: {', '.join(f'{labels:,}' for labels in over)} stands for all of them"
    )
    kept: Sequence[int] = [*(labels for labels in recipe.labels if labels < learn), learn]
    return recipe.model_copy(update={"labels": tuple(dict.fromkeys(kept))}), [said]


def _sharing_targets(base: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """A teacher whose targets are stored is asked once for all trainings."""
    objective = base.get("objective") or {}
    teacher = objective.get("teacher") or {}
    if teacher.get("targets") != "stored" or teacher.get("store"):
        return dict(base)
    return {**base, "objective": {**objective, "teacher": {**teacher, "store": str(folder / "targets.sqlite")}}}


def _check_same(place: Path, order: Mapping[str, Any]) -> None:
    """Refuse a folder whose Runs are of another recipe: done ones would be taken for what they are not."""
    try:
        there = Run.load(place).recipe if (place / "run.json").exists() else None
    except (DataError, CorruptError) as error:
        raise RecipeError(f"{error}: remove {place}, and it is trained again") from error
    if there is None:
        return
    wanted = without_secrets(to_plain({"family": "language", "verb": "distill", **order}))
    if different := [name for name in {**wanted, **there} if wanted.get(name) != there.get(name)]:
        raise RecipeError(
            f"{place} holds a training of another recipe ({', '.join(sorted(different))}): choose another folder"
        )


def _done(place: Path) -> bool:
    return (place / "run.json").exists() and bool(Run.load(place).metrics)


def _train(one: Cell, order: dict[str, Any], folder: Path, apart: bool) -> str | None:
    """Train a cell; return why it failed."""
    place, log = folder / RUNS / one.name, folder / LOGS / f"{one.name}.log"
    if apart:
        return cells.train_apart(order, place, log)
    try:
        cells.train(order, place)
    except StillroomError as error:
        write_atomic(log, f"{error}\n")
        return str(error)
    log.unlink(missing_ok=True)
    return None


def _say(sentence: str) -> None:
    print(sentence, file=sys.stderr, flush=True)
