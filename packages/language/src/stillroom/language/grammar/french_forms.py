"""The forms of French words: elision, plurals, feminines, and the conjugation of regular verbs and families of others.

It knows words one by one, and nothing of sentences.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

ASPIRATED = (
    *("hache", "hall", "hamac", "hamburger", "hamster", "hanche", "handball", "hangar", "haricot", "harpe", "hasard"),
    *("haut", "hérisson", "héron", "héros", "hibou", "hockey", "Hollande", "homard", "Hongrie", "hongrois", "honte"),
    *("housse", "hublot", "huit", "hurler", "hutte"),
)
"""Beginnings of words whose h forbids elision."""

FAMILIES = {
    # ending: je/tu, il, nous, ils, stem of the future, participle
    "dre": "ds d dons dent dr du",
    "prendre": "prends prend prenons prennent prendr pris",
    "eindre": "eins eint eignons eignent eindr eint",
    "aindre": "ains aint aignons aignent aindr aint",
    "oindre": "oins oint oignons oignent oindr oint",
    "mettre": "mets met mettons mettent mettr mis",
    "battre": "bats bat battons battent battr battu",
    "partir": "pars part partons partent partir parti",
    "sortir": "sors sort sortons sortent sortir sorti",
    "sentir": "sens sent sentons sentent sentir senti",
    "mentir": "mens ment mentons mentent mentir menti",
    "dormir": "dors dort dormons dorment dormir dormi",
    "servir": "sers sert servons servent servir servi",
    "venir": "viens vient venons viennent viendr venu",
    "tenir": "tiens tient tenons tiennent tiendr tenu",
    "ouvrir": "ouvre ouvre ouvrons ouvrent ouvrir ouvert",
    "offrir": "offre offre offrons offrent offrir offert",
    "ouffrir": "ouffre ouffre ouffrons ouffrent ouffrir ouffert",
    "courir": "cours court courons courent courr couru",
    "cueillir": "cueille cueille cueillons cueillent cueiller cueilli",
    "uire": "uis uit uisons uisent uir uit",
    "rire": "ris rit rions rient rir ri",
    "crire": "cris crit crivons crivent crir crit",
    "lire": "lis lit lisons lisent lir lu",
    "élire": "élis élit élisons élisent élir élu",
    "boire": "bois boit buvons boivent boir bu",
    "croire": "crois croit croyons croient croir cru",
    "suivre": "suis suit suivons suivent suivr suivi",
    "vivre": "vis vit vivons vivent vivr vécu",
    "voir": "vois voit voyons voient verr vu",
    "cevoir": "çois çoit cevons çoivent cevr çu",
    "devoir": "dois doit devons doivent devr dû",
    "pouvoir": "peux peut pouvons peuvent pourr pu",
    "vouloir": "veux veut voulons veulent voudr voulu",
    "savoir": "sais sait savons savent saur su",
    "naître": "nais naît naissons naissent naîtr né",
    "connaître": "connais connaît connaissons connaissent connaîtr connu",
    "paraître": "parais paraît paraissons paraissent paraîtr paru",
    "plaire": "plais plaît plaisons plaisent plair plu",
    "mourir": "meurs meurt mourons meurent mourr mort",
    "aller": "vais va allons vont ir allé",
    "avoir": "ai a avons ont aur eu",
    "être": "suis est sommes sont ser été",
    "faire": "fais fait faisons font fer fait",
    "dire": "dis dit disons disent dir dit",
    "ir": "is it issons issent ir i",
}
"""Verbs that do not go like `chanter`, by their longest ending; the second person plural follows the first."""

PRESENT = {
    "avoir": {1: "as"},
    "aller": {1: "vas"},
    "être": {1: "es", 4: "êtes"},
    "faire": {4: "faites"},
    "dire": {4: "dites"},
}
SUBJUNCTIVE = {
    "être": "sois sois soit soyons soyez soient",
    "avoir": "aie aies ait ayons ayez aient",
    "aller": "aille ailles aille allions alliez aillent",
    "faire": "fasse fasses fasse fassions fassiez fassent",
    "pouvoir": "puisse puisses puisse puissions puissiez puissent",
    "vouloir": "veuille veuilles veuille voulions vouliez veuillent",
    "savoir": "sache saches sache sachions sachiez sachent",
}
IMPERFECT_ENDINGS = ("ais", "ais", "ait", "ions", "iez", "aient")
FUTURE_ENDINGS = ("ai", "as", "a", "ons", "ez", "ont")
SUBJUNCTIVE_ENDINGS = ("e", "es", "e", "ions", "iez", "ent")
DOUBLING = ("appeler", "jeter", "épeler")

FEMININE_ENDINGS = (
    *("tion", "sion", "aison", "té", "ette", "ure", "ance", "ence", "ie", "esse", "ée", "ade", "ise", "elle", "euse"),
    *("ine", "ière", "tude", "ole", "ille", "enne"),
)
MASCULINE_ENDINGS = (
    *("age", "ment", "eau", "isme", "oir", "et", "ier", "ail", "eil", "al", "ard", "ot", "ant", "on", "in", "ais"),
    *("il", "eur", "ou", "oc", "ac", "ain", "er", "is", "at", "um"),
)
"""Endings that tell a noun's gender; a noun that goes against its ending tells nothing."""


