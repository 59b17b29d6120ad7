"""A run for `accelerate launch`: its arguments are the folder, the kind of data, accumulation and batch size."""

import json
import sys
from pathlib import Path

import torch
from torch import nn

from stillroom.core.trainer import Batches, DistillTrainer, TrainSettings


class Fixed(Batches):
    def __getitem__(self, index):
        x = torch.randn(4, 3, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.sum(1, keepdim=True), "number": torch.full((4,), index)}


class Rows(list):
    def __getitem__(self, index):
        x = torch.randn(3, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.sum().view(1), "number": torch.tensor(index)}


def train(folder, kind, accumulation, batch_size):
    torch.set_num_threads(1)
    torch.manual_seed(0)
    numbers = []

    def losses(model, batch, teacher):
        numbers.extend(batch["number"].tolist())
        return {"mse": (model(batch["x"]) - batch["y"]).square().mean()}

    settings = TrainSettings(
        steps=6,
        learning_rate=0.05,
        select_by="last",
        accumulation=accumulation,
        batch_size=batch_size,
        eval_every=3,
        log_every=2,
    )
    visits = []

    def validate(model):
        visits.append(1)
        return {"last": -float(len(visits))}

    data = Fixed() if kind == "batches" else Rows(range(30))
    run = DistillTrainer(nn.Linear(3, 1), losses, settings, folder, train_data=data, validate=validate)
    run.train()
    weights = {name: tensor.tolist() for name, tensor in run.student.state_dict().items()}
    return run, {
        "weights": weights,
        "numbers": numbers,
        "history": run.history,
        "losses": run.losses,
        "visits": len(visits),
    }


if __name__ == "__main__":
    for kind in ("batches", "rows"):
        run, result = train(Path(sys.argv[1], kind), kind, 1, 4)
        Path(sys.argv[1], f"{kind}-{run.args.process_index}.json").write_text(json.dumps(result))
