from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch.utils.data import DataLoader

from stillroom.core.batches import BatchStream
from stillroom.core.errors import DataError, RecipeError
from stillroom.units.sources import EVERY, Source
from stillroom.units.stream import Mix, Stream, ahead, held_out, hiding, labelled
from stillroom.units.windows import Items, Labelled, Synthetic

JOBS = {"forecast": 0.4, "impute": 0.3, "detect": 0.1, "classify": 0.2}
SMALL = {"context_lengths": (16, 32, 64), "horizons": (4, 24), "variables": 4, "cells": 4000}


def waves(*sizes, seed=0):
    rng = np.random.default_rng(seed)
    return [np.sin(np.arange(t) / 5 + rng.uniform(0, 6, (v, 1))).astype(np.float32) for v, t in sizes]


def source(name="real", jobs=EVERY, sizes=((5, 200), (1, 90), (2, 20)), multivariate=0.5):
    return Source(name, jobs, multivariate, Items(waves(*sizes)), Items(waves(*sizes, seed=1)))


def classes(name="shapes", count=12, held=3):
    def some(count, seed):
        return Labelled(waves(*[(2, 40 + k) for k in range(count)], seed=seed), labels=np.arange(count) % 3)

    return Source(name, {"classify": 1.0}, 0.5, some(count, 0), some(held, 1), ("a", "b", "c"))


def made():
    shares = Synthetic({"seasonal": 1.0})
    return Source("synthetic", EVERY, 0.3, shares, shares)


def all_sources():
    return [source(), made(), classes()]


def stream(sources=None, jobs=JOBS, batch_size=16, seed=0, **mix):
    return Stream(sources or all_sources(), Mix(jobs=jobs, **{**SMALL, **mix}), batch_size=batch_size, seed=seed)


def same(one, other):
    assert one.keys() == other.keys()
    for name, value in one.items():
        if isinstance(value, str):
            assert value == other[name]
        else:
            torch.testing.assert_close(value, other[name], rtol=0, atol=0, equal_nan=True)


def test_a_batch_depends_on_the_seed_and_its_number_alone():
    one, other = stream(), stream()
    forwards = [one[number] for number in range(12)]
    for number in reversed(range(12)):
        same(forwards[number], other[number])
    with pytest.raises(AssertionError):
        same(forwards[0], stream(seed=1)[0])


def test_no_global_random_state_is_touched():
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    for number in range(8):
        stream()[number]
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])


def test_the_trainers_loader_hands_batches_on_as_they_are():
    loader = iter(DataLoader(BatchStream(stream(), batch_size=1, start=3), batch_size=None))
    for number in (3, 4, 5):
        same(next(loader), stream()[number])


@settings(max_examples=60, deadline=None)
@given(index=st.integers(0, 2**40), seed=st.integers(0, 2**31))
def test_every_batch_is_what_the_losses_read(index, seed):
    batch = stream(seed=seed)[index]
    values, present = batch["values"], batch["present"]
    assert values.dtype == torch.float32
    assert values.shape == present.shape
    assert present.any(dim=2).any(dim=1).all()
    assert torch.isnan(values[~present]).all()
    assert not torch.isinf(values).any()
    assert values.numel() <= 4000 + 64
    if "labels" in batch:
        assert batch["task"] == "shapes"
        assert batch["labels"].dtype == torch.int64
        assert batch["labels"].shape == values.shape[:1]
        assert set(batch["labels"].tolist()) <= {0, 1, 2}
        return
    truth, asked = batch["truth"], batch["asked"]
    horizon = truth.shape[2] - values.shape[2]
    assert truth.shape == asked.shape == (*values.shape[:2], values.shape[2] + horizon)
    assert asked.dtype == torch.bool
    assert (horizon > 0) == (batch["task"] == "forecast")
    seen = torch.isfinite(values)
    assert torch.equal(truth[..., : values.shape[2]][seen], values[seen])  # what is seen is what there was
    if batch["task"] != "forecast":
        assert torch.isnan(values[asked]).all()
        assert torch.isfinite(truth[asked]).all()
        assert asked.any()


