"""German words that no lexicon divides: common verbs, what prepositions they want, phrases of time, place and weather.

Every part of the data has all of them, since nobody could guess that one waits *auf* somebody. It knows no sentences.
"""

from __future__ import annotations

from stillroom.language.grammar.german_forms import Verb, verb
from stillroom.language.grammar.pattern import parse
from stillroom.language.grammar.words import Word

_COMMON = {
    "gehen": "geht|ging|gegangen|s",
    "kommen": "kommt|kam|gekommen|s",
    "fahren": "fährt|fuhr|gefahren|s",
    "bleiben": "bleibt|blieb|geblieben|s",
    "wohnen": "",
    "arbeiten": "",
    "brauchen": "",
    "kosten": "",
    "gehören": "gehört|gehörte|gehört",
    "hören": "",
    "schenken": "",
    "kennen": "kennt|kannte|gekannt",
    "sehen": "sieht|sah|gesehen",
    "geben": "gibt|gab|gegeben",
    "finden": "findet|fand|gefunden",
    "liegen": "liegt|lag|gelegen",
    "stehen": "steht|stand|gestanden",
    "fragen": "",
    "leben": "",
    "schmecken": "",
    "gefallen": "gefällt|gefiel|gefallen",
    "sitzen": "sitzt|saß|gesessen",
    "essen": "isst|aß|gegessen",
    "spielen": "",
    "lernen": "",
    "warten": "",
    "denken": "denkt|dachte|gedacht",
    "träumen": "",
    "suchen": "",
    "achten": "",
    "lachen": "",
    "telefonieren": "",
    "verzichten": "",
    "reagieren": "",
    "antworten": "",
    "freuen": "",
    "interessieren": "",
    "kümmern": "",
    "erinnern": "",
    "ärgern": "",
    "fürchten": "",
    "beschäftigen": "",
    "gewöhnen": "gewöhnt|gewöhnte|gewöhnt",
    "konzentrieren": "",
    "wundern": "",
    "beschweren": "",
}


def _verb(infinitive: str, present: str, past: str, participle: str, auxiliary: str = "haben") -> Verb:
    return Verb("", infinitive, tuple(present.split()), tuple(past.split()), participle, auxiliary, True, True)


VERBS: dict[str, Verb] = {lemma: verb(lemma, tuple(filter(None, forms.split("|")))) for lemma, forms in _COMMON.items()}
VERBS |= {
    "sein": _verb("sein", "bin bist ist sind seid sind", "war warst war waren wart waren", "gewesen", "sein"),
    "haben": _verb("haben", "habe hast hat haben habt haben", "hatte hattest hatte hatten hattet hatten", "gehabt"),
    "werden": _verb(
        "werden",
        "werde wirst wird werden werdet werden",
        "wurde wurdest wurde wurden wurdet wurden",
        "geworden",
        "sein",
    ),
    "wissen": _verb(
        "wissen", "weiß weißt weiß wissen wisst wissen", "wusste wusstest wusste wussten wusstet wussten", ""
    ),
    # the unreal condition, whose mistake is the indicative
    "hätte": _verb("haben", "hätte hättest hätte hätten hättet hätten", "habe hast hat haben habt haben", "gehabt"),
    "würde": _verb("werden", "würde würdest würde würden würdet würden", "werde wirst wird werden werdet werden", ""),
    "können": _verb(
        "können", "kann kannst kann können könnt können", "konnte konntest konnte konnten konntet konnten", ""
    ),
    "müssen": _verb(
        "müssen", "muss musst muss müssen müsst müssen", "musste musstest musste mussten musstet mussten", ""
    ),
    "wollen": _verb(
        "wollen", "will willst will wollen wollt wollen", "wollte wolltest wollte wollten wolltet wollten", ""
    ),
    "dürfen": _verb(
        "dürfen", "darf darfst darf dürfen dürft dürfen", "durfte durftest durfte durften durftet durften", ""
    ),
}
"""The verbs that patterns name themselves; of these, readers are expected to know every form."""

MODALS = ("können", "müssen", "wollen", "dürfen")

GOVERNED: dict[str, dict[str, tuple[str, str, str]]] = {
    "prepverb": {
        "warten": ("auf", "acc", "an um -"),
        "denken": ("an", "acc", "auf um -"),
        "träumen": ("von", "dat", "an aus"),
        "suchen": ("nach", "dat", "auf zu"),
        "fragen": ("nach", "dat", "an in"),
        "achten": ("auf", "acc", "an um"),
        "lachen": ("über", "acc", "an um"),
        "telefonieren": ("mit", "dat", "zu an -"),
        "reagieren": ("auf", "acc", "an um -"),
        "verzichten": ("auf", "acc", "an um -"),
    },
    "prepreflex": {
        "freuen": ("über", "acc", "um -"),
        "interessieren": ("für", "acc", "an auf -"),
        "kümmern": ("um", "acc", "auf an -"),
        "erinnern": ("an", "acc", "auf um -"),
        "ärgern": ("über", "acc", "an um"),
        "fürchten": ("vor", "dat", "an aus"),
        "beschäftigen": ("mit", "dat", "an zu -"),
        "gewöhnen": ("an", "acc", "auf um -"),
        "konzentrieren": ("auf", "acc", "an um -"),
        "wundern": ("über", "acc", "an um -"),
        "beschweren": ("über", "acc", "an um -"),
    },
    "prepadj": {
        "stolz": ("auf", "acc", "an um"),
        "neidisch": ("auf", "acc", "an um"),
        "wütend": ("auf", "acc", "an um"),
        "zufrieden": ("mit", "dat", "an zu"),
        "glücklich": ("mit", "dat", "an zu"),
        "begeistert": ("von", "dat", "an zu"),
        "überzeugt": ("von", "dat", "an zu"),
        "enttäuscht": ("von", "dat", "an zu"),
        "abhängig": ("von", "dat", "an zu"),
    },
}
"""By class, verbs and adjectives with their preposition, its case, and prepositions that are wrong with them."""

