"""Students: small networks made from scratch in the image of a teacher, Bolt or T5, before anything has taught them.

A student is said as a fraction of the teacher's parameters, as a configuration, or as a checkpoint to start from. This
module makes and checks networks; distill.py trains them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from stillroom.chronos import families
from stillroom.chronos.model import DECILES, ChronosModel
from stillroom.chronos.scratch import start
from stillroom.core.errors import RecipeError

FRACTIONS = {"half": 1 / 2, "quarter": 1 / 4, "eighth": 1 / 8}
INITIALIZER_FACTOR = {"t5": 0.05, "bolt": 1.0}  # upstream's for T5; a Bolt's first weights are drawn by `start`
LONGEST_CONTEXT = 2048  # of a Bolt student whose teacher is of another family
PATCH = 16
CHRONOS_NAMES = {"context_length", "prediction_length", "input_patch_size", "input_patch_stride", "quantiles"}
TOKENS = ("tokenizer_class", "tokenizer_kwargs", "n_tokens", "n_special_tokens", "pad_token_id", "eos_token_id")


def build(
    student: str | float | Path | Mapping[str, Any], teacher: ChronosModel, prediction_length: int, *, seed: int = 0
) -> ChronosModel:
    """Make the student of a teacher.

    Parameters
    ----------
    student
        A fraction of the teacher's parameters (`"half"`, `"quarter"`, `"eighth"` or a number below 1), which narrows
        the network and keeps its depth; a folder or hub id of a checkpoint to start from; or a mapping with any of
        `family` (`bolt` or `t5`), `fraction`, T5's own names (`d_model`, `num_layers`, `d_ff`, …) and Chronos' own
        (`context_length`, `input_patch_size`, `quantiles`, …). What is left out is the teacher's.
    prediction_length
        The horizon of one pass of the student, unless the mapping says another.
    seed
        Of the first weights.

    Raises
    ------
    RecipeError
        An unknown name or family, tokens unlike the teacher's, or a fraction that no width meets.
    """
    from stillroom.core.seeds import own_random

    if isinstance(student, str | Path) and str(student) not in FRACTIONS:
        model = families.find(str(student))
    else:
        wanted: dict[str, Any] = dict(student) if isinstance(student, Mapping) else {"fraction": student}
        kind = wanted.pop("family", "t5" if teacher.kind == "t5" else "bolt")
        fraction = wanted.pop("fraction", None)
        if kind not in ("bolt", "t5") or (kind == "t5" and teacher.kind != "t5"):
            raise RecipeError(f"A {teacher.title} teacher has no student of family {kind!r}: choose bolt.")
        config = _configuration(kind, teacher, prediction_length, wanted)
        if fraction is not None:
            size = sum(parameter.numel() for parameter in teacher.model.parameters())
            config = _narrowed(config, FRACTIONS.get(str(fraction), fraction), size, _network_of(kind))
        with own_random("student", seed):
            network = _network_of(kind)(config)
            if kind == "bolt":
                start(network)
            model = _wrapped(kind, network)
    _check(model, teacher)
    return model


def _configuration(kind: str, teacher: ChronosModel, prediction_length: int, wanted: dict[str, Any]) -> Any:
    """The student's T5 configuration: the teacher's, with what the recipe says otherwise."""
    from transformers import T5Config

    theirs = teacher.model.config.to_dict()
    if kind == teacher.kind:
        chronos = dict(theirs["chronos_config"])
    else:
        chronos = {
            "context_length": min(teacher.context_length, LONGEST_CONTEXT),
            "input_patch_size": PATCH,
            "input_patch_stride": PATCH,
            "quantiles": list(DECILES),
            "use_reg_token": True,
        }
        names = ("d_model", "d_kv", "d_ff", "num_layers", "num_heads", "dropout_rate", "feed_forward_proj")
        theirs = {name: theirs[name] for name in names if name in theirs} | {"pad_token_id": 0}
        theirs |= {"decoder_start_token_id": 0, "chronos_pipeline_class": "ChronosBoltPipeline"}
    chronos |= {"prediction_length": prediction_length} | {k: v for k, v in wanted.items() if k in CHRONOS_NAMES}
    if "input_patch_size" in wanted and "input_patch_stride" not in wanted:
        chronos["input_patch_stride"] = wanted["input_patch_size"]
    plain = {name: value for name, value in wanted.items() if name not in CHRONOS_NAMES}
    unknown = [name for name in plain if name not in T5Config().to_dict()]
    if unknown:
        raise RecipeError(
            f"A student has no {unknown[0]!r}: its names are those of T5Config (d_model, num_layers, d_ff, …) and "
            f"{', '.join(sorted(CHRONOS_NAMES))}."
        )
    if kind == "t5" and "n_tokens" in plain:
        raise RecipeError("A Chronos-T5 student has the tokens of its teacher: leave n_tokens out.")
    if "num_layers" in plain:
        plain.setdefault("num_decoder_layers", plain["num_layers"])
    return T5Config(**{**theirs, "initializer_factor": INITIALIZER_FACTOR[kind], **plain, "chronos_config": chronos})


def _narrowed(config: Any, fraction: Any, size: int, network: Callable[[Any], Any]) -> Any:
    """The widest network of the same depth within a fraction of the parameters; heads get fewer, not smaller."""
    import copy

    import torch

    if not isinstance(fraction, int | float) or not 0 < fraction < 1:
        raise RecipeError(
            f"There is no student {fraction!r}: say {', '.join(FRACTIONS)}, a number between 0 and 1, "
            "a mapping of names to values, or a checkpoint's folder."
        )
    grain = 8 if config.d_model >= 64 else 2

    def narrow(width: int) -> Any:
        narrower = copy.deepcopy(config)
        narrower.d_model = width
        narrower.d_ff = max(grain, round(config.d_ff * width / config.d_model / grain) * grain)
        narrower.num_heads = max(1, round(config.num_heads * width / config.d_model))
        return narrower

    def parameters(width: int) -> int:
        with torch.device("meta"):  # shapes without memory
            return sum(parameter.numel() for parameter in network(narrow(width)).parameters())

    fits, too_wide = 0, config.d_model // grain + 1
    while too_wide - fits > 1:
        middle = (fits + too_wide) // 2
        fits, too_wide = (middle, too_wide) if parameters(middle * grain) <= fraction * size else (fits, middle)
    if not fits:
        raise RecipeError(
            f"No width alone makes a student of {fraction:.2g} of {size:,} parameters: give d_model, num_layers, … too."
        )
    return narrow(fits * grain)


def _network_of(kind: str) -> Any:
    if kind == "bolt":
        from chronos.chronos_bolt import ChronosBoltModelForForecasting

        return ChronosBoltModelForForecasting
    from transformers import T5ForConditionalGeneration

    return T5ForConditionalGeneration


def _wrapped(kind: str, network: Any) -> ChronosModel:
    from chronos import ChronosBoltPipeline, ChronosPipeline
    from chronos.chronos import ChronosConfig
    from chronos.chronos import ChronosModel as SampleModel

    network.eval()
    if kind == "bolt":
        return ChronosModel(ChronosBoltPipeline(network), kind, source="")
    config = ChronosConfig(**network.config.chronos_config)
    return ChronosModel(ChronosPipeline(config.create_tokenizer(), SampleModel(config, network)), kind, source="")


def _check(student: ChronosModel, teacher: ChronosModel) -> None:
    """Refuse what would only fail, or silently teach nonsense, once training has begun."""
    if student.kind == "chronos2" or (student.kind == "t5" and teacher.kind != "t5"):
        raise RecipeError(f"A {teacher.title} teacher cannot teach a {student.title}: choose a student of family bolt.")
    if student.kind == "t5":
        ours, theirs = student.model.config.chronos_config, teacher.model.config.chronos_config
        other = [name for name in TOKENS if ours[name] != theirs[name]]
        if other:
            raise RecipeError(
                f"Teacher and student do not speak the same tokens ({other[0]} is {theirs[other[0]]} and "
                f"{ours[other[0]]}): take a student made for this teacher, or one of family bolt."
            )
