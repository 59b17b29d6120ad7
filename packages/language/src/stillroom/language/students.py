"""Students: a network, its tokenizer and what the core's adapters must know of it, loaded by any name a user may write.

A name is a registered mini's, a folder, a hub id, or a folder that a training of ours wrote: full weights, or an
adapter whose base is found from its manifest. Weights are read from safetensors only and nothing in a folder is
executed. It knows no rows, no prompt and no objective.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch

from stillroom.core import adapters, registry
from stillroom.core.adapters import AdapterSpec, Architecture, Manifest
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.folders import HUB_ID
from stillroom.core.methods import modules_ending_in
from stillroom.core.offline import import_bitsandbytes
from stillroom.core.seeds import own_random
from stillroom.language.architectures import Kind, architecture_of
from stillroom.language.sources import find, said_of, tokenizer_in, tokenizer_of

__all__ = ["Student", "base_of", "load", "tokenizer_of"]


HEADS = {
    "causal": "AutoModelForCausalLM",
    "seq2seq": "AutoModelForSeq2SeqLM",
    "classifier": "AutoModelForSequenceClassification",
}
WORDS = {
    "causal": "a causal language model",
    "seq2seq": "an encoder-decoder",
    "classifier": "a base for a classifier",
}
MINIS = "/stillroom/minis/"  # in the path of a base that comes with the package wherever it is installed
KINDS = {"ForSequenceClassification": "classifier", "ForConditionalGeneration": "seq2seq", "ForCausalLM": "causal",
         "LMHeadModel": "causal"}  # fmt: skip


@dataclass(frozen=True, eq=False)
class Student:
    """A model that learns, or that has learned.

    Parameters
    ----------
    model
        Of transformers, within its adapter if it has one.
    tokenizer
        With a padding token, always.
    kind
        `causal`, `seq2seq` or `classifier`.
    architecture
        What the core's adapters must know of the network.
    source
        As the user wrote it.
    classes
        Of a classifier, in the order of its outputs; None for all others.
    """

    model: Any
    tokenizer: Any
    kind: Kind
    architecture: Architecture
    source: str
    classes: tuple[str, ...] | None = None


def load(
    source: str | Path,
    kind: Kind | Literal["auto"] = "auto",
    adapter: AdapterSpec | None = None,
    classes: Sequence[str] | None = None,
    *,
    seed: int = 0,
    total_steps: int | None = None,
    dtype: str = "float32",
) -> Student:
    """Load a student, to predict or to be trained.

    Parameters
    ----------
    source
        A mini's name, a folder, a hub id, `FAMILY:SOURCE`, or a folder that holds an adapter of ours.
    kind
        What it is to do. `auto`: a classifier where there are classes, otherwise what its checkpoint says it does.
    adapter
        How its weights may move. None: they are frozen if the folder holds an adapter, as loaded otherwise. With an
        adapter's folder it must be the adapter's own spec, and training goes on from there.
    classes
        Makes a classifier of these classes, in alphabetical order; those of a trained classifier stand as they are.
    seed
        Of what is new: a classifier's head, an adapter's first weights.
    total_steps
        Of the training, which adalora must know.
    dtype
        Of the weights in memory. `float32` whatever the checkpoint says: CPUs are fast at it, and weights in half
        precision do not take up small updates. With qlora, of what is not in 4 bit.

    Raises
    ------
    ModelError
        No such model, one that does something else, weights that cannot be read or that run code.
    MissingError
        A hub id that is not in the local cache, without network; bitsandbytes is not installed.
    RecipeError
        An adapter that does not work on this network, or classes where there can be none.
    """
    if classes is not None:
        if kind not in ("auto", "classifier"):
            raise RecipeError(f"Classes are a classifier's: leave them out for a {kind} student.")
        classes = distinct(classes)
    place = find(source)
    manifest = adapters.read_manifest(place) if (Path(place) / adapters.MANIFEST).is_file() else None
    if manifest is not None and manifest.spec.method != "full":
        return _adapted(str(source), Path(place), manifest, kind, adapter, classes, seed=seed, dtype=dtype)
    student = _plain(str(source), place, kind, adapter, classes, seed=seed, dtype=dtype)
    if adapter is None:
        return student
    with own_random("adapter", seed), _without_conv1d_warnings():
        model = adapters.attach(student.model, adapter, student.architecture, total_steps=total_steps)
    return replace(student, model=model)


def base_of(folder: str | Path, *, dtype: str = "float32") -> Student:
    """Load the base of the adapter in `folder` in full precision, also where it was trained in 4 bit; raises as `load`.

    A classifier has the classes of the adapter.
    """
    name = _base_name(adapters.read_manifest(folder), folder)
    kind, classes = _told(Path(folder))
    return _plain(name, find(name), kind, None, classes, seed=0, dtype=dtype)


def job(
    name: str, config: Any, kind: Kind | Literal["auto"], classes: tuple[str, ...] | None
) -> tuple[Kind, tuple[str, ...] | None]:
    """Return the kind of the student that a config makes, and its classes, which are named in the config."""
    if classes is not None:
        kind = "classifier"
    does = _kind(name, config) if kind == "auto" or (kind != "classifier" and _fills_gaps(config)) else kind
    return does, _with_classes(name, config, classes) if does == "classifier" else None


def _plain(
    name: str,
    place: str,
    kind: Kind | Literal["auto"],
    adapter: AdapterSpec | None,
    classes: tuple[str, ...] | None,
    *,
    seed: int,
    dtype: str,
) -> Student:
    """A model without adapter, in 4 bit if the adapter to come wants it so."""
    import transformers

    with said_of(name, place, "a model"):
        config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
    does, classes = job(name, config, kind, classes)
    loader = getattr(transformers, HEADS[does])
    with said_of(name, place, WORDS[does]):
        with torch.device("meta"):
            shape = loader.from_config(config, trust_remote_code=False)
        architecture = architecture_of(shape)
        options = {"config": config, "dtype": dtype, "new": does == "classifier", "seed": seed}
        quantised = None if adapter is None else adapters.quantization(adapter, architecture)
        if quantised is not None:
            import_bitsandbytes()
        model, untrained = _weights(loader, place, quantization_config=quantised, **options)
        with_untrained = architecture_of(shape, untrained)
        if quantised is not None and with_untrained != architecture:  # what is to be trained must not be in 4 bit
            quantised = adapters.quantization(adapter, with_untrained)  # type: ignore[arg-type]
            model, _ = _weights(loader, place, quantization_config=quantised, **options)
    lacking = [key for key in untrained if does != "classifier" or any(part.isdigit() for part in key.split("."))]
    if lacking:
        raise ModelError(f"{name} is not {WORDS[does]}: its weights lack {min(lacking)}.")
    if quantised is not None and not any(type(module).__name__ == "Linear4bit" for module in model.modules()):
        raise ModelError(f"No layer of {architecture.name} can be put into 4 bit: choose lora for {name}.")
    tokenizer = tokenizer_in(place, name)
    if does == "classifier":
        model.config.pad_token_id = tokenizer.pad_token_id  # a decoder looks for the last token before the padding
    return Student(model.eval(), tokenizer, does, with_untrained, name, classes)


def _weights(
    loader: Any, place: str, *, config: Any, dtype: str, new: bool, seed: int, quantization_config: Any
) -> tuple[Any, list[str]]:
    """The model, and the names of the weights that its checkpoint lacks, which are drawn from the seed."""
    quantised = {} if quantization_config is None else {"quantization_config": quantization_config}
    with own_random("head", seed):
        model, loading = loader.from_pretrained(
            place,
            config=config,
            dtype=dtype,
            use_safetensors=True,
            trust_remote_code=False,
            ignore_mismatched_sizes=new,  # a head for other classes
            output_loading_info=True,
            **quantised,
        )
    return model, sorted({*loading["missing_keys"], *(key for key, *_ in loading["mismatched_keys"])})


def _adapted(
    name: str,
    folder: Path,
    manifest: Manifest,
    kind: Kind | Literal["auto"],
    adapter: AdapterSpec | None,
    classes: tuple[str, ...] | None,
    *,
    seed: int,
    dtype: str,
) -> Student:
    """A base with the adapter in `folder`: frozen, or as it was trained if that is to go on."""
    if adapter is not None and adapter != manifest.spec:
        raise RecipeError(
            f"{name} has a {manifest.spec.method} adapter already: leave `adapter` out to predict, give the same one "
            "to train it further, or merge it first and train another on the result."
        )
    if adapter is not None and adapter.method == "adalora":
        raise RecipeError(
            "adalora plans its ranks over one training, which is over: merge the adapter and train another on what "
            "comes of it."
        )
    told, trained_on = _told(folder)
    other_classes = classes is not None and set(classes) != set(trained_on or ())
    if other_classes or (kind != told and "auto" not in (kind, told)):
        of = f" of {', '.join(trained_on)}" if trained_on else ""
        raise ModelError(f"{name} makes {WORDS[told].removeprefix('a base for ')}{of}: it cannot be loaded as another.")
    base_name = _base_name(manifest, folder)
    base = _plain(base_name, find(base_name), told, manifest.spec, trained_on, seed=seed, dtype=dtype)
    with _without_conv1d_warnings():
        model: Any = adapters.load(base.model, folder, base.architecture)
    if adapter is not None:
        _thaw(model, base.architecture, adapter)
    own = (folder / "tokenizer_config.json").is_file()
    return replace(base, model=model, source=name, tokenizer=tokenizer_in(str(folder), name) if own else base.tokenizer)


def _thaw(model: Any, architecture: Architecture, spec: AdapterSpec) -> None:
    """Let a loaded adapter move again. A learned prompt goes on as itself, without the network that wrote it."""
    if spec.method == "bitfit":
        heads = {id(p) for m in modules_ending_in(model, architecture.head_modules) for p in m.parameters()}
        for key, parameter in model.named_parameters():
            parameter.requires_grad_(key.split(".")[-1] == "bias" or id(parameter) in heads)
    elif hasattr(model, "prompt_encoder"):
        for encoder in model.prompt_encoder.values():
            encoder.embedding.requires_grad_(True)
    else:
        model.set_adapter("default")


def _told(folder: Path) -> tuple[Kind | Literal["auto"], tuple[str, ...] | None]:
    """What an adapter's folder says of the model that it makes: `handover.save` leaves its config there."""
    from transformers import AutoConfig

    if not (folder / "config.json").is_file():
        return "auto", None
    with said_of(str(folder), str(folder), "a model"):
        config = AutoConfig.from_pretrained(folder, trust_remote_code=False)
    kind = _kind(str(folder), config)
    return kind, _classes_of(config) if kind == "classifier" else None


