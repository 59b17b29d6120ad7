"""The Run directory: what a recipe produced, with what one must know to believe it, to repeat it and to compare it.

    FOLDER/run.json     recipe, seeds, versions, data fingerprints, every metric, cost
    FOLDER/README.md    the model card
    FOLDER/…            weights or adapter, checkpoints: the business of whoever trains

`run.json` is written whole or not at all, and a secret in a recipe (an API key, a token, a password) is never written.
It does not know what the metrics mean or how the weights were made.
"""

from __future__ import annotations

import json
import os
import platform
import re
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import distributions
from pathlib import Path
from typing import Any, BinaryIO

from stillroom.core.errors import CorruptError, DataError, RecipeError
from stillroom.core.plain import to_plain

FORMAT = 1  # of run.json: raised when an older Stillroom could no longer read it
REDACTED = "(secret, not written)"
_LIBRARIES = {"numpy", "torch", "transformers", "peft", "accelerate", "bitsandbytes", "chronos-forecasting"}
_SECRET_KEY = re.compile(r"(api|access|private|secret)_?key|(api|access|auth)token")
_SECRET_WORDS = {"secret", "secrets", "password", "passwd", "passphrase", "credential", "credentials", "authorization"}
_VOCABULARY = {"pad", "eos", "bos", "unk", "mask", "sep", "cls", "stop"}  # `pad_token` is a word, not a secret


@dataclass
class Run:
    """One training and what came of it: make one with `Run.create`, read one with `Run.load`.

    Parameters
    ----------
    folder
        Where it lives.
    recipe
        The recipe as it was carried out, defaults included, secrets left out.
    seeds
        By name; most runs have one, `{"seed": 0}`.
    data
        What it learnt from and was judged on: a name to a content fingerprint, as in `{"train": panel.fingerprint()}`.
    metrics
        Every metric, nested as the writer likes: `{"validation": {"WQL": 0.1}}`. Not finite becomes null.
    cost
        `train_seconds`, `usd`, … by name.
    versions
        Python, the libraries that compute, and every installed stillroom package.
    created
        When it started, in UTC.
    """

    folder: Path
    recipe: dict[str, Any]
    seeds: dict[str, int]
    data: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    cost: dict[str, Any] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    created: str = ""

    @classmethod
    def create(
        cls,
        folder: str | Path,
        recipe: Mapping[str, Any],
        seeds: Mapping[str, int],
        data: Mapping[str, Any] | None = None,
    ) -> Run:
        """Start a run, or take up the one in `folder` if it has the same recipe, seeds and data (a resumed training).

        Raises
        ------
        RecipeError
            The folder holds another run.
        DataError
            The folder cannot be made or written.
        """
        run = cls(
            Path(folder),
            recipe=without_secrets(to_plain(recipe)),
            seeds=to_plain(seeds),
            data=to_plain(data or {}),
            versions=versions(),
            created=datetime.now(UTC).isoformat(timespec="seconds"),
        )
        if (run.folder / "run.json").exists():
            there = cls.load(folder)
            rows = [row for row in compare(there, run) if row.key.split(".")[0] in ("recipe", "seeds", "data")]
            if rows:
                row = rows[0]
                raise RecipeError(
                    f"{folder} holds another run, whose {row.key} is {row.values[0]!r} and not {row.values[1]!r}: "
                    "choose another folder, or remove that one"
                )
            return there
        try:
            run.save()
        except OSError as error:
            raise DataError(f"no run can be written to {folder}: {error.strerror}; choose another folder") from error
        return run

    @classmethod
    def load(cls, folder: str | Path) -> Run:
        """Read the run in `folder`.

        Raises
        ------
        DataError
            There is no run in the folder, or a newer Stillroom wrote it.
        CorruptError
            `run.json` is damaged.
        """
        path = Path(folder) / "run.json"
        try:
            written = json.loads(path.read_bytes())
        except OSError as error:
            raise DataError(f"{folder} is not a run: it has no readable run.json") from error
        except ValueError as error:
            raise CorruptError(f"{path} is damaged ({error}): the run must be made again from its recipe") from error
        if not isinstance(written, dict) or not isinstance(written.get("format"), int):
            raise CorruptError(f"{path} is not a run's record: another program wrote it, or it is damaged")
        if written.pop("format") > FORMAT:
            raise DataError(f"{path} was written by a newer Stillroom: update stillroom-core to read it")
        expected = {name.name: dict for name in fields(cls)} | {"created": str}
        del expected["folder"]
        wrong = [name for name, kind in expected.items() if not isinstance(written.get(name), kind)]
        if wrong or set(written) - set(expected):
            raise CorruptError(
                f"{path} is damaged: {', '.join(wrong or set(written) - set(expected))} is not as we write it"
            )
        return cls(Path(folder), **written)

    def record(self, metrics: Mapping[str, Any] | None = None, cost: Mapping[str, Any] | None = None) -> None:
        """Add metrics and costs (a name that is already there is replaced) and save."""
        self.metrics |= to_plain(metrics or {})
        self.cost |= to_plain(cost or {})
        self.save()

    def save(self) -> None:
        """Write `run.json`, whole or not at all; a secret that found its way into the recipe stays out."""
        written = {"format": FORMAT} | asdict(self)
        del written["folder"]
        written["recipe"] = without_secrets(to_plain(self.recipe))
        write_atomic(self.folder / "run.json", json.dumps(to_plain(written), indent=2, ensure_ascii=False) + "\n")

    def write_card(self, title: str, text: str, **front: Any) -> None:
        """Write the model card, `README.md`: the front matter that the Hugging Face hub reads, `text`, and the record.

        Parameters
        ----------
        title, text
            The heading, and what a reader should know, in Markdown: what it is for, what it learnt from and under which
            licence, what it cannot do.
        front
            The hub's metadata, such as `license`, `base_model`, `datasets`, `tags`, `library_name`, `pipeline_tag`.
        """
        import yaml

        def block(value: Any) -> str:
            plain = without_secrets(to_plain(value))
            return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100).strip()

        rows = "\n".join(f"| {key} | {_cell(value)} |" for key, value in _flat(self.metrics).items())
        record = {"seeds": self.seeds, "data": self.data, "cost": self.cost, "versions": self.versions}
        parts = [f"---\n{block(front)}\n---" if front else "", f"# {title}", text.strip()]
        parts += [f"## Metrics\n\n| metric | value |\n|---|---|\n{rows}" if rows else ""]
        parts += [f"## Recipe\n\n```yaml\n{block(self.recipe)}\n```"]
        parts += [f"## Record\n\nMade on {self.created}.\n\n```yaml\n{block(record)}\n```"]
        write_atomic(self.folder / "README.md", "\n\n".join(part for part in parts if part) + "\n")


