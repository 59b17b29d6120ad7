"""The forecaster's corpus shares no window with what it is judged on: every series compared with every other."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from stillroom.bench.tasks import load_suite
from stillroom.chronos.pretrain import PretrainRecipe
from stillroom.minis import forecaster
from stillroom.series.corpus import SHORTEST, Corpus, read
from stillroom.series.intake import load
from stillroom.series.mixture import coarser
from stillroom.series.overlap import Index, fingerprints

pytestmark = pytest.mark.skipif("STILLROOM_DATA" not in os.environ, reason="STILLROOM_DATA is not set")


@pytest.fixture(scope="module")
def corpus() -> Corpus:
    return PretrainRecipe.of(forecaster / "recipe.yaml").corpus


@pytest.fixture(scope="module")
def judged_on() -> dict[str, np.ndarray]:
    """The window hashes of each series of the benchmarks, of NAB and of the demo suite, by `set/item`."""
    folder = Path(os.environ["STILLROOM_DATA"])
    files = [*sorted(folder.glob("forecasting/chronos/*.jsonl.gz")), folder / "anomaly/nab.jsonl.gz"]
    sets = {file.name.removesuffix(".jsonl.gz"): file for file in files}
    sets |= {task.dataset: task.dataset for task in load_suite("demo-forecast").tasks}
    return {
        f"{name}/{item.item_id}/{number}": fingerprints(values)
        for name, source in sets.items()
        for item in load(source)
        for number, values in enumerate(item.target)
    }


def overlaps(corpus: Corpus, judged_on: dict[str, np.ndarray]) -> list[str]:
    """Name what shares a window with any series of the corpus: trained on or held out, as it is or made coarser."""
    real = read(corpus)
    chosen_by = [part for values in real.held_out for part in coarser(values, corpus.factors, SHORTEST)]
    index = Index.of([*real.train, *chosen_by])
    known = np.unique(np.concatenate(list(judged_on.values())))
    common = np.intersect1d(index.hashes, known, assume_unique=True)
    return sorted(name for name, hashes in judged_on.items() if np.isin(hashes, common).any())


def test_no_series_of_the_corpus_shares_a_window_with_what_the_model_is_judged_on(corpus, judged_on):
    assert overlaps(corpus, judged_on) == []


def test_without_its_exclusions_the_copies_of_the_m1_competition_are_found(corpus, judged_on):
    careless = corpus.model_copy(update={"exclude": (), "factors": (1,)})
    found = overlaps(careless, judged_on)
    assert {"monash_m1_monthly/T57/0", "monash_m1_monthly/T207/0", "monash_m1_monthly/T384/0"} <= set(found)


def test_almost_every_judged_series_has_windows_that_can_be_compared(judged_on):
    by_set: dict[str, list[bool]] = {}
    for name, hashes in judged_on.items():
        by_set.setdefault(name.partition("/")[0], []).append(len(hashes) > 0)
    del by_set["monash_car_parts"]  # a few parts sold a month: counts, of which no copy can be told from chance
    assert len(by_set) >= 25
    assert min(np.mean(telling) for telling in by_set.values()) > 0.9
