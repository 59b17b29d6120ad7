from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from stillroom.language.duplicates import deduplicated, limited
from stillroom.language.rows import Row

some_rows = st.lists(
    st.builds(Row, st.sampled_from(["a", "a ", "A", "b", "é", "e\u0301"]), st.sampled_from(["x", "x ", "y", "z"])),
    max_size=20,
)


def test_of_the_same_answer_one_stays_and_of_several_the_one_that_most_rows_give():
    rows = [Row("q", "1"), Row("q", "2"), Row("other", "1"), Row(" q", "2 "), Row("Q", "3")]
    assert deduplicated(rows) == ([rows[1], rows[2], rows[4]], 1, 1)


def test_of_answers_given_equally_often_the_first_stays():
    rows = [Row("q", "1"), Row("q", "2"), Row("q", "2"), Row("q", "1")]
    assert deduplicated(rows) == ([rows[0]], 1, 2)


def test_other_tasks_and_other_texts_have_other_answers():
    rows = [Row("q", "1", task="a"), Row("q", "2", task="b"), Row("", "text"), Row("", "another text")]
    assert deduplicated(rows) == (rows, 0, 0)


@given(some_rows)
def test_each_row_stays_or_is_counted_and_none_stays_twice(rows):
    kept, duplicates, conflicts = deduplicated(rows)
    assert len(kept) + duplicates + conflicts == len(rows)
    assert deduplicated(kept) == (kept, 0, 0)
    assert kept == sorted(kept, key=rows.index)


@given(st.sets(st.text(max_size=5), max_size=30), st.integers(1, 40), st.integers(0, 10), st.randoms())
def test_a_larger_limit_holds_what_a_smaller_one_does_in_any_order_of_the_rows(texts, limit, more, random):
    rows = [Row(text, "x") for text in sorted(texts) if text.strip()]
    few, many = limited(rows, limit), limited(rows, limit + more)
    assert len(few) == min(limit, len(rows))
    assert [row for row in many if row in few] == few
    assert many == [row for row in rows if row in many]


def test_a_limit_takes_some_of_each_part_of_a_sorted_file():
    rows = [Row(f"{language} {n}", "x", group=language) for language in ("de", "en", "fr") for n in range(300)]
    groups = [row.group for row in limited(rows, 300)]
    assert all(70 < groups.count(language) < 130 for language in ("de", "en", "fr"))
    assert limited(rows, 300) == limited(rows, 300)
    assert limited(rows, None) == rows
