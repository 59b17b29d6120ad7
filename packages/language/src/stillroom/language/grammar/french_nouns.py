"""French nouns with what belongs to them: preposition, determiner, adjectives, and their forms before other words.

It decides which mistakes in them have one correction only: a wrong gender where the noun's ending or nature shows the
right one, a wrong number where a numeral does, a missing contraction or elision anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random
from typing import Any

from stillroom.language.grammar.french_forms import elided, elides, feminine, plural, telling
from stillroom.language.grammar.lexicon import Entry, Phrase
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word

NUMERALS = ("deux", "trois", "quatre", "cinq", "six", "sept", "huit", "neuf", "dix")
COUNTING = {"plusieurs": "plusieurs", "quelques": "quelques", "mesdeux": "mes deux", "lesdeux": "les deux", "deux": ""}
PLACES = ("ville", "prénom")
BEFORE = {  # masculine, feminine, masculine plural, masculine before a vowel
    "petit": ("petit", "petite", "petits", "petit"),
    "grand": ("grand", "grande", "grands", "grand"),
    "joli": ("joli", "jolie", "jolis", "joli"),
    "beau": ("beau", "belle", "beaux", "bel"),
    "nouveau": ("nouveau", "nouvelle", "nouveaux", "nouvel"),
    "vieux": ("vieux", "vieille", "vieux", "vieil"),
    "bon": ("bon", "bonne", "bons", "bon"),
    "gros": ("gros", "grosse", "gros", "gros"),
    "premier": ("premier", "première", "premiers", "premier"),
    "meilleur": ("meilleur", "meilleure", "meilleurs", "meilleur"),
    "dernier": ("dernier", "dernière", "derniers", "dernier"),
}
POSSESSIVES = {
    "mon": ("mon", "ma", "mes"),
    "ton": ("ton", "ta", "tes"),
    "son": ("son", "sa", "ses"),
    "notre": ("notre", "notre", "nos"),
    "votre": ("votre", "votre", "vos"),
    "leur": ("leur", "leur", "leurs"),
}
DETERMINERS = {  # masculine, feminine, plural
    **POSSESSIVES,
    "un": ("un", "une", "des"),
    "ce": ("ce", "cette", "ces"),
    "chaque": ("chaque", "chaque", "chaque"),
}
OTHER = {"m": "f", "f": "m", "s": "p", "p": "s"}
NOBODY: Mapping[str, Any] = {"gender": "m", "number": "s", "person": 2, "seen": False, "known": True, "firm": False}
"""Whom a slot agrees with. `known`: its gender shows somewhere; `seen`: surely enough that what agrees with it may be
wrong; `firm`: its number shows at two places or more."""


def head(preposition: str, determiner: str, gender: str, number: str, following: str) -> str:
    """Return a preposition and a determiner as they stand before the next word; either may be empty.

    >>> head("à", "le", "m", "s", "cinéma"), head("de", "le", "f", "s", "école"), head("de", "un", "m", "s", "ami")
    ('au', "de l'", "d'un")
    """
    if determiner == "du":
        return head("de", "le", gender, number, following)
    if determiner == "tout":
        every = {"ms": "tout", "fs": "toute", "mp": "tous", "fp": "toutes"}[gender + number]
        return f"{every} {head('', 'le', gender, number, following)}"
    if determiner == "quel":
        return "quel" + ("le" if gender == "f" else "") + ("s" if number == "p" else "")
    if determiner in ("deb", "nu", ""):
        only = "de" if determiner == "deb" else preposition
        return elided(only, following)
    if determiner == "le":
        if number == "p":
            return {"à": "aux", "de": "des", "": "les"}.get(preposition, preposition + " les")
        article = elided("le" if gender == "m" else "la", following)
        if article == "le" and preposition in ("à", "de"):
            return "au" if preposition == "à" else "du"
    elif determiner in DETERMINERS:
        article = DETERMINERS[determiner][2 if number == "p" else gender == "f"]
        if elides(following) and article in ("ce", "ma", "ta", "sa"):
            article = {"ce": "cet", "ma": "mon", "ta": "ton", "sa": "son"}[article]
        if article == "des" and preposition == "de":
            return elided("de", following)
    else:
        article = determiner  # a numeral
    if not preposition:
        return article
    joined = elided(preposition, article)
    return joined + article if joined.endswith("'") else f"{joined} {article}"


@cache
def _wish(features: tuple[str, ...]) -> tuple[str, str, str, tuple[str, ...]]:
    """A noun's determiner, preposition, adjective before it, and the prepositions that would be wrong."""
    determiner = next(
        (f for f in features if f in DETERMINERS or f in COUNTING or f in ("le", "du", "deb", "quel", "tout")), "nu"
    )
    preposition = next((f for f in features if f in ("à", "de", "en", "dep")), "")
    wrong = tuple(f[1:].replace("nil", "") for f in features if f[0] == "x" and f not in ("xart", "xun"))
    return determiner, preposition, next((f for f in features if f in BEFORE), ""), wrong


