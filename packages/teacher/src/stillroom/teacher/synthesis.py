"""More inputs like those one has: what to ask a teacher, after Self-Instruct (Wang et al. 2022, arXiv:2212.10560).

1. `requests` writes request rows, each with a few of the seeds, and `prompt` the Prompt that asks for more of the kind;
   the label job puts them to a teacher.
2. `harvest.harvest` reads the label table back and keeps the inputs that are new and usable.
3. Those rows go to the label job like any others, with the user's own expert Prompt. There is nothing to write for it:
   they hold a `row_id` and the column that the seeds have.

Unlike there, the loop is not closed: what was harvested becomes a seed only if the user says so. It asks nobody
anything, and it does not know what makes an input true to life beyond being like the seeds: let a person look
(`review`).
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any

from stillroom.core.errors import DataError, RecipeError

PER_REQUEST, SHOWN = 8, 6  # inputs asked for at once; seeds shown: the paper's six that people wrote
SYSTEM = "You write inputs with which a language model is trained and tested."
INSTRUCTIONS = """\
You are shown inputs that people wrote. Write new ones that could come from the same people: the same kind of text, in
the same language, tone, form and length, but about other cases, with other details, in other words. Make each unlike
the examples and unlike the others. Write them out in full: make up names, numbers and places instead of leaving gaps.
Do not answer the inputs, do not explain them, and do not repeat these instructions."""
USER = """\
{{ input }}

Write {{ number }} new inputs of this kind.
{%- if topic %} Their topic is: {{ topic }}. Repeat it as the topic of each.{% endif %}
{%- if wanted %} The right answer to each of them should be: {{ wanted }}{% endif %}
{%- if batch > 1 %} You wrote such lists before, this is number {{ batch }}: leave out what first comes to mind.
{%- endif %}"""


def prompt(**changes: Any) -> dict[str, Any]:
    """Return the Prompt for rows of `requests` and of `balance.thin`, with changes such as another `max_tokens`.

    4,096 tokens are for all the inputs of one answer: allow more for long ones, as an answer that is cut short is lost.
    The temperature is 1, as variety is the aim, and what goes wrong by it does not pass the harvest.
    """
    text = {"type": "string"}
    names = ["input", "topic"]
    item = {"type": "object", "properties": dict.fromkeys(names, text), "required": names}
    inputs = {"type": "array", "items": item | {"additionalProperties": False}}
    schema = {"type": "object", "properties": {"inputs": inputs}, "required": ["inputs"], "additionalProperties": False}
    return {
        "name": "more-inputs",
        "system": SYSTEM,
        "instructions": INSTRUCTIONS,
        "user": USER,
        "output": {"json_schema": schema},
        "max_tokens": 4096,
        "temperature": 1.0,
    } | changes


def requests(
    seeds: Iterable[Mapping[str, Any]],
    *,
    count: int,
    per_request: int = PER_REQUEST,
    shown: int = SHOWN,
    topics: Sequence[str] | None = None,
    field: str = "input",
    seed: int = 0,
) -> Iterator[dict[str, Any]]:
    """Yield request rows that ask for `count` new inputs, as many of each topic.

    A row has the columns of `request`. The topics take turns, so that a job that stops early has asked for each alike.
    Where seeds have a `topic`, those of a rare one are shown as often as those of a common one. The same arguments give
    the same rows in every process.

    Parameters
    ----------
    seeds
        Rows with a text in `field` and maybe a `topic`.
    count
        Inputs to ask for, rounded up to the same number a topic; some will be dropped, so ask for more than you need.
    per_request, shown
        Inputs that one row asks for, and seeds that it shows, at most.
    topics
        What to ask about; by default the topics of the seeds. Where there are none, the teacher chooses.
    seed
        Of the draw of the seeds that are shown.

    Raises
    ------
    DataError
        No seed, or one without a text in `field`.
    RecipeError
        A number below 1, or an empty list of topics.
    """
    if topics is not None and not topics:
        raise RecipeError("the list of topics is empty: name some, or give none to take those of the seeds")
    seeds = list(seeds)
    by_topic: dict[str | None, dict[str, None]] = {}
    for row, text in zip(seeds, texts(seeds, field), strict=True):
        topic = str(row.get("topic") or "").strip() or None
        by_topic.setdefault(topic, {})[text] = None
    asked: list[str | None] = list(dict.fromkeys(topics or filter(None, by_topic))) or [None]
    for batch, number in batches(math.ceil(count / len(asked)), per_request):
        for topic in asked:
            chosen = drawn(list(by_topic), shown, seed, topic, batch)
            columns = [drawn(list(by_topic[one]), shown, seed, topic, batch, one) for one in chosen]
            turns = [text for turn in zip_longest(*columns) for text in turn if text is not None]
            yield request(turns[:shown], batch, number, topic=topic)


def request(
    examples: Sequence[str], batch: int, number: int, topic: str | None = None, wanted: str | None = None
) -> dict[str, Any]:
    """Return one request row, with the columns that `prompt` uses.

    They are `input` (the examples), `number` (how many inputs it asks for), `topic`, `wanted` (the answer that they
    should have), `batch` (which of the requests with that topic it is, from 1: the same question would have the same
    answer) and `row_id`, a hash of the others.
    """
    shown = "\n\n".join(f"<example>\n{text}\n</example>" for text in examples)
    row = {"input": shown, "number": number, "topic": topic, "wanted": wanted, "batch": batch}
    return {"row_id": digest(row), **row}


def batches(count: int, per_request: int = PER_REQUEST) -> list[tuple[int, int]]:
    """Split `count` inputs into requests: the number of each, from 1, and how many inputs it asks for.

    Raises
    ------
    RecipeError
        A number below 1.
    """
    if min(count, per_request) < 1:
        raise RecipeError(f"{count} inputs, {per_request} a request, are nothing to ask for: give numbers from 1")
    starts = range(0, count, per_request)
    return [(batch, min(per_request, count - start)) for batch, start in enumerate(starts, start=1)]


def drawn(items: Sequence[Any], count: int, *salt: Any) -> list[Any]:
    """Return `count` of the items at random, or all: the same for the same salt, whatever the Python and the machine.

    Raises
    ------
    RecipeError
        A count below 1.
    """
    if count < 1:
        raise RecipeError(f"{count} examples show nothing: allow 1 or more")
    left = list(items)
    for place in range(min(count, len(left))):
        other = place + int(digest([*salt, place]), 16) % (len(left) - place)
        left[place], left[other] = left[other], left[place]
    return left[:count]


def texts(seeds: Iterable[Mapping[str, Any]], field: str) -> list[str]:
    """Return the text of each seed.

    Raises
    ------
    DataError
        No seed, or one without a text in `field`.
    """
    found = []
    for number, row in enumerate(seeds):
        found.append(plain(row.get(field)))
        if not found[-1]:
            have = ", ".join(sorted(map(str, row))) or "none"
            raise DataError(f"seed {number} has no text in the field {field!r}; its fields are: {have}")
    if not found:
        raise DataError("there are no seeds: give a few examples of what the inputs look like")
    return found


def plain(value: Any) -> str:
    """Return a text without white space around it, half a surrogate pair as `?`; "" for what is no text."""
    return value.strip().encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def digest(value: Any) -> str:
    """Return a hash of a JSON value: 16 hexadecimal digits, as in the row ids of `prompts.requests`."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
