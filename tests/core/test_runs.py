from __future__ import annotations

import json
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pydantic
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import CorruptError, DataError, RecipeError
from stillroom.core.runs import (
    REDACTED,
    Run,
    compare,
    new_folder,
    versions,
    without_secrets,
    write_atomic,
    writing_atomic,
)


class Student(pydantic.BaseModel):
    d_model: int
    access_token: str


RECIPE = {"student": {"d_model": 16}, "objective": ("pinball", "quantile_match"), "learning_rate": 1e-3}
DATA = {"train": "sha256:1"}


def test_a_run_reads_back_as_it_was_recorded(tmp_path):
    run = Run.create(tmp_path / "run", RECIPE, {"seed": 0}, DATA)
    run.record(metrics={"validation": {"WQL": np.float64(0.1)}}, cost={"train_seconds": 3.5})
    run.record(metrics={"judged": {"WQL": 0.2, "MASE": float("nan")}})
    back = Run.load(tmp_path / "run")
    assert back == run
    assert back.recipe == {**RECIPE, "objective": ["pinball", "quantile_match"]}
    assert back.metrics == {"validation": {"WQL": 0.1}, "judged": {"WQL": 0.2, "MASE": None}}
    assert (back.seeds, back.data, back.cost) == ({"seed": 0}, DATA, {"train_seconds": 3.5})


def test_run_json_names_the_versions_of_what_computed(tmp_path):
    Run.create(tmp_path, RECIPE, {"seed": 0})
    written = json.loads((tmp_path / "run.json").read_text())["versions"]
    assert written["python"] == ".".join(map(str, sys.version_info[:3]))
    assert written["numpy"] == np.__version__
    assert "stillroom-core" in written
    assert written == versions()


def test_the_same_recipe_takes_up_the_run_that_is_there(tmp_path):
    Run.create(tmp_path, RECIPE, {"seed": 0}, DATA).record(metrics={"WQL": 0.1})
    assert Run.create(tmp_path, RECIPE, {"seed": 0}, DATA).metrics == {"WQL": 0.1}


@pytest.mark.parametrize(
    ("recipe", "seeds", "data", "reason"),
    [
        ({**RECIPE, "learning_rate": 1e-4}, {"seed": 0}, DATA, "recipe.learning_rate is 0.001 and not 0.0001"),
        (RECIPE, {"seed": 1}, DATA, "seeds.seed is 0 and not 1"),
        (RECIPE, {"seed": 0}, {"train": "sha256:2"}, "data.train is 'sha256:1' and not 'sha256:2'"),
    ],
)
def test_another_recipe_does_not_overwrite_a_run(tmp_path, recipe, seeds, data, reason):
    Run.create(tmp_path, RECIPE, {"seed": 0}, DATA)
    with pytest.raises(RecipeError, match=reason):
        Run.create(tmp_path, recipe, seeds, data)


def test_a_folder_without_a_run_says_so(tmp_path):
    with pytest.raises(DataError, match="is not a run"):
        Run.load(tmp_path)


