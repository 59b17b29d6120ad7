"""French verbs with what belongs to them: subject and object pronouns, negation, auxiliaries, participles.

It decides which mistakes in them have one correction only: another person where the subject's number shows twice,
another tense where the pattern says so, an infinitive for a participle whose gender shows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from random import Random
from typing import Any

from stillroom.language.grammar.french_forms import Verb, elided, elides, verb
from stillroom.language.grammar.french_nouns import NOBODY, OTHER
from stillroom.language.grammar.lexicon import Phrase
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word

SUBJECTS = {  # pronoun, person, gender or nothing
    "S": (
        ("je", 0, ""),
        ("tu", 1, ""),
        ("il", 2, "m"),
        ("elle", 2, "f"),
        ("nous", 3, ""),
        ("vous", 4, ""),
        ("ils", 5, "m"),
    ),
    "S3": (("il", 2, "m"), ("elle", 2, "f"), ("ils", 5, "m"), ("elles", 5, "f")),
    "S12": (("je", 0, ""), ("tu", 1, ""), ("nous", 3, ""), ("vous", 4, "")),
    "Sil": (("il", 2, "m"), ("elle", 2, "f")),
    "Sils": (("ils", 5, "m"), ("elles", 5, "f")),
    "Svous": (("tu", 1, ""), ("vous", 4, "")),
    "Snous": (("nous", 3, ""), ("je", 0, "")),
}
PERSONS = {"1s": 0, "2s": 1, "3s": 2, "1p": 3, "2p": 4, "3p": 5}
REFLEXIVE = ("me", "te", "se", "nous", "vous", "se")
SIMPLE = {
    "pres": "present",
    "imp": "imperfect",
    "fut": "future",
    "cond": "conditional",
    "subj": "subjunctive",
}
MODALS = {"fp": "aller", "peut": "pouvoir", "doit": "devoir", "veut": "vouloir"}
BEFORE_VERBS = {
    "pre_que": "que",
    "pre_parceque": "parce que",
    "pre_lorsque": "lorsque",
    "pre_puisque": "puisque",
    "pre_pendantque": "pendant que",
    "pre_pourque": "pour que",
    "pre_avantque": "avant que",
    "pre_bienque": "bien que",
    "pre_dèsque": "dès que",
    "pre_si": "si",
    "pre_de": "de",
    "pre_à": "à",
    "pre_pour": "pour",
    "pre_sans": "sans",
}
MIDDLE = ("déjà", "souvent", "bien", "beaucoup", "trop", "mal", "toujours", "vite")
NEGATIONS = {"neg": "pas", "jamais": "jamais", "plus": "plus", "rien": "rien"}
TENSES = (*SIMPLE, *MODALS, "pc", "pqp", "inf", "part", "ger", "imper")
CLITICS = {("m", "s"): "le", ("f", "s"): "la", ("m", "p"): "les", ("f", "p"): "les"}
CLITIC_SUBJECTS = {("m", "s"): "il", ("f", "s"): "elle", ("m", "p"): "ils", ("f", "p"): "elles"}
OBJECTS = ("le", "la", "les", "lui", "leur")
WEAK = ("je", "me", "te", "se", "le", "la", "ne")
TO_BE = ("v_mouvement", "v_réfléchi")
"""Classes whose compound tenses take `être`."""


@dataclass(frozen=True)
class Wish:
    """What a verb's slot asks for."""

    tense: str
    subjects: tuple[tuple[str, int, str], ...]
    before: str
    others: tuple[str, ...]
    negation: str
    middle: str
    person: int | None
    clitic: str
    agrees: str
    plain: frozenset[str]


@cache
def wish(features: tuple[str, ...]) -> Wish:
    """Read a verb's features."""
    return Wish(
        next((f for f in features if f in TENSES), "inf"),
        next((SUBJECTS[f] for f in features if f in SUBJECTS), ()),
        next((BEFORE_VERBS[f] for f in features if f in BEFORE_VERBS), ""),
        tuple(f[1:] for f in features if f[0] == "x"),
        next((NEGATIONS[f] for f in features if f in NEGATIONS), ""),
        next((f for f in features if f in MIDDLE), ""),
        next((PERSONS[f] for f in features if f in PERSONS), None),
        next((f[3:] for f in features if f.startswith("cl_")), ""),
        next((f[3:] for f in features if f.startswith("ag_")), ""),
        frozenset(features),
    )


