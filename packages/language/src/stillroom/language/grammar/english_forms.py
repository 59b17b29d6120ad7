"""The forms of English words: plurals, conjugated verbs, comparatives, pronouns, and whether "a" or "an" stands before.

It knows words one by one; how they stand in a sentence is in `english.py`.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

Fields = tuple[str, ...]

_VOWELS = "aeiou"
_SIBILANTS = ("s", "x", "z", "ch", "sh")
_SOUNDED_AS_VOWELS = ("hour", "honest", "heir", "honour")
_SOUNDED_AS_CONSONANTS = ("uni", "use", "usu", "euro", "one", "ewe")
_UNDONE = ("unim", "unin")  # "unimportant" begins with a vowel although "uniform" does not


class Verb(NamedTuple):
    """A verb's forms: walk, walks, walked, walked, walking."""

    base: str
    third: str
    past: str
    participle: str
    ing: str


class Pronoun(NamedTuple):
    """A personal pronoun, the code of its verb form (1 am, 3 is, p are), and its other forms."""

    subject: str
    code: str
    object: str
    possessive: str
    reflexive: str
    wrong_possessive: tuple[str, ...]
    wrong_reflexive: str


PRONOUNS = {
    "I": Pronoun("I", "1", "me", "my", "myself", ("me", "I"), "my self"),
    "you": Pronoun("you", "p", "you", "your", "yourself", ("you",), "your self"),
    "he": Pronoun("he", "3", "him", "his", "himself", ("him", "he"), "hisself"),
    "she": Pronoun("she", "3", "her", "her", "herself", ("she",), "her self"),
    "we": Pronoun("we", "p", "us", "our", "ourselves", ("us", "we"), "ourself"),
    "they": Pronoun("they", "p", "them", "their", "themselves", ("them", "they"), "theirselves"),
}

_IRREGULAR: dict[str, Fields] = {
    "be": ("was", "been"),
    "have": ("had", "had"),
    "do": ("did", "done"),
    "go": ("went", "gone"),
    "come": ("came", "come"),
    "speak": ("spoke", "spoken"),
    "buy": ("bought", "bought"),
    "give": ("gave", "given"),
    "tell": ("told", "told"),
    "spend": ("spent", "spent"),
    "wear": ("wore", "worn"),
    "lose": ("lost", "lost"),
    "write": ("wrote", "written"),
    "make": ("made", "made"),
    "cost": ("cost", "cost"),
    "prefer": ("2",),
    "travel": ("2",),
}
"""The fields of verbs that patterns name themselves; lemmas of the lexicon bring theirs along."""


def article(following: str) -> str:
    """Return "a" or "an".

    >>> [article(word) for word in ("lamp", "old", "honest", "uniform", "umbrella")]
    ['a', 'an', 'an', 'a', 'an']
    """
    word = following.lower()
    if word.startswith(_SOUNDED_AS_VOWELS):
        return "an"
    sounded = word.startswith(_SOUNDED_AS_CONSONANTS) and not word.startswith(_UNDONE)
    return "an" if word[0] in _VOWELS and not sounded else "a"


@cache
def plural(lemma: str, fields: Fields = ()) -> str:
    """Return a noun's plural; a field gives the one that no rule does.

    >>> [plural(noun) for noun in ("lamp", "box", "city", "key")] + [plural("wolf", ("wolves",))]
    ['lamps', 'boxes', 'cities', 'keys', 'wolves']
    """
    return fields[0] if fields else _with_s(lemma)


def _with_s(word: str) -> str:
    if word.endswith(_SIBILANTS):
        return word + "es"
    if word[-1] == "y" and word[-2] not in _VOWELS:
        return word[:-1] + "ies"
    return word + "s"


@cache
def verb(lemma: str, fields: Fields = ()) -> Verb:
    """Return a verb's forms.

    Parameters
    ----------
    fields
        Past and participle where they are irregular, then `2` if the last letter doubles (stop, stopped).

    Examples
    --------
    >>> verb("stop", ("2",))
    Verb(base='stop', third='stops', past='stopped', participle='stopped', ing='stopping')
    """
    fields = fields or _IRREGULAR.get(lemma, ())
    stem = lemma + lemma[-1] if fields[-1:] == ("2",) else lemma
    if lemma.endswith("e"):
        past = lemma + "d"
    elif lemma[-1] == "y" and lemma[-2] not in _VOWELS:
        past = lemma[:-1] + "ied"
    else:
        past = stem + "ed"
    participle = past
    if len(fields) > 1:
        past, participle = fields[0], fields[1]
    if lemma.endswith("ie"):
        ing = lemma[:-2] + "ying"
    elif lemma.endswith("e") and not lemma.endswith(("ee", "ye")) and lemma != "be":
        ing = lemma[:-1] + "ing"
    else:
        ing = stem + "ing"
    third = {"be": "is", "have": "has", "do": "does", "go": "goes"}.get(lemma) or _with_s(lemma)
    return Verb(lemma, third, past, participle, ing)


@cache
def compared(lemma: str, fields: Fields) -> tuple[str, str] | None:
    """Return an adjective's comparative and superlative in *-er*, *-est*, or None if it takes "more" and "most".

    Adjectives that take both (friendlier, more friendly) have no place where a mistake should have one correction.

    >>> compared("lazy", ("er",)), compared("big", ("er", "2")), compared("honest", ())
    (('lazier', 'laziest'), ('bigger', 'biggest'), None)
    """
    if not fields or fields[0] != "er":
        return None
    if lemma.endswith("e"):
        stem = lemma[:-1]
    elif lemma.endswith("y"):
        stem = lemma[:-1] + "i"
    else:
        stem = lemma + lemma[-1] if "2" in fields else lemma
    return stem + "er", stem + "est"
