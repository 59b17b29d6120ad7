"""Where examples come from, as a recipe names them: a public corpus, clean sentences of a language, or a user's file.

It knows names and files; what the examples are for is somebody else's business.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from itertools import islice
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, model_validator

from stillroom.core.errors import DataError
from stillroom.core.recipes import filled_in
from stillroom.prompts import clean, corpora, examples
from stillroom.prompts.evaluate import Rate
from stillroom.prompts.examples import Example


class Source(BaseModel):
    """A corpus to train on.

    Parameters
    ----------
    name
        A name that `corpora.load` knows, or `clean_NAME`, with the soft labels of `clean`.
    file
        What `stillroom prompts align` wrote; `$NAME` is replaced from the environment.
    split, seed
        Of a public corpus.
    limit
        Take so many examples, the first.
    weight, sentences
        See `mixture.Corpus`; `sentences` is by default the recipe's.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str | None = None
    file: str | None = None
    split: str = "train"
    seed: int = 0
    limit: PositiveInt | None = None
    weight: PositiveFloat = 1.0
    sentences: tuple[PositiveInt, ...] | None = Field(default=None, min_length=1)

    @model_validator(mode="after")
    def _one_place(self) -> Source:
        if (self.name is None) == (self.file is None):
            raise ValueError("a corpus has either a name or a file")
        return self

    @property
    def label(self) -> str:
        """What reports call it."""
        return self.name or Path(str(self.file)).name


class HeldOut(Source):
    """A corpus that chooses the checkpoint.

    Parameters
    ----------
    split
        "val" unless the recipe says otherwise.
    rates
        How much the F1 at each rate counts in the choice; see `evaluate.Rate`.
    """

    split: str = "val"
    rates: dict[Rate, PositiveFloat] = Field(default={"natural": 1.0}, min_length=1)


def read(source: Source) -> list[Example]:
    """Read the examples of a source.

    Raises
    ------
    MissingError
        A file that names an environment variable which is not set, or public data that is not here.
    DataError
        No such corpus, split or file, or nothing in it.
    """
    if source.file is not None:
        found = examples.read(filled_in(source.file))
    elif str(source.name).startswith("clean_"):
        found = clean.load(str(source.name).removeprefix("clean_"), source.split)
    else:
        found = corpora.load(str(source.name), source.split, source.seed)
    taken = [example for example in islice(found, source.limit) if example.text.strip()]
    if not taken:
        raise DataError(f"{source.label} has no examples")
    return taken


def fingerprint(read: Iterable[Example]) -> str:
    """Return a sha256 (hex) of texts and labels."""
    digest = hashlib.sha256()
    for example in read:
        digest.update(example.text.encode("utf-8", "surrogatepass") + b"\0")
        for values in (example.start, example.end, example.keep):
            digest.update(values.tobytes())
    return digest.hexdigest()
