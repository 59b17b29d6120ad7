"""Public data to learn and to judge with, as rows: corrections that people made, synthetic ones, and school maths.

Read from a folder (STILLROOM_DATA), from the user's own files, or from the Hugging Face hub through `datasets`;
nobody's code is run. Licences differ and are the user's to heed. It knows no model and no metric.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, MissingError
from stillroom.language.exact import normalise
from stillroom.language.rows import Row, text_of

SPLITS = ("train", "dev", "test")
HELD_OUT = 0.05
"""Share of a split that a set does not have and that is made by hash."""

MULTILINGUAL_GEC = "juancavallotti/multilingual-gec"
_PREFIX = re.compile(r"\s*fix grammar:\s*", re.IGNORECASE)
_CALCULATION = re.compile(r"<<[^<>]*>>")
_KINDS = (".parquet", ".csv", ".jsonl", ".json", ".ndjson")
_GEC = {
    "cows_l2h": "sentences.jsonl.gz",
    "ua_gec": "ua_gec.jsonl.gz",
    "iceec": "iceec.jsonl.gz",
    "falko_merlin": "falko_merlin.jsonl.gz",
    "swell_ud": "swell_ud.jsonl.gz",
}


@dataclass(frozen=True)
class _Found:
    """A row, the split its set puts it in (or none), and what must not be torn apart: a document, or a text."""

    row: Row
    split: str
    unit: str


def named(name: str, split: str = "train", source: str | Path | None = None) -> list[Row]:
    """Return a set by its name, with dashes or underscores: `multilingual-gec`, `gsm8k`, or one of `gec`'s.

    Parameters
    ----------
    source
        Where multilingual-gec is, if not on the hub.
    """
    folded = name.replace("-", "_")
    if folded == "multilingual_gec":
        return multilingual_gec(source or MULTILINGUAL_GEC, split)
    return gsm8k(split) if folded == "gsm8k" else gec(folded, split)


def multilingual_gec(source: str | Path = MULTILINGUAL_GEC, split: str = "train") -> list[Row]:
    """Return the rows of juancavallotti/multilingual-gec, or of other data of its form.

    Sentences (en, es, fr, de) and the mistakes that rules made in them. Columns: `lang`, `sentence` (right), `modified`
    (with the mistake; "fix grammar: " before it is taken away), `transformation` and `sec_transformation` (kept in
    `extra`). Rows without one of the two texts are left out.

    Parameters
    ----------
    source
        An id on the hub; a file (Parquet, CSV or JSON Lines), or a folder with files whose names begin with the splits'
        (`data/train-00000-of-00001.parquet`, `test.csv`).
    split
        "train", "dev" or "test" (see `gec` for what a set does not have). Of a single file all are made by hash of the
        right sentence, so that it does not come with another mistake in another split.

    Raises
    ------
    DataError
        There is no such split, file or column.
    MissingError
        The hub cannot be reached, or `datasets` or pyarrow is not installed.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        tables = list(_folder(path))
    elif path.is_file():
        tables = [("", _table(path))]
    else:
        tables = list(_hub(str(source)))
    found = [one for part, records in tables for one in _synthetic(records, part, str(source))]
    return _chosen(found, split, str(source))


def gec(name: str, split: str = "train") -> list[Row]:
    """Return sentences that learners wrote, and what people made of them.

    Sentences that need no correction are among them. The language is the row's group. A sentence that a document has
    with several corrections (by several people) is one row; all of them are in `extra["references"]`, the first is the
    answer.

    Parameters
    ----------
    name
        - `cows_l2h` (es): COWS-L2H, essays of students; train, test;
        - `ua_gec` (uk): UA-GEC, texts by learners and natives, with two annotators in test; train, test;
        - `iceec` (is): the Icelandic Error Corpus, texts by natives; train, test;
        - `falko_merlin` (de), tokenised; dev, test;
        - `swell_ud` (sv), tokenised; test.
    split
        "train", "dev" or "test". Where a set has train and no dev, a hash of the document (of the sentence in iceec)
        puts a twentieth of train there. What stands in test, as a sentence or as its correction, is left out of train
        and dev, and what stands in dev out of train: short sentences are written twice.

    Raises
    ------
    DataError
        There is no such set or split.
    MissingError
        STILLROOM_DATA is not set, or the file is not in it.

    References
    ----------
    Yamada et al. (2020), COWS-L2H; Syvokon et al. (2023), UA-GEC; Arnardóttir et al. (2021), IceEC; Boyd (2018),
    Falko-MERLIN; Masciolini et al. (2023), SweLL.
    """
    if name not in _GEC:
        raise DataError(f"there is no set {name!r}: there are {', '.join(_GEC)}")
    return _chosen(list(_corrections(_lines(f"gec/{_GEC[name]}"))), split, name)


def cows_l2h(split: str = "train") -> list[Row]:
    """Return the sentences of COWS-L2H (Spanish); see `gec`."""
    return gec("cows_l2h", split)


def ua_gec(split: str = "train") -> list[Row]:
    """Return the sentences of UA-GEC (Ukrainian); see `gec`."""
    return gec("ua_gec", split)


def gsm8k(split: str = "train") -> list[Row]:
    """Return school maths (Cobbe et al. 2021): questions, the number that is right, and the way to it as rationale.

    What the rationale has in `<<…>>` for a calculator is taken out. Dev is a twentieth of train, by hash of the
    question.

    Raises
    ------
    DataError
        There is no such split.
    MissingError
        STILLROOM_DATA is not set, or the files are not in it.
    """
    found = []
    for part in ("train", "test"):
        for record in _lines(f"rationale/gsm8k/{part}.jsonl.gz"):
            rationale, _, answer = _CALCULATION.sub("", record["answer"]).rpartition("####")
            row = Row(
                input=record["question"],
                answer=answer.strip(),
                group="en",
                rationale=rationale.strip(),
                extra={"references": (answer.strip(),)},
            )
            found.append(_Found(row, part, _folded(row.input)))
    return _chosen(found, split, "gsm8k", lambda row: {_folded(row.input)})


