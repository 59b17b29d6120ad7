from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from stillroom.core import adapters, objectives
from stillroom.core.adapters import AdapterSpec
from stillroom.core.errors import ModelError
from stillroom.units.architecture import UNITS
from stillroom.units.losses import FAR, losses, relations

LEVELS = np.arange(1, 10) / 10


def batch(rows=4, variables=2, time=24, horizon=8, seed=0):
    """Walks whose last steps are asked for; the second row is shorter, its second variable is padding."""
    random = torch.Generator().manual_seed(seed)
    whole = torch.randn(rows, variables, time + horizon, generator=random).cumsum(-1) * 3 + 100
    present = torch.ones(rows, variables, time, dtype=torch.bool)
    present[1, :, :9], present[1, 1] = False, False
    values = whole[..., :time].clone()
    values[0, 0, 4:7] = torch.nan
    values[~present] = torch.nan
    truth = whole.clone()
    truth[2, 0, -3:] = torch.nan
    truth[1, 1] = torch.nan
    asked = torch.zeros_like(whole, dtype=torch.bool)
    asked[..., time:] = True
    return {"values": values, "present": present, "task": "forecast", "truth": truth, "asked": asked}


def labelled(rows=5, seed=0):
    data = batch(rows, seed=seed)
    return {name: data[name] for name in ("values", "present")} | {
        "task": "gestures",
        "labels": torch.arange(rows) % 3,
    }


def test_the_text_and_the_series_families_run_the_very_same_objective_functions():
    from stillroom.chronos import losses as chronos
    from stillroom.language import losses as language
    from stillroom.units import losses as units

    for name in ("forward_kl", "cross_entropy", "hidden_alignment"):
        assert getattr(units, name) is getattr(language, name) is objectives.OBJECTIVES[name]
    for name in ("pinball", "quantile_match", "forward_kl", "cross_entropy"):
        assert getattr(units, name) is getattr(chronos, name) is objectives.OBJECTIVES[name]
    assert language._LIVE["forward_kl"] is units.losses.__globals__["forward_kl"]
    assert language._alike_in_relations.__globals__["hidden_alignment"] is units.hidden_alignment


def test_pinball_and_squared_error_are_means_over_what_is_asked_and_known_in_each_variables_own_scale(network):
    data = batch()
    said = network(data["values"], data["present"], 8, "forecast")
    values = np.ma.masked_invalid(data["values"].double().numpy())
    loc, scale = values.mean(-1, keepdims=True).filled(0), values.std(-1, keepdims=True).filled(1)
    truth = (data["truth"].double().numpy() - loc) / scale
    counts = data["asked"].numpy() & np.isfinite(truth) & (np.abs(truth) <= FAR)
    error = truth[..., None] - said.quantiles.double().numpy()
    found = losses(network, data)
    expected = np.maximum(LEVELS * error, (LEVELS - 1) * error)[counts].mean()
    assert found["pinball"].item() == pytest.approx(expected, rel=1e-4)
    squares = np.square(truth - said.values.double().numpy())[counts]
    assert found["mse"].item() == pytest.approx(squares.mean(), rel=1e-4)
    assert counts.sum() == 4 * 2 * 8 - 8 - 3


def test_shifting_and_scaling_a_series_changes_no_loss(network):
    data = batch()
    other = {**data, "values": data["values"] * 64 - 512, "truth": data["truth"] * 64 - 512}
    for name, loss in losses(network, data).items():
        torch.testing.assert_close(losses(network, other)[name], loss, rtol=1e-3, atol=1e-5)


