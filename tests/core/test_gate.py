import json
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.gate import FEWEST, judge
from stillroom.core.plain import to_plain

loss = st.integers(0, 10**9).map(lambda millionths: millionths / 1e6)
losses = hnp.arrays(np.float64, st.integers(1, 40), elements=loss)


@st.composite
def paired_losses(draw):
    baseline = draw(losses)
    candidate = draw(hnp.arrays(np.float64, len(baseline), elements=loss))
    return candidate, baseline


def sample(n, *, gain=0.0, noise=0.3, tail=None, seed=0):
    """(candidate, baseline) losses of n items of very different size; the candidate's are smaller by `gain`."""
    rng = np.random.default_rng(seed)
    size = np.exp(rng.normal(size=n)) if tail is None else 1 + rng.pareto(tail, size=n)
    candidate, baseline = size * np.exp(noise * rng.normal(size=(2, n)))
    return (1 - gain) * candidate, baseline


def verdicts(n, data_sets, **options):
    return [judge(*sample(n, seed=seed, **options), resamples=500, seed=seed) for seed in range(data_sets)]


# What is kept


def test_a_clear_improvement_is_kept():
    verdict = judge(*sample(60, gain=0.3))
    assert verdict.keep
    assert 0 < verdict.low < verdict.gain < verdict.high < 1
    assert not verdict.thin
    assert verdict.sentence.startswith("Kept the candidate: its loss is ")


def test_a_clear_harm_is_not_kept():
    verdict = judge(*sample(60, gain=-0.5))
    assert not verdict.keep
    assert verdict.low < verdict.gain < verdict.high < 0
    assert "above the baseline's over 60 items" in verdict.sentence


def test_the_same_loss_a_tenth_smaller_on_every_item_is_kept():
    _, baseline = sample(30)
    verdict = judge(0.9 * baseline, baseline)
    assert verdict.keep
    assert verdict.low == pytest.approx(0.1, abs=1e-8)


def test_a_gain_that_may_be_chance_is_not_kept_and_the_sentence_says_so():
    candidate, baseline = sample(40)
    candidate *= 0.99 * baseline.sum() / candidate.sum()
    verdict = judge(candidate, baseline)
    assert not verdict.keep
    assert verdict.gain == pytest.approx(0.01)
    assert (
        "1.0% below the baseline's over 40 items, which may be chance (95% interval of the gain: " in verdict.sentence
    )


def test_one_lucky_series_does_not_carry_the_verdict():
    baseline = np.ones(30)
    candidate = baseline.copy()
    baseline[7], candidate[7] = 1000, 1
    verdict = judge(candidate, baseline)
    assert verdict.gain > 0.9
    assert not verdict.keep


@pytest.mark.parametrize(
    ("n", "options"),
    [
        (5, {}),
        (8, {}),
        (20, {}),
        (100, {}),
        (8, {"tail": 1.5}),
        (20, {"tail": 1.5}),
        (100, {"tail": 1.5}),
        (20, {"tail": 1.1, "noise": 0.1}),
    ],
)
def test_without_any_gain_at_most_one_candidate_in_twenty_looks_better_and_one_looks_worse(n, options):
    judged = verdicts(n, 1000, **options)
    assert np.mean([verdict.keep for verdict in judged]) <= 0.05
    assert np.mean([verdict.high < 0 for verdict in judged]) <= 0.05


def test_a_true_gain_of_a_tenth_is_found_in_a_hundred_series():
    assert np.mean([verdict.keep for verdict in verdicts(100, 200, gain=0.1, noise=0.1)]) >= 0.8


def test_the_interval_holds_the_true_gain_as_often_as_it_says():
    held = [verdict.low <= 0.2 <= verdict.high for verdict in verdicts(40, 1000, gain=0.2)]
    assert np.mean(held) == pytest.approx(0.95, abs=0.025)


# What the verdict depends on


@settings(max_examples=80, deadline=None)
@given(losses)
def test_identical_losses_are_never_kept(baseline):
    verdict = judge(baseline, baseline, resamples=200)
    assert not verdict.keep
    assert verdict.gain == 0 or not baseline.any()


def test_losses_that_differ_by_rounding_are_not_kept():
    _, baseline = sample(50)
    candidate = baseline * (1 - 1e-15 * np.arange(50))
    assert candidate.sum() < baseline.sum()
    assert not judge(candidate, baseline).keep


