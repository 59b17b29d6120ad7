"""How a student's weights may move: a method put on a model, saved, loaded and merged.

What the methods are is written in `stillroom.core.methods`. This module knows no architecture: what differs between
families (which layers to adapt, which to keep out of 4 bit, what to mend before PEFT sees the model) is an
`Architecture`, a constant of the family's own package. It knows no data and no loss either.

Every method but the prompt ones starts exactly at the base model, so step 0 of any training is the base.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError

from stillroom.core.errors import CorruptError, ModelError, RecipeError
from stillroom.core.methods import (
    METHODS,
    PROMPT,
    AdapterSpec,
    Architecture,
    modules_ending_in,
    peft_config,
    quantization,
)
from stillroom.core.offline import import_bitsandbytes
from stillroom.core.runs import write_atomic

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import Tensor, nn

__all__ = [
    "METHODS",
    "AdapterSpec",
    "Architecture",
    "Manifest",
    "after_step",
    "attach",
    "load",
    "merge",
    "quantization",
    "read_manifest",
    "save",
    "size",
    "supported",
    "trainable",
]

MANIFEST, BIASES = "stillroom_adapter.json", "biases.safetensors"
PEFT_WEIGHTS, PEFT_CONFIG = "adapter_model.safetensors", "adapter_config.json"  # the names that PEFT looks for


class Manifest(BaseModel):
    """What `save` says of a folder, so that `load` need not guess; `base` is the base model's id or path."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    spec: AdapterSpec
    architecture: str
    base: str | None = None


@dataclass(frozen=True)
class _Attached:
    spec: AdapterSpec
    architecture: Architecture


def supported(model: nn.Module, architecture: Architecture) -> list[str]:
    """List the methods that work on this model, in the order of `METHODS`."""
    return [
        method
        for method, strengths in METHODS.items()
        if (architecture.prompt_methods or strengths != PROMPT) and (method != "bitfit" or any(_biases(model)))
    ]


def attach(
    model: nn.Module, spec: AdapterSpec, architecture: Architecture, *, total_steps: int | None = None
) -> nn.Module:
    """Free the weights that `spec` lets move, and freeze all others.

    Parameters
    ----------
    model
        The base, changed in place. For qlora it was loaded with `quantization(spec, architecture)`.
    total_steps
        Length of the training in optimizer steps; adalora plans its ranks by it, no other method asks.

    Returns
    -------
    The model itself for full and bitfit, otherwise a `peft.PeftModel` around it with the same forward arguments.

    Raises
    ------
    RecipeError
        The method does not work on this architecture, or names layers that are not there.
    ModelError
        The base is in 4 bit where it must not be, or the reverse.
    """
    _check(model, spec, architecture)
    if spec.method == "adalora" and not total_steps:
        raise RecipeError("adalora plans its ranks over the whole training: say how many steps it has.")
    if spec.method in ("full", "bitfit"):
        model.requires_grad_(False)
        for _, parameter in _moving(model, spec, architecture):
            parameter.requires_grad_(True)
    else:
        model = _wrap(model, peft_config(model, spec, architecture, total_steps=total_steps), architecture)
    return _remember(model, spec, architecture)


def after_step(model: nn.Module, step: int) -> None:
    """Let adalora move its ranks. Call after each optimizer step, before the gradients are zeroed; `step` starts at 0.

    Does nothing for every other method, so that a trainer need not ask which one it trains.
    """
    attached = getattr(model, "stillroom_adapter", None)
    if attached is not None and attached.spec.method == "adalora":
        model.base_model.update_and_allocate(step)  # type: ignore[operator,union-attr]


def save(model: nn.Module, folder: str | Path) -> None:
    """Write only what moved (for full: the whole model), then the manifest: its presence means that the rest is whole.

    A PEFT method's folder is also a PEFT folder: `PeftModel.from_pretrained(base, folder)` reads it.
    """
    from safetensors.torch import save_file

    attached, folder = _attached(model), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (MANIFEST, BIASES, PEFT_WEIGHTS, PEFT_CONFIG):  # of another method, saved here before
        (folder / stale).unlink(missing_ok=True)
    if attached.spec.method == "full":
        model.save_pretrained(folder)  # type: ignore[operator]
    elif attached.spec.method == "bitfit":
        save_file(_plain(dict(_moving(model, attached.spec, attached.architecture))), folder / BIASES)
    else:
        save_file(_plain(_weights(model)), folder / PEFT_WEIGHTS, metadata={"format": "pt"})
        config, base = copy.copy(_config(model)), type(_base(model))
        config.inference_mode, config.rank_pattern = True, {}  # no ranks were cut out, see _weights
        mapping = {"base_model_class": base.__name__, "parent_library": base.__module__}
        config.save_pretrained(str(folder), auto_mapping_dict=None if config.task_type else mapping)
    base_name = getattr(_base(model), "name_or_path", "") or None
    manifest = Manifest(spec=attached.spec, architecture=attached.architecture.name, base=base_name)
    write_atomic(folder / MANIFEST, manifest.model_dump_json(indent=2, exclude_defaults=True) + "\n")


