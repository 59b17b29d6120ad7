"""Cut a long text into pieces that a tokenizer reads side by side, where that provably gives the same tokens.

A cut falls before a single space between two ASCII letters or digits, and the space goes to the piece on its right.
Most tokenizers split there before their model sees anything, and normalise characters without looking across such a
space; those that are not known to are given the whole text. It knows nothing of ids.
"""

from __future__ import annotations

import json
import re
from typing import Any

LENGTH = 4096  # characters a piece: far more than a word, and enough pieces for every core
CUT = re.compile(r"(?<=[A-Za-z0-9]) (?=[A-Za-z0-9])")

SPLITTERS = {"BertPreTokenizer", "Whitespace", "WhitespaceSplit"}  # at all white space
NORMALIZERS = {"BertNormalizer", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "StripAccents", "Precompiled"}


def pieces(text: str) -> list[str]:
    """Return the text in order in pieces of about `LENGTH` characters, the whole where it offers no cut."""
    found, begin = [], 0
    while len(text) - begin > 2 * LENGTH:
        match = CUT.search(text, begin + LENGTH)
        if match is None:
            break
        found.append(text[begin : match.start()])
        begin = match.start()
    return [*found, text[begin:]]


def reads_pieces(backend: Any) -> bool:
    """Say whether a `tokenizers.Tokenizer` is known to give the tokens of a text, cut into `pieces` or not."""
    if any(token.rstrip or " " in token.content for token in backend.get_added_tokens_decoder().values()):
        return False  # such a token reaches over the cut
    return _splits(_state(backend.pre_tokenizer)) and _is_local(_state(backend.normalizer))


def _state(part: Any) -> dict[str, Any]:
    state: dict[str, Any] = {} if part is None else json.loads(part.__getstate__())
    return state


def _splits(pre_tokenizer: dict[str, Any]) -> bool:
    """Does it split before the space, and treat what follows as if the text had begun there?"""
    match pre_tokenizer:
        case {"type": "Sequence", "pretokenizers": [first, *others]}:
            # the others see what the first has split; none may treat the first word of a text in its own way
            return _splits(first) and all(other.get("prepend_scheme") != "first" for other in others)
        case {"type": "ByteLevel", "use_regex": True}:
            return True
        case {"type": "Metaspace", "split": True, "prepend_scheme": scheme}:
            return bool(scheme != "first")
    return pre_tokenizer.get("type") in SPLITTERS


def _is_local(normalizer: dict[str, Any]) -> bool:
    """Does it leave such a space alone, and never look across it?"""
    match normalizer:
        case {"type": "Sequence", "normalizers": list(parts)}:
            return all(map(_is_local, parts))
        case {"type": "Replace", "pattern": {"Regex": " {2,}"}}:
            return True
    return not normalizer or normalizer["type"] in NORMALIZERS
