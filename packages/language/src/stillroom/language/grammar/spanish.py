"""Spanish: how a slot of a pattern becomes words, and which mistakes the words around it give away.

Features of a slot, in any order:

- of noun phrases, the determiner (`def indef este ese mi tu own num cada mucho ningun otro todo cuanto bare`), the
  number (`sg pl any`), and `art_0_un_el`, the wrong articles (`0`: none);
- of any slot, `p_en_a_0`, its preposition and the wrong ones (`0`: none), and `y`, the conjunction before it;
- of verbs, `t_pret_pres_fut`, its tense and the wrong ones (a pattern must fix it), and `p1 p2 p3 p5`, the person where
  no slot before it has one;
- `x`, agreement that the sentence would not give away; `nonum`, the same of number alone.

Classes that the lexicon lacks name a verb or an adjective (`ser`, `lleno`) or a pronoun (`pron clit le`). Gender is
spoilt only where a noun's ending shows it or an article beside the noun does; number, at one place of those that agree
with a noun, since a second one would leave open which is meant. It knows no lemmas: they are in data/es.yaml.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import Any

from stillroom.language.grammar.lexicon import Entry, Phrase, read
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.spanish_forms import Fields, adjective, conjugation, gender, plural
from stillroom.language.grammar.words import Word

ADJECTIVES = frozenset(["colour", "quality", "flavour", "trait", "state", "placelike", "nation"])
PEOPLE = frozenset(["person", "kin", "prof"])
PLAIN = frozenset(["name", "city", "month", "transport", "subject", "manner"])

SOLID, ONCE, OPEN = 2, 1, 0
"""How well a phrase shows its gender or number: whatever is spoilt, if one dependent is spoilt, not at all."""

_DETERMINERS: dict[str, tuple[tuple[str, str], tuple[str, str]]] = {
    "def": (("el", "los"), ("la", "las")),
    "indef": (("un", "unos"), ("una", "unas")),
    "este": (("este", "estos"), ("esta", "estas")),
    "ese": (("ese", "esos"), ("esa", "esas")),
    "mucho": (("mucho", "muchos"), ("mucha", "muchas")),
    "cuanto": (("cuánto", "cuántos"), ("cuánta", "cuántas")),
    "ningun": (("ningún", "ningunos"), ("ninguna", "ningunas")),
    "otro": (("otro", "otros"), ("otra", "otras")),
    "todo": (("todo el", "todos los"), ("toda la", "todas las")),
    "mi": (("mi", "mis"), ("mi", "mis")),
    "tu": (("tu", "tus"), ("tu", "tus")),
    "su": (("su", "sus"), ("su", "sus")),
    "nuestro": (("nuestro", "nuestros"), ("nuestra", "nuestras")),
    "cada": (("cada", "cada"), ("cada", "cada")),
    "bare": (("", ""), ("", "")),
}
"""((masculine singular, plural), (feminine singular, plural))."""

_NUMERALS = ("dos", "tres", "cuatro", "cinco", "seis", "siete", "ocho", "nueve", "diez")
_OWNERS = ("mi", "tu", "su", "nuestro", "su")  # by person
_FULL = {"un": "uno", "ningún": "ninguno"}  # before a masculine noun only the short form is right

_PRONOUNS = (
    ("yo", 0, None), ("tú", 1, None), ("él", 2, 0), ("ella", 2, 1), ("nosotros", 3, 0), ("nosotras", 3, 1),
    ("ellos", 4, 0), ("ellas", 4, 1),
)  # fmt: skip
_CLITICS = ("me", "te", "se", "nos", "se")
_CONFUSED = ((2, 1), (2, 0), (4,), (4, 0), (2,))
"""By person, the persons that learners put in its place."""
_PERSONS = {"p1": 0, "p2": 1, "p3": 2, "p5": 4}
_COMPOUND = {"perf": "pres", "plup": "impf"}


@dataclass(frozen=True)
class Wish:
    """What the features of a slot ask for."""

    determiner: str = "bare"
    number: str = "sg"
    articles: tuple[str, ...] = ()
    prepositions: tuple[str, ...] = ()
    tenses: tuple[str, ...] = ("pres",)
    person: int | None = None
    flags: frozenset[str] = frozenset()


@cache
def wish(features: Fields) -> Wish:
    """Read the features of a slot."""
    lists: dict[str, tuple[str, ...]] = {}
    given: dict[str, Any] = {}
    flags = set()
    for feature in features:
        head, *tail = feature.split("_", 1)
        if tail:
            lists[head] = tuple("" if item == "0" else item for item in tail[0].split("_"))
        elif feature in _DETERMINERS or feature in ("own", "num"):
            given["determiner"] = feature
        elif feature in ("sg", "pl", "any"):
            given["number"] = feature
        elif feature in _PERSONS:
            given["person"] = _PERSONS[feature]
        else:
            flags.add(feature)
    if given.get("determiner") in ("num", "mucho", "todo", "cuanto"):
        given["number"] = "pl"
    return Wish(
        **given,
        articles=lists.get("art", ()),
        prepositions=lists.get("p", ()),
        tenses=lists.get("t", ("pres",)),
        flags=frozenset(flags),
    )


def joined(preposition: str, determiner: str) -> str:
    """Put a preposition before a determiner; a + el is al, de + el is del."""
    if determiner == "el" and preposition in ("a", "de"):
        return "al" if preposition == "a" else "del"
    return " ".join(filter(None, (preposition, determiner)))


def realise(slot: Slot, entry: Entry | None, phrases: Mapping[str, Phrase], random: Random) -> Phrase:
    """Make a slot's words; see the module for its features."""
    asked = wish(slot.features)
    if slot.cls == "pron":
        text, person, sex = random.choice(_PRONOUNS)
        shown = {"gender_shown": SOLID if sex is not None else OPEN, "number_shown": SOLID}
        sex = random.randrange(2) if sex is None else sex
        return Phrase((Word(text),), {"person": person, "gender": sex, "pronoun": True, **shown})
    if slot.cls in ("clit", "le"):
        return _clitic(slot, phrases)
    lemma, fields = (entry.lemma, entry.fields) if entry else (slot.cls, ())
    if slot.cls in ADJECTIVES or (entry is None and lemma.endswith(("o", "nte"))):
        return _adjective(slot, asked, lemma, fields, phrases)
    if slot.cls.startswith("v_") or entry is None:
        return _verb(slot, asked, lemma, fields, phrases)
    if slot.cls in PLAIN:
        return _plain(slot, asked, lemma, phrases)
    return _noun(slot, asked, lemma, fields, phrases, random)


