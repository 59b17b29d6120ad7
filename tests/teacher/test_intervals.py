import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.intervals import betting, binomial, mean_interval, rows_needed

shares = st.lists(st.floats(0, 1), min_size=1, max_size=30)


@pytest.mark.parametrize(
    ("successes", "rows"), [(0, 1), (1, 1), (20, 20), (0, 20), (7, 19), (981, 1000), (99_990, 100_000)]
)
@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.999])
def test_the_binomial_interval_equals_scipy_s_reference(successes, rows, confidence):
    expected = stats.binomtest(successes, rows).proportion_ci(confidence, method="exact")
    assert binomial(successes, rows, confidence) == pytest.approx((expected.low, expected.high), abs=1e-9)


def test_full_agreement_of_few_rows_is_not_certain():
    assert mean_interval([True] * 20) == pytest.approx((1.0, 0.8316, 1.0), abs=1e-4)
    mean, low, high = mean_interval([1.0] * 20)
    assert (mean, high) == (1.0, 1.0)
    assert 0.75 < low < 0.8316  # a graded value pays for what it may turn out to be


@pytest.mark.parametrize("rate", [0.5, 0.9, 0.97, 0.99, 0.999])
@pytest.mark.parametrize("rows", [1, 5, 20, 60])
def test_the_binomial_interval_covers_whatever_the_truth_is(rate, rows):
    chances = stats.binom.pmf(np.arange(rows + 1), rows, rate)
    bounds = [binomial(successes, rows) for successes in range(rows + 1)]
    assert sum(chance for chance, (low, high) in zip(chances, bounds, strict=True) if low <= rate <= high) >= 0.95


@pytest.mark.parametrize("chances", [(0.01, 0.02, 0.97), (0.0, 0.05, 0.95), (0.3, 0.4, 0.3), (0.001, 0.0, 0.999)])
@pytest.mark.parametrize("rows", [2, 10, 25])
def test_the_betting_interval_covers_whatever_the_truth_is(chances, rows):
    truth = chances[1] / 2 + chances[2]
    covered = 0.0  # summed over all samples of 0, a half and 1, not simulated
    for zeros, halves in product(range(rows + 1), repeat=2):
        ones = rows - zeros - halves
        chance = stats.multinomial.pmf([zeros, halves, ones], rows, chances) if ones >= 0 else 0
        if chance > 0:
            low, high = betting([0.0] * zeros + [0.5] * halves + [1.0] * ones)
            covered += chance if low <= truth <= high else 0
    assert covered >= 0.95


def test_the_betting_interval_covers_in_a_simulation_with_skewed_values():
    rng = np.random.default_rng(0)
    samples = rng.beta(9, 0.3, (400, 30))  # mostly near 1, rarely far below
    bounds = np.array([betting(sample) for sample in samples])
    assert ((bounds[:, 0] <= 9 / 9.3) & (bounds[:, 1] >= 9 / 9.3)).mean() >= 0.95


def test_values_that_vary_little_have_a_narrow_betting_interval():
    rng = np.random.default_rng(0)
    low, high = betting(rng.uniform(0.88, 0.92, 500))
    hoeffding = math.sqrt(math.log(40) / (2 * 500))
    assert high - low < hoeffding / 2


@given(shares)
def test_an_interval_holds_its_mean_and_knows_no_order(values):
    mean, low, high = mean_interval(values)
    assert 0 <= low <= mean + 1e-9
    assert mean - 1e-9 <= high <= 1
    assert mean_interval(sorted(values)) == pytest.approx((mean, low, high))


@given(shares)
def test_an_interval_of_the_complement_is_mirrored(values):
    low, high = betting(values)
    assert betting([1 - value for value in values]) == pytest.approx((1 - high, 1 - low), abs=2e-3)  # steps of 0.001


@pytest.mark.parametrize(("tolerance", "agreement"), [(0.05, 1.0), (0.1, 1.0), (0.05, 0.98), (0.1, 0.95)])
def test_a_pilot_of_the_rows_needed_succeeds_and_one_of_far_fewer_does_not(tolerance, agreement):
    def chance(rows):
        passing = [k for k in range(rows + 1) if stats.binom.sf(k - 1, rows, 1 - tolerance) <= 0.025]
        return stats.binom.sf(passing[0] - 1, rows, agreement) if passing else 0

    rows = rows_needed(tolerance, agreement)
    assert chance(rows) >= 0.8
    assert chance(int(rows * 0.8)) < 0.8
    if agreement == 1:
        assert binomial(rows, rows)[0] >= 1 - tolerance > binomial(rows - 1, rows - 1)[0]


def test_what_cannot_be_bounded_is_refused_in_a_sentence():
    with pytest.raises(RecipeError, match=r"agreement of 0.9 never shows to be above 0.95"):
        rows_needed(0.05, 0.9)
    with pytest.raises(RecipeError, match="more than 1,000,000 rows"):
        rows_needed(0.05, 0.9501)
    with pytest.raises(RecipeError, match="confidence 95"):
        binomial(1, 2, confidence=95)
    with pytest.raises(DataError, match="no values"):
        mean_interval([])
    with pytest.raises(DataError, match="between 0 and 1"):
        betting([0.5, math.nan])
