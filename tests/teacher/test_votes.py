import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.teacher.agreement import MEASURES
from stillroom.teacher.votes import votes


def samples(*answers, row_id="1"):
    return [{"row_id": row_id, "input": "in", "answer": answer} for answer in answers]


def test_the_majority_s_answer_is_written_as_it_came_first():
    vote = votes(samples("no", "Yes.", "yes", None, " "))["1"]
    assert (vote.answer, vote.samples, vote.share, vote.input) == ("Yes.", 3, 2 / 3, "in")
    assert votes(samples("b", "a"))["1"].answer == "b"


def test_a_row_without_answers_is_there_with_none():
    assert votes(samples(None, ""))["1"].answer is None


def test_numeric_votes_count_equal_numbers_as_one():
    vote = votes(samples("1,000", "it is 1000.0", "-1000"), "numeric")["1"]
    assert list(vote.counts.values()) == [2, 1]


@given(
    st.lists(st.sampled_from(["a b", "a c", "A b", "d"]), min_size=2, max_size=8), st.sampled_from(["f1", "normalised"])
)
def test_pairwise_agreement_is_the_mean_over_all_pairs(answers, measure):
    pairs = [MEASURES[measure](a, b) for a, b in combinations(answers, 2)]
    assert votes(samples(*answers), measure)["1"].pairwise(measure) == pytest.approx(sum(pairs) / len(pairs))


def test_entropy_is_in_bits():
    assert votes(samples("a", "a", "a"))["1"].entropy == 0
    assert votes(samples("a", "b", "c", "d"))["1"].entropy == pytest.approx(2)
    assert votes(samples("a", "a", "b"))["1"].entropy == pytest.approx(math.log2(3) - 2 / 3)


def test_what_is_no_label_table_is_refused():
    with pytest.raises(DataError, match="row 2 has no row_id and no answer"):
        votes([*samples("a"), {"text": "b"}])