def _spoilable(slot: Slot, phrases: Mapping[str, Phrase], what: str) -> bool:
    """Whether the controller still shows its gender or number if this slot does not."""
    if slot.controller is None:
        return False
    shown = phrases[slot.controller].features[f"{what}_shown"]
    spoilt = any(
        phrase.features.get("on") == slot.controller and what in phrase.features["spoilt"]
        for phrase in phrases.values()
    )
    return bool(shown == SOLID or (shown == ONCE and not spoilt))


def _before(asked: Wish, first: str) -> list[Word]:
    """The preposition and the conjunction before a phrase without a determiner."""
    words = []
    if "y" in asked.flags:
        words.append(Word("e" if first.lower().startswith(("i", "hi")) else "y"))
    if asked.prepositions:
        right, *wrong = asked.prepositions
        words.append(Word(right, {"preposition": tuple(wrong)}))
    return words


def _plain(slot: Slot, asked: Wish, lemma: str, phrases: Mapping[str, Phrase]) -> Phrase:
    """A word that has one form: a name (its ending tells the gender), a city, a month, an adverb."""
    sex = int(lemma.endswith("a"))
    features = {"person": 2, "gender": sex, "gender_shown": SOLID, "number_shown": SOLID}
    if slot.controller is not None:  # the second of two
        features |= {"person": 4, "gender": sex and phrases[slot.controller].features["gender"]}
    return Phrase((*_before(asked, lemma), Word(lemma)), features)


