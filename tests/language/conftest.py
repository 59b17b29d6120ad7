"""What tests of language share: one thread, a tiny Llama on disk, and rows that a tiny student can learn."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from stillroom.language.scratch import Shape, network, vocabulary

TEXTS = ["we wrote a letter to them.", "they writes a letters to us.", "he is in the garden.", "garden the in is he."]
SHAPE = Shape(
    vocab_size=300,
    hidden_size=32,
    intermediate_size=64,
    num_hidden_layers=2,
    num_attention_heads=2,
    max_position_embeddings=256,
)


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def save_llama(folder: Path, seed: int = 0) -> Path:
    """Write a Llama of 25,000 parameters with a chat template, as transformers loads it."""
    tokenizer = vocabulary(TEXTS * 4, SHAPE)
    network(SHAPE, tokenizer, seed).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def llama(tmp_path_factory):
    """A folder with a tiny Llama; tests do not change it."""
    return save_llama(tmp_path_factory.mktemp("models") / "llama")


@pytest.fixture(scope="session")
def other_llama(tmp_path_factory):
    """Another one that writes in the same tokens."""
    return save_llama(tmp_path_factory.mktemp("models") / "other", seed=1)


@pytest.fixture
def labels(tmp_path):
    """A file of 200 rows whose answer is one of two letters, by the first letter of the input."""
    path = tmp_path / "labels.jsonl"
    rows = [
        {"input": f"{'ab'[number % 2]} {number}", "answer": "xy"[number % 2], "group": f"g{number % 3}"}
        for number in range(200)
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path
