"""Train a student on what its teacher said: transformers' Trainer, with our data order, our checkpoints and our choice of the best.

Held-out validation chooses the weights, the starting weights included. A run that is killed at any instant, also in the middle of
a save, goes on from its newest whole checkpoint to the same weights, bit for bit (on one device in fp32). It knows no model and
no loss: the family passes both.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Literal

import torch
from accelerate.utils import broadcast_object_list
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt
from torch import Tensor, nn
from torch.utils.data import DataLoader
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments
from transformers.trainer_utils import TrainOutput

from stillroom.core import checkpoints
from stillroom.core.adapters import after_step
from stillroom.core.average import WeightAverage
from stillroom.core.batches import Batches, BatchStream
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.objectives import weighted_sum
from stillroom.core.progress import progress
from stillroom.core.runs import write_atomic
from stillroom.core.seeds import own_random, seed_all

__all__ = ["Batches", "DistillTrainer", "Losses", "TrainSettings"]

Losses = Callable[[nn.Module, Any, Any], dict[str, Tensor]]
"""losses(model, batch, teacher) -> named, unweighted scalar losses."""

WEIGHTS, PROGRESS = "weights.pt", "progress.json"  # beside the files that transformers writes and reads itself
IMPORTANCES = ("ipt", "exp_avg_ipt", "exp_avg_unc")  # AdaLoRA's, as PEFT names them
NO_MATTER = {"workers", "log_every", "save_every"}  # settings that may change when a run goes on: they move no weight


class TrainSettings(BaseModel):
    """How long, how fast and by what measure to train; the `train` part of a recipe.

    Parameters
    ----------
    steps
        Optimizer steps of the whole run.
    learning_rate
        Its highest value, after the warm-up.
    select_by
        The metric of `validate` that chooses the weights; lower is better.
    batch_size
        Rows a process and micro-step (`Batches` bring their own): one step sees batch_size x accumulation x processes rows.
    accumulation
        Micro-steps whose gradients are averaged into one step.
    schedule, warmup
        Linear warm-up over this share of the steps, then cosine or linear to zero, or constant.
    weight_decay, max_grad_norm
        Of AdamW (none on biases and norms), and the norm the gradient is cut to.
    eval_every, save_every
        Steps between validations (default: 20 in a run) and between checkpoints (default: at validations). Each new best is saved.
    patience
        Stop after this many validations in a row without a new best; None never stops early.
    ema
        Decay of the moving average of the weights that is validated and kept in their stead; None keeps the weights themselves.
    precision
        "bf16" computes the losses under autocast, on CPUs and GPUs alike; weights, gradients and validation stay in fp32.
    workers
        Processes that make batches ahead of time; they change nothing but the speed.
    seed
        Of the data's order, dropout and everything else drawn while training.
    log_every
        Steps between rows of `DistillTrainer.losses`, each the mean over the steps since the last.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    steps: PositiveInt
    learning_rate: PositiveFloat
    select_by: str
    batch_size: PositiveInt = 32
    accumulation: PositiveInt = 1
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: float = Field(default=0.05, ge=0, lt=1)
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: PositiveFloat = 1.0
    eval_every: PositiveInt | None = None
    save_every: PositiveInt | None = None
    patience: PositiveInt | None = None
    ema: float | None = Field(default=None, gt=0, lt=1)
    precision: Literal["fp32", "bf16"] = "fp32"
    workers: int = Field(default=0, ge=0)
    seed: int = Field(default=0, ge=0)
    log_every: PositiveInt = 50


