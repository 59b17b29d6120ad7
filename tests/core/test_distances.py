import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from torch.nn import functional

from stillroom.core.errors import ModelError
from stillroom.core.objectives import hidden_alignment, huber, pinball, quantile_match

LEVELS = [0.1, 0.25, 0.5, 0.9]


def values(*shape, seed=0, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)


def loss_and_gradient(function, first, *others, **options):
    leaf = first.clone().requires_grad_()
    loss = function(leaf, *others, **options)
    loss.backward()
    return loss.detach(), leaf.grad


# Pinball


def test_pinball_equals_the_formula_in_numpy():
    quantiles, target = values(3, 4, 6), values(3, 6, seed=1)
    error = target.numpy()[:, None, :] - quantiles.numpy()
    tau = np.array(LEVELS)[:, None]
    expected = np.where(error >= 0, tau * error, (tau - 1) * error).mean()
    assert pinball(quantiles, target, LEVELS).item() == pytest.approx(expected, rel=1e-12)


def test_pinball_is_half_the_reference_of_gluonts():
    quantile_loss = pytest.importorskip(
        "gluonts.ev.stats", reason="the reference value comes from gluonts"
    ).quantile_loss
    quantiles, target = values(3, 4, 6), values(3, 6, seed=1)
    forecast = {str(level): quantiles[:, i].numpy() for i, level in enumerate(LEVELS)}
    theirs = [quantile_loss({"label": target.numpy(), **forecast}, level).mean() for level in LEVELS]
    assert 2 * pinball(quantiles, target, LEVELS).item() == pytest.approx(np.mean(theirs), rel=1e-12)


@pytest.fixture(scope="module")
def bolt():
    upstream = pytest.importorskip("chronos.chronos_bolt", reason="the reference value comes from chronos-forecasting")
    from transformers import T5Config

    torch.manual_seed(0)
    config = T5Config(
        d_model=16,
        d_kv=8,
        d_ff=32,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=2,
        initializer_factor=0.05,
        pad_token_id=0,
        decoder_start_token_id=0,
        dense_act_fn="relu",
    )
    config.chronos_config = {
        "context_length": 32,
        "prediction_length": 8,
        "input_patch_size": 8,
        "input_patch_stride": 8,
        "quantiles": LEVELS,
        "use_reg_token": True,
    }
    return upstream.ChronosBoltModelForForecasting(config).eval()


@pytest.mark.parametrize("missing", [0, 5])
def test_pinball_doubled_and_summed_equals_the_reference_loss_of_chronos_bolt(bolt, missing):
    context, target = 3 + values(4, 32, dtype=torch.float32).cumsum(-1), values(4, 8, seed=1, dtype=torch.float32)
    target.view(-1)[torch.randperm(32, generator=torch.Generator().manual_seed(2))[:missing]] = torch.nan
    observed = ~target.isnan()
    with torch.no_grad():
        output = bolt(context=context, target=target.clone())
        _, scaling = bolt.instance_norm(context)
        quantiles, _ = bolt.instance_norm(output.quantile_preds.flatten(1), scaling)
        normalised_target, _ = bolt.instance_norm(target, scaling)
    ours = pinball(quantiles.view_as(output.quantile_preds), normalised_target, LEVELS, observed)
    steps_an_item = observed.sum() / len(target)
    torch.testing.assert_close(2 * ours * steps_an_item, output.loss, rtol=1e-4, atol=0)


def test_pinball_is_least_at_the_samples_quantile():
    sample = values(1, 2001)
    grid = torch.linspace(-2, 2, 401, dtype=torch.float64)
    losses = torch.stack([pinball(point.expand(1, 1, 2001), sample, [0.9]) for point in grid])
    assert grid[losses.argmin()].item() == pytest.approx(sample.quantile(0.9).item(), abs=0.011)


