"""German inflection: nouns, determiners, adjectives and verbs, and which wrong ending a reader can put right.

Gender counts as shown only by a noun's ending (`-ung`, `-er`, `-chen`) or by nature. It knows no sentences, so the case
of a phrase is given to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache

from stillroom.language.grammar.lexicon import Entry

CASES = ("nom", "acc", "dat", "gen")
NATURAL = ("person", "family")  # a teacher's gender needs no ending

_GENDERS = (
    ("n", ("chen", "lein", "eum", "trum", "ium", "ment", "o")),
    ("f", ("ung", "heit", "keit", "schaft", "ion", "tät", "ei", "in", "ik", "ur", "e")),
    ("m", ("er", "ling", "ist", "ent", "ant")),
)
_STRONG = ("er e es e", "en e es e", "em er em en", "es er es er")  # by case; m f n and plural
_MIXED = ("- e - e", "en e - e", "em er em en", "es er es er")
_DEFINITE = ("der die das die", "den die das die", "dem der dem den", "des der des der")
_AFTER_DEFINITE = ("e e e en", "en e e en", "en en en en", "en en en en")
_AFTER_MIXED = ("er e es en", "en e es en", "en en en en", "en en en en")
_POSSESSIVES = ("mein", "dein", "sein", "ihr", "unser", "euer")


@dataclass(frozen=True)
class Noun:
    """A noun's gender, whether one sees it, its forms by case, and whether its plural follows from its ending."""

    gender: str
    shown: bool
    singular: tuple[str, ...]
    plural: tuple[str, ...]
    regular: bool


@dataclass(frozen=True)
class Verb:
    """A verb's forms (ich, du, er, wir, ihr, sie), without its separable prefix."""

    prefix: str
    infinitive: str
    present: tuple[str, ...]
    past: tuple[str, ...]
    participle: str
    auxiliary: str
    regular: bool
    """Whether the present follows from the infinitive."""
    weak: bool
    """Whether the past does."""


def _ending_gender(lemma: str) -> str:
    return next((gender for gender, ends in _GENDERS for end in ends if lemma.endswith(end)), "")


def _plural(lemma: str, gender: str) -> str:
    if lemma.endswith("um"):
        return lemma[:-2] + "en"
    if lemma.endswith("o"):
        return lemma + "s"
    if lemma.endswith(("chen", "lein", "er")):
        return lemma
    if lemma.endswith(("ling", "ment")):
        return lemma + "e"
    if lemma.endswith("e"):
        return lemma + "n"
    return lemma + ("nen" if lemma.endswith("in") else "en")


def _genitive(lemma: str, gender: str, plural: str) -> str:
    if gender == "f":
        return lemma
    if plural.endswith("s"):  # the borrowed ones: des Chefs
        return lemma + "s"
    if lemma.endswith(("s", "ß", "z", "x")):
        return lemma + "es"
    vowels = "".join(letter if letter in "aeiouäöüy" else " " for letter in lemma.lower()).split()
    return lemma + ("es" if len(vowels) == 1 and lemma[-1] not in "aeiouäöü" else "s")


@cache
def noun(entry: Entry) -> Noun:
    """Inflect `lemma|gender|plural|weak`; gender and plural may be missing where the ending tells them."""
    gender, plural, weak, *_ = (*entry.fields, "", "", "")
    shown = not gender or entry.cls in NATURAL
    gender = gender or _ending_gender(entry.lemma)
    regular = not plural
    plural = plural or _plural(entry.lemma, gender)
    if weak or (gender == "m" and regular and plural.endswith("n")):
        singular = (entry.lemma, plural, plural, plural)
    else:
        singular = (entry.lemma, entry.lemma, entry.lemma, _genitive(entry.lemma, gender, plural))
    dative = plural if plural[-1] in "ns" else plural + "n"
    return Noun(gender, shown, singular, (plural, plural, dative, plural), regular)


def determiner(name: str, case: int, gender: str) -> str | None:
    """Return a determiner's form (`gender` m, f, n, or p for the plural), or None if it has none."""
    place = "mfnp".index(gender)
    if name == "der":
        return _DEFINITE[case].split()[place]
    if name in ("dies", "jed"):
        return None if (name, gender) == ("jed", "p") else name + _STRONG[case].split()[place]
    if name in ("ein", "kein", *_POSSESSIVES):
        if (name, gender) == ("ein", "p"):
            return None
        end = _MIXED[case].split()[place].strip("-")
        return ("eur" if name == "euer" and end else name) + end
    if gender != "p":
        return None
    return name + _STRONG[case].split()[3] if name in ("viel", "all") else name  # a number, or nothing


def _after(name: str, case: int, gender: str) -> str:
    """Return the ending of an adjective after a determiner."""
    place = "mfnp".index(gender)
    if name in ("der", "dies", "jed", "all"):
        return _AFTER_DEFINITE[case].split()[place]
    if name in ("ein", "kein", *_POSSESSIVES):
        return _AFTER_MIXED[case].split()[place]
    return _STRONG[case].split()[3]