def _who(wanted: Wish, controller: Mapping[str, Any] | None, random: Random) -> tuple[str, Mapping[str, Any], bool]:
    """The pronoun to print, the subject's features, and whether its number shows without the verb."""
    pronoun = ""
    if wanted.subjects:
        pronoun, person, gender = random.choice(wanted.subjects)
    elif controller is not None:
        it = CLITIC_SUBJECTS[controller["gender"] or "m", controller["number"]] if "il" in wanted.plain else ""
        return it, controller, controller["firm"] and "noagr" not in wanted.plain
    elif wanted.person is not None:
        person, gender = wanted.person, "f" if "f" in wanted.plain else "m" if "m" in wanted.plain else ""
    else:
        return "", NOBODY, False
    several = person > 2
    who = {
        "gender": gender,
        "number": "p" if several else "s",
        "person": person,
        # "il est contente" could be about her, "elle est content" could hardly be about him
        "seen": gender == "f",
        "known": bool(gender),
        "firm": several,
    }
    # "il mangent" could be one or many
    return pronoun, who, person not in (2, 5) or "sure" in wanted.plain


def _disagreeing(forms: Sequence[str], person: int, sure: bool) -> tuple[str, ...]:
    """The forms of other persons that a learner might take."""
    if not sure:
        return (forms[1],) if person == 2 else ()
    return tuple(forms[other] for other in ((1, 2), (2,), (5,), (2, 5), (2, 5), (2,))[person])


def _past(spoken: Verb, who: Mapping[str, Any], agrees: bool, sure: bool) -> Word:
    """A past participle: agreeing with somebody, or with nobody."""
    gender, number = who["gender"] or "m", who["number"]
    if agrees:
        right = spoken.agreeing(gender, number)
        wrong = [spoken.agreeing(OTHER[gender], number)] if who["seen"] else []
        wrong += [spoken.agreeing(gender, OTHER[number])] if sure and who["firm"] and who["known"] else []
    elif spoken.infinitive == "être":
        right, wrong = "été", []
    else:
        right, wrong = spoken.participle, [spoken.participle + "e"]
        wrong += [spoken.agreeing("m", "p")] if number == "p" else []
    mistakes: dict[str, tuple[str, ...]] = {"agreement": tuple(dict.fromkeys(form for form in wrong if form != right))}
    if not agrees or who["known"]:  # else the infinitive would leave the gender open
        mistakes["tense"] = (spoken.infinitive,)
    return Word(right, {kind: forms for kind, forms in mistakes.items() if forms})


def verb_phrase(
    slot: Slot,
    spoken: Verb,
    controller: Mapping[str, Any] | None,
    phrases: Mapping[str, Phrase],
    random: Random,
) -> Phrase:
    """Return a verb with what belongs to it."""
    wanted = wish(slot.features)
    pronoun, who, sure = _who(wanted, controller, random)
    tense, person = wanted.tense, who["person"]
    reflexive = slot.cls == "v_réfléchi" or "refl" in wanted.plain
    to_be = reflexive or slot.cls in TO_BE or "être" in wanted.plain
    clitic, owner = "", None
    if wanted.clitic in phrases:
        owner = phrases[wanted.clitic].features
        clitic = CLITICS[owner["gender"] or "m", owner["number"]]
    elif wanted.clitic:
        clitic = wanted.clitic
    elif reflexive:
        clitic = REFLEXIVE[person]
    if tense in ("part", "ger", "imper", "inf"):
        core, aux = _nonfinite(spoken, tense, wanted, who, sure), None
    elif tense in SIMPLE:
        core, aux = [_finite(spoken, tense, person, sure, wanted)], None
    elif tense in MODALS:
        core = _nonfinite(spoken, "inf", wanted, who, sure)
        aux = _finite(verb(MODALS[tense]), "pres", person, sure, wanted)
    else:
        helper, other = (verb("être"), verb("avoir")) if to_be else (verb("avoir"), verb("être"))
        name = "present" if tense == "pc" else "imperfect"
        mistakes = {"agreement": _disagreeing(getattr(helper, name), person, sure)}
        # "il est vendu un vase" would be an impersonal passive
        if to_be or ("aux" in wanted.others and pronoun != "il"):
            mistakes["tense"] = (getattr(other, name)[person],)
        aux = Word(getattr(helper, name)[person], mistakes)
        object_ = phrases[wanted.agrees].features if wanted.agrees else owner  # that stands before the verb
        core = [_past(spoken, object_ or who, to_be or object_ is not None, True)]
    return Phrase(tuple(_ordered(wanted, pronoun, clitic, owner, person, aux, core)), who)


def _finite(spoken: Verb, tense: str, person: int, sure: bool, wanted: Wish) -> Word:
    forms = getattr(spoken, SIMPLE[tense])
    right = forms[person]
    others = [
        spoken.infinitive if other == "inf" else getattr(spoken, SIMPLE[other])[person]
        for other in wanted.others
        if other in SIMPLE or other == "inf"
    ]
    return Word(right, {"agreement": _disagreeing(forms, person, sure), "tense": tuple(others)})