@dataclass(frozen=True)
class Difference:
    """One row of a comparison: a dotted key such as `recipe.adapter.rank`, and its value in each run (None: absent)."""

    key: str
    values: tuple[Any, ...]


def compare(*runs: Run) -> list[Difference]:
    """Set runs side by side: what differs in recipe, seeds, data and versions, then every metric and cost."""
    rows = []
    for part in ("recipe", "seeds", "data", "versions", "metrics", "cost"):
        columns = [_flat(getattr(run, part)) for run in runs]
        for key in dict.fromkeys(key for column in columns for key in column):
            values = tuple(column.get(key) for column in columns)
            if part in ("metrics", "cost") or any(value != values[0] for value in values):
                rows.append(Difference(f"{part}.{key}", values))
    return rows


@cache
def _versions() -> dict[str, str]:
    found = {dist.name: dist.version for dist in distributions()}
    kept = {name: found[name] for name in sorted(found) if name in _LIBRARIES or name.startswith("stillroom")}
    return {"python": platform.python_version()} | kept


def versions() -> dict[str, str]:
    """Return the versions that a result depends on: Python, the libraries that compute, every stillroom package."""
    return dict(_versions())


def without_secrets(value: Any, key: str = "") -> Any:
    """Return a copy in which what stands under a key such as `api_key`, `hf_token` or `password` is replaced.

    A key that names a word of a vocabulary (`pad_token`) or a number (`virtual_tokens`) is not taken for a secret.
    """
    if _names_a_secret(key) and not isinstance(value, bool | None):
        return REDACTED
    if isinstance(value, Mapping):
        return {name: without_secrets(item, str(name)) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(item) for item in value]
    return value


def new_folder(verb: str) -> Path:
    """Return a folder for a run that nobody named: `runs/adapt-20260101-120000`."""
    return Path("runs") / f"{verb}-{datetime.now(UTC):%Y%m%d-%H%M%S}"


def write_atomic(path: str | Path, content: bytes | str) -> None:
    """Write a file so that, whatever happens, it holds either all of the old content or all of the new.

    Text is written as UTF-8; see `writing_atomic`, which takes what does not fit into memory.
    """
    with writing_atomic(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


@contextmanager
def writing_atomic(path: str | Path) -> Iterator[BinaryIO]:
    """Give a file to write to that takes the place of `path` when the body of the `with` ends well, and never else.

    It is written aside in the same folder (created if need be), synced, renamed into place, and the folder is synced:
    when this returns, the content also outlives a power cut.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
    try:
        with aside.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable: a renamed file is only safe once its folder is synced too."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _names_a_secret(key: str) -> bool:
    words = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key).lower().replace("-", "_")
    first, _, last = words.rpartition("_")
    if last == "token" and first.rpartition("_")[2] not in _VOCABULARY:
        return True
    return bool(_SECRET_KEY.search(words)) or not _SECRET_WORDS.isdisjoint(words.split("_"))


def _flat(value: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            flat |= _flat(item, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = item
    return flat


def _cell(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value).replace("|", "\\|")
