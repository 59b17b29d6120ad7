"""Train a student on its teacher's word: transformers' Trainer, with our order of data, checkpoints and selection.

Held-out validation chooses the weights, the starting weights included. A run that is killed at any instant, also in
the middle of a save, goes on from its newest whole checkpoint to the same weights, bit for bit (on one CPU). It knows
no model and no loss: the family passes both.
"""

from __future__ import annotations

import json
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list
from torch import Tensor, nn
from torch.utils.data import DataLoader

from stillroom.core import checkpoints
from stillroom.core.adapters import after_step
from stillroom.core.average import WeightAverage
from stillroom.core.batches import Batches, BatchStream
from stillroom.core.errors import DataError, RecipeError
from stillroom.core.lesson import Lesson, Losses, frozen
from stillroom.core.objectives import weighted_sum
from stillroom.core.offline import import_bitsandbytes
from stillroom.core.optimizers import muon
from stillroom.core.plain import to_plain
from stillroom.core.progress import DELAY, progress
from stillroom.core.runs import write_atomic
from stillroom.core.seeds import own_random, seed_all
from stillroom.core.selection import Selection
from stillroom.core.settings import TrainSettings
from stillroom.core.weights import read, trained, write

import_bitsandbytes()
from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments  # noqa: E402 — it imports it too
from transformers.trainer_utils import TrainOutput  # noqa: E402

__all__ = ["Batches", "DistillTrainer", "Losses", "TrainSettings"]

WEIGHTS, PROGRESS = "weights.pt", "progress.json"  # beside the files that transformers writes and reads itself
NO_MATTER = {"workers", "log_every", "save_every"}  # settings that move no weight: they may change when a run goes on


