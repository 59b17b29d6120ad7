from __future__ import annotations

import os
import subprocess
import sys
from ast import literal_eval
from collections import Counter
from functools import cache
from itertools import combinations, islice
from random import Random

import pytest

from stillroom.core.errors import RecipeError
from stillroom.language.grammar.generate import LANGUAGES, Pair, distinct, language, pair, pairs, realised
from stillroom.language.grammar.words import KINDS, sentence

PARTS = ("train", "choose", "test")
each_language = pytest.mark.parametrize("code", LANGUAGES)
each_part = pytest.mark.parametrize("part", PARTS)


@cache
def drawn(code: str, part: str) -> list[Pair]:
    return [pair(code, part, 0, number) for number in range(2000)]


@each_language
def test_a_language_has_at_least_500_lemmas_and_60_patterns(code):
    speech = language(code)
    assert len(set(speech.lemmas)) >= 500
    assert len(set(map(repr, speech.patterns))) >= 60


@each_language
def test_the_parts_share_neither_lemmas_nor_patterns(code):
    lemmas = [{lemma for pair in drawn(code, part) for lemma in pair.lemmas} for part in PARTS]
    patterns = [{pair.pattern for pair in drawn(code, part)} for part in PARTS]
    for found in (lemmas, patterns):
        assert all(found)
        assert all(one.isdisjoint(other) for one, other in combinations(found, 2))


@each_language
def test_a_third_of_lemmas_and_patterns_is_met_in_the_test_alone(code):
    speech = language(code)
    lemmas = {lemma for pair in drawn(code, "test") for lemma in pair.lemmas}
    patterns = {pair.pattern for pair in drawn(code, "test")}
    assert 0.25 < len(lemmas) / len(set(speech.lemmas)) < 0.4
    assert len(patterns) == -(-len(speech.patterns) // 3)


@each_language
@each_part
def test_the_copy_of_the_source_is_right_at_most_one_time_in_five(code, part):
    found = drawn(code, part)
    assert sum(one.source == one.target for one in found) <= 0.2 * len(found)


@each_language
@each_part
def test_all_kinds_of_mistakes_are_there(code, part):
    assert {kind for one in drawn(code, part) for kind in one.kinds} == set(KINDS)


@each_language
@each_part
def test_a_source_differs_from_its_target_exactly_where_it_has_mistakes(code, part):
    assert all((one.source != one.target) == bool(one.kinds) for one in drawn(code, part))


@each_language
@each_part
def test_sentences_are_written_as_sentences(code, part):
    for one in drawn(code, part):
        assert one.target == sentence([one.target])
        assert one.target[-1] in ".?!"
        assert one.source.strip() == one.source
        assert "  " not in one.source + one.target
        assert one.language == code


@each_language
def test_a_sentence_has_the_mistakes_of_its_own_target(code):
    """The target is what the same draw gives without any mistake."""
    speech = language(code)
    for number, one in enumerate(drawn(code, "train")[:100]):
        random = Random(f"{code} train 0 {number}")
        random.randrange(len(speech.part("train")[1]))
        words, lemmas = realised(speech, "train", speech.patterns[one.pattern], random)
        assert one.target == sentence([word.text for word in words])
        assert one.lemmas == lemmas


@each_language
def test_no_lemma_stands_twice_in_a_sentence(code):
    for part in PARTS:
        assert all(len(set(one.lemmas)) == len(one.lemmas) for one in drawn(code, part))


def test_languages_take_turns_and_each_counts_for_itself():
    found = list(islice(pairs(["fr", "en", "de"], "choose", 3), 9))
    assert [one.language for one in found] == ["fr", "en", "de"] * 3
    assert found == [pair(code, "choose", 3, number) for number in range(3) for code in ("fr", "en", "de")]
    assert found[1::3] == list(islice(pairs(["en"], "choose", 3), 3))


def test_there_are_four_languages():
    assert tuple(LANGUAGES) == ("en", "fr", "de", "es")
    assert [one.language for one in islice(pairs(), 4)] == list(LANGUAGES)


@each_language
def test_pairs_hardly_repeat(code):
    found = Counter(one.source for one in drawn(code, "train"))
    assert len(found) > 0.97 * found.total()
    assert {one.target for one in drawn(code, "train")}.isdisjoint(pair(code, "train", 1, n).target for n in range(5))


def test_pair_number_k_is_the_same_in_any_process():
    wanted = [
        (code, part, seed, number) for code in LANGUAGES for part in PARTS for seed in (0, 7) for number in (0, 999)
    ]
    told = (
        "from stillroom.language.grammar.generate import pair\n"
        f"print([vars(pair(*asked)) for asked in {wanted[::-1]!r}][::-1])"
    )
    for hash_seed in ("0", "1234"):
        environment = os.environ | {"PYTHONHASHSEED": hash_seed}
        there = subprocess.run(
            [sys.executable, "-c", told], env=environment, capture_output=True, text=True, check=True
        )
        assert literal_eval(there.stdout) == [vars(pair(*asked)) for asked in wanted]


def test_distinct_pairs_have_sources_of_their_own_in_the_order_of_the_stream():
    found = distinct(300, ["es", "en"], "choose", 5)
    assert len({one.source for one in found}) == len(found) == 300
    stream = list(dict.fromkeys(one.source for one in islice(pairs(["es", "en"], "choose", 5), 400)))
    assert [one.source for one in found] == stream[:300]
    assert distinct(20, ["es", "en"], "choose", 5) == found[:20]


def test_distinct_pairs_are_of_all_languages_unless_some_are_named():
    assert [one.language for one in distinct(4)] == list(LANGUAGES)


def test_a_language_without_a_grammar_is_one_sentence():
    with pytest.raises(RecipeError, match="there is no grammar of 'it': there are en, fr, de, es"):
        distinct(5, ["en", "it"])


def test_a_part_that_is_none_is_one_sentence():
    with pytest.raises(RecipeError, match="there is no part 'exam': there are train, choose, test"):
        distinct(5, ["en"], "exam")