def test_pinball_gradients_equal_numerical_ones():
    mask = torch.tensor([[1, 1, 0], [1, 0, 1]])
    assert torch.autograd.gradcheck(
        lambda quantiles, target: pinball(quantiles, target, LEVELS, mask),
        (values(2, 4, 3).requires_grad_(), values(2, 3, seed=1).requires_grad_()),
    )


@settings(max_examples=60, deadline=None)
@given(
    hnp.arrays(np.float64, (2, 4, 3), elements=st.floats(-1e4, 1e4)),
    hnp.arrays(np.float64, (2, 3), elements=st.floats(-1e4, 1e4)),
    st.floats(0.01, 100),
)
def test_pinball_is_never_negative_and_scales_with_its_units(quantiles, target, scale):
    quantiles, target = torch.from_numpy(quantiles), torch.from_numpy(target)
    loss = pinball(quantiles, target, LEVELS).item()
    assert loss >= 0
    assert pinball(scale * quantiles, scale * target, LEVELS).item() == pytest.approx(scale * loss, rel=1e-9)


def test_missing_targets_change_neither_value_nor_gradient():
    quantiles, target = values(2, 4, 6), values(2, 6, seed=1)
    observed = torch.tensor([[1, 1, 1, 0, 1, 0], [0, 1, 1, 1, 0, 0]]).bool()
    expected = torch.stack(
        [pinball(quantiles[i, :, j : j + 1], target[i, j : j + 1], LEVELS) for i, j in observed.nonzero()]
    ).mean()
    target[~observed] = torch.nan
    loss, gradient = loss_and_gradient(pinball, quantiles, target, LEVELS, observed)
    torch.testing.assert_close(loss, expected)
    assert (gradient.transpose(1, 2)[~observed] == 0).all()
    assert gradient.isfinite().all()


def test_a_square_mask_is_read_along_the_horizon_not_the_levels():
    quantiles, target = values(4, 4, 4), values(4, 4, seed=1)
    mask = torch.ones(4, 4)
    mask[0, 2:] = 0
    torch.testing.assert_close(
        pinball(quantiles, target, LEVELS, mask), pinball(quantiles, target, LEVELS, mask[:, None, :])
    )


def test_a_target_that_is_missing_and_not_masked_shows():
    target = values(2, 6, seed=1)
    target[0, 0] = torch.nan
    assert pinball(values(2, 4, 6), target, LEVELS).isnan()


# Quantile matching


def test_quantile_match_equals_the_mean_absolute_difference_in_numpy():
    student, teacher = values(3, 4, 6), values(3, 4, 6, seed=1)
    mask = torch.tensor([1, 0, 1, 1, 0, 1]).bool()
    expected = np.abs(student.numpy() - teacher.numpy())[..., mask.numpy()].mean()
    assert quantile_match(student, teacher, mask).item() == pytest.approx(expected, rel=1e-12)


def test_quantile_match_over_many_levels_is_the_reference_wasserstein_distance():
    from scipy.stats import wasserstein_distance

    first, second = values(999), 0.5 + 2 * values(999, seed=1)
    ours = quantile_match(first.sort().values[:, None], second.sort().values[:, None])
    assert ours.item() == pytest.approx(wasserstein_distance(first.numpy(), second.numpy()), rel=1e-9)


