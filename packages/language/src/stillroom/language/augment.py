"""More data through a teacher: what to ask for, as files, and the labels that come back, as rows.

1. `requests` writes request rows and a Prompt file; whoever pays puts them to a teacher, who writes new inputs.
2. `inputs` reads what came back and writes the new inputs as request rows, without those that are there already.
3. The teacher labels these with the user's own Prompt, and `labelled` reads them as rows to learn from.

New inputs have no answers of their own (a paraphrase of a sentence with a mistake may lose the mistake), so they are
labelled like any others. They are for learning alone: do not split them, and make them of rows to learn from, or what
judges is like what was learned. It asks nobody anything.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import yaml

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.runs import write_atomic
from stillroom.language.rows import Read, Row, Source, read
from stillroom.language.split import normalised

SYSTEM = "You write inputs with which a language model is trained."
INSTRUCTIONS = """\
You are shown an input. Write new inputs that could come from the same people: in the same language, form and tone, of
about the same length. {how} Keep its kind of difficulty: where the input has mistakes, make mistakes of the same kind.
Do not answer the input, do not explain anything, and do not number the new inputs."""
HOW = {
    "paraphrase": "Each says the same as the input in other words.",
    "new": "Each is about another case, with other details and other words.",
}
USER = "<input>\n{{ input }}\n</input>\n\nWrite {{ number }} new inputs."


@dataclass(frozen=True)
class Harvest:
    """What came of asking for new inputs.

    Attributes
    ----------
    answers, unreadable
        Answers of the teacher, and those of another form than was asked for.
    inputs, known, kept
        New inputs in the others; those that were there already, in other case or white space perhaps; and the rest.
    """

    answers: int
    unreadable: int
    inputs: int
    known: int
    kept: int

    def sentence(self) -> str:
        """Say it to people."""
        return (
            f"{self.kept:,} new inputs from {self.answers:,} answers; left out: {self.known:,} that were there "
            f"already, and {self.unreadable:,} answers that are no list of inputs"
        )


def requests(
    rows: Sequence[Row], path: str | Path, count: int = 4, how: str = "paraphrase", *, max_tokens: int = 1024
) -> Path:
    """Write request rows, one for each row, and beside them the Prompt file; return the path of that.

    Parameters
    ----------
    path
        Of the request rows: JSON Lines of `row_id` (a hash of what is asked), `input`, `number` and `group`. The Prompt
        is `path` with the ending `.prompt.yaml`.
    count
        New inputs to ask for with each row.
    how
        `paraphrase`, or `new` for other inputs of the kind.
    max_tokens
        Of an answer, with all its inputs: it bounds what a call can cost.

    Raises
    ------
    DataError
        There are no rows, or one has no input.
    RecipeError
        A count below 1, or another `how`.
    """
    if how not in HOW:
        raise RecipeError(f"new inputs can be asked for as {' or '.join(HOW)}, not as {how!r}")
    if count < 1:
        raise RecipeError(f"{count} inputs a row are nothing to ask for: give a number from 1")
    if not rows or not all(row.input.strip() for row in rows):
        raise DataError("new inputs are made from rows that have one: give some")
    asked = [{"input": row.input, "number": count, "group": row.group} for row in rows]
    _write_lines(path, {_digest([how, one]): one for one in asked})
    place = Path(path).with_suffix(".prompt.yaml")
    write_atomic(place, yaml.safe_dump(prompt(how, max_tokens), allow_unicode=True, sort_keys=False))
    return place


def prompt(how: str = "paraphrase", max_tokens: int = 1024) -> dict[str, Any]:
    """Return the Prompt that `requests` writes; its temperature is 1, as variety is the aim."""
    schema = {
        "type": "object",
        "properties": {"inputs": {"type": "array", "items": {"type": "string"}}},
        "required": ["inputs"],
        "additionalProperties": False,
    }
    return {
        "name": f"augment-{how}",
        "system": SYSTEM,
        "instructions": INSTRUCTIONS.replace("{how}", HOW[how]),
        "user": USER,
        "input": "input",
        "output": {"json_schema": schema},
        "max_tokens": max_tokens,
        "temperature": 1.0,
    }


def inputs(answers: Source | str | Path, known: Iterable[Row], path: str | Path) -> Harvest:
    """Read what a teacher answered to `requests`, and write the new inputs as request rows for the user's own Prompt.

    Parameters
    ----------
    answers
        A target store or a file of labels; a `Source` whose `join` is the file of the requests keeps their groups.
    known
        Rows that there are, those held out included: no input near one of theirs is taken.
    path
        Of the new request rows: JSON Lines of `row_id`, `input` and `group`.

    Raises
    ------
    DataError
        There is no answer to read, or no new input in them.
    """
    rows = read(_source(answers)).rows
    seen = {normalised(row.input) for row in known}
    found: dict[str, dict[str, Any]] = {}
    unreadable = written = 0
    for row in rows:
        listed = _listed(row.answer or "")
        unreadable += listed is None
        for text in listed or []:
            written += 1
            if normalised(text) not in seen:
                seen.add(normalised(text))
                found[_digest(text)] = {"input": text, "group": row.group}
    harvest = Harvest(len(rows), unreadable, written, written - len(found), len(found))
    if not found:
        raise DataError(f"there is no new input to label: {harvest.sentence()}")
    _write_lines(path, found)
    return harvest


def labelled(labels: Source | str | Path, held_out: Iterable[Row] = ()) -> Read:
    """Return the labels of new inputs as rows to learn from, without inputs near one that is held out.

    Parameters
    ----------
    labels
        A target store or a file; a `Source` whose `join` is the file that `inputs` wrote keeps their groups.

    Raises
    ------
    DataError
        See `rows.read`; or all of them are held out.
    """
    found = read(_source(labels))
    kept_out = {normalised(row.input) for row in held_out}
    rows = [row for row in found.rows if normalised(row.input) not in kept_out]
    report = replace(found.report, kept=len(rows), held_out=len(found.rows) - len(rows))
    if not rows:
        raise DataError(f"there is nothing to learn from: {report.sentence()}")
    return Read(rows, report)


def _source(where: Source | str | Path) -> Source:
    return where if isinstance(where, Source) else Source(path=str(where))


def _listed(answer: str) -> list[str] | None:
    """The inputs that an answer lists; None if it is no such list."""
    try:
        texts = json.loads(answer)["inputs"]
    except (ValueError, TypeError, KeyError):
        return None
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        return None
    return [text.strip() for text in texts if text.strip()]


def _write_lines(path: str | Path, rows: Mapping[str, Mapping[str, Any]]) -> None:
    lines = (json.dumps({"row_id": row_id, **row}, ensure_ascii=False) + "\n" for row_id, row in rows.items())
    write_atomic(path, "".join(lines))


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
