"""What all rows of a batch begin with, instructions and examples mostly, is read once; they share the memory of it.

A few-shot prompt is several times as long as what it asks about. It knows networks with a plain cache of keys and
values; any other reads whole rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from stillroom.core.objectives import IGNORED_LABEL

WORTH = 16  # tokens: for fewer, reading twice is as quick


def shared(batch: Mapping[str, Tensor], whose: str = "") -> int:
    """Return how many tokens all rows begin with, one text a row; the last one before an answer is never among them."""
    ids, labels = batch[whose + "input_ids"], batch[whose + "labels"]
    mask, places = batch.get(whose + "attention_mask"), batch.get(whose + "position_ids")
    if len(ids) < 2 or ids.shape != labels.shape or mask is None or mask.dim() != 2:
        return 0
    if places is not None and not torch.equal(places, torch.arange(ids.shape[1], device=ids.device).expand_as(ids)):
        return 0
    # the first place at which a row leaves the others or ends, or which foretells an answer
    ends = (ids != ids[:1]) | (mask == 0)
    ends[:, :-1] |= labels[:, 1:] != IGNORED_LABEL
    found = ends.any(dim=0).nonzero().flatten()
    return int(found[0]) if len(found) else 0


def after(model: Any, batch: Mapping[str, Tensor], whose: str = "") -> tuple[dict[str, Tensor], Any]:
    """Read what the rows share, and return the batch without it and the network's memory of it, one copy a row.

    The attention mask stays as long as it was. Keys and values of every layer are held for all rows at once, which
    reading whole rows does not need: time is saved for memory. Where little is shared, or the network's memory is no
    plain cache, the batch comes back as it is, with None.
    """
    length = shared(batch, whose)
    if length < WORTH:
        return dict(batch), None
    from transformers.cache_utils import DynamicCache, DynamicLayer

    ids = batch[whose + "input_ids"]
    cache = getattr(model(input_ids=ids[:1, :length], use_cache=True), "past_key_values", None)
    if type(cache) is not DynamicCache or any(type(layer) is not DynamicLayer for layer in cache.layers):
        return dict(batch), None
    cache.batch_repeat_interleave(len(ids))
    places = torch.arange(length, ids.shape[1], device=ids.device).expand(len(ids), -1)
    rest = {whose + name: batch[whose + name][:, length:] for name in ("input_ids", "labels")}
    return {**batch, **rest, whose + "position_ids": places}, cache
