"""The linear layers of an encoder on a CPU, where nearly all its time goes: packed float32, or int8 with row scales.

Measured by `benchmarks/speed/compression.py`. It knows nothing of tokens; attention, norms and the head stay as the
model has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

ROWS = 2048  # the batch that oneDNN lays the weights out for; others run as well


class PackedLinear(nn.Module):
    """A float32 `nn.Linear` whose weight oneDNN has laid out once: the same numbers but for the order of sums."""

    def __init__(self, linear: nn.Linear):
        super().__init__()
        self.packed = torch.ops.mkldnn._reorder_linear_weight(linear.weight.detach().clone(), ROWS)
        self.bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, rows: Tensor) -> Tensor:
        """Map (…, in) to (…, out)."""
        mapped: Tensor = torch.ops.mkldnn._linear_pointwise(rows, self.packed, self.bias, "none", [], "")
        return mapped

    def _save_to_state_dict(self, destination: dict[str, Any], prefix: str, keep_vars: bool) -> None:
        destination[prefix + "weight"] = self.packed.to_dense()  # so that fingerprints do not see the packing
        if self.bias is not None:
            destination[prefix + "bias"] = self.bias


class Int8Linear(nn.Module):
    """An `nn.Linear` in int8: weights with a scale a row, activations with a scale a token, both symmetric.

    A token is scaled by its own largest value, so that it does not depend on what else is in the batch, as it does
    with one scale a tensor (torch's dynamic quantization).
    """

    weight: Tensor  # (in, out) int8
    scales: Tensor  # (out,)
    bias: Tensor | None  # (out,)

    def __init__(self, linear: nn.Linear):
        super().__init__()
        weight = linear.weight.detach().float()
        scales = weight.abs().amax(1).clamp_(min=1e-12) / 127
        self.register_buffer("weight", (weight / scales[:, None]).round_().to(torch.int8).t().contiguous())
        self.register_buffer("scales", scales)
        self.register_buffer("bias", None if linear.bias is None else linear.bias.detach().float())

    def forward(self, rows: Tensor) -> Tensor:
        """Map (…, in) to (…, out)."""
        flat = rows.reshape(-1, rows.shape[-1])
        scales = flat.abs().amax(1, keepdim=True).clamp_(min=1e-12).div_(127)
        sums = torch._int_mm(flat.div(scales).round_().to(torch.int8), self.weight).to(torch.float32)
        sums.mul_(self.scales)
        mapped = sums.mul_(scales) if self.bias is None else torch.addcmul(self.bias, sums, scales)
        return mapped.view(*rows.shape[:-1], -1)


def replace_linear(network: nn.Module, make: Callable[[nn.Linear], nn.Module], head: int) -> None:
    """Replace every `nn.Linear` in place, except one with `head` outputs."""
    for name, child in network.named_children():
        if type(child) is nn.Linear and child.out_features != head:
            setattr(network, name, make(child))
        else:
            replace_linear(child, make, head)


def runs_int8() -> bool:
    """Say whether this CPU multiplies int8 faster than float32 (VNNI or AMX)."""
    return _has("avx512_vnni", "avx_vnni", "amx_int8")


def runs_bfloat16() -> bool:
    """Say whether this CPU multiplies bfloat16 faster than float32 (AVX512-BF16 or AMX)."""
    return _has("avx512_bf16", "amx_bf16")


def _has(*names: str) -> bool:
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()  # older versions of torch cannot say
    return any(capabilities.get(name, False) for name in names)
