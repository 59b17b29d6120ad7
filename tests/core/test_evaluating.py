import pytest
import torch
from torch import nn

from stillroom.core.evaluating import evaluating


def failing(network):
    with evaluating(network):
        assert not network.training
        assert not network(torch.ones(1, 2)).requires_grad
        raise KeyError


@pytest.mark.parametrize("training", [True, False])
def test_a_network_is_asked_in_eval_mode_without_gradients_and_then_as_it_was(training):
    network = nn.Sequential(nn.Linear(2, 2), nn.Dropout(0.5)).train(training)
    with pytest.raises(KeyError):
        failing(network)
    assert network.training is training
    assert network[1].training is training
    assert network(torch.ones(1, 2)).requires_grad
