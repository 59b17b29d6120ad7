"""Five tiny random networks, one a family, with everything an adapter test needs to train and compare them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from stillroom.chronos.architectures import BOLT, CHRONOS2, T5
from stillroom.core.adapters import Architecture

LLAMA = Architecture(
    name="Llama",
    target_modules=("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"),
    feedforward_modules=("down_proj",),
    skip_modules=("lm_head",),
    task_type="CAUSAL_LM",
    prompt_methods=True,
)
DISTILBERT = Architecture(
    name="DistilBERT",
    target_modules=("q_lin", "k_lin", "v_lin", "out_lin"),
    feedforward_modules=("lin2",),
    head_modules=("classifier",),
)


@dataclass(frozen=True)
class Tiny:
    """A saved base, its architecture, one fixed batch, and where its prediction stands in the output."""

    architecture: Architecture
    folder: Path
    model_class: type
    batch: dict[str, Any]
    output: Callable[[Any], Any]

    def load(self, **options):
        return self.model_class.from_pretrained(self.folder, **options).eval()

    def predict(self, model):
        import torch

        with torch.no_grad():
            return self.output(model.eval()(**self.batch))


def _networks() -> dict[str, tuple[Architecture, Any, dict[str, Any], Callable[[Any], Any]]]:
    """No dropout, so that outputs can be compared; T5's heads together are wider than d_model, as in some real ones."""
    import torch
    import transformers as hf
    from chronos.chronos2 import Chronos2Model
    from chronos.chronos2.config import Chronos2CoreConfig
    from chronos.chronos_bolt import ChronosBoltModelForForecasting

    torch.manual_seed(0)
    llama = hf.LlamaConfig(
        vocab_size=80,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        initializer_range=0.2,
    )
    distilbert = hf.DistilBertConfig(
        vocab_size=80, dim=32, hidden_dim=64, n_layers=2, n_heads=4, num_labels=3, dropout=0.0, attention_dropout=0.0
    )
    shape = {"d_model": 32, "d_kv": 16, "num_heads": 4, "d_ff": 64, "num_layers": 2, "dropout_rate": 0.0}
    t5 = hf.T5Config(vocab_size=80, num_decoder_layers=1, decoder_start_token_id=0, tie_word_embeddings=False, **shape)
    patches = {"context_length": 64, "input_patch_size": 16, "input_patch_stride": 16, "quantiles": [0.1, 0.5, 0.9]}
    bolt = hf.T5Config(
        num_decoder_layers=1,
        decoder_start_token_id=0,
        initializer_factor=0.5,
        chronos_config={**patches, "prediction_length": 16, "use_reg_token": True},
        **shape,
    )
    chronos2 = Chronos2CoreConfig(
        initializer_factor=0.2,
        chronos_config={**patches, "output_patch_size": 16, "use_reg_token": True, "use_arcsinh": True},
        **shape,
    )
    tokens, classes = torch.randint(3, 80, (4, 12)), torch.randint(0, 3, (4, 12))
    past, future = torch.randn(4, 64).cumsum(-1), torch.randn(4, 16)
    logits, quantiles = (lambda out: out.logits), (lambda out: out.quantile_preds)
    return {
        "causal-lm": (LLAMA, hf.LlamaForCausalLM(llama), {"input_ids": tokens, "labels": tokens}, logits),
        "token-classifier": (
            DISTILBERT,
            hf.DistilBertForTokenClassification(distilbert),
            {"input_ids": tokens, "labels": classes},
            logits,
        ),
        "t5": (T5, hf.T5ForConditionalGeneration(t5), {"input_ids": tokens, "labels": classes + 3}, logits),
        "bolt": (BOLT, ChronosBoltModelForForecasting(bolt), {"context": past, "target": future}, quantiles),
        "chronos2": (CHRONOS2, Chronos2Model(chronos2), {"context": past, "future_target": future}, quantiles),
    }


@pytest.fixture(scope="session")
def tiny_models(tmp_path_factory) -> dict[str, Tiny]:
    models = {}
    for name, (architecture, network, batch, output) in _networks().items():
        folder = tmp_path_factory.mktemp(name)
        network.save_pretrained(folder)
        models[name] = Tiny(architecture, folder, type(network), batch, output)
    return models
