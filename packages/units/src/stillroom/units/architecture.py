"""What UniTS tells the core's adapters: which layers to adapt, which to keep out of 4 bit, what is new. A constant.

The gates and the residual networks at either end have biases, so bitfit trains those. The tokens of the tasks train
whole beside any adapter: a task that was just added has no others.
"""

from __future__ import annotations

from stillroom.core.methods import Architecture

UNITS = Architecture(
    name="UniTS",
    target_modules=("q", "k", "v", "o"),  # of time attention and of variable attention
    feedforward_modules=("wo",),
    skip_modules=("embed", "value_head", "quantile_head", "gate"),
    head_modules=("tokens",),
)
