"""What a model is made of, read from its files before it is loaded: weights, base, adapter, teacher, training data.

It opens `run.json`, the card, `adapter_config.json` and the weights' bytes, and never imports a model library. A hub id
is known by its commit; a baseline, which has no weights, by the version of the package that registers it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from stillroom.core import registry
from stillroom.core.errors import MissingError
from stillroom.core.folders import record
from stillroom.core.registry import ResolvedModel

WEIGHTS = (".safetensors", ".bin", ".pt", ".pth", ".ckpt", ".gguf", ".onnx")
INDEX = "trained_on.npz"
SETTINGS = ("config.json", "adapter_config.json", "generation_config.json", "gluonts-config.json", "predictor.json")


@dataclass(frozen=True)
class Lineage:
    """Where a model comes from, as far as its folder says."""

    weights: str
    """sha256 of weights and their settings; `hub:COMMIT`; or `PACKAGE==VERSION` for a baseline."""
    bytes_on_disk: int
    base_model: str | None = None
    adapter: str | None = None
    teacher: str | None = None
    trained_on: tuple[str, ...] = ()
    windows: Path | None = None
    """The `stillroom.series.overlap.Index` of the training series, where a model brings one."""
    train_seconds: float | None = None


def trace(model: ResolvedModel) -> Lineage:
    """Read a resolved model's lineage.

    Raises
    ------
    MissingError
        For a hub id that is neither in the local cache nor reachable.
    """
    if model.source is None:
        package = registry.entry_point("stillroom.models", model.id).dist
        return Lineage(f"{package.name}=={package.version}" if package else "unknown", 0)
    folder = Path(model.source).expanduser()
    commit = None
    if not folder.is_dir():
        commit, snapshot = hub_commit(model.source)
        if snapshot is None:
            return Lineage(f"hub:{commit}", 0)
        folder = snapshot
    files = model_files(folder)
    adapter = record(folder / "adapter_config.json")
    weights = f"hub:{commit}" if commit else digest(folder, files)
    base = said(folder, "base_model") or adapter.get("base_model_name_or_path")
    if base and Path(base).is_dir():  # the adapter's bytes alone do not say what it is added to
        weights = hashlib.sha256(f"{weights}+{digest(Path(base), model_files(Path(base)))}".encode()).hexdigest()
    method = said(folder, "adapter") or adapter.get("peft_type")
    if isinstance(method, Mapping):  # a recipe's AdapterSpec
        method = method.get("method")
    teacher = said(folder, "teacher")
    seconds = (record(folder / "run.json").get("cost") or {}).get("train_seconds")
    return Lineage(
        weights=weights,
        bytes_on_disk=sum(path.stat().st_size for path in files),
        base_model=str(base) if base else None,
        adapter=str(method).lower() if method else None,
        teacher=str(teacher) if teacher else None,
        trained_on=trained_on(folder),
        windows=next((place / INDEX for place in (folder, Path(base or folder)) if (place / INDEX).is_file()), None),
        train_seconds=float(seconds) if seconds is not None else None,
    )


def trained_on(folder: Path) -> tuple[str, ...]:
    """Names of the data sets that a model says it was trained on; nothing when it does not say."""
    names = said(folder, "trained_on") or ()
    return (names,) if isinstance(names, str) else tuple(str(name) for name in names)


def said(folder: Path, name: str) -> Any:
    """What a folder says under a name: in `run.json`, in the recipe inside it, or in the header of its card."""
    run = record(folder / "run.json")
    for place in (run, run.get("recipe"), card_header(folder / "README.md")):
        if isinstance(place, Mapping) and place.get(name) is not None:
            return place[name]
    return None


def card_header(path: Path) -> Any:
    """The YAML between the first two `---` of a model card; None when it has none."""
    parts = path.read_text(encoding="utf-8", errors="replace").split("---", 2) if path.is_file() else []
    if len(parts) < 3 or parts[0].strip():
        return None
    try:
        return yaml.safe_load(parts[1])
    except yaml.YAMLError:
        return None


def model_files(folder: Path) -> list[Path]:
    """Weights and the settings that change what they compute; training checkpoints are left out."""
    return sorted(
        path
        for path in folder.rglob("*")
        if (path.suffix in WEIGHTS or path.name in SETTINGS)
        and not any(part.startswith(("checkpoint", ".")) for part in path.relative_to(folder).parts)
    )


def digest(folder: Path, files: list[Path]) -> str:
    """sha256 over the files' names and bytes."""
    whole = hashlib.sha256()
    for path in files:
        with path.open("rb") as file:
            part = hashlib.file_digest(file, "sha256").hexdigest()
        whole.update(f"{path.relative_to(folder)} {part}\n".encode())
    return whole.hexdigest()


def hub_commit(source: str) -> tuple[str, Path | None]:
    """Commit of a hub id's main branch and its local snapshot, if there is one: the hub is asked, then the cache."""
    from httpx import HTTPError
    from huggingface_hub import HfApi, constants, try_to_load_from_cache

    cached = try_to_load_from_cache(source, "config.json")
    snapshot = Path(cached).parent if isinstance(cached, str) else None
    if not constants.HF_HUB_OFFLINE:
        try:
            commit = HfApi().model_info(source, timeout=10).sha
            return str(commit), snapshot if snapshot and snapshot.name == commit else None
        except (OSError, HTTPError):  # no network, or no such repository
            pass
    if snapshot is None:
        raise MissingError(
            f"{source} is not in the local Hugging Face cache and the hub did not answer for it: "
            "check the name and the network, or name a local folder"
        )
    return snapshot.name, snapshot
