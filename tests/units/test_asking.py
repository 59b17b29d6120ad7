"""One scale for all, and batches that change nothing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import strategies as st

from stillroom.units.asking import answers, row

NAN = np.nan
VALUES = st.one_of(st.just(NAN), st.floats(-1e30, 1e30, allow_subnormal=False))


def test_a_batch_of_unequal_series_answers_as_one_at_a_time(network, make_walk):
    series = [make_walk(0, 2, 30, 0.2), make_walk(1, 1, 9), make_walk(2, 2, 25), make_walk(3, 3, 61)]
    together: dict[int, np.ndarray] = {}
    for places, said in answers(network, series, task="forecast", horizon=6):
        for number, place in enumerate(places.tolist()):
            variables, steps = series[place].shape
            together[place] = row(said.values, number, variables, steps + 6)
    assert sorted(together) == [0, 1, 2, 3]
    for place, one in enumerate(series):
        ((_, said),) = answers(network, [one], task="forecast", horizon=6)
        np.testing.assert_allclose(together[place], said.values[0].numpy(), atol=1e-5)


def test_the_network_is_left_in_the_mode_it_was_in_and_has_no_gradients(make_network, make_walk):
    network = make_network(seed=1).train()
    for _, said in answers(network, [make_walk(0, 1, 12)], task="impute"):
        assert not network.training
        assert not said.values.requires_grad
    assert network.training


def test_no_random_number_is_drawn(network, make_walk):
    before = torch.get_rng_state()
    list(answers(network, [make_walk(0, 1, 12)], task="impute"))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("task", ["forecast", "gestures"])
def test_every_task_answers(network, make_walk, task):
    ((_, said),) = answers(network, [make_walk(0, 2, 12)], task=task)
    assert (said.class_logits is not None) == (task == "gestures")
