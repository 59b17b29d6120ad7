"""German: how a slot becomes words.

Slots of `data/de.yaml` speak of each other by name: `s` is the subject that possessives (`own`) and auxiliaries follow,
`v` the verb or adjective that governs (`by`), `a` the adjective of a noun phrase (`.a`). What comes late in a sentence
but is needed early is drawn at its beginning (`later`) and put in its place by `{show>name}`.

Of a noun phrase, its verb and its pronoun at most one word is wrong, so the others tell which. It knows no inflection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

from stillroom.language.grammar.german_fixed import GOVERNED, MODALS, PHRASES, VERBS
from stillroom.language.grammar.german_forms import CASES, Verb, adjective, noun, phrase, verb
from stillroom.language.grammar.lexicon import Entry, Phrase, read
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word

_NOUNS = ("person", "family", "animal", "thing", "food", "place", "topic")
_VERBS = ("buy", "cook", "meet", "dative", "intr", "motion", "speech", "sep")
_ADJECTIVES = ("quality", "trait", "state", "taste", "manner")

# the subject's person: ich du er wir ihr sie; by person, those whose verb forms cannot be right beside the pronoun
_PRONOUNS = ("ich", "du", "er", "wir", "ihr")
_WRONG_PERSONS = ((2, 1, 5), (2, 5), (1, 5), (2, 1), (5, 1), (2, 1))
_REFLEXIVES = ("mich", "dich", "sich", "uns", "euch", "sich")
_WRONG_REFLEXIVES = (("sich", "mir"), ("sich", "dir"), (), ("sich",), ("sich", "uns"), ())
_OWN = ("mein", "dein", "sein", "unser", "euer", "ihr")

_DETERMINERS = {
    "der": "der", "ein": "ein", "kein": "kein", "dieser": "dies", "jeder": "jed", "viele": "viel", "alle": "all",
}  # fmt: skip
_SOME = ("mein", "dein", "unser", "sein", "ihr")
_COUNTS = ("zwei", "drei", "vier", "fünf", "sechs", "zehn")
_CONTRACTED = {"zu dem": "zum", "zu der": "zur", "in dem": "im", "in das": "ins", "von dem": "vom"}
_RELATIVES = {"nom": "der die das die", "acc": "den die das die", "dat": "dem der dem denen"}
_PERSONAL = {"nom": "er sie es sie", "acc": "ihn sie es sie"}
_EMPTY = (Word(""),)

Phrases = Mapping[str, Phrase]


def realise(slot: Slot, entry: Entry | None, phrases: Phrases, random: Random) -> Phrase:
    """Return the words of a slot, or an empty one for those drawn early."""
    made = _made(slot, entry, phrases, random)
    if "shout" in slot.features:
        *front, last = made.words
        wrong = {kind: tuple(form + "!" for form in forms) for kind, forms in last.wrong.items()}
        fixed = (Word(word.text, word.wrong) for word in front)  # "einen Koffer! neuen" is nobody's mistake
        return Phrase((*fixed, Word(last.text + "!", wrong)), made.features)
    if "later" in slot.features:
        return Phrase(_EMPTY, {**made.features, "words": made.words})
    return Phrase(made.words, {**made.features, "words": made.words})


def _made(slot: Slot, entry: Entry | None, phrases: Phrases, random: Random) -> Phrase:
    cls, features = slot.cls, slot.features
    near = phrases[slot.controller].features if slot.controller else {}
    if cls == "show":
        return Phrase(near["words"], near)
    if cls in PHRASES:
        return Phrase(random.choice(PHRASES[cls]))
    if cls == "pron":
        return _pronoun(features, random)
    if cls == "name" and entry:
        number = 5 if "and" in features else 2
        return Phrase(
            (Word(entry.lemma),), {"person": number, "wrong": _WRONG_PERSONS[number], "gender": entry.fields[0]}
        )
    if cls in GOVERNED:
        return _governed(slot, near, random)
    if entry and cls in _NOUNS:
        return _noun(slot, entry, phrases, random)
    if entry and cls in _ADJECTIVES:
        return _adjective(slot, entry)
    if entry and cls in _VERBS:
        return _verb(slot, verb(entry.lemma, entry.fields, cls == "sep"), near)
    if cls == "modal":
        return _verb(slot, VERBS[random.choice(MODALS)], near)
    if cls in VERBS:
        return _verb(slot, VERBS[cls], near)
    if entry:
        return Phrase((Word(entry.lemma),))
    return _function_word(slot, near, phrases)


def _pronoun(features: Sequence[str], random: Random) -> Phrase:
    if "self" in features:  # says nothing of its gender
        person = random.choice((0, 1))
    else:
        person = random.choice((0, 2, 3) if "plain" in features else range(5))
    return Phrase((Word(_PRONOUNS[person]),), {"person": person, "wrong": _WRONG_PERSONS[person], "gender": "m"})


def _governed(slot: Slot, near: Mapping[str, Any], random: Random) -> Phrase:
    """A verb or adjective that wants a preposition."""
    lemma = random.choice(list(GOVERNED[slot.cls]))
    more = {"governs": GOVERNED[slot.cls][lemma]}
    if lemma not in VERBS:
        return Phrase((Word(lemma, spellable=True),), more)
    made = _verb(slot, VERBS[lemma], near)
    return Phrase(made.words, {**made.features, **more})


def _adjective(slot: Slot, entry: Entry) -> Phrase:
    stem, comparative, superlative, regular = adjective(entry)
    if "comp" in slot.features:
        return Phrase((Word(comparative, {"agreement": (entry.lemma,)} if regular else {}),))
    if "pred" in slot.features or slot.cls == "manner":
        inflected = () if slot.cls == "manner" else (stem + "es", stem + "en")
        return Phrase((Word(entry.lemma, {"agreement": inflected} if inflected else {}),))
    return Phrase(_EMPTY, {"stem": superlative if "sup" in slot.features else stem})


def _noun(slot: Slot, entry: Entry, phrases: Phrases, random: Random) -> Phrase:
    features, word = slot.features, noun(entry)
    if "job" in features:
        added = {"article": ("eine",) if word.gender == "f" else ("ein", "einen")}
        return Phrase((Word("", added), Word(entry.lemma, {"spelling": (entry.lemma.lower(),)})))
    case = next((name for name in CASES if name in features), "nom")
    if "by" in features:
        case = phrases["v"].features["governs"][1]
    plural = bool({"pl", "viele", "alle", "num"}.intersection(features))
    name = _determiner(features, phrases, random)
    stem = phrases["a"].features["stem"] if "a" in features else ""
    finite = case == "nom" and "free" not in features
    right, wrong = phrase(name, CASES.index(case), entry, plural, bool(stem), finite)
    if "pro" in features:  # or else a pronoun that stands for it
        wrong = (*wrong, (4, ()))
    place, forms = random.choice(wrong) if wrong else (4, ())
    kind = "article" if place == 0 and name in ("der", "ein") else "agreement"
    article, ending, form, _ = right
    words: list[Word] = []
    front = next((p for p in ("zu", "in", "von") if p in features), "")
    if front and f"{front} {article}" in _CONTRACTED:
        others = {_CONTRACTED[f"{front} {f}"] for f in forms if f"{front} {f}" in _CONTRACTED} if place == 0 else set()
        words.append(Word(_CONTRACTED[f"{front} {article}"], {"article": tuple(sorted(others))} if others else {}))
    else:
        words += [Word(front)] if front else []
        if article:
            others = {f for f in forms if f"{front} {f}" not in _CONTRACTED} if place == 0 else set()
            lost = {"article": ("",)} if "drop" in features and not others else {}
            words.append(Word(article, {kind: tuple(sorted(others))} if others else lost))
    if stem:
        ends = {"agreement": tuple(stem + end for end in forms)} if place == 1 else {}
        words.append(Word(stem + ending, ends, swaps=True))
    mistakes: dict[str, tuple[str, ...]] = {"spelling": (form.lower(),)} if words else {}
    words.append(Word(form, {**mistakes, "agreement": forms} if place == 2 else mistakes))
    numbers = {"sg": 2, "pl": 5, "du": 1}
    return Phrase(
        tuple(words),
        {
            "person": 5 if plural else 2,
            "gender": "p" if plural else word.gender,
            "wrong": tuple(numbers[number] for number in forms) if place == 3 else (),
            "pronoun": place == 4 and (word.shown or plural),
        },
    )


def _determiner(features: Sequence[str], phrases: Phrases, random: Random) -> str:
    for feature in features:
        if feature in _DETERMINERS:
            return _DETERMINERS[feature]
    if "own" in features:
        subject = phrases["s"].features
        return "ihr" if subject["person"] == 2 and subject["gender"] == "f" else _OWN[subject["person"]]
    if "poss" in features:
        return random.choice(_SOME)
    return random.choice(_COUNTS) if "num" in features else ""


def _verb(slot: Slot, word: Verb, near: Mapping[str, Any]) -> Phrase:
    """A finite verb (`pres`, `past`), `inf`, `zu` or `participle`; `timed` if the sentence tells the tense."""
    more = {"verb": word}
    features = slot.features
    if "inf" in features:
        clear = word.regular and word.present[2] != word.participle  # "wird trainiert" would be a passive
        mistakes = {"agreement": (word.prefix + word.present[2],)} if clear else {}
        return Phrase((Word(word.prefix + word.infinitive, mistakes),), more)
    if "zu" in features:
        return Phrase((Word("zu", swaps=True), Word(word.infinitive)), more)
    if "participle" in features:
        return Phrase((Word(word.prefix + word.participle),), more)
    if not {"pres", "past"}.intersection(features):
        return Phrase(_EMPTY, more)
    forms, others = (word.past, word.present) if "past" in features else (word.present, word.past)
    person: int = near["person"]
    front = word.prefix if "joined" in features else ""
    known = slot.cls in VERBS or slot.cls in GOVERNED or slot.cls == "modal"
    wrong: dict[str, tuple[str, ...]] = {}
    if "calm" not in features:
        persons: Sequence[int] = near["wrong"]
        if not known and not word.regular and "pres" in features:  # fährt from fährst, but not from fahren
            persons = [p for p in persons if (p in (1, 2)) == (person in (1, 2))]
        wrong["agreement"] = tuple(front + forms[p] for p in persons)
    if "timed" in features and (known or (word.weak and word.regular)):
        wrong["tense"] = (front + others[person],)
    return Phrase((Word(front + forms[person], {kind: f for kind, f in wrong.items() if f}),), more)


def _function_word(slot: Slot, near: Mapping[str, Any], phrases: Phrases) -> Phrase:
    """Words that only other slots decide."""
    cls, features = slot.cls, slot.features
    if cls == "perf":
        word: Verb = near["verb"]
        return _verb(slot, VERBS[word.auxiliary], phrases["s"].features)
    if cls == "participle":
        word = near["verb"]
        regular = word.weak and word.regular and "perf" in features
        return Phrase(
            (Word(word.prefix + word.participle, {"tense": (word.prefix + word.infinitive,)} if regular else {}),)
        )
    if cls == "infinitive":
        return _verb(Slot("", "", ("inf",)), near["verb"], {})
    if cls == "prefix":
        return Phrase((Word(near["verb"].prefix),))
    if cls == "finite":
        subject = phrases["n" if "of_n" in features else "s"].features
        return _verb(Slot("", "haben", features), near["verb"], subject)
    wrong: tuple[str, ...]
    if cls == "prep":
        right, _, others = near["governs"]
        return Phrase((Word(right, {"preposition": tuple(other.strip("-") for other in others.split())}),))
    if cls == "wen":
        right, wrong = ("wen", ("wem", "wer")) if near["governs"][1] == "acc" else ("wem", ("wen", "wer"))
        return Phrase((Word(right, {"agreement": wrong}),))
    if cls == "refl":
        wrong = _WRONG_REFLEXIVES[near["person"]]
        return Phrase((Word(_REFLEXIVES[near["person"]], {"agreement": wrong} if wrong else {}),))
    if cls == "er":
        return Phrase((Word("sie" if near["gender"] == "f" else "er"),), near)
    table = (_RELATIVES if cls == "rel" else _PERSONAL)[next(f for f in features if f in CASES)].split()
    right = table["mfnp".index(near["gender"])]
    wrong = tuple(sorted({*table} - {right, "es", "denen"}))
    clear = near["pronoun"] and near["gender"] != "p"
    return Phrase((Word(right, {"agreement": wrong} if clear else {}),))


def forms(entry: Entry) -> tuple[str, ...]:
    """Return all forms of an entry."""
    if entry.cls in _NOUNS:
        word = noun(entry)
        found: Sequence[str] = (*word.singular, *word.plural)
    elif entry.cls in _ADJECTIVES:
        stem, comparative, _, _ = adjective(entry)
        found = (entry.lemma, comparative, *(stem + end for end in ("e", "en", "er", "es", "em")))
    elif entry.cls in _VERBS:
        made = verb(entry.lemma, entry.fields, entry.cls == "sep")
        found = (made.prefix + made.infinitive, *made.present, *made.past, made.prefix + made.participle)
    else:
        found = (entry.lemma,)
    return tuple(dict.fromkeys(found))


LANGUAGE = read("de", realise, forms)
