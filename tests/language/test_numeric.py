from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.language import corpora
from stillroom.language.numeric import match, numbers

REAL = os.environ.get("STILLROOM_DATA")


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("#### 42", {42}),
        ("He pays 3 * 14 = 42 dollars.", {42}),
        ("so 5 in all.\n#### 18\nQuestion: what is 7?", {18}),
        ("#### none, but 7", {7}),
        ("$70,000.00", {70000}),
        ("1,234.5", {Fraction("1234.5")}),
        ("1.234,5 Euro", {Fraction("1234.5")}),
        ("80.000 US-Dollar", {80, 80000}),
        ("1,500", {1500, Fraction("1.5")}),
        ("80\u202f000 $", {80000, 0}),
        ("80 000 $", {80000, 0}),
        ("in 2023 100 people", {100}),
        ("1’000 Franken", {1000}),
        ("₹1,00,000", {100000}),
        ("it fell to -5 °C", {-5}),
        ("it fell to −5 °C", {-5}),
        ("5-3", {3}),
        ("about .5", {Fraction("0.5")}),
        ("42.", {42}),
        ("50 %", {50}),
        ("3/4 of it", {Fraction(3, 4)}),
        ("1.5e3", {1500}),
        ("٤٢", {42}),
        ("答案是18元", {18}),
        ("7 molecules of CO2 in 3 m2", {3}),
        ("12.05.2023", {2023}),
        ("none", set()),
        ("9" * 5000, set()),
        ("", set()),
    ],
)
def test_the_final_number_is_read_as_languages_write_it(text, values):
    assert numbers(text) == values


@pytest.mark.parametrize("said", ["2,125", "2125", "2125.0", "2.125", "2 125", "The answer is 2,125 euros."])
def test_one_value_is_right_however_it_is_written(said):
    assert match([said], ["2,125"]).value == 1


def test_a_reference_is_read_as_english():
    assert match(["1.5", "1500"], ["1.500", "1.500"]).value == 0.5
    assert match(["1.5", "1500"], ["1,500", "1,500"]).parts[:, 0].tolist() == [0, 1]


def test_equal_is_exactly_equal():
    assert match(["0.33", "1/3", "42.0"], ["1/3", "1/3", "#### 42"]).parts[:, 0].tolist() == [0, 1, 1]


def test_no_prediction_and_no_number_are_wrong():
    assert match([None, "none"], ["1", "1"]).value == 0


def test_any_of_several_references_will_do():
    assert match(["5"], [["4", "5"]]).value == 1


def test_a_reference_without_a_number_is_refused():
    with pytest.raises(DataError, match="row 1 has no number"):
        match(["1", "1"], ["1", "one"])


@given(st.integers(-(10**12), 10**12), st.sampled_from(["{}", "{:,}", "= {:,}.", "#### {}", "{}.00 apples"]))
def test_every_whole_number_is_read_back(value, form):
    assert value in numbers(form.format(value))


@given(st.text(alphabet=st.characters(), max_size=60) | st.text("0123456789 .,'/-eE#x", max_size=40))
def test_no_text_breaks_it(text):
    assert len(numbers(text)) < 8


@pytest.mark.skipif(REAL is None, reason="STILLROOM_DATA is not set")
def test_the_answers_of_gsm8k_and_mgsm_have_their_numbers():
    rows = corpora.gsm8k("test")
    right = [row.answer for row in rows]
    assert match([f"{row.rationale}\n#### {row.answer}" for row in rows], right).value == 1
    for language in ("de", "en", "es", "fr"):
        lines = Path(REAL, "text", "qa", "mgsm", f"mgsm_{language}.tsv").read_text("utf-8").splitlines()
        answers = [line.split("\t")[1] for line in lines]
        continental = [answer.replace(",", ".") for answer in answers]
        assert match(answers, answers).value == match(continental, answers).value == 1
