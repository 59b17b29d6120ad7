"""Checkpoint folders that are either whole or not there: written aside, synced, sealed by a manifest, renamed.

    folder/checkpoint-120/            whole: its manifest was written last and every file still has the digest it names
    folder/.checkpoint-140.partial/   being written, or left by a process that died: never read, removed by the next
    save

A `checkpoint-N` without a fitting manifest (torn, or another program's) is passed over and never deleted. It does not
know what the files hold.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

from stillroom.core.runs import sync_folder

MANIFEST = "manifest.json"


def place(folder: Path, step: int) -> Path:
    """Return where the whole checkpoint of `step` stands."""
    return folder / f"checkpoint-{step}"


def begin(folder: Path, step: int) -> Path:
    """Return an empty folder aside, to be filled and then sealed."""
    aside = folder / f".checkpoint-{step}.partial"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    return aside


def seal(folder: Path, step: int) -> Path:
    """Turn what stands aside into the checkpoint of `step`: it outlives a power cut once this returns."""
    aside, final = folder / f".checkpoint-{step}.partial", place(folder, step)
    digests = {file.name: _synced_digest(file) for file in sorted(aside.iterdir())}
    manifest = aside / MANIFEST
    manifest.write_text(json.dumps(digests, indent=1))
    _synced_digest(manifest)
    sync_folder(aside)
    if final.exists():  # torn, or the same step saved before: a folder cannot be renamed onto a full one
        _discard(final)
    os.replace(aside, final)  # noqa: PTH105 - the name that says it is atomic
    sync_folder(folder)
    return final


def whole(folder: Path, step: int) -> bool:
    """Return whether every file that the checkpoint's manifest names is there as it was written."""
    checkpoint = place(folder, step)
    try:
        digests = json.loads((checkpoint / MANIFEST).read_text())
        return all(_digest(checkpoint / name) == digest for name, digest in digests.items())
    except (OSError, ValueError, AttributeError):
        return False


def steps(folder: Path) -> list[int]:
    """Return the steps whose checkpoint was sealed, newest first; a file may have been lost since."""
    names = [manifest.parent.name.removeprefix("checkpoint-") for manifest in folder.glob(f"checkpoint-*/{MANIFEST}")]
    return sorted((int(name) for name in names if name.isdecimal()), reverse=True)


def prune(folder: Path, keep: set[int]) -> None:
    """Remove the sealed checkpoints of other steps, and what dead processes left aside."""
    for step in set(steps(folder)) - keep:
        _discard(place(folder, step))
    for aside in folder.glob(".checkpoint-*"):
        shutil.rmtree(aside, ignore_errors=True)


def _discard(checkpoint: Path) -> None:
    """Rename first, so that a removal cut short leaves nothing that looks like a checkpoint."""
    gone = checkpoint.with_name(f".{checkpoint.name}.discarded")
    shutil.rmtree(gone, ignore_errors=True)
    checkpoint.rename(gone)
    shutil.rmtree(gone, ignore_errors=True)


def _digest(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def _synced_digest(file: Path) -> str:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        return hashlib.file_digest(opened, "sha256").hexdigest()
