"""Plan a training without weights: how much of a student trains, how long it takes, what memory it needs.

The network is built on the meta device, where tensors have shapes and no content, from its config alone. Nothing is
downloaded but a config, and nothing is trained. Memory and time are estimates; their formulas are in footprint.py.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from stillroom.core import adapters
from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.methods import METHODS, PROMPT, AdapterSpec, Architecture
from stillroom.core.settings import TrainSettings
from stillroom.language.architectures import Kind, architecture_of
from stillroom.language.footprint import UTILISATION, matmul_rate, memory, operations, shape
from stillroom.language.sources import find, said_of
from stillroom.language.students import HEADS, distinct, job

SHIPPED = {
    "TinyLlama/TinyLlama-1.1B-Chat-v1.0": "tinyllama-1.1b-chat.json",
    "mistralai/Mistral-7B-v0.1": "mistral-7b.json",
}
"""Configs of the recipes that come with the package, so that they can be planned without a network."""

FEW, MANY = 1_000, 1_000_000  # rows
NUMBERS_A_TOKEN = 20.0  # that may train before a rank is called large: rank 8 on 5,000 sentences, which works, has 4


@dataclass(frozen=True)
class Plan:
    """What a training will be like.

    Parameters
    ----------
    model, method
        Who learns, and how its weights move.
    trainable, total
        Parameters.
    rows, steps, steps_per_epoch
        Rows to learn from, optimizer steps in all, and those that see each row once.
    tokens
        That are read in all, padding left out.
    answer_tokens
        That are learned in all, repetitions counted.
    memory
        Bytes by what they are for; see the module.
    checkpoint, handed_over
        Bytes on disk: of one checkpoint (up to four are kept) and of what the Run ends with.
    flops_per_second
        The matmul rate that the time is reckoned with.
    seconds
        Of training.
    warnings
        Sentences.
    """

    model: str
    method: str
    trainable: int
    total: int
    rows: int
    steps: int
    steps_per_epoch: int
    tokens: int
    answer_tokens: int
    memory: Mapping[str, int]
    checkpoint: int
    handed_over: int
    flops_per_second: float
    seconds: float
    warnings: tuple[str, ...]

    @property
    def epochs(self) -> float:
        """How often each row is seen."""
        return self.steps / self.steps_per_epoch

    def sentences(self) -> list[str]:
        """Say it to people, the warnings last."""
        parts = ", ".join(f"{name} {_bytes(size)}" for name, size in self.memory.items() if size)
        return [
            f"{self.model} with {self.method}: {self.trainable:,} of {self.total:,} parameters train "
            f"({self.trainable / self.total:.2%}).",
            f"{self.rows:,} rows in {self.steps_per_epoch:,} steps an epoch; {self.steps:,} steps are "
            f"{self.epochs:.2g} epochs, {self.tokens:,} tokens, {self.answer_tokens:,} of them answers.",
            f"Memory: about {_bytes(sum(self.memory.values()))} ({parts}).",
            f"On disk: {_bytes(self.checkpoint)} a checkpoint, of which up to four are kept, and "
            f"{_bytes(self.handed_over)} in the end.",
            f"Time: about {_duration(self.seconds)}, at {UTILISATION:.0%} of {self.flops_per_second / 1e12:.3g} "
            "TFLOP/s, validation left out.",
            *self.warnings,
        ]


def plan(
    model: Any,
    adapter: AdapterSpec,
    settings: TrainSettings,
    rows: int,
    mean_tokens: float,
    mean_answer_tokens: float,
    max_tokens: int,
    packing: bool = False,
    *,
    kind: Kind | Literal["auto"] = "auto",
    classes: Sequence[str] | None = None,
    flops_per_second: float | None = None,
) -> Plan:
    """Reckon what training a student will take.

    Parameters
    ----------
    model
        A config of transformers, a mapping of one (`config.json`), the path of one, or any name that `students.load`
        takes; of a name the config alone is read. Those in `SHIPPED` are at hand always.
    adapter, settings
        As the recipe has them.
    rows
        To learn from.
    mean_tokens, mean_answer_tokens
        Of a row, the answer included, and of its answer.
    max_tokens
        Of the longest row, or of a packed sequence: what the memory must be enough for.
    packing
        Whether rows lie end to end in sequences of `max_tokens`, of which a batch has `settings.batch_size`.
    kind, classes
        See `students.load`.
    flops_per_second
        Matmul rate of the machine that will train; None: of this one, measured in a second.

    Raises
    ------
    ModelError, MissingError
        No such model, or none that can be a student.
    RecipeError
        The adapter does not work on it, or there is nothing to plan.
    """
    if rows < 1 or not 0 < mean_answer_tokens <= mean_tokens <= max_tokens:
        raise RecipeError(
            f"There is nothing to plan with {rows:,} rows of {mean_tokens:g} tokens, {mean_answer_tokens:g} of them "
            f"answers and {max_tokens:,} at most: give rows, and means below the most."
        )
    name, network, architecture = network_of(model, kind, None if classes is None else distinct(classes))
    context = getattr(network.config, "max_position_embeddings", None)
    before = shape(network, adapter, architecture)
    on_meta = adapter if adapter.method != "qlora" else adapter.model_copy(update={"method": "lora"})  # one shape
    with torch.device("meta"):
        network = adapters.attach(network, on_meta, architecture, total_steps=settings.steps)
    trainable, total = adapters.trainable(network)

    per_sequence = max_tokens / mean_tokens if packing else 1.0
    at_once = settings.batch_size * settings.accumulation * per_sequence  # rows a step
    steps_per_epoch = max(1, -(-rows // max(1, int(at_once))))
    seen = settings.steps * at_once
    tokens, answer_tokens = round(seen * mean_tokens), round(seen * mean_answer_tokens)

    length = max_tokens + (adapter.virtual_tokens if METHODS[adapter.method] == PROMPT else 0)
    answers_at_once = round(settings.batch_size * max_tokens * mean_answer_tokens / mean_tokens)
    needed = memory(
        before, network, adapter, settings, rows=settings.batch_size, length=length, answers=answers_at_once
    )
    rate = flops_per_second or matmul_rate()
    return Plan(
        model=name,
        method=adapter.method,
        trainable=trainable,
        total=total,
        rows=rows,
        steps=settings.steps,
        steps_per_epoch=steps_per_epoch,
        tokens=tokens,
        answer_tokens=answer_tokens,
        memory=needed,
        checkpoint=4 * trainable + needed["average"] + needed["optimizer"],
        handed_over=2 * total if adapter.method == "full" else 4 * trainable,
        flops_per_second=rate,
        seconds=operations(before, adapter, trainable, tokens, answer_tokens) / (UTILISATION * rate),
        warnings=tuple(_warnings(adapter, rows, trainable, answer_tokens, length, context)),
    )


def network_of(
    model: Any, kind: Kind | Literal["auto"], classes: tuple[str, ...] | None
) -> tuple[str, Any, Architecture]:
    """The name of a model, its network on the meta device, and what adapters must know of it."""
    import transformers

    name, place = "a model", ""
    if isinstance(model, Mapping) and "model_type" not in model:
        raise ModelError("A config names its model_type, as llama: give a whole config.json.")
    if isinstance(model, transformers.PretrainedConfig):
        config, name = deepcopy(model), model.model_type  # classes will be named in it
    else:
        if isinstance(model, str | Path):
            name, place = str(model), _config_file(str(model))
        with said_of(name, place, "a model"):
            if isinstance(model, Mapping):
                name = str(model.get("model_type"))
                config = transformers.AutoConfig.for_model(**model)
            else:
                config = transformers.AutoConfig.from_pretrained(place, trust_remote_code=False)
    does, _ = job(name, config, kind, classes)
    with said_of(name, place, "a student"), torch.device("meta"):
        network = getattr(transformers, HEADS[does]).from_config(config, trust_remote_code=False)
    return name, network, architecture_of(network)


def _config_file(name: str) -> str:
    if name in SHIPPED:
        return str(Path(__file__).parent / "recipes" / SHIPPED[name])
    return name if Path(name).is_file() else find(name)


def _warnings(
    adapter: AdapterSpec, rows: int, trainable: int, answer_tokens: int, length: int, context: int | None
) -> Iterator[str]:
    if rows < FEW:
        yield (
            f"{rows:,} rows are few: below {FEW:,} a student learns the form of answers more than how to find them; "
            "label more, or augment."
        )
    if rows > MANY and adapter.method != "full":
        yield (
            f"{rows:,} rows can teach more than an adapter holds: above {MANY:,} consider full tuning "
            "(adapter: {method: full})."
        )
    allowed = NUMBERS_A_TOKEN * answer_tokens
    if "rank" in METHODS[adapter.method] and trainable > allowed:
        rank = adapter.rank or 8
        fitting = int(rank * allowed / trainable)
        instead = f"rank {fitting} would not" if fitting else "ia3 or vera train fewer"
        yield (
            f"A rank of {rank} is large for these rows: it trains {trainable:,} numbers on {answer_tokens:,} answer "
            f"tokens, more numbers than tokens ({instead}; a rule of thumb: watch the held-out metric)."
        )
    if context is not None and length > context:
        yield (f"Rows may have {length:,} tokens, and the model was made for {context:,}: allow fewer (max_tokens).")


def _bytes(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.3g} {unit}"
        size /= 1000
    return f"{size:.3g} TB"


def _duration(seconds: float) -> str:
    for length, unit in ((86_400, "days"), (3600, "hours"), (60, "minutes")):
        if seconds >= 2 * length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.1f} seconds"