def _nonfinite(spoken: Verb, tense: str, wanted: Wish, who: Mapping[str, Any], sure: bool) -> list[Word]:
    regular = spoken.infinitive.endswith("er") and spoken.infinitive != "aller"
    if tense == "inf":
        return [Word(spoken.infinitive, {"tense": (spoken.present[2], *([spoken.participle] if regular else []))})]
    if tense == "ger":
        return [Word(spoken.gerund, {"tense": (spoken.infinitive, spoken.present[2])})]
    if tense == "part":
        return [_past(spoken, who, True, True)]
    right = spoken.present[who["person"]]
    if who["person"] == 1 and right.endswith(("es", "vas")):
        return [Word(right[:-1], {"agreement": (right,)})]
    return [Word(right, {"tense": (spoken.participle,)} if regular and who["person"] == 4 else {})]


def _ordered(
    wanted: Wish,
    pronoun: str,
    clitic: str,
    owner: Mapping[str, Any] | None,
    person: int,
    aux: Word | None,
    core: list[Word],
) -> list[Word]:
    """Put a verb's words in order, each in the form that stands before the next."""
    tail = list(core)
    close = aux is not None and wanted.tense in MODALS  # its pronoun stands before the infinitive
    small = Word(clitic, _confused(wanted.clitic, clitic, owner, person)) if clitic else None
    words = tail if aux is None or close else [aux, *tail]
    if small:
        words = [small, *words]
    if close and aux is not None:
        words = [aux, *words]
    if wanted.negation:
        finite = words.index(aux if aux is not None else core[0])
        words.insert(finite + 1, Word(wanted.negation))
        words.insert(0, Word("ne"))
    if pronoun:
        words.insert(0, Word(pronoun))
    if wanted.middle:
        finite = words.index(aux if aux is not None else core[0])
        tight = finite > 0 and elided(words[finite - 1].text, words[finite].text).endswith("'")
        words[finite] = Word(words[finite].text, words[finite].wrong, not tight)
        words.insert(finite + 1, Word(wanted.middle))
    if wanted.before:
        wrong = tuple("" if p == "nil" else p for p in wanted.others if p in ("à", "de", "pour", "nil"))
        words.insert(0, Word(wanted.before, {"preposition": wrong} if wrong else {}))
    return _joined(words, core[0], wanted.negation)


def _confused(name: str, clitic: str, owner: Mapping[str, Any] | None, person: int) -> dict[str, tuple[str, ...]]:
    if name and owner is not None:
        if owner["number"] == "p":
            return {"agreement": ("le",)} if owner["firm"] else {}
        return {"agreement": ("le" if clitic == "la" else "la",)} if owner["seen"] else {}
    return {"agreement": ("se",)} if not name and person not in (2, 5) else {}


def _joined(words: list[Word], core: Word, negation: str) -> list[Word]:
    """Mark where a learner takes another order, and put each word in the form that stands before the next."""
    for place, (word, following) in enumerate(pairwise(words)):
        if elided(word.text, following.text) != word.text:
            continue
        if following is core and word.text in (*OBJECTS, negation):
            words[place] = Word(word.text, word.wrong, True)
        elif following is core and word.text == "ne":
            words[place + 1] = Word(core.text, core.wrong, True)
    joined = [words[-1]]
    for word in reversed(words[:-1]):
        following = joined[0]
        if word.text in WEAK and elides(following.text):
            joined[0] = _fused(word, following)
            continue
        text = elided(word.text, following.text)
        wrong = {kind: tuple(elided(form, following.text) for form in forms) for kind, forms in word.wrong.items()}
        if text != word.text and word.text.endswith("que"):
            wrong["spelling"] = (word.text,)
        if text != word.text or word.text in (*WEAK, "de"):
            fits = elides(following.text)
            kept = {kind: tuple(f for f in forms if elides(f) == fits) for kind, forms in following.wrong.items()}
            joined[0] = Word(following.text, kept, following.swaps)
        joined.insert(0, Word(text, wrong, word.swaps))
    return joined


def _fused(word: Word, following: Word) -> Word:
    """Return an elided word and the next as one, since each decides the other's form."""
    wrong = {kind: tuple(_next_to(word.text, form) for form in forms) for kind, forms in following.wrong.items()}
    for kind, forms in word.wrong.items():
        wrong[kind] = (*wrong.get(kind, ()), *(_next_to(form, following.text) for form in forms))
    if word.text not in OBJECTS:  # "le aime" could be about him or her
        wrong["spelling"] = (f"{word.text} {following.text}",)
    return Word(_next_to(word.text, following.text), wrong, following.swaps)


def _next_to(word: str, following: str) -> str:
    text = elided(word, following)
    return text + following if text.endswith("'") else f"{text} {following}"
