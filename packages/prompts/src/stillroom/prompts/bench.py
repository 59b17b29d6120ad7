"""The kind `compress` for stillroom-bench: texts to shorten to a rate, and what of them should have stayed.

What should stay is what people kept of a text, or the answers to questions about it. A model is asked for texts as its
user would ask, protection and all, and its own tokens are not looked at: what it kept is measured by one estimate for
all models. It registers itself as any outsider's kind would; bench is not imported.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from stillroom.core.errors import DataError, ModelError, RecipeError
from stillroom.core.protocols import Compressor
from stillroom.prompts.counters import estimate
from stillroom.prompts.examples import Example
from stillroom.prompts.textsets import read
from stillroom.prompts.words import split

if TYPE_CHECKING:
    import pandas as pd

demo_compress = Path(__file__).parent / "demo" / "demo-compress.yaml"


class CompressTask(BaseModel):
    """One task of compression, as a suite writes it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    kind: Literal["compress"] = "compress"
    dataset: str
    """A registered data set, a public one as NAME:SPLIT, or a file; see `textsets.read`."""
    rate: float | None = Field(None, gt=0, le=1)
    """The share of tokens to keep. Default: the share of its words that people kept of the whole set."""
    max_texts: int | None = Field(None, gt=0)
    """Take only the first so many texts: a smaller task, with a key of its own."""


@dataclass(frozen=True, eq=False)
class CompressData:
    """The texts of a task, all with the words that people kept, or all with questions."""

    texts: Sequence[Any]
    rate: float

    @property
    def labelled(self) -> bool:
        """Whether people kept words, so that the texts are `Example`s; else they are `Context`s."""
        return isinstance(self.texts[0], Example)

    @cached_property
    def people(self) -> np.ndarray:
        """Which of all labelled words people kept, (words,) bool."""
        kept: np.ndarray = np.concatenate([one.keep for one in self.texts]) >= 0.5
        return kept

    @cached_property
    def fingerprint(self) -> str:
        """Hash of the texts and of what should stay."""
        whole = hashlib.sha256()
        for one in self.texts:
            targets = (
                (one.start, one.end, one.keep) if self.labelled else [question.spans for question in one.questions]
            )
            whole.update(repr((one.text, [np.asarray(target).tolist() for target in targets])).encode())
        return whole.hexdigest()

    @property
    def size(self) -> int:
        """Texts to compress."""
        return len(self.texts)


