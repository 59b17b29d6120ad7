"""Linear layers packed or in int8: what they compute, and that a token does not depend on its batch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from stillroom.core.errors import ModelError
from stillroom.prompts import precision
from stillroom.prompts.precision import Int8Linear, PackedLinear, replace_linear
from stillroom.prompts.scorer import Scorer

KINDS = ("bert", "distilbert", "xlm-roberta", "modernbert")
needs_int8 = pytest.mark.skipif(not precision.runs_int8(), reason="int8 needs a CPU with VNNI")


def linear(bias: bool = True) -> nn.Linear:
    torch.manual_seed(0)
    return nn.Linear(48, 40, bias=bias).requires_grad_(False)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("shape", [(1, 48), (7, 48), (3, 5, 48), (2500, 48)])
def test_packed_layers_compute_the_same(bias, shape):
    layer, rows = linear(bias), torch.randn(shape)
    torch.testing.assert_close(PackedLinear(layer)(rows), layer(rows), rtol=0, atol=1e-5)


def test_packed_layers_save_the_weights_that_they_were_made_of():
    layer = linear()
    for name, tensor in PackedLinear(layer).state_dict().items():
        assert torch.equal(tensor, layer.state_dict()[name])


def reference(layer: nn.Linear, rows: torch.Tensor) -> torch.Tensor:
    """The same scheme in float64: weights rounded by row, activations by token."""

    def rounded(values: torch.Tensor) -> torch.Tensor:
        scale = values.abs().amax(-1, keepdim=True) / 127
        return (values / scale).round() * scale

    return rounded(rows).double() @ rounded(layer.weight).double().T + layer.bias


def test_int8_layers_equal_the_reference_scheme():
    layer, rows = linear(), torch.randn(3, 9, 48)
    torch.testing.assert_close(Int8Linear(layer)(rows).double(), reference(layer, rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("bias", [True, False])
def test_int8_layers_take_rows_of_zeros(bias):
    layer = linear(bias)
    expected = torch.zeros(2, 40) if layer.bias is None else layer.bias.expand(2, 40)
    torch.testing.assert_close(Int8Linear(layer)(torch.zeros(2, 48)), expected)


def test_one_huge_token_does_not_change_its_neighbours_in_int8():
    layer, rows = Int8Linear(linear()), torch.randn(6, 48)
    alone = layer(rows)
    rows[0] *= 1000
    assert torch.equal(layer(rows)[1:], alone[1:])


def test_the_head_is_left_as_it_is():
    network = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.ReLU(), nn.Linear(4, 4)), nn.Linear(4, 2))
    replace_linear(network, PackedLinear, head=2)
    kinds = [type(network[0]), type(network[1][1]), type(network[2])]
    assert kinds == [PackedLinear, PackedLinear, nn.Linear]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("dtype", [pytest.param("int8", marks=needs_int8), "bfloat16"])
def test_probabilities_are_near_and_do_not_depend_on_the_batch(models, scorers, sentences, kind, dtype):
    scorer = Scorer.from_pretrained(models[kind], dtype=dtype)
    messages = scorer.tokenize(sentences)
    together = scorer.probabilities(messages)
    exact = scorers[kind].probabilities(messages)
    assert np.abs(np.concatenate(together) - np.concatenate(exact)).mean() < 0.03
    for tokens, found in zip(messages, together, strict=True):
        np.testing.assert_array_equal(found, scorer.probabilities([tokens])[0])


def test_int8_is_refused_where_it_is_slow(models, monkeypatch):
    monkeypatch.setattr(precision, "runs_int8", lambda: False)
    with pytest.raises(ModelError, match="int8 is for CPUs with VNNI"):
        Scorer.from_pretrained(models["bert"], dtype="int8")
