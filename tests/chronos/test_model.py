from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from stillroom.chronos.families import load
from stillroom.chronos.model import at_levels
from stillroom.chronos.ungrouped import ungrouped
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.series.panel import Item, Panel
from stillroom.series.windows import Window

LEVELS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)


def window(*series, horizon=8, targets=("target",), known=None) -> Window:
    items = tuple(
        Item(str(i), None, np.atleast_2d(np.asarray(values, dtype=np.float64)), known=known or {})
        for i, values in enumerate(series)
    )
    return Window(Panel(items, None, targets), horizon, 1)


@pytest.fixture(scope="module")
def models(folders):
    return {kind: load(folder) for kind, folder in folders.items()}


HARD = {
    "nothing": [],
    "one value": [3.0],
    "shorter than a patch": [1.0, 2.0, 1.5],
    "all missing": [np.nan] * 20,
    "constant": [7.0] * 40,
    "zero": [0.0] * 40,
    "gaps": [1.0, np.nan, 2.0, np.nan, np.nan, 3.0] * 5,
    "large": (1e15 + 1e13 * np.sin(np.arange(50))).tolist(),
    "small": (1e-12 * np.sin(np.arange(50))).tolist(),
    "longer than the context": np.sin(np.arange(300)).tolist(),
}


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
@pytest.mark.parametrize("horizon", [1, 8, 40])
def test_hard_series_give_finite_sorted_quantiles_at_any_horizon(models, kind, horizon):
    quantiles = models[kind].predict(window(*HARD.values(), horizon=horizon), LEVELS)
    assert quantiles.shape == (len(HARD), 1, horizon, len(LEVELS))
    assert np.isfinite(quantiles).all()
    assert (np.diff(quantiles, axis=-1) >= 0).all()


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_a_series_is_forecast_alike_alone_and_in_company(models, kind):
    together = models[kind].predict(window(*HARD.values()), LEVELS)
    for i, values in enumerate(HARD.values()):
        alone = models[kind].predict(window(values), LEVELS)
        scale = np.abs(alone).max() or 1.0
        np.testing.assert_allclose(together[i] / scale, alone[0] / scale, atol=1e-5)


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
def test_levels_may_come_in_any_order_and_between_the_trained_ones(models, kind):
    asked = (0.95, 0.05, 0.5, 0.33)
    values = window(np.sin(np.arange(60) / 3))
    quantiles = models[kind].predict(values, asked)
    ascending = models[kind].predict(values, sorted(asked))
    np.testing.assert_array_equal(quantiles, ascending[..., [3, 0, 2, 1]])


@pytest.mark.parametrize("levels", [(), (0.0, 0.5), (0.5, 1.0), (-0.1,)])
def test_levels_outside_the_open_unit_interval_are_refused(models, levels):
    with pytest.raises(RecipeError, match="strictly between 0 and 1"):
        models["bolt"].predict(window([1.0, 2.0]), levels)


def test_values_that_single_precision_cannot_scale_are_refused_by_name(models):
    with pytest.raises(DataError, match="'1' has values beyond"):
        models["bolt"].predict(window([1.0, 2.0], [1e30, 2.0]), LEVELS)


@pytest.mark.parametrize("kind", ["bolt", "t5"])
def test_bolt_and_t5_refuse_covariates_and_several_targets_in_one_sentence(models, kind):
    with pytest.raises(ModelError, match="takes no covariates and was given price"):
        models[kind].predict(window(np.ones(20), known={"price": np.ones(28)}), LEVELS)
    with pytest.raises(ModelError, match="forecasts one target and was given 2"):
        models[kind].predict(window(np.ones((2, 20)), targets=("a", "b")), LEVELS)


def test_the_point_forecast_is_the_median_but_the_mean_of_sample_paths_for_t5(models):
    values = window(np.sin(np.arange(60) / 3))
    for kind, model in models.items():
        quantiles, point = model.predict_with_point(values, [0.5])
        assert np.allclose(quantiles[..., 0], point) == (kind != "t5")


def test_t5_draws_the_same_paths_each_time_and_leaves_the_callers_randomness_alone(models):
    values = window(np.sin(np.arange(60) / 3))
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    first = models["t5"].predict(values, LEVELS)
    assert torch.equal(torch.rand(1), expected)
    np.testing.assert_array_equal(first, models["t5"].predict(values, LEVELS))


def test_a_network_in_training_mode_forecasts_without_dropout_and_stays_in_training_mode(models):
    model, values = models["chronos2"], window(np.sin(np.arange(60) / 3))
    expected = model.predict(values, LEVELS)
    model.model.train()
    try:
        np.testing.assert_array_equal(model.predict(values, LEVELS), expected)
        assert model.model.training
    finally:
        model.model.eval()


def test_single_series_need_no_group_attention_reference(models):
    """The short way must change no bit, at a size where matrix kernels differ between shapes too."""
    network = models["chronos2"].model
    context = torch.randn(37, 61, generator=torch.Generator().manual_seed(0))
    context[:20, :33] = torch.nan
    with torch.no_grad():
        upstream = network(context=context, num_output_patches=2).quantile_preds
        with ungrouped(network):
            short = network(context=context, num_output_patches=2).quantile_preds
        again = network(context=context, num_output_patches=2).quantile_preds
    assert torch.equal(upstream, short)
    assert torch.equal(upstream, again)


@example(values=[0.0, 15377.0, 15377.0], want=[0.6189261009451462])
@given(
    values=st.lists(st.floats(-1e6, 1e6, width=32), min_size=3, max_size=9),
    want=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6),
)
@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_interpolated_quantiles_stay_within_the_trained_ones_and_do_not_cross(values, want):
    have = np.linspace(0.1, 0.9, len(values))
    quantiles = at_levels(np.array(values), have, want)
    assert ((quantiles >= min(values)) & (quantiles <= max(values))).all()
    assert (np.diff(quantiles[np.argsort(want, kind="stable")]) >= 0).all()


@given(want=st.lists(st.floats(0.001, 0.999), min_size=1, max_size=6, unique=True))
@settings(max_examples=50, deadline=None)
def test_interpolation_equals_numpys_reference(want):
    have, values = np.array([0.05, 0.1, 0.5, 0.9]), np.array([-3.0, 0.0, 1.0, 7.0])
    np.testing.assert_allclose(at_levels(values, have, want), np.interp(want, have, values), atol=1e-6)


def test_half_precision_forecasts_nearly_the_same(folders):
    values = window(np.sin(np.arange(60) / 3))
    for kind in ("bolt", "chronos2"):
        full, half = (load(folders[kind], dtype=dtype).predict(values, LEVELS) for dtype in ("float32", "bfloat16"))
        assert 0 < np.abs(full - half).max() < 0.05 * np.abs(full).max()
