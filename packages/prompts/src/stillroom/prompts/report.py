"""One report on a compressor: what a set allows to be measured, for the model and the baselines beside it.

It knows which measure fits which data; the measures themselves are `evaluate`'s and `questions`'.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from stillroom.core.errors import DataError, MissingError
from stillroom.core.runs import write_atomic
from stillroom.core.tables import rows
from stillroom.prompts import baselines, clean, examples, questions
from stillroom.prompts.compressor import Compressor
from stillroom.prompts.evaluate import Ranking, adherence, agreement, by_model, labelled, survival
from stillroom.prompts.examples import Example
from stillroom.prompts.questions import Context
from stillroom.prompts.sources import HeldOut, read
from stillroom.prompts.words import split

MODEL = "this model"


def report(
    model: str,
    on: str,
    rates: Sequence[float] = (0.5, 0.33),
    *,
    language: str | None = None,
    limit: int | None = None,
    requests: Path | None = None,
    labels: str | None = None,
) -> dict[str, Any]:
    """Measure a compressor on a set.

    Parameters
    ----------
    model
        A folder or hub id.
    on
        `NAME`, `NAME/SPLIT` or a file of examples: `F1` against what people kept, also at their own rates. A file of
        contexts with gold answers: `survival` of the answers.
    language
        Whose clean sentences the baselines `idf` and `stop-words` count, where the data does not say; without one, or
        without STILLROOM_DATA, they are left out.
    requests, labels
        Of contexts with answers: where request rows are written, and the label table that came back.

    Returns
    -------
    `set`, `texts`, `words`; `F1` or `survival`: by ranking, then by rate; `rates`: see `adherence`; `exact_match`.
    """
    texts = judged(on, limit)
    if (requests is not None or labels is not None) and not isinstance(texts[0], Context):
        raise DataError(f"{on} has no questions to ask: give contexts with answers")
    compressor = Compressor.from_pretrained(model)
    rankings = {MODEL: by_model(compressor.scorer), **beside(texts, language)}
    found = {"set": on, **measured(rankings, texts, rates)}
    found["rates"] = adherence(compressor.scorer, [one.text for one in texts], rates)
    if requests is not None:
        left = {str(rate): partial(_left, compressor, rate) for rate in rates}
        lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in questions.asked(texts, left)]
        write_atomic(requests, "".join(lines))
    if labels is not None:
        found["exact_match"] = questions.exact_match(texts, rows(labels))
    return found


def measured(
    rankings: Mapping[str, Ranking], texts: Sequence[Example] | Sequence[Context], rates: Sequence[float]
) -> dict[str, Any]:
    """Return how many texts and words there are, and `F1` or `survival` of each ranking at each rate."""
    examples = [one for one in texts if isinstance(one, Example)]
    contexts = [one for one in texts if isinstance(one, Context)]
    words = [labelled(one) for one in examples] or [split(one.text) for one in contexts]
    found: dict[str, Any] = {"texts": len(words), "words": sum(map(len, words))}
    if examples:
        kept = sum(float((one.keep >= 0.5).sum()) for one in examples)
        found["natural_rate"] = kept / max(found["words"], 1)
        found["F1"] = {
            name: agreement(ranking(words), examples, ("natural", "set", *rates)) for name, ranking in rankings.items()
        }
    else:
        found["questions"] = sum(len(one.questions) for one in contexts)
        found["survival"] = {
            name: survival(ranking(words), words, contexts, rates) for name, ranking in rankings.items()
        }
    return found


def judged(on: str, limit: int | None = None) -> list[Any]:
    """Return the examples, or the contexts with questions, that `on` names; see `report`."""
    path = Path(on)
    if not path.suffix and not path.exists():
        name, _, part = on.partition("/")
        return read(HeldOut(name=name, split=part or "val", limit=limit))
    if not path.is_file():
        raise DataError(f"there is no file {on}, and no data set of this name")
    if path.suffix in (".parquet", ".jsonl") and "keep" in next(iter(rows(path)), {}):
        found: list[Any] = list(islice(examples.read(path), limit))
    else:
        found = questions.read(path)[:limit]
    if not found:
        raise DataError(f"{on} is empty")
    return found


def beside(texts: Sequence[Any], language: str | None = None) -> dict[str, Ranking]:
    """Return the baselines by name; those that count clean sentences only where there are some of the language."""
    known: dict[str, Ranking] = {"random": baselines.random, "first": baselines.first}
    language = language or getattr(texts[0], "language", None)
    try:
        usage = None if language is None else clean.usage(language)
    except MissingError:
        usage = None
    if usage is not None:
        known |= {"stop-words, then order": baselines.without_stop_words(usage), "idf": baselines.idf(usage)}
    return known


def _left(compressor: Compressor, rate: float, text: str) -> str:
    return compressor.compress(text, rate=rate).text
