"""More rows for a student that corrects: the answers to learn, spoilt anew as the labels show that texts are spoilt.

A teacher's answer is a text without mistakes. Words that it replaced tell what people write in their place, its words
how they inflect, and slips of the pen need no teaching; so each answer gives new pairs for nothing. What comes out is
often, not always, recoverable.

Half of what is made has disguised words: one that few answers have, and that its text has too, gets another beginning
in both. There are more words than labels show, and who corrects must keep those that it does not know. It is for
learning alone, and knows no language.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from random import Random

from stillroom.language.edits import edits
from stillroom.language.grammar.disguise import ENDING, beginning
from stillroom.language.grammar.noise import Noise, noise
from stillroom.language.rows import Row
from stillroom.language.split import normalised
from stillroom.language.words import words

SEVERAL = 3  # capitals that had been forgotten: fewer are slips
DISGUISED = 0.5  # of the new rows
RARE = 0.01  # of a group's answers have a word that may be disguised, at most


def spoilt(rows: Sequence[Row], times: int, seed: int = 0, without: Collection[str] = ()) -> list[Row]:
    """Return up to `times` new rows for each row with an answer, the mistakes those of its group.

    Parameters
    ----------
    rows
        Texts with mistakes and their corrections.
    times
        Fewer come out of short texts, where little can be wrong.
    without
        Normalised inputs that must not come out: those that are held out.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.answer:
            groups.setdefault(row.group, []).append(row)
    seen = {*without, *(normalised(row.input) for row in rows)}
    made = []
    for group, those in groups.items():
        spoiling, rare, random = learned(those), _rare(those), Random(f"spoilt {seed} {group}")
        for row in those:
            for _ in range(times):
                answer = row.answer or ""
                source = spoiling.spoil(answer, random)
                if random.random() < DISGUISED:
                    source, answer = disguised(source, answer, rare, random)
                if normalised(source) not in seen:
                    seen.add(normalised(source))
                    made.append(replace(row, input=source, answer=answer))
    return made


def disguised(source: str, answer: str, rare: Sequence[str], random: Random) -> tuple[str, str]:
    """Return both with another beginning of each rare word that both have."""
    for word in sorted({*words(source)} & {*words(answer)} & {*rare}):
        new = beginning(word, max(2, len(word) - ENDING), rare, random) + word[max(2, len(word) - ENDING) :]
        whole = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)")
        source, answer = whole.sub(new, source), whole.sub(new, answer)
    return source, answer


def _rare(rows: Sequence[Row]) -> list[str]:
    """Words that few of the answers have, however they are written."""
    found = [{word for word in words(row.answer or "") if word.isalpha() and len(word) > ENDING} for row in rows]
    counts = Counter(word for row in found for word in {word.lower() for word in row})
    return sorted(word for word in set().union(*found) if counts[word.lower()] <= RARE * len(rows))


def learned(rows: Iterable[Row]) -> Noise:
    """Return the noise that corrections show: what stood in a word's place, or that it was left out."""
    answers: list[str] = []
    confused: dict[str, set[str]] = {}
    lowered = 0
    for row in rows:
        wrong, right = words(row.input), words(row.answer or "")
        answers.append(row.answer or "")
        for edit in edits(wrong, right):
            before, after = wrong[edit.start : edit.end], edit.replacement
            if len(before) > 1 or len(after) != 1 or not after[0].isalpha():
                continue
            written, word = before[0].lower() if before else "", after[0].lower()
            if written == word:
                lowered += edit.start > 0 and after[0][0].isupper()
            else:
                confused.setdefault(word, set()).add(written)
    found = noise(answers)
    sets = {word: tuple(sorted(others)) for word, others in confused.items()}
    return replace(found, confused=sets, nouns=lowered >= SEVERAL)
