from __future__ import annotations

import doctest
from collections import Counter
from itertools import islice, pairwise
from random import Random
from time import process_time

import pytest

from stillroom.language.grammar import english, english_forms
from stillroom.language.grammar.english import FILLERS, LANGUAGE, forms
from stillroom.language.grammar.english_forms import article, compared, plural, verb
from stillroom.language.grammar.generate import pairs, realised
from stillroom.language.grammar.lexicon import Entry, Language
from stillroom.language.grammar.mistakes import SHORTEST, spoil
from stillroom.language.grammar.words import KINDS, sentence

PARTS = {"train": 8000, "choose": 4000, "test": 8000}


@pytest.fixture(scope="module")
def made():
    return {part: list(islice(pairs(["en"], part, seed=11), number)) for part, number in PARTS.items()}


@pytest.fixture(scope="module")
def everything(made):
    return [pair for part in made.values() for pair in part]


def misspellings(word: str) -> set[str]:
    """Every misspelling that `misspelt` could give, by its definition."""
    places = range(1, len(word) - 1)
    swapped = {word[:i] + word[i + 1] + word[i] + word[i + 2 :] for i in places}
    dropped = {word[:i] + word[i + 1 :] for i in places}
    doubled = {word[: i + 1] + word[i:] for i in places}
    return (swapped | dropped | doubled) - {word}


def test_no_wrong_sentence_is_a_right_one(everything):
    targets = {pair.target for pair in everything}
    assert not [pair for pair in everything if pair.kinds and pair.source in targets]


def test_no_wrong_sentence_has_two_corrections(everything):
    corrections: dict[str, str] = {}
    for pair in everything:
        assert corrections.setdefault(pair.source, pair.target) == pair.target


def test_even_with_two_lemmas_a_class_no_wrong_sentence_is_right_or_has_two_corrections():
    few = {cls: entries[:2] for cls, entries in LANGUAGE.lexicon.items()}
    dense = Language("en", few, LANGUAGE.patterns, {}, LANGUAGE.realise, forms)
    corrections: dict[str, str] = {}
    targets = set()
    # a lemma may be in any part, for what is asked here is about sentences, not about what a model has seen
    object.__setattr__(dense, "part", lambda part: (few, LANGUAGE.patterns))
    for number, pattern in enumerate(LANGUAGE.patterns):
        random = Random(number)
        for _ in range(200):
            words, _ = realised(dense, "train", pattern, random)
            target = sentence([word.text for word in words])
            source, kinds = spoil(words, random)
            targets.add(target)
            if kinds:
                assert corrections.setdefault(source, target) == target
    assert not targets & set(corrections)


def test_a_sentence_differs_from_its_correction_where_it_has_mistakes(everything):
    assert all((pair.source == pair.target) == (not pair.kinds) for pair in everything)


@pytest.mark.parametrize("part", PARTS)
def test_few_sentences_are_right_as_they_are(made, part):
    assert sum(pair.source == pair.target for pair in made[part]) <= 0.2 * len(made[part])


def test_every_kind_of_mistake_is_common(everything):
    kinds = Counter(kind for pair in everything for kind in pair.kinds)
    assert set(kinds) == set(KINDS)
    assert min(kinds.values()) >= 0.07 * kinds.total(), kinds


def test_parts_share_neither_lemmas_nor_patterns(made):
    for what in ("lemmas", "pattern"):
        found = {}
        for part, some in made.items():
            found[part] = {x for pair in some for x in (pair.lemmas if what == "lemmas" else (pair.pattern,))}
        assert not found["train"] & found["test"]
        assert not found["train"] & found["choose"]
        assert not found["choose"] & found["test"]


def test_there_are_many_lemmas_and_patterns():
    assert len(set(LANGUAGE.lemmas)) >= 900
    assert len(set(map(repr, LANGUAGE.patterns))) >= 140


def test_no_lemma_is_in_two_classes():
    lemmas = [entry.lemma for entries in LANGUAGE.lexicon.values() for entry in entries]
    assert len(lemmas) == len(set(lemmas))


@pytest.mark.parametrize("part", PARTS)
def test_every_class_has_entries_in_each_part(part):
    assert min(len(entries) for entries in LANGUAGE.part(part)[0].values()) >= 2


def test_every_pattern_allows_three_kinds_and_reads_as_a_sentence():
    for number, pattern in enumerate(LANGUAGE.patterns):
        part = next(part for part in PARTS if pattern in LANGUAGE.part(part)[1])
        random, kinds = Random(number), set()
        for _ in range(300):
            words, _ = realised(LANGUAGE, part, pattern, random)
            right = sentence([word.text for word in words])
            kinds.update(spoil(words, random)[1])
            assert "  " not in right
            assert right == right.strip()
            assert right[0].isupper()
            assert right[-1] in ".?!"
            assert 5 <= len(right.split()) <= 15
        assert len(kinds) >= 3, pattern


