from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from stillroom.core.errors import DataError
from stillroom.units.judging import MOST, Marks, assess, examine, judges, parted, verdict
from stillroom.units.sources import Source
from stillroom.units.stream import Mix, held_out
from stillroom.units.windows import Items, Labelled, Synthetic

MIX = Mix(jobs={"forecast": 2.0, "impute": 1.0, "classify": 1.0}, context_lengths=(16, 32), horizons=(4, 8), cells=2000)
FILL = {"forecast": 1.0, "impute": 1.0}


def waves(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [np.sin(np.arange(t) / 3 + rng.uniform(0, 6, (v, 1))).astype(np.float32) + 0 * v for v, t in sizes]


def panel(*sizes, name="panel"):
    return Source(name, FILL, 0.5, Items(waves((1, 90))), Items(waves(*sizes)))


def gestures(count=13):
    labels = np.arange(count) % 3
    held = Labelled(waves(*[(1, 30)] * count), labels=labels)
    return Source("gestures", {"classify": 1.0}, 0.0, held, held, ("left", "right", "still"))


def test_items_go_to_one_half_or_the_other_and_classes_are_in_both():
    sources = [panel(*[(1, 40 + k) for k in range(7)]), gestures()]
    chooses, own = parted(sources)
    lengths = [sorted(one.shape[1] for one in half[0].held_out.series) for half in (chooses, own)]
    assert lengths == [[40, 42, 44, 46], [41, 43, 45]]
    labels = [np.bincount(half[1].held_out.labels).tolist() for half in (chooses, own)]
    assert np.sum(labels, axis=0).tolist() == [5, 4, 4]
    assert np.min(labels) == 2
    assert all(half[0].train is sources[0].train for half in (chooses, own))


def test_of_a_single_item_the_later_half_chooses_and_the_earlier_one_judges():
    source = panel((2, 41))
    ((chooses,), (own,)) = parted([source])
    (values,) = source.held_out.series
    np.testing.assert_array_equal(chooses.held_out.series[0], values[:, 20:])
    np.testing.assert_array_equal(own.held_out.series[0], values[:, :20])
    ((_,), (nothing,)) = parted([panel((2, 7))])
    assert nothing.held_out is None


def test_windows_that_judge_do_not_overlap_and_cover_what_is_held_out():
    values = np.arange(100, dtype=np.float32).reshape(1, -1) + np.array([[0.0], [1000.0], [2000.0]], dtype=np.float32)
    source = Source("counting", {"forecast": 1.0}, 0.5, Items([values]), Items([values]))
    mix = Mix(jobs={"forecast": 1.0}, context_lengths=(16,), horizons=(4, 8), variables=2)
    (batches,) = judges([source], mix, patch_size=4).values()
    seen = np.concatenate([batch["truth"].numpy()[batch["present"].any(-1).numpy()] for batch in batches])
    assert seen.shape == (3 * 4, 24)  # three variables, four windows of 16 + 8 steps each
    assert len(np.unique(seen)) == seen.size
    assert np.sort(seen[seen < 1000])[-1] == 99
    assert all(int(batch["asked"].sum()) == 8 * int(batch["present"].any(-1).sum()) for batch in batches)


def test_many_windows_are_thinned_and_series_shorter_than_a_window_judge_whole():
    source = panel((1, 24 * (MOST + 50)))
    batches = judges([source], MIX.model_copy(update={"jobs": {"impute": 1.0}}))["impute/panel"]
    assert sum(len(batch["values"]) for batch in batches) == MOST
    short = judges([panel((1, 9))], MIX.model_copy(update={"jobs": {"impute": 1.0}}))["impute/panel"]
    assert short[0]["values"].shape == (1, 1, 9)


def test_what_judges_is_the_same_each_time_and_nothing_held_out_is_said():
    sources = [panel((1, 60)), gestures(), Source("synthetic", FILL, 0, Synthetic({"seasonal": 1}), None)]
    for one, other in zip(judges(sources, MIX).values(), judges(sources, MIX).values(), strict=True):
        for batch, same in zip(one, other, strict=True):
            torch.testing.assert_close(batch["values"], same["values"], equal_nan=True)
    with pytest.raises(DataError, match="Nothing is held out to judge by"):
        judges(sources[2:], MIX.model_copy(update={"jobs": FILL}))


def test_a_network_that_is_right_costs_nothing_and_the_uncertain_costs_its_brier_score(network):
    batches = {
        "classify/gestures": held_out([gestures()], MIX.model_copy(update={"jobs": {"classify": 1.0}}))[
            "classify/gestures"
        ]
    }
    batch = batches["classify/gestures"][0]
    shares = network(batch["values"], batch["present"], 0, "gestures").class_logits.softmax(-1).numpy()
    truth = np.eye(3)[batch["labels"].numpy()]
    marks = examine(batches, network)
    np.testing.assert_allclose(
        marks.losses["classify/gestures"][: len(truth)], ((shares - truth) ** 2).sum(1), rtol=1e-5
    )
    right = (shares.argmax(1) == truth.argmax(1)).mean()
    assert marks.means()["accuracy/gestures"] == pytest.approx(right)
    perfect = copy.deepcopy(batches)
    for batch in perfect["classify/gestures"]:
        batch["labels"] = network(batch["values"], batch["present"], 0, "gestures").class_logits.argmax(-1)
    assert examine(perfect, network).means()["accuracy/gestures"] == 1


def test_a_forecast_costs_twice_its_pinball_loss_in_scales_however_its_quantiles_are_ordered(network):
    (batch,) = judges([panel((2, 24))], Mix(jobs={"forecast": 1.0}, context_lengths=(16,), horizons=(8, 8)))[
        "forecast/panel"
    ]
    said = network(batch["values"], batch["present"], 8, "forecast")
    truth = (batch["truth"] - said.loc) / said.scale
    levels = np.arange(1, 10) / 10
    error = (truth[..., None] - said.quantiles.sort(-1).values)[:, :, -8:].numpy()
    expected = 2 * np.maximum(levels * error, (levels - 1) * error).mean()
    assert examine({"forecast/panel": [batch]}, network).means()["forecast/panel"] == pytest.approx(expected, rel=1e-4)


def test_somebody_elses_forecasts_are_judged_on_the_same_scales(network):
    held = judges([panel((2, 50)), gestures()], MIX)

    def own(batch):
        if batch["task"] != "forecast":
            return {}
        said = network(batch["values"], batch["present"], 8, "forecast")
        return {"teacher_quantiles": (said.loc[..., None] + said.scale[..., None] * said.quantiles)[:, :, -8:]}

    marks, other = examine(held, network), examine(held, network, own)
    assert set(other.losses) == {"forecast/panel"}
    np.testing.assert_allclose(other.losses["forecast/panel"], marks.losses["forecast/panel"], rtol=1e-4)


def test_the_loss_that_chooses_is_the_mean_over_jobs_by_their_weights(network):
    held = judges([panel((1, 60)), gestures()], MIX)
    weights = {"forecast/panel": 3.0, "impute/panel": 1.0, "classify/gestures": 4.0}
    found = assess(held, weights, network)
    assert found["loss"] == pytest.approx(sum(weights[name] * found[name] for name in weights) / 8)
    assert set(found) == {*weights, "loss", "accuracy/gestures"}


def test_nothing_to_judge_by_is_nan_and_not_zero(network):
    held = judges([panel((1, 60))], MIX.model_copy(update={"jobs": {"forecast": 1.0}}))
    for batch in held["forecast/panel"]:
        batch["truth"][:] = torch.nan
    assert np.isnan(assess(held, {"forecast/panel": 1.0}, network)["loss"])


def test_every_job_weighs_alike_in_the_verdict_however_many_items_it_has():
    few, many = np.full(30, 0.5), np.full(3000, 5.0)
    base = Marks({"a": few, "b": many}, {})
    assert verdict(Marks({"a": few * 0.8, "b": many}, {}), base).gain == pytest.approx(0.1)
    assert verdict(Marks({"a": few * 0.8, "b": many * 0.8}, {}), base).keep
    assert not verdict(Marks({"a": few * 0.8, "b": many * 1.3}, {}), base).keep
    assert not verdict(base, base).keep


def test_examining_leaves_the_network_in_the_mode_it_was_in(make_network):
    network = make_network(dropout=0.5).train()
    held = judges([panel((1, 60))], MIX.model_copy(update={"jobs": FILL}))
    assert examine(held, network).means() == examine(held, network).means()
    assert network.training
