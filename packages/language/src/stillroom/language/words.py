"""The words and marks of a text in any language, by a pattern: no model, no list of abbreviations.

It knows no grammar, and of scripts that are written without spaces only that each Chinese or Japanese character is a
word; a run of Thai is one.
"""

from __future__ import annotations

import unicodedata

import regex

_LETTER = r"[[\p{L}\p{M}\p{N}]--[\p{Han}\p{Hiragana}\p{Katakana}]]"
_SINGLE = r"[\p{Han}\p{Hiragana}\p{Katakana}]"
_ELIDED = (
    "[cçdjlmnst]|(?:jus|lors|puis|quel|quoi|pres)?qu"  # French, and with the next line Italian
    "|(?:da|de|ne|su|a|co)ll|quell|bell|un|gl|sant|tutt|mezz|anch|com|dov|cos|nient|senz"
)
_WORDS = regex.compile(
    rf"(?V1)(?i:{_ELIDED})['’](?=\p{{L}})"  # l'homme: l' homme
    r"|\p{N}+(?:[.,]\p{N}+)+"  # 1,000.5
    rf"|{_LETTER}+(?:['’]{_LETTER}+)*"  # don't, п'ять
    rf"|{_SINGLE}"
    r"|(?s:(.)\1*)"  # a mark, or a run of one: ...
)
_FORMS = regex.compile(rf"(?V1){_LETTER}+|{_SINGLE}")


def words(text: str) -> list[str]:
    """Return the words, numbers and marks of a text (NFC), in its order: all of it but white space.

    An apostrophe inside a word belongs to it (don't, п'ять), and ends one where French or Italian leave out a vowel
    (l'homme: l', homme). A hyphen parts two words and is a mark.
    """
    runs = unicodedata.normalize("NFC", text).split()
    return [found.group() for run in runs for found in _WORDS.finditer(run)]


def forms(text: str) -> list[str]:
    """Return runs of letters and digits (NFC) in lower case, without marks: ROUGE's words, beyond ASCII too."""
    found: list[str] = _FORMS.findall(unicodedata.normalize("NFC", text).lower())
    return found
