from __future__ import annotations

import io
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from stillroom.core.optimizers import MuonWithAdamW, muon

tiny = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_training.py"))))


class Net(nn.Module):
    """Tokens in, tokens out: embedding, matrices, biases, a norm, and a head that may be tied to the embedding."""

    def __init__(self, *, tied=False):
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(7, 8)
        self.inner, self.outer = nn.Linear(8, 12), nn.Linear(12, 8, bias=False)
        self.norm = nn.LayerNorm(8)
        self.head = nn.Linear(8, 7, bias=False)
        if tied:
            self.head.weight = self.embedding.weight

    def forward(self, tokens):
        x = self.embedding(tokens)
        return self.head(self.norm(x + self.outer(self.inner(x).relu())))


def backward(model, step):
    tokens = torch.randint(7, (16,), generator=torch.Generator().manual_seed(step))
    nn.functional.cross_entropy(model(tokens), (tokens + 1) % 7).backward()


def train(model, optimizer, steps, scheduler=None):
    for step in steps:
        backward(model, step)
        optimizer.step()
        if scheduler:
            scheduler.step()
        optimizer.zero_grad()


def names(model, part):
    """The names of the parameters that a part of the optimizer moves."""
    held = {id(parameter) for group in part.param_groups for parameter in group["params"]}
    return {name for name, parameter in model.named_parameters() if id(parameter) in held}


def same_weights(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def test_both_parts_step_like_torch_s_own_optimizers_reference():
    model, by_hand = Net(), Net()
    train(model, muon(model, 0.02, 0.1), range(6))

    matrices = [by_hand.inner.weight, by_hand.outer.weight, by_hand.head.weight]
    others = [by_hand.embedding.weight, by_hand.inner.bias, by_hand.norm.weight, by_hand.norm.bias]
    parts = [
        torch.optim.Muon(matrices, lr=0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=0.02, weight_decay=0.0, betas=(0.9, 0.98)),
    ]
    for step in range(6):
        backward(by_hand, step)
        for part in parts:
            part.step()
            part.zero_grad()
    for name, tensor in by_hand.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], tensor, rtol=1e-5, atol=1e-7)


def test_matrices_go_to_muon_and_all_else_to_adamw_each_parameter_once():
    model = Net()
    optimizer = muon(model, 0.02, 0.1)
    matrices, others = (names(model, part) for part in optimizer.parts)
    assert [type(part) for part in optimizer.parts] == [torch.optim.Muon, torch.optim.AdamW]
    assert matrices == {"inner.weight", "outer.weight", "head.weight"}
    assert others == {"embedding.weight", "inner.bias", "norm.weight", "norm.bias"}
    every = [id(parameter) for group in optimizer.param_groups for parameter in group["params"]]
    assert sorted(every) == sorted(id(parameter) for parameter in model.parameters())


def test_a_head_tied_to_the_embedding_counts_as_the_embedding():
    model = Net(tied=True)
    matrices, others = (names(model, part) for part in muon(model, 0.02, 0.1).parts)
    assert matrices == {"inner.weight", "outer.weight"}
    assert "embedding.weight" in others


def test_frozen_parameters_are_left_out_and_stay_where_they_are():
    model = Net()
    frozen = [model.inner.weight, model.norm.bias]
    for parameter in frozen:
        parameter.requires_grad_(False)
    before = [parameter.clone() for parameter in frozen]
    optimizer = muon(model, 0.02, 0.1)
    train(model, optimizer, range(3))
    held = {name for part in optimizer.parts for name in names(model, part)}
    assert held == {name for name, _ in Net().named_parameters()} - {"inner.weight", "norm.bias"}
    assert all(torch.equal(parameter, old) for parameter, old in zip(frozen, before, strict=True))


@pytest.mark.parametrize(("trained", "kind"), [("matrices", torch.optim.Muon), ("others", torch.optim.AdamW)])
def test_a_network_with_parameters_of_one_kind_has_one_part(trained, kind):
    model = Net()
    for name, parameter in model.named_parameters():
        parameter.requires_grad_((name in {"inner.weight", "outer.weight"}) == (trained == "matrices"))
    if trained == "others":
        model.head.requires_grad_(False)
    optimizer = muon(model, 0.02, 0.1)
    assert [type(part) for part in optimizer.parts] == [kind]
    train(model, optimizer, range(2))


def test_weight_decay_is_for_matrices_only():
    model = Net()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    optimizer = muon(model, 0.1, 0.5)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for name, tensor in model.state_dict().items():
        shrunk = 0.95 if name in {"inner.weight", "outer.weight", "head.weight"} else 1.0
        torch.testing.assert_close(tensor, before[name] * shrunk)


def test_a_saved_state_goes_on_exactly():
    whole, resumed = Net(), Net()
    train(whole, muon(whole, 0.02, 0.1), range(10))

    first = muon(resumed, 0.02, 0.1)
    train(resumed, first, range(4))
    file = io.BytesIO()
    torch.save([resumed.state_dict(), first.state_dict()], file)
    file.seek(0)
    weights, state = torch.load(file, weights_only=True)
    resumed = Net()
    resumed.load_state_dict(weights)
    second = muon(resumed, 0.5, 0.0)  # what the state says counts
    second.load_state_dict(state)
    train(resumed, second, range(4, 10))
    assert same_weights(resumed, whole)


@pytest.mark.parametrize("reloaded", [False, True])
def test_a_schedule_reaches_both_parts(reloaded):
    model = Net()
    optimizer = muon(model, 0.02, 0.1)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 / (1 + step))
    if reloaded:
        optimizer.load_state_dict(optimizer.state_dict())
    train(model, optimizer, range(3), scheduler)
    rates = [group["lr"] for part in optimizer.parts for group in part.param_groups]
    assert rates == pytest.approx([0.005, 0.005])
    assert [group["lr"] for group in optimizer.param_groups] == rates


def test_a_rate_of_zero_stops_both_parts_also_after_reloading():
    model = Net()
    optimizer = muon(model, 0.02, 0.1)
    train(model, optimizer, range(2))
    optimizer.load_state_dict(optimizer.state_dict())
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    train(model, optimizer, range(2, 4))
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_a_state_of_other_parts_is_refused():
    model = Net()
    optimizer = muon(model, 0.02, 0.1)
    with pytest.raises(ValueError, match="zip"):
        optimizer.load_state_dict({"parts": optimizer.state_dict()["parts"][:1]})


def test_a_training_with_muon_resumes_exactly(tmp_path):
    first = tiny.trainer(tmp_path / "first", optimizer="muon", weight_decay=0.01, ema=0.9)
    first.train()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(tmp_path / "second" / "checkpoint-12")
    second = tiny.trainer(tmp_path / "second", optimizer="muon", weight_decay=0.01, ema=0.9)
    second.train()
    assert second._start == 10
    assert same_weights(second.student, first.student)
    assert second.history == first.history


def test_a_training_with_muon_is_not_one_with_adamw(tmp_path):
    runs = [tiny.trainer(tmp_path / name, optimizer=name) for name in ("muon", "adamw")]
    for run in runs:
        run.train()
    assert isinstance(getattr(runs[0].optimizer, "optimizer", runs[0].optimizer), MuonWithAdamW)
    last = [torch.load(run.folder / "checkpoint-12" / "weights.pt")["weights"]["inner.weight"] for run in runs]
    assert not torch.allclose(*last)