def test_a_run_cannot_be_made_where_a_file_is(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="choose another folder"):
        Run.create(tmp_path / "file", RECIPE, {"seed": 0})


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": 1}', '{"model_type": "t5"}', "\xff"])
def test_a_damaged_record_is_one_sentence(tmp_path, text):
    (tmp_path / "run.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(CorruptError, match=r"run\.json is"):
        Run.load(tmp_path)


def test_a_torn_record_is_found_out_wherever_it_ends(tmp_path):
    Run.create(tmp_path, RECIPE, {"seed": 0}, DATA)
    whole = (tmp_path / "run.json").read_bytes()
    for end in range(0, len(whole) - 2, 7):
        (tmp_path / "run.json").write_bytes(whole[:end])
        with pytest.raises(CorruptError):
            Run.load(tmp_path)


def test_a_record_of_a_newer_stillroom_asks_for_an_update(tmp_path):
    Run.create(tmp_path, RECIPE, {"seed": 0})
    record = json.loads((tmp_path / "run.json").read_text())
    (tmp_path / "run.json").write_text(json.dumps(record | {"format": 99, "novelty": 1}))
    with pytest.raises(DataError, match="newer Stillroom"):
        Run.load(tmp_path)


def test_runs_are_compared_by_what_differs_in_the_recipe_and_by_every_metric(tmp_path):
    first = Run.create(tmp_path / "a", RECIPE, {"seed": 0}, DATA)
    second = Run.create(tmp_path / "b", {**RECIPE, "student": {"d_model": 32, "layers": 2}}, {"seed": 0}, DATA)
    first.record(metrics={"test": {"WQL": 0.2, "MASE": 1.0}})
    second.record(metrics={"test": {"WQL": 0.1, "MASE": 1.0}})
    rows = {row.key: row.values for row in compare(first, second)}
    assert rows == {
        "recipe.student.d_model": (16, 32),
        "recipe.student.layers": (None, 2),
        "metrics.test.WQL": (0.2, 0.1),
        "metrics.test.MASE": (1.0, 1.0),
    }


def test_a_secret_of_a_recipe_is_in_no_file_of_the_run(tmp_path):
    secrets = {
        "api_key": "hunter-1",
        "teacher": {"OPENAI_API_KEY": "hunter-2", "headers": [{"Authorization": "Bearer hunter-3"}]},
        "hf_token": "hunter-4",
        "db-password": 5432105432,
        "clientSecret": {"value": "hunter-6"},
        "student": Student(d_model=16, access_token="hunter-9"),
    }
    run = Run.create(tmp_path, {**RECIPE, **secrets}, {"seed": 0})
    run.recipe["token"] = "hunter-7"
    run.record(metrics={"WQL": 0.1})
    run.write_card("A model", "It is small.", api_token="hunter-8")
    files = [file.read_text() for file in tmp_path.iterdir()]
    assert len(files) == 2
    for text in files:
        assert "hunter" not in text
        assert "5432105432" not in text
        assert REDACTED in text


@pytest.mark.parametrize(
    "plain",
    [
        {"virtual_tokens": 20, "max_tokens": 5, "tokenizer": "bpe", "tokens": ["a"]},
        {"pad_token": "<pad>", "eos-token": "</s>", "stop_token": "\n"},
        {"group_key": "item_id", "key": "a", "keys": ["a"], "monkey": "b", "api_key": None},
    ],
)
def test_what_only_sounds_like_a_secret_is_kept(plain):
    assert without_secrets(plain) == plain


def test_a_card_has_the_hubs_front_matter_and_the_whole_record(tmp_path):
    run = Run.create(tmp_path, RECIPE, {"seed": 7}, DATA)
    run.record(metrics={"test": {"WQL": 0.123456789, "n|a": "x|y"}}, cost={"train_seconds": 3})
    run.write_card("Tiny", "Learnt from rain.", license="apache-2.0", tags=["time-series"], base_model="amazon/big")
    _, front, body = (tmp_path / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {"license": "apache-2.0", "tags": ["time-series"], "base_model": "amazon/big"}
    assert body.startswith("\n# Tiny\n\nLearnt from rain.\n")
    assert "| test.WQL | 0.123457 |" in body
    assert r"| x\|y |" in body
    recipe, record = (yaml.safe_load(block.split("```")[0]) for block in body.split("```yaml\n")[1:])
    assert recipe == run.recipe
    assert record == {"seeds": {"seed": 7}, "data": DATA, "cost": {"train_seconds": 3}, "versions": run.versions}


def test_the_hub_library_reads_our_card_as_a_reference(tmp_path):
    cards = pytest.importorskip("huggingface_hub")
    run = Run.create(tmp_path, RECIPE, {"seed": 7}, DATA)
    run.write_card("Tiny", "Learnt from rain.", license="apache-2.0", pipeline_tag="time-series-forecasting")
    card = cards.ModelCard.load(tmp_path / "README.md")
    assert card.data.license == "apache-2.0"
    assert card.data.pipeline_tag == "time-series-forecasting"


@settings(deadline=None, max_examples=30)
@given(st.binary() | st.text(st.characters(codec="utf-8")))
def test_an_atomic_write_writes_what_it_was_given(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("atomic") / "new" / "file"
    write_atomic(path, b"what was there before")
    write_atomic(path, content)
    assert path.read_bytes() == (content.encode() if isinstance(content, str) else content)
    assert [file.name for file in path.parent.iterdir()] == ["file"]


def test_a_failed_atomic_write_leaves_the_old_file_and_no_litter(tmp_path):
    (tmp_path / "file").mkdir()
    with pytest.raises(IsADirectoryError):
        write_atomic(tmp_path / "file", b"new")
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


def test_a_file_that_is_written_in_pieces_takes_its_place_only_at_the_end(tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with pytest.raises(TypeError), writing_atomic(path) as file:
        file.writelines([b"half of the new", None])
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"old")]
    with writing_atomic(path) as file:
        file.writelines([b"all of ", b"the new"])
        assert path.read_bytes() == b"old"
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("file", b"all of the new")]


def test_a_kill_during_an_atomic_write_leaves_one_whole_version(tmp_path):
    code = """
import sys
from stillroom.core.runs import write_atomic
print("ready", flush=True)
while True:
    for letter in "ab":
        write_atomic(sys.argv[1], letter * 300_000)
"""
    path = Path(tmp_path) / "file"
    path.write_text("a" * 300_000)
    moments = random.Random(0)
    for _ in range(10):
        child = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE, text=True)
        assert child.stdout.readline() == "ready\n"
        time.sleep(moments.uniform(0, 0.05))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        assert path.read_text() in ("a" * 300_000, "b" * 300_000)


def test_a_run_that_nobody_names_has_its_verb_and_the_time():
    assert re.fullmatch(r"runs/adapt-\d{8}-\d{6}", new_folder("adapt").as_posix())
