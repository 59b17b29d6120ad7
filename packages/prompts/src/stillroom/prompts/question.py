"""Steer what is kept towards a question, by the words that text and question share.

Nothing here is learnt: a word of the question gains wherever the text has it, and so does a whole sentence, by how many
rare words of the question it holds. The result then depends on the question, so two questions about one text give two
prompts, and neither shares its prefix with the other in a provider's cache. Words are compared by their beginnings;
synonyms are strangers.
"""

from __future__ import annotations

import numpy as np

from stillroom.prompts.chunks import STOPS
from stillroom.prompts.words import LETTER, PUNCTUATION, SINGLE, Words, split

STEM = 6  # characters of a word that count, so that inflections meet
SENTENCE = 0.5  # what a sentence gains at most, as a share of what its words lack to 1


def steer(words: Words, score: np.ndarray, question: str) -> np.ndarray:
    """Return the (words,) scores, raised towards 1 where the text speaks of what the question asks."""
    asked = sorted(set(_terms(split(question))) - {""})
    numbers = {term: number for number, term in enumerate(asked)}
    found = np.array([numbers.get(term, -1) for term in _terms(words)], dtype=np.int64)
    hits = np.flatnonzero(found >= 0)
    if not len(hits):
        return score
    sentence, term = _sentences(words), found[hits]
    pairs = np.unique(np.stack((sentence[hits], term), axis=1), axis=0)  # a term counts once a sentence
    rarity = np.log1p((sentence[-1] + 1) / np.maximum(np.bincount(pairs[:, 1]), 1))
    shared = np.bincount(pairs[:, 0], weights=rarity[pairs[:, 1]], minlength=sentence[-1] + 1)
    gain = SENTENCE * (shared / shared.max())[sentence]
    own = rarity[term] / rarity[term].max()
    pair = words.kind[hits] == SINGLE
    gain[hits] = np.maximum(gain[hits], own)
    gain[hits[pair] + 1] = np.maximum(gain[hits[pair] + 1], own[pair])
    return np.asarray(score + (1 - score) * gain)


def _terms(words: Words) -> list[str]:
    """Return what each word is compared by: its beginning; in scripts without spaces it and the next character."""
    text = words.text
    spans = list(zip(words.start.tolist(), words.end.tolist(), words.kind.tolist(), strict=True))
    terms = [text[a:b].casefold()[:STEM] if kind == LETTER else "" for a, b, kind in spans]
    for index in np.flatnonzero((words.kind[:-1] == SINGLE) & (words.kind[1:] == SINGLE)).tolist():
        (start, end, _), (following, last, _) = spans[index : index + 2]
        if end == following:
            terms[index] = text[start:last]
    return terms


def _sentences(words: Words) -> np.ndarray:
    """Return the (words,) number of the sentence that each word is in; lines are sentences, too."""
    codes = np.frombuffer(words.text.encode("utf-32-le"), dtype="<u4")
    lines = np.concatenate(([0], np.cumsum(codes == ord("\n"))))
    ends = (words.kind == PUNCTUATION) & np.isin(codes[words.start], STOPS)
    breaks = ends[:-1] | (lines[words.start[1:]] > lines[words.end[:-1]])
    return np.concatenate(([0], np.cumsum(breaks)))
