"""Tiny random models of the three families, saved as upstream saves them, and a few series to forecast."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

DECILES = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
WIDE = [0.01, 0.05, *[round(0.1 * k, 1) for k in range(1, 10)], 0.95, 0.99]


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def _order_quantiles(layer: torch.nn.Module, levels: list[float], steps: int) -> None:
    """Give the output block biases that rise with the level, so that quantiles do not cross (nor need sorting)."""
    spread = torch.distributions.Normal(0.0, 1.0).icdf(torch.tensor(levels))
    with torch.no_grad():
        layer.output_layer.weight.mul_(0.1)
        layer.residual_layer.weight.mul_(0.1)
        layer.residual_layer.bias.copy_(spread.repeat_interleave(steps))


def make_bolt(folder: Path, *, seed: int = 0, d_model: int = 16, layers: int = 1, horizon: int = 8) -> Path:
    from chronos.chronos_bolt import ChronosBoltModelForForecasting
    from transformers import T5Config

    torch.manual_seed(seed)
    config = T5Config(
        d_model=d_model, d_kv=8, d_ff=2 * d_model, num_layers=layers, num_decoder_layers=layers, num_heads=2,
        dropout_rate=0.0, initializer_factor=0.2, vocab_size=2, pad_token_id=0, decoder_start_token_id=0,
        chronos_pipeline_class="ChronosBoltPipeline",
        chronos_config={
            "context_length": 64, "prediction_length": horizon, "input_patch_size": 8, "input_patch_stride": 8,
            "quantiles": DECILES, "use_reg_token": True,
        },
    )  # fmt: skip
    model = ChronosBoltModelForForecasting(config)
    _order_quantiles(model.output_patch_embedding, DECILES, horizon)
    model.save_pretrained(folder)
    return folder


def make_chronos2(folder: Path, *, seed: int = 0) -> Path:
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig

    torch.manual_seed(seed)
    config = Chronos2CoreConfig(
        d_model=16, d_kv=8, d_ff=32, num_layers=2, num_heads=2, dropout_rate=0.1, initializer_factor=0.5,
        chronos_pipeline_class="Chronos2Pipeline",
        chronos_config={
            "context_length": 64, "input_patch_size": 8, "input_patch_stride": 8, "output_patch_size": 8,
            "quantiles": WIDE, "use_reg_token": True, "use_arcsinh": True, "max_output_patches": 2,
        },
    )  # fmt: skip
    model = Chronos2Model(config)
    _order_quantiles(model.output_patch_embedding, WIDE, 8)
    model.save_pretrained(folder)
    return folder


def make_t5(folder: Path, *, seed: int = 0, d_model: int = 16, tokens: int = 64) -> Path:
    from transformers import T5Config, T5ForConditionalGeneration

    torch.manual_seed(seed)
    config = T5Config(
        d_model=d_model, d_kv=8, d_ff=32, num_layers=1, num_decoder_layers=1, num_heads=2, dropout_rate=0.0,
        initializer_factor=0.5, vocab_size=tokens, pad_token_id=0, eos_token_id=1, decoder_start_token_id=0,
        chronos_config={
            "tokenizer_class": "MeanScaleUniformBins", "tokenizer_kwargs": {"low_limit": -15.0, "high_limit": 15.0},
            "context_length": 64, "prediction_length": 8, "n_tokens": tokens, "n_special_tokens": 2,
            "pad_token_id": 0, "eos_token_id": 1, "use_eos_token": True, "model_type": "seq2seq",
            "num_samples": 5, "temperature": 1.0, "top_k": 50, "top_p": 1.0,
        },
    )  # fmt: skip
    T5ForConditionalGeneration(config).save_pretrained(folder)
    return folder


MAKERS = {"bolt": make_bolt, "chronos2": make_chronos2, "t5": make_t5}


@pytest.fixture(scope="session")
def folders(tmp_path_factory) -> dict[str, Path]:
    """One folder a family, written by upstream's own `save_pretrained`."""
    root = tmp_path_factory.mktemp("families")
    return {kind: make(root / kind) for kind, make in MAKERS.items()}


@pytest.fixture(scope="session")
def make_model():
    """The makers themselves, for tests that need another seed or size: `make_model["bolt"](folder, seed=1)`."""
    return MAKERS


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Three hourly series of unequal lengths (100, 30 and 5 steps), a few values missing."""
    random = np.random.default_rng(0)
    parts = []
    for name, length in (("a", 100), ("b", 30), ("c", 5)):
        values = 10 + np.sin(np.arange(length) / 4) + 0.1 * random.standard_normal(length)
        values[length // 2] = np.nan
        times = pd.date_range("2024-01-01", periods=length, freq="h")
        parts.append(pd.DataFrame({"item_id": name, "timestamp": times, "target": values}))
    return pd.concat(parts, ignore_index=True)


def seasonal(count: int, length: int, seed: int = 0):
    """Hourly series with a season of 8 and a little noise: a random model has much to learn from them."""
    from stillroom.series.panel import Item, Panel

    random = np.random.default_rng(seed)
    time = np.arange(length) * 2 * np.pi / 8
    items = []
    for i in range(count):
        wave = 10 + 5 * np.sin(time + random.uniform(0, 6))
        noise = 0.3 * random.standard_normal((1, length))
        items.append(Item(f"s{i:02d}", pd.Timestamp("2024-01-01"), wave + noise))
    return Panel(tuple(items), "h")


@pytest.fixture(scope="session")
def season_panel():
    return seasonal(24, 96)


@pytest.fixture(scope="session")
def make_seasons():
    return seasonal
