"""What the network expects of a step it is not shown, and in what state a patch puts it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from stillroom.units import looking

NAN = np.nan


@given(steps=st.integers(1, 200), patch=st.sampled_from([1, 4, 8]))
def test_every_step_is_hidden_in_exactly_one_pass(steps, patch):
    hidden = looking.passes(steps, patch)
    assert (hidden.sum(axis=0) == 1).all()
    assert hidden.any(axis=1).all()
    assert len(hidden) == min(looking.PASSES, -(-steps // patch))
    ends = np.flatnonzero(np.diff(hidden.argmax(axis=0))) + 1  # whole patches, counted from the end
    assert ((steps - ends) % patch == 0).all()


def test_errors_are_measured_in_widths_of_the_band_reference(network, make_walk):
    series = (make_walk(0, 2, 22) - 50) / 3
    (found,) = looking.unexpected(network, [series], np.array([True, True]))
    for hidden in looking.passes(22, network.config.patch_size):
        seen = torch.from_numpy(np.where(hidden, NAN, series))[None].float()
        with torch.no_grad():
            said = network(seen, task="detect")
        levels = np.sort((said.loc[..., None] + said.scale[..., None] * said.quantiles)[0].numpy(), axis=-1)
        band = np.maximum(levels[..., -1] - levels[..., 0], looking.QUIET)
        expected = np.abs(series - levels[..., 4]) / band
        np.testing.assert_allclose(found[:, hidden], expected[:, hidden], rtol=1e-3, atol=1e-4)


def test_the_nearest_like_is_numpys_reference():
    rng = np.random.default_rng(0)
    own, known = rng.normal(size=(2, 7, 5)), rng.normal(size=(2, 9, 5))
    own, known = (some / np.linalg.norm(some, axis=2, keepdims=True) for some in (own, known))
    found = looking.nearest(own, known)
    expected = np.linalg.norm(own[:, :, None] - known[:, None], axis=3).min(axis=2)
    np.testing.assert_allclose(found, expected, atol=1e-7)
    apart = looking.nearest(own, own, apart=np.arange(7))
    assert apart[0, 0] == pytest.approx(np.linalg.norm(own[0, 0] - own[0, looking.NEAR + 1 :], axis=1).min())
    assert np.isnan(looking.nearest(own[:, :2], own[:, :2], apart=np.arange(2))).all()
    assert np.isnan(looking.nearest(own, np.zeros((2, 3, 5)))).all()


def test_every_patch_of_a_long_record_has_a_state_of_length_one(network, make_walk):
    series = make_walk(0, 2, 300)
    series[0, 100:120] = NAN
    (found, place), (short, own) = looking.states(network, [series, series[:, :5]], np.array([True, True]))
    assert short.shape == (2, 2, network.config.d_model)
    assert own.tolist() == [0, 1, 1, 1, 1]
    assert place.min() >= 0
    assert place.max() < found.shape[1]
    length = np.linalg.norm(found, axis=2)
    np.testing.assert_allclose(length[1], 1.0, atol=1e-5)
    assert set(np.round(length[0], 4)) == {0.0, 1.0}  # of a patch without any value there is none


def test_a_variable_that_never_moved_is_not_asked_about(network, make_walk):
    series = np.concatenate([make_walk(0, 1, 30), np.zeros((1, 30))])
    series[1, 7] = -2.0
    moving = np.array([True, False])
    (found,) = looking.unexpected(network, [series], moving)
    assert found[1].tolist() == np.abs(series[1]).tolist()
    (alone,) = looking.unexpected(network, [series[:1]], moving[:1])
    np.testing.assert_array_equal(found[:1], alone)
    ((states, _),) = looking.states(network, [series], moving)
    assert not states[1].any()
    (still,) = looking.unexpected(network, [series], np.array([False, False]))
    np.testing.assert_array_equal(still, np.abs(series))


def test_records_are_looked_at_together_as_one_at_a_time(network, make_walk):
    records = [make_walk(0, 2, 40, 0.1), make_walk(1, 2, 300), make_walk(2, 2, 3)]
    moving = np.array([True, True])
    for together, alone in (
        (looking.unexpected(network, records, moving), [looking.unexpected(network, [r], moving)[0] for r in records]),
        (
            [reading.states for reading in looking.states(network, records, moving)],
            [looking.states(network, [r], moving)[0].states for r in records],
        ),
    ):
        for one, own in zip(together, alone, strict=True):
            np.testing.assert_allclose(one, own, atol=1e-3)
