from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from stillroom.chronos.families import load
from stillroom.chronos.samples import TrainingWindows
from stillroom.core.errors import DataError
from stillroom.series.heldout import hold_out
from stillroom.series.panel import Item, Panel


@pytest.fixture(scope="module")
def bolt(folders):
    return load(folders["bolt"])


def windows(model, panel, **options) -> TrainingWindows:
    return TrainingWindows(model, panel, **{"horizon": 8, "context_length": 32, "batch_size": 4, **options})


def test_a_batch_depends_on_its_seed_and_number_alone(bolt, season_panel):
    first, second = windows(bolt, season_panel, seed=1), windows(bolt, season_panel, seed=1)
    second[0], second[7]  # drawing others first changes nothing
    for name, values in first[5].items():
        assert torch.equal(values, second[5][name].clone())
    assert not torch.equal(first[5]["target"], first[6]["target"])
    assert not torch.equal(first[5]["target"], windows(bolt, season_panel, seed=2)[5]["target"])


def test_every_window_is_a_stretch_of_its_series(bolt, season_panel):
    stretches = {item.target[0, t : t + 9].astype(np.float32).tobytes() for item in season_panel for t in range(88)}
    batch = windows(bolt, season_panel)[3]
    assert batch["context"].shape[1] <= 32
    for context, target in zip(batch["context"].numpy(), batch["target"].numpy(), strict=True):
        assert np.concatenate([context[-1:], target]).tobytes() in stretches


def test_windows_without_any_observed_value_are_drawn_again(bolt):
    values = np.full((1, 200), np.nan)
    values[0, 90:130] = np.arange(40)
    windowed = windows(bolt, Panel((Item("a", None, values),), None), batch_size=64)
    observed = [torch.isfinite(windowed[i]["target"]).any(dim=1).float().mean() for i in range(5)]
    assert np.mean(observed) > 0.9


def test_short_series_are_skipped_and_none_long_enough_is_refused(bolt, make_seasons):
    panel = Panel((*make_seasons(2, 40).items, *make_seasons(3, 15).items), "h")
    assert windows(bolt, panel).skipped == 3
    with pytest.raises(DataError, match="needs 16 steps of a series"):
        windows(bolt, make_seasons(3, 15))


def test_chronos2_takes_targets_covariates_and_what_is_known_of_the_future(folders):
    random = np.random.default_rng(0)
    item = Item(
        "a",
        None,
        random.standard_normal((2, 50)),
        past={"wind": random.standard_normal(50)},
        known={"price": np.arange(50.0), "sky": np.array(["clear", "rain"] * 25, dtype=object)},
    )
    model = load(folders["chronos2"])
    batch = windows(model, Panel((item, item), None, ("a", "b")), batch_size=3)[0]
    assert batch["group_ids"].tolist() == [0] * 5 + [1] * 5 + [2] * 5
    target, known = batch["target"].view(3, 5, 8), batch["future_covariates"].view(3, 5, 8)
    assert torch.isfinite(target[:, :2]).all()
    assert torch.isnan(target[:, 2:]).all()
    assert torch.isnan(known[:, :3]).all()
    assert torch.isfinite(known[:, 3:]).all()
    price = batch["context"].view(3, 5, -1)[:, 3, -1]
    assert torch.equal(known[:, 3, 0], price + 1)  # the price goes on where its past ended


@pytest.mark.parametrize("kind", ["bolt", "chronos2"])
def test_no_training_batch_holds_a_held_out_value(folders, season_panel, kind):
    def marked(item: Item) -> Item:
        target = item.target.copy()
        target[:, -16:] = 1e6
        return replace(item, target=target)

    panel = Panel(tuple(marked(item) for item in season_panel), season_panel.freq)
    drawn = windows(load(folders[kind]), hold_out(panel, 8).train, context_length=64, batch_size=16)
    for index in range(50):
        batch = drawn[index]
        assert np.nanmax(batch["context"].numpy()) < 1e3
        assert np.nanmax(batch["target"].numpy()) < 1e3