def test_quantile_match_gradients_equal_numerical_ones():
    inputs = values(2, 4, 3).requires_grad_(), values(2, 4, 3, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(quantile_match, inputs)


def test_other_levels_are_refused_in_one_sentence():
    with pytest.raises(ModelError, match="the same levels and the same prediction length"):
        quantile_match(values(2, 4, 3), values(2, 9, 3))


# Huber


@pytest.mark.parametrize("delta", [0.3, 1.0, 5.0])
def test_huber_equals_the_formula_in_numpy(delta):
    prediction, target = 3 * values(4, 5), values(4, 5, seed=1)
    error = np.abs(prediction.numpy() - target.numpy())
    expected = np.where(error <= delta, error**2 / 2, delta * (error - delta / 2)).mean()
    assert huber(prediction, target, delta=delta).item() == pytest.approx(expected, rel=1e-12)


def test_huber_gradients_equal_numerical_ones():
    inputs = (3 * values(4, 5)).requires_grad_(), values(4, 5, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(huber, inputs)


# Hidden states


def test_hidden_alignment_equals_the_mean_squared_error_in_numpy():
    student, teacher = values(2, 5, 8), values(2, 5, 8, seed=1)
    mask = torch.tensor([[1, 1, 0, 0, 0], [1, 1, 1, 1, 0]])
    squares = ((student.numpy() - teacher.numpy()) ** 2)[mask.bool().numpy()]
    assert hidden_alignment(student, teacher, mask).item() == pytest.approx(squares.mean(), rel=1e-12)


def test_a_projection_bridges_two_widths_and_trains_along():
    projection = torch.nn.Linear(8, 12, bias=False).double()
    student, teacher = values(2, 5, 8), values(2, 5, 12, seed=1)
    loss, gradient = loss_and_gradient(hidden_alignment, student, teacher, projection=projection)
    torch.testing.assert_close(loss, functional.mse_loss(student @ projection.weight.T, teacher))
    assert gradient.abs().sum() > 0
    assert projection.weight.grad.abs().sum() > 0


def test_hidden_alignment_gradients_equal_numerical_ones():
    inputs = values(2, 3, 4).requires_grad_(), values(2, 3, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(hidden_alignment, inputs)


def test_two_widths_without_a_projection_are_refused_in_one_sentence():
    with pytest.raises(ModelError, match="give a projection between the widths"):
        hidden_alignment(values(2, 5, 8), values(2, 5, 12))


def test_a_projection_of_half_width_weights_meets_a_float32_teacher():
    projection = torch.nn.Linear(8, 12, dtype=torch.bfloat16)
    loss = hidden_alignment(values(2, 5, 8).bfloat16(), values(2, 5, 12, seed=1).float(), projection=projection)
    assert loss.dtype == torch.float32


# What all share

PAIRED = {quantile_match: (2, 4, 3), huber: (2, 4, 3), hidden_alignment: (2, 3, 4)}
every_pair = pytest.mark.parametrize(
    ("distance", "shape"), PAIRED.items(), ids=lambda item: getattr(item, "__name__", "")
)


@every_pair
def test_nan_outside_the_mask_changes_neither_value_nor_gradient(distance, shape):
    first, second = values(*shape), values(*shape, seed=1)
    mask = torch.zeros(shape if distance is huber else (2, 3)).bool()
    mask[0] = True
    clean = distance(first, second, mask)
    first[1], second[1] = torch.nan, torch.nan
    loss, gradient = loss_and_gradient(distance, first, second, mask)
    torch.testing.assert_close(loss, clean, rtol=1e-14, atol=0)
    assert (gradient[1] == 0).all()
    assert gradient.isfinite().all()


@every_pair
def test_a_mask_of_nothing_gives_zero_with_zero_gradient(distance, shape):
    mask = torch.zeros(shape if distance is huber else (2, 3))
    loss, gradient = loss_and_gradient(distance, values(*shape), values(*shape, seed=1), mask)
    assert loss == 0
    assert (gradient == 0).all()


def test_pinball_with_a_mask_of_nothing_is_zero_with_zero_gradient():
    loss, gradient = loss_and_gradient(pinball, values(2, 4, 3), values(2, 3), LEVELS, torch.zeros(2, 3))
    assert loss == 0
    assert (gradient == 0).all()


@every_pair
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(distance, shape, dtype):
    first, second = values(*shape, dtype=dtype), values(*shape, seed=1, dtype=dtype)
    assert distance(first, second).dtype == torch.float32
    assert distance(first, second) == distance(first.float(), second.float())


def test_pinball_in_half_precision_is_computed_in_float32():
    quantiles, target = values(2, 4, 3, dtype=torch.float16), values(2, 3, seed=1, dtype=torch.float16)
    assert pinball(quantiles, target, LEVELS) == pinball(quantiles.float(), target.float(), LEVELS)
