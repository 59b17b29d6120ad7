from __future__ import annotations

import json

import pytest

from stillroom.core import checkpoints


def save(folder, step, content=b"weights"):
    aside = checkpoints.begin(folder, step)
    (aside / "weights.pt").write_bytes(content)
    (aside / "progress.json").write_text("{}")
    return checkpoints.seal(folder, step)


def test_a_sealed_checkpoint_is_whole_and_found(tmp_path):
    assert save(tmp_path, 20) == checkpoints.place(tmp_path, 20)
    assert checkpoints.whole(tmp_path, 20)
    assert checkpoints.steps(tmp_path) == [20]


def test_what_is_still_aside_is_no_checkpoint_for_us_nor_for_transformers(tmp_path):
    from transformers.trainer_utils import get_last_checkpoint

    save(tmp_path, 20)
    (checkpoints.begin(tmp_path, 30) / "weights.pt").write_bytes(b"half")
    assert checkpoints.steps(tmp_path) == [20]
    assert get_last_checkpoint(str(tmp_path)) == str(checkpoints.place(tmp_path, 20))


@pytest.mark.parametrize(
    "damage",
    [
        lambda checkpoint: (checkpoint / "weights.pt").write_bytes(b"weight"),
        lambda checkpoint: (checkpoint / "weights.pt").write_bytes(b"Weights"),
        lambda checkpoint: (checkpoint / "weights.pt").unlink(),
        lambda checkpoint: (checkpoint / checkpoints.MANIFEST).unlink(),
        lambda checkpoint: (checkpoint / checkpoints.MANIFEST).write_text('{"weights.pt": '),
        lambda checkpoint: (checkpoint / checkpoints.MANIFEST).write_text("[]"),
    ],
    ids=["cut", "changed", "lost", "no manifest", "cut manifest", "other manifest"],
)
def test_a_damaged_checkpoint_is_not_whole(damage, tmp_path):
    damage(save(tmp_path, 20))
    assert not checkpoints.whole(tmp_path, 20)


def test_steps_are_in_order_of_number_newest_first(tmp_path):
    for step in (9, 100, 20):
        save(tmp_path, step)
    (tmp_path / "checkpoint-best").mkdir()
    (tmp_path / "checkpoint-best" / checkpoints.MANIFEST).write_text("{}")
    assert checkpoints.steps(tmp_path) == [100, 20, 9]


def test_a_torn_folder_in_the_way_is_replaced(tmp_path):
    torn = tmp_path / "checkpoint-20"
    torn.mkdir()
    (torn / "model.safetensors").write_bytes(b"half")
    save(tmp_path, 20)
    assert checkpoints.whole(tmp_path, 20)
    assert sorted(path.name for path in torn.iterdir()) == ["manifest.json", "progress.json", "weights.pt"]


def test_saving_a_step_again_holds_the_new_content(tmp_path):
    save(tmp_path, 20, b"old")
    save(tmp_path, 20, b"new")
    assert (checkpoints.place(tmp_path, 20) / "weights.pt").read_bytes() == b"new"
    assert checkpoints.whole(tmp_path, 20)


def test_pruning_leaves_what_is_kept_and_what_is_not_ours(tmp_path):
    for step in (10, 20, 30):
        save(tmp_path, step)
    (tmp_path / "checkpoint-40").mkdir()
    (tmp_path / "notes.txt").write_text("mine")
    checkpoints.begin(tmp_path, 50)
    checkpoints.prune(tmp_path, {10, 30})
    assert {path.name for path in tmp_path.iterdir()} == {
        "checkpoint-10",
        "checkpoint-30",
        "checkpoint-40",
        "notes.txt",
    }


def test_the_manifest_names_every_other_file(tmp_path):
    manifest = json.loads((save(tmp_path, 20) / checkpoints.MANIFEST).read_text())
    assert set(manifest) == {"weights.pt", "progress.json"}