def elides(word: str) -> bool:
    """Tell whether the word before it loses its vowel.

    >>> [word for word in ("ami", "heure", "haricot", "école", "yaourt", "yeux") if elides(word)]
    ['ami', 'heure', 'école', 'yeux']
    """
    first = word[:1].lower()
    if first == "h":
        return not word.startswith(ASPIRATED)
    return word in ("y", "yeux") or (first in "aeiouàâéèêëîïôûœ" and not word.startswith(("onz", "oui")))


def elided(word: str, following: str) -> str:
    """Return `word` as it stands before the following one: `l'` for `le`, `j'` for `je`, `qu'` for `que`.

    >>> elided("parce que", "il"), elided("si", "elle"), elided("si", "il")
    ("parce qu'", 'si', "s'")
    """
    if word == "si":
        return "s'" if following in ("il", "ils") else word
    if not following or not elides(following):
        return word
    if (
        word in ("le", "la", "je", "me", "te", "se", "ne", "de", "ce")
        or word == "que"
        or word.endswith((" que", "sque"))
    ):
        return word[:-1] + "'"
    return word


def telling(noun: str) -> str:
    """Return the gender that a noun's ending tells, `f`, `m`, or nothing.

    >>> telling("nation"), telling("fromage"), telling("table")
    ('f', 'm', '')
    """
    if noun.endswith(("son", "çon")):
        return ""
    return "f" if noun.endswith(FEMININE_ENDINGS) else "m" if noun.endswith(MASCULINE_ENDINGS) else ""


def plural(word: str) -> str:
    """Return the plural of a noun or a masculine adjective that has a regular one.

    >>> [plural(word) for word in ("livre", "bras", "journal", "gâteau", "jeu")]
    ['livres', 'bras', 'journaux', 'gâteaux', 'jeux']
    """
    if word.endswith(("s", "x", "z")):
        return word
    if word.endswith("al") and word not in ("bal", "festival", "carnaval", "banal", "final", "naval"):
        return word[:-1] + "ux"
    return word + ("x" if word.endswith(("eau", "eu")) and word not in ("bleu", "pneu") else "s")


def feminine(adjective: str) -> str:
    """Return the feminine of an adjective that has a regular one.

    >>> [feminine(word) for word in ("petit", "rouge", "cher", "heureux", "neuf", "ancien")]
    ['petite', 'rouge', 'chère', 'heureuse', 'neuve', 'ancienne']
    """
    if adjective.endswith("e"):
        return adjective
    for ending, change in (("er", "ère"), ("eux", "euse"), ("f", "ve"), ("el", "elle"), ("en", "enne"), ("on", "onne")):
        if adjective.endswith(ending):
            return adjective[: -len(ending)] + change
    return adjective + "e"


