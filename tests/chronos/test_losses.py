from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from stillroom.chronos.families import load
from stillroom.chronos.losses import LOSSES, quantile_losses, token_losses, token_pass
from stillroom.core.objectives import top_k


@pytest.fixture(scope="module")
def models(folders):
    return {kind: load(folder) for kind, folder in folders.items()}


def batch(rows=5, time=60, horizon=8, seed=0):
    random = torch.Generator().manual_seed(seed)
    context = torch.randn(rows, time, generator=random).cumsum(dim=1)
    target = context[:, -1:] + torch.randn(rows, horizon, generator=random)
    context[1, :20], target[2, 3:] = torch.nan, torch.nan
    return {"context": context, "target": target}


def test_bolts_pinball_is_its_own_loss_in_other_units_reference(models):
    """Upstream sums over the horizon and doubles; without missing values 2 · horizon · pinball is its loss."""
    data = batch()
    data["target"] = torch.nan_to_num(data["target"], nan=0.5)
    upstream = models["bolt"].model(context=data["context"], target=data["target"].clone()).loss
    ours = quantile_losses(models["bolt"].model, data)["pinball"]
    assert ours.item() == pytest.approx(upstream.item() / (2 * 8), rel=1e-5)


@pytest.mark.parametrize("horizon", [5, 8, 13])
def test_chronos2s_pinball_is_its_own_loss_in_other_units_reference(models, horizon):
    """Upstream sums over levels and divides by all steps of its patches, also those beyond the horizon."""
    network, data = models["chronos2"].model, batch(horizon=horizon)
    data["target"] = torch.nan_to_num(data["target"], nan=0.5)
    patches = -(-horizon // 8)
    upstream = network(context=data["context"], future_target=data["target"], num_output_patches=patches).loss
    ours = quantile_losses(network, data)["pinball"]
    levels = len(models["chronos2"].quantile_levels)
    assert ours.item() == pytest.approx(upstream.item() / (2 * levels) * patches * 8 / horizon, rel=1e-5)


def test_t5s_cross_entropy_is_transformers_own_reference(models):
    model, data = models["t5"], batch()
    tokenizer = model.pipeline.tokenizer
    ids, mask, scale = tokenizer.context_input_transform(data["context"])
    labels, seen = tokenizer.label_input_transform(data["target"], scale)
    labels = labels[:, :-1].masked_fill(~seen[:, :-1], -100)
    upstream = model.model(input_ids=ids, attention_mask=mask.long(), labels=labels).loss
    assert token_losses(model.model, data)["cross_entropy"].item() == pytest.approx(upstream.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["bolt", "chronos2", "t5"])
def test_missing_targets_neither_count_nor_carry_gradient(models, kind):
    model, data = copy.deepcopy(models[kind].model), batch()
    data["target"][:] = torch.nan
    (loss,) = LOSSES[kind](model, data).values()
    loss.backward()
    assert loss.item() == 0
    assert all(p.grad is None or not p.grad.any() for p in model.parameters())


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_a_jump_after_a_constant_history_does_not_drown_the_other_series(models, kind):
    data = batch()
    expected = quantile_losses(models[kind].model, data)["pinball"]
    constant = torch.full((1, 60), 3.0)
    with_jump = {
        "context": torch.cat([data["context"], constant, torch.full((1, 60), torch.nan)]),
        "target": torch.cat([data["target"], torch.full((2, 8), 1e6)]),
    }
    assert quantile_losses(models[kind].model, with_jump)["pinball"].item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_a_large_mean_costs_no_precision(models, kind):
    """2^16 is exact in single precision, so the shifted series is the same series, but for its mean."""
    random = torch.Generator().manual_seed(0)
    context = torch.randint(-8, 8, (3, 64), generator=random).float()
    data = {"context": context, "target": torch.randint(-8, 8, (3, 8), generator=random).float()}
    shifted = {name: values + 2**16 for name, values in data.items()}
    plain = quantile_losses(models[kind].model, data)["pinball"].item()
    assert quantile_losses(models[kind].model, shifted)["pinball"].item() == pytest.approx(plain, rel=1e-3)


def test_quantile_match_is_the_distance_in_the_students_scale(models):
    model, data = models["bolt"].model, batch()
    with torch.no_grad():
        own = model(context=data["context"]).quantile_preds
    same = quantile_losses(model, data | {"teacher_quantiles": own})["quantile_match"]
    deviation = torch.tensor(np.nanstd(data["context"].numpy(), axis=1))[:, None, None]
    shifted = quantile_losses(model, data | {"teacher_quantiles": own + 3 * deviation})["quantile_match"]
    assert same.item() < 1e-5
    assert shifted.item() == pytest.approx(3.0, rel=1e-4)


def test_a_live_teacher_and_its_stored_words_give_the_same_losses(models):
    data = batch()
    said = {"teacher_quantiles": torch.randn(5, 9, 8, generator=torch.Generator().manual_seed(1))}
    live = quantile_losses(models["bolt"].model, data, lambda _: said)
    stored = quantile_losses(models["bolt"].model, data | said)
    assert live == stored


def test_all_top_tokens_equal_the_whole_distribution(models):
    model, data = models["t5"].model, batch()
    with torch.no_grad():
        other = token_pass(model, data)[0].roll(1, dims=-1)
    top = top_k(other, 64)
    stored = {"teacher_indices": top.indices, "teacher_log_probs": top.log_probs, "teacher_tail": top.tail_log_prob}
    dense = token_losses(model, data | {"teacher_logits": other})["forward_kl"]
    assert token_losses(model, data | stored)["forward_kl"].item() == pytest.approx(dense.item(), rel=1e-4)
    assert dense.item() > 0


def test_covariates_that_are_known_ahead_reach_chronos2(models):
    data = batch(rows=4)
    data["target"][[1, 3]] = torch.nan
    data["group_ids"] = torch.tensor([0, 0, 1, 1])
    known = torch.full((4, 8), torch.nan)
    known[[1, 3]] = torch.randn(2, 8, generator=torch.Generator().manual_seed(3)) * 10
    without = quantile_losses(models["chronos2"].model, data)["pinball"]
    assert quantile_losses(models["chronos2"].model, data | {"future_covariates": known})["pinball"] != without
