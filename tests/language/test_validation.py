"""The loss on the rows that choose, beside transformers' own."""

from __future__ import annotations

import json
import math
import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from torch.nn import functional

from stillroom.core.adapters import AdapterSpec
from stillroom.language.distill import distill
from stillroom.language.encoding import encode
from stillroom.language.recipe import DistillRecipe
from stillroom.language.rows import Row
from stillroom.language.students import load
from stillroom.language.validation import cross_entropy

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_tokenizers.py"))))

ROWS = [Row(f"{'ab' * n} {n}", answer="x" * (n + 1)) for n in range(7)]


def recipe(**changes):
    values = {"student": "none", "data": [{"path": "none"}], "prompt": {"form": "plain"}, "train": {"steps": 1}}
    return DistillRecipe.of({**values, **changes})


def by_hand(student, rows, wanted):
    """Each row alone, by the loss that transformers computes, weighted by the tokens of its answer."""
    encoded, _ = encode(rows, student.tokenizer, wanted.prompt, 10_000)
    total = count = 0.0
    for one in encoded:
        labels = [-100] * len(one.prompt) + list(one.answer)
        loss = student.model(input_ids=torch.tensor([one.input_ids]), labels=torch.tensor([labels])).loss
        total, count = total + float(loss) * len(one.answer), count + len(one.answer)
    return total / count


@torch.no_grad()
def test_it_is_the_mean_over_answer_tokens_reference(llama):
    student = load(llama)
    assert cross_entropy(recipe(), student, ROWS) == pytest.approx(by_hand(student, ROWS, recipe()), rel=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("method", ["lora", "prompt"])
def test_an_adapter_is_seen_through(method, llama):
    student = load(llama, adapter=AdapterSpec(method=method))
    for parameter in student.model.parameters():
        if parameter.requires_grad:
            parameter.add_(0.1)
    ours = cross_entropy(recipe(), student, ROWS)
    assert ours == pytest.approx(by_hand(student, ROWS, recipe()), rel=1e-5)
    assert ours != pytest.approx(cross_entropy(recipe(), load(llama), ROWS), rel=1e-3)


def test_rows_that_are_too_long_do_not_count_and_none_is_no_number(llama):
    student = load(llama)
    encoded, _ = encode(ROWS, student.tokenizer, recipe().prompt, 10_000)
    longest = max(map(len, encoded))
    shorter = [row for row, one in zip(ROWS, encoded, strict=True) if len(one) < longest]
    assert len(shorter) < len(ROWS)
    wanted = cross_entropy(recipe(), student, shorter)
    assert cross_entropy(recipe(max_tokens=longest - 1), student, ROWS) == pytest.approx(wanted)
    assert math.isnan(cross_entropy(recipe(max_tokens=1), student, ROWS))


def test_the_model_stays_in_its_mode(llama):
    student = load(llama)
    student.model.train()
    cross_entropy(recipe(), student, ROWS)
    assert student.model.training


def test_an_encoder_decoder_is_judged_by_its_answers():
    from transformers import T5Config, T5ForConditionalGeneration

    from stillroom.language.architectures import T5
    from stillroom.language.students import Student

    tokenizer = small.made(around="end")
    torch.manual_seed(0)
    config = T5Config(
        vocab_size=len(tokenizer), d_model=32, d_ff=64, d_kv=16, num_layers=2, num_heads=2, pad_token_id=0,
        decoder_start_token_id=0, eos_token_id=2, dropout_rate=0.0,
    )  # fmt: skip
    student = Student(T5ForConditionalGeneration(config).eval(), tokenizer, "seq2seq", T5, "small")
    encoded, _ = encode(ROWS, tokenizer, recipe().prompt, 10_000, kind="seq2seq")
    total = count = 0.0
    with torch.no_grad():
        for one in encoded:
            ids, labels = torch.tensor([list(one.prompt)]), torch.tensor([list(one.answer)])
            total += float(student.model(input_ids=ids, labels=labels).loss) * len(one.answer)
            count += len(one.answer)
    assert cross_entropy(recipe(), student, ROWS) == pytest.approx(total / count, rel=1e-5)


def test_a_classifier_is_judged_by_rows_soft_or_hard(llama):
    student = load(llama, classes=["x", "y"])
    rows = [Row("a", answer="x"), Row("ab", answer="y", soft_targets={"x": 0.25, "y": 0.75}), Row("ba", answer="y")]
    prompts = [list(one.prompt) for one in encode(rows, student.tokenizer, recipe().prompt, 99, kind="classifier",
                                                  classes=student.classes)[0]]  # fmt: skip
    with torch.no_grad():
        logits = torch.cat([student.model(input_ids=torch.tensor([ids])).logits for ids in prompts])
    wanted = functional.cross_entropy(logits, torch.tensor([[1.0, 0.0], [0.25, 0.75], [0.0, 1.0]]))
    assert cross_entropy(recipe(), student, rows) == pytest.approx(float(wanted), rel=1e-5)


def test_a_training_keeps_the_loss_of_every_validation_and_the_best_has_it(llama, labels, tmp_path):
    done = distill(
        {
            "student": str(llama), "data": [{"path": str(labels)}], "prompt": {"form": "plain"},
            "adapter": {"method": "full"}, "split": {"choose": 0.2, "judge": 0.2}, "max_new_tokens": 4,
            "train": {"steps": 30, "learning_rate": 2e-2, "batch_size": 16, "eval_every": 15},
        },
        tmp_path / "run",
    )  # fmt: skip
    history = json.loads((tmp_path / "run" / "checkpoints" / "history.json").read_text())["history"]
    assert history[0]["loss"] > 2 > history[-1]["loss"] > 0
    chosen = done.run.metrics["chosen_at"]
    assert chosen["loss"] == next(row["loss"] for row in history if row["step"] == chosen["step"])
