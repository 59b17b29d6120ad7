"""English: how a slot becomes words, and what learners write in their place.

Classes of the lexicon are nouns (`person`, `thing`, …; `lemma|plural`), verbs (`v_…`), adjectives (`a_…`, `color`;
`er` if they take -er), adverbs of manner (`lemma|adjective`) and names. A slot whose class the lexicon lacks is a
pronoun (`sub third single obj again …`), a filler (`past now weekday …`) or a verb that its pattern fixes
(`{wait.past>s}`).

Features of nouns: the determiner (`the a this every two mytwo my own`, `bare`: a plural, `bare0`: a singular), `pl`,
`sp` (either number), `with_q` (the adjective of slot q, drawn before with `later`), `drop` (a learner leaves the
article out), `many` (something else shows the plural), `subj` (its verb shows its number). Of subjects: `does did is
was will`, an auxiliary before them, `swap` if the other order is wrong. Of verbs: `pres past part ing ger base`, `3s
3p` without a controller, `x` (the sentence fixes the tense), `xfut`; what stands before it (`of` beside `ger`; beside
`base` one of `does did modal let imp`). Of adjectives: `comp`, `sup`, `all` (the superlative is "of all").

Of a subject, its determiner and its verb at most one word is wrong, so the others show the number.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from random import Random
from typing import Any

from stillroom.language.grammar.english_forms import PRONOUNS, Verb, article, compared, plural, verb
from stillroom.language.grammar.lexicon import Entry, Phrase, read
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word

Words = tuple[Word, ...]

_ADJECTIVES = ("a_person", "a_feel", "a_thing", "a_place", "color")
_NAMES = ("city", "language", "subject", "mass", "drink", "sport")  # neither article nor plural
_COUNTS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "twelve")
_WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MY = ("my", "your", "our", "his", "their")
_SUBJECTS = {
    "sub": ("I", "you", "he", "she", "we", "they"),
    "third": ("he", "she", "they"),
    "single": ("I", "he", "she"),
}
_OBJECTS = ("I", "he", "she", "we", "they")
_UNSPELT = ("live", "stay", "spend", "cost")
"""Verbs whose misspellings could stand for another word or form: lie, say, sent, costs."""

_AUXILIARIES = ("does", "did", "is", "was", "will")
_DETERMINERS = ("the", "a", "this", "every", "two", "mytwo", "my", "own", "bare", "bare0")

_CHOICES = {
    "weekday": _WEEKDAYS,
    "weekdays": tuple(day + "s" for day in _WEEKDAYS),
    "month": ("January", "February", "March", "June", "July", "August", "September", "November", "December"),
    "meal": ("breakfast", "lunch", "dinner", "supper"),
    "daytime": ("morning", "afternoon", "evening"),
    "freq": ("always", "usually", "often", "never", "rarely", "sometimes"),
    "material": ("wood", "glass", "plastic", "leather", "steel", "rubber", "stone"),
    "weather": ("cold", "warm", "windy", "sunny", "cloudy", "foggy"),
    "size": ("small", "large", "long", "short", "tight", "wide"),
}


def _plain(*texts: str) -> Words:
    return tuple(Word(text, spellable=True) for text in texts)


def _ago(count: str, unit: str) -> Words:
    return Word(count), Word(unit, {"agreement": (unit[:-1],)}, swaps=True, spellable=True), Word("ago")


def _no_preposition(wrong: str, *texts: str) -> Words:
    return Word("", {"preposition": (wrong,)}), *_plain(*texts)


FILLERS: Mapping[str, tuple[Words, ...]] = {
    **{cls: tuple(_plain(text) for text in texts) for cls, texts in _CHOICES.items()},
    "num": tuple((Word(text),) for text in _COUNTS),
    "hour": tuple((Word(text), Word("o'clock")) for text in (*_COUNTS, "eleven")),
    "year": tuple((Word(str(year)),) for year in range(1985, 2020)),
    "past": (
        *[_plain("yesterday")] * 4,
        *(_no_preposition("in", "last", unit) for unit in ("week", "month", "year", "summer", "winter")),
        *(_no_preposition("on", "last", day) for day in _WEEKDAYS),
        *(_no_preposition("in", "yesterday", part) for part in ("morning", "afternoon", "evening")),
        *(_ago(count, unit) for count in _COUNTS[:8] for unit in ("days", "weeks", "months", "years")),
    ),
    "then": ((Word("", {"preposition": ("in",)}), *_plain("last", "night")), *[_plain("yesterday")] * 2),
    "future": (
        *[_plain("tomorrow")] * 3,
        *(_no_preposition("in", "next", unit) for unit in ("week", "month", "year")),
        *(_no_preposition("on", "next", day) for day in _WEEKDAYS),
        *(_no_preposition("in", "tomorrow", part) for part in ("morning", "afternoon", "evening")),
    ),
    "now": (
        _plain("right", "now"),
        (Word("at", {"preposition": ("on",)}), Word("the", {"article": ("",)}), *_plain("moment")),
    ),
}
"""Words that are no lemmas: every part of the data has them all."""


def realise(slot: Slot, entry: Entry | None, phrases: Mapping[str, Phrase], random: Random) -> Phrase:
    """Return the words of a slot."""
    cls, features = slot.cls, slot.features
    near = phrases[slot.controller].features if slot.controller else {}
    if cls in FILLERS:
        return Phrase(random.choice(FILLERS[cls]))
    if cls in _SUBJECTS:
        return _asked(random.choice(_SUBJECTS[cls]), features)
    if cls in ("obj", "again", "objof", "posof", "self"):
        return _pronoun(cls, near, random)
    if entry is None or cls.startswith("v_"):
        code = "3" if "3s" in features else "p" if "3p" in features else near.get("code", "3")
        lemma, fields = (entry.lemma, entry.fields) if entry else (cls, ())
        known = entry is None and cls not in _UNSPELT
        return Phrase((_verb(lemma, fields, features, code, near.get("free", True), known),), near)
    if cls == "name":
        return _name(entry, features)
    if cls == "city":
        return Phrase((Word("", {"article": ("the",)}), Word(entry.lemma)))
    if cls in _NAMES:
        return Phrase((Word(entry.lemma),))
    if cls in _ADJECTIVES:
        return _adjective(entry, features)
    if cls == "manner":
        return Phrase((Word(entry.lemma, {"agreement": entry.fields}),))
    return _noun(slot, entry, near, phrases, random)


def _subject(pronoun: str) -> dict[str, Any]:
    return {"code": PRONOUNS[pronoun].code, "pronoun": pronoun, "free": True}


@cache
def _asked(pronoun: str, features: Sequence[str], name: str = "") -> Phrase:
    """A subject, behind its auxiliary in a question."""
    who = _subject(pronoun)
    subject = Word(name or pronoun)
    auxiliary = next((a for a in _AUXILIARIES if a in features), "")
    if not auxiliary:
        return Phrase((subject,), who)
    swaps, code = "swap" in features, who["code"]
    if auxiliary == "will":
        return Phrase((Word("will", swaps=swaps, spellable=True), subject), who)
    lemma = "do" if auxiliary in ("does", "did") else "be"
    tense = "past" if auxiliary in ("did", "was") else "pres"
    fixed = ("x",) if "x" in features else ()
    made = _verb(lemma, (), (tense, *fixed), code, True, True)
    return Phrase((Word(made.text, made.wrong, swaps, made.spellable), subject), who)


def _name(entry: Entry, features: Sequence[str]) -> Phrase:
    if "poss" in features:
        wrong = {"punctuation": (entry.lemma + "s",), "agreement": (entry.lemma,)}
        return Phrase((Word(entry.lemma + "'s", wrong),))
    return _asked("she" if entry.fields[0] == "f" else "he", features, entry.lemma)


def _pronoun(cls: str, near: Mapping[str, Any], random: Random) -> Phrase:
    """A pronoun that speaks of an earlier subject or, as `obj`, of anybody."""
    name = random.choice(_OBJECTS) if cls == "obj" else near["pronoun"]
    pronoun = PRONOUNS[name]
    if cls in ("obj", "objof"):
        wrong = (pronoun.subject,) if pronoun.subject != pronoun.object else ()
        return Phrase((Word(pronoun.object, {"agreement": wrong}),), _subject(name))
    if cls == "posof":
        return Phrase((Word(pronoun.possessive, {"agreement": pronoun.wrong_possessive}),))
    if cls == "self":
        return Phrase((Word(pronoun.reflexive, {"agreement": (pronoun.wrong_reflexive,)}),))
    return Phrase((Word(name),), _subject(name))


@cache
def _verb(lemma: str, fields: tuple[str, ...], features: Sequence[str], code: str, free: bool, known: bool) -> Word:
    """A verb's form, and the others of it that would be mistakes."""
    forms = verb(lemma, fields)
    wrong: dict[str, tuple[str, ...]] = {}
    if "pres" in features or "past" in features:
        tense, other = ("pres", "past") if "pres" in features else ("past", "pres")
        right = _finite(forms, tense, code)
        if free and (tense == "pres" or lemma == "be"):
            others = {"1": ("3", "p"), "3": ("p",), "p": ("3",)}[code]
            wrong["agreement"] = tuple(dict.fromkeys(_finite(forms, tense, other_code) for other_code in others))
        if "x" in features:
            wrong["tense"] = (_finite(forms, other, code),)
        if "xfut" in features:
            wrong["tense"] = ("will " + forms.base,)
    elif "part" in features:
        right = forms.participle
        wrong["tense"] = (forms.past, forms.base)
    elif "ing" in features:
        right = forms.ing
        wrong["tense"] = (forms.base,)
    elif "ger" in features:
        right = forms.ing
        wrong["tense"] = (forms.base,) if "of" in features else (forms.base, "to " + forms.base)
    else:
        right = forms.base
        if "let" in features:
            wrong["tense"] = (forms.ing, "to " + forms.base)
        elif "did" in features:
            wrong["tense"] = (forms.past,)
        else:
            wrong["agreement"] = (forms.third,)
            wrong["tense"] = (forms.past,) if "modal" in features else ()
    wrong = {kind: tuple(form for form in texts if form != right) for kind, texts in wrong.items()}
    return Word(right, {kind: texts for kind, texts in wrong.items() if texts}, spellable=known)


