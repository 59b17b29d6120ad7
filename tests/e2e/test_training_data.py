"""From documents to a compressor's training data, by the commands of two packages that meet in files alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from stillroom.core.tables import rows as read
from stillroom.teacher.testing import Script, ScriptedServer, echo

SENTENCES = "The committee of the town met on Monday and it agreed to pay 1,250 dollars for the old bridge. "


def deleting(body: dict) -> str:
    """A teacher that leaves out what is short."""
    asked = echo(body).rpartition("following text: \n")[2].partition("\nThe compressed text is:")[0]
    return " ".join(word for word in asked.split() if len(word) > 3 or word[0].isdigit())


def stillroom(*arguments: object) -> str:
    command = [str(Path(sys.executable).with_name("stillroom")), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=300, env=os.environ | {"OPENAI_API_KEY": "sk-any"}
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_documents_are_asked_about_and_the_answers_are_aligned(tmp_path):
    documents, asked, prompt = (tmp_path / name for name in ("documents.jsonl", "asked.jsonl", "prompt.yaml"))
    documents.write_text("".join(json.dumps({"text": f"Report {n}. " + SENTENCES * 3}) + "\n" for n in range(12)))
    stillroom("prompts", "requests", documents, "--out", asked, "--prompt", prompt)
    with ScriptedServer(Script(answer=deleting)) as server:
        stillroom(
            "teacher", "label", asked, "--prompt", prompt, "--model", "m", "--base-url", server.base_url,
            "--input-usd", 1, "--output-usd", 1, "--max-tokens", 512, "--budget-usd", 1,
            "--store", tmp_path / "s.sqlite", "--out", tmp_path / "labels.parquet",
        )  # fmt: skip
    stillroom("prompts", "align", tmp_path / "labels.parquet", "--out", tmp_path / "train.jsonl")
    found = list(read(tmp_path / "train.jsonl"))
    assert len(found) == 12
    one = found[0]
    kept = {one["text"][a:b] for a, b, keep in zip(one["start"], one["end"], one["keep"], strict=True) if keep}
    assert {"committee", "Monday", "1,250", "bridge"} <= kept
    assert not {"of", "the", "it", "to"} & kept
