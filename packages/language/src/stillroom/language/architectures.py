"""What language models tell the core's adapters: which layers to adapt, which to keep out of 4 bit, which are new.

One constant a kind of student names the layers of the families that we know by the endings of their names;
`architecture_of` keeps those that a given network has. It looks at names and shapes only: a network on the meta device
will do. It knows no weights and no tokenizer.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, Literal

from stillroom.core.adapters import Architecture

Kind = Literal["causal", "seq2seq", "classifier"]


def _decoder_cache(config: Any) -> dict[str, int]:
    """Shape of T5's decoder cache: PEFT would take the encoder's depth and d_model, which differ in some."""
    return {"num_layers": config.num_decoder_layers, "token_dim": config.num_heads * config.d_kv}


def _shared_heads(config: Any) -> dict[str, int]:
    """Shape of the attention cache where all heads share one key and value, in words that PEFT does not know."""
    if not getattr(config, "multi_query", False) or getattr(config, "new_decoder_architecture", False):
        return {}
    return {"num_attention_heads": 1, "token_dim": config.hidden_size // config.num_attention_heads}


CAUSAL = Architecture(
    name="a causal language model",
    target_modules=(
        *("q_proj", "k_proj", "v_proj", "o_proj", "out_proj"),  # Llama, Mistral, Qwen, Gemma; OPT, GPT-J, GPT-Neo
        *("qkv_proj", "Wqkv"),  # Phi-3, CodeGen; MPT
        *("c_attn", "attn.c_proj"),  # GPT-2 and StarCoder
        *("query_key_value", "attention.dense", "self_attention.dense", "self_attn.dense"),  # NeoX; Falcon, Bloom; Phi
    ),
    feedforward_modules=("down_proj", "mlp.c_proj", "dense_4h_to_h", "fc2", "fc_out"),
    skip_modules=("lm_head", "embed_out"),
    task_type="CAUSAL_LM",
    prompt_methods=True,
    prefix_shape=_shared_heads,
)

T5 = Architecture(
    name="an encoder-decoder",
    target_modules=("q", "k", "v", "o", "q_proj", "k_proj", "v_proj", "out_proj"),  # T5 and its kin; BART and its kin
    feedforward_modules=("wo", "fc2"),
    skip_modules=("lm_head",),
    task_type="SEQ_2_SEQ_LM",
    prompt_methods=True,
    prefix_shape=_decoder_cache,
)

CLASSIFIER = Architecture(
    name="a sequence classifier",
    target_modules=(
        *("query", "key", "value", "attention.output.dense"),  # BERT, RoBERTa, ELECTRA
        *("query_proj", "key_proj", "value_proj", "in_proj"),  # DeBERTa-v2 and v3; DeBERTa
        *("q_lin", "k_lin", "v_lin", "out_lin"),  # DistilBERT
        *("attention.dense", "attn.Wo"),  # ALBERT; ModernBERT, whose Wqkv is below
        *CAUSAL.target_modules,  # Llama and the others with a head for classes
    ),
    feedforward_modules=("output.dense", "lin2", "ffn_output", "mlp.Wo", *CAUSAL.feedforward_modules),
)

ARCHITECTURES: dict[Kind, Architecture] = {"causal": CAUSAL, "seq2seq": T5, "classifier": CLASSIFIER}


def kind_of(model: Any) -> Kind:
    """Say what a network does: it continues a text, maps one text to another, or chooses a class."""
    if type(model).__name__.endswith("ForSequenceClassification"):
        return "classifier"
    return "seq2seq" if model.config.is_encoder_decoder else "causal"


def architecture_of(model: Any, untrained: Iterable[str] = ()) -> Architecture:
    """Return what the core's adapters must know of this network.

    Parameters
    ----------
    model
        Of transformers, without an adapter; on the meta device too.
    untrained
        Names of weights that its checkpoint lacks (an encoder's pooler, often): whatever holds them trains whole beside
        any adapter, as a classifier's head does.

    Returns
    -------
    Architecture
        Named after the network's class. Adapters go on the layers of attention (ia3 on those that feed the network's
        width again, too); on all linear layers where no name is known to us.
    """
    kind = kind_of(model)
    known = ARCHITECTURES[kind]
    heads = tuple(_heads(model)) if kind == "classifier" else ()
    holders = {name.rpartition(".")[0] for name in untrained}
    new = (*heads, *sorted(name for name in holders if name and name.split(".")[0] not in heads))
    layers = [name for name, module in model.named_modules() if _linear(module) and not _within(name, new)]
    output = model.get_output_embeddings()
    layers = [name for name in layers if output is None or model.get_submodule(name) is not output]
    targets = _present(known.target_modules, layers) or tuple(sorted({name.split(".")[-1] for name in layers}))
    return replace(
        known,
        name=type(model).__name__,
        target_modules=targets,
        feedforward_modules=_present(known.feedforward_modules, layers),
        head_modules=new,
        prompt_methods=known.prompt_methods and (kind == "causal" or hasattr(model.config, "d_kv")),
    )


def _heads(model: Any) -> Iterator[str]:
    """What stands on top of a classifier's base: `classifier`, `score`, `pre_classifier`, some a `pooler` too."""
    for name, module in model.named_children():
        if name != model.base_model_prefix and any(True for _ in module.parameters()):
            yield name


def _linear(module: Any) -> bool:
    """Linear layers, GPT-2's Conv1D among them, which is one with its weight transposed."""
    from torch import nn
    from transformers.pytorch_utils import Conv1D

    return isinstance(module, nn.Linear | Conv1D)


def _present(endings: tuple[str, ...], layers: list[str]) -> tuple[str, ...]:
    found = (ending for ending in endings if any(f".{name}".endswith(f".{ending}") for name in layers))
    return tuple(dict.fromkeys(found))


def _within(name: str, modules: tuple[str, ...]) -> bool:
    return any(name == module or name.startswith(f"{module}.") for module in modules)