def test_jobs_and_sources_take_their_shares():
    weighted = [source("a", {"forecast": 3.0, "impute": 1.0}), source("b", {"forecast": 1.0}), classes()]
    mixed = stream(weighted, {"forecast": 2.0, "impute": 1.0, "classify": 1.0})
    found = {(job, one.name): chance for (job, one), chance in zip(mixed.pairs, mixed.chances, strict=True)}
    assert found == pytest.approx(
        {("forecast", "a"): 0.375, ("forecast", "b"): 0.125, ("impute", "a"): 0.25, ("classify", "shapes"): 0.25}
    )
    tasks = Counter(mixed[number]["task"] for number in range(200))
    assert tasks["forecast"] / 200 == pytest.approx(0.5, abs=0.1)
    assert tasks["shapes"] / 200 == pytest.approx(0.25, abs=0.1)


def test_a_job_that_no_source_serves_is_named():
    with pytest.raises(RecipeError, match="No source serves the job classify: give one a weight for it"):
        stream([source()])


@pytest.mark.parametrize(
    ("changed", "sentence"),
    [
        ({"jobs": {}}, "at least 1 item"),
        ({"jobs": {"forcast": 1}}, "Input should be 'forecast'"),
        ({"horizons": (9, 3)}, "horizons must name the shortest first"),
        ({"context_lengths": ()}, "at least 1 item"),
    ],
)
def test_a_mix_that_cannot_be_meant_is_refused(changed, sentence):
    with pytest.raises(ValidationError, match=sentence):
        Mix(**{"jobs": JOBS, **changed})


def lengths(batches):
    """Steps of history of every row."""
    return torch.cat([batch["present"].any(dim=1).sum(dim=1) for batch in batches])


def test_histories_are_short_and_long_and_horizons_are_whole_patches():
    mixed = Stream([source(sizes=((1, 4000),))], Mix(jobs={"forecast": 1}), batch_size=64)
    batches = [mixed[number] for number in range(60)]
    steps = lengths(batches)
    assert steps.min() == 8
    assert steps.max() > 1024
    assert ((steps >= 10) & (steps <= 60)).float().mean() > 0.4  # what benchmarks of months and years ask for
    horizons = [batch["truth"].shape[2] - batch["values"].shape[2] for batch in batches]
    assert {horizon % 8 for horizon in horizons} == {0}
    assert min(horizons) == 8
    assert 64 < max(horizons) <= 192
    for batch, horizon in zip(batches, horizons, strict=True):
        assert batch["asked"][..., -horizon:].all()
        assert not batch["asked"][..., :-horizon].any()
        assert torch.isfinite(batch["truth"][batch["asked"]]).all()


def test_batches_of_long_windows_have_fewer_rows():
    mixed = Stream([source(sizes=((8, 4000),))], Mix(jobs=EVERY), batch_size=128)
    sizes = [mixed[number]["values"].shape for number in range(60)]
    assert max(rows * variables * steps for rows, variables, steps in sizes) <= 2**16
    assert max(rows for rows, _, _ in sizes) == 128
    assert min(rows for rows, _, steps in sizes if steps > 600) >= 8


def test_several_variables_come_from_one_item_and_else_from_strangers():
    several = [stream([source(multivariate=1.0)], {"impute": 1.0})[number] for number in range(20)]
    assert {batch["values"].shape[1] for batch in several} == {2, 3, 4}
    single = [stream([source(multivariate=0.0)], {"impute": 1.0})[number] for number in range(20)]
    assert {batch["values"].shape[1] for batch in single} == {1}
    alone = source(sizes=((1, 90),), multivariate=1.0)
    strangers = [stream([alone], {"forecast": 1})[number] for number in range(20)]
    assert {2, 4} <= {batch["values"].shape[1] for batch in strangers} <= {2, 3, 4}
    for batch in strangers:
        assert batch["asked"][:, :, -1].all()  # they too are to be forecast


def test_the_horizon_follows_the_context():
    ramp = np.arange(40.0, dtype=np.float32)[None]
    batch = ahead([ramp, ramp[:, :9]], np.array([10, 10]), 16)
    assert batch["values"].shape == (2, 1, 10)
    assert batch["values"][0, 0].tolist() == list(range(17, 27))  # a third of 40 steps is asked for
    assert batch["truth"][0, 0, :23].tolist() == list(range(17, 40))
    assert torch.isnan(batch["truth"][0, 0, 23:]).all()
    assert batch["values"][1, 0, 4:].tolist() == [0, 1, 2, 3, 4, 5]
    assert batch["truth"][1, 0, 10:13].tolist() == [6, 7, 8]
    assert batch["present"][1, 0].tolist() == [False] * 4 + [True] * 6
    assert batch["asked"][:, :, 10:].all()


