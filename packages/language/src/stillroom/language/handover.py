"""Hand a student over: a folder that transformers and PEFT load without us; and one of plain weights, for servers.

Full weights go in half precision under a config that loads them as float32; an adapter goes alone, beside the config of
the model that it makes. Tokenizer, chat template and generation config stay with them. It knows nothing of how the
student was trained; the Run writes its record and its card beside these files.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from stillroom.core import adapters, halves
from stillroom.core.errors import RecipeError
from stillroom.core.runs import write_atomic
from stillroom.language.sources import quiet, tokenizer_of
from stillroom.language.students import Student, base_of, load

OURS = (adapters.MANIFEST, adapters.BIASES, adapters.PEFT_WEIGHTS, adapters.PEFT_CONFIG)


def save(student: Student, folder: str | Path, half: bool = True) -> None:
    """Write a student: its adapter if it has one, all of its weights otherwise, with all that loading them needs.

    Full weights then load with plain `AutoModelForCausalLM.from_pretrained(folder)` and its like, an adapter with
    `PeftModel.from_pretrained(base, folder)` (but for bitfit, which PEFT does not know), and both with `students.load`.

    Parameters
    ----------
    half
        Full weights as float16, half the size on disk; they load as float32, which is what CPUs are fast at. A weight
        that float16 cannot hold stays as it is.
    """
    folder, model = Path(folder), student.model
    attached = getattr(model, "stillroom_adapter", None)
    if attached is None or attached.spec.method == "full":
        save_model(model, student.tokenizer, folder, half)
        return
    for stale in folder.glob("model*.safetensors*"):  # full weights, saved here before
        stale.unlink()
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    config = json.loads(base.config.to_json_string()) | {"architectures": [type(base).__name__], "dtype": "float32"}
    config.pop("quantization_config", None)  # how it was loaded, not what it is
    folder.mkdir(parents=True, exist_ok=True)
    write_atomic(folder / "config.json", json.dumps(config, indent=2) + "\n")
    student.tokenizer.save_pretrained(folder)
    adapters.save(model, folder)


def save_model(model: Any, tokenizer: Any, folder: str | Path, half: bool = True) -> None:
    """Write all weights of a plain model and its tokenizer, as `save` does."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for stale in OURS:  # an adapter, saved here before: it would be taken for what the folder holds
        (folder / stale).unlink(missing_ok=True)
    with quiet():
        halves.save_pretrained(model, folder, half)
    tokenizer.save_pretrained(folder)


def merge(folder: str | Path, out: str | Path, half: bool = True) -> Student:
    """Fold the adapter in `folder` into its base, write the plain weights to `out`, and return what was written.

    A base that was trained on in 4 bit is loaded in full precision for it: the merged student differs from the trained
    one by the rounding of the base that is no longer there.

    Raises
    ------
    ModelError
        `folder` holds no adapter, or its base is not here.
    RecipeError
        A prompt, which is input and not weights; or `out` is `folder` itself, or holds something.
    """
    folder, out = Path(folder), Path(out)
    adapters.read_manifest(folder)
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise RecipeError(f"{out} is not empty: give a new folder for the merged weights.")
    base = base_of(folder)
    model = adapters.merge(adapters.load(base.model, folder, base.architecture))
    own = (folder / "tokenizer_config.json").is_file()
    save_model(model, tokenizer_of(folder) if own else base.tokenizer, out, half)
    return load(out)