class DistillTrainer(Trainer):
    """Train `model` by named losses; end with the weights that were best on held-out data.

    Parameters
    ----------
    model
        The student. Parameters that do not require gradients are neither trained nor saved in checkpoints.
    losses
        Called as losses(model, batch, teacher) on each batch; returns named scalar losses. Stored targets are part of the batch.
    settings
        See TrainSettings.
    folder
        Where checkpoints and `history.json` go, and nothing is written elsewhere. `train` resumes from what it finds there.
    train_data
        `Batches`, a map-style data set (shuffled), or an iterable of rows (replayed on resuming); see stillroom.core.batches.
    validate
        Called as validate(model) without gradients, in eval mode, before the first step, every `eval_every` steps and after the
        last; returns metrics. Of several processes only the first calls it.
    weights
        Weight of each named loss; None adds them as they are.
    teacher
        A module kept in memory, frozen here and never saved; or None.
    collate
        Makes a batch from a list of rows; default torch's.

    Attributes
    ----------
    history
        One row a validation: {"step": …, metric: value, …}.
    losses
        One row every `log_every` steps: {"step", "learning_rate", each named loss, "loss" (their weighted sum)}.
    best
        The row of `history` whose weights are kept; None while no validation gave a number.

    Raises
    ------
    RecipeError
        `select_by` names no metric, the folder holds a run with other settings, or teacher and student share weights.
    DataError
        `select_by` was never a finite number, or there are no rows.
    """

    loss_is_scaled_for_ga = False  # losses are means over their micro-batch

    def __init__(
        self,
        model: nn.Module,
        losses: Losses,
        settings: TrainSettings,
        folder: str | Path,
        *,
        train_data: Any,
        validate: Callable[[nn.Module], Mapping[str, float]],
        weights: Mapping[str, float] | None = None,
        teacher: Any = None,
        collate: Callable[[list[Any]], Any] | None = None,
    ) -> None:
        self.settings = settings
        self.folder = Path(folder)
        with _config_untouched(model):
            super().__init__(model, _arguments(settings, self.folder), train_dataset=train_data)
        self.remove_callback(PrinterCallback)
        self.add_callback(_Steps(self))
        self.model_accepts_loss_kwargs = False
        self.teacher = _frozen(teacher, model, self.args.device)
        self.weights = None if weights is None else dict(weights)
        self.history: list[dict[str, float]] = []
        self.losses: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self._objective, self._validate, self._collate = losses, validate, collate
        self._eval_every = settings.eval_every or max(1, settings.steps // 20)
        self._save_every = settings.save_every or self._eval_every
        self._average = WeightAverage(_trained(model), settings.ema) if settings.ema else None
        self._sums: dict[
            str, Tensor
        ] = {}  # of each loss since the last row; stays on the device, so that no step waits for it
        self._micro_steps = 0
        self._start = 0
        self._advance: Callable[..., None] = lambda steps=1: None
        self._finished = False

    def train(self) -> TrainOutput:
        """Train to the end, from the newest whole checkpoint in `folder` if there is one, and load the best weights."""
        found = self._newest()
        self._start = found or 0
        if found is not None:
            self._resume(checkpoints.place(self.folder, found))
        output = TrainOutput(self._start, math.nan, {})
        if not self._finished:
            seed_all("train", self.settings.seed, self.args.process_index)
            self.optimizer = self.lr_scheduler = None
            self.model_wrapped = self.model
            with _config_untouched(self.model), self._shown():
                if hasattr(self.model, "config"):
                    self.model.config.use_cache = False  # of no use to a training step
                output = super().train(None if found is None else str(checkpoints.place(self.folder, found)))
        self._end()
        return output

    # What transformers' Trainer asks of its subclasses

    def get_train_dataloader(self) -> DataLoader:
        """Return the stream of batches from where this run stands; accelerate need not split it, it is split already."""
        stream = BatchStream(
            self.train_dataset,
            batch_size=self.settings.batch_size,
            collate=self._collate,
            seed=self.settings.seed,
            start=self._start * self.settings.accumulation,
            rank=self.args.process_index,
            world=self.args.world_size,
        )
        return DataLoader(
            stream,
            batch_size=None,
            num_workers=min(self.settings.workers, 1) if stream.in_order else self.settings.workers,
            pin_memory=self.args.device.type == "cuda",
            generator=torch.Generator().manual_seed(self.settings.seed),  # else it draws from the global one
        )

    def compute_loss(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return the weighted sum of the named losses and remember each."""
        named = model(inputs)
        total = weighted_sum(named, self.weights if self.weights is not None else dict.fromkeys(named, 1.0))
        for name, value in {**named, "loss": total}.items():
            value = value.detach()
            self._sums[name] = self._sums[name] + value if name in self._sums else value
        self._micro_steps += 1
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: the estimate walks over all parameters at each step and nobody reads it."""
        return 0

    def _wrap_model(self, model: nn.Module, training: bool = True, dataloader: DataLoader | None = None) -> nn.Module:
        lesson = _Lesson(self.model, self._objective, self.teacher, self.args.device.type, self.settings.precision)
        return self.accelerator.prepare_model(lesson)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        self._load_weights(Path(resume_from_checkpoint), best=False)

    # One step after another

    def _began(self) -> None:
        if not self.history:  # a new run: if training only makes it worse, the starting weights are the best
            self._judge()
            self._checkpoint()

    def _stepped(self) -> None:
        """The optimizer has moved the weights, and the gradients, which AdaLoRA reads, are still there."""
        after_step(self.model, self.state.global_step)
        if self._average is not None:
            self._average.update(self.state.global_step)

    def _ended_step(self) -> None:
        step = self.state.global_step
        last = step >= self.settings.steps
        if step % self.settings.log_every == 0 or last:
            self._log_losses()
        improved = self._judge() if last or step % self._eval_every == 0 else False
        self._finished = last or self._out_of_patience()
        if improved or self._finished or step % self._save_every == 0:
            self._checkpoint()
        self.control.should_training_stop |= self._finished
        self._advance()

    def _log_losses(self) -> None:
        means = torch.stack([value.float() for value in self._sums.values()]) / self._micro_steps
        means = self.accelerator.reduce(means, "mean").tolist()
        row = {"step": self.state.global_step, "learning_rate": self._get_learning_rate()}
        self.losses.append(row | dict(zip(self._sums, means, strict=True)))
        self._sums, self._micro_steps = {}, 0

    def _judge(self) -> bool:
        """Validate; return whether these weights are the best so far."""
        metrics: Any = None
        if self.args.process_index == 0:
            self.model.eval()
            devices = [self.args.device] if self.args.device.type == "cuda" else []
            with (
                torch.no_grad(),
                torch.random.fork_rng(devices),
                own_random("validate", self.settings.seed),
                self._averaged(),
            ):
                metrics = {name: float(value) for name, value in self._validate(self.model).items()}
        metrics = self._from_first(metrics)
        name = self.settings.select_by
        if name not in metrics:
            raise RecipeError(f"select_by: validation gives no metric {name!r}; it gives {', '.join(metrics)}")
        row = {"step": self.state.global_step, **metrics}
        self.history.append(row)
        if not math.isfinite(row[name]) or (self.best is not None and row[name] >= self.best[name]):
            return False
        self.best = row
        return True

    def _averaged(self) -> AbstractContextManager[None]:
        return nullcontext() if self._average is None else self._average.swapped_in()

    def _out_of_patience(self) -> bool:
        best_step = -1 if self.best is None else self.best["step"]
        stale = sum(row["step"] > best_step for row in self.history)
        return self.settings.patience is not None and stale >= self.settings.patience

    def _from_first(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        return broadcast_object_list([value])[0] if self.args.world_size > 1 else value

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if self.args.process_index != 0:
            yield
            return
        with progress("training", total=self.settings.steps) as self._advance:
            self._advance(self._start)
            yield

    # Checkpoints

    def _checkpoint(self) -> None:
        """Write a whole checkpoint, then let go of those that nothing needs any more."""
        step, first = self.state.global_step, self.args.process_index == 0
        aside = Path(self._from_first(str(checkpoints.begin(self.folder, step)) if first else None))
        self._save_rng_state(str(aside))  # each process has its own
        if first:
            self._save_optimizer_and_scheduler(str(aside))
            self.state.save_to_json(str(aside / "trainer_state.json"))
            torch.save(self._weights(), aside / WEIGHTS)
            (aside / PROGRESS).write_text(json.dumps(self._progress()))
        self.accelerator.wait_for_everyone()
        if first:
            checkpoints.seal(self.folder, step)
            # The newest two stay, each with its best: should a disk lose the last one, the run goes on from the other.
            newest = [other for other in checkpoints.steps(self.folder) if other <= step][:2]
            checkpoints.prune(self.folder, {needed for other in newest for needed in self._needed_by(other)})
        self.accelerator.wait_for_everyone()

    def _weights(self) -> dict[str, Any]:
        return {
            "weights": {name: tensor.detach() for name, tensor in _state(self.model).items()},
            "averages": self._average and self._average.averages,
            "allocation": _allocation(self.model),
        }

    def _load_weights(self, checkpoint: Path, *, best: bool) -> None:
        saved = torch.load(checkpoint / WEIGHTS, map_location=self.args.device, weights_only=True)
        state = _state(self.model)
        if {name: tensor.shape for name, tensor in saved["weights"].items()} != {n: t.shape for n, t in state.items()}:
            raise ModelError(f"{checkpoint} holds the weights of another model; train this one in another folder")
        with torch.no_grad():
            for name, tensor in saved["weights"].items():
                state[name].copy_(tensor)
            if self._average is not None:
                for name, tensor in saved["averages"].items():
                    self._average.averages[name].copy_(tensor)
                    if best:
                        state[name].copy_(tensor)
        _set_allocation(self.model, saved["allocation"])

    def _progress(self) -> dict[str, Any]:
        """Return what a checkpoint remembers besides tensors."""
        return {
            "run": self._identity(),
            "history": self.history,
            "losses": self.losses,
            "best": self.best,
            "finished": self._finished,
            "sums": {name: value.item() for name, value in self._sums.items()},
            "micro_steps": self._micro_steps,
        }

    def _identity(self) -> dict[str, Any]:
        """Return what must be the same for a run to go on as if nothing had happened."""
        settings = self.settings.model_dump(exclude=NO_MATTER)
        return {**settings, "weights": self.weights, "processes": self.args.world_size, "eval_every": self._eval_every}

    def _resume(self, checkpoint: Path) -> None:
        saved = _read_progress(checkpoint)
        ours = self._identity()
        changed = [name for name in ours if saved["run"].get(name) != ours[name]]
        if changed:
            raise RecipeError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}); "
                "give the old settings to go on with it, or another folder to start anew"
            )
        self.history, self.losses, self.best = saved["history"], saved["losses"], saved["best"]
        self._finished, self._micro_steps = saved["finished"], saved["micro_steps"]
        self._sums = {name: torch.tensor(value, device=self.args.device) for name, value in saved["sums"].items()}

    def _newest(self) -> int | None:
        """Return the newest step whose checkpoint is whole, and so is every checkpoint it needs; the first process decides."""
        found = None
        if self.args.process_index == 0:
            whole = [
                step
                for step in checkpoints.steps(self.folder)
                if checkpoints.whole(checkpoints.place(self.folder, step))
            ]
            found = next((step for step in whole if self._needed_by(step) <= set(whole)), None)
        return self._from_first(found)

    def _needed_by(self, step: int) -> set[int]:
        best = _read_progress(checkpoints.place(self.folder, step))["best"]
        return {step} if best is None else {step, int(best["step"])}

    def _end(self) -> None:
        """Put the best weights into the model, and the history beside the checkpoints."""
        if self.best is None:
            raise DataError(
                f"no weights can be chosen: the validation metric {self.settings.select_by!r} was never a finite number; "
                "check the held-out data"
            )
        self._load_weights(checkpoints.place(self.folder, int(self.best["step"])), best=True)
        self.model.eval()
        if self.args.process_index == 0:
            record = {"best": self.best, "history": self.history, "losses": self.losses}
            write_atomic(self.folder / "history.json", json.dumps(record, indent=1))