@settings(max_examples=80, deadline=None)
@given(paired_losses(), st.randoms(use_true_random=False))
def test_the_order_of_items_changes_nothing(pair, random):
    candidate, baseline = pair
    order = list(range(len(baseline)))
    random.shuffle(order)
    assert repr(judge(candidate, baseline, resamples=200)) == repr(
        judge(candidate[order], baseline[order], resamples=200)
    )


@settings(max_examples=80, deadline=None)
@given(paired_losses(), st.sampled_from([2.0**-600, 0.25, 8.0, 2.0**600]))
def test_the_unit_of_the_losses_changes_nothing(pair, unit):
    candidate, baseline = pair
    scaled = judge(unit * candidate, unit * baseline, resamples=200)
    assert repr(scaled) == repr(judge(candidate, baseline, resamples=200))


@settings(max_examples=80, deadline=None)
@given(paired_losses())
def test_a_verdict_is_consistent(pair):
    verdict = judge(*pair, resamples=200)
    assert verdict.n == len(pair[0])
    assert verdict.thin == (verdict.n < 20)
    assert verdict.keep == (verdict.low > 0)
    if pair[1].any():
        assert verdict.low <= verdict.gain <= verdict.high <= 1


def test_the_seed_alone_decides_the_resampling():
    candidate, baseline = sample(40)
    assert judge(candidate, baseline, seed=3) == judge(candidate, baseline, seed=3)
    assert judge(candidate, baseline, seed=3).low != judge(candidate, baseline, seed=4).low


def test_a_higher_confidence_widens_the_interval():
    candidate, baseline = sample(40)
    narrow, wide = judge(candidate, baseline, confidence=0.8), judge(candidate, baseline, confidence=0.99)
    assert wide.low < narrow.low < narrow.high < wide.high
    assert "99% interval" in wide.sentence


@given(st.integers(1, 40), st.integers(0, 40), st.integers(0, 30), st.integers(0, 30))
def test_right_and_wrong_answers_are_bounded_as_the_reference_clopper_pearson_of_scipy(wins, losses, both, neither):
    candidate = np.repeat([0.0, 1.0, 1.0, 0.0], [wins, losses, both, neither])
    baseline = np.repeat([1.0, 0.0, 1.0, 0.0], [wins, losses, both, neither])
    if len(candidate) < FEWEST:
        return
    verdict = judge(candidate, baseline)
    share = stats.binomtest(wins, wins + losses).proportion_ci(0.95, method="exact")
    bounds = [(wins + losses) * (2 * end - 1) / (wins + both) for end in share]
    assert verdict.low == pytest.approx(bounds[0], abs=1e-6)
    assert verdict.high == pytest.approx(min(bounds[1], 1.0), abs=1e-6)
    if abs(share.low - 0.5) > 1e-6:
        assert verdict.keep == (stats.binomtest(wins, wins + losses).pvalue < 0.05 and wins > losses)


def test_a_nearly_perfect_candidate_is_kept_on_few_rows():
    assert judge([1.0] + [0.0] * 44, [1.0] * 45).keep


@pytest.mark.parametrize("wrong", [0.05, 0.3, 0.9])
def test_of_candidates_that_answer_no_better_at_most_one_in_forty_is_kept(wrong):
    rng = np.random.default_rng(0)
    kept = [judge(*(rng.random((2, 60)) < wrong).astype(float)).keep for _ in range(1000)]
    assert np.mean(kept) <= 0.035  # 0.025, and what a thousand tries may add


def test_windows_of_one_item_are_drawn_together():
    candidate, baseline = np.random.default_rng(0).uniform(size=(2, 25, 3, 4))
    assert judge(candidate, baseline) == judge(candidate.sum((1, 2)), baseline.sum((1, 2)))


def test_weights_multiply_the_losses_of_their_item():
    candidate, baseline = sample(30)
    weights = np.random.default_rng(1).uniform(size=30)
    assert judge(candidate, baseline, weights) == judge(weights * candidate, weights * baseline)


