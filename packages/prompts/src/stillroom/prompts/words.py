"""Where the words of a text are, and the text that is left when some of them go.

A word is a run of characters without white space, less the punctuation at its two ends; each such run of punctuation
is a word of its own. In scripts written without spaces every character is a word. Combining marks, joiners and
variation selectors belong to the character before them, so that no accent, emoji or flag is ever cut.

It sees code points and no Python string: one pass over arrays, whatever the length. It does not know tokens, scores,
or what is worth keeping.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from stillroom.core.errors import DataError

SPACE, PUNCTUATION, SINGLE, LETTER, MARK, JOINER, FLAG, UNSEEN = range(8)
UNSPACED = (  # scripts without spaces between words, and pictographs: each character is a word
    (0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x1950, 0x19DF), (0x1A20, 0x1AAF), (0x2600, 0x27BF),
    (0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3041, 0x312F), (0x31A0, 0x31BF),
    (0x31F0, 0x31FF), (0x3400, 0x4DBF), (0x4E00, 0xA4CF), (0xA9E0, 0xA9FF), (0xAA60, 0xAA7F), (0xF900, 0xFAFF),
    (0xFF66, 0xFF9D), (0x1AFF0, 0x1B16F), (0x1F000, 0x1FAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_kinds = np.full(0x110000, UNSEEN, dtype=np.uint8)  # filled as characters are met; filling it twice does no harm


@dataclass(frozen=True, eq=False)
class Words:
    """The words of a text, in order; between them is nothing but white space.

    Attributes
    ----------
    start, end
        (words,) character positions in the text.
    kind
        (words,) `LETTER`, `SINGLE` (a character of a script without spaces, an emoji) or `PUNCTUATION`.
    """

    text: str
    start: np.ndarray
    end: np.ndarray
    kind: np.ndarray

    def __len__(self) -> int:
        return len(self.start)


def split(text: str, cuts: Iterable[int] = ()) -> Words:
    """Return the words of a text.

    Parameters
    ----------
    cuts
        Character positions where a word must end, too, unless they lie between two letters or digits or within a
        character: the edges of markup.

    Raises
    ------
    DataError
        The text holds half a character (a lone surrogate).
    """
    codes = _codes(text)
    if not len(codes):
        nothing = np.empty(0, dtype=np.int64)
        return Words(text, nothing, nothing, nothing)
    kind, attached = _classes(codes)
    change = np.ones(len(codes), dtype=bool)
    change[1:] = (kind[1:] != kind[:-1]) | ((kind[1:] == SINGLE) & ~attached[1:])
    forced = np.zeros(len(codes), dtype=bool)
    forced[[cut for cut in cuts if 0 < cut < len(text) and not text[cut - 1 : cut + 1].isalnum()]] = True
    change |= forced & ~attached
    # a run of punctuation between two runs of letters joins them: neither it nor the run after it begins a word
    start = np.flatnonzero(change)
    runs = kind[start]
    joins = np.zeros(len(start), dtype=bool)
    joins[1:-1] = (runs[1:-1] == PUNCTUATION) & (runs[:-2] == LETTER) & (runs[2:] == LETTER)
    begins = ~joins
    begins[1:] &= ~joins[:-1]
    begins |= forced[start]
    start, runs = start[begins], runs[begins]
    end = np.append(start[1:], len(codes))
    words = runs != SPACE
    return Words(text, start[words], end[words], runs[words])


def join(words: Words, kept: np.ndarray, solid: np.ndarray | None = None) -> tuple[str, np.ndarray]:
    """Return the text of the kept words, and the (runs, 2) stretches of the original that they come from.

    Words that were neighbours stay as far apart as they were. Where words are missing, the gap becomes the white space
    before the later word, or one newline if the gap held any. That is the white space right before it, and where there
    is none, because the punctuation that it touched is gone, the last character of white space in the gap; punctuation
    stays close to what is left before it. Two words of letters never run together: at the least they get a space.
    White space at the ends of the text stays with its first and last word.

    Parameters
    ----------
    kept
        (words,) bool.
    solid
        (n, 2) stretches whose white space is to be kept as well, sorted and apart: code, say. Their words must be kept.
    """
    if kept.all():
        whole = np.array([[words.start[0], words.end[-1]]]) if len(words) else np.empty((0, 2), dtype=np.int64)
        return words.text, whole
    chosen = np.flatnonzero(kept)
    if not len(chosen):
        return "", np.empty((0, 2), dtype=np.int64)
    codes = _codes(words.text)
    breaks = np.flatnonzero(chosen[1:] > chosen[:-1] + 1)
    before, after = chosen[breaks], chosen[breaks + 1]  # the words on either side of each gap
    left, right = words.end[before], words.start[after]
    low, high = words.end[after - 1], right.copy()  # the white space right before the later word
    bare = (low == high) & (words.kind[after] != PUNCTUATION)
    if solid is not None and len(solid):
        left, right = _within(solid, left, right, words.start[before + 1], words.end[after - 1])
        spared = (left > words.end[before]) | (right < high)
        low[spared] = high[spared] = right[spared]
        bare &= ~spared
    bare = np.flatnonzero(bare)
    if len(bare):
        spaced = np.flatnonzero(words.end[:-1] < words.start[1:])  # the words with white space after them
        last = np.concatenate(([-1], spaced))[np.searchsorted(spaced, after[bare])]
        found = last >= before[bare]
        high[bare[found]] = words.start[last[found] + 1]
        low[bare[found]] = high[bare[found]] - 1
        fused = bare[~found & (words.kind[before[bare]] == LETTER) & (words.kind[after[bare]] == LETTER)]
        if len(fused):
            low[fused] = high[fused] - 1
            codes = codes.copy()
            codes[low[fused]] = ord(" ")
    newlines = np.flatnonzero(codes == ord("\n"))
    if len(newlines):
        first = np.searchsorted(newlines, left)
        holds = np.flatnonzero(first < np.searchsorted(newlines, right))
        low[holds] = newlines[first[holds]]
        high[holds] = low[holds] + 1
    runs = np.stack((np.append(words.start[chosen[0]], right), np.append(left, words.end[chosen[-1]])), axis=1)
    pieces = np.empty((2 * len(runs) - 1, 2), dtype=np.int64)
    pieces[0::2], pieces[1::2] = runs, np.stack((low, high), axis=1)
    if kept[0]:
        pieces[0, 0] = 0
    if kept[-1]:
        pieces[-1, 1] = len(codes)
    lengths = np.diff(np.concatenate(([0], pieces.ravel(), [len(codes)])))
    taken = np.repeat(np.arange(len(lengths)) % 2 == 1, lengths)
    return codes[taken].tobytes().decode("utf-32-le"), runs


def _within(
    solid: np.ndarray, left: np.ndarray, right: np.ndarray, next_word: np.ndarray, last_word: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Move the edges of gaps inwards over the white space that belongs to a solid stretch."""
    reach = solid[np.maximum(np.searchsorted(solid[:, 0], left, side="left") - 1, 0)]
    inner = (reach[:, 0] < left) & (left < reach[:, 1])
    left = np.where(inner, np.minimum(reach[:, 1], next_word), left)
    reach = solid[np.minimum(np.searchsorted(solid[:, 1], right, side="right"), len(solid) - 1)]
    inner = (reach[:, 0] < right) & (right < reach[:, 1])
    return left, np.where(inner, np.maximum(reach[:, 0], last_word), right)