class _Steps(TrainerCallback):
    """Tells the trainer when a step has been made, which transformers only tells callbacks."""

    def __init__(self, trainer: DistillTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        self.trainer._began()

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:
        self.trainer._stepped()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        self.trainer._ended_step()


class _Lesson(nn.Module):
    """The student and its losses as one module, so that several processes share gradients whatever the losses call.

    The teacher is out of sight of torch: it is neither trained, nor copied, nor put into training mode.
    """

    def __init__(self, model: nn.Module, losses: Losses, teacher: Any, device: str, precision: str) -> None:
        super().__init__()
        self.model = model
        self.compute = lambda batch: losses(model, batch, teacher)
        self.autocast = lambda: torch.autocast(device, dtype=torch.bfloat16, enabled=precision == "bf16")

    def forward(self, batch: Any) -> dict[str, Tensor]:
        with self.autocast():
            return self.compute(batch)


def _arguments(settings: TrainSettings, folder: Path) -> TrainingArguments:
    """Say our settings in transformers' words, and switch off all that we do ourselves."""
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=settings.steps,
        per_device_train_batch_size=settings.batch_size,
        gradient_accumulation_steps=settings.accumulation,
        learning_rate=settings.learning_rate,
        lr_scheduler_type="constant_with_warmup" if settings.schedule == "constant" else settings.schedule,
        warmup_steps=round(settings.warmup * settings.steps),
        weight_decay=settings.weight_decay,
        max_grad_norm=settings.max_grad_norm,
        seed=settings.seed,
        use_cpu=not torch.cuda.is_available()
        or os.environ.get("ACCELERATE_USE_CPU", "").lower() in ("1", "true", "yes"),
        eval_strategy="no",
        save_strategy="no",
        logging_strategy="no",
        logging_nan_inf_filter=False,  # it makes every step wait for the GPU
        report_to="none",
        disable_tqdm=True,
        ignore_data_skip=True,  # the stream starts where the run stands
        remove_unused_columns=False,
    )
    arguments._n_gpu = min(arguments.n_gpu, 1)  # several GPUs are `accelerate launch`'s business, not DataParallel's
    return arguments


