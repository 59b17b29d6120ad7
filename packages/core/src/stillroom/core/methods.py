"""The adapter methods: what a recipe may ask for, what a model family must tell, and the PEFT configuration of both.

Words only, no model is touched here; `stillroom.core.adapters` does what these say. The methods are those of PEFT, plus
`full` (every weight) and `bitfit` (the biases only).
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from stillroom.core.errors import MissingError, RecipeError
from stillroom.core.offline import import_bitsandbytes

if TYPE_CHECKING:
    from peft import PeftConfig
    from torch import nn
    from transformers import BitsAndBytesConfig

LOW_RANK = frozenset({"rank", "alpha", "dropout", "target_modules"})
PROMPT = frozenset({"virtual_tokens"})

# Each method and the strengths that mean something to it; any other one in a recipe is a mistake worth a sentence.
METHODS: dict[str, frozenset[str]] = {
    "full": frozenset(),
    "bitfit": frozenset(),  # Ben Zaken et al. 2022
    "lora": LOW_RANK,  # Hu et al. 2022
    "rslora": LOW_RANK,  # Kalajdzievski 2023: alpha / sqrt(rank)
    "dora": LOW_RANK,  # Liu et al. 2024: magnitude and direction apart
    "adalora": LOW_RANK,  # Zhang et al. 2023: rank spent where it matters
    "qlora": LOW_RANK,  # Dettmers et al. 2023: LoRA on an NF4 base
    "ia3": frozenset({"target_modules"}),  # Liu et al. 2022: one scale a channel
    "vera": frozenset({"rank", "dropout", "target_modules"}),  # Kopiczko et al. 2024: shared random matrices
    "fourierft": frozenset({"frequencies", "alpha", "target_modules"}),  # Gao et al. 2024
    "prompt": PROMPT,  # Lester et al. 2021
    "prefix": PROMPT,  # Li and Liang 2021
    "p-tuning": PROMPT,  # Liu et al. 2021
}


class AdapterSpec(BaseModel):
    """A method and its strength, as a recipe writes them.

    Parameters
    ----------
    method
        One of `METHODS`.
    rank
        Rank of the update. None: 8, the usual first choice; 256 for vera, which trains vectors and no matrices.
    alpha
        Scale of the update. None: twice the rank; 150 for fourierft (its paper's choice for small models).
    dropout
        On the adapter's input while training.
    virtual_tokens
        Length of the learned prompt.
    frequencies
        Fourier coefficients a layer; never more than the smallest adapted layer has.
    target_modules
        Endings of the names of the layers to adapt. None: the family's own choice.

    Raises
    ------
    RecipeError
        An unknown method, or a strength that the method does not have.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    method: str
    rank: int | None = Field(default=None, ge=1)
    alpha: float | None = Field(default=None, gt=0)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    virtual_tokens: int = Field(default=20, ge=1)
    frequencies: int = Field(default=1000, ge=1)
    target_modules: tuple[str, ...] | None = Field(default=None, min_length=1)

    @field_validator("method")
    @classmethod
    def _known(cls, method: str) -> str:
        if method not in METHODS:
            near = difflib.get_close_matches(method, METHODS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"choose one of {', '.join(METHODS)}."
            raise RecipeError(f"There is no adapter method {method!r}: {hint}")
        return method

    @model_validator(mode="after")
    def _meant(self) -> AdapterSpec:
        for name in sorted(self.model_fields_set - {"method"} - METHODS[self.method]):
            if getattr(self, name) != type(self).model_fields[name].default:
                strengths = ", ".join(sorted(METHODS[self.method])) or "no strength at all"
                raise RecipeError(f"The adapter method {self.method!r} has no {name!r}: it takes {strengths}.")
        return self


def _nothing(model: nn.Module) -> None:
    """Mend nothing: the fix of a family that PEFT handles as it is."""


@dataclass(frozen=True)
class Architecture:
    """What a model family tells the core about its networks; layers are matched by the endings of their names.

    Parameters
    ----------
    name
        As users read it in messages, and as a saved adapter remembers what it belongs to.
    target_modules
        Linear layers that adapters go on by default.
    feedforward_modules
        Those whose *input* ia3 scales (it scales the output of all others); adapted by ia3 in addition to the targets.
    head_modules
        New heads: untrained in the base, therefore trained and saved whole beside any adapter.
    skip_modules
        Layers that stay in full precision when the rest is loaded in 4 bit.
    task_type
        PEFT's name for the job, where PEFT treats the job specially (`CAUSAL_LM`, `SEQ_2_SEQ_LM`).
    prompt_methods
        Whether prompt, prefix and p-tuning work: on language models, whose input a learned prompt can join.
    prefix_shape
        From a config, the `num_layers` and `token_dim` of the attention cache where PEFT would guess them wrong.
    fix
        Mends a model in place before PEFT sees it.
    """

    name: str
    target_modules: tuple[str, ...]
    feedforward_modules: tuple[str, ...] = ()
    head_modules: tuple[str, ...] = ()
    skip_modules: tuple[str, ...] = ()
    task_type: str | None = None
    prompt_methods: bool = False
    prefix_shape: Callable[[Any], dict[str, int]] | None = None
    fix: Callable[[Any], None] = _nothing


def quantization(spec: AdapterSpec, architecture: Architecture) -> BitsAndBytesConfig | None:
    """Say how `from_pretrained` must quantise the base: NF4 with doubly quantised scales for qlora, else None.

    Raises MissingError when bitsandbytes is not installed.
    """
    if spec.method != "qlora":
        return None
    from importlib.util import find_spec

    if find_spec("bitsandbytes") is None:
        raise MissingError("qlora needs bitsandbytes: pip install 'stillroom-core[qlora]'.")
    import torch
    from transformers import BitsAndBytesConfig

    half = torch.cuda.is_available() and torch.cuda.is_bf16_supported()
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16 if half else torch.float32,
        llm_int8_skip_modules=[*architecture.skip_modules, *architecture.head_modules],
    )


def peft_config(
    model: nn.Module,
    spec: AdapterSpec,
    architecture: Architecture,
    *,
    total_steps: int | None = None,
) -> PeftConfig:
    """Translate the spec; PEFT's own defaults hold for what is not said here."""
    import_bitsandbytes()
    import peft

    targets = spec.target_modules or architecture.target_modules
    rank = spec.rank or (256 if spec.method == "vera" else 8)
    common: dict[str, Any] = {"task_type": architecture.task_type}
    if METHODS[spec.method] == PROMPT:
        common["num_virtual_tokens"] = spec.virtual_tokens
        if spec.method == "prompt":
            return peft.PromptTuningConfig(**common)
        if spec.method == "p-tuning":
            return peft.PromptEncoderConfig(**common)
        if architecture.prefix_shape:
            common |= architecture.prefix_shape(model.config)
        return peft.PrefixTuningConfig(**common)

    common |= {"target_modules": list(targets), "modules_to_save": list(architecture.head_modules) or None}
    if spec.method == "ia3":
        common["target_modules"] = list(dict.fromkeys([*targets, *architecture.feedforward_modules]))
        return peft.IA3Config(**common, feedforward_modules=list(architecture.feedforward_modules))
    if spec.method == "vera":
        return peft.VeraConfig(**common, r=rank, vera_dropout=spec.dropout)
    if spec.method == "fourierft":
        smallest = min(module.weight.numel() for module in modules_ending_in(model, targets))
        return peft.FourierFTConfig(
            **common,
            n_frequency=min(spec.frequencies, smallest),
            scaling=spec.alpha or 150.0,
            init_weights=True,  # PEFT's word for zeros: begin at the base, not at noise
        )
    common |= {"lora_alpha": spec.alpha or 2 * rank, "lora_dropout": spec.dropout}
    if spec.method == "adalora":
        steps = total_steps or 1
        return peft.AdaLoraConfig(
            **common,
            init_r=rank + max(1, rank // 2),  # the paper starts at one and a half times the budget
            target_r=rank,
            tinit=steps // 10,
            tfinal=steps // 3,
            deltaT=1,  # masks after every step, so that what is saved at any step is what predicted
            total_step=steps,
            orth_reg_weight=0.0,  # a recipe names all its losses; PEFT would add this one for some models only
        )
    return peft.LoraConfig(**common, r=rank, use_rslora=spec.method == "rslora", use_dora=spec.method == "dora")


def modules_ending_in(model: nn.Module, endings: tuple[str, ...]) -> Iterator[Any]:
    """Modules whose name is, or ends in a dot and, one of the endings: PEFT's own rule."""
    return (module for name, module in model.named_modules() if f".{name}".endswith(tuple(f".{e}" for e in endings)))
