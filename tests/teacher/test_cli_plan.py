"""`stillroom teacher plan` as a command."""

from __future__ import annotations

import json

import pytest

from stillroom.core.cli import main
from stillroom.teacher.estimates import MIXED

from . import small_compressor

WORDS = "You are a careful reader who answers each question about a number after some thought and without any doubt. "


@pytest.fixture
def plan(tmp_path, monkeypatch, capsys):
    """Run the command in a folder with rows, a prompt of some 1,200 tokens and prices; returns code, stdout, stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")
    rows = [{"text": f"Is {number} even? " + "Think about it. " * 10} for number in range(200)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    prompt = {
        "instructions": " ".join([WORDS] * 48),
        "user": {"text": "{{ text }}", "compress": "auto"},
        "output": {"one_of": ["yes", "no"]},
        "max_tokens": 8,
    }
    (tmp_path / "prompt.yaml").write_text(json.dumps(prompt))
    own = {"models": {"m": {"input": 1, "cached_input": 0.1, "output": 4, "batch": 0.5, "cache_minimum": 1024}}}
    (tmp_path / "prices.yaml").write_text(json.dumps(own))

    def run(*arguments):
        with pytest.raises(SystemExit) as leaving:
            main(["teacher", "plan", "rows.jsonl", "--prompt", "prompt.yaml", "--model", "m", "--prices", "prices.yaml",
                  *arguments])  # fmt: skip
        said = capsys.readouterr()
        return leaving.value.code, said.out, said.err

    return run


def test_a_plan_needs_no_key_makes_no_store_and_shows_every_way(plan, tmp_path):
    code, shown, _ = plan()
    assert code == 0
    assert "200 calls for 200 rows" in shown
    assert "Tokens by stillroom-prompts' estimate" in shown
    assert "max_tokens, the most there can be" in shown
    for name in ("as is", "compressed", "cached prefix", "batch"):
        assert name in shown
    assert "the cheapest; after the first request the prefix comes from the cache" in shown
    assert "nothing is compressed" in shown
    assert not (tmp_path / "teacher.sqlite").exists()


def test_a_prefix_compressed_out_of_the_cache_is_told(plan, tmp_path):
    pytest.importorskip("stillroom.prompts")
    compressor = small_compressor.save(tmp_path / "small")
    code, said, _ = plan("--rate", "0.5", "--compressor", compressor, "--json", "--sample", "10")
    found = json.loads(said)
    ways = {one["name"]: one for one in found["plans"]}
    assert code == 0
    assert found["sampled"] == 10
    assert found["counts"]["prefix"] > 1024 > found["counts"]["compressed_prefix"]
    assert [name for name, one in ways.items() if one["cheapest"]] == [MIXED]
    assert "more than with the prefix left whole and cached" in ways["compressed"]["note"]
    assert ways["compressed + cached prefix"]["usd"] is None
    assert "prefixes are cached from 1,024 on" in ways["compressed + cached prefix"]["note"]
    assert ways[MIXED]["usd"] < ways["cached prefix"]["usd"] < ways["compressed"]["usd"] < ways["as is"]["usd"]


def test_what_is_wrong_is_said_in_a_sentence(plan):
    code, _, said = plan("--rate", "2")
    assert (code, said) == (2, "error: --rate 2: the share of tokens to keep is above 0 and at most 1\n")
    code, _, said = plan("--counter", "tiktoken:nothing")
    assert code == 2
    assert "tiktoken has no 'nothing'" in said