def _frozen(teacher: Any, student: nn.Module, device: torch.device) -> Any:
    if not isinstance(teacher, nn.Module):
        return teacher
    if {id(parameter) for parameter in teacher.parameters()} & {id(parameter) for parameter in student.parameters()}:
        raise RecipeError("the teacher shares weights with the student and would be trained with it; give a copy of it")
    return teacher.requires_grad_(False).eval().to(device)


@contextmanager
def _config_untouched(model: nn.Module) -> Iterator[None]:
    """Give the model's config its `use_cache` back: transformers' Trainer switches it off, and it would be saved with the model."""
    config = getattr(model, "config", None)
    before = {name: config.use_cache for name in ("use_cache",) if hasattr(config, "use_cache")}
    try:
        yield
    finally:
        if config is not None:
            vars(config).pop("use_cache", None)
            vars(config).update(before)


def _trained(model: nn.Module) -> dict[str, Tensor]:
    return {name: parameter for name, parameter in model.named_parameters() if parameter.requires_grad}


def _state(model: nn.Module) -> dict[str, Tensor]:
    """Return the tensors that training may move: what is frozen comes back with the model itself."""
    kept = model.state_dict().keys()
    return _trained(model) | {name: buffer for name, buffer in model.named_buffers() if name in kept}


def _allocation(model: nn.Module) -> dict[str, Any] | None:
    """Return what AdaLoRA knows besides its weights: importances, and which ranks are left."""
    allocator = getattr(getattr(model, "base_model", None), "rankallocator", None)
    if allocator is None:
        return None
    return {name: getattr(allocator, name) for name in IMPORTANCES} | {"ranks": allocator.peft_config.rank_pattern}


def _set_allocation(model: nn.Module, saved: dict[str, Any] | None) -> None:
    allocator = getattr(getattr(model, "base_model", None), "rankallocator", None)
    if allocator is not None and saved is not None:
        for name in IMPORTANCES:
            setattr(allocator, name, saved[name])
        allocator.peft_config.rank_pattern = saved["ranks"]


def _read_progress(checkpoint: Path) -> dict[str, Any]:
    return dict(json.loads((checkpoint / PROGRESS).read_text()))