@dataclass(frozen=True)
class Verb:
    """A verb's forms: of each tense six, by person (I, you, he, we, you, they)."""

    infinitive: str
    present: tuple[str, ...]
    imperfect: tuple[str, ...]
    future: tuple[str, ...]
    conditional: tuple[str, ...]
    subjunctive: tuple[str, ...]
    participle: str
    gerund: str

    def agreeing(self, gender: str, number: str) -> str:
        """Return the past participle as an adjective; gender `m` or `f`, number `s` or `p`."""
        if gender == "f":
            return self.participle + "e" + "s" * (number == "p")
        return self.participle + "s" * (number == "p" and not self.participle.endswith("s"))


@cache
def verb(lemma: str) -> Verb:
    """Conjugate a verb, without its reflexive pronoun.

    >>> verb("manger").present[3], verb("appeler").present[0], verb("espérer").present[2], verb("devenir").future[5]
    ('mangeons', 'appelle', 'espère', 'deviendront')
    """
    ending = max((e for e in FAMILIES if lemma.endswith(e)), key=len, default="")
    if lemma.endswith("er") and lemma != "aller":
        return _first_group(lemma)
    one, he, we, they, future, participle = (lemma[: -len(ending)] + form for form in FAMILIES[ending].split())
    present = [one, one, he, we, we[:-3] + "ez" if we.endswith("ons") else we, they]
    if one.endswith("vre") or one.endswith("fre") or one.endswith("cueille"):
        present[1] = one + "s"
    for person, form in PRESENT.get(lemma, {}).items():
        present[person] = form
    subjunctive = SUBJUNCTIVE[ending].split() if ending in SUBJUNCTIVE else None
    past = "ét" if ending == "être" else we[:-3]
    return _verb(lemma, present, past, future, participle, subjunctive)


def _first_group(lemma: str) -> Verb:
    stem = lemma[:-2]
    we = stem + "e" if stem.endswith("g") else stem[:-1] + "ç" if stem.endswith("c") else stem
    strong, future = stem, lemma
    if lemma.endswith(DOUBLING):
        strong = stem + stem[-1]
        future = strong + "er"
    elif len(stem) > 2 and stem[-2] == "e" and stem[-1] in "ctvlmnps":
        strong = stem[:-2] + "è" + stem[-1]
        future = strong + "er"
    elif stem.endswith(("oy", "uy")):
        strong = stem[:-1] + "i"
        future = "enverr" if lemma == "envoyer" else "renverr" if lemma == "renvoyer" else strong + "er"
    else:
        tail = stem.rstrip("bcdfghjklmnpqrstvwxzu")
        if tail.endswith("é") and tail != stem:
            strong = tail[:-1] + "è" + stem[len(tail) :]
    present = [strong + "e", strong + "es", strong + "e", we + "ons", stem + "ez", strong + "ent"]
    return _verb(lemma, present, we, future, stem + "é", None, stem)


def _verb(
    lemma: str,
    present: list[str],
    past: str,
    future: str,
    participle: str,
    subjunctive: list[str] | None,
    soft: str | None = None,
) -> Verb:
    soft = past if soft is None else soft  # before an i, `mangeons` loses its e and `commençons` its cedilla
    strong = present[5].removesuffix("ent")
    imperfect = tuple((soft if e.startswith("i") else past) + e for e in IMPERFECT_ENDINGS)
    made = tuple((soft if e.startswith("i") else strong) + e for e in SUBJUNCTIVE_ENDINGS)
    gerund = {"être": "étant", "avoir": "ayant", "savoir": "sachant"}.get(lemma, past + "ant")
    return Verb(
        lemma,
        tuple(present),
        imperfect,
        tuple(future + e for e in FUTURE_ENDINGS),
        tuple(future + e for e in IMPERFECT_ENDINGS),
        tuple(subjunctive) if subjunctive else made,
        participle,
        gerund,
    )