def _finite(forms: Verb, tense: str, code: str) -> str:
    if forms.base == "be":
        return {"pres1": "am", "pres3": "is", "presp": "are", "pastp": "were"}.get(tense + code, "was")
    return forms.past if tense == "past" else forms.third if code == "3" else forms.base


def _adjective(entry: Entry, features: Sequence[str]) -> Phrase:
    lemma, degrees = entry.lemma, compared(entry.lemma, entry.fields)
    if "later" in features:
        return Phrase((Word(""),), {"lemma": lemma})
    if "comp" in features:
        if degrees:
            return Phrase((Word(degrees[0], {"agreement": (lemma, "more " + degrees[0])}),))
        return Phrase((Word("more", {"agreement": ("most",)}, spellable=True), Word(lemma)))
    if "sup" in features:
        # "the taller actor in our town" and "the more honest one" are right, but not "of all"
        compares = "all" in features
        if degrees:
            others = ("most " + degrees[1], *([degrees[0]] if compares else []))
            return Phrase((Word("the", {"article": ("", "a")}), Word(degrees[1], {"agreement": others}, swaps=True)))
        most = Word("most", {"agreement": ("more",)} if compares else {}, spellable=True)
        return Phrase((Word("the", {"article": ("",)}), most, Word(lemma)))
    return Phrase((Word(lemma),))


