"""How to train, as data: the `train` part of a recipe, checked before anything heavy is loaded.

It does not know what is trained.
"""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt


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
        Rows a process and micro-step (`Batches` bring their own): one step sees batch_size x accumulation x processes
        rows.
    accumulation
        Micro-steps whose gradients are averaged into one step.
    schedule, warmup
        Linear warm-up over this share of the steps, then cosine or linear to zero, or constant.
    optimizer
        "adamw", or "muon" for matrices with AdamW for the rest: fewer steps from scratch (see `optimizers`).
    weight_decay, max_grad_norm
        Of the optimizer (none on biases and norms), and the norm the gradient is cut to.
    eval_every, save_every
        Steps between validations (default: 20 in a run) and between checkpoints (default: at validations). Each new
        best is saved.
    patience
        Stop after this many validations in a row without a new best; None never stops early.
    ema
        Decay of the moving average of the weights that is validated and kept in their stead; None keeps the weights
        themselves.
    precision
        "bf16" computes the losses under autocast, on CPUs and GPUs alike; weights and validation stay in fp32.
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
    optimizer: Literal["adamw", "muon"] = "adamw"
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
