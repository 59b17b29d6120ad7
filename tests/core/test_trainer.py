from __future__ import annotations

import copy
import json
import math
import runpy
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from stillroom.core import checkpoints
from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.trainer import Batches, DistillTrainer, TrainSettings

tiny = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("tiny_training.py"))))


class Linear(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.layer = nn.Linear(4, 1)

    def forward(self, x):
        return self.layer(x)


class Fixed(Batches):
    """Batches without noise, so that a plain loop can train on the same."""

    def __getitem__(self, index):
        x = torch.randn(8, 4, generator=torch.Generator().manual_seed(index))
        return {"x": x, "y": x.sum(1, keepdim=True)}


def settings(**changed):
    return TrainSettings(**{"steps": 10, "learning_rate": 0.05, "select_by": "mse", "eval_every": 5, **changed})


def fit(
    folder, model=None, *, losses=tiny.mse, data=None, validate=tiny.validate, weights=None, teacher=None, **changed
):
    options = {"train_data": data or Fixed(), "validate": validate, "weights": weights, "teacher": teacher}
    run = DistillTrainer(model or Linear(), losses, settings(**changed), folder, **options)
    run.train()
    return run


def same_weights(one, other):
    return all(torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


def metric_by_visit(values):
    """A validation that says what it is told, one value a visit."""
    told = iter(values)
    return lambda model: {"mse": next(told)}


def test_training_equals_a_plain_loop_reference(tmp_path):
    run = fit(tmp_path, warmup=0.2, weight_decay=0.1, max_grad_norm=0.5, validate=metric_by_visit([3, 2, 1]))

    model = Linear()
    groups = [
        {"params": [model.layer.weight], "weight_decay": 0.1},
        {"params": [model.layer.bias], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=0.05)
    for step in range(10):
        rate = step / 2 if step < 2 else 0.5 * (1 + math.cos(math.pi * (step - 2) / 8))
        for group in optimizer.param_groups:
            group["lr"] = 0.05 * rate
        tiny.mse(model, Fixed()[step])["mse"].backward()
        nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        optimizer.step()
        optimizer.zero_grad()
    for name, tensor in model.state_dict().items():
        torch.testing.assert_close(run.student.state_dict()[name], tensor, rtol=1e-6, atol=1e-7)


def test_accumulated_batches_train_like_one_big_batch(tmp_path):
    class Doubled(Batches):
        def __getitem__(self, index):
            parts = [Fixed()[2 * index], Fixed()[2 * index + 1]]
            return {name: torch.cat([part[name] for part in parts]) for name in ("x", "y")}

    small = fit(tmp_path / "small", accumulation=2).student
    big = fit(tmp_path / "big", data=Doubled()).student
    torch.testing.assert_close(small.layer.weight, big.layer.weight, rtol=1e-5, atol=1e-6)


def test_the_best_validated_weights_end_in_the_model(tmp_path):
    seen = []

    def validate(model):
        seen.append(copy.deepcopy(model.state_dict()))
        return {"mse": [4.0, 1.0, 3.0, 2.0][len(seen) - 1]}

    run = fit(tmp_path, validate=validate, steps=9, eval_every=3)
    assert [row["step"] for row in run.history] == [0, 3, 6, 9]
    assert run.best == {"step": 3, "mse": 1.0}
    assert all(torch.equal(tensor, seen[1][name]) for name, tensor in run.student.state_dict().items())
    assert not run.student.training


def test_when_training_only_makes_it_worse_the_starting_weights_are_kept(tmp_path):
    run = fit(tmp_path, validate=metric_by_visit([1.0, 2.0, 3.0]))
    assert run.best["step"] == 0
    assert same_weights(run.student, Linear())


def test_a_metric_that_is_no_number_is_never_the_best(tmp_path):
    run = fit(tmp_path, validate=metric_by_visit([math.nan, 2.0, math.nan]))
    assert run.best["step"] == 5


def test_a_metric_that_is_never_a_number_is_refused(tmp_path):
    with pytest.raises(DataError, match="never a finite number"):
        fit(tmp_path, validate=lambda model: {"mse": math.nan})


def test_an_unknown_metric_is_refused_before_the_first_step(tmp_path):
    with pytest.raises(RecipeError, match="no metric 'wql'; it gives mse"):
        fit(tmp_path, select_by="wql")


def test_patience_stops_a_run_that_no_longer_improves(tmp_path):
    run = fit(tmp_path, steps=100, patience=2, eval_every=1, validate=metric_by_visit([5, 4, 3, 6, 7, 0]))
    assert [row["step"] for row in run.history] == [0, 1, 2, 3, 4]
    assert run.best["step"] == 2


def test_a_finished_run_is_not_trained_again(tmp_path):
    first = fit(tmp_path)

    def never(*_):
        raise AssertionError("called")

    again = fit(tmp_path, losses=never, validate=never)
    assert same_weights(again.student, first.student)
    assert (again.history, again.losses, again.best) == (first.history, first.losses, first.best)


def test_other_settings_in_the_same_folder_are_refused_by_name(tmp_path):
    fit(tmp_path)
    with pytest.raises(RecipeError, match=r"other settings \(learning_rate\)"):
        fit(tmp_path, learning_rate=0.01)


def test_another_model_in_the_same_folder_is_refused(tmp_path):
    fit(tmp_path)
    with pytest.raises(ModelError, match="another model"):
        fit(tmp_path, tiny.Net())


def test_workers_and_the_rhythm_of_saves_and_logs_change_no_weight(tmp_path):
    plain = tiny.trainer(tmp_path / "plain", "rows")
    other = tiny.trainer(tmp_path / "other", "rows", workers=2, save_every=5, log_every=1)
    plain.train()
    other.train()
    assert same_weights(plain.student, other.student)


@pytest.mark.parametrize("kind", tiny.DATA)
def test_how_often_a_run_is_validated_changes_no_weight(kind, tmp_path):
    runs = [tiny.trainer(tmp_path / str(every), kind, eval_every=every, steps=6) for every in (1, 6)]
    for run in runs:
        run.train()
    last = [torch.load(run.folder / "checkpoint-6" / "weights.pt")["weights"] for run in runs]
    assert all(torch.equal(last[0][name], last[1][name]) for name in last[0])


def test_a_torn_checkpoint_of_another_program_is_passed_over(tmp_path):
    whole = tiny.trainer(tmp_path / "whole")
    whole.train()
    torn = tmp_path / "torn" / "checkpoint-999"
    torn.mkdir(parents=True)
    (torn / "model.safetensors").write_bytes(b"half of")
    beside = tiny.trainer(tmp_path / "torn")
    beside.train()
    assert same_weights(beside.student, whole.student)
    assert torn.is_dir()


@pytest.mark.parametrize(
    "damage", [lambda file: file.write_bytes(file.read_bytes()[:-9]), Path.unlink], ids=["cut", "lost"]
)
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(damage, tmp_path):
    first = tiny.trainer(tmp_path)
    first.train()
    damage(tmp_path / "checkpoint-12" / "optimizer.pt")
    again = tiny.trainer(tmp_path)
    again.train()
    assert again._start in {9, 10}
    assert same_weights(again.student, first.student)
    assert again.history == first.history


def test_only_checkpoints_that_are_needed_stay(tmp_path):
    fit(tmp_path, eval_every=2, save_every=1, validate=metric_by_visit([5, 1, 4, 3, 2, 6]))
    assert checkpoints.steps(tmp_path) == [10, 9, 2]
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint-10",
        "checkpoint-9",
        "checkpoint-2",
        "history.json",
    }


def test_nothing_is_written_outside_the_folder(tmp_path, monkeypatch):
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    fit(tmp_path / "run")
    assert list(here.iterdir()) == []


def test_each_named_loss_is_logged_and_the_weighted_sum_is_trained(tmp_path):
    def losses(model, batch, teacher):
        difference = model(batch["x"]) - batch["y"]
        return {"square": difference.square().mean(), "absolute": difference.abs().mean()}

    run = fit(tmp_path, losses=losses, weights={"square": 0.5, "absolute": 2.0}, log_every=5, learning_rate=1e-9)
    assert [row["step"] for row in run.losses] == [5, 10]
    for first, row in zip((0, 5), run.losses, strict=True):
        model = Linear()
        with torch.no_grad():
            named = [losses(model, Fixed()[index], None) for index in range(first, first + 5)]
        assert row["square"] == pytest.approx(float(sum(one["square"] for one in named)) / 5, rel=1e-4)
        assert row["absolute"] == pytest.approx(float(sum(one["absolute"] for one in named)) / 5, rel=1e-4)
        assert row["loss"] == pytest.approx(0.5 * row["square"] + 2.0 * row["absolute"])
    assert json.loads((tmp_path / "history.json").read_text())["losses"] == run.losses


def test_the_teacher_is_frozen_and_not_saved(tmp_path):
    teacher = tiny.Net().train()
    before = copy.deepcopy(teacher.state_dict())

    def losses(model, batch, teacher):
        assert not teacher.training
        return {"match": (model(batch["x"]) - teacher(batch["x"])).square().mean()}

    run = fit(tmp_path, losses=losses, teacher=teacher, steps=20)
    assert not any(parameter.requires_grad for parameter in teacher.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in teacher.state_dict().items())
    saved = torch.load(tmp_path / "checkpoint-20" / "weights.pt")["weights"]
    assert saved.keys() == {"layer.weight", "layer.bias"}
    assert run.losses[-1]["loss"] < run.losses[0]["loss"] or len(run.losses) == 1


def test_a_teacher_that_shares_weights_with_the_student_is_refused(tmp_path):
    model = Linear()
    with pytest.raises(RecipeError, match="shares weights"):
        fit(tmp_path, model, teacher=nn.Sequential(model.layer))


def test_the_average_of_the_weights_is_what_is_validated_and_kept(tmp_path):
    validated, live = [], []

    def losses(model, batch, teacher):
        live.append(model.layer.weight.detach().clone())
        return tiny.mse(model, batch)

    def validate(model):
        validated.append(model.layer.weight.detach().clone())
        return {"mse": -float(len(validated))}

    run = fit(tmp_path, losses=losses, validate=validate, ema=0.5, steps=6, eval_every=1)
    average = live[0]
    for step, weight in enumerate(live[1:]):
        decay = min(0.5, (1 + step) / (10 + step))
        average = decay * average + (1 - decay) * weight
        torch.testing.assert_close(validated[step + 1], average)
    assert torch.equal(run.student.layer.weight, validated[-1])


def test_bf16_computes_in_half_precision_and_keeps_the_weights_whole(tmp_path):
    seen = set()

    def losses(model, batch, teacher):
        output = model(batch["x"])
        seen.add(output.dtype)
        return {"mse": (output.float() - batch["y"]).square().mean()}

    def validate(model):
        assert model(tiny.HELD_OUT).dtype == torch.float32
        return tiny.validate(model)

    run = fit(tmp_path, losses=losses, validate=validate, precision="bf16", steps=40)
    assert seen == {torch.bfloat16}
    assert {parameter.dtype for parameter in run.student.parameters()} == {torch.float32}
    assert run.best["mse"] < 0.5 * run.history[0]["mse"]


def test_a_pretrained_model_keeps_its_config(tmp_path):
    from transformers import T5Config, T5ForConditionalGeneration

    config = T5Config(vocab_size=11, d_model=16, d_kv=4, d_ff=16, num_layers=1, num_heads=2, decoder_start_token_id=0)
    model = T5ForConditionalGeneration(config)
    before = model.config.to_dict()

    class Tokens(Batches):
        def __getitem__(self, index):
            return {"input_ids": torch.full((2, 3), index % 11), "labels": torch.full((2, 3), (index + 1) % 11)}

    def losses(model, batch, teacher):
        assert not model.config.use_cache
        return {"token": model(**batch).loss}

    fit(tmp_path, model, losses=losses, data=Tokens(), validate=metric_by_visit([3, 2, 1]))
    assert model.config.to_dict() == before


@pytest.mark.parametrize("method", ["lora", "adalora"])
def test_an_adapter_is_saved_alone_and_resumes_exactly(method, tmp_path):
    from transformers import LlamaConfig, LlamaForCausalLM

    from stillroom.core.adapters import AdapterSpec, Architecture, attach

    def adapted():
        torch.manual_seed(0)
        sizes = {"hidden_size": 16, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
        base = LlamaForCausalLM(LlamaConfig(vocab_size=11, **sizes))
        architecture = Architecture(name="Llama", target_modules=("q_proj", "v_proj"), task_type="CAUSAL_LM")
        return attach(base, AdapterSpec(method=method, rank=2, dropout=0.2), architecture, total_steps=10)

    class Tokens(Batches):
        def __getitem__(self, index):
            tokens = torch.randint(11, (2, 6), generator=torch.Generator().manual_seed(index))
            return {"input_ids": tokens, "labels": tokens}

    options = {
        "losses": lambda model, batch, teacher: {"token": model(**batch).loss},
        "data": Tokens(),
        "eval_every": 2,
    }

    def falling(model):
        return {"mse": -float(model.state_dict()[next(n for n in model.state_dict() if "lora_B" in n)].abs().sum())}

    whole = fit(tmp_path / "whole", adapted(), validate=falling, **options)
    saved = torch.load(tmp_path / "whole" / "checkpoint-10" / "weights.pt")["weights"]
    assert saved
    assert all("lora_" in name for name in saved)

    class Stopped(Exception):
        pass

    def stopping(model):
        if stopping.visits == 3:
            raise Stopped
        stopping.visits += 1
        return falling(model)

    stopping.visits = 0
    with pytest.raises(Stopped):
        fit(tmp_path / "resumed", adapted(), validate=stopping, **options)
    resumed = fit(tmp_path / "resumed", adapted(), validate=falling, **options)
    assert resumed._start == 4
    assert same_weights(resumed.student, whole.student)
    assert resumed.history == whole.history
    if method == "adalora":
        ranks = [run.student.peft_config["default"].rank_pattern for run in (resumed, whole)]
        assert ranks[0] == ranks[1]
        assert not all(kept for pattern in ranks[0].values() for kept in pattern)


def test_an_interrupted_run_goes_on_when_train_is_called_again(tmp_path):
    whole = tiny.trainer(tmp_path / "whole", "rows")
    whole.train()
    run = tiny.trainer(tmp_path / "run", "rows")
    validate, visits = run._validate, []

    def interrupted(model):
        visits.append(1)
        if len(visits) in (1, 4):  # before anything is saved, and midway
            raise KeyboardInterrupt
        return validate(model)

    run._validate = interrupted
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            run.train()
    run.train()
    assert same_weights(run.student, whole.student)
    assert (run.history, run.losses) == (whole.history, whole.losses)


def test_a_run_that_is_watched_shows_each_validation(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("stillroom.core.trainer.DELAY", -1.0)
    fit(tmp_path, validate=metric_by_visit([3.0, 1.0, 2.0]), log_every=5)
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("step")]
    assert said[0] == "step 0: mse 3 (the best so far)"
    assert said[1].startswith("step 5: mse 1 (the best so far), loss ")
    assert said[2].startswith("step 10: mse 2 (best 1), loss ")


def test_nothing_is_printed_but_progress(tmp_path, capfd):
    fit(tmp_path)
    out, err = capfd.readouterr()
    assert out == ""
    assert all(line.startswith(("training: ", "step ")) for line in err.splitlines())


def test_settings_with_an_unknown_name_are_refused():
    with pytest.raises(ValueError, match="learning_rat"):
        settings(learning_rat=0.1)


def test_a_copied_folder_resumes_like_the_original(tmp_path):
    first = tiny.trainer(tmp_path / "first")
    first.train()
    shutil.copytree(tmp_path / "first", tmp_path / "second")
    shutil.rmtree(tmp_path / "second" / "checkpoint-12")
    second = tiny.trainer(tmp_path / "second")
    second.train()
    assert same_weights(second.student, first.student)
