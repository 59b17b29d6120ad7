"""How much each token of a text deserves to be kept, by a Hugging Face token classifier with two labels.

The published LLMLingua-2 checkpoints (Pan et al. 2024, arXiv:2403.12968) are such models, and so is any encoder with
a two-label head. It knows tokens and their probabilities; it does not know words, rates, or what is kept in the end.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, ModelError
from stillroom.core.progress import without_bars
from stillroom.prompts.batching import Frame, batches
from stillroom.prompts.chunks import cut
from stillroom.prompts.encoding import Lexicon, literal

LONGEST = 512  # tokens a chunk, special ones included: what LLMLingua-2 was trained on, whatever more a model takes
# rows are padded to a multiple of the first; the second is tokens a batch, padding included: more leave a CPU's caches
BATCHES = {"cpu": (8, 2**11), "cuda": (64, 2**16)}
DTYPES = ("auto", "float32", "bfloat16", "float16", "int8")
BLANK = np.array([chr(code).isspace() for code in range(0x3002)])  # the last entry stands for all later characters


@dataclass(frozen=True, eq=False)
class Tokens:
    """The tokens of one text.

    Attributes
    ----------
    ids
        (tokens,) int64, without special tokens.
    start, end
        (tokens,) character positions in the text, less the white space that some tokenizers count as part of a token;
        a token that is nothing else is empty.
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
    """A token classifier and its tokenizer; threads may share one. Make it with `from_pretrained`.

    Attributes
    ----------
    model, tokenizer
        The network, in evaluation mode, and its fast tokenizer.
    frame
        The special tokens around each chunk.
    limit
        The most tokens of a text that the network reads at once.
    backend
        The tokenizer's copy that reads texts as they are (see `encoding.literal`).
    """

    model: Any
    tokenizer: Any
    frame: Frame
    limit: int
    backend: Any

    @classmethod
    def from_pretrained(cls, name_or_path: str | Path, device: str = "cpu", dtype: str = "auto") -> Scorer:
        """Load a model folder or hub id; code that comes with it never runs.

        Parameters
        ----------
        dtype
            `auto`: float32 on a CPU, whatever the checkpoint holds, since few CPUs are fast at half precision;
            elsewhere what the checkpoint holds. `float32`, `bfloat16` (faster on CPUs with AVX512-BF16 or AMX) or
            `float16`; `int8` on CPUs with VNNI: the fastest there, with a scale for each row of a weight and for
            each token.

        Raises
        ------
        ModelError
            No such model, no token classifier with two labels, no fast tokenizer, an unknown dtype or device, or int8
            where it is not faster.
        """
        network, tokenizer = _load(str(name_or_path), _weights(device, dtype))
        if network.config.num_labels != 2:
            raise ModelError(
                f"{name_or_path} has {network.config.num_labels} labels where two are needed, drop and keep: "
                "take an LLMLingua-2 checkpoint, or train one with `stillroom prompts train`."
            )
        if not tokenizer.is_fast or len(tokenizer) <= len(tokenizer.all_special_ids):
            raise ModelError(
                f"{name_or_path} has no fast tokenizer, which alone says where its tokens lie in a text: "
                "save one beside the weights (tokenizer.json)."
            )
        return cls.of(_prepared(network.to(device).eval(), dtype), tokenizer)

    @classmethod
    def of(cls, network: Any, tokenizer: Any) -> Scorer:
        """Score with a network and a tokenizer that are in memory already, and may go on being trained."""
        frame = _frame(tokenizer)
        return cls(network, tokenizer, frame, _longest(network, tokenizer) - len(frame), literal(tokenizer))

    def tokenize(self, texts: Sequence[str]) -> list[Tokens]:
        """Return the tokens of each text, cut into chunks that the model can read.

        Raises
        ------
        DataError
            A text that holds half a character (a lone surrogate).
        """
        texts = list(texts)
        codes = _codes(texts)
        encoded = self._lexicon.encode(texts, codes)
        start = _trimmed(codes, encoded.start, encoded.end)
        tokens = np.append(0, np.cumsum(encoded.counts))
        characters = np.append(0, np.cumsum([len(text) for text in texts], dtype=np.int64))
        return [
            self._tokens(codes[low:high], encoded.ids[a:b], start[a:b] - low, encoded.end[a:b] - low)
            for (a, b), (low, high) in zip(pairwise(tokens), pairwise(characters), strict=True)
        ]

    def count(self, texts: Sequence[str]) -> list[int]:
        """Return how many tokens each text has; raises as `tokenize` does, and costs less."""
        counts: list[int] = self._lexicon.count(texts, _codes(texts)).tolist()
        return counts

    @cached_property
    def _lexicon(self) -> Lexicon:
        return Lexicon(self.backend)

    def _tokens(self, codes: np.ndarray, ids: np.ndarray, start: np.ndarray, end: np.ndarray) -> Tokens:
        return Tokens(ids, start, end, cut(codes, start, end, self.limit))

    def probabilities(self, messages: Iterable[Tokens]) -> list[np.ndarray]:
        """Return the probability of being kept of each token, one float32 array (tokens,) a message.

        The chunks of all messages run together, those of one width in a batch. A token's probability does not depend
        on what else is in its batch: to 1e-6 in float32, and on CPUs bit for bit where oneDNN multiplies matrices.
        """
        import torch

        messages = list(messages)
        offsets = np.append(0, np.cumsum([len(tokens) for tokens in messages], dtype=np.int64))
        kept = np.empty(offsets[-1], dtype=np.float32)
        if not len(kept):
            return [kept] * len(messages)
        ids = np.concatenate([tokens.ids for tokens in messages])
        shifted = [tokens.chunks + offset for tokens, offset in zip(messages, offsets[:-1], strict=True)]
        begins = np.concatenate([chunks[:-1] for chunks in shifted])
        ends = np.concatenate([chunks[1:] for chunks in shifted])
        device = self.model.device
        step, budget = BATCHES.get(device.type, BATCHES["cuda"])
        widest = self.limit + len(self.frame)
        with torch.inference_mode():
            for batch in batches(ids, begins, ends, self.frame, widest=widest, step=step, budget=budget):
                padded, mask = (torch.from_numpy(array).to(device) for array in (batch.ids, batch.mask))
                logits = self.model(input_ids=padded, attention_mask=mask).logits.float().cpu().numpy()
                drop, keep = logits[batch.inside].T
                kept[batch.places] = np.exp(-np.logaddexp(0, drop - keep))  # softmax over the two
        return [kept[begin:end] for begin, end in pairwise(offsets)]

    @cached_property
    def fingerprint(self) -> str:
        """A sha256 (hex) of the tokenizer and of every weight as loaded, wherever the model lay."""
        import torch

        digest = hashlib.sha256(self.backend.to_str().encode())
        for name, tensor in sorted(self.model.state_dict().items()):
            digest.update(repr((name, str(tensor.dtype), tuple(tensor.shape))).encode())
            digest.update(tensor.detach().cpu().contiguous().flatten().view(torch.uint8).numpy())
        return digest.hexdigest()


