"""New inputs out of a teacher's answers: those that are usable and not yet there, and why the others are not.

Likeness is measured by pairs of words (see `near_duplicates`), not by ROUGE-L as in Self-Instruct (arXiv:2212.10560).
It does not know who answered, nor what an input means: a paraphrase passes, and so does nonsense of the right length.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stillroom.core.errors import DataError
from stillroom.teacher.near_duplicates import NearDuplicates, shingles
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.synthesis import digest, plain, prompt, texts

Row = Mapping[str, Any]

LENGTHS = 0.5, 2.0  # times the shortest and the longest seed
COPIED = 0.5  # share of an input's pairs of words that stand in the Prompt too
_PLACEHOLDER = re.compile(
    r"\[\s*(?i:insert|enter|add|your|name|date|company|product|city|placeholder)\b[^\]]*\]"
    r"|<\s*(?i:insert|enter|your)\b[^>]*>|\{\{.*?\}\}|\bTODO\b|\bTBD\b|\bX{3,}\b|(?i:\blorem ipsum\b)"
)
_FENCE = re.compile(r"```\w*\s*(.*?)```", re.DOTALL)
_EAST_ASIAN = {"CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO"}  # mixed in one text, so counted as one script


@dataclass(frozen=True)
class Harvest:
    """What came of the answers.

    Attributes
    ----------
    kept
        Rows that are ready for the label job.
    dropped
        The others (for an answer that is no list of inputs: all of it), each with its reason: its kind, and after a
        colon what one should know, as in "near-duplicate: of seed 3".
    """

    kept: list[dict[str, Any]]
    dropped: list[tuple[dict[str, Any], str]]

    @property
    def tally(self) -> dict[str, int]:
        """How many were kept, and how many dropped by kind of reason, the most frequent first."""
        kinds = Counter(reason.partition(":")[0] for _, reason in self.dropped)
        return {"kept": len(self.kept)} | dict(kinds.most_common())


def harvest(
    labels: Iterable[Row],
    asked: Iterable[Row],
    seeds: Iterable[Row],
    *,
    field: str = "input",
    count: int | None = None,
    threshold: float = 0.7,
    asked_with: Prompt | Row | None = None,
) -> Harvest:
    """Return the inputs in the teacher's answers that are new and usable, and the others with their reasons.

    Of several that are alike the first is kept: first in the order of the requests, whatever the order of the labels,
    so the harvest is the same however the answers came in. A kept row has `row_id` (a hash of its text), the text in
    `field`, `topic`, `wanted` and `request` (the `row_id` of the row that asked for it).

    Dropped are, by the first of these kinds that applies,

    - "no answer", "cut short" (for want of tokens), "not JSON", "no inputs": whole answers;
    - "no text": an item that is empty or no text;
    - "too short", "too long": less than half of the shortest seed, more than twice the longest, in characters;
    - "placeholder": "[insert name]", TODO and their like, unless a seed has one too;
    - "another script": most of its letters are of a script that is the main one of no seed. It is the script alone,
      by Unicode's names of characters: French among English seeds passes, and Chinese among Japanese;
    - "copy of the prompt": half of its pairs of words, or more, stand in the Prompt;
    - "near-duplicate": of a seed or of an input already kept, which is named;
    - "topic is full": its topic, or the answer that was wanted, has its share.

    An input belongs to the topic the teacher gives it if that is one of those asked for, else to that of its request.

    Parameters
    ----------
    labels
        A label table, of which `row_id`, `answer` and `finish_reason` are read; other rows' labels may stand in it.
    asked
        The request rows, of `synthesis.requests` or `balance.thin`.
    seeds
        What the inputs should be like and not repeat, with a text in `field`; "seed 0" is the first.
    count
        Inputs to keep, the same share of each topic, rounded up; by default a topic's share is what was asked for.
    threshold
        Similarity from which an input is a near-duplicate (see `NearDuplicates`).
    asked_with
        The Prompt that was put, if it was not `synthesis.prompt()`.

    Raises
    ------
    DataError
        No seed, one without a text in `field`, a table that is none of labels, or no label that answers a request.
    MissingError
        datasketch is not installed.
    """
    asked = list(asked)
    usable = _Usable(texts(seeds, field), Prompt.read(asked_with or prompt()), threshold)
    answers = _answers(labels, asked)
    left = Counter[str | None]()
    for row in asked:
        left[row.get("wanted") or row.get("topic") or None] += int(row["number"])
    if count is not None:
        left = Counter(dict.fromkeys(left, math.ceil(count / max(len(left), 1))))
    found = Harvest([], [])
    for row in asked:
        for text, said, reason in _items(answers[row["row_id"]]):
            wanted = row.get("wanted") or None
            topic = said if wanted or said in left else row.get("topic") or said
            new = {"row_id": digest(text), field: text, "topic": topic, "wanted": wanted, "request": row["row_id"]}
            share = wanted or (topic if topic in left else None)
            reason = reason or usable.fault(text) or ("" if left[share] else f"topic is full: {share}")
            if reason:
                found.dropped.append((new, reason))
            else:
                left[share] -= 1
                usable.seen.add(new["row_id"], text)
                found.kept.append(new)
    return found


class _Usable:
    """What an input must be like, learnt from the seeds; `seen` are those that it must not repeat."""

    def __init__(self, seeds: list[str], asked_with: Prompt, threshold: float) -> None:
        self.seen = NearDuplicates(threshold)
        for number, text in enumerate(seeds):
            self.seen.add(f"seed {number}", text)
        lengths = [len(text) for text in seeds]
        self.least, self.most = LENGTHS[0] * min(lengths), LENGTHS[1] * max(lengths)
        self.gaps = any(map(_PLACEHOLDER.search, seeds))
        self.scripts = set(map(_script, seeds))
        parts = (asked_with.system, asked_with.instructions, asked_with.user)
        self.prompt = frozenset[str]().union(*(shingles(part.text) for part in parts if part))

    def fault(self, text: str) -> str:
        """Why this text is of no use, "" if it is of use."""
        if not text:
            return "no text"
        if len(text) < self.least:
            return f"too short: {len(text)} characters, the least is {self.least:g}"
        if len(text) > self.most:
            return f"too long: {len(text)} characters, the most is {self.most:g}"
        if not self.gaps and (gap := _PLACEHOLDER.search(text)):
            return f"placeholder: {gap[0]}"
        if _script(text) not in self.scripts:
            return f"another script: {_script(text).lower()}"
        pairs = shingles(text)
        if len(pairs & self.prompt) >= COPIED * len(pairs):
            return "copy of the prompt"
        nearest = self.seen.nearest(text)
        return "" if nearest is None else f"near-duplicate: of {nearest}"


def _answers(labels: Iterable[Row], asked: list[Row]) -> dict[str, list[Row]]:
    """The labels of each request; several (samples, models) in the order of what they say."""
    answers: dict[str, list[Row]] = {row["row_id"]: [] for row in asked}
    for number, label in enumerate(labels):
        if "row_id" not in label or "answer" not in label:
            raise DataError(f"row {number} of the label table has no row_id or no answer: is it a label table?")
        if label["row_id"] in answers:
            answers[label["row_id"]].append(label)
    if not any(answers.values()):
        raise DataError("no label answers one of the requests: give the request rows that this teacher was asked")
    return {row_id: sorted(found, key=lambda label: str(label["answer"])) for row_id, found in answers.items()}


def _items(labels: list[Row]) -> Iterator[tuple[str, str | None, str]]:
    """The text of each input in the answers, its topic, and "", or what is wrong with an answer."""
    if not labels:
        yield "", None, "no answer"
    for label in labels:
        answer = plain(label["answer"])
        if not answer or label.get("finish_reason") == "length":
            yield answer, None, "cut short: allow more max_tokens" if answer else "no answer"
            continue
        try:
            said = _json(answer)
        except (ValueError, RecursionError):
            yield answer, None, "not JSON"
            continue
        items = said.get("inputs") if isinstance(said, dict) else said
        if not isinstance(items, list) or not items:
            yield answer, None, "no inputs"
            continue
        for item in items:
            pair = item if isinstance(item, dict) else {"input": item}
            yield plain(pair.get("input")), plain(pair.get("topic")) or None, ""


def _json(answer: str) -> Any:
    """The JSON in an answer, maybe in a code fence or with words around it."""
    try:
        return json.loads(answer)
    except ValueError:
        fenced = _FENCE.search(answer)
        inside = fenced[1] if fenced else answer[min((answer.find(c) for c in "{[" if c in answer), default=0) :]
        return json.JSONDecoder().raw_decode(inside.strip())[0]


def _script(text: str) -> str:
    """The script that most letters are of, by the first word of their Unicode names; "NONE" without letters."""
    letters = (unicodedata.name(c, "NONE").split()[0] for c in unicodedata.normalize("NFKC", text) if c.isalpha())
    counts = Counter("CJK" if name in _EAST_ASIAN else name for name in letters)
    return max(sorted(counts), key=counts.__getitem__, default="NONE")
