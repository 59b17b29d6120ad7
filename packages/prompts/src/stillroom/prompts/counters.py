"""Ways to count tokens, by name: what a prompt costs depends on the model that reads it.

Nothing is downloaded except a tokenizer that the caller names by its hub id. It counts text only: what a chat template
adds around messages is not in it.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core.errors import MissingError, RecipeError
from stillroom.prompts.encoding import literal
from stillroom.prompts.words import LETTER, SINGLE, split

Counter = Callable[[str], int]
_PUBLIC = "https://openaipublic.blob.core.windows.net/encodings/"
TIKTOKEN_FILES = {  # where tiktoken would download a vocabulary from, and the sha256 it wants of it
    "cl100k_base": ("cl100k_base.tiktoken", "223921b76ee99bde995b7ff738513eef100fb51d18c93597a113bcffe865b2a7"),
    "o200k_base": ("o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "o200k_harmony": ("o200k_base.tiktoken", "446a9538cb6c348e3516120d7c08b09f57c36495e2acfffe59a5bf8b0cfb1a2d"),
    "p50k_base": ("p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
    "p50k_edit": ("p50k_base.tiktoken", "94b5ca7dff4d00767bc256fdd1b27e5b17361d7b8a5f968547f9f23eb70d2069"),
    "r50k_base": ("r50k_base.tiktoken", "306cd27f03c1a714eca7108e03d66b7dc042abe8c258b44c199a7ed9838dd930"),
}


def counter(name: Any) -> Counter:
    """Return a function that says how many tokens a text has.

    Parameters
    ----------
    name
        `estimate` (see `estimate`), `tiktoken:NAME` with an encoding or an OpenAI model, a Hugging Face tokenizer (the
        object, a folder or a hub id), or any function from text to a whole number.

    Raises
    ------
    MissingError
        tiktoken or the files of that encoding are not here.
    RecipeError
        No such tokenizer.
    """
    if name == "estimate":
        return estimate
    if isinstance(name, str) and name.startswith("tiktoken:"):
        return _tiktoken(name.removeprefix("tiktoken:"))
    if isinstance(name, str | Path):
        return _of_tokenizer(_load(str(name)))
    if hasattr(name, "encode"):
        return _of_tokenizer(name)
    if callable(name):
        count: Counter = name
        return count
    raise RecipeError(
        f"{name!r} counts no tokens: name a tokenizer (a folder or hub id), 'tiktoken:o200k_base' or 'estimate'"
    )


def estimate(text: str) -> int:
    """Return about how many tokens a text has for a large model of today.

    The rule: a token for every four characters of a word, begun ones counted whole, a token for every run of
    punctuation, one for every character of a script without spaces; white space is free. Letters beyond ASCII count
    twice. It errs towards too many, so that a cap holds.
    """
    words = split(text)
    codes = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    size = words.end - words.start
    wide = np.concatenate(([0], np.cumsum(codes >= 0x80)))
    letters = words.kind == LETTER
    length = size + np.where(letters, wide[words.end] - wide[words.start], 0)
    return int(np.where(words.kind == SINGLE, size, -(-length // 4)).sum())


def _of_tokenizer(tokenizer: Any) -> Counter:
    if hasattr(tokenizer, "encode_ordinary"):  # tiktoken's
        return lambda text: len(tokenizer.encode_ordinary(text))
    backend = getattr(tokenizer, "backend_tokenizer", tokenizer)
    if not hasattr(backend, "to_str"):  # a slow tokenizer
        return lambda text: len(tokenizer.encode(text, add_special_tokens=False))
    backend = literal(backend)
    return lambda text: len(backend.encode(text, add_special_tokens=False).ids)


def _load(name: str) -> Any:
    from transformers import AutoTokenizer

    from stillroom.core.hub import cache_only_without_network

    try:
        with cache_only_without_network():
            return AutoTokenizer.from_pretrained(name, trust_remote_code=False)
    except (OSError, ValueError, KeyError) as error:
        raise RecipeError(
            f"there is no tokenizer {name!r} to count with: name a folder, a hub id, 'tiktoken:NAME' or 'estimate'"
        ) from error


def _tiktoken(name: str) -> Counter:
    try:
        import tiktoken
    except ImportError as error:
        raise MissingError("tiktoken is not installed: `pip install 'stillroom-prompts[tiktoken]'`") from error
    if name not in TIKTOKEN_FILES:
        try:
            name = tiktoken.encoding_name_for_model(name)
        except KeyError as error:
            raise RecipeError(
                f"tiktoken has no {name!r}: take an OpenAI model's name or one of {', '.join(TIKTOKEN_FILES)}"
            ) from error
    _require_cached(name)
    return _of_tokenizer(tiktoken.get_encoding(name))


def _require_cached(name: str) -> None:
    """Refuse what tiktoken would download: it goes to the network unasked where its cache lacks a file or has it torn.

    Raises
    ------
    MissingError
        The file is not in tiktoken's cache.
    """
    variables = ("TIKTOKEN_CACHE_DIR", "DATA_GYM_CACHE_DIR")
    default = str(Path(tempfile.gettempdir()) / "data-gym-cache")
    folder = next((os.environ[variable] for variable in variables if variable in os.environ), default)
    file, wanted = TIKTOKEN_FILES.get(name, ("", ""))
    cached = Path(folder) / hashlib.sha1((_PUBLIC + file).encode()).hexdigest()
    if not folder or not cached.is_file() or hashlib.sha256(cached.read_bytes()).hexdigest() != wanted:
        raise MissingError(
            f"the files of tiktoken's {name} are not here, and nothing is downloaded unasked: fetch them once with "
            f"`python -c \"import tiktoken; tiktoken.get_encoding({name!r})\"`, or count with 'estimate'"
        )
