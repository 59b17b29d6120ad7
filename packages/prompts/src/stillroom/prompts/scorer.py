"""How much each token of a text deserves to be kept, by a Hugging Face token classifier with two labels.

The published LLMLingua-2 checkpoints (Pan et al. 2024, arXiv:2403.12968) are such models, and so is any encoder with
a two-label head. It knows tokens and their probabilities; it does not know words, rates, or what is kept in the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, ModelError
from stillroom.prompts.batching import Frame, batches
from stillroom.prompts.chunks import cut

LONGEST = 512  # tokens a chunk, special ones included: what LLMLingua-2 was trained on, whatever more a model takes
BUDGET = {"cpu": 2**12, "cuda": 2**16}  # tokens a batch, padding included; more is no faster
KEEP = 1  # the label of the tokens that stay


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one text.

    Attributes
    ----------
    ids
        (tokens,) int64, without special tokens.
    start, end
        (tokens,) character positions in the text, without the white space that some tokenizers count in.
    chunks
        Where chunks begin, and the end of the last, as indices into `ids`: [0, …, tokens].
    """

    ids: np.ndarray
    start: np.ndarray
    end: np.ndarray
    chunks: np.ndarray

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True, eq=False)
class Scorer:
    """A token classifier and its tokenizer; threads may share one. Make it with `from_pretrained`."""

    model: Any
    tokenizer: Any
    frame: Frame
    limit: int
    source: str

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, device: str = "cpu", dtype: str = "auto") -> Scorer:
        """Load a model folder or hub id; code that comes with it never runs.

        Parameters
        ----------
        dtype
            `auto`: float32 on a CPU, where half precision is slow or inexact, else what the checkpoint was saved in.
            Or `float32`, `bfloat16`, `float16`.

        Raises
        ------
        ModelError
            No such model, no token classifier with two labels, no fast tokenizer, or an unknown dtype.
        """
        return cls.of(*_load(str(name_or_path), device, dtype), str(name_or_path))

    @classmethod
    def of(cls, network: Any, tokenizer: Any, source: str = "") -> Scorer:
        """Score with a network and a tokenizer that are in memory already, and may go on being trained."""
        tokenizer.backend_tokenizer.no_truncation()
        tokenizer.backend_tokenizer.no_padding()
        tokenizer.backend_tokenizer.encode_special_tokens = True  # "[SEP]" in a text is text
        frame = _frame(tokenizer)
        return cls(network, tokenizer, frame, _longest(network, tokenizer) - len(frame), source)

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, cut into chunks that the model can read.

        Raises
        ------
        DataError
            A text that is no Unicode text (lone surrogates).
        """
        for text in texts:
            try:
                text.encode()
            except UnicodeEncodeError as error:
                raise DataError(
                    f"A text holds half a character (a lone surrogate) at position {error.start}: "
                    "decode it with errors='replace' first."
                ) from error
        encodings = self.tokenizer.backend_tokenizer.encode_batch(list(texts), add_special_tokens=False)
        return [self._tokens(text, encoding) for text, encoding in zip(texts, encodings, strict=True)]

    def _tokens(self, text: str, encoding: Any) -> Tokens:
        ids = np.array(encoding.ids, dtype=np.int64)
        start, end = np.array(encoding.offsets, dtype=np.int64).reshape(-1, 2).T
        start = _trimmed(text, start, end)
        return Tokens(ids, start, end, cut(text, start, end, self.limit))

    def probabilities(self, messages: Iterable[Tokens]) -> list[np.ndarray]:
        """Return the probability of being kept of each token, one float32 array (tokens,) a message.

        The chunks of all messages run together, those of like length in one batch; in float32 a token's probability
        does not depend on what else is in its batch (beyond 1e-6).
        """
        import torch

        messages = list(messages)
        sizes = np.array([len(tokens) for tokens in messages], dtype=np.int64)
        offsets = np.concatenate(([0], np.cumsum(sizes)))
        chosen = np.empty(offsets[-1], dtype=np.float32)
        if len(chosen):
            ids = np.concatenate([tokens.ids for tokens in messages])
            begins = np.concatenate(
                [tokens.chunks[:-1] + offset for tokens, offset in zip(messages, offsets, strict=False)]
            )
            ends = np.concatenate(
                [tokens.chunks[1:] + offset for tokens, offset in zip(messages, offsets, strict=False)]
            )
            device = self.model.device
            with torch.inference_mode():
                for batch in batches(ids, begins, ends, self.frame, BUDGET.get(device.type, BUDGET["cuda"])):
                    mask = np.arange(batch.ids.shape[1]) < batch.lengths[:, None]
                    logits = self.model(
                        input_ids=torch.from_numpy(batch.ids).to(device),
                        attention_mask=torch.from_numpy(mask).to(device),
                    ).logits
                    kept = logits.float().softmax(-1)[..., KEEP].cpu().numpy()
                    chosen[batch.places] = kept[batch.inside]
        return [chosen[begin:end] for begin, end in zip(offsets[:-1], offsets[1:], strict=True)]

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 (hex) of every weight and of the tokenizer: the same model gives the same, wherever it lay."""
        import torch

        digest = hashlib.sha256(self.tokenizer.backend_tokenizer.to_str().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy().tobytes())
        return digest.hexdigest()