def test_more_padding_changes_no_loss(network):
    data = batch()
    wider = {
        "values": torch.nn.functional.pad(data["values"], (5, 0, 0, 1), value=torch.nan),
        "present": torch.nn.functional.pad(data["present"], (5, 0, 0, 1)),
        "task": "forecast",
        "truth": torch.nn.functional.pad(data["truth"], (5, 0, 0, 1), value=torch.nan),
        "asked": torch.nn.functional.pad(data["asked"], (5, 0, 0, 1)),
    }
    for name, loss in losses(network, data).items():
        torch.testing.assert_close(losses(network, wider)[name], loss, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("what", ["unknown", "far away", "after a constant", "after nothing", "not asked for"])
def test_what_nobody_could_say_does_not_count_and_carries_no_gradient(network, what):
    data = batch()
    if what == "unknown":
        data["truth"][:] = torch.nan
    elif what == "far away":
        data["truth"][..., 24:] = 1e6
    elif what == "after a constant":
        data["values"][:] = 7.0
    elif what == "after nothing":
        data["values"][:] = torch.nan
    else:
        data["asked"][:] = False
    model = copy.deepcopy(network).requires_grad_(True)
    total = sum(losses(model, data).values())
    total.backward()
    assert total.item() == 0
    assert all(weight.grad is None or not weight.grad.any() for weight in model.parameters())


def test_classes_are_learned_by_cores_cross_entropy_with_and_without_smoothing(network):
    data = labelled()
    logits = network(data["values"], data["present"], 0, "gestures").class_logits
    (loss,) = losses(network, data).values()
    torch.testing.assert_close(loss, torch.nn.functional.cross_entropy(logits, data["labels"]))
    smooth = losses(network, data, smoothing=0.2)["cross_entropy"]
    torch.testing.assert_close(smooth, torch.nn.functional.cross_entropy(logits, data["labels"], label_smoothing=0.2))


def test_a_forecasters_quantiles_are_matched_in_the_students_scale(network):
    data = batch()
    said = network(data["values"], data["present"], 8, "forecast")
    own = (said.loc[..., None] + said.scale[..., None] * said.quantiles)[:, :, -8:]
    own[1, 1] = torch.nan  # a padding variable, of which nothing is said
    assert losses(network, data | {"teacher_quantiles": own})["quantile_match"].item() < 1e-5
    moved = own + 3 * said.scale[..., None]
    assert losses(network, data | {"teacher_quantiles": moved})["quantile_match"].item() == pytest.approx(3, rel=1e-4)
    absurd = torch.where(torch.arange(4)[:, None, None, None] == 3, 1e9, moved)  # one row that means nothing
    assert losses(network, data | {"teacher_quantiles": absurd})["quantile_match"].item() == pytest.approx(3, rel=1e-4)


def test_a_teacher_that_is_the_student_itself_teaches_nothing(network):
    teacher = copy.deepcopy(network)
    for data, names in ((batch(), ("huber", "quantile_match", "hidden")), (labelled(), ("forward_kl", "hidden"))):
        found = losses(network, data, teacher)
        for name in names:
            assert abs(found[name].item()) < 1e-6
        assert not {"huber", "forward_kl"} <= set(found)


def test_a_teacher_of_another_width_teaches_and_is_not_taught(make_network, network):
    teacher = make_network(seed=3, d_model=24).requires_grad_(True)
    student = copy.deepcopy(network).requires_grad_(True)
    for data in (batch(), labelled()):
        found = losses(student, data, teacher, temperature=2.0)
        assert all(torch.isfinite(loss) and loss > 0 for loss in found.values())
        sum(found.values()).backward()
    assert all(weight.grad is None for weight in teacher.parameters())
    theirs, ours = (model(labelled()["values"], labelled()["present"], 0, "gestures") for model in (teacher, student))
    expected = objectives.forward_kl(ours.class_logits, theirs.class_logits, temperature=2.0)
    torch.testing.assert_close(losses(student, labelled(), teacher, temperature=2.0)["forward_kl"], expected)


def test_relations_do_not_change_when_hidden_states_are_turned_or_scaled():
    random = torch.Generator().manual_seed(0)
    hidden, present = torch.randn(2, 3, 7, 5, generator=random), torch.ones(2, 3, 7, dtype=torch.bool)
    turn = torch.linalg.qr(torch.randn(5, 5, generator=random))[0]
    torch.testing.assert_close(relations(hidden @ turn * 3, present), relations(hidden, present))
    present[0, 0, :4] = False
    assert not relations(hidden, present)[0, 0, :4].any()
    assert not relations(hidden, present)[0, 0, :, :4].any()


def test_hidden_states_of_other_patches_cannot_be_compared(make_network, network):
    with pytest.raises(ModelError, match="give the student the teacher's patch_size"):
        losses(network, batch(), make_network(patch_size=8))
    found = losses(network, batch(), make_network(patch_size=8), names=("pinball", "huber"))
    assert found["huber"] > 0


def test_every_batch_has_the_losses_that_are_named(network):
    names = ("pinball", "mse", "cross_entropy", "quantile_match")
    for data in (batch(), labelled()):
        found = losses(network, data, names=names)
        assert tuple(found) == names
        for name, loss in losses(network, data).items():
            torch.testing.assert_close(found[name], loss)
    assert losses(network, labelled(), names=names)["pinball"] == 0


def test_losses_see_through_an_adapter(network):
    plain = losses(network, batch())
    adapted = adapters.attach(copy.deepcopy(network), AdapterSpec(method="lora", rank=2), UNITS)
    for data in (batch(), labelled()):
        assert all(loss.requires_grad for loss in losses(adapted, data).values())
    for name, loss in losses(adapted, batch()).items():
        torch.testing.assert_close(loss, plain[name])


def test_where_processes_share_gradients_every_weight_has_one_whatever_its_batch_is_about(network, tmp_path):
    """Each process may have drawn another task, and a weight without a gradient in one would stop all of them."""
    model = copy.deepcopy(network).requires_grad_(True)
    alone = losses(model, labelled())["cross_entropy"]
    alone.backward()
    before = {name: weight.grad for name, weight in model.named_parameters()}
    assert before["value_head.output.weight"] is None
    model.zero_grad(set_to_none=True)
    torch.distributed.init_process_group("gloo", init_method=f"file://{tmp_path / 'rendezvous'}", rank=0, world_size=1)
    try:
        shared = losses(model, labelled())["cross_entropy"]
    finally:
        torch.distributed.destroy_process_group()
    shared.backward()
    assert shared.item() == alone.item()
    for name, weight in model.named_parameters():
        expected = torch.zeros_like(weight) if before[name] is None else before[name]
        torch.testing.assert_close(weight.grad, expected)
