"""Tiny random upstream models, to compare forecast frames with."""

import pytest

DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]


@pytest.fixture(scope="session")
def bolt():
    """Upstream's pipeline around a random Bolt."""
    import torch
    from chronos.chronos_bolt import ChronosBoltModelForForecasting, ChronosBoltPipeline
    from transformers import T5Config

    torch.manual_seed(0)
    config = T5Config(
        d_model=16, d_kv=8, d_ff=16, num_layers=1, num_decoder_layers=1, num_heads=2, vocab_size=2,
        initializer_factor=0.05, pad_token_id=0, decoder_start_token_id=0,
        chronos_config={
            "context_length": 32, "prediction_length": 8, "input_patch_size": 8, "input_patch_stride": 8,
            "quantiles": DECILES, "use_reg_token": True,
        },
    )  # fmt: skip
    return ChronosBoltPipeline(ChronosBoltModelForForecasting(config).eval())


@pytest.fixture(scope="session")
def chronos2():
    """Upstream's pipeline around a random Chronos-2."""
    import torch
    from chronos.chronos2 import Chronos2Model, Chronos2Pipeline
    from chronos.chronos2.config import Chronos2CoreConfig

    torch.manual_seed(0)
    config = Chronos2CoreConfig(
        d_model=16, d_kv=8, d_ff=16, num_layers=1, num_heads=2, dropout_rate=0.0,
        chronos_config={
            "context_length": 32, "input_patch_size": 8, "input_patch_stride": 8, "output_patch_size": 8,
            "quantiles": DECILES, "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 2,
        },
    )  # fmt: skip
    return Chronos2Pipeline(Chronos2Model(config).eval())
