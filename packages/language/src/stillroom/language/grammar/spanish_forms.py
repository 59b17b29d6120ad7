"""The forms of Spanish words: conjugated verbs, plurals, adjectives in gender and number.

It knows words one by one; how they stand in a sentence is in `spanish.py`. Persons are numbered yo, tú, él, nosotros,
ellos (0-4); *vosotros* is left out, for half of the Spanish-speaking world does not use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

Fields = tuple[str, ...]

_PLAIN = str.maketrans("áéíóú", "aeiou")

_ENDINGS = {
    "pres": {"a": "o as a amos an", "e": "o es e emos en", "i": "o es e imos en"},
    "pret": {"a": "é aste ó amos aron", "e": "í iste ió imos ieron", "i": "í iste ió imos ieron"},
    "strong": dict.fromkeys("aei", "e iste o imos ieron"),
    "impf": {"a": "aba abas aba ábamos aban", "e": "ía ías ía íamos ían", "i": "ía ías ía íamos ían"},
    "fut": dict.fromkeys("aei", "é ás á emos án"),
    "cond": dict.fromkeys("aei", "ía ías ía íamos ían"),
    "subj": {"a": "e es e emos en", "e": "a as a amos an", "i": "a as a amos an"},
}

_IRREGULAR = {
    "ser": {
        "pres": "soy eres es somos son", "pret": "fui fuiste fue fuimos fueron", "impf": "era eras era éramos eran",
        "subj": "sea seas sea seamos sean", "tu": "sé",
    },
    "ir": {
        "pres": "voy vas va vamos van", "pret": "fui fuiste fue fuimos fueron", "impf": "iba ibas iba íbamos iban",
        "subj": "vaya vayas vaya vayamos vayan", "ger": "yendo", "tu": "ve",
    },
    "estar": {
        "pres": "estoy estás está estamos están", "pret": "estuve estuviste estuvo estuvimos estuvieron",
        "subj": "esté estés esté estemos estén",
    },
    "haber": {
        "pres": "he has ha hemos han", "pret": "hube hubiste hubo hubimos hubieron",
        "subj": "haya hayas haya hayamos hayan", "fut": "habré habrás habrá habremos habrán",
        "cond": "habría habrías habría habríamos habrían",
    },
    "dar": {
        "pres": "doy das da damos dan", "pret": "di diste dio dimos dieron", "subj": "dé des dé demos den",
    },
    "ver": {
        "pres": "veo ves ve vemos ven", "pret": "vi viste vio vimos vieron", "impf": "veía veías veía veíamos veían",
        "subj": "vea veas vea veamos vean", "part": "visto",
    },
    "saber": {
        "pres": "sé sabes sabe sabemos saben", "subj": "sepa sepas sepa sepamos sepan",
    },
    "oír": {"pres": "oigo oyes oye oímos oyen", "subj": "oiga oigas oiga oigamos oigan"},
    "reír": {
        "pres": "río ríes ríe reímos ríen", "pret": "reí reíste rio reímos rieron",
        "subj": "ría rías ría riamos rían", "ger": "riendo", "part": "reído",
    },
    "sonreír": {
        "pres": "sonrío sonríes sonríe sonreímos sonríen", "pret": "sonreí sonreíste sonrió sonreímos sonrieron",
        "subj": "sonría sonrías sonría sonriamos sonrían", "ger": "sonriendo", "part": "sonreído",
    },
    "freír": {
        "pres": "frío fríes fríe freímos fríen", "pret": "freí freíste frio freímos frieron",
        "subj": "fría frías fría friamos frían", "ger": "friendo", "part": "frito",
    },
}  # fmt: skip
"""Tenses that no rule gives."""

FIXED: Mapping[str, Fields] = {
    "decir": ("i", "yo=digo", "pret=dij", "fut=dir", "part=dicho", "tu=di"),
    "hacer": ("yo=hago", "pret=hic", "fut=har", "part=hecho", "tu=haz"),
    "poder": ("ue", "pret=pud", "fut=podr", "ger=pudiendo"),
    "poner": ("yo=pongo", "pret=pus", "fut=pondr", "part=puesto", "tu=pon"),
    "querer": ("ie", "pret=quis", "fut=querr"),
    "tener": ("ie", "yo=tengo", "pret=tuv", "fut=tendr", "tu=ten"),
    "venir": ("ie", "yo=vengo", "pret=vin", "fut=vendr", "tu=ven"),
    "saber": ("pret=sup", "fut=sabr"),
    "salir": ("yo=salgo", "fut=saldr", "tu=sal"),
    "seguir": ("i",),
    "volver": ("ue", "part=vuelto"),
    "pensar": ("ie",),
    "empezar": ("ie",),
    "soñar": ("ue",),
    "doler": ("ue",),
    "costar": ("ue",),
    "jugar": ("ue",),
    "confiar": ("acc",),
    "preferir": ("ie",),
    "acordarse": ("ue",),
    "sentarse": ("ie",),
    "sentirse": ("ie",),
    "ponerse": ("yo=pongo", "pret=pus", "fut=pondr", "part=puesto", "tu=pon"),
}
"""The fields of verbs that patterns name themselves; lemmas of the lexicon bring theirs along."""


def _changed(stem: str, change: str) -> str:
    """Change the last stem vowel: e to ie or i, o (or u) to ue; `acc` puts an accent on a final i or u."""
    if change == "acc":
        return stem[:-1] + {"i": "í", "u": "ú"}[stem[-1]]
    if change not in ("ie", "ue", "i", "u"):
        return stem
    vowel = "e" if change in ("ie", "i") else "o" if "o" in stem else "u"
    place = stem.rindex(vowel)
    return stem[:place] + change + stem[place + 1 :]


def _softened(stem: str, theme: str) -> str:
    """Spell a stem before the other sort of vowel: toc-ar gives toqu-e, recog-er gives recoj-o."""
    if theme == "a":
        for old, new in (("c", "qu"), ("g", "gu"), ("z", "c")):
            if stem.endswith(old):
                return stem[:-1] + new
        return stem
    if stem.endswith("gu"):
        return stem[:-1]
    if stem.endswith("g"):
        return stem[:-1] + "j"
    if stem.endswith("c"):
        return stem[:-1] + ("zc" if stem[-2] in "aeiou" else "z")
    return stem


@cache
def conjugation(lemma: str, fields: Fields = ()) -> dict[str, tuple[str, ...]]:
    """Return a verb's forms by tense: five persons, or one of `inf`, `ger`, `part` and `tu` (the familiar imperative).

    Parameters
    ----------
    lemma
        The infinitive, with or without *-se* (the forms come without the pronoun).
    fields
        `ie`, `ue`, `i`, `acc` or `y`, how the stem changes; `yo=`, `pret=` (a strong stem), `fut=`, `part=`, `ger=`,
        `tu=`, what no rule gives.
    """
    inf = lemma.removesuffix("se")
    fields = fields or FIXED.get(lemma, ())
    given = dict(field.split("=") for field in fields if "=" in field)
    change = next((field for field in fields if "=" not in field), "")
    stem, theme = inf[:-2], inf[-2].translate(_PLAIN)
    vocalic = theme != "a" and stem[-1:] in tuple("aeo")  # leer, caer, oír: leyó, leído
    weak = _changed(stem, {"ie": "i", "ue": "u", "i": "i"}.get(change, "")) if theme == "i" else stem
    strong = _changed(stem, change)

    forms: dict[str, list[str]] = {t: [stem + e for e in ends[theme].split()] for t, ends in _ENDINGS.items()}
    endings = _ENDINGS["pres"][theme].split()
    forms["pres"] = [(stem if p == 3 else strong + "y" * (change == "y")) + e for p, e in enumerate(endings)]
    soft = strong + "y" if change == "y" else strong if theme == "a" else _softened(strong, theme)
    forms["pres"][0] = given.get("yo", soft + "o")
    if vocalic and inf.endswith("ír"):
        forms["pres"][3] = stem + "ímos"

    base = forms["pres"][0][:-1] if theme != "a" else _softened(strong, theme)
    ours = base
    if change in ("ie", "ue", "acc") and "yo" not in given:
        ours = _softened(weak, theme)
    forms["subj"] = [(ours if p == 3 else base) + e for p, e in enumerate(_ENDINGS["subj"][theme].split())]

    if "pret" in given:
        past = [given["pret"] + e for e in _ENDINGS["strong"][theme].split()]
        if given["pret"].endswith("j"):
            past[4] = given["pret"] + "eron"
        if given["pret"] == "hic":
            past[2] = "hizo"
    else:
        past = [(weak if p in (2, 4) else stem) + e for p, e in enumerate(_ENDINGS["pret"][theme].split())]
        if theme == "a":
            past[0] = _softened(stem, "a") + "é"
        if vocalic:
            past = [stem + e for e in ("í", "íste", "yó", "ímos", "yeron")]
        elif change == "y":
            past[2], past[4] = stem + "yó", stem + "yeron"
    forms["pret"] = past

    future = given.get("fut", inf.translate(_PLAIN))
    forms["fut"], forms["cond"] = ([future + e for e in _ENDINGS[t][theme].split()] for t in ("fut", "cond"))
    rising = "yendo" if vocalic or change == "y" else "iendo"
    forms["ger"] = [given.get("ger", stem + "ando" if theme == "a" else weak + rising)]
    forms["part"] = [given.get("part", stem + ("ado" if theme == "a" else "ído" if vocalic else "ido"))]
    forms["inf"] = [inf]
    irregular = {tense: text.split() for tense, text in _IRREGULAR.get(inf, {}).items()}
    forms |= irregular
    forms["tu"] = irregular.get("tu") or [given.get("tu", forms["pres"][2])]
    root = forms["pret"][4].removesuffix("ron")
    forms["imps"] = [root + e for e in ("ra", "ras", "ra", "ramos", "ran")]
    forms["imps"][3] = root[:-1] + {"a": "á", "e": "é"}[root[-1]] + "ramos"
    del forms["strong"]
    return {tense: tuple(persons) for tense, persons in forms.items()}


_MOVING = {"joven": "jóvenes", "examen": "exámenes", "origen": "orígenes", "imagen": "imágenes", "orden": "órdenes"}


@cache
def plural(word: str) -> str:
    """Return the plural of a noun or adjective.

    >>> [plural(word) for word in ("mesa", "luz", "canción", "tren", "inglés", "sofá", "joven")]
    ['mesas', 'luces', 'canciones', 'trenes', 'ingleses', 'sofás', 'jóvenes']
    """
    if word in _MOVING:
        return _MOVING[word]
    if word[-1] in "aeiouáéó":
        return word + "s"
    if word[-1] == "z":
        return word[:-1] + "ces"
    if word[-2] in "áéíóú" and word[-1] in "ns":
        return word[:-2] + word[-2].translate(_PLAIN) + word[-1] + "es"
    return word + "es"


@cache
def adjective(lemma: str, fields: Fields = ()) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return ((masculine singular, plural), (feminine singular, plural)); a field is a feminine of no rule."""
    feminine = fields[0] if fields else lemma[:-1] + "a" if lemma.endswith("o") else lemma
    return (lemma, plural(lemma)), (feminine, plural(feminine))


@cache
def gender(lemma: str, fields: Fields) -> tuple[int, bool]:
    """Return a noun's gender (0 masculine, 1 feminine), and whether its ending tells it (not with a field `m`, `f`)."""
    if fields and fields[0] in ("m", "f"):
        return int(fields[0] == "f"), False
    if lemma.endswith(("a", "ión", "dad", "tad")):
        return 1, True
    if lemma.endswith(("o", "or", "aje")):
        return 0, True
    raise ValueError(f"the gender of {lemma} does not show: give it a field m or f")