@cache
def _forms(entry: Entry) -> tuple[tuple[str, str], ...]:
    """A noun's genders with their singulars: one, or two of a person."""
    if not entry.fields:
        return (("", entry.lemma),)
    if entry.fields[0] in ("m", "f"):
        return ((entry.fields[0], entry.lemma),)
    return (("m", entry.lemma), ("f", entry.fields[0]))


@cache
def _plural(entry: Entry, singular: str) -> str:
    return entry.fields[1] if len(entry.fields) > 1 else plural(singular)


def noun_phrase(slot: Slot, entry: Entry, controller: Mapping[str, Any] | None, random: Random) -> Phrase:
    """Return a noun with what belongs to it; of a person, as its controller is."""
    features = slot.features
    determiner, preposition, before, prepositions = _wish(features)
    forms = _forms(entry)
    gender, singular = random.choice(forms) if len(forms) > 1 else forms[0]
    if len(forms) > 1 and ("m" in features or "f" in features):
        gender, singular = forms["f" in features]
    if controller is not None and len(forms) > 1:
        gender, singular = forms[controller["gender"] == "f"]
    if entry.cls == "pays":
        return _country(entry, gender, determiner, preposition, prepositions)
    if entry.cls in PLACES:
        named = {**NOBODY, "gender": gender, "seen": True, "firm": True}
        words = [Word(entry.lemma)]
        if preposition:
            others = tuple(elided(p, entry.lemma) for p in prepositions)
            words.insert(0, Word(elided(preposition, entry.lemma), {"preposition": others}))
        return Phrase(tuple(words), named)
    counted = determiner in COUNTING
    several = counted or "pl" in features or (controller is not None and controller["number"] == "p")
    number = "p" if several or ("sp" in features and random.random() < 0.5) else "s"
    noun = singular if number == "s" else _plural(entry, singular)
    numeral = random.choice(NUMERALS) if determiner == "deux" else COUNTING.get(determiner, determiner)
    adjective = _before(before, gender, number, noun) if before else ""
    following = adjective or noun
    text = head(preposition, numeral, gender, number, following)
    other = head(preposition, numeral, OTHER[gender], number, following)
    # of a person with two genders, another noun would do as well as another article
    inherent = len(forms) == 1
    shown = inherent and (entry.cls == "personne" or telling(singular) == gender)
    differ = inherent or forms[0][1] != forms[1][1]
    # either the determiner may be wrong or what agrees with the noun, else both could point the other way together
    spoilt = shown and text != other and number == "s" and random.random() < 0.7
    seen = not spoilt and (shown or (text != other and differ))
    wrong: dict[str, list[str]] = {}
    if spoilt:
        wrong["article" if numeral in ("le", "un", "du") else "agreement"] = [other]
    if numeral == "le" and text in ("au", "du", "aux", "des"):
        wrong.setdefault("article", []).append(f"{preposition} {'les' if number == 'p' else 'le'}")
    elif text.endswith("l'"):
        wrong.setdefault("article", []).append(text[:-2] + ("le" if gender == "m" else "la"))
    elif text in ("cet", "mon", "ton", "son") and elides(following) and (text == "cet" or gender == "f"):
        wrong.setdefault("agreement", []).append({"cet": "ce", "mon": "ma", "ton": "ta", "son": "sa"}[text])
    if numeral == "du":
        if shown or elides(following):
            wrong.setdefault("article", []).append(elided("de", following))
        if text == "du":
            wrong.setdefault("article", []).append("de le")
    elif numeral == "deb":
        wrong.setdefault("article", []).append(head("", "du", gender, number, following))
    if "xart" in features and (shown or text.endswith("l'") or number == "p"):
        wrong.setdefault("article", []).append(elided(preposition, following))
    if "xun" in features:
        wrong.setdefault("article", []).append(head(preposition, "un", gender, number, following))
    if prepositions:
        wrong["preposition"] = [head(p, numeral, gender, number, following) for p in prepositions]
    words = [Word(text, {kind: tuple(forms) for kind, forms in wrong.items()})] if text else []
    if adjective:
        opposite = _before(before, OTHER[gender], number, noun)
        words.append(Word(adjective, {"agreement": (opposite,)} if seen and opposite != adjective else {}))
    firm = counted or plural(singular) != singular
    words.append(Word(noun, {"agreement": (singular,)} if counted and noun != singular else {}))
    return Phrase(
        tuple(words),
        {
            "gender": gender,
            "number": number,
            "person": 5 if number == "p" else 2,
            "seen": seen,
            "known": text != other or (shown if inherent else differ),
            "firm": firm,
        },
    )