def _base_name(manifest: Manifest, folder: str | Path) -> str:
    """The base of an adapter; a mini is found wherever its package is installed now."""
    base = manifest.base or ""
    if Path(base).expanduser().is_dir() or HUB_ID.fullmatch(base):
        return base
    mini = Path(base).name
    if MINIS in base and mini in registry.names("stillroom.models"):
        return mini
    raise ModelError(
        f"The adapter in {folder} stands on {base or 'an unnamed model'}, which is not here: put it there."
    )


def _kind(name: str, config: Any) -> Kind:
    for named in config.architectures or ():
        for ending, kind in KINDS.items():
            if named.endswith(ending) and (kind != "seq2seq" or config.is_encoder_decoder):
                return kind  # type: ignore[return-value]
    raise ModelError(
        f"{name} says that it is a {(config.architectures or ['model of no kind'])[0]}, which continues no text: "
        "give classes to make a classifier of it, or say its kind."
    )


def _fills_gaps(config: Any) -> bool:
    """Whether a checkpoint reads from both sides, as BERT does: transformers would let it continue a text, badly."""
    return any(named.endswith("ForMaskedLM") for named in config.architectures or ())


def distinct(classes: Sequence[str]) -> tuple[str, ...]:
    """Return the classes in alphabetical order, each once; RecipeError if they are fewer than two."""
    found = tuple(sorted(set(classes)))
    if len(found) < 2:
        raise RecipeError(f"A classifier has two classes at least, and here is {', '.join(found) or 'none'}.")
    return found


def _with_classes(name: str, config: Any, classes: tuple[str, ...] | None) -> tuple[str, ...]:
    """Name the classes in the config; a trained classifier keeps the order of its own."""
    trained = _classes_of(config)
    unnamed = all(re.fullmatch(r"LABEL_\d+", label) for label in trained)
    if classes is None:
        if unnamed and not str((config.architectures or [""])[0]).endswith("ForSequenceClassification"):
            raise RecipeError(f"{name} has no classes of its own: say which there are.")
        return trained
    if set(trained) == set(classes):
        return trained
    config.id2label, config.label2id = dict(enumerate(classes)), {label: i for i, label in enumerate(classes)}
    config.problem_type = "single_label_classification"
    return classes


def _classes_of(config: Any) -> tuple[str, ...]:
    return tuple(config.id2label[number] for number in sorted(config.id2label))


@contextmanager
def _without_conv1d_warnings() -> Iterator[None]:
    """PEFT says of every Conv1D of GPT-2 that it sees that it is one."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="fan_in_fan_out is set to False")
        yield
