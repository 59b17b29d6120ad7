"""Compressors by name: what a folder or hub id must look like to be one, and how a name that a user writes is loaded.

Importing this module imports neither torch nor transformers: loading a model does.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core import registry
from stillroom.core.errors import ModelError
from stillroom.core.folders import HUB_ID, cached_config, record
from stillroom.core.protocols import Compressor as CompressorProtocol

if TYPE_CHECKING:
    from stillroom.prompts.compressor import Compressor

DEFAULT = "compressor"


def claims(source: str) -> bool:
    """Say whether a folder or hub id holds a token classifier with two labels, from its `config.json` alone.

    A hub id that is not in the local cache is ours if its name says LLMLingua-2; write `prompts:OWNER/NAME` for others.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _is_ours(record(folder / "config.json"))
    if not HUB_ID.fullmatch(source):
        return False
    config = cached_config(source)
    return "llmlingua-2" in source.lower() if config is None else _is_ours(config)


def load(source: str, *, device: str = "cpu") -> Compressor:
    """Load a compressor from a folder or hub id; see `Compressor.from_pretrained`."""
    from stillroom.prompts.compressor import Compressor

    return Compressor.from_pretrained(source, device=device)


def find(name: str = DEFAULT, *, device: str = "cpu") -> Compressor:
    """Load a compressor by any name: a mini's, a folder, a hub id, `prompts:SOURCE`.

    Raises
    ------
    ModelError
        There is no such model, what there is is no compressor, or the mini has no weights here.
    """
    from stillroom.prompts.compressor import Compressor

    known = registry.names("stillroom.models")
    mini = registry.get("stillroom.models", DEFAULT) if DEFAULT in known else Path(DEFAULT)
    if name == DEFAULT and not (mini / "config.json").is_file():
        raise ModelError(
            f"the mini {DEFAULT!r} is not here: install a stillroom-minis that has it, or name another model, "
            "a folder or a hub id such as microsoft/llmlingua-2-bert-base-multilingual-cased-meetingbank"
        )
    source = name.removeprefix("prompts:")
    if name not in known and (Path(source).expanduser().is_dir() or HUB_ID.fullmatch(source)):
        return load(source, device=device)  # says better than the registry what is wrong with it
    found = registry.resolve_model(name)
    model: Any = None if found.source is None else found.load(device=device)
    if not isinstance(model, Compressor):
        raise ModelError(f"{name!r} is no compressor: name a folder or hub id of a token classifier with two labels")
    return model


def _is_ours(config: dict[str, Any]) -> bool:
    architectures = config.get("architectures") or [""]
    labels = config.get("id2label") or {"0": "drop", "1": "keep"}  # two is what transformers leaves unsaid
    return str(architectures[0]).endswith("ForTokenClassification") and len(labels) == 2


family = registry.ModelFamily(load=load, claims=claims, can=(CompressorProtocol,))