def read_manifest(folder: str | Path) -> Manifest:
    """Read what kind of adapter a folder holds, without torch.

    Raises ModelError when it holds none, CorruptError when its manifest is not ours.
    """
    path = Path(folder) / MANIFEST
    if not path.is_file():
        raise ModelError(f"{folder} holds no adapter of ours (no {MANIFEST}): give a folder that a training wrote.")
    try:
        return Manifest.model_validate_json(path.read_text())
    except (ValidationError, RecipeError, UnicodeDecodeError) as error:
        raise CorruptError(f"{path} is not an adapter's manifest any more: train again or restore the file.") from error


def load(base: nn.Module, folder: str | Path, architecture: Architecture) -> nn.Module:
    """Put the adapter in `folder` on `base` and return the model that predicts: frozen, in eval mode.

    Nothing in the folder is executed or imported: the manifest is checked field by field, the adapter is built anew
    from it, and weights are safetensors. A qlora adapter goes on a base in 4 bit or in full precision.

    Raises
    ------
    ModelError
        No adapter there, one of another architecture, or one whose tensors do not fit this base.
    CorruptError
        A file there cannot be read.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    manifest, folder = read_manifest(folder), Path(folder)
    spec = manifest.spec
    if manifest.architecture != architecture.name:
        raise ModelError(f"The adapter in {folder} is for {manifest.architecture}, not for {architecture.name}.")
    right_base = manifest.base or "the one it was trained on"
    misfit = f"The adapter in {folder} does not fit this base: put it on {right_base}."
    try:
        if spec.method == "full":
            kind: Any = type(base)
            model = kind.from_pretrained(folder, local_files_only=True, use_safetensors=True)
            model.to(next(base.parameters()).device)
        elif spec.method == "bitfit":
            model, weights = base, load_file(folder / BIASES)
            if weights.keys() != {name for name, _ in _moving(model, spec, architecture)}:
                raise ModelError(misfit)
            model.load_state_dict(weights, strict=False)
        else:
            model = _restore(base, spec, architecture, load_file(folder / PEFT_WEIGHTS), misfit)
    except OSError as error:
        raise ModelError(f"The adapter in {folder} lacks a file: copy the whole folder, or train again.") from error
    except SafetensorError as error:
        raise CorruptError(f"A file in {folder} cannot be read: restore the folder, or train again.") from error
    except (RuntimeError, ValueError) as error:  # torch's for tensors of another shape, PEFT's for layers not there
        raise ModelError(misfit) from error
    return _remember(model, spec, architecture).requires_grad_(False).eval()


def merge(model: nn.Module, load_base: Callable[[], nn.Module] | None = None) -> nn.Module:
    """Fold the adapter into the weights and return the plain model, which predicts as the adapted one did.

    Parameters
    ----------
    model
        From `attach` or `load`; changed in place, use only what is returned.
    load_base
        Loads the base in full precision. Needed when it is in 4 bit, since rounding the merged weights to 4 bit again
        would lose most of what was learned; what is returned then differs from the 4-bit model by the base's rounding.

    Raises RecipeError for prompt methods (a prompt is input, not weights) and for a 4-bit base without `load_base`.
    """
    spec, architecture = _attached(model).spec, _attached(model).architecture
    if METHODS[spec.method] == PROMPT:
        raise RecipeError(f"A {spec.method} adapter is extra input and cannot be merged: keep base and adapter apart.")
    if spec.method in ("full", "bitfit"):
        return model
    if _in_4bit(model):
        if load_base is None:
            raise RecipeError("A base in 4 bit cannot take a merge: give load_base, which loads it in full precision.")
        misfit = "load_base loads another model than the one this adapter was trained on: give it the same one."
        model = _restore(load_base(), spec, architecture, _weights(model), misfit)
    return model.merge_and_unload()  # type: ignore[operator,no-any-return]


def trainable(model: nn.Module) -> tuple[int, int]:
    """Count the parameters that train, and all of them; a 4-bit weight counts as the weights it stands for."""
    counts = [(parameter.requires_grad, _numel(parameter)) for parameter in model.parameters()]
    return sum(n for trains, n in counts if trains), sum(n for _, n in counts)


def size(model: nn.Module) -> str:
    """Say in words how much of the model trains."""
    moving, total = trainable(model)
    return f"{moving:,} of {total:,} parameters train ({moving / total:.2%})."


def _check(model: nn.Module, spec: AdapterSpec, architecture: Architecture) -> None:
    name, instead = architecture.name, f"choose one of {', '.join(supported(model, architecture))}."
    if METHODS[spec.method] == PROMPT and not architecture.prompt_methods:
        raise RecipeError(f"{spec.method} works on causal language models and on T5, not on {name}: {instead}")
    if spec.method == "bitfit" and not any(_biases(model)):
        raise RecipeError(f"bitfit trains biases and {name} has none: {instead}")
    if spec.method == "qlora" and not _in_4bit(model):
        raise ModelError("qlora trains on a base in 4 bit: load it with quantization_config=quantization(spec, …).")
    if spec.method != "qlora" and _in_4bit(model):
        raise ModelError(
            f"This base is in 4 bit, which only qlora trains: load it in full precision for {spec.method}."
        )
    for target in spec.target_modules or ():
        if not any(hasattr(module, "in_features") for module in modules_ending_in(model, (target,))):
            layers = sorted({n.split(".")[-1] for n, module in model.named_modules() if hasattr(module, "in_features")})
            raise RecipeError(f"{name} has no linear layer {target!r}: it has {', '.join(layers)}.")


def _wrap(model: Any, config: PeftConfig, architecture: Architecture) -> nn.Module:
    import_bitsandbytes()
    import peft

    if _in_4bit(model):
        _keep_unpacked(model)
        # norms and embeddings up to float32, as training in 4 bit needs them
        model = peft.prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)  # type: ignore[no-untyped-call]
    architecture.fix(model)
    with warnings.catch_warnings():  # PEFT asks transformers 5 by an old name, which no user can mend
        warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`")
        return peft.get_peft_model(model, config)


def _keep_unpacked(model: Any) -> None:
    """Forbid bitsandbytes to repack 4-bit weights when they first predict on a CPU with AVX512-BF16.

    It does so for good: repacked layers pass no gradient on, so a training would go wrong silently after its first
    validation; they round to bfloat16; and widths that are no multiple of 64 crash.
    """
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            if getattr(module.weight.quant_state, "packing_format_for_cpu", False):
                raise ModelError("This 4-bit base has predicted and is packed for that only: load it anew.")
            module.support_avx512bf16_for_cpu = False


def _restore(
    base: nn.Module, spec: AdapterSpec, architecture: Architecture, weights: dict[str, Tensor], misfit: str
) -> nn.Module:
    """Build the adapter anew from its spec and fill in its weights."""
    import_bitsandbytes()
    import peft

    config = peft_config(base, spec, architecture)
    config.inference_mode = METHODS[spec.method] == PROMPT  # what is saved is the finished prompt, not what made it
    model = _wrap(base, config, architecture)
    if weights.keys() != _weights(model).keys():
        raise ModelError(misfit)
    peft.set_peft_model_state_dict(model, weights)
    return model


def _weights(model: nn.Module) -> dict[str, Tensor]:
    """The adapter's tensors by PEFT's names; adalora's at full size, where PEFT would cut out the ranks it gave up."""
    import_bitsandbytes()
    import peft

    config, ranks = _config(model), {}
    if config.peft_type == "ADALORA":
        config.rank_pattern, ranks = None, config.rank_pattern
    weights = peft.get_peft_model_state_dict(model, save_embedding_layers=False)
    if ranks:
        config.rank_pattern = ranks
    return weights  # type: ignore[no-any-return]


