"""Where models come from: the name that a user writes, the folder or hub id that it means, and its tokenizer.

Nothing that a folder brings is executed. What the Hugging Face libraries raise becomes one sentence here, and where no
hub answers, the local cache is looked at alone. It knows no network.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stillroom.core import hub, registry
from stillroom.core.errors import MissingError, ModelError
from stillroom.core.folders import HUB_ID
from stillroom.core.progress import without_bars


def find(source: str | Path) -> str:
    """Return the folder or hub id that a user means.

    Raises ModelError when there is no such model.
    """
    name, folder = str(source), Path(source).expanduser()
    known = registry.names("stillroom.models")
    if name not in known:
        if folder.is_dir():
            return str(folder)
        if HUB_ID.fullmatch(name):
            return name
    elif isinstance(entry := registry.get("stillroom.models", name), Path) and entry.is_dir():
        return str(entry)
    found = registry.resolve_model(name)
    if found.source is None:
        raise ModelError(f"{name!r} has no weights to learn with: name a folder, a hub id or a mini.")
    return found.source


def tokenizer_of(source: str | Path) -> Any:
    """Load the tokenizer of a model by any name, with a token to pad with; raises as `load` does.

    Where it has none of its own, padding is written with `unk`, or with the end mark: it stands where nothing is
    learned or looked at.
    """
    return tokenizer_in(find(source), str(source))


def tokenizer_in(place: str, name: str) -> Any:
    """Load the tokenizer in a folder or of a hub id as `tokenizer_of` does; `name` is how messages call it."""
    from transformers import AutoTokenizer

    with said_of(name, place, "a tokenizer"):
        tokenizer = AutoTokenizer.from_pretrained(place, trust_remote_code=False)
    if tokenizer.pad_token is None:
        own = [token for token in (tokenizer.unk_token, tokenizer.eos_token) if token]
        if not own:
            raise ModelError(
                f"The tokenizer of {name} has no token to pad with, no unknown and no end mark: give it one."
            )
        tokenizer.pad_token = own[0]
    return tokenizer


@contextmanager
def said_of(name: str, place: str, what: str) -> Iterator[None]:
    """Turn what the Hugging Face libraries raise into a sentence; see the local cache alone where no hub answers."""
    from safetensors import SafetensorError

    try:
        with hub.cache_only_without_network(), quiet():
            yield
    except (OSError, ValueError, KeyError, RuntimeError, ImportError, SafetensorError) as error:
        if not Path(place).is_dir() and not hub.answers():
            raise MissingError(
                f"{name} is no folder and not in the local cache, and the Hugging Face hub does not answer: fetch it "
                "where there is a network, or name a folder."
            ) from error
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"{name} cannot be loaded as {what}: {reason}") from error


@contextmanager
def quiet() -> Iterator[None]:
    """Let transformers load and save without bars, and without its long reports that a new head is new."""
    from transformers.utils import logging

    level = logging.get_verbosity()
    logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    try:
        with without_bars():
            yield
    finally:
        logging.set_verbosity(level)
