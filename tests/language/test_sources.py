"""A name that a user writes is found, or a sentence says why not."""

from __future__ import annotations

import runpy
from pathlib import Path
from types import SimpleNamespace

import pytest

from stillroom.core import hub, registry
from stillroom.core.errors import MissingError, ModelError
from stillroom.language import sources
from stillroom.language.sources import find, quiet, tokenizer_of

small = SimpleNamespace(**runpy.run_path(str(Path(__file__).with_name("small_students.py"))))


@pytest.fixture
def minis(monkeypatch, tmp_path):
    """A registered mini, `toddler`, and a baseline without weights, `parrot`."""
    entries = {"toddler": small.saved("llama", tmp_path / "toddler"), "parrot": lambda: None}
    monkeypatch.setattr(registry, "names", lambda group: sorted(entries))
    monkeypatch.setattr(registry, "get", lambda group, name: entries[name])
    return entries


def test_a_mini_comes_before_a_folder_of_its_name(minis, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other").mkdir()
    assert find("toddler") == str(minis["toddler"])
    assert find("other") == "other"
    assert find(tmp_path / "other") == str(tmp_path / "other")
    assert find("someone/something") == "someone/something"


def test_what_is_nowhere_or_has_no_weights_is_refused(minis):
    with pytest.raises(ModelError, match=r"there is no model 'todler'.*did you mean 'toddler'"):
        find("todler")
    with pytest.raises(ModelError, match="'parrot' has no weights to learn with"):
        find("parrot")


def test_a_tokenizer_always_has_something_to_pad_with(llama, tmp_path):
    assert tokenizer_of(llama).pad_token == "<|pad|>"
    tokenizer = small.saved("llama", tmp_path) and tokenizer_of(tmp_path)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer_of(tmp_path).pad_token == "<|end|>"
    tokenizer.unk_token = "<|user|>"
    tokenizer.save_pretrained(tmp_path)
    assert tokenizer_of(tmp_path).pad_token == "<|user|>"
    tokenizer.unk_token = tokenizer.eos_token = None
    tokenizer.save_pretrained(tmp_path)
    with pytest.raises(ModelError, match="no token to pad with"):
        tokenizer_of(tmp_path)


def test_without_a_network_a_hub_id_is_missing_and_a_folder_is_wrong(monkeypatch, tmp_path):
    monkeypatch.setattr(hub, "answers", lambda: False)
    with pytest.raises(MissingError, match="nobody/nothing is no folder and not in the local cache"):
        tokenizer_of("nobody/nothing")
    with pytest.raises(ModelError, match=f"{tmp_path} cannot be loaded as a tokenizer: "):
        tokenizer_of(tmp_path)


def test_being_quiet_ends():
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled(), logging.get_verbosity()
    with pytest.raises(KeyError), quiet():
        raise KeyError
    assert (logging.is_progress_bar_enabled(), logging.get_verbosity()) == before


def test_what_libraries_raise_is_one_line():
    with (
        pytest.raises(ModelError, match=r"^x cannot be loaded as a model: first$"),
        sources.said_of("x", ".", "a model"),
    ):
        raise ValueError("first\nsecond")
