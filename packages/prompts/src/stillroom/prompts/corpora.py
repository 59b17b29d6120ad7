"""What people deleted and pointed at: the public data to train and judge a compressor with, as examples.

Read from the folder STILLROOM_DATA; nothing is downloaded. Licences differ, and google_sentcomp names none: train and
measure with it, do not pass it on. It does not know what a compressor is.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import lzma
import os
import re
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from stillroom.core.errors import DataError, MissingError
from stillroom.prompts.align import align
from stillroom.prompts.detokenise import detokenise, locate
from stillroom.prompts.examples import Example
from stillroom.prompts.forms import fold, is_mark
from stillroom.prompts.restoration import Restoration
from stillroom.prompts.words import Words
from stillroom.prompts.words import split as split_words

SPLITS = ("train", "val", "test")
RUN = 4  # words in a row that a meeting must share with its extractive summary for them to count as taken from it
_NOISE = re.compile(r"\{\w+\}")  # {vocalsound}, {disfmarker}, …


def load(name: str, split: str, seed: int = 0) -> Iterator[Example]:
    """Yield the examples of a data set.

    Parameters
    ----------
    name
        - `google_sentcomp` (en): sentences of news, and the words that a headline needs (Filippova and Altun 2013).
          Train and val are published without case, numbers and rare words; `Restoration` puts some back;
        - `portuguese_g1` (pt): sentences of news, and those of the headline;
        - `disco` (en, fr, de), `disfl_qa` (en): what was said, and what was meant. Of these three sets, only the rows
          whose labels are exactly a deletion;
        - `ami` (en): meetings, and the words of their extractive summaries;
        - `qmsum` (en): meetings, and the turns that answer a question about them;
        - `cos_e` (en): questions, and the words that justify the answer; there is no test.
    split
        "train", "val" or "test". Of disco, portuguese_g1 and ami, which have no splits, a hash of the row (of the group
        that met, for ami) puts a tenth each into val and test.
    seed
        Of what is put back into google_sentcomp.

    Raises
    ------
    DataError
        No such data set or split.
    MissingError
        STILLROOM_DATA is not set, or the data is not there.
    """
    if name not in _READERS:
        raise DataError(f"there is no data set {name!r}; known are {', '.join(_READERS)}")
    reader, files = _READERS[name]
    if split not in files:
        raise DataError(f"{name} has no split {split!r}; it has {', '.join(files)}")
    paths = [_path(file) for file in files[split]]
    return (example for path in paths for example in reader(path, split, seed))


def _google(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        tokens = row["tokens"] if split == "test" else _restoration().restore(row["tokens"].split(), seed)
        yield _example(tokens, row["keep"], "google_sentcomp", "en")


def _portuguese(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        if row["exact"] and _part(row["original"]) == split:
            yield _example(row["tokens"], row["keep"], "portuguese_g1", "pt")


def _disco(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        if row["exact"] and _part(row["disfluent"]) == split:
            yield _example(row["tokens"], row["keep"], "disco", _LANGUAGES[path.name], row["disfluent"])


def _disfl_qa(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        if row["exact"]:
            yield _example(row["tokens"], row["keep"], "disfl_qa", "en", row["disfluent"])


def _ami(path: Path, split: str, seed: int) -> Iterator[Example]:
    """The transcript goes speaker by speaker and the summary by time: only runs of words can be found again."""
    for row in _rows(path):
        group = row["meeting"][:6]  # ES2002a to ES2002d: the same people, the same product
        if row["extractive"] and _part(group) == split:
            text = row["transcript"].strip()
            words = split_words(text)
            said, summary = _run_forms(words), _run_forms(split_words(row["extractive"]))
            taken = {tuple(form for _, form in summary[at : at + RUN]) for at in range(len(summary) - RUN + 1)}
            keep = np.zeros(len(words), dtype=np.float32)
            for at in range(len(said) - RUN + 1):
                if tuple(form for _, form in said[at : at + RUN]) in taken:
                    keep[said[at][0] : said[at + RUN - 1][0] + 1] = 1
            yield Example(text, words.start, words.end, keep, "ami", "en")


def _run_forms(words: Words) -> list[tuple[int, str]]:
    """The words that are no punctuation: place and form."""
    spans = zip(words.start.tolist(), words.end.tolist(), strict=True)
    forms = [fold(words.text[start:end]) for start, end in spans]
    return [(place, form) for place, form in enumerate(forms) if not is_mark(form)]


def _qmsum(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        if row["split"] != split:
            continue
        turns = row["meeting_transcripts"]
        evident = np.zeros(len(turns), dtype=np.float32)
        for query in row["specific_query_list"]:
            for first, last in query["relevant_text_span"]:
                evident[int(first) : int(last) + 1] = 1
        lines: list[str] = []
        spans: list[np.ndarray] = []
        keep: list[np.ndarray] = []
        length = 0
        for turn, value in zip(turns, evident, strict=True):
            if not (said := _NOISE.sub(" ", turn["content"]).split()):
                continue
            line, start, end = detokenise([*turn["speaker"].split(), ":", *said])
            lines.append(line)
            spans.append(np.stack((start, end)) + length)
            keep.append(np.full(len(start), value))
            length += len(line) + 1
        start, end = np.concatenate(spans, axis=1)
        yield Example("\n".join(lines), start, end, np.concatenate(keep), "qmsum", "en")


def _cos_e(path: Path, split: str, seed: int) -> Iterator[Example]:
    for row in _rows(path):
        if row["split"] == {"train": "train", "val": "dev"}[split]:
            found = align(row["question"], row["selected"].replace(",", ", "))  # the spaces after commas were lost
            keep = found.keep.astype(np.float32)
            yield Example(row["question"], found.words.start, found.words.end, keep, "cos_e", "en")


def _example(tokens: list[str], keep: str, source: str, language: str, text: str | None = None) -> Example:
    """An example of labelled tokens, in the text they were cut from, or one that they may have been cut from."""
    labels = np.array(list(keep), dtype=np.float32)
    if text is not None and (spans := locate(tokens, text)) is not None:
        return Example(text, *spans, labels, source, language)
    return Example(*detokenise(tokens), labels, source, language)


def _part(row: str) -> str:
    return {0: "val", 1: "test"}.get(hashlib.sha256(row.encode()).digest()[0] % 10, "train")


@lru_cache(maxsize=1)
def _restoration() -> Restoration:
    return Restoration.learn(line for name in _CLEAN for line in _lines(_path(name)))


def lines(name: str) -> Iterator[str]:
    """Yield the lines of a file below STILLROOM_DATA/text; raises MissingError if it is not there."""
    return _lines(_path(name))


def _path(name: str) -> Path:
    """A file below STILLROOM_DATA."""
    folder = os.environ.get("STILLROOM_DATA")
    path = Path(folder or "", "text", name)
    if not folder or not path.is_file():
        raise MissingError(f"the data is not here: set STILLROOM_DATA to a folder that has text/{name}")
    return path


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    return map(json.loads, filter(str.strip, _lines(path)))


def _lines(path: Path) -> Iterator[str]:
    with (lzma.open if path.suffix == ".xz" else gzip.open)(path, "rt", encoding="utf-8") as file:
        yield from file


_LANGUAGES = {"english.jsonl.gz": "en", "french.jsonl.gz": "fr", "german.jsonl.gz": "de"}
_CLEAN = ("clean/common_voice.en.txt.gz", "clean/ud_en_ewt.txt.gz", "clean/wikitext2.valid.txt.gz")
_GOOGLE = {"train": "train.tokens.jsonl.xz", "val": "val.tokens.jsonl.xz", "test": "eval.cased.jsonl.gz"}
_READERS: dict[str, tuple[Callable[[Path, str, int], Iterator[Example]], dict[str, list[str]]]] = {
    "google_sentcomp": (_google, {split: [f"compression/google_sentcomp/{file}"] for split, file in _GOOGLE.items()}),
    "portuguese_g1": (_portuguese, {split: ["compression/portuguese_g1.jsonl.gz"] for split in SPLITS}),
    "disco": (_disco, {split: [f"compression/disco/{file}" for file in _LANGUAGES] for split in SPLITS}),
    "disfl_qa": (
        _disfl_qa,
        {split: [f"compression/disfl_qa/{split.replace('val', 'dev')}.jsonl.gz"] for split in SPLITS},
    ),
    "ami": (_ami, {split: ["compression/ami.jsonl.gz"] for split in SPLITS}),
    "qmsum": (_qmsum, {split: ["qa/qmsum.jsonl.gz"] for split in SPLITS}),
    "cos_e": (_cos_e, {split: ["rationale/cos_e.jsonl.gz"] for split in SPLITS[:2]}),
}