def _noun(slot: Slot, entry: Entry, near: Mapping[str, Any], phrases: Mapping[str, Phrase], random: Random) -> Phrase:
    features = slot.features
    name = next((f for f in features if f in _DETERMINERS), "")
    several = name in ("bare", "two", "mytwo") or "pl" in features or ("sp" in features and random.random() < 0.5)
    forms = entry.lemma, plural(entry.lemma, entry.fields)
    right, other = (forms[1], forms[0]) if several else forms
    adjective = next((phrases[f[5:]].features["lemma"] for f in features if f.startswith("with_")), "")

    wrong = ["verb"]
    if name == "this":
        wrong += ["determiner", "noun"]
    elif name in ("every", "two", "mytwo"):
        wrong += ["noun"]
    spoilt = random.choice(wrong) if "subj" in features else "noun"
    spoils_noun = spoilt == "noun" and (name in ("every", "two", "mytwo") or "many" in features or len(wrong) == 3)
    words = list(_determiner(name, features, near, adjective or right, several, spoilt == "determiner", random))
    if adjective:
        words.append(Word(adjective, swaps=True))
    words.append(Word(right, {"agreement": (other,)} if spoils_noun else {}))
    code = "p" if several else "3"
    pronoun = "they" if several else "it"
    return Phrase(tuple(words), {"code": code, "pronoun": pronoun, "free": "subj" in features and spoilt == "verb"})


def _determiner(
    name: str,
    features: Sequence[str],
    near: Mapping[str, Any],
    following: str,
    several: bool,
    spoilt: bool,
    random: Random,
) -> Words:
    lost = ("",) if "drop" in features else ()
    if name == "a":
        right = article(following)
        return (Word(right, {"article": ("a" if right == "an" else "an", *lost)}),)
    if name == "the":
        return (Word("the", {"article": lost} if lost else {}),)
    if name == "this":
        one, many = random.choice((("this", "these"), ("that", "those")))
        right, wrong = (many, one) if several else (one, many)
        # "thse" could be "these" or "those"
        return (Word(right, {"agreement": (wrong,)} if spoilt else {}, spellable=not several),)
    if name == "every":
        return _plain("every")
    if name == "two":
        return (Word(random.choice(_COUNTS)),)
    if name == "mytwo":
        return Word(random.choice(_MY)), Word(random.choice(_COUNTS[:4]))
    if name == "my":
        return (Word(random.choice(_MY)),)
    if name == "own":
        pronoun = PRONOUNS[near["pronoun"]]
        return (Word(pronoun.possessive, {"agreement": pronoun.wrong_possessive}),)
    return ()


def forms(entry: Entry) -> tuple[str, ...]:
    """Return an entry's inflected forms, its lemma first."""
    lemma, fields = entry.lemma, entry.fields
    if entry.cls.startswith("v_"):
        return tuple(dict.fromkeys(verb(lemma, fields)))
    if entry.cls in _ADJECTIVES:
        return (lemma, *(compared(lemma, fields) or ()))
    if entry.cls == "manner":
        return (lemma, *fields)
    if entry.cls == "name" or entry.cls in _NAMES:
        return (lemma,)
    return lemma, plural(lemma, fields)


LANGUAGE = read("en", realise, forms)