_DAYS = (
    "Montag",
    "Dienstag",
    "Mittwoch",
    "Donnerstag",
    "Freitag",
    "Samstag",
    "Abend",
    "Morgen",
    "Nachmittag",
    "Vormittag",
)
_HOURS = ("drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf")
_SEASONS = [
    f"[im|preposition:am,um|article:in] {time}" for time in ("Sommer", "Winter", "Herbst", "Januar", "Mai", "August")
]

_HABIT = [f"[am|preposition:im,um|article:an] {day}" for day in _DAYS]
_HABIT += ["[am|preposition:im|article:an] Wochenende", *_SEASONS]
_HABIT += [f"[um|preposition:am,auf] {hour} Uhr" for hour in _HOURS]
_HABIT += ["[in|preposition:an,um] [der|article:das,dem,-] Nacht", "[jeden|agreement:jeder,jede] Abend"]
_HABIT += ["[jede|agreement:jeder,jeden] Woche", "[jedes|agreement:jeder,jeden] Jahr", "[jeden|agreement:jede] Tag"]

CLOSED = {
    "ontime": _HABIT,
    "pasttime": [
        *(
            "gestern",
            "vorgestern",
            "damals",
            "gestern Abend",
            "gestern Morgen",
            "vorgestern Abend",
            "gestern Nachmittag",
        ),
        "[letzte|agreement:letzten,letzter] Woche",
        "[letzten|agreement:letzter,letzte] Monat",
        "[letzten|agreement:letzter,letzte] Sommer",
        "[letztes|agreement:letzten,letzter] Jahr",
        "vor zwei [Tagen|agreement:Tage]",
        "vor drei [Jahren|agreement:Jahre]",
        "vor vier [Monaten|agreement:Monate]",
        "vor [einem|article:einen,ein] Jahr",
        "vor [einer|article:eine,einem] Woche",
    ],
    "pastday": [
        *("gestern", "vorgestern"),
        *(f"[letzten|agreement:letzter,letzte] {day}" for day in ("Montag", "Freitag", "Samstag", "Sonntag")),
        "vor zwei [Tagen|agreement:Tage]",
        "vor [einer|article:eine,einem] Woche",
    ],
    "pastlong": [
        "damals",
        "[letzten|agreement:letzter,letzte] Sommer",
        "[letztes|agreement:letzten,letzter] Jahr",
        "vor drei [Jahren|agreement:Jahre]",
        "vor vier [Monaten|agreement:Monate]",
        "vor [einem|article:einen,ein] Jahr",
    ],
    "futuretime": [
        *("morgen", "übermorgen", "morgen Abend", "morgen Nachmittag", "morgen Vormittag", "übermorgen Abend"),
        "[nächste|agreement:nächsten,nächster] Woche",
        "[nächsten|agreement:nächster,nächste] Monat",
        "[nächsten|agreement:nächster,nächste] Sommer",
        "[nächstes|agreement:nächsten,nächster] Jahr",
        "[nächsten|agreement:nächster,nächste] Winter",
        "[nächstes|agreement:nächsten,nächste] Wochenende",
        *(f"[nächsten|agreement:nächster,nächste] {day}" for day in ("Montag", "Freitag", "Sonntag")),
    ],
    "transport": [
        *(
            f"[mit|preposition:bei,aus] [dem|article:der,-] {name}"
            for name in ("Zug", "Bus", "Auto", "Fahrrad", "Taxi")
        ),
        *(f"[mit|preposition:bei,aus] [der|article:dem,die,-] {name}" for name in ("Bahn", "Straßenbahn", "Fähre")),
    ],
    "home": ["[nach|preposition:zu,in|article:nach_dem] Hause"],
    "athome": ["[zu|preposition:in,an|article:zum] Hause"],
    "weather": ["kalt", "warm", "heiß", "kühl", "nass", "neblig", "windig", "sonnig"],
    "season": _SEASONS,
    "num": ["zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "zwölf"],
}
PHRASES: dict[str, tuple[tuple[Word, ...], ...]] = {
    cls: tuple(tuple(word for word in parse(text) if isinstance(word, Word)) for text in texts)
    for cls, texts in CLOSED.items()
}
"""Closed classes: one of these phrases is drawn."""
