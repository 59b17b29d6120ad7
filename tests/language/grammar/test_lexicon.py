from __future__ import annotations

import hashlib
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.language.grammar.generate import LANGUAGES, language
from stillroom.language.grammar.lexicon import Entry, Language, Phrase, divided
from stillroom.language.grammar.pattern import Slot, parse
from stillroom.language.grammar.words import KINDS

PARTS = ("train", "choose", "test")
names = st.integers(0, 60).map(lambda count: [f"{count} name {number}" for number in range(count)])


def made_up(lexicon, patterns=("{thing} .",)) -> Language:
    entries = {cls: tuple(Entry(cls, lemma) for lemma in lemmas) for cls, lemmas in lexicon.items()}
    return Language("xx", entries, tuple(map(parse, patterns)), {}, lambda *_: Phrase(()), lambda entry: (entry.lemma,))


@settings(deadline=None)
@given(names)
def test_a_third_is_for_testing_and_a_tenth_for_choosing(some):
    parts = divided(some)
    counts = {part: sum(other == part for other in parts.values()) for part in PARTS}
    assert counts["test"] == -(-len(some) // 3)
    assert counts["choose"] == min(-(-len(some) // 10), len(some) - counts["test"])
    assert sum(counts.values()) == len(some)
    assert set(parts) == set(some)


@settings(deadline=None)
@given(names, st.integers())
def test_the_order_of_names_does_not_matter(some, seed):
    assert divided(Random(seed).sample(some, len(some))) == divided(some)


@settings(deadline=None)
@given(names, st.integers().map("new {}".format))
def test_a_new_name_moves_three_others_at_most(old, new):
    before, after = divided(old), divided([*old, new])
    assert sum(before[name] != after[name] for name in old) <= 3


def test_the_hash_of_a_name_decides():
    some = [f"name {number}" for number in range(100)]
    parts = divided(some)
    ranked = sorted(some, key=lambda name: int(hashlib.sha256(name.encode()).hexdigest(), 16))
    assert [parts[name] for name in ranked] == ["test"] * 34 + ["choose"] * 10 + ["train"] * 56


def test_the_division_is_the_same_for_ever():
    parts = divided(["ant", "bee", "cat", "dog", "eel", "fox", "gnu", "hen", "ibis", "jay"])
    assert {part: sorted(name for name in parts if parts[name] == part) for part in PARTS} == {
        "test": ["ant", "bee", "eel", "fox"],
        "choose": ["cat"],
        "train": ["dog", "gnu", "hen", "ibis", "jay"],
    }


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_entry_and_every_pattern_is_in_exactly_one_part(code):
    speech = language(code)
    parts = [speech.part(part) for part in PARTS]
    for cls, entries in speech.lexicon.items():
        found = [entry for part in parts for entry in part[0][cls]]
        assert len(found) == len(entries)
        assert set(found) == set(entries)
    assert sorted(number for part in parts for number in part[2]) == list(range(len(speech.patterns)))
    for _, patterns, numbers in parts:
        assert patterns == tuple(speech.patterns[number] for number in numbers)
    assert speech.part("all") == (speech.lexicon, speech.patterns, tuple(range(len(speech.patterns))))


@pytest.mark.parametrize("code", LANGUAGES)
def test_each_class_is_divided_by_itself_so_that_no_part_lacks_one(code):
    speech = language(code)
    for cls, entries in speech.lexicon.items():
        # not quite a third where some of its lemmas are those of a class before it
        assert 0.25 < len(speech.part("test")[0][cls]) / len(entries) <= 0.5, cls
        assert all(speech.part(part)[0][cls] for part in PARTS), cls


def test_a_lemma_of_two_classes_is_in_one_part():
    letters = [chr(97 + number) for number in range(20)]
    speech = made_up({"thing": letters, "food": letters[::-1], "drink": letters[5:12]})
    for part in PARTS:
        entries = speech.part(part)[0]
        things = {entry.lemma for entry in entries["thing"]}
        assert {entry.lemma for entry in entries["food"]} == things
        assert {entry.lemma for entry in entries["drink"]} == things & set(letters[5:12])
    assert speech.lemmas == letters


def test_a_pattern_that_is_written_twice_is_in_one_part():
    patterns = [f"we see {{thing}} {number} ." for number in range(9)]
    speech = made_up({"thing": ["a", "b"]}, [*patterns, *patterns])
    numbers = [set(speech.part(part)[2]) for part in PARTS]
    assert all((number in some) == (number + 9 in some) for some in numbers for number in range(9))


@pytest.mark.parametrize("code", LANGUAGES)
def test_entries_are_read_whole(code):
    speech = language(code)
    assert speech.code == code
    for cls, entries in speech.lexicon.items():
        for entry in entries:
            assert entry.cls == cls
            assert all(text and text == text.strip() and "|" not in text for text in (entry.lemma, *entry.fields))


@pytest.mark.parametrize("code", LANGUAGES)
def test_no_lemma_is_in_two_classes_of_different_parts(code):
    speech = language(code)
    parts = {}
    for part in PARTS:
        for entries in speech.part(part)[0].values():
            for entry in entries:
                assert parts.setdefault(entry.lemma, part) == part


@pytest.mark.parametrize("code", LANGUAGES)
def test_confusions_are_groups_of_words_by_kind_of_mistake(code):
    confusions = language(code).confusions
    assert confusions
    assert set(confusions) <= set(KINDS)
    for groups in confusions.values():
        assert all(len(group) > 1 and len(set(group)) == len(group) and all(group) for group in groups)


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_entrys_forms_are_words_and_its_lemma_is_among_them(code):
    speech = language(code)
    for entries in speech.lexicon.values():
        for entry in entries:
            forms = speech.forms(entry)
            assert entry.lemma in forms, entry
            assert len(set(forms)) == len(forms), entry
            assert all(form and form == form.strip() for form in forms), entry


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_slot_without_entries_is_realised_all_the_same(code):
    """Classes that the lexicon lacks are pronouns and the like, which every part has."""
    speech = language(code)
    for pattern in speech.patterns:
        phrases: dict[str, Phrase] = {}
        for slot in pattern:
            if isinstance(slot, Slot):
                entries = speech.lexicon.get(slot.cls)
                phrases[slot.name] = speech.realise(slot, entries[0] if entries else None, phrases, Random(0))
                assert phrases[slot.name].words or not entries
