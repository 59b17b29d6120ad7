"""A tiny untrained Bolt, saved as the mini is, on tour in a temporary folder."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from stillroom.demo.tour import Tour


@pytest.fixture(scope="session", autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    from stillroom.chronos.scratch import BoltShape, bolt
    from stillroom.core.halves import save_pretrained

    shape = BoltShape(d_model=64, d_ff=64, num_heads=4, num_layers=1, context_length=64, prediction_length=16)
    folder = tmp_path_factory.mktemp("models") / "tiny"
    folder.mkdir()
    save_pretrained(bolt(shape), folder)
    return folder


@pytest.fixture
def tour(tiny, tmp_path) -> Tour:
    return Tour.of(str(tiny), tmp_path / "out")
