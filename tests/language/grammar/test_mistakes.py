from __future__ import annotations

from collections import Counter
from copy import deepcopy
from itertools import combinations
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.language.grammar.mistakes import SHARES, SHORTEST, Site, misspelt, sites, spoil
from stillroom.language.grammar.words import KINDS, Word, sentence

seeds = st.integers(0, 2**32)


@st.composite
def sentences(draw):
    """Words that can all be told apart, also from their wrong forms, with a mark at the end."""
    words = []
    for number in range(draw(st.integers(1, 7))):
        kinds = draw(st.lists(st.sampled_from(KINDS[:4]), unique=True, max_size=2))
        wrong = {
            kind: draw(st.sampled_from([(f"{kind[:2]}{number}",), ("",), (f"x{number}", ""), ()])) for kind in kinds
        }
        words.append(Word(f"w{number}", wrong, draw(st.booleans())))
        words += [Word(",")] * draw(st.booleans())
    return [*words, Word(draw(st.sampled_from(".?!")))]


def made(words, some) -> str:
    """The sentence with these mistakes in it, put in from the right."""
    texts = [word.text for word in words]
    for site in sorted(some, key=lambda site: -site.start):
        texts[site.start : site.end] = site.texts
    return sentence(texts)


def far_apart(one, other) -> bool:
    """Whether a right word stands between two mistakes."""
    left, right = sorted((one, other), key=lambda site: site.start)
    return right.start - left.end >= 1


@settings(deadline=None)
@given(sentences(), seeds)
def test_a_sentence_gets_at_most_two_mistakes_that_it_allows_never_side_by_side(words, seed):
    possible = sites(words, Random(0))
    sets = [(), *((site,) for site in possible), *(two for two in combinations(possible, 2) if far_apart(*two))]
    reached = {(made(words, some), tuple(s.kind for s in sorted(some, key=lambda s: s.start))) for some in sets}
    assert spoil(words, Random(seed)) in reached


@settings(deadline=None)
@given(sentences(), seeds)
def test_no_mistake_changes_the_words_themselves(words, seed):
    before, target = deepcopy(words), sentence([word.text for word in words])
    source, kinds = spoil(words, Random(seed))
    assert words == before
    assert (source == target) == (not kinds)


@settings(deadline=None)
@given(sentences(), seeds)
def test_the_same_random_state_makes_the_same_mistakes(words, seed):
    assert spoil(words, Random(seed)) == spoil(words, Random(seed))


def test_kinds_stand_in_the_order_of_their_places():
    words = [Word("a", {"article": ("the",)}), Word("b"), Word("c", {"tense": ("d",)}), Word("b")]
    found = {spoil(words, Random(seed)) for seed in range(300)}
    assert found == {
        ("A b c b", ()),
        ("The b c b", ("article",)),
        ("A b d b", ("tense",)),
        ("The b d b", ("article", "tense")),
    }


def test_mistakes_side_by_side_are_never_made_both():
    words = [Word("a", {"article": ("the",)}), Word("c", {"tense": ("d",)})]
    assert {spoil(words, Random(seed)) for seed in range(300)} == {
        ("A c", ()),
        ("The c", ("article",)),
        ("A d", ("tense",)),
    }


def test_a_word_left_out_at_the_beginning_leaves_the_capital_to_the_next():
    words = [Word("the", {"article": ("",)}), Word("cat"), Word("sleeps")]
    assert {spoil(words, Random(seed))[0] for seed in range(100)} == {"The cat sleeps", "Cat sleeps"}


def test_where_nothing_can_be_wrong_nothing_is():
    words = [Word("we"), Word("sleep")]
    assert all(spoil(words, Random(seed)) == ("We sleep", ()) for seed in range(50))


def test_none_one_or_two_mistakes_come_as_often_as_stated():
    words = [Word(f"w{number}", {kind: (f"x{number}",)}) for number, kind in enumerate(KINDS * 3)]
    total = 4000
    found = Counter(len(spoil(words, Random(seed))[1]) for seed in range(total))
    assert set(found) == {0, 1, 2}
    for count, share in enumerate(SHARES):
        assert abs(found[count] / total - share) < 4 * (share * (1 - share) / total) ** 0.5
    assert sum(SHARES) == pytest.approx(1)


def test_a_sentence_gets_as_many_mistakes_as_are_wanted_while_there_are_places():
    words = [Word(f"w{number}", {"tense": (f"x{number}",)}) for number in range(9)]
    found = Counter(len(spoil(words, Random(seed), (0, 0, 0, 0.5, 0.5))[1]) for seed in range(300))
    assert set(found) <= {3, 4}  # of nine words at most five are apart; bad luck leaves places for three
    assert found[3] > 100
    assert found[4] > 50
    assert len(spoil(words[:3], Random(0), (0, 0, 0, 0, 1))[1]) <= 2


def test_kinds_are_drawn_alike_however_many_places_they_have():
    words = [Word(f"w{number}", {"tense" if number else "article": (f"x{number}",)}) for number in range(9)]
    found = Counter(kinds[0] for kinds in (spoil(words, Random(seed))[1] for seed in range(3000)) if len(kinds) == 1)
    assert 0.45 < found["article"] / found.total() < 0.55


def kinds_of(*words) -> list[str]:
    return [site.kind for site in sites(words, Random(0))]


def test_words_in_the_other_order_need_a_right_neighbour():
    assert sites([Word("a", swaps=True), Word("b", swaps=True)], Random(0)) == [Site("word_order", 0, 2, ("b", "a"))]


def test_commas_get_lost_anywhere_and_other_marks_at_the_end_alone():
    words = [Word("no"), Word(","), Word("he"), Word(":"), Word("I"), Word("?")]
    assert sites(words, Random(0)) == [Site("punctuation", 1, 2, ("",)), Site("punctuation", 5, 6, ("",))]


def test_only_long_words_without_marks_that_may_be_misspelt_are():
    assert kinds_of(Word("letter", spellable=True)) == ["spelling"]
    assert kinds_of(Word("letter")) == []
    assert kinds_of(Word("a" * (SHORTEST - 1), spellable=True)) == []
    assert kinds_of(Word("o'clock", spellable=True)) == []
    assert kinds_of(Word("1999", spellable=True)) == []
    assert kinds_of(Word("right now", spellable=True)) == []


def test_a_form_that_is_right_is_no_mistake():
    assert sites([Word("cut", {"tense": ("cut", "cutting")})], Random(0)) == [Site("tense", 0, 1, ("cutting",))]


def test_a_word_that_is_not_there_may_slip_in():
    words = [Word("we"), Word("", {"preposition": ("in",)}), Word("sleep")]
    assert {spoil(words, Random(seed))[0] for seed in range(100)} == {"We sleep", "We in sleep"}


def misspellings(word: str) -> set[str]:
    """Every word that differs by two neighbours swapped, one letter dropped or one doubled, none of them the first."""
    found = set()
    for place in range(1, len(word) - 1):
        one, two = word[place], word[place + 1]
        found |= {word[:place] + middle + word[place + 2 :] for middle in (two + one, two, one + one + two)}
    return found - {word}


@settings(deadline=None)
@given(st.text("abcéßлж", min_size=SHORTEST, max_size=12), seeds)
def test_a_misspelt_word_differs_by_one_slip_and_keeps_its_first_letter(word, seed):
    wrong = misspelt(word, Random(seed))
    assert wrong != word
    assert wrong[0] == word[0]
    assert wrong in misspellings(word)


def test_every_slip_is_made_some_time():
    assert {misspelt("letter", Random(seed)) for seed in range(300)} == misspellings("letter")
