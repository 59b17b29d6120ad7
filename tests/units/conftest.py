"""Tiny networks with random weights, and a few series: what a model knows is of no matter to how it is asked."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

SIZES = {
    "patch_size": 4,
    "d_model": 16,
    "num_layers": 2,
    "num_heads": 2,
    "d_ff": 24,
    "prompt_tokens": 3,
    "operator_size": 5,
    "max_length": 128,
}
TASKS = {"forecast": None, "impute": None, "detect": None, "gestures": ["left", "right", "still"]}


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def make(seed: int = 0, **changed):
    """A network whose heads say something, which those of a fresh one hardly do."""
    from stillroom.units.config import UnitsConfig
    from stillroom.units.model import UnitsModel

    torch.manual_seed(seed)
    model = UnitsModel(UnitsConfig(**(SIZES | {"tasks": TASKS} | changed))).eval()
    with torch.no_grad():
        for head in (model.value_head, model.quantile_head):
            for weight in head.parameters():
                weight.normal_(std=0.3)
    return model.requires_grad_(False)


@pytest.fixture(scope="session")
def make_network():
    return make


@pytest.fixture(scope="session")
def network():
    """One network for all tests; `unchanged` proves that none of them moves its weights."""
    return make()


@pytest.fixture(scope="session", autouse=True)
def unchanged(network):
    before = copy.deepcopy(network.state_dict())
    tasks = copy.deepcopy(network.config.tasks)
    yield
    assert network.config.tasks == tasks
    assert all(torch.equal(before[name], weight) for name, weight in network.state_dict().items())


@pytest.fixture
def units(network):
    from stillroom.units.units import Units

    return Units(network)


@pytest.fixture(scope="session")
def folder(network, tmp_path_factory) -> Path:
    where = tmp_path_factory.mktemp("units") / "tiny"
    network.save_pretrained(where)
    return where


def walk(seed: int, variables: int, steps: int, missing: float = 0.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(variables, steps)).cumsum(axis=1) + 50
    values[rng.random(values.shape) < missing] = np.nan
    return values


@pytest.fixture(scope="session")
def make_walk():
    return walk


def shapes(count: int, steps: int, seed: int = 0, variables: int = 1) -> tuple[list[np.ndarray], np.ndarray]:
    """Series of two classes that anybody can tell apart: slow waves and fast ones."""
    rng = np.random.default_rng(seed)
    labels = np.array(["fast", "slow"])[np.arange(count) % 2]
    time = np.arange(steps)
    series = [
        np.stack(
            [
                np.sin(time * (1.6 if label == "fast" else 0.3) + rng.uniform(0, 6)) + 0.1 * rng.normal(size=steps)
                for _ in range(variables)
            ]
        )
        for label in labels
    ]
    return series, labels


@pytest.fixture(scope="session")
def make_shapes():
    return shapes


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    """Three daily items of unequal lengths (60, 30 and 5 steps), with a second column, a few values missing."""
    parts = []
    for number, (name, length) in enumerate((("a", 60), ("b", 30), ("c", 5))):
        values, other = walk(number, 2, length)
        values[length // 2] = np.nan
        days = pd.date_range("2024-01-01", periods=length, freq="D")
        parts.append(pd.DataFrame({"item_id": name, "timestamp": days, "target": values, "other": other}))
    return pd.concat(parts, ignore_index=True)
