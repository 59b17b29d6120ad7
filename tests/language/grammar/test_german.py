from collections import Counter, defaultdict
from functools import cache
from itertools import combinations, islice
from random import Random

import pytest

from stillroom.language.grammar.generate import Pair, pairs, realised
from stillroom.language.grammar.german import LANGUAGE, forms
from stillroom.language.grammar.german_forms import adjective, determiner, noun, phrase, verb
from stillroom.language.grammar.lexicon import Entry
from stillroom.language.grammar.mistakes import sites, spoil
from stillroom.language.grammar.pattern import Slot
from stillroom.language.grammar.words import KINDS, sentence

PARTS = ("train", "choose", "test")
SHARES = {"train": 12000, "choose": 3000, "test": 5000}


@cache
def drawn() -> dict[str, list[Pair]]:
    return {part: list(islice(pairs(["de"], part, seed=7), SHARES[part])) for part in PARTS}


def everything() -> list[Pair]:
    return [pair for part in PARTS for pair in drawn()[part]]


def entry(cls: str, lemma: str) -> Entry:
    return next(entry for entry in LANGUAGE.lexicon[cls] if entry.lemma == lemma)


def test_there_are_enough_lemmas_and_patterns():
    assert len(LANGUAGE.lemmas) >= 560
    assert len({repr(pattern) for pattern in LANGUAGE.patterns}) == len(LANGUAGE.patterns) >= 66


def test_no_lemma_stands_twice():
    lemmas = [entry.lemma for entries in LANGUAGE.lexicon.values() for entry in entries]
    assert [lemma for lemma, times in Counter(lemmas).items() if times > 1] == []


def test_every_class_reaches_every_part():
    for part in PARTS:
        assert all(len(entries) >= 2 for entries in LANGUAGE.part(part)[0].values())


def test_a_sentence_with_mistakes_is_never_a_right_one():
    right = {pair.target for pair in everything()}
    wrong = [pair for pair in everything() if pair.kinds]
    assert [pair for pair in wrong if pair.source in right] == []
    assert all(pair.source != pair.target for pair in wrong)


def test_a_sentence_has_one_correction():
    targets = defaultdict(set)
    for pair in everything():
        targets[pair.source].add(pair.target)
    assert [both for both in targets.values() if len(both) > 1] == []


@pytest.mark.parametrize("part", PARTS)
def test_at_most_one_sentence_in_five_is_right_already(part):
    same = sum(pair.source == pair.target for pair in drawn()[part])
    assert same / len(drawn()[part]) <= 0.20


def test_every_kind_of_mistake_is_common():
    counts = Counter(kind for pair in everything() for kind in pair.kinds)
    assert {kind for kind in KINDS if counts[kind] < 0.07 * counts.total()} == set()


@pytest.mark.parametrize("part", PARTS)
def test_no_kind_of_mistake_is_rare_in_a_part(part):
    counts = Counter(kind for pair in drawn()[part] for kind in pair.kinds)
    assert {kind for kind in KINDS if counts[kind] < 0.05 * counts.total()} == set()


def test_the_parts_share_no_lemma():
    lemmas = [{lemma for pair in drawn()[part] for lemma in pair.lemmas} for part in PARTS]
    assert all(one.isdisjoint(other) for one, other in combinations(lemmas, 2))


@pytest.mark.parametrize("part", PARTS)
def test_every_pattern_has_mistakes_of_three_kinds(part):
    random = Random(3)
    for pattern in LANGUAGE.part(part)[1]:
        kinds: set[str] = set()
        for _ in range(100):
            kinds.update(spoil(realised(LANGUAGE, part, pattern, random)[0], random)[1])
        assert len(kinds) >= 3, pattern


def test_a_single_mistake_never_makes_another_right_sentence():
    """All mistakes of a sentence, not only those drawn, against the right sentences of its pattern."""
    random = Random(11)
    for pattern in LANGUAGE.patterns:
        part = next(part for part in PARTS if pattern in LANGUAGE.part(part)[1])
        made = [realised(LANGUAGE, part, pattern, random)[0] for _ in range(40)]
        right = {sentence([word.text for word in words]) for words in made}
        for words in made:
            texts = [word.text for word in words]
            for site in sites(words, random):
                assert sentence([*texts[: site.start], *site.texts, *texts[site.end :]]) not in right, (texts, site)


def test_right_sentences_look_like_sentences():
    for pair in everything():
        assert "  " not in pair.target
        assert "  " not in pair.source
        assert pair.target[0].isupper()
        assert pair.target[-1] in ".?!"
        assert not any(mark in text[:-1] for mark in ".?!" for text in (pair.source, pair.target))
        assert 4 <= len(pair.target.split()) <= 17


