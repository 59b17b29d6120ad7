import json

import pytest

from stillroom.core.folders import HUB_ID, cached_config, record


@pytest.mark.parametrize("content", [b"", b"[1]", b"{", b"\xff\xfe", b'"text"'])
def test_what_is_no_json_object_says_nothing(content, tmp_path):
    (tmp_path / "config.json").write_bytes(content)
    assert record(tmp_path / "config.json") == {}
    assert record(tmp_path / "nowhere.json") == {}
    assert record(tmp_path) == {}


def test_an_object_is_returned(tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "Ü"}', encoding="utf-8")
    assert record(tmp_path / "config.json") == {"model_type": "Ü"}


def test_a_hub_id_is_known_from_the_cache_alone(tmp_path, monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    assert cached_config("owner/name") is None
    commit = "0" * 40
    repository = tmp_path / "models--owner--name"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(commit)
    (repository / "snapshots" / commit).mkdir(parents=True)
    (repository / "snapshots" / commit / "config.json").write_text(json.dumps({"model_type": "t5"}))
    assert cached_config("owner/name") == {"model_type": "t5"}


def test_a_hub_id_has_an_owner_and_a_name():
    assert all(map(HUB_ID.fullmatch, ("amazon/chronos-2", "a/b.c_d")))
    assert not any(map(HUB_ID.fullmatch, ("chronos", "a/b/c", "/a", "../a", "a/")))
