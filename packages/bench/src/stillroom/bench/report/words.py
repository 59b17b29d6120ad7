"""The report's first sentences, made of its numbers: what was compared, who leads and how surely, what failed.

Plain language for somebody who reads nothing else. It knows leaderboards and score rows, no kind of task and no markup.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from stillroom.bench.kinds import kind_of
from stillroom.bench.leaderboard import Leaderboard, pairwise

if TYPE_CHECKING:
    import pandas as pd


FEWEST = 6
"""Of fewer tasks, all fall on one side of 1 by chance more often than 1 in 20 times (2 / 2**5): no verdict then."""


def compared(scores: pd.DataFrame, boards: Sequence[Leaderboard]) -> str:
    """What is compared, and why the rest is not."""
    models, tasks = scores["model"].nunique(), scores["task"].nunique()
    used = sum(len(board.tasks) for board in boards)
    share = f"all {tasks} tasks" if used == tasks else f"{used} of the {count(tasks, 'task')}"
    kinds = f", which are of {len(set(scores['kind']))} kinds" if len(set(scores["kind"])) > 1 else ""
    said = f"{count(models, 'model')} {were(models)} compared on {share} of "
    said += f"{joined(sorted(scores['suite'].unique()))}{kinds}."
    skipped = int((scores["status"] == "skipped").groupby(scores["task"]).all().sum())
    rest = tasks - used - skipped
    why = [f"{count(skipped, 'task')} {were(skipped)} skipped, as the data could not be had here"] if skipped else []
    if rest:
        why.append(f"{count(rest, 'task')} could not be compared (why is said below)")
    return f"{said} {'; '.join(why)}." if why else said


def leader(board: Leaderboard) -> str:
    """Who leads, and whether the intervals tell it from the baseline and from the second."""
    if len(board.models) == 1:
        return f"Only the baseline {board.baseline} ran, so there is nothing to compare it with."
    metric, baseline = board.metrics[0], f"the baseline {board.baseline}"
    place = 1 if board.models[0] == board.baseline else 0
    model = board.models[place]
    score, low, high = (board.table[f"relative_{metric}{end}"][place] for end in ("", "_low", "_high"))
    said = f"By {metric}, {model} leads" if not place else f"By {metric}, nothing beats {baseline}; {model} comes next"
    error = f"error (1 − {metric})" if metric in kind_of(board.kind).higher else "error"
    said += f": its {error} is {score:.3f} times that of {'the baseline' if place else baseline}"
    if len(board.tasks) == 1:
        return f"{said}. Of one task there is no interval."
    said += f" (95\u00a0% interval {low:.3f} to {high:.3f})."
    if len(board.tasks) < FEWEST:
        return f"{said} {len(board.tasks)} tasks are too few to lean on that interval."
    if low <= 1 <= high:
        said += f" The interval includes 1, so these tasks do not tell {model} from the baseline."
    else:
        said += f" The whole interval is {'below' if high < 1 else 'above'} 1, so this does not hang on single tasks."
    second = board.models[1]
    if board.baseline in board.models[:2]:
        return said
    pairs = pairwise(board)
    ahead = pairs.loc[(pairs["model"] == model) & (pairs["other"] == second), "skill_low"]
    if (ahead > 0).all():
        return f"{said} It is also ahead of {second}, the second, by an interval that leaves a tie out."
    return f"{said} Between it and {second}, the second, these tasks do not decide."


def failed(scores: pd.DataFrame) -> str:
    """How many rows failed, and whose."""
    ran = scores[scores["status"] != "skipped"]
    bad = ran[ran["status"] == "failed"]
    if bad.empty:
        return "Nothing failed."
    whose = [f"{model} ({number})" for model, number in bad["model"].value_counts(sort=True).items()]
    return (
        f"{len(bad)} of {count(len(ran), 'job')} failed: {joined(whose)}. A failed task counts as the baseline’s score."
    )


def doubts(scores: pd.DataFrame, flags: pd.DataFrame) -> str:
    """Leakage and plausibility flags in a sentence, or nothing."""
    leaking = scores[scores["leakage"].fillna(False).astype(bool)]
    said = []
    if len(leaking):
        pairs = [f"{model} ({count(n, 'task')})" for model, n in leaking["model"].value_counts(sort=True).items()]
        said.append(f"Trained on data that it is judged on: {joined(pairs)}.")
    if len(flags):
        said.append(f"{count(len(flags), 'score')} deserve{'s' if len(flags) == 1 else ''} a second look.")
    return " ".join(said)


def were(number: int) -> str:
    """The verb to a number of things."""
    return "was" if number == 1 else "were"


def count(number: int, noun: str) -> str:
    """`1 task`, `2 tasks`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def joined(names: Sequence[str], most: int = 5) -> str:
    """`a, b and c`; of very many, the first ones."""
    names = list(names)
    if len(names) > most:
        names = [*names[: most - 1], f"{len(names) - most + 1} more"]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
