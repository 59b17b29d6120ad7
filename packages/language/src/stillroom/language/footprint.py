"""What a network needs while it trains: bytes by what they are for, operations, and how fast this machine does them.

Shapes are enough, so a network on the meta device will do. The estimates:

    weights        4 bytes a number; NF4 (qlora) 0.516 bytes in the layers that are in 4 bit: half a byte, a one-byte
                   scale every 64, and a four-byte scale of those every 256 (Dettmers et al. 2023, section 3)
    gradients      4 bytes a number that trains
    optimizer      8 bytes a number that trains (AdamW's two moments); 4 for the matrices that Muon moves
    average        4 bytes a number that trains, with `ema`
    activations    4 bytes x tokens at once x what goes into and comes out of every linear layer x 1.2, or 0.85 where
                   weights are frozen and their inputs need not be kept (measured on Llama, Mistral, NeoX, T5 and
                   BERT; GPT-2's GELU keeps up to 1.6 times that), and 12 bytes x heads x length² x rows where attention
                   has dropout, which keeps its matrices
    logits         12 bytes x vocabulary x answer tokens at once: they, their logarithms, their gradient
    time           2 operations forward and 2 backward a token and parameter, and 2 more where it trains, so 6 in full
                   tuning (Kaplan et al. 2020, section 2.1), at 40 % of the matmul rate

Not in it: a teacher in memory, validation, the libraries themselves, unpacking of 4 bit, the weight matrices that
fourierft writes out.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import nn

from stillroom.core import adapters
from stillroom.core.methods import AdapterSpec, Architecture
from stillroom.core.settings import TrainSettings

NF4 = 0.5 + 1 / 64 + 4 / (64 * 256)  # bytes a number
KEPT, KEPT_FROZEN = 1.2, 0.85  # activations, as shares of what goes into and comes out of linear layers
UTILISATION = 0.4  # of the matmul rate that a training reaches
DROPOUTS = ("attention_dropout", "attn_pdrop", "attention_probs_dropout_prob", "dropout_rate")  # of attention


@dataclass(frozen=True)
class Shape:
    """A base before an adapter is put on it.

    Parameters
    ----------
    parameters, weight_bytes
        All of them, and what they take as this adapter wants them loaded.
    body, head
        Numbers that each token is multiplied with; and those of the output layer, which sees answer tokens only.
    spread
        What goes into and comes out of the body's linear layers, numbers a token.
    matrices
        Matrices of attention, (length, length), that are kept of a row.
    vocabulary
        Logits a token; 0 without an output layer over a vocabulary.
    """

    parameters: int
    weight_bytes: int
    body: int
    head: int
    spread: int
    matrices: int
    vocabulary: int


def shape(network: Any, adapter: AdapterSpec, architecture: Architecture) -> Shape:
    """Measure a network that carries no adapter yet."""
    head = network.get_output_embeddings()
    body, headed = _multiplied(network, head)
    return Shape(
        parameters=sum(parameter.numel() for parameter in network.parameters()),
        weight_bytes=_weight_bytes(network, adapter, architecture),
        body=body,
        head=headed,
        spread=sum(sum(module.weight.shape) for module in _linear(network) if module is not head),
        matrices=_attention_matrices(network.config),
        vocabulary=0 if head is None else int(network.config.vocab_size),
    )


def memory(
    base: Shape, network: Any, adapter: AdapterSpec, settings: TrainSettings, *, rows: int, length: int, answers: int
) -> dict[str, int]:
    """Return bytes by what they are for.

    Parameters
    ----------
    network
        With its adapter.
    rows, length, answers
        Of a micro-batch: sequences, their tokens, and the answer tokens of all.
    """
    trainable, total = adapters.trainable(network)
    kept = KEPT if adapter.method in ("full", "ia3") else KEPT_FROZEN
    moments = 8 * trainable - (4 * _muon_moves(network) if settings.optimizer == "muon" else 0)
    return {
        "weights": base.weight_bytes + 4 * (total - base.parameters),
        "gradients": 4 * trainable,
        "optimizer": moments,
        "average": 4 * trainable if settings.ema else 0,
        "activations": round(4 * rows * length * base.spread * kept) + 12 * rows * length**2 * base.matrices,
        "logits": 12 * answers * base.vocabulary,
    }


def operations(base: Shape, adapter: AdapterSpec, trainable: int, tokens: int, answer_tokens: int) -> float:
    """Return the operations of a training that reads `tokens` and learns `answer_tokens` of them."""
    body = tokens * (4 * base.body + 2 * min(trainable, base.body))
    return float(body + answer_tokens * base.head * (6 if adapter.method == "full" else 4))


@cache
def matmul_rate() -> float:
    """Measure how many operations a second this machine multiplies matrices with, in float32: about a second."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    size = 4096 if device == "cuda" else 1024
    a, b = torch.rand(size, size, device=device), torch.rand(size, size, device=device)
    fastest = float("inf")
    for _ in range(8):  # the first ones warm up; others may be using the machine
        started = time.perf_counter()
        product = a @ b
        product[0, 0].item()  # a GPU has finished only when asked for a number
        fastest = min(fastest, time.perf_counter() - started)
    return 2 * size**3 / fastest


def _linear(network: Any) -> Iterator[Any]:
    from transformers.pytorch_utils import Conv1D

    return (module for module in network.modules() if isinstance(module, nn.Linear | Conv1D))


def _weight_bytes(network: Any, adapter: AdapterSpec, architecture: Architecture) -> int:
    total = 4 * int(sum(parameter.numel() for parameter in network.parameters()))
    if adapter.method != "qlora":
        return total
    kept = (*architecture.skip_modules, *architecture.head_modules)
    packed = {
        module.weight
        for name, module in network.named_modules()
        if (type(module) is nn.Linear or type(module).__name__ == "Conv1D")  # what transformers puts into 4 bit
        and not any(f".{end}." in f".{name}." for end in kept)
    }
    return int(total - (4 - NF4) * sum(weight.numel() for weight in packed))


def _multiplied(network: Any, head: Any) -> tuple[int, int]:
    """Numbers of the body and of the output layer; tables that are looked up in are in neither."""
    tables = {id(m.weight): m.weight.numel() for m in network.modules() if isinstance(m, nn.Embedding)}
    heads = 0 if head is None else head.weight.numel()
    if head is not None:
        tables[id(head.weight)] = heads  # tied or not, it is not of the body
    return sum(parameter.numel() for parameter in network.parameters()) - sum(tables.values()), heads


def _attention_matrices(config: Any) -> int:
    """None are kept where torch's fused attention works, which is without dropout."""
    if not any(getattr(config, name, 0.0) for name in DROPOUTS):
        return 0
    layers = int(config.num_hidden_layers)
    if config.is_encoder_decoder:
        layers += 2 * int(getattr(config, "num_decoder_layers", layers))  # of the decoder itself, and across
    return int(config.num_attention_heads) * layers


def _muon_moves(network: Any) -> int:
    embeddings = {id(m.weight) for m in network.modules() if isinstance(m, nn.Embedding)}
    linear = {id(m.weight): m.weight for m in network.modules() if isinstance(m, nn.Linear)}
    return int(sum(w.numel() for key, w in linear.items() if key not in embeddings and w.requires_grad))