def _codes(text: str) -> np.ndarray:
    try:
        return np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    except UnicodeEncodeError as error:
        raise DataError(
            f"the text holds half a character (a lone surrogate) at position {error.start}: "
            "decode it with errors='replace' first"
        ) from error


def _classes(codes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return each character's kind (marks have that of what they are attached to), and which are attached."""
    kind = _kinds[codes]
    if (kind == UNSEEN).any():
        for code in np.unique(codes[kind == UNSEEN]).tolist():
            _kinds[code] = _class(code)
        kind = _kinds[codes]
    attached = kind >= MARK
    if not attached.any():
        return kind, attached
    flag = kind == FLAG
    attached &= ~flag
    if flag.any():  # flags are pairs of regional indicators: every second of a run is attached to the one before it
        places = np.arange(len(flag))
        run = np.maximum.accumulate(np.where(flag, -1, places))
        attached |= flag & ((places - run) % 2 == 0)
    attached[1:] |= (kind[:-1] == JOINER) & (kind[1:] != SPACE)
    attached[1:] &= kind[:-1] != SPACE  # a mark with nothing to stand on is a letter
    attached[0] = False
    kind = np.array([SPACE, PUNCTUATION, SINGLE, LETTER, LETTER, LETTER, SINGLE], dtype=np.uint8)[kind]
    base = np.maximum.accumulate(np.where(attached, 0, np.arange(len(kind))))
    return kind[base], attached


def _class(code: int) -> int:
    char = chr(code)
    category = unicodedata.category(char)
    if char.isspace():
        return SPACE
    if code == 0x200D:
        return JOINER
    if 0x1F1E6 <= code <= 0x1F1FF:
        return FLAG
    # format characters, skin tones and half-width voicing marks act on the character before them as marks do
    if category[0] == "M" or category == "Cf" or 0x1F3FB <= code <= 0x1F3FF or code in (0xFF9E, 0xFF9F):
        return MARK
    if category[0] == "P" and char != "_":  # an underscore is a letter of identifiers
        return PUNCTUATION
    if category in ("Lo", "Lm", "So", "Nl") and any(low <= code <= high for low, high in UNSPACED):
        return SINGLE
    return LETTER
