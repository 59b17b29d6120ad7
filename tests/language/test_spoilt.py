"""Answers spoilt anew: new inputs, the old answers, and only such mistakes as the labels show."""

from __future__ import annotations

from random import Random

from stillroom.language.grammar.disguise import ENDING
from stillroom.language.grammar.generate import distinct
from stillroom.language.rows import Row
from stillroom.language.split import normalised
from stillroom.language.spoilt import disguised, learned, spoilt
from stillroom.language.words import words

ROWS = [Row(one.source, one.target, group=one.language) for one in distinct(400, ["de", "en"])]


def test_new_rows_have_inputs_that_were_not_there_and_half_of_them_answers_that_were():
    made = spoilt(ROWS, 3)
    assert 800 < len(made) <= 1200
    known = {(row.answer, row.group) for row in ROWS}
    assert 0.4 < sum((row.answer, row.group) in known for row in made) / len(made) < 0.75
    inputs = [normalised(row.input) for row in (*ROWS, *made)]
    assert len(set(inputs)) == len({normalised(row.input) for row in ROWS}) + len(made)


def test_most_of_them_differ_from_their_answer():
    made = spoilt(ROWS, 3)
    assert sum(row.input != row.answer for row in made) / len(made) > 0.8


def test_what_is_held_out_does_not_come_out():
    first = spoilt(ROWS, 2)
    without = {normalised(row.input) for row in first[:100]}
    assert without.isdisjoint(normalised(row.input) for row in spoilt(ROWS, 2, without=without))


def test_the_same_seed_makes_the_same_rows_and_another_seed_others():
    assert spoilt(ROWS, 1, seed=1) == spoilt(ROWS, 1, seed=1)
    assert spoilt(ROWS, 1, seed=1) != spoilt(ROWS, 1, seed=2)


def test_in_the_other_half_rare_words_begin_otherwise_in_both():
    rare = ["carrot", "mountain", "Berg", "answer"]
    source, answer = disguised(
        "She see the carrots and a carrot.", "She sees the carrots and a carrot.", rare, Random(1)
    )
    new = answer.removeprefix("She sees the carrots and a ").removesuffix(".")
    assert source == f"She see the carrots and a {new}."
    assert new != "carrot"
    assert (new[0], new[-ENDING:]) == ("c", "rot")


def test_a_word_that_was_corrected_is_not_disguised():
    for seed in range(20):
        both = ("He eat the carot.", "He eats the carrot.")
        assert disguised(*both, ["carrot", "carot", "eats"], Random(seed)) == both


def test_frequent_words_are_not_disguised():
    made = spoilt(ROWS, 3)
    kept = {"the", "der", "die", "is", "ist"}
    before = sum(word in kept for row in ROWS for word in words(row.answer))
    after = sum(word in kept for row in made for word in words(row.answer))
    assert after / len(made) > 0.9 * before / len(ROWS)


def test_rows_without_an_answer_make_none():
    assert spoilt([Row("a text"), Row("another", "")], 5) == []


def test_what_stood_in_a_words_place_is_learned_and_that_it_was_left_out():
    rows = [
        Row("She go home.", "She goes home."),
        Row("We wait bus.", "We wait for bus."),
        Row("He wait on the bus.", "He waits for the bus."),
    ]
    confused = learned(rows).confused
    assert confused["goes"] == ("go",)
    assert confused["for"] == ("", "on")


def test_capitals_are_forgotten_where_they_were_forgotten_several_times():
    lost = [Row(f"Ich sehe den hund {n}.", f"Ich sehe den Hund {n}.") for n in range(3)]
    assert learned(lost).nouns
    assert not learned(lost[:2]).nouns
    assert not learned([Row("he sings.", "He sings.")] * 5).nouns  # the first word of a sentence is no noun
    assert "Ich sehe den hund 7." in {learned(lost).spoil("Ich sehe den Hund 7.", Random(n)) for n in range(200)}