def _noun(slot: Slot, asked: Wish, lemma: str, fields: Fields, phrases: Mapping[str, Phrase], random: Random) -> Phrase:
    controller = phrases[slot.controller].features if slot.controller is not None else None
    many = asked.number == "pl" or (asked.number == "any" and random.random() < 0.5)
    double = slot.cls in PEOPLE and not (fields and fields[0] in ("m", "f"))
    if double:
        sex, ending = random.randrange(2), False
        if controller is not None and asked.determiner != "own":
            sex, many, ending = controller["gender"], controller["person"] > 2, controller["gender_shown"] == SOLID
        stem = fields[0] if sex and fields else lemma[:-1] + "a" if sex else lemma
    else:
        (sex, ending), stem = gender(lemma, fields), lemma
    forms = stem, plural(stem)

    name = asked.determiner
    if name == "own":
        name = _OWNERS[controller["person"]] if controller is not None else "su"
    elif name == "mi":
        name = random.choice(("mi", "tu", "nuestro"))
    numeral = random.choice(_NUMERALS) if name == "num" else ""
    table = _DETERMINERS.get(name, ((numeral, numeral), (numeral, numeral)))
    right, other = table[sex][many], table[1 - sex][many]

    preposition, *others = asked.prepositions or ("",)
    wrong: dict[str, tuple[str, ...]] = {}
    if others:
        wrong["preposition"] = tuple(joined(form, right) for form in others)
    if ending and other != right and "x" not in asked.flags:
        wrong["agreement"] = (joined(preposition, other),)
        if right in _FULL:
            wrong["agreement"] += (joined(preposition, _FULL[right]),)
    articles = [joined(preposition, _article(form, right, sex, many)) for form in asked.articles]
    if name == "todo":
        articles.append(joined(preposition, right.split()[0]))
    if preposition in ("a", "de") and right == "el":
        articles.append(f"{preposition} el")
    if articles:
        wrong["article"] = tuple(articles)
    lead = joined(preposition, right)
    fixed_number = name in ("num", "cada", "mucho", "cuanto")
    noun = Word(forms[many], {"agreement": (forms[not many],)} if fixed_number else {})
    head = Word(lead, wrong) if lead else None
    if head is None and asked.articles:
        noun = Word(noun.text, {"article": tuple(f"{form} {noun.text}" for form in articles)})

    lost = "" in asked.articles
    features = {
        "person": 4 if many else 2,
        "gender": sex,
        "gender_shown": SOLID
        if ending or (not double and slot.cls in PEOPLE)
        else ONCE
        if other != right and not lost
        else OPEN,
        "number_shown": SOLID if fixed_number else OPEN if lost or name == "bare" else ONCE,
    }
    return Phrase((head, noun) if head else (noun,), features)


def _article(form: str, right: str, sex: int, many: bool) -> str:
    """A wrong article: none, the other one, or, before `otro` and possessives, one too many."""
    table = {"": "bare", "un": "indef", "el": "def"}
    article = _DETERMINERS[table[form]][sex][many]
    extra = right.startswith("otr") or right in _DETERMINERS or right.startswith("nuestr")
    return f"{article} {right}" if extra and article else article


def _adjective(slot: Slot, asked: Wish, lemma: str, fields: Fields, phrases: Mapping[str, Phrase]) -> Phrase:
    assert slot.controller is not None, f"{slot} agrees with nothing"
    controller = phrases[slot.controller].features
    return _agreeing(slot, asked, adjective(lemma, fields), controller, phrases)


def _agreeing(
    slot: Slot,
    asked: Wish,
    table: tuple[tuple[str, str], tuple[str, str]],
    controller: Mapping[str, Any],
    phrases: Mapping[str, Phrase],
    tense: tuple[str, ...] = (),
) -> Phrase:
    sex, many = controller["gender"], controller["person"] > 2
    text = table[sex][many]
    forms, spoilt = [], []
    if table[1 - sex][many] != text and "x" not in asked.flags and _spoilable(slot, phrases, "gender"):
        forms.append(table[1 - sex][many])
        spoilt.append("gender")
    if not asked.flags & {"x", "nonum"} and _spoilable(slot, phrases, "number"):
        forms.append(table[sex][not many])
        spoilt.append("number")
    wrong = {"agreement": tuple(forms)} if forms else {}
    if tense:
        wrong["tense"] = tense
    return Phrase((*_before(asked, text), Word(text, wrong)), {"on": slot.controller, "spoilt": tuple(spoilt)})