Form = tuple[str, str, str, str]
"""Determiner, adjective's ending, noun, and the number of the verb (empty where none agrees)."""


def _readings(name: str, case: int, word: Noun, adjective: bool, verb: bool) -> Iterator[Form]:
    """Yield every right form of the phrase, for each gender that a reader may think the noun has."""
    for gender in (*(word.gender if word.shown else "mfn"), "p"):
        article = determiner(name, case, gender)
        if article is not None:
            ending = _after(name, case, gender) if adjective else ""
            form = word.plural[case] if gender == "p" else word.singular[case]
            yield article, ending, form, ("pl" if gender == "p" else "sg") if verb else ""


@cache
def phrase(
    name: str, case: int, entry: Entry, plural: bool, adjective: bool, verb: bool
) -> tuple[Form, tuple[tuple[int, tuple[str, ...]], ...]]:
    """Return the right form of a noun phrase, and by place the wrong forms that only this one is a word away from.

    Parameters
    ----------
    verb
        Whether a finite verb agrees with it.
    """
    word = noun(entry)
    right = next(
        form
        for form in _readings(name, case, Noun(word.gender, True, word.singular, word.plural, True), adjective, True)
        if (form[3] == "pl") == plural
    )
    if not verb:
        right = (*right[:3], "")
    readings = set(_readings(name, case, word, adjective, verb))

    def clear(wrong: Form) -> bool:
        near = [form for form in readings if sum(a != b for a, b in zip(form, wrong, strict=True)) == 1]
        return wrong not in readings and near == [right]

    paradigm = sorted({determiner(name, c, g) or "" for c in range(4) for g in "mfnp"} - {""})
    nouns = sorted({*word.singular[:3], *word.plural}) if word.regular else []
    candidates = (
        (0, paradigm if right[0] else []),
        (1, ["e", "en", "er", "es", "em"] if adjective else []),
        (2, nouns),
        (3, ["sg", "pl", "du"] if verb else []),
    )
    wrong = tuple(
        (place, tuple(form for form in forms if clear((*right[:place], form, *right[place + 1 :]))))  # type: ignore[arg-type]
        for place, forms in candidates
    )
    return right, tuple((place, forms) for place, forms in wrong if forms)


@cache
def adjective(entry: Entry) -> tuple[str, str, str, bool]:
    """Return an adjective's stem, comparative and stem of the superlative, and whether they follow from the lemma."""
    if entry.fields:
        stem, comparative, superlative = entry.fields
        return stem, comparative, superlative, False
    lemma = entry.lemma
    stem = lemma[:-1] if lemma.endswith("e") else lemma[:-2] + "l" if lemma.endswith("el") else lemma
    sharp = lemma.endswith(("t", "d", "s", "ß", "z", "frisch", "eu", "au")) and not lemma.endswith("end")
    return stem, stem + "er", lemma + ("est" if sharp else "st"), True


@cache
def verb(lemma: str, fields: tuple[str, ...], separable: bool = False) -> Verb:
    """Conjugate `lemma|er-form|past|participle|s`: `s` for the auxiliary sein, forms only where irregular.

    A separable verb has its prefix as its first field.
    """
    prefix, fields = (fields[0], fields[1:]) if separable else ("", fields)
    infinitive = lemma.removeprefix(prefix)
    auxiliary = "haben"
    if fields and fields[-1] == "s":
        auxiliary, fields = "sein", fields[:-1]
    stem = infinitive[:-1] if infinitive.endswith(("eln", "ern")) else infinitive[:-2]
    linked = stem + "e" if stem.endswith(("t", "d", "chn", "ffn", "tm", "gn", "dn")) else stem
    he, past, participle = fields or ("", "", "")
    third = he or linked + "t"
    if he and stem.endswith("t") and not he.endswith("et"):  # er brät, du brätst
        second = he + "st"
    else:
        second = third if third[:-1].endswith(("s", "ß", "z")) else third[:-1] + "st"
    first = (stem[:-2] + "l" if infinitive.endswith("eln") else stem) + "e"
    you = linked + "t"
    weak = linked + "te"
    past = past or weak
    if past.endswith("e"):
        ends = ("", "st", "", "n", "t", "n")
    else:
        you_ends = "est" if past.endswith(("s", "ß")) else "st", "et" if past.endswith(("t", "d")) else "t"
        ends = ("", you_ends[0], "", "en", you_ends[1], "en")
    bare = infinitive.endswith("ieren") or infinitive.startswith(("be", "ver", "er", "ent", "zer"))
    return Verb(
        prefix,
        infinitive,
        (first, second, third, infinitive, you, infinitive),
        tuple(past + end for end in ends),
        participle or ("" if bare else "ge") + linked + "t",
        auxiliary,
        third == linked + "t",
        past == weak,
    )
