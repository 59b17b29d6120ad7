"""Classifiers learn from hard and soft labels, and choose the same class whatever is in the batch."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch.nn import functional

from stillroom.core.adapters import AdapterSpec
from stillroom.core.errors import DataError, ModelError
from stillroom.core.settings import TrainSettings
from stillroom.core.trainer import DistillTrainer
from stillroom.language.classifier import losses, predict
from stillroom.language.generation import padded
from stillroom.language.students import load

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))
PROMPTS = small.prompts(20)


@pytest.fixture(scope="module", params=["bert", "llama-classifier"])
def student(request, tmp_path_factory):
    return load(small.saved(request.param, tmp_path_factory.mktemp("models")))


def alone(student) -> np.ndarray:
    found = []
    for prompt in PROMPTS:
        with torch.no_grad():
            found.append(student.model(input_ids=torch.tensor([prompt])).logits[0].softmax(-1).numpy())
    return np.stack(found)


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_a_text_has_the_same_probabilities_in_any_batch(student, budget):
    found = predict(student, PROMPTS, batch_tokens=budget)
    assert found.probabilities == pytest.approx(alone(student), abs=1e-5)
    assert found.classes == [student.classes[number] for number in alone(student).argmax(-1)]
    assert len(set(found.classes)) > 1


def test_texts_and_their_tokens_are_the_same(student):
    texts = ["he is in the garden.", "we wrote a letter"]
    ids = [student.tokenizer(text).input_ids for text in texts]
    assert np.array_equal(predict(student, texts).probabilities, predict(student, ids).probabilities)
    assert predict(student, []).classes == []


def test_losses_are_cross_entropies_reference(student):
    ids, mask = padded(PROMPTS[:4], student.tokenizer.pad_token_id)
    batch = {"input_ids": ids, "attention_mask": mask}
    with torch.no_grad():
        logits = student.model(**batch).logits
        hard, soft = torch.tensor([0, 2, 1, 1]), torch.rand(4, 3).softmax(-1)
        for labels in (hard, soft):
            found = losses(student.model, {**batch, "labels": labels})
            assert found.keys() == {"labels"}
            assert found["labels"].item() == pytest.approx(functional.cross_entropy(logits, labels).item(), abs=1e-6)


def test_a_language_model_is_no_classifier_and_a_text_must_fit(student, llama):
    with pytest.raises(ModelError, match="is no classifier"):
        predict(load(llama), PROMPTS)
    with pytest.raises(DataError, match="text 1 has 400 tokens and the model reads 128"):
        predict(student, [PROMPTS[0], [7] * 400])
    with pytest.raises(DataError, match="prompt 0 has no tokens"):
        predict(student, [[]])


def test_a_student_learns_soft_labels_in_the_cores_trainer(llama, tmp_path):
    student = load(llama, adapter=AdapterSpec(method="lora"), classes=["even", "odd"])
    rows = [{"input_ids": [20 + n % 2, 30 + n % 7], "label": [0.1, 0.9] if n % 2 else [0.9, 0.1]} for n in range(32)]

    def collate(few):
        ids, mask = padded([row["input_ids"] for row in few], student.tokenizer.pad_token_id)
        return {"input_ids": ids, "attention_mask": mask, "labels": torch.tensor([row["label"] for row in few])}

    def validate(model):
        with torch.no_grad():
            return {"loss": float(losses(model, collate(rows))["labels"])}

    settings = TrainSettings(steps=40, learning_rate=0.02, batch_size=16, select_by="loss", eval_every=20)
    trainer = DistillTrainer(
        student.model, losses, settings, tmp_path, train_data=rows, validate=validate, collate=collate
    )
    trainer.train()
    entropy = -(0.1 * np.log(0.1) + 0.9 * np.log(0.9))
    assert trainer.best["loss"] == pytest.approx(entropy, abs=0.03)
    found = predict(student, [row["input_ids"] for row in rows])
    assert found.classes == ["odd" if number % 2 else "even" for number in range(32)]
    assert found.probabilities.max(-1) == pytest.approx(0.9, abs=0.1)
