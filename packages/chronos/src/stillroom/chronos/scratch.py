"""A Chronos-Bolt network from scratch: its configuration, and starting weights that train.

Upstream's own starting weights do not: at the default `initializer_factor` the output head starts too large, and at the
small factors that make up for it the attention starts near zero and learns late. It knows nothing of training.
"""

from __future__ import annotations

from typing import Any

import torch
from pydantic import BaseModel, ConfigDict, PositiveInt


class BoltShape(BaseModel):
    """The sizes of a Bolt network, by the names of its `config.json`.

    Parameters
    ----------
    input_patch_size
        Steps a token. 8 sees seasons that 16 blurs, at twice the cost.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    d_model: PositiveInt = 192
    d_ff: PositiveInt = 512
    num_heads: PositiveInt = 6
    num_layers: PositiveInt = 3
    num_decoder_layers: PositiveInt = 1
    input_patch_size: PositiveInt = 8
    context_length: PositiveInt = 512
    prediction_length: PositiveInt = 64
    dropout: float = 0.0


def bolt(shape: BoltShape, seed: int = 0) -> Any:
    """Build a ChronosBoltModelForForecasting with starting weights drawn from `seed`; the global state is not moved."""
    from transformers import T5Config

    from chronos.chronos_bolt import ChronosBoltModelForForecasting

    config_class: Any = T5Config  # it keeps names that it does not declare
    config = config_class(
        d_model=shape.d_model,
        d_ff=shape.d_ff,
        d_kv=shape.d_model // shape.num_heads,
        num_heads=shape.num_heads,
        num_layers=shape.num_layers,
        num_decoder_layers=shape.num_decoder_layers,
        dropout_rate=shape.dropout,
        vocab_size=2,
        pad_token_id=0,
        eos_token_id=1,
        decoder_start_token_id=0,
        use_cache=False,
        architectures=["ChronosBoltModelForForecasting"],
        chronos_pipeline_class="ChronosBoltPipeline",
        chronos_config={
            "context_length": shape.context_length,
            "prediction_length": shape.prediction_length,
            "input_patch_size": shape.input_patch_size,
            "input_patch_stride": shape.input_patch_size,
            "quantiles": [level / 10 for level in range(1, 10)],
            "use_reg_token": True,
        },
    )
    with torch.random.fork_rng([]):
        torch.manual_seed(seed)
        network = ChronosBoltModelForForecasting(config)
        start(network)
    return network


def start(network: Any) -> None:
    """Redraw the patch embeddings' weights: unit variance through each layer, and a head that starts near zero."""
    head = network.output_patch_embedding
    for block in (network.input_patch_embedding, head):
        for layer in (block.hidden_layer, block.output_layer, block.residual_layer):
            outward = block is head and layer is not head.hidden_layer
            torch.nn.init.normal_(layer.weight, std=(0.1 if outward else 1.0) * layer.in_features**-0.5)
            torch.nn.init.zeros_(layer.bias)
