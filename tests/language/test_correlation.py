"""The rank correlation, beside scipy's."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.language.correlation import spearman

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=3, max_size=20)


@settings(deadline=None)  # scipy is imported within
@given(PAIRS)
def test_it_is_the_one_of_scipy_ties_included_reference(pairs):
    stats = pytest.importorskip("scipy.stats")
    one, other = zip(*pairs, strict=True)
    if len(set(one)) == 1 or len(set(other)) == 1:
        assert math.isnan(spearman(one, other))
    else:
        assert spearman(one, other) == pytest.approx(stats.spearmanr(one, other).statistic)


@given(PAIRS)
def test_only_the_order_counts(pairs):
    one, other = map(np.array, zip(*pairs, strict=True))
    before, after = spearman(one, other), spearman(np.exp(one), -other)
    assert (math.isnan(before) and math.isnan(after)) or before == pytest.approx(-after)


def test_what_has_no_value_is_left_out_and_two_things_have_no_order():
    assert spearman([1, 2, 3, math.nan], [3, 2, 1, 9]) == -1
    assert math.isnan(spearman([1, 2, math.nan], [2, 1, 0]))
    with pytest.raises(DataError, match="not two measures"):
        spearman([1, 2], [1, 2, 3])
