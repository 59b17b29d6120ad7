"""What the three Chronos families tell the core's adapters: which layers, which fixes. Constants; nothing is loaded.

Chronos-T5 is a stock T5 language model over tokenised values. Chronos-Bolt and Chronos-2 read patches of values through
a `ResidualBlock` at either end, the only place where they have biases, so bitfit trains those.
"""

from __future__ import annotations

from types import MethodType
from typing import Any

from stillroom.core.adapters import Architecture

ATTENTION = ("q", "k", "v", "o")
PATCHES = ("input_patch_embedding", "output_patch_embedding")


def _decoder_cache(config: Any) -> dict[str, int]:
    """Shape of the decoder's attention cache: PEFT would take the encoder's depth and d_model, which differ in some."""
    return {"num_layers": config.num_decoder_layers, "token_dim": config.num_heads * config.d_kv}


def _shared_embedding(self: Any) -> Any:
    return self.shared


def _name_embedding(model: Any) -> None:
    """PEFT asks every model for its input embeddings; Bolt has them under a name that transformers does not try."""
    model.get_input_embeddings = MethodType(_shared_embedding, model)


T5 = Architecture(
    name="Chronos-T5",
    target_modules=ATTENTION,
    feedforward_modules=("wo",),
    skip_modules=("lm_head",),
    task_type="SEQ_2_SEQ_LM",
    prompt_methods=True,
    prefix_shape=_decoder_cache,
)

BOLT = Architecture(
    name="Chronos-Bolt",
    target_modules=(*ATTENTION, "output_patch_embedding.output_layer"),
    feedforward_modules=("wo",),
    skip_modules=PATCHES,
    fix=_name_embedding,
)

# The layers that upstream's own LoRA fine-tuning adapts.
CHRONOS2 = Architecture(
    name="Chronos-2",
    target_modules=(*ATTENTION, "output_patch_embedding.output_layer"),
    feedforward_modules=("wo",),
    skip_modules=PATCHES,
)

ARCHITECTURES = {"t5": T5, "bolt": BOLT, "chronos2": CHRONOS2}
