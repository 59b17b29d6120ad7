from __future__ import annotations

import copy

import numpy as np
import torch

from stillroom.units.asking import answers
from stillroom.units.means import begin_at_means


def directions(network, series, task):
    """The CLS token of each series, as a numpy formula has it: the mean over variables, of length 1."""
    seen = []
    handle = network.norm.register_forward_hook(lambda *call: seen.append(call[-1]))
    order = np.concatenate([places for places, _ in answers(network, series, task=task)])
    handle.remove()
    cls = np.concatenate([x[:, :, network.config.prompt_tokens].mean(1).numpy() for x in seen])[np.argsort(order)]
    return cls / np.linalg.norm(cls, axis=1, keepdims=True)


def test_a_category_begins_where_its_series_are_less_what_all_classes_have_in_common(network, make_shapes):
    """Then a series is of the class whose mean is nearest in direction."""
    (series, names), (others, _) = make_shapes(20, 40), make_shapes(9, 50, seed=1)
    labels = (names == "slow").astype(int)
    copied = copy.deepcopy(network)
    copied.add_task("speed", ["fast", "slow"])
    begin_at_means(copied, "speed", series, labels)
    cls = directions(copied, series, "speed")
    means = np.stack([cls[labels == number].mean(0) for number in (0, 1)])
    apart = means - means.mean(0)
    apart *= 4 / np.linalg.norm(apart, axis=1, keepdims=True)
    np.testing.assert_allclose(copied.tokens.categories["speed"].numpy(force=True), apart, atol=1e-4)
    for places, said in answers(copied, others, task="speed"):
        nearest = (directions(copied, others, "speed")[places] @ apart.T).argmax(1)
        np.testing.assert_array_equal(said.class_logits.argmax(-1).numpy(), nearest)


def test_a_class_without_series_keeps_its_token_and_the_others_are_told(network, make_shapes):
    series, names = make_shapes(12, 40)
    copied = copy.deepcopy(network)
    copied.add_task("speed", ["fast", "slow", "never"])
    before = copied.tokens.categories["speed"].detach().clone()
    begin_at_means(copied, "speed", series, (names == "slow").astype(int))
    after = copied.tokens.categories["speed"]
    assert torch.equal(after[2], before[2])
    assert not torch.equal(after[:2], before[:2])


def test_series_that_are_all_alike_leave_the_tokens_as_they_were(network):
    copied = copy.deepcopy(network)
    copied.add_task("same", ["a", "b"])
    before = copied.tokens.categories["same"].detach().clone()
    begin_at_means(copied, "same", [np.zeros((1, 20))] * 4, np.array([0, 1, 0, 1]))
    assert torch.equal(copied.tokens.categories["same"], before)