def test_prepositions_are_drawn_together_with_their_article():
    for pair in everything():
        text = f" {pair.target.lower()} "
        for apart in (" zu dem ", " zu der ", " in dem ", " in das ", " von dem ", " an dem "):
            assert apart not in text, pair


def test_nouns_decline():
    assert noun(entry("person", "Lehrer")).plural == ("Lehrer", "Lehrer", "Lehrern", "Lehrer")
    assert noun(entry("person", "Student")).singular == ("Student", "Studenten", "Studenten", "Studenten")
    assert noun(entry("person", "Ärztin")).plural[0] == "Ärztinnen"
    assert noun(entry("person", "Bäcker")).singular[3] == "Bäckers"
    assert noun(entry("family", "Sohn")).singular[3] == "Sohnes"
    assert noun(entry("family", "Chef")).singular[3] == "Chefs"
    assert noun(entry("place", "Museum")).plural[2] == "Museen"
    assert noun(entry("topic", "Lösung")).gender == "f"
    assert noun(entry("animal", "Kaninchen")).gender == "n"


def test_every_noun_has_a_gender_and_lives_up_to_it():
    for cls in ("person", "family", "animal", "thing", "food", "place", "topic"):
        for item in LANGUAGE.lexicon[cls]:
            assert noun(item).gender in ("m", "f", "n"), item
            assert noun(item).singular[3] == item.lemma or noun(item).gender != "f"


def test_verbs_conjugate():
    assert verb("arbeiten", ()).present == ("arbeite", "arbeitest", "arbeitet", "arbeiten", "arbeitet", "arbeiten")
    assert verb("wandern", ("s",)).present[:2] == ("wandere", "wanderst")
    assert verb("sammeln", ()).present[:4] == ("sammle", "sammelst", "sammelt", "sammeln")
    assert verb("putzen", ()).present[1] == "putzt"
    assert verb("zeichnen", ()).past[2] == "zeichnete"
    assert verb("braten", ("brät", "briet", "gebraten")).present[1] == "brätst"
    assert verb("streiten", ("streitet", "stritt", "gestritten")).past[4] == "strittet"
    assert verb("besuchen", ()).participle == "besucht"
    assert verb("reparieren", ()).participle == "repariert"
    assert verb("aufräumen", ("auf",), True).participle == "geräumt"
    assert verb("aufstehen", ("auf", "steht", "stand", "gestanden", "s"), True).auxiliary == "sein"


def test_adjectives_and_determiners_inflect():
    assert adjective(Entry("quality", "dunkel"))[:3] == ("dunkl", "dunkler", "dunkelst")
    assert adjective(Entry("quality", "breit"))[2] == "breitest"
    assert adjective(Entry("quality", "praktisch"))[2] == "praktischst"
    assert adjective(Entry("state", "müde"))[:2] == ("müd", "müder")
    assert determiner("euer", 1, "m") == "euren"
    assert determiner("ein", 0, "n") == "ein"
    assert determiner("jed", 0, "p") is None


def test_a_wrong_ending_is_offered_only_where_one_word_puts_it_right():
    # "die Lehrer kommt" could be "der Lehrer kommt" or "die Lehrer kommen"; "dem Lehrer kommt" is clear
    wrong = dict(phrase("der", 0, entry("person", "Lehrer"), False, False, True)[1])
    assert "die" not in wrong[0]
    assert "dem" in wrong[0]
    assert "pl" not in wrong[3]
    # "mit den Lehrer" lacks either an ending or an m
    assert "den" not in dict(phrase("der", 2, entry("person", "Lehrer"), False, False, False)[1]).get(0, ())
    # whoever does not know the word cannot tell den Wolf from das Wolf
    assert 0 not in dict(phrase("der", 1, Entry("animal", "Wolf", ("m", "Wölfe")), False, False, False)[1])


def test_an_infinitive_that_would_become_a_passive_keeps_its_form():
    # "Sie wird morgen trainiert" is right, with another meaning; "Sie wird morgen tanzt" is not
    words = {
        lemma: LANGUAGE.realise(Slot("v", "intr", ("inf",)), entry("intr", lemma), {}, Random(1)).words[0]
        for lemma in ("trainieren", "tanzen")
    }
    assert not words["trainieren"].wrong
    assert words["tanzen"].wrong == {"agreement": ("tanzt",)}


def test_forms_include_the_lemma():
    for entries in LANGUAGE.lexicon.values():
        for item in entries:
            assert item.lemma in forms(item) or item.cls == "sep"
            assert all(form and " " not in form for form in forms(item))


@pytest.mark.parametrize("kind", ["article", "preposition", "agreement", "tense"])
def test_confusions_are_groups(kind):
    assert all(len(set(group)) == len(group) >= 2 for group in LANGUAGE.confusions[kind])
