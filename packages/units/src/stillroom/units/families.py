"""UniTS models, found and loaded: from a folder, a hub id, an adapter folder or a Run.

An adapter is folded into its base, so what is loaded is always one plain network. How it learns classes may stand in
its `config.json`, as in `"lesson": {"head": "tokens"}`. Importing this module does not import torch: loading does.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stillroom.core.errors import MissingError, ModelError, RecipeError, UserError
from stillroom.core.folders import HUB_ID, cached_config, record
from stillroom.units.units import Units

if TYPE_CHECKING:
    from stillroom.units.model import UnitsModel


def claims(source: str) -> bool:
    """Say whether a folder or hub id holds a UniTS model, from `config.json` or `run.json` alone.

    A hub id must be in the local cache; write `units-model:OWNER/NAME` for others.
    """
    folder = Path(source).expanduser()
    if folder.is_dir():
        if (folder / "config.json").is_file():
            return _is_ours(record(folder / "config.json"))
        return (
            _is_run(record(folder / "run.json"))
            or record(folder / "stillroom_adapter.json").get("architecture") == "UniTS"
        )
    if not HUB_ID.fullmatch(source):
        return False
    return _is_ours(cached_config(source) or {})


def load(source: str | Path, *, device: str = "cpu", base: str | None = None) -> Units:
    """Load a UniTS model from a folder, a hub id, an adapter folder or a Run directory.

    Parameters
    ----------
    source
        A folder with `config.json` and weights, or a hub id; a Run directory gives what its training kept. An adapter
        is folded into its base.
    device
        Where it computes, such as `cpu` or `cuda`. Weights are float32, also those that were saved as halves.
    base
        Where an adapter's base is now, if not where it was when the adapter was trained.

    Raises
    ------
    ModelError
        No such folder or hub id, or nothing there that is a UniTS model. Code that comes with a model never runs.
    RecipeError
        Its `config.json` has a lesson that cannot be meant.
    MissingError
        The hub cannot be reached.
    """
    folder = Path(source).expanduser()
    if not folder.is_dir():
        if not HUB_ID.fullmatch(str(source)):
            raise ModelError(f"There is no model {str(source)!r}: give a folder, or a hub id OWNER/NAME.")
        return _in_hand(_pretrained(str(source), device), str(source))
    folder = folder.resolve()  # an adapter remembers where its base is
    if (folder / "stillroom_adapter.json").is_file() and not (folder / "config.json").is_file():
        return _in_hand(_adapted(folder, device, base), str(folder))
    if (folder / "config.json").is_file():
        return _in_hand(_pretrained(str(folder), device), str(folder))
    run = record(folder / "run.json")
    if _is_run(run):
        if not run.get("metrics", {}).get("verdict") or not run["recipe"].get("base"):
            raise ModelError(f"The training in {folder} has not ended: run it again, and it goes on where it stopped.")
        return load(base or run["recipe"]["base"], device=device)
    raise ModelError(f"{folder} holds no UniTS model: it has neither a config.json nor an adapter of ours.")


def find(name: str, *, device: str = "cpu") -> Units:
    """Load a model by any name that the registry knows: a mini's, a folder, a hub id, `units-model:SOURCE`.

    Raises
    ------
    ModelError
        Nothing answers to the name, or what does is not a UniTS model. Otherwise as `load`.
    """
    from stillroom.core.registry import resolve_model

    found = resolve_model(name)
    model = None if found.source is None else found.load(device=device)
    if not isinstance(model, Units):
        raise ModelError(f"{name!r} is no UniTS model: name a folder, a hub id or a mini of that family.")
    return model


def _in_hand(network: UnitsModel, source: str) -> Units:
    lesson = network.config.__dict__.pop("lesson", None)  # what is trained from it learns as it is told
    if lesson is None:
        return Units(network, source)
    from stillroom.core.recipes import checked
    from stillroom.units.classify import Lesson

    try:
        checked(Lesson, lesson)
    except RecipeError as error:
        raise RecipeError(f"{source} says how it learns classes, but not in a way that can be: {error}") from error
    return Units(network, source, lesson=lesson)


def _pretrained(source: str, device: str) -> UnitsModel:
    import torch
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError, RepositoryNotFoundError

    from stillroom.core.hub import cache_only_without_network
    from stillroom.units.model import UnitsModel

    local = Path(source).is_dir()
    config = record(Path(source) / "config.json") if local else {}
    if local and not _is_ours(config):
        raise ModelError(f"{source} holds no UniTS model: its config.json is another family's.")
    try:
        with nullcontext() if local else cache_only_without_network():
            model: Any = UnitsModel.from_pretrained(source, dtype=torch.float32, use_safetensors=True)
    except RepositoryNotFoundError as error:
        raise ModelError(f"There is no model {source} on the hub, or it is not public: check its name.") from error
    except (LocalEntryNotFoundError, HfHubHTTPError) as error:
        raise MissingError(
            f"{source} is not in the local cache and the hub cannot be reached: give a folder."
        ) from error
    except UserError:
        raise
    except Exception as error:  # transformers raises OSError, ValueError, KeyError, SafetensorError, …
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0]
        kind: type[Exception] = MissingError if isinstance(error, OSError) and not local else ModelError
        raise kind(f"{source} is no UniTS model that can be read: {reason}") from error
    return model.to(device).eval().requires_grad_(False)  # type: ignore[no-any-return]


def _adapted(folder: Path, device: str, base: str | None) -> UnitsModel:
    from stillroom.core import adapters
    from stillroom.units.architecture import UNITS

    where = base or adapters.read_manifest(folder).base
    if where is None or (Path(where).is_absolute() and not Path(where).is_dir()):
        raise ModelError(f"The adapter in {folder} belongs on {where}, which is not there: say where its base is now.")
    network: Any = adapters.merge(adapters.load(_pretrained(where, device), folder, UNITS))
    return network.eval().requires_grad_(False)  # type: ignore[no-any-return]


def _is_ours(config: Mapping[str, Any]) -> bool:
    return config.get("model_type") == "units"


def _is_run(run: Mapping[str, Any]) -> bool:
    recipe = run.get("recipe")
    return isinstance(recipe, dict) and recipe.get("family") == "units"
