import numpy as np
import pytest

from stillroom.bench.baselines.forecasters import seasonal_naive
from stillroom.demo.domain import HORIZON, fertility
from stillroom.series import bundled


def test_what_is_learnt_from_ends_before_the_hidden_years():
    domain = fertility()
    whole = bundled.load("fertility").select([item.item_id for item in domain.past])
    assert len(domain.past) > 150
    for place, (item, known) in enumerate(zip(whole, domain.past, strict=True)):
        np.testing.assert_array_equal(known.target[0], item.target[0, :-HORIZON])
        np.testing.assert_array_equal(domain.truth[place, 0], item.target[0, -HORIZON:])


def test_the_hidden_years_and_those_that_judge_are_observed():
    domain = fertility()
    assert np.isfinite(domain.truth).all()
    assert all(np.isfinite(item.target[0, -2 * HORIZON :]).all() for item in domain.past)


def test_a_score_is_that_of_the_hidden_years():
    domain = fertility(7)
    last = np.array([history[-1] for history in domain.window.histories()])
    error = np.abs(domain.truth[:, 0] - last[:, None])  # a year has no season: seasonal naive is the last value
    score = domain.score(seasonal_naive())
    assert score["WQL"] == pytest.approx(
        error.sum() / domain.truth.sum()
    )  # the same at all levels, which average to 1/2