def _remember(model: Any, spec: AdapterSpec, architecture: Architecture) -> nn.Module:
    model.stillroom_adapter = _Attached(spec, architecture)
    return model  # type: ignore[no-any-return]


def _attached(model: nn.Module) -> _Attached:
    attached = getattr(model, "stillroom_adapter", None)
    if not isinstance(attached, _Attached):
        raise ModelError("This model carries no adapter: call attach or load first.")
    return attached


def _config(model: Any) -> Any:
    return model.peft_config["default"]


def _base(model: Any) -> Any:
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def _in_4bit(model: nn.Module) -> bool:
    return bool(getattr(_base(model), "is_loaded_in_4bit", False))


def _biases(model: nn.Module) -> Iterator[tuple[str, Any]]:
    return ((name, parameter) for name, parameter in model.named_parameters() if name.split(".")[-1] == "bias")


def _moving(model: nn.Module, spec: AdapterSpec, architecture: Architecture) -> Iterator[tuple[str, Any]]:
    """Parameters that full or bitfit moves: all, or the biases and the new heads."""
    chosen = {id(parameter) for _, parameter in _biases(model)}
    chosen |= {
        id(parameter) for head in modules_ending_in(model, architecture.head_modules) for parameter in head.parameters()
    }
    return ((name, p) for name, p in model.named_parameters() if spec.method == "full" or id(p) in chosen)


def _plain(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies on the CPU that share no memory, as safetensors wants them."""
    return {name: tensor.detach().cpu().contiguous().clone() for name, tensor in tensors.items()}


def _numel(parameter: Any) -> int:
    state = getattr(parameter, "quant_state", None)
    return int(parameter.numel() if state is None else state.shape.numel())