def _before(lemma: str, gender: str, number: str, noun: str) -> str:
    man, woman, men, vowel = BEFORE[lemma]
    if gender == "f":
        return woman + "s" if number == "p" else woman
    return men if number == "p" else vowel if elides(noun) else man


def _country(entry: Entry, gender: str, determiner: str, preposition: str, wrong: tuple[str, ...]) -> Phrase:
    number = "p" if len(entry.fields) > 1 else "s"
    features = {**NOBODY, "gender": gender, "number": number, "person": 5 if number == "p" else 2, "firm": True}
    name = entry.lemma
    short = number == "s" and (gender == "f" or elides(name))
    if preposition == "en":
        text = "en" if short else head("à", "le", gender, number, name)
        others: dict[str, tuple[str, ...]] = {"preposition": ("à", "dans") if short else ("en", "à")}
    elif preposition == "dep":
        text = elided("de", name) if short else head("de", "le", gender, number, name)
        others = {"article": () if short else (elided("de", name), head("de", "le", "m", "s", name))}
    else:
        text = head(preposition, "le", gender, number, name)
        others = {"article": (elided(preposition, name),), "preposition": tuple(elided(p, name) for p in wrong)}
    return Phrase((Word(text, {k: v for k, v in others.items() if v}), Word(name)), features)


@cache
def inflected(entry: Entry, gender: str, number: str) -> str:
    """Return a form of an adjective."""
    if gender == "f":
        return (entry.fields[0] if entry.fields else feminine(entry.lemma)) + "s" * (number == "p")
    if number == "s":
        return entry.lemma
    return entry.fields[1] if len(entry.fields) > 1 else plural(entry.lemma)


def adjective(slot: Slot, entry: Entry, controller: Mapping[str, Any]) -> Phrase:
    """Return an adjective as its controller is."""
    gender, number = controller["gender"] or "m", controller["number"]
    right = inflected(entry, gender, number)
    wrong = [inflected(entry, OTHER[gender], number)] if controller["seen"] else []
    if "num" in slot.features and controller["firm"] and controller["known"]:
        wrong.append(inflected(entry, gender, OTHER[number]))
    wrong = [] if "quiet" in slot.features else [form for form in wrong if form != right]
    return Phrase((Word(right, {"agreement": tuple(wrong)} if wrong else {}),), controller)