def test_bounds_lie_outside_the_reference_percentile_interval_of_scipy_and_near_it():
    from scipy.stats import bootstrap

    candidate, baseline = sample(400, gain=0.05)
    verdict = judge(candidate, baseline, resamples=5000)
    reference = bootstrap(
        (candidate, baseline),
        lambda candidate, baseline, axis: 1 - candidate.sum(axis) / baseline.sum(axis),
        paired=True,
        vectorized=True,
        n_resamples=5000,
        method="percentile",
        rng=np.random.default_rng(0),
    ).confidence_interval
    width = reference.high - reference.low
    assert verdict.low == pytest.approx(reference.low, abs=0.1 * width)
    assert verdict.high == pytest.approx(reference.high, abs=0.1 * width)


# Where nothing can be judged


@pytest.mark.parametrize(("bad", "who"), [(np.nan, "candidate"), (np.inf, "candidate"), (np.nan, "baseline")])
def test_a_loss_that_is_not_finite_keeps_the_baseline_and_says_whose(bad, who):
    candidate, baseline = sample(30, gain=0.5)
    (candidate if who == "candidate" else baseline)[[3, 9]] = bad
    verdict = judge(candidate, baseline)
    assert not verdict.keep
    assert np.isnan([verdict.gain, verdict.low, verdict.high]).all()
    assert verdict.sentence == (f"Kept the baseline: the {who}'s loss is not a finite number on 2 of 30 items.")


@pytest.mark.parametrize("candidate", [np.zeros(30), np.ones(30)])
def test_a_baseline_without_loss_is_kept(candidate):
    verdict = judge(candidate, np.zeros(30))
    assert not verdict.keep
    assert verdict.sentence == "Kept the baseline: its loss is zero, so there is nothing to gain."


def test_items_on_which_the_baseline_has_no_loss_are_judged_with_the_rest():
    candidate, baseline = sample(60, gain=0.4)
    candidate[:20], baseline[:20] = 0, 0
    assert judge(candidate, baseline).keep
    candidate[:20] = 100
    assert not judge(candidate, baseline).keep


@pytest.mark.parametrize("n", [1, 2, 3])
def test_three_items_never_carry_a_candidate(n):
    verdict = judge(np.full(n, 0.1), np.ones(n))
    assert not verdict.keep
    assert verdict.low == -np.inf
    assert "cannot bound a gain, at least 4 can" in verdict.sentence


def test_no_items_keep_the_baseline():
    verdict = judge([], [])
    assert not verdict.keep
    assert "there are no items to judge by" in verdict.sentence


@pytest.mark.parametrize(("n", "thin"), [(19, True), (20, False)])
def test_fewer_than_twenty_items_are_called_thin_evidence(n, thin):
    for gain in (0.6, -0.6):
        verdict = judge(*sample(n, gain=gain))
        assert verdict.keep == (gain > 0)
        assert verdict.thin == thin
        assert ("The evidence is thin: fewer than 20 items." in verdict.sentence) == thin


def test_a_verdict_goes_into_json_even_without_bounds():
    verdict = json.loads(json.dumps(to_plain(judge([1.0], [2.0]))))
    assert verdict["low"] is None
    assert verdict["gain"] == 0.5


def test_a_hundred_thousand_items_take_little_memory():
    candidate, baseline = sample(100_000, gain=0.02, tail=2.0)
    tracemalloc.start()
    verdict = judge(candidate, baseline, resamples=100)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert verdict.keep
    assert peak < 100e6


# Mistakes


@pytest.mark.parametrize("candidate", [np.ones(4), np.ones((5, 2)), 1.0])
def test_losses_of_other_items_are_refused_in_one_sentence(candidate):
    with pytest.raises(DataError, match="judge both on the same items"):
        judge(candidate, np.ones(5) if np.ndim(candidate) else 1.0)


def test_scores_below_zero_are_refused_in_one_sentence():
    with pytest.raises(DataError, match="needs losses of zero or more"):
        judge(-np.ones(5), np.ones(5))


@pytest.mark.parametrize("weights", [np.ones(4), -np.ones(5), np.full(5, np.nan)])
def test_weights_that_are_not_one_a_item_are_refused_in_one_sentence(weights):
    with pytest.raises(DataError, match="weights must be 5 finite numbers of zero or more"):
        judge(np.ones(5), np.ones(5), weights)


@pytest.mark.parametrize("options", [{"confidence": 1.0}, {"confidence": 0.0}, {"resamples": 10}])
def test_a_confidence_that_the_resamples_cannot_show_is_refused_in_one_sentence(options):
    with pytest.raises(RecipeError, match="choose a confidence between 0 and 1"):
        judge(np.ones(5), np.ones(5), **options)
