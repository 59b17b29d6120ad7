"""Cut a text into pieces that a tokenizer reads one by one, where that provably gives the same tokens.

A cut falls before white space between two letters, digits, signs or punctuation marks, and the white space goes to the
piece on its right. Most tokenizers split there before their model sees anything, and normalise characters without
looking across; those that are not known to must be given the whole text. It knows nothing of ids.
"""

from __future__ import annotations

import json
import unicodedata
from functools import cache
from typing import Any

import numpy as np

SPLITTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}  # at all white space
NORMALIZERS = {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Precompiled"}


def cuts(codes: np.ndarray, blanks: str, edges: np.ndarray) -> np.ndarray:
    """Return where pieces begin within texts, from the (characters,) code points of all texts, end to end.

    Parameters
    ----------
    blanks
        The kinds of white space to cut at, as `cuts_at` tells.
    edges
        Where texts begin, and the end of the last, ascending.
    """
    blank = np.isin(codes, [ord(letter) for letter in blanks], kind="table")
    begins, ends = np.flatnonzero(np.diff(blank, prepend=False, append=False)).reshape(-1, 2).T
    within = np.searchsorted(edges, begins) == np.searchsorted(edges, ends, side="right")
    begins, ends = begins[within], ends[within]
    plain = _plain()
    between = plain[np.minimum(codes[begins - 1], 0xFFFF)] & plain[np.minimum(codes[ends], 0xFFFF)]
    return np.asarray(begins[between])


@cache
def _plain() -> np.ndarray:
    """Say of each character up to U+FFFF whether it stands by itself: no mark, white space, control or modifier."""
    kinds = [unicodedata.category(chr(code)) for code in range(0x10000)]
    return np.array([kind[0] in "LNPS" and kind != "Lm" for kind in kinds])


def cuts_at(backend: Any) -> str:
    """Say at which white space a `tokenizers.Tokenizer` is known not to mind a cut; nothing where none is known."""
    added = backend.get_added_tokens_decoder().values()
    if any(token.rstrip or token.content.split() != [token.content] for token in added):
        return ""  # such a token reaches over the cut
    return _splits_at(_state(backend.pre_tokenizer)) if _is_local(_state(backend.normalizer)) else ""


def _state(part: Any) -> dict[str, Any]:
    state: dict[str, Any] = {} if part is None else json.loads(part.__getstate__())
    return state


def _splits_at(pre_tokenizer: dict[str, Any]) -> str:
    """Before which white space does it split, and treat what follows as if the text had begun there?"""
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": [first, *others]}:
            # the others see what the first has split; none may treat the first word of a text in its own way
            return "" if any(other.get("prepend_scheme") == "first" for other in others) else _splits_at(first)
        case {"type": "ByteLevel", "use_regex": True, "add_prefix_space": prefixed}:
            return " " if prefixed else " \n"  # it would put a space before a newline
        case {"type": "Metaspace", "split": True, "prepend_scheme": "always" | "never"}:
            return " "
    return " \n" if pre_tokenizer.get("type") in SPLITTERS else ""


def _is_local(normalizer: dict[str, Any]) -> bool:
    """Does it leave white space alone, or change it without a look at what is around it?"""
    match normalizer:
        case {"type": "Sequence", "normalizers": list(parts)}:
            return all(map(_is_local, parts))
        case {"type": "Replace", "pattern": {"Regex": " {2,}"}}:
            return True
    return not normalizer or normalizer["type"] in NORMALIZERS
