"""Chronos-T5, Chronos-Bolt and Chronos-2, found and loaded: from a folder, a hub id, an adapter folder or a Run.

A checkpoint is whatever upstream's `from_pretrained` reads; an adapter folder is one of the core's; a Run directory
leads to what its training kept. Importing this module does not import torch: loading a model does.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import MissingError, ModelError
from stillroom.core.folders import HUB_ID, cached_config, record
from stillroom.core.hub import cache_only_without_network

if TYPE_CHECKING:
    from stillroom.chronos.model import ChronosModel

KINDS = {"ChronosPipeline": "t5", "ChronosBoltPipeline": "bolt", "Chronos2Pipeline": "chronos2"}


def claims(source: str) -> bool:
    """Say whether a folder or hub id holds a Chronos model, from its `config.json` or `run.json` alone.

    A hub id that is not in the local cache is ours if its name says Chronos; write `chronos:OWNER/NAME` for any other.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        return _is_ours(record(folder / "config.json")) or _is_run(record(folder / "run.json"))
    if not HUB_ID.fullmatch(source):
        return False
    config = cached_config(source)
    return "chronos" in source.lower() if config is None else _is_ours(config)


def load(source: str | Path, *, device: str = "cpu", dtype: str = "float32", base: str | None = None) -> ChronosModel:
    """Load a Chronos model from a folder, a hub id, an adapter folder or a Run directory.

    Parameters
    ----------
    source
        A folder that upstream's `from_pretrained` reads, or a hub id such as `amazon/chronos-bolt-tiny`; a Run
        directory gives what its training kept, be it weights, an adapter on its base, or the base alone.
    dtype
        `float32` (the default also for half-precision checkpoints, which are slow on CPUs) or `bfloat16`.
    base
        Where an adapter's base is now, if not where it was when the adapter was trained.

    Raises
    ------
    ModelError
        No such folder or hub id, or nothing there that is a Chronos model. Code that comes with a model never runs.
    MissingError
        The hub cannot be reached.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        if not HUB_ID.fullmatch(str(source)):
            raise ModelError(f"There is no model {str(source)!r}: give a folder, or a hub id such as amazon/chronos-2.")
        return pretrained(str(source), device, dtype)
    folder = folder.resolve()  # an adapter remembers where its base is
    if (folder / "config.json").is_file():
        return pretrained(str(folder), device, dtype)
    if (folder / "stillroom_adapter.json").is_file():
        return _adapted(folder, device, dtype, base)
    run = record(folder / "run.json")
    if _is_run(run):
        if not run.get("metrics", {}).get("verdict"):
            raise ModelError(f"The training in {folder} has not ended: run it again, and it goes on where it stopped.")
        return load(base or run["recipe"]["base"], device=device, dtype=dtype)
    raise ModelError(f"{folder} holds no Chronos model: it has neither a config.json nor an adapter of ours.")


def find(name: str, *, device: str = "cpu") -> ChronosModel:
    """Load a model by any name that the registry knows: a mini's, a folder, a hub id, `chronos:SOURCE`.

    Raises
    ------
    ModelError
        Nothing answers to the name, or what does is not a Chronos model. Otherwise as `load`.
    """
    from stillroom.chronos.model import ChronosModel
    from stillroom.core.registry import resolve_model

    found = resolve_model(name)
    model = None if found.source is None else found.load(device=device)
    if not isinstance(model, ChronosModel):
        raise ModelError(f"{name!r} is no Chronos model: name a folder, a hub id or a mini of that family.")
    return model


def _adapted(folder: Path, device: str, dtype: str, base: str | None) -> ChronosModel:
    from stillroom.chronos.architectures import ARCHITECTURES
    from stillroom.core import adapters

    manifest = adapters.read_manifest(folder)
    where = base or manifest.base
    if where is None or (Path(where).is_absolute() and not Path(where).is_dir()):
        raise ModelError(f"The adapter in {folder} belongs on {where}, which is not there: say where its base is now.")
    architecture = next(a for a in ARCHITECTURES.values() if a.name == manifest.architecture)
    quantization = adapters.quantization(manifest.spec, architecture)
    model = pretrained(where, device, dtype, quantization)
    network = adapters.load(model.model, folder, architecture)
    return replace(model.with_network(network), source=str(folder))


def pretrained(source: str, device: str, dtype: str, quantization: Any = None) -> ChronosModel:
    """Load what upstream's `from_pretrained` reads; `quantization` is transformers' configuration, for a 4-bit base."""
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    from chronos import BaseChronosPipeline
    from stillroom.chronos.model import ChronosModel, quiet

    if dtype not in BaseChronosPipeline.dtypes:
        raise ModelError(f"There is no dtype {dtype!r} here: choose float32 or bfloat16.")
    options = {} if quantization is None else {"quantization_config": quantization}
    try:
        with quiet(), nullcontext() if Path(source).is_dir() else cache_only_without_network():
            pipeline: Any = BaseChronosPipeline.from_pretrained(source, dtype=dtype, trust_remote_code=False, **options)
    except Exception as error:  # upstream and transformers raise OSError, ValueError, KeyError, AssertionError, …
        causes = list(_causes(error))
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if Path(source).is_dir():
            raise ModelError(f"{source} is no Chronos model that can be read: {reason}") from error
        if any(isinstance(cause, RepositoryNotFoundError) for cause in causes):
            raise ModelError(f"There is no model {source} on the hub, or it is not public: check its name.") from error
        if isinstance(error, OSError) or any(isinstance(c, LocalEntryNotFoundError | HfHubHTTPError) for c in causes):
            raise MissingError(
                f"{source} is not in the local cache and the hub cannot be reached: "
                "check the name and the network, or give the folder of a downloaded model."
            ) from error
        raise ModelError(f"{source} is no Chronos model that can be read: {reason}") from error
    if not options:  # a quantised network is placed where it was loaded
        pipeline.inner_model.to(device)
    pipeline.inner_model.eval()
    return ChronosModel(pipeline=pipeline, kind=KINDS[type(pipeline).__name__], source=source)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_ours(config: dict[str, Any]) -> bool:
    return "chronos_config" in config or "chronos_pipeline_class" in config


def _is_run(run: dict[str, Any]) -> bool:
    recipe = run.get("recipe")
    return isinstance(recipe, dict) and recipe.get("family") == "chronos"