def _codes(texts: Sequence[str]) -> np.ndarray:
    """Return the code points of all texts, one after the other."""
    codes = np.frombuffer("".join(texts).encode("utf-32-le", "surrogatepass"), dtype="<u4")
    if np.any((codes >= 0xD800) & (codes < 0xE000)):
        raise DataError("A text holds half a character (a lone surrogate): decode it with errors='replace' first.")
    return codes


def _trimmed(codes: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    """Move starts past the white space that byte-level and SentencePiece tokenizers count as part of a token."""
    blank = BLANK[np.minimum(codes, len(BLANK) - 1)]
    begins = np.flatnonzero((start < end) & np.append(blank, False)[start])
    inked = np.append(np.flatnonzero(~blank), len(codes))
    moved = start.copy()
    moved[begins] = np.minimum(inked[np.searchsorted(inked, start[begins])], end[begins])
    return moved


def _weights(device: str, dtype: str) -> Any:
    """Return what transformers calls the dtype to load weights in."""
    import torch

    from stillroom.prompts.precision import runs_int8

    try:
        on_cpu = torch.device(device).type == "cpu"
    except RuntimeError as error:
        raise ModelError(f"There is no device {device!r}: take cpu, or cuda where there is a GPU.") from error
    if dtype not in DTYPES:
        raise ModelError(f"There is no dtype {dtype!r}: take one of {', '.join(DTYPES)}.")
    if dtype == "int8" and not (on_cpu and runs_int8()):
        raise ModelError("int8 is for CPUs with VNNI instructions, which is not what this runs on: take bfloat16.")
    if dtype == "auto" and not on_cpu:
        return "auto"
    return torch.float32 if dtype in ("auto", "int8") else getattr(torch, dtype)


def _load(source: str, weights: Any) -> tuple[Any, Any]:
    from transformers import AutoModelForTokenClassification, AutoTokenizer

    from stillroom.core.hub import cache_only_without_network

    try:
        with cache_only_without_network(), without_bars():
            network, loading = AutoModelForTokenClassification.from_pretrained(
                source, dtype=weights, trust_remote_code=False, output_loading_info=True
            )
            tokenizer = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        reason = str(error).strip().split("\n")[0]
        raise ModelError(f"{source} cannot be loaded as a token classifier: {reason}") from error
    if loading["missing_keys"]:
        raise ModelError(
            f"{source} is no trained token classifier (it lacks {min(loading['missing_keys'])}): take an LLMLingua-2 "
            "checkpoint, or train one with `stillroom prompts train`."
        )
    return network, tokenizer


def _prepared(network: Any, dtype: str) -> Any:
    """Put the linear layers into the form that is fastest here; the head stays as it is."""
    import torch

    from stillroom.prompts.precision import Int8Linear, PackedLinear, replace_linear

    if dtype == "int8":
        replace_linear(network, Int8Linear, network.config.num_labels)
    elif network.device.type == "cpu" and network.dtype == torch.float32 and torch.backends.mkldnn.is_available():  # type: ignore
        replace_linear(network, PackedLinear, network.config.num_labels)
    return network


def _frame(tokenizer: Any) -> Frame:
    """Read off how the tokenizer frames a text."""
    encoding = tokenizer.backend_tokenizer.encode("a", add_special_tokens=True)
    text = np.flatnonzero(np.array(encoding.special_tokens_mask) == 0)
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    return Frame(tuple(encoding.ids[: text[0]]), tuple(encoding.ids[text[-1] + 1 :]), padding)


def _longest(network: Any, tokenizer: Any) -> int:
    """Return how many tokens, special ones included, the model reads at once."""
    table = getattr(getattr(network.base_model, "embeddings", None), "position_embeddings", None)
    positions = getattr(network.config, "max_position_embeddings", LONGEST)
    if table is not None and table.padding_idx is not None:  # RoBERTa counts positions from after the padding's
        positions -= table.padding_idx + 1
    return min(LONGEST, int(positions), int(tokenizer.model_max_length))