class DistillTrainer(Trainer):
    """Train `model` by named losses; end with the weights that were best on held-out data.

    Parameters
    ----------
    model
        The student. Parameters that do not require gradients are neither trained nor saved in checkpoints.
    losses
        Called as losses(model, batch, teacher) on each batch; returns named scalar losses. Stored targets are part of
        the batch.
    settings
        See TrainSettings.
    folder
        Where checkpoints and `history.json` go; nothing is written elsewhere. `train` resumes from what it finds there.
    train_data
        `Batches`, a map-style data set (shuffled), or an iterable of rows (replayed on resuming): see BatchStream.
    validate
        Called as validate(model) without gradients, in eval mode, before the first step, every `eval_every` steps and
        after the last; returns metrics. Of several processes only the first calls it.
    weights
        Weight of each named loss; None adds them as they are.
    teacher
        A module kept in memory, frozen here and never saved; or whatever else the losses want; or None.
    collate
        Makes a batch from a list of rows; default torch's.

    Attributes
    ----------
    losses
        One row every `log_every` steps: {"step", "learning_rate", each named loss, "loss" (their weighted sum)}.

    Raises
    ------
    RecipeError
        `select_by` names no metric, the folder holds a run with other settings, or teacher and student share weights.
    DataError
        `select_by` was never a finite number, or there are no rows.
    ModelError
        The folder holds checkpoints of a model with other weights.
    """

    loss_is_scaled_for_ga = False  # each loss is a mean over its micro-batch

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
        self.settings, self.folder, self.student = settings, Path(folder), model
        with _config_untouched(model):
            super().__init__(model, _arguments(settings, self.folder), train_dataset=train_data)
        self.remove_callback(PrinterCallback)
        self.add_callback(_Steps(self))
        self.model_accepts_loss_kwargs = False  # what a loss is averaged over is its own business
        self.teacher = frozen(teacher, model, self.args.device)
        self.weights = None if weights is None else dict(weights)
        self._objective, self._validate, self._collate = losses, validate, collate
        self._eval_every = settings.eval_every or max(1, settings.steps // 20)
        self._save_every = settings.save_every or self._eval_every
        self._average = WeightAverage(trained(model), settings.ema) if settings.ema else None
        self._forget()
        self._advance: Callable[[int], None] = lambda steps: None
        self._began_at = time.monotonic()

    def train(self) -> TrainOutput:  # type: ignore[override]  # it finds by itself what to resume from
        """Train to the end, from the newest whole checkpoint in `folder` if there is one, and load the best weights."""
        self._forget()
        step = self._newest()
        self._start = step or 0
        checkpoint = None if step is None else checkpoints.place(self.folder, step)
        if checkpoint is not None:
            self._recall(checkpoint)
        output = TrainOutput(self._start, math.nan, {})
        if not self._finished:
            seed_all("train", self.settings.seed, self.args.process_index)
            self.optimizer = self.lr_scheduler = None
            self.model_wrapped = self.student
            with _config_untouched(self.student), self._shown():
                if hasattr(self.student, "config"):
                    vars(self.student.config)["use_cache"] = False  # of no use to a training step
                output = super().train(None if checkpoint is None else str(checkpoint))
        self._end()
        return output

    @property
    def history(self) -> list[dict[str, float]]:
        """One row a validation: {"step": …, metric: value, …}."""
        return self._selection.history

    @property
    def best(self) -> dict[str, float] | None:
        """The row of `history` whose weights are kept; None while no validation gave a number."""
        return self._selection.best

    # What transformers' Trainer asks of its subclasses

    def get_train_dataloader(self) -> DataLoader:
        """Return the stream of batches from where this run stands; it is split among the processes already."""
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

    def create_optimizer(self, model: nn.Module | None = None) -> torch.optim.Optimizer:
        """Return the optimizer that the settings name."""
        if self.settings.optimizer == "muon" and self.optimizer is None:
            self.optimizer = muon(self.student, self.settings.learning_rate, self.settings.weight_decay)
        optimizer: torch.optim.Optimizer = super().create_optimizer(model)
        return optimizer

    def compute_loss(self, model: nn.Module, inputs: Any, *args: Any, **kwargs: Any) -> Tensor:
        """Return the weighted sum of the named losses, and remember each for the log."""
        named = model(inputs)
        total = weighted_sum(named, dict.fromkeys(named, 1.0) if self.weights is None else self.weights)
        for name, value in {**named, "loss": total}.items():
            self._sums[name] = self._sums.get(name, 0.0) + value.detach().float()
        self._micro_steps += 1
        return total

    def floating_point_ops(self, inputs: Any) -> int:
        """Return 0: the estimate walks over all parameters at each step, and nobody reads it."""
        return 0

    def _wrap_model(self, model: nn.Module, training: bool = True, dataloader: DataLoader | None = None) -> nn.Module:
        device, precision = self.args.device.type, self.settings.precision
        lesson = Lesson(self.student, self._objective, self.teacher, device=device, precision=precision)
        wrapped: nn.Module = self.accelerator.prepare_model(lesson) if self.args.world_size > 1 else lesson
        return wrapped

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        read(Path(resume_from_checkpoint) / WEIGHTS, self.student, self._average)

    # One step after another

    def _forget(self) -> None:
        self.losses: list[dict[str, float]] = []
        self._selection = Selection(self.settings.select_by, self.settings.patience)
        self._sums: dict[str, Tensor] = {}  # of losses since the last row; left on the device, no step waits for them
        self._micro_steps = 0
        self._start = 0  # the step this process began at
        self._finished = False

    def _begin(self) -> None:
        if not self.history:  # a new run: if training only makes it worse, the starting weights are the best
            self._judge()
            self._checkpoint()

    def _moved(self) -> None:
        """The optimizer has moved the weights, and the gradients, which AdaLoRA reads, are still there."""
        after_step(self.student, self.state.global_step)
        if self._average is not None:
            self._average.update(self.state.global_step)

    def _ended(self) -> None:
        step = self.state.global_step
        last = step >= self.settings.steps
        if last or step % self.settings.log_every == 0:
            self._log_losses()
        improved = self._judge() if last or step % self._eval_every == 0 else False
        self._finished = last or self._selection.given_up
        if improved or self._finished or step % self._save_every == 0:
            self._checkpoint()
        self.control.should_training_stop |= self._finished
        self._advance(1)

    def _log_losses(self) -> None:
        means = torch.stack(list(self._sums.values())) / self._micro_steps
        means = self.accelerator.reduce(means, "mean").tolist()
        row = {"step": self.state.global_step, "learning_rate": self._get_learning_rate()}
        self.losses.append(row | dict(zip(self._sums, means, strict=True)))
        self._sums, self._micro_steps = {}, 0

    def _judge(self) -> bool:
        """Validate; return whether these weights are the best so far."""
        metrics = None
        if self.args.process_index == 0:
            self.student.eval()
            averaged = nullcontext() if self._average is None else self._average.swapped_in()
            gpus = [self.args.device] if self.args.device.type == "cuda" else []
            with torch.no_grad(), averaged, torch.random.fork_rng(gpus), own_random("validate", self.settings.seed):
                metrics = {name: float(value) for name, value in self._validate(self.student).items()}
        better = self._selection.add(self.state.global_step, self._from_first(metrics))
        self._say(self.history[-1])
        return better

    def _from_first(self, value: Any) -> Any:
        """Return the first process's value in every process."""
        return broadcast_object_list([value])[0] if self.args.world_size > 1 else value

    @contextmanager
    def _shown(self) -> Iterator[None]:
        if self.args.process_index != 0:
            yield
            return
        self._began_at = time.monotonic()
        with progress("training", total=self.settings.steps) as self._advance:
            self._advance(self._start)
            yield

    def _say(self, row: dict[str, float]) -> None:
        """Show a validation of a run that is long enough to be watched."""
        if self.args.process_index == 0 and time.monotonic() - self._began_at > DELAY:
            name, best = self.settings.select_by, "no best yet"
            if self.best is not None:
                best = "the best so far" if row is self.best else f"best {self.best[name]:.4g}"
            loss = f", loss {self.losses[-1]['loss']:.4g}" if self.losses else ""
            print(f"step {row['step']}: {name} {row[name]:.4g} ({best}){loss}", file=sys.stderr, flush=True)

    # Checkpoints

    def _checkpoint(self) -> None:
        """Write a whole checkpoint, then let go of those that nothing needs any more."""
        step, first = self.state.global_step, self.args.process_index == 0
        aside = Path(self._from_first(str(checkpoints.begin(self.folder, step)) if first else None))
        self._save_rng_state(str(aside))  # each process has its own
        if first:
            self._save_optimizer_and_scheduler(str(aside))
            self.state.save_to_json(str(aside / "trainer_state.json"))
            write(aside / WEIGHTS, self.student, self._average)
            (aside / PROGRESS).write_text(json.dumps(self._progress()))
        self.accelerator.wait_for_everyone()
        if first:
            checkpoints.seal(self.folder, step)
            # The newest two stay, each with its best: should a disk lose the last one, the run goes on from the other.
            newest = [other for other in checkpoints.steps(self.folder) if other <= step][:2]
            checkpoints.prune(self.folder, {needed for other in newest for needed in self._needed_by(other)})
        self.accelerator.wait_for_everyone()

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
        return {**settings, "eval_every": self._eval_every, "weights": self.weights, "processes": self.args.world_size}

    def _recall(self, checkpoint: Path) -> None:
        saved, ours = _read_progress(checkpoint), self._identity()
        changed = [name for name in ours if saved["run"].get(name) != ours[name]]
        if changed:
            raise RecipeError(
                f"{self.folder} holds a run with other settings ({', '.join(changed)}); "
                "give the old settings to go on with it, or another folder to start anew"
            )
        self._selection.history, self._selection.best = saved["history"], saved["best"]
        self.losses = saved["losses"]
        self._finished, self._micro_steps = saved["finished"], saved["micro_steps"]
        self._sums = {name: torch.tensor(value, device=self.args.device) for name, value in saved["sums"].items()}

    def _newest(self) -> int | None:
        """Return the newest step whose checkpoint is whole, as is the best it refers to; the first process decides."""
        found = None
        if self.args.process_index == 0:
            found = next((step for step in checkpoints.steps(self.folder) if self._usable(step)), None)
        newest: int | None = self._from_first(found)
        return newest

    def _usable(self, step: int) -> bool:
        return checkpoints.whole(self.folder, step) and all(
            checkpoints.whole(self.folder, needed) for needed in self._needed_by(step)
        )

    def _needed_by(self, step: int) -> set[int]:
        best = _read_progress(checkpoints.place(self.folder, step))["best"]
        return {step} if best is None else {step, int(best["step"])}

    def _end(self) -> None:
        """Put the best weights into the model, and the history beside the checkpoints."""
        if self.best is None:
            raise DataError(
                f"no weights can be chosen: the validation metric {self.settings.select_by!r} was never a finite "
                "number; check the held-out data"
            )
        read(checkpoints.place(self.folder, int(self.best["step"])) / WEIGHTS, self.student, self._average)
        if self._average is not None:
            self._average.settle()
        self.student.eval()
        if self.args.process_index == 0:
            record = to_plain({"best": self.best, "history": self.history, "losses": self.losses})
            write_atomic(self.folder / "history.json", json.dumps(record, indent=1))


class _Steps(TrainerCallback):
    """Tells the trainer of its steps, which transformers tells callbacks only."""

    def __init__(self, trainer: DistillTrainer) -> None:
        self.trainer = trainer

    def on_train_begin(self, *args: Any, **kwargs: Any) -> None:
        self.trainer._begin()

    def on_optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        self.trainer._moved()

    def on_step_end(self, *args: Any, **kwargs: Any) -> None:
        self.trainer._ended()


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


@contextmanager
def _config_untouched(model: nn.Module) -> Iterator[None]:
    """Give the config its `use_cache` back: transformers' Trainer switches it off, and that would be saved."""
    config: Any = getattr(model, "config", None)
    before = {name: value for name, value in vars(config).items() if name == "use_cache"} if config is not None else {}
    try:
        yield
    finally:
        if config is not None:
            vars(config).pop("use_cache", None)
            vars(config).update(before)


def _read_progress(checkpoint: Path) -> dict[str, Any]:
    return dict(json.loads((checkpoint / PROGRESS).read_text()))