@pytest.mark.parametrize("window", [np.array([[7.0]]), np.full((2, 6), np.nan), np.array([[1.0, 2.0]])])
def test_windows_that_say_next_to_nothing_make_a_batch_all_the_same(window):
    batch = ahead([window], np.array([8]), 8)
    assert batch["values"].shape[2] >= 1
    assert batch["truth"].shape[2] == batch["values"].shape[2] + 8


def test_what_is_hidden_is_asked_for_and_nothing_else():
    window = np.array([[1.0, 2.0, np.nan, 4.0]])
    hidden = np.array([[False, True, False, False]])
    batch = hiding([window, np.ones((2, 3))], [hidden, np.zeros((2, 3), dtype=bool)], "impute")
    assert batch["asked"].sum() == 1
    assert batch["asked"][0, 0, 1]
    assert batch["truth"][0, 0, 1] == 2
    np.testing.assert_array_equal(batch["values"][0, 0].numpy(), [1, np.nan, np.nan, 4])
    assert batch["present"][0, 0].all()
    assert batch["present"][1].sum() == 6


def test_labels_go_with_their_series_changed_or_not():
    items = Labelled([np.full((1, 30), float(k)) for k in range(6)], labels=np.arange(6))
    places = np.array([4, 1, 1, 5])
    for rng in (None, np.random.default_rng(0)):
        batch = labelled(items, places, "levels", rng)
        assert batch["labels"].tolist() == [4, 1, 1, 5]
        assert batch["values"].nanmean(dim=(1, 2)).tolist() == [4, 1, 1, 5]
    assert lengths([labelled(items, places, "levels")]).tolist() == [30] * 4


def test_training_series_are_changed_a_little_each_time_they_come():
    mixed = stream([classes(count=2)], {"classify": 1.0})
    rows = {mixed[number]["values"][row].numpy().tobytes() for number in range(3) for row in range(16)}
    assert len(rows) > 40


def test_held_out_batches_are_of_what_no_training_saw():
    learnt, kept = np.zeros((1, 100), dtype=np.float32), np.ones((1, 100), dtype=np.float32)
    real = Source("real", EVERY, 0.0, Items([learnt]), Items([kept]))
    for number in range(10):
        assert stream([real], EVERY)[number]["truth"].nan_to_num().abs().max() == 0
    found = held_out([real], Mix(jobs=EVERY, **SMALL))
    assert list(found) == ["forecast/real", "impute/real", "detect/real"]
    for name, batches in found.items():
        assert [batch["task"] for batch in batches] == [name.partition("/")[0]] * 4
        assert all(
            torch.isin(batch["truth"][torch.isfinite(batch["truth"])], torch.tensor(1.0)).all() for batch in batches
        )


def test_held_out_batches_are_the_same_whatever_else_is_trained_on():
    mix = Mix(jobs=EVERY, **SMALL)
    alone, beside = held_out([made()], mix), held_out([source(), made()], mix)
    for name, batches in alone.items():
        for one, other in zip(batches, beside[name], strict=True):
            same(one, other)
    with pytest.raises(AssertionError):
        same(alone["impute/synthetic"][0], held_out([made()], mix, seed=1)["impute/synthetic"][0])


def test_held_out_batches_go_through_the_context_lengths():
    long = source(sizes=((1, 500),))
    batches = held_out([long], Mix(jobs={"impute": 1}, **SMALL), batches=3)["impute/real"]
    for batch, length in zip(batches, (16, 32, 64), strict=True):
        steps = lengths([batch])
        assert length // 2 <= steps.min() < steps.max() <= length


def test_all_held_out_labelled_series_come_once_and_unchanged():
    shapes = classes(held=7)
    batches = held_out([shapes], Mix(jobs={"classify": 1}, **SMALL))["classify/shapes"]
    labels = torch.cat([batch["labels"] for batch in batches])
    assert sorted(labels.tolist()) == sorted(shapes.held_out.labels.tolist())
    assert sorted(lengths(batches).tolist()) == [40, 41, 42, 43, 44, 45, 46]


def test_without_anything_held_out_there_is_nothing_to_choose_by():
    bare = Source("real", EVERY, 0.0, Items(waves((1, 50))), None)
    with pytest.raises(DataError, match="Nothing is held out to choose a checkpoint by"):
        held_out([bare], Mix(jobs=EVERY))
    assert "impute/synthetic" in held_out([bare, made()], Mix(jobs=EVERY, **SMALL))
