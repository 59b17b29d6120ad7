import json
import math
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.agreement import KEYS, MEASURES, compare, f1, fields, kappa, normalised, number, numeric

value = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=2), inner, max_size=3),
    max_leaves=6,
)
answer = st.text(max_size=20) | st.sampled_from(["Yes.", "yes", "£1,000.50", "-5", "5", "[]"]) | value.map(json.dumps)
measure = st.sampled_from(sorted(MEASURES))


@given(measure, answer, answer)
def test_measures_are_symmetric_shares(measure, a, b):
    agreed = MEASURES[measure](a, b)
    assert agreed == MEASURES[measure](b, a)
    assert 0 <= agreed <= 1


@given(measure, answer)
def test_every_answer_agrees_with_itself(measure, a):
    assert MEASURES[measure](a, a) == 1


@given(st.sampled_from(["exact", "normalised", "numeric"]), answer, answer)
def test_yes_or_no_measures_say_whether_the_keys_are_the_same(measure, a, b):
    assert MEASURES[measure](a, b) is (KEYS[measure](a) == KEYS[measure](b))


@given(measure, answer, answer)
def test_answers_of_one_key_agree_fully(measure, a, b):
    assert KEYS[measure](a) != KEYS[measure](b) or MEASURES[measure](a, b) == 1


def test_normalised_forgives_case_punctuation_and_white_space_but_keeps_bare_ones():
    assert normalised(" The  cat, sat.", "the cat sat")
    assert not normalised("A", "the")
    assert not normalised("?", "!")


@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("12 apples and 1,000.50 pears.", "1000.5"),
        ("so 5-3 = 2", "2"),
        ("it is -4", "-4"),
        ("it is −4", "-4"),
        ("f(x)-3", "3"),
        ("about .5", "0.5"),
        ("6.02e23", "6.02e23"),
        ("1, 2", "2"),
        ("12,3456", "3456"),
    ],
)
def test_the_last_number_of_a_text_is_read_by_value(text, last):
    assert numeric(text, last)
    assert number(text) == Decimal(last)


def test_without_numbers_the_texts_are_compared():
    assert numeric("none ", "none")
    assert not numeric("none", "nil")
    assert not numeric("none", "0")


@pytest.mark.parametrize(
    ("a", "b", "share"),
    [
        ({"x": 1, "y": "b"}, {"y": "b", "x": 1.0}, 1),
        ({"x": 1, "y": 2}, {"x": 1}, 1 / 2),
        ({"x": {"y": [1, 2]}}, {"x": {"y": [2, 2, 3]}}, 1 / 3),
        ({"x": True}, {"x": 1}, 0),
        ({"x": []}, {"x": {}}, 0),
        ([], {}, 0),
        ({"x": math.nan}, {"x": math.nan}, 1),
        ({"0": 1}, [1], 0),
    ],
)
def test_fields_are_compared_leaf_by_leaf(a, b, share):
    assert fields(json.dumps(a), json.dumps(b)) == pytest.approx(share)


def test_fields_take_what_is_no_json_for_a_text():
    assert fields("no json", "no json ") == 1
    assert fields('{"a": 1}', "no json") == 0
    assert fields("[" * 100_000, "[" * 100_000) == 1
    assert fields("9" * 5000, "9" * 5000) == 1


def test_f1_counts_words_in_common():
    assert f1("the cat sat", "The cat ran home.") == pytest.approx(2 * 2 / 7)
    assert f1("a a b", "a b b") == pytest.approx(2 / 3)
    assert f1("", "") == 1
    assert f1("", "a") == 0


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("abcd")), min_size=1, max_size=40))
def test_kappa_equals_scikit_learn_s_reference(pairs):
    expected = cohen_kappa_score(*zip(*pairs, strict=True)) if len({*sum(pairs, ())}) > 1 else math.nan
    assert kappa(pairs) == pytest.approx(expected, nan_ok=True)


def test_kappa_of_nothing_that_could_differ_is_not_a_number():
    assert math.isnan(kappa([]))
    assert math.isnan(kappa([("a", "a")] * 5))


@given(st.dictionaries(st.text(max_size=3), st.tuples(answer, answer), min_size=1, max_size=8), measure, st.randoms())
def test_comparing_tables_is_symmetric_and_knows_no_order(rows, measure, random):
    a, b = ({row_id: both[side] for row_id, both in rows.items()} for side in (0, 1))
    shuffled = random.sample(sorted(rows), len(rows))
    agreed = compare(a, b, measure)
    assert agreed == compare({one: b[one] for one in shuffled}, a, measure)
    assert agreed.low <= agreed.mean <= agreed.high
    assert compare(a, a, measure).mean == 1


def test_an_answer_that_only_one_side_has_is_a_disagreement():
    full = {"1": "yes", "2": "no", "3": None, "4": "here alone"}
    compressed = {"1": "Yes", "2": None, "3": None}
    agreed = compare(full, compressed, "normalised")
    assert (agreed.rows, agreed.mean) == (2, 0.5)
    assert compare(full, compressed, "f1").mean == 0.5


def test_full_agreement_on_twenty_rows_bounds_little():
    answers = {str(row): "yes" for row in range(20)}
    assert compare(answers, answers, "exact").low == pytest.approx(0.025 ** (1 / 20), abs=1e-6)
    assert 0.75 < compare(answers, answers, "f1").low < 0.84


def test_what_cannot_be_compared_is_refused_in_a_sentence():
    with pytest.raises(RecipeError, match=r"no measure 'rouge': choose one of exact, "):
        compare({"1": "a"}, {"1": "a"}, "rouge")
    with pytest.raises(DataError, match="no answered row in common"):
        compare({"1": "a"}, {"2": "a"}, "exact")
