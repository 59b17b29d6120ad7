from __future__ import annotations

import copy

import pytest
import torch
from pydantic import ValidationError

from stillroom.chronos.losses import quantile_losses
from stillroom.chronos.scratch import BoltShape, bolt
from stillroom.series.mixture import Mixture

TINY = BoltShape(
    d_model=32, d_ff=64, num_heads=2, num_layers=2, input_patch_size=8, context_length=64, prediction_length=16
)


@pytest.fixture(scope="module")
def batches():
    """Seasonal series: 30 batches to learn from, and one that is held out."""
    mixture = Mixture({"seasonal": 1.0}, context_lengths=(64,), prediction_length=16, batch_size=64)
    made = (mixture[index] for index in range(31))
    return [{name: torch.from_numpy(values) for name, values in batch.items()} for batch in made]


def upstream(factor, seed):
    """The same network with upstream's own starting weights."""
    config = copy.deepcopy(bolt(TINY).config)
    config.initializer_factor = factor
    torch.manual_seed(seed)
    return type(bolt(TINY))(config)


def loss(network, batch):
    return quantile_losses(network, batch)["pinball"]


def trained_loss(network, batches):
    """What is left of the loss on held-out series after 30 steps."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for batch in batches[:30]:
        loss(network, batch).backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
    with torch.no_grad():
        return float(loss(network, batches[30]))


def activations(network, batch):
    """Standard deviation of what each module of interest gives."""
    seen = {}

    def note(name):
        def hook(module, inputs, output):
            values = output[0] if isinstance(output, tuple) else getattr(output, "last_hidden_state", output)
            seen[name] = float(values.std())

        return hook

    wanted = ("patch_embedding", "SelfAttention", "EncDecAttention", "DenseReluDense", "encoder", "decoder")
    handles = [m.register_forward_hook(note(name)) for name, m in network.named_modules() if name.endswith(wanted)]
    with torch.no_grad():
        network(context=batch["context"])
    for handle in handles:
        handle.remove()
    return seen


@pytest.mark.parametrize("seed", range(3))
def test_each_layer_starts_near_unit_variance_and_the_head_near_zero(batches, seed):
    seen = activations(bolt(TINY, seed), batches[0])
    assert len(seen) == 11  # two embeddings, two encoder layers of two, a decoder layer of three, encoder and decoder
    assert 0.05 < seen.pop("output_patch_embedding") < 0.3
    assert all(0.3 < deviation < 2.0 for deviation in seen.values()), seen


@pytest.mark.parametrize("factor", [1.0, 0.05])
def test_it_learns_faster_than_from_upstream_s_starting_weights(batches, factor):
    ours, theirs = (trained_loss(network, batches) for network in (bolt(TINY, 0), upstream(factor, 0)))
    assert ours < 0.92 * theirs


def test_the_loss_falls_in_thirty_steps(batches):
    network = bolt(TINY, 1)
    with torch.no_grad():
        before = float(loss(network, batches[30]))
    assert trained_loss(network, batches) < 0.85 * before


def test_the_global_random_state_is_neither_read_nor_moved():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    one = bolt(TINY, 5)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(99)
    again, other = bolt(TINY, 5), bolt(TINY, 6)
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in one.state_dict().items())
    assert not all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_the_shape_is_what_upstream_s_config_says():
    config = bolt(TINY).config
    assert (config.d_model, config.d_ff, config.num_heads, config.d_kv) == (32, 64, 2, 16)
    assert (config.num_layers, config.num_decoder_layers) == (2, 1)
    assert config.chronos_pipeline_class == "ChronosBoltPipeline"
    sizes = {name: config.chronos_config[name] for name in ("context_length", "prediction_length", "input_patch_size")}
    assert sizes == {"context_length": 64, "prediction_length": 16, "input_patch_size": 8}
    assert config.chronos_config["quantiles"] == pytest.approx([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])


def test_the_default_shape_stays_within_a_mini_s_parameters():
    assert sum(parameter.numel() for parameter in bolt(BoltShape()).parameters()) <= 2_500_000


def test_an_unknown_size_is_refused():
    with pytest.raises(ValidationError, match="d_modle"):
        BoltShape(d_modle=32)
