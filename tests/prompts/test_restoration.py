from __future__ import annotations

import pytest

from stillroom.prompts.restoration import Restoration

CLEAN = [
    "Yesterday the Mayor met Grosvenor. The mayor of London paid 3,500 and 12 pounds to NASA in 1995.",
    "We met the mayor at a vicarage in London, the NASA people too.",
    "All of NASA met in London, and the mayor met the press at 9:30.",
]


@pytest.fixture(scope="module")
def restoration() -> Restoration:
    return Restoration.learn(CLEAN * 1)


def test_the_same_tokens_and_seed_give_the_same_words_whatever_came_before(restoration):
    tokens = ["the", "mayor", "of", "<unk>", "met", "##", "people", "in", "london"]
    first = restoration.restore(tokens, seed=3)
    restoration.restore(["something", "else"])
    assert restoration.restore(tokens, seed=3) == first
    assert any(restoration.restore(tokens, seed=seed) != first for seed in range(10))


def test_numbers_and_rare_words_are_those_of_clean_texts(restoration):
    seen = [restoration.restore(["in", "<unk>", "##"], seed=seed) for seed in range(60)]
    assert {row[2] for row in seen} == {"3,500", "12", "1995", "9:30"}
    assert {row[1] for row in seen} <= {*restoration.names, *restoration.rare}
    assert "Grosvenor" in restoration.names
    assert "vicarage" in restoration.rare
    assert not any(mark in row for row in seen for mark in ("##", "<unk>"))


def test_words_are_written_as_often_with_a_capital_as_in_clean_texts(restoration):
    rows = [restoration.restore(["in", "london", "the", "nasa", "mayor"], seed=seed) for seed in range(300)]
    share = {word: sum(word in row for row in rows) / len(rows) for word in ("London", "NASA", "Mayor", "The")}
    assert share["London"] > 0.8
    assert share["NASA"] > 0.5
    assert 0.1 < share["Mayor"] < 0.6
    assert share["The"] < 0.3


def test_a_word_has_one_case_in_a_row_and_the_first_has_a_capital(restoration):
    for seed in range(20):
        row = restoration.restore(["at", "kovalam", "and", "kovalam", "again"], seed=seed)
        assert row[0] == "At"
        assert row[1] == row[3]


def test_only_case_numbers_and_unknown_words_change(restoration):
    tokens = ["the", "mayor", "'s", "``", "vicarage", "''", ",", "in-store", ",", "a17", "."]
    assert [word.lower() for word in restoration.restore(tokens)] == tokens
    assert restoration.restore([]) == []
