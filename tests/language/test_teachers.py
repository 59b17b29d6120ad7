"""A teacher says the same whatever its student does, and never learns."""

from __future__ import annotations

import pytest
import torch

from stillroom.core.errors import ModelError, RecipeError
from stillroom.core.lesson import Lesson, frozen
from stillroom.language.losses import losses_for
from stillroom.language.objective import Objective
from stillroom.language.scratch import Shape, network, vocabulary
from stillroom.language.teachers import LanguageTeacher

SHAPE = Shape(
    vocab_size=280, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
    max_position_embeddings=64,
)  # fmt: skip
TEXTS = ["the cat sat on the mat", "the dog sat on the log"] * 4


@pytest.fixture(scope="module")
def tokenizer():
    return vocabulary(TEXTS, SHAPE)


@pytest.fixture(scope="module")
def folder(tokenizer, tmp_path_factory):
    folder = tmp_path_factory.mktemp("teacher")
    network(SHAPE, tokenizer, seed=1).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def batch(tokenizer):
    prompt, answer = tokenizer("the cat").input_ids, [*tokenizer(" sat on").input_ids, tokenizer.eos_token_id]
    ids, labels = torch.tensor([prompt + answer]), torch.tensor([[-100] * len(prompt) + answer])
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}


def test_a_folder_teaches_at_the_answer_tokens(folder, tokenizer, batch):
    from transformers import AutoModelForCausalLM

    teacher = LanguageTeacher.load(str(folder), tokenizer)
    whole = AutoModelForCausalLM.from_pretrained(folder)(input_ids=batch["input_ids"]).logits[0, :-1]
    wanted = whole[batch["labels"][0, 1:] != -100]
    torch.testing.assert_close(teacher.logits(batch), wanted)
    assert not teacher.logits(batch).requires_grad
    assert teacher.positions == 64


def test_a_teacher_of_other_tokens_is_refused_before_its_weights_are_read(folder, batch):
    (folder / "model.safetensors").rename(folder / "aside")
    try:
        with pytest.raises(ModelError, match="different tokens"):
            LanguageTeacher.load(str(folder), vocabulary(["zzz qqq xxx"] * 9, SHAPE))
    finally:
        (folder / "aside").rename(folder / "model.safetensors")


def test_a_classifier_cannot_teach_tokens(tokenizer, tmp_path):
    from transformers import LlamaConfig, LlamaForSequenceClassification

    sizes = SHAPE.model_dump(exclude={"vocab_size"})
    config = LlamaConfig(**sizes, vocab_size=len(tokenizer), pad_token_id=tokenizer.pad_token_id, num_labels=3)
    LlamaForSequenceClassification(config).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="classifier"):
        LanguageTeacher.load(str(tmp_path), tokenizer)


def test_half_precision_is_a_choice(folder, tokenizer, batch):
    full, half = (LanguageTeacher.load(str(folder), tokenizer, precision=name) for name in ("fp32", "bf16"))
    assert next(half.parameters()).dtype == torch.bfloat16
    torch.testing.assert_close(half.logits(batch).float(), full.logits(batch), rtol=0.1, atol=0.05)


def test_it_says_the_same_to_a_student_in_half_precision(folder, tokenizer, batch):
    teacher = LanguageTeacher.load(str(folder), tokenizer)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(teacher.logits(batch), LanguageTeacher.load(str(folder), tokenizer).logits(batch))
        assert teacher.logits(batch).dtype == torch.float32


def test_its_logits_are_cut_to_the_tokens_that_the_student_has(tokenizer, batch):
    model = network(SHAPE, tokenizer, seed=1)
    teacher = LanguageTeacher(model, tokenizer, "causal", shared=270)
    assert teacher.logits(batch).shape == (len(batch["labels"][batch["labels"] != -100]), 270)


def test_a_fingerprint_is_of_the_weights_wherever_they_lie(folder, tokenizer, tmp_path):
    first = LanguageTeacher.load(str(folder), tokenizer)
    first.model.save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    assert LanguageTeacher.load(str(tmp_path), tokenizer).fingerprint == first.fingerprint
    moved = LanguageTeacher.load(str(tmp_path), tokenizer)
    with torch.no_grad():
        next(moved.model.parameters())[0, 0] += 1
    assert moved.fingerprint != first.fingerprint
    assert LanguageTeacher.load(str(tmp_path), tokenizer, precision="bf16").fingerprint != first.fingerprint


def test_the_trainer_keeps_a_teacher_as_it_is(folder, tokenizer, batch):
    objective = Objective(name="forward_kl", teacher={"model": "t"})
    teacher, student = LanguageTeacher.load(str(folder), tokenizer), network(SHAPE, tokenizer, seed=2)
    assert frozen(teacher, student, torch.device("cpu")) is teacher
    lesson = Lesson(student, losses_for(objective, "causal"), teacher, device="cpu", precision="fp32")
    lesson.train()
    lesson(batch)["teacher"].backward()
    assert not teacher.model.training
    assert all(parameter.grad is None for parameter in teacher.parameters())
    assert all(parameter.grad is not None for parameter in student.parameters())


def test_a_teacher_cannot_be_its_own_student(tokenizer):
    model = network(SHAPE, tokenizer, seed=1)
    with pytest.raises(RecipeError, match="shares weights"):
        frozen(LanguageTeacher(model, tokenizer, "causal"), model, torch.device("cpu"))