class Compress:
    """The kind `compress`."""

    name = "compress"
    spec = CompressTask
    protocol = Compressor
    baseline = "first-k"
    metrics = ("FIDELITY",)
    higher = frozenset({"FIDELITY", "F1", "PRECISION", "RECALL", "SURVIVAL"})
    meaning: ClassVar = {
        "FIDELITY": "F1 of the kept words against those that people kept; or the share of answers that survive, "
        "less what was kept beyond the rate",
    }
    version = "1"

    def load(self, spec: CompressTask) -> CompressData:
        """Read the data set."""
        data = CompressData(read(spec.dataset)[: spec.max_texts], spec.rate or 1.0)
        if spec.rate is not None:
            return data
        if not data.labelled or not data.people.any():
            raise RecipeError(f"task {spec.id}: nobody kept words of {spec.dataset}, so the task must say a rate")
        return replace(data, rate=float(data.people.mean()))

    def predict(self, model: Compressor, spec: CompressTask, data: CompressData, fitting: Any) -> pd.DataFrame:
        """Compress the texts: one row each, with the stretches that stay as lists `start` and `end`."""
        import pandas as pd

        rows = []
        for number, left in enumerate(model.compress_many([one.text for one in data.texts], rate=data.rate)):
            edges = [int(edge) for stretch in left.kept for edge in stretch]
            if number < len(data.texts) and any(a > b for a, b in pairwise([0, *edges, len(data.texts[number].text)])):
                raise ModelError(f"what is kept of text {number} is not in order, or not within the text")
            rows.append({"item_id": number, "start": edges[0::2], "end": edges[1::2]})
        if len(rows) != len(data.texts):
            raise ModelError(f"{len(rows)} texts came back instead of {len(data.texts)}")
        return pd.DataFrame(rows)

    def score(self, spec: CompressTask, data: CompressData, predictions: pd.DataFrame) -> dict[str, float]:
        """Agreement with people, or survival of answers; and how far the rate was missed.

        F1 is over all words of the set together, as in `evaluate.agreement`. A question survives if one of its answers
        does with every word, wherever the text has it; questions that the text cannot answer do not count. Of estimated
        tokens (see `counters.estimate`), RATE_ERROR is the mean distance of a text to its rate, and OVERSPENT what the
        whole set kept beyond its rate, as a share of what it may keep.
        """
        kept = _kept(data, predictions)
        before = np.array([estimate(one.text) for one in data.texts])
        both = list(zip(data.texts, kept, strict=True))
        after = np.array([estimate(" ".join(one.text[start:end] for start, end in runs)) for one, runs in both])
        found = {
            "RATE_ERROR": float(np.mean(abs(after / np.maximum(before, 1) - data.rate))),
            "OVERSPENT": max(float(after.sum() / max(before.sum(), 1) / data.rate) - 1, 0.0),
        }
        if data.labelled:
            ours = np.concatenate([_inside(one.start, one.end, runs) for one, runs in both])
            return found | _agreement(ours, data.people)
        survival = _survival(data.texts, kept)
        return found | {"FIDELITY": survival / (1 + found["OVERSPENT"]), "SURVIVAL": survival}

    def examples(self, spec: CompressTask, data: CompressData, predictions: pd.DataFrame) -> list[Any]:
        """None: bench draws lines, and a text is none."""
        return []


def _kept(data: CompressData, predictions: pd.DataFrame) -> list[np.ndarray]:
    """Return the (runs, 2) stretches of each text that stay, whatever the order of the rows."""
    rows = predictions.set_index("item_id")
    if sorted(rows.index) != list(range(len(data.texts))):
        raise DataError("these predictions are of other texts than the task's: run the task again")
    edges = zip(rows["start"].sort_index(), rows["end"].sort_index(), strict=True)
    return [np.stack((start, end), axis=1).astype(np.int64).reshape(-1, 2) for start, end in edges]


def _inside(start: np.ndarray, end: np.ndarray, runs: np.ndarray) -> np.ndarray:
    """Return which of some stretches lie wholly within others, (n,) bool: runs that touch are one."""
    if not len(runs):
        return np.zeros(len(start), dtype=bool)
    fresh = np.append(True, runs[1:, 0] > runs[:-1, 1])
    left, right = runs[fresh, 0], runs[np.append(fresh[1:], True), 1]
    home = np.maximum(np.searchsorted(left, start, side="right") - 1, 0)
    within: np.ndarray = (left[home] <= start) & (end <= right[home])
    return within


def _agreement(ours: np.ndarray, theirs: np.ndarray) -> dict[str, float]:
    hits, mine, people = int((ours & theirs).sum()), int(ours.sum()), int(theirs.sum())
    f1 = 2 * hits / max(mine + people, 1)
    return {"FIDELITY": f1, "F1": f1, "PRECISION": hits / max(mine, 1), "RECALL": hits / max(people, 1)}


def _survival(contexts: Sequence[Any], kept: Sequence[np.ndarray]) -> float:
    survived = []
    for context, runs in zip(contexts, kept, strict=True):
        words = split(context.text)
        stays = _inside(words.start, words.end, runs)
        for question in context.questions:
            if question.spans:
                hit = [stays[(words.end > start) & (words.start < end)].all() for start, end in question.spans]
                survived.append(any(hit))
    return float(np.mean(survived)) if survived else float("nan")


kind = Compress()