def _clitic(slot: Slot, phrases: Mapping[str, Phrase]) -> Phrase:
    """`clit`: lo, la, los, las; `le`: le, les; they agree with a phrase before them."""
    assert slot.controller is not None, f"{slot} agrees with nothing"
    controller = phrases[slot.controller].features
    sex, many = controller["gender"], controller["person"] > 2
    what = "gender" if slot.cls == "clit" else "number"
    table = (("lo", "los"), ("la", "las")) if slot.cls == "clit" else (("le", "les"), ("le", "les"))
    open_ = _spoilable(slot, phrases, what)
    other = table[1 - sex][many] if slot.cls == "clit" else table[sex][not many]
    wrong = {"agreement": (other,)} if open_ else {}
    return Phrase((Word(table[sex][many], wrong),), {"on": slot.controller, "spoilt": (what,) if open_ else ()})


def _finite(forms: Mapping[str, tuple[str, ...]], tense: str, person: int) -> str:
    return forms[tense][person]


def _verb(slot: Slot, asked: Wish, lemma: str, fields: Fields, phrases: Mapping[str, Phrase]) -> Phrase:
    forms = conjugation(lemma, fields)
    controller = phrases[slot.controller].features if slot.controller is not None else None
    person = controller["person"] if controller is not None else 2 if asked.person is None else asked.person
    reflexive = lemma.endswith("se")
    right, *others = asked.tenses
    if right == "part" and controller is not None:
        masculine = forms["part"][0]
        return _agreeing(slot, asked, adjective(masculine), controller, phrases, (forms["inf"][0],) if others else ())
    if right in ("inf", "ger", "tu"):
        text, *wrong_tense = (_attached(forms[tense][0], person, reflexive) for tense in asked.tenses)
        return Phrase((*_before(asked, text), Word(text, {"tense": tuple(wrong_tense)})), {})

    spoilt = "x" not in asked.flags and (_spoilable(slot, phrases, "number") if slot.controller else bool(asked.person))
    pronoun = controller is not None and controller.get("pronoun", False)
    persons = (_CONFUSED[person] if pronoun else (6 - person,)) if spoilt else ()
    compound = _COMPOUND.get(right)
    finite, tense = (conjugation("haber"), compound) if compound else (forms, right)
    text = _finite(finite, tense, person)
    wrong = {
        "agreement": tuple({_finite(finite, tense, p) for p in persons} - {text}),
        "tense": tuple({_finite(forms, other, person) for other in others} - {text}),
    }
    words = [Word(text, {kind: tuple(sorted(texts)) for kind, texts in wrong.items() if texts})]
    if compound:
        words = [Word(text, words[0].wrong, swaps=True), Word(forms["part"][0], {"tense": forms["inf"]})]
    if reflexive:
        # "se" for another person is always wrong, but another pronoun for "se" can make sense: mi madre me levanta
        confused = {"agreement": ("se",)} if pronoun and person in (0, 1, 3) else {}
        words = [Word(_CLITICS[person], confused, swaps=True), *words]
    return Phrase(
        (*_before(asked, words[0].text), *words), {"on": slot.controller, "spoilt": ("number",) if spoilt else ()}
    )


def _attached(form: str, person: int, reflexive: bool) -> str:
    """Put a reflexive pronoun behind an infinitive or a gerund: duchándonos."""
    if not reflexive:
        return form
    if form.endswith("ndo"):
        form = form[:-4] + {"a": "á", "e": "é"}[form[-4]] + form[-3:]
    return form + _CLITICS[person]


def forms(entry: Entry) -> tuple[str, ...]:
    """All forms of an entry: numbers and genders, or the conjugation (reflexive verbs without their pronoun)."""
    if entry.cls in PLAIN:
        return (entry.lemma,)
    if entry.cls.startswith("v_"):
        persons = [form for tense in conjugation(entry.lemma, entry.fields).values() for form in tense]
        return tuple(dict.fromkeys([entry.lemma, *persons]))
    if entry.cls in ADJECTIVES or (entry.cls in PEOPLE and not (entry.fields and entry.fields[0] in ("m", "f"))):
        fields = entry.fields or ((entry.lemma[:-1] + "a",) if entry.cls in PEOPLE else ())
        return tuple(dict.fromkeys(form for forms in adjective(entry.lemma, fields) for form in forms))
    return entry.lemma, plural(entry.lemma)


LANGUAGE = read("es", realise, forms)
