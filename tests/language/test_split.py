from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.language.rationale import two_tasks
from stillroom.language.rows import Row
from stillroom.language.split import SHARES, normalised, place, split

texts = st.text(max_size=20)
HALVES = {"choose": 0.3, "judge": 0.4}


def where(text, shares=HALVES, seed=0):
    return next(name for name, rows in split([Row(text, "x")], shares, seed).items() if rows)


@given(
    texts.filter(str.strip),
    st.sampled_from(["NFC", "NFD", "NFKC", "NFKD"]),
    st.sampled_from([" ", "\t", "\n\n", "\u00a0", "  "]),
)
def test_near_duplicates_never_cross(text, form, blank):
    # a composed blank such as U+00A8 is a blank and a mark to NFKC: start from what Unicode holds stable
    text = unicodedata.normalize("NFKC", text)
    other = blank + blank.join(unicodedata.normalize(form, text).split()) + blank
    assert normalised(other) == normalised(text)
    assert where(other) == where(text)


@given(st.text("abcdefghijklmnopqrstuvwxyzäöüéñ 0123456789.,", max_size=20).filter(str.strip))
def test_case_does_not_matter(text):
    assert where(text.upper()) == where(text.title()) == where(text)


@given(texts)
def test_what_is_normalised_stays_as_it_is(text):
    assert normalised(normalised(text)) == normalised(text)


@given(st.lists(texts.filter(str.strip), max_size=20), st.lists(texts.filter(str.strip), max_size=20), st.randoms())
def test_where_a_row_falls_depends_neither_on_the_others_nor_on_the_order(some, others, random):
    rows = [Row(text, "x") for text in some]
    mixed = rows + [Row(text, "x") for text in others]
    random.shuffle(mixed)
    alone, among = split(rows, HALVES), split(mixed, HALVES)
    for name, part in alone.items():
        assert all(row in among[name] for row in part)


@given(st.lists(texts, max_size=20))
def test_each_row_is_in_one_part_in_its_order(some):
    rows = [Row(text, str(number)) for number, text in enumerate(some)]
    parts = split(rows, HALVES)
    assert list(parts) == ["learn", "choose", "judge"]
    assert sorted((row for part in parts.values() for row in part), key=lambda row: int(row.answer)) == rows
    for part in parts.values():
        assert part == sorted(part, key=lambda row: int(row.answer))


def test_parts_have_their_shares_in_expectation():
    rows = [Row(f"sentence number {n}", "x") for n in range(20_000)]
    parts = split(rows)
    for name, share in {**SHARES, "learn": 0.9}.items():
        deviation = (share * (1 - share) / len(rows)) ** 0.5
        assert abs(len(parts[name]) / len(rows) - share) < 4 * deviation


def test_another_seed_is_another_split_and_the_same_seed_the_same():
    rows = [Row(f"sentence {n}", "x") for n in range(2000)]
    first, again, other = split(rows, HALVES, 1), split(rows, HALVES, 1), split(rows, HALVES, 2)
    assert first == again
    kept = sum(row in {r.input for r in other["judge"]} for row in (r.input for r in first["judge"]))
    assert 0.3 < kept / len(first["judge"]) < 0.5  # as if drawn anew: 0.4


def test_the_place_of_a_text_is_pinned():
    # a split must be the same in every version, or what was held out is learned
    assert place("He go to school.") == pytest.approx(0.5447591398594298, abs=1e-12)


def test_tasks_answers_and_rationales_of_one_input_fall_together():
    rows = [Row(f"sentence {n}", "x", rationale="because", task=task) for n in range(50) for task in ("a", "b")]
    for part in split(two_tasks(rows), HALVES).values():
        inputs = [row.input for row in part]
        assert all(inputs.count(text) == 4 for text in inputs)


def test_texts_without_an_input_are_split_by_what_they_say():
    parts = split([Row("", f"text {n}") for n in range(100)], HALVES)
    assert all(parts.values())


@pytest.mark.parametrize("shares", [{"judge": 1.0}, {"judge": -0.1}, {"a": 0.5, "b": 0.5}, {"learn": 0.5}])
def test_shares_that_leave_nothing_are_refused(shares):
    with pytest.raises(RecipeError):
        split([], shares)