def _trimmed(text: str, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Move starts past the white space that byte-level and SentencePiece tokenizers count as part of a token."""
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    positions = np.arange(len(codes) + 1)
    blank = np.isin(codes, BLANKS)
    positions[:-1][blank] = len(codes)
    following = np.minimum.accumulate(positions[::-1])[::-1]  # the next character that is not blank
    return np.minimum(following[start], end)


BLANKS = np.array([code for code in range(0x3001) if chr(code).isspace()], dtype=np.uint32)


def _load(source: str, device: str, dtype: str) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from stillroom.core.hub import cache_only_without_network

    dtypes = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if dtype == "auto":
        wanted: Any = torch.float32 if torch.device(device).type == "cpu" else "auto"
    elif dtype in dtypes:
        wanted = dtypes[dtype]
    else:
        raise ModelError(f"There is no dtype {dtype!r}: take auto, {', '.join(dtypes)}.")
    try:
        with cache_only_without_network():
            network, info = AutoModelForTokenClassification.from_pretrained(
                source, dtype=wanted, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise ModelError(f"{source} cannot be loaded as a token classifier: {str(error).splitlines()[0]}") from error
    if info["missing_keys"] or network.config.num_labels != 2:
        raise ModelError(
            f"{source} is no token classifier with two labels (drop, keep): take an LLMLingua-2 checkpoint, "
            "or train one with `stillroom prompts train`."
        )
    if not tokenizer.is_fast:
        raise ModelError(f"{source} has no fast tokenizer (tokenizer.json), which says where tokens lie in a text.")
    return network.to(device).eval(), tokenizer


def _frame(tokenizer: Any) -> Frame:
    """Read off how the tokenizer frames a text with special tokens."""
    encoding = tokenizer.backend_tokenizer.encode("a", add_special_tokens=True)
    special = encoding.special_tokens_mask
    first = special.index(0) if 0 in special else len(special)
    last = len(special) - special[::-1].index(0) if 0 in special else len(special)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return Frame(tuple(encoding.ids[:first]), tuple(encoding.ids[last:]), padding)


def _longest(network: Any, tokenizer: Any) -> int:
    """Return how many tokens, special ones included, the model reads at once."""
    table = getattr(getattr(network.base_model, "embeddings", None), "position_embeddings", None)
    positions = getattr(network.config, "max_position_embeddings", LONGEST)
    if table is not None and table.padding_idx is not None:  # RoBERTa counts positions from after the padding's
        positions -= table.padding_idx + 1
    return min(LONGEST, positions, tokenizer.model_max_length)