def _corrections(records: Iterable[Mapping[str, Any]]) -> Iterator[_Found]:
    merged: dict[tuple[str, str, str], list[Mapping[str, Any]]] = {}
    for number, record in enumerate(records):
        document = str(record.get("doc") or record.get("id") or number)
        merged.setdefault((record["split"], document, record["src"]), []).append(record)
    for (split, document, source), alike in merged.items():
        if not source.strip():
            continue
        first = alike[0]
        references = tuple(dict.fromkeys(text for one in alike for text in one.get("refs") or [one["tgt"]]))
        known = {"document": first.get("doc") or first.get("id"), "genre": first.get("genre")}
        extra = {"references": references, **{name: value for name, value in known.items() if value is not None}}
        row = Row(input=source, answer=references[0], group=first["lang"], extra=extra)
        yield _Found(row, split, document if "document" in extra else _folded(source))


def _synthetic(records: Iterable[Mapping[str, Any]], split: str, name: str) -> Iterator[_Found]:
    for number, record in enumerate(records):
        if missing := {"lang", "sentence", "modified"} - record.keys():
            raise DataError(f"{name} has no column {min(missing)!r}: it needs lang, sentence and modified")
        try:
            right, modified, lang = (text_of(record[column]) for column in ("sentence", "modified", "lang"))
            kinds = {column: text_of(record.get(column)) for column in ("transformation", "sec_transformation")}
        except ValueError as error:
            raise DataError(f"row {number + 1} of {name}: {error}") from error
        source = _PREFIX.sub("", modified or "", count=1) if _PREFIX.match(modified or "") else modified
        if right and source:
            extra = {"references": (right,), **{column: kind for column, kind in kinds.items() if kind}}
            yield _Found(Row(input=source, answer=right, group=lang or "", extra=extra), split, _folded(right))


def _chosen(found: Sequence[_Found], split: str, name: str, texts: Any = None) -> list[Row]:
    """Return the rows of a split, made if need be, without what later splits have."""
    own = {one.split for one in found} - {""}
    made: dict[str, list[Row]] = {part: [] for part in SPLITS}
    for one in found:
        made[_part(one, own)].append(one.row)
    if not made.get(split):
        there = ", ".join(part for part, rows in made.items() if rows) or "no rows"
        raise DataError(f"{name} has no split {split!r}: it has {there}")
    texts = texts or (lambda row: {_folded(text) for text in (row.input, *row.extra["references"])})
    later = {text for part in SPLITS[SPLITS.index(split) + 1 :] for row in made[part] for text in texts(row)}
    return [row for row in made[split] if not later or later.isdisjoint(texts(row))]


def _part(one: _Found, own: set[str]) -> str:
    drawn = int.from_bytes(hashlib.sha256(one.unit.encode()).digest()[:4], "big") / 2**32
    if not own:
        return "dev" if drawn < HELD_OUT else "test" if drawn < 2 * HELD_OUT else "train"
    if one.split == "train" and "dev" not in own and drawn < HELD_OUT:
        return "dev"
    return one.split


@lru_cache(maxsize=100_000)  # a sentence is often its own correction
def _folded(text: str) -> str:
    return normalise(text).casefold()


def _folder(folder: Path) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    files = sorted(file for file in folder.rglob("*") if file.suffix in _KINDS)
    parts = [(part, file) for part in SPLITS for file in files if re.match(rf"{part}\b", file.name)]
    if not parts:
        raise DataError(f"{folder} has no files train*, dev* or test* of the kinds {', '.join(_KINDS)}")
    return ((part, _table(file)) for part, file in parts)


def _table(path: Path) -> Iterator[dict[str, Any]]:
    from stillroom.core.tables import rows

    return rows(path)


def _hub(name: str) -> Iterator[tuple[str, Iterator[dict[str, Any]]]]:
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", name):
        raise DataError(f"there is no file or folder {name}, and an id on the hub has the form OWNER/NAME")
    try:
        import datasets
    except ImportError as error:
        raise MissingError(
            f"{name} is no file here, and the hub needs the datasets library: pip install 'stillroom-language[hub]', "
            "or give a file or folder"
        ) from error
    from stillroom.core.hub import cache_only_without_network

    try:
        with cache_only_without_network():
            loaded = datasets.load_dataset(name)
    except (ValueError, OSError, RuntimeError) as error:  # no such configuration; no network; a loading script
        raise MissingError(
            f"{name} is no file here and cannot be had from the hub ({str(error).splitlines()[0]}): connect to the "
            "network with HF_HUB_OFFLINE unset, or give a file or folder of its form"
        ) from error
    for split, table in loaded.items():
        part = {"validation": "dev"}.get(str(split), str(split))
        columns = table.to_dict()
        yield part, (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _lines(name: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of a file below STILLROOM_DATA/text."""
    folder = os.environ.get("STILLROOM_DATA")
    path = Path(folder or "", "text", name)
    if not folder or not path.is_file():
        raise MissingError(f"the data is not here: set STILLROOM_DATA to a folder that has text/{name}")
    with gzip.open(path, "rt", encoding="utf-8") as file:
        yield from (json.loads(line) for line in file if line.strip())
