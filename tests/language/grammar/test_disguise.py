from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.language.grammar.disguise import ENDING, disguised
from stillroom.language.grammar.generate import LANGUAGES, language, pair
from stillroom.language.grammar.words import Word

OTHERS = ["mountain", "carrot", "bottle", "answer", "onion"]
each_language = pytest.mark.parametrize("code", LANGUAGES)


@given(st.integers(0, 2**32))
def test_all_forms_of_a_lemma_get_the_same_new_beginning(seed):
    word = Word("walked", {"tense": ("walks", "walking"), "agreement": ("walk",)})
    [found] = disguised([word], "walk", OTHERS, Random(seed))
    stem = found.text.removesuffix("lked")
    assert 2 <= len(stem) <= 3  # in the place of "wa", and not before the whole word
    assert found.wrong == {"tense": (stem + "lks", stem + "lking"), "agreement": (stem + "lk",)}


@given(st.integers(0, 2**32))
def test_the_first_letter_and_the_ending_stay(seed):
    [found] = disguised([Word("apples", {"agreement": ("apple",)})], "apple", OTHERS, Random(seed))
    assert found.text[0] == "a"
    assert found.text.endswith("les")


@given(st.integers(0, 2**32))
def test_an_article_stays_though_it_begins_like_the_lemma(seed):
    article, noun = disguised([Word("une"), Word("université")], "université", OTHERS, Random(seed))
    assert article.text == "une"
    assert noun.text.endswith("université"[-ENDING:])


@given(st.integers(0, 2**32))
def test_what_is_written_together_with_a_lemma_stays(seed):
    [found] = disguised([Word("s'intéresse", {"spelling": ("se intéresse",)})], "intéresser", OTHERS, Random(seed))
    assert found.text.startswith("s'i")
    assert found.wrong["spelling"] == ("se " + found.text.removeprefix("s'"),)


def test_a_word_left_out_is_still_left_out():
    [found] = disguised([Word("walks", {"agreement": ("", "walk")})], "walk", OTHERS, Random(0))
    assert found.wrong["agreement"][0] == ""


def test_a_lemma_whose_forms_begin_differently_stays_as_it_is():
    word = Word("went", {"tense": ("go", "goes")})
    assert disguised([word], "go", OTHERS, Random(0)) == (word,)
    mixed = Word("fährt", {"agreement": ("fahren",)})
    assert disguised([mixed], "fahren", OTHERS, Random(0)) == (mixed,)


@each_language
def test_of_disguised_sentences_most_have_words_that_the_language_has_not(code):
    speech = language(code)
    known = {
        form for entries in speech.lexicon.values() for entry in entries for form in (*speech.forms(entry), entry.lemma)
    }
    strange = [pair(code, "train", 0, number, disguise=1.0) for number in range(300)]
    plain = [pair(code, "train", 0, number) for number in range(300)]
    words = {word for one in plain for word in one.target.split()} | known
    share = sum(not set(one.target.split()) <= words for one in strange) / 300
    assert share > 0.7


@each_language
def test_so_many_sentences_are_disguised_as_are_wanted_and_none_by_default(code):
    def hidden(share: float) -> float:
        found = [pair(code, "train", 5, number, disguise=share) for number in range(400)]
        return sum(not any(lemma in one.target for lemma in one.lemmas) for one in found if one.lemmas) / 400

    assert hidden(0.0) < 0.25 < hidden(1.0)
    assert hidden(0.0) < hidden(0.5) < hidden(1.0)


@each_language
def test_a_disguised_sentence_has_its_mistakes_alone(code):
    for number in range(300):
        made = pair(code, "train", 0, number, disguise=1.0)
        assert (made.source == made.target) == (not made.kinds)
        assert abs(len(made.source.split()) - len(made.target.split())) <= 2 * len(made.kinds)