def test_a_and_an_follow_the_sound(everything):
    for pair in everything:
        words = pair.target.rstrip(".?!").lower().split()
        for one, two in pairwise(words):
            if one in ("a", "an"):
                assert one == article(two)


def test_numbers_of_subject_and_verb_agree_in_the_right_sentences(everything):
    wrong = ("he are ", "she are ", "they is ", "i is ", "he have ", "you is ", "we was ", "they was ", "he do ")
    assert not [pair for pair in everything if pair.target.lower().startswith(wrong)]


def test_of_a_noun_its_determiner_and_its_verb_at_most_one_is_wrong(everything):
    for first, second in (("these", "is"), ("those", "is"), ("this", "are"), ("that", "are")):
        for pair in everything:
            words = pair.source.lower().split()
            if words[:1] == [first] and words[2:3] == [second]:
                noun = words[1]
                assert pair.target.lower().split()[1] == noun


@pytest.mark.parametrize("cls", FILLERS)
def test_no_misspelling_of_a_filler_could_be_another_filler(cls):
    words = {word.text for words in FILLERS[cls] for word in words if word.spellable and len(word.text) >= SHORTEST}
    seen = {word: word for word in words}
    for word in sorted(words):
        for wrong in misspellings(word):
            assert seen.setdefault(wrong, word) == word


def test_words_whose_misspellings_could_stand_there_are_never_misspelt():
    for pattern in LANGUAGE.patterns:
        part = next(part for part in PARTS if pattern in LANGUAGE.part(part)[1])
        random = Random(5)
        for _ in range(20):
            spellable = {word.text for word in realised(LANGUAGE, part, pattern, random)[0] if word.spellable}
            unsafe = {"live", "lives", "lived", "stay", "stayed", "these", "those", "three", "four", "seven", "friend"}
            assert not spellable & unsafe


def test_pair_number_k_is_the_same_whoever_asks():
    assert list(islice(pairs(["en"], "test", 4), 20)) == list(islice(pairs(["en"], "test", 4), 20))


@pytest.mark.parametrize(
    ("lemma", "fields", "expected"),
    [
        ("be", (), "be is was been being"),
        ("go", (), "go goes went gone going"),
        ("have", (), "have has had had having"),
        ("do", (), "do does did done doing"),
        ("try", (), "try tries tried tried trying"),
        ("play", (), "play plays played played playing"),
        ("use", (), "use uses used used using"),
        ("flee", ("fled", "fled"), "flee flees fled fled fleeing"),
        ("hug", ("2",), "hug hugs hugged hugged hugging"),
        ("swim", ("swam", "swum", "2"), "swim swims swam swum swimming"),
        ("watch", (), "watch watches watched watched watching"),
        ("travel", (), "travel travels travelled travelled travelling"),
        ("fix", (), "fix fixes fixed fixed fixing"),
        ("ski", (), "ski skis skied skied skiing"),
        ("make", (), "make makes made made making"),
    ],
)
def test_verbs_are_conjugated(lemma, fields, expected):
    assert " ".join(verb(lemma, fields)) == expected


def test_words_inflect_as_english_does():
    assert [plural(noun) for noun in ("church", "library", "boss", "guy", "fox")] == [
        "churches",
        "libraries",
        "bosses",
        "guys",
        "foxes",
    ]
    assert compared("sad", ("er", "2")) == ("sadder", "saddest")
    assert compared("rude", ("er",)) == ("ruder", "rudest")
    assert [article(word) for word in ("useful", "unusual", "usher", "hour", "university")] == [
        "a",
        "an",
        "an",
        "an",
        "a",
    ]


def test_forms_lists_every_inflected_form():
    assert forms(Entry("animal", "wolf", ("wolves",))) == ("wolf", "wolves")
    assert forms(Entry("v_skill", "fly", ("flew", "flown"))) == ("fly", "flies", "flew", "flown", "flying")
    assert forms(Entry("a_thing", "old", ("er",))) == ("old", "older", "oldest")
    assert forms(Entry("manner", "calmly", ("calm",))) == ("calmly", "calm")
    assert forms(Entry("city", "Rome")) == ("Rome",)


def test_the_examples_in_the_docstrings_hold():
    assert not doctest.testmod(english_forms).failed
    assert not doctest.testmod(english).failed


def test_a_thousand_pairs_take_a_fifth_of_a_second_of_one_core_at_most():
    made = pairs(["en"], "train", 1)
    next(made)
    start = process_time()
    list(islice(made, 1000))
    assert process_time() - start < 0.2
