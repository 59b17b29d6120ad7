"""French: how a slot becomes words, and what learners write in their place.

Classes of the lexicon are nouns (`personne`, `objet`, …; `lemma|gender` or `masculine|feminine`), adjectives
(`lemma|feminine|masculine plural`), verbs, adverbs, names, towns and countries. A slot whose class the lexicon lacks is
a verb that its pattern fixes (`{v:penser.S.pres}`) or a filler (`{jour}`).

Features of nouns: the determiner (`le un du ce mon … deux deb nu`), `pl`, `sp` (either number), the preposition
(`à de`, `en dep` for countries), an adjective before the noun (`petit`), and the mistakes that the pattern makes
recoverable: `xà xde xsur xnil` (another preposition), `xart` (no article), `xun` (an article where none belongs).
Of verbs: the subject (`>s`, `S S3 …` to print a pronoun, `il` to print the controller's, `3s.f` for one that stands
there), the tense, `neg`, `refl`, `être`, `cl_n` (a pronoun for slot n), `ag_n` (the participle agrees with slot n),
`pre_que pre_de` (a word before it), `déjà souvent …` (one after the finite verb), `sure` (something else shows the
number), `noagr` (nothing does), `xfut …` (another tense would be wrong), `xaux` (so would the other auxiliary).
Of adjectives: `>n`, `num` (its number may be wrong as well), `quiet` (it is never wrong).
What may be wrong, `french_nouns` and `french_verbs` decide.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from random import Random

from stillroom.language.grammar.french_forms import plural, verb
from stillroom.language.grammar.french_nouns import NOBODY, NUMERALS, adjective, inflected, noun_phrase
from stillroom.language.grammar.french_verbs import SIMPLE, verb_phrase
from stillroom.language.grammar.lexicon import Entry, Phrase, read
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import Word

FILLERS = {
    "nombre": (*NUMERALS[1:], "onze", "douze", "vingt", "trente"),
    "heure": tuple(f"{number} heures" for number in (*NUMERALS, "onze")),
    "jour": ("lundi", "mardi", "mercredi", "jeudi", "vendredi", "samedi", "dimanche"),
    "mois": ("janvier", "mars", "mai", "juin", "juillet", "septembre", "novembre", "décembre"),
}
ADJECTIVES = ("couleur", "style", "caractère", "humeur", "qualité", "origine")
ADVERBS = ("fréquence", "manière")


def realise(slot: Slot, entry: Entry | None, phrases: Mapping[str, Phrase], random: Random) -> Phrase:
    """Return the words of a slot."""
    controller = phrases[slot.controller].features if slot.controller else None
    if slot.cls in FILLERS:
        return Phrase((Word(random.choice(FILLERS[slot.cls]), spellable=True),))
    if entry is None or slot.cls.startswith("v_"):
        return verb_phrase(slot, verb(entry.lemma if entry else slot.cls), controller, phrases, random)
    if slot.cls in ADJECTIVES:
        return adjective(slot, entry, controller or NOBODY)
    if slot.cls in ADVERBS:
        return Phrase((Word(entry.lemma),))
    return noun_phrase(slot, entry, controller, random)


@cache
def forms(entry: Entry) -> tuple[str, ...]:
    """Return all forms of an entry, its lemma first."""
    if entry.cls.startswith("v_"):
        spoken = verb(entry.lemma)
        past = (spoken.agreeing(gender, number) for gender in "mf" for number in "sp")
        every = (entry.lemma, *(f for name in SIMPLE.values() for f in getattr(spoken, name)), *past, spoken.gerund)
    elif entry.cls in ADJECTIVES:
        every = (entry.lemma, *(inflected(entry, gender, number) for gender in "mf" for number in "sp"))
    elif entry.cls in (*ADVERBS, "prénom", "ville", "pays"):
        every = (entry.lemma,)
    elif entry.fields and entry.fields[0] not in ("m", "f"):
        every = (entry.lemma, plural(entry.lemma), entry.fields[0], plural(entry.fields[0]))
    else:
        every = (entry.lemma, entry.fields[1] if len(entry.fields) > 1 else plural(entry.lemma))
    return tuple(dict.fromkeys(every))


LANGUAGE = read("fr", realise, forms)
