"""Compressors by name: what is claimed from a config alone, and what a name that a user writes leads to."""

from __future__ import annotations

import json

import pytest

from stillroom.core import registry
from stillroom.core.errors import ModelError
from stillroom.core.registry import resolve_model
from stillroom.prompts import Compressor, family


@pytest.mark.parametrize(
    ("config", "ours"),
    [
        ({"architectures": ["BertForTokenClassification"]}, True),
        ({"architectures": ["ModernBertForTokenClassification"], "id2label": {"0": "a", "1": "b"}}, True),
        ({"architectures": ["BertForTokenClassification"], "id2label": {"0": "a", "1": "b", "2": "c"}}, False),
        ({"architectures": ["BertForSequenceClassification"]}, False),
        ({"chronos_config": {}}, False),
        ({"architectures": None}, False),
        ([], False),
    ],
)
def test_a_folder_is_claimed_by_its_config(config, ours, tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert family.claims(str(tmp_path)) == ours


def test_what_has_no_config_is_claimed_by_its_name_if_at_all(tmp_path):
    assert not family.claims(str(tmp_path))
    assert not family.claims("no such thing")
    assert not family.claims("somebody/encoder")
    assert family.claims("microsoft/llmlingua-2-xlm-roberta-large-meetingbank")


def test_the_registry_leads_from_a_folder_to_a_compressor(models):
    for name in (str(models["xlm-roberta"]), f"prompts:{models['xlm-roberta']}"):
        assert isinstance(resolve_model(name).load(), Compressor)
        assert isinstance(family.find(name), Compressor)


def test_names_that_lead_to_no_compressor_are_sentences(tmp_path):
    for name, sentence in {
        "seasonal": "there is no model 'seasonal'",
        "first-k": "'first-k' is no compressor",
        str(tmp_path): "cannot be loaded as a token classifier",
    }.items():
        with pytest.raises(ModelError, match=sentence):
            family.find(name)


def test_the_mini_is_named_where_it_or_its_weights_are_missing(monkeypatch, tmp_path):
    for known in (["first-k"], ["compressor"]):
        monkeypatch.setattr(registry, "names", lambda group, known=known: known)
        monkeypatch.setattr(registry, "get", lambda group, name: tmp_path)
        with pytest.raises(ModelError, match=r"the mini 'compressor' is not here: .* or name another model"):
            family.find()
