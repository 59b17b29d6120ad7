"""What the model says of each token when it is fed as llmlingua feeds it. It does not know what a word is.

llmlingua 0.2.2 always frames a chunk in BERT's special tokens, so XLM-R, whose vocabulary has none of them, reads
`<unk>`; it pads each chunk to 512 tokens and runs batches of 50. All of it moves the last bits of a probability, so all
of it is done here too. So is its way with forced tokens that are several pieces: each gets a placeholder of its own, a
new row of the embedding drawn after `torch.manual_seed(42)`.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from threading import Lock
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from stillroom.core.errors import ModelError

LENGTH = 512  # tokens of a chunk with its frame, whatever the model could take
BATCH = 50
PLACEHOLDERS = tuple(f"[NEW{i}]" for i in range(100))

_lock = Lock()
_tokenizers: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()
_models: WeakKeyDictionary[Any, Any] = WeakKeyDictionary()


def with_placeholders(tokenizer: Any) -> Any:
    """Return a copy of the tokenizer that knows the placeholders; made once a tokenizer, which stays as it is."""

    def make() -> Any:
        own = copy.deepcopy(tokenizer)
        own.add_special_tokens({"additional_special_tokens": list(PLACEHOLDERS)})
        return own

    return _once(_tokenizers, tokenizer, make)


def probabilities(model: Any, tokenizer: Any, chunks: Sequence[str]) -> Iterator[tuple[list[str], list[np.float32]]]:
    """Yield a chunk's tokens, frame included, and the probability that each is kept.

    `tokenizer` comes from `with_placeholders`. Raises ModelError for bfloat16, which numpy cannot hold.
    """
    import torch

    if model.dtype == torch.bfloat16:
        raise ModelError("llmlingua cannot read the probabilities of a model in bfloat16: load it in float32.")
    framed = [_framed(tokenizer, chunk) for chunk in chunks]
    for first in range(0, len(framed), BATCH):
        batch = framed[first : first + BATCH]
        ids = torch.tensor([row for row, _ in batch], device=model.device)  # (chunks, 512)
        mask = torch.tensor([row for _, row in batch], device=model.device)
        with torch.no_grad():
            logits = _wide_enough(model, tokenizer, ids)(input_ids=ids, attention_mask=mask).logits
            keep = logits.softmax(dim=-1)[..., 1]
        for row_ids, row_keep, row_mask in zip(ids, keep, mask, strict=True):
            # Read back from the ids: a piece that the vocabulary lacks is the unknown token from here on.
            tokens = tokenizer.convert_ids_to_tokens(row_ids[row_mask].tolist())
            yield tokens, list(row_keep[row_mask].cpu().numpy())


def _framed(tokenizer: Any, chunk: str) -> tuple[list[int], list[bool]]:
    """Return 512 ids and which of them are read: "[PAD]" is not, even where the chunk says so itself."""
    tokens = ["[CLS]", *tokenizer.tokenize(chunk), "[SEP]"][:LENGTH]
    padding = LENGTH - len(tokens)
    *ids, pad = tokenizer.convert_tokens_to_ids([*tokens, "[PAD]"])
    return ids + [pad] * padding, [token != "[PAD]" for token in tokens] + [False] * padding


def _wide_enough(model: Any, tokenizer: Any, ids: Any) -> Any:
    """Return the model, or where placeholders are among the ids its twin whose embedding has a row for each."""
    if int(ids.max()) < model.get_input_embeddings().weight.shape[0]:
        return model
    return _once(_models, model, lambda: _widened(model, len(tokenizer)))


def _widened(model: Any, rows: int) -> Any:
    """Return a twin that shares every weight but the embedding; the caller's model is not touched."""
    import torch

    shared: dict[int, Any] = {id(weight): weight for weight in (*model.parameters(), *model.buffers())}
    embedding = model.get_input_embeddings().weight
    shared[id(embedding)] = torch.nn.Parameter(embedding.detach(), requires_grad=False)  # resizing swaps its data
    twin = copy.deepcopy(model, shared)
    # The rows come from the global generators, which are put back; torch.manual_seed would reseed other GPUs as well.
    on_gpu = model.device.type == "cuda"
    with torch.random.fork_rng(devices=[model.device] if on_gpu else []):
        torch.default_generator.manual_seed(42)
        if on_gpu:
            torch.cuda.default_generators[model.device.index].manual_seed(42)
        twin.resize_token_embeddings(rows)
    return twin


def _once(made: WeakKeyDictionary[Any, Any], key: Any, make: Callable[[], Any]) -> Any:
    with _lock:
        if key not in made:
            made[key] = make()
        return made[key]
