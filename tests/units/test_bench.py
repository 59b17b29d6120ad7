"""The family as the benchmark sees it."""

from __future__ import annotations

import tomllib
from importlib.metadata import EntryPoint
from pathlib import Path

from stillroom.core.protocols import Classifier, Detector, Forecaster, Imputer
from stillroom.units.bench import family

PACKAGE = Path(__file__).parents[2] / "packages" / "units"


def test_one_family_does_all_four_jobs(folder):
    assert set(family.can) == {Forecaster, Classifier, Imputer, Detector}
    assert family.claims(str(folder))
    model = family.load(str(folder), device="cpu")
    assert all(isinstance(model, protocol) for protocol in family.can)


def test_every_entry_point_of_the_package_leads_somewhere():
    groups = tomllib.loads((PACKAGE / "pyproject.toml").read_text())["project"]["entry-points"]
    assert groups["stillroom.models"] == {"units-model": "stillroom.units.bench:family"}
    assert groups["stillroom.commands"] == {"units": "stillroom.units.cli:app"}
    for group, entries in groups.items():
        for name, value in entries.items():
            assert EntryPoint(name, value, group).load() is not None


def test_all_four_kinds_of_task_take_its_answers(folder, make_shapes, make_walk):
    """What a task checks of an answer: shapes, finite numbers, observed values left as they were."""
    import numpy as np

    from stillroom.bench import classify, detect, forecast, impute
    from stillroom.bench.kinds import Stopwatch
    from stillroom.series.anomalous import AnomalyItem, AnomalySet
    from stillroom.series.labelled import LabelledSplit
    from stillroom.series.panel import Item, Panel
    from stillroom.series.windows import cut

    model, watch = family.load(str(folder)), Stopwatch()
    panel = Panel(tuple(Item(str(seed), None, make_walk(seed, 1, 60)) for seed in range(3)), "D")
    spec = forecast.ForecastTask(id="f", dataset="-", prediction_length=5, windows=2)
    data = forecast.ForecastData(panel, cut(panel, 5, windows=2))
    kind = forecast.kind
    assert np.isfinite(kind.score(spec, data, kind.predict(model, spec, data, watch))["WQL"])

    series, labels = make_shapes(8, 30)
    split = LabelledSplit(series[:6], labels[:6], series[6:], labels[6:])
    spec, data, kind = classify.ClassifyTask(id="c", dataset="-"), classify.ClassifyData(split), classify.kind
    assert kind.score(spec, data, kind.predict(model, spec, data, watch))["ACCURACY"] >= 0

    truth = np.stack([make_walk(seed, 2, 24) for seed in range(4)])
    hidden = np.random.default_rng(0).random(truth.shape) < 0.25
    seen = np.where(hidden, np.nan, truth)
    found = np.stack(model.impute(list(seen), 1))
    np.testing.assert_array_equal(found[~hidden], truth[~hidden])
    assert impute.kind.protocol is Imputer

    record = make_walk(0, 1, 120)
    flags = np.zeros(60, dtype=bool)
    flags[20:25] = True
    items = AnomalySet((AnomalyItem("one", record[:, :60], record[:, 60:], flags),))
    spec, kind = detect.DetectTask(id="d", dataset="-"), detect.kind
    predictions = kind.predict(model, spec, items, watch)
    assert predictions["threshold"].iloc[0] == model.threshold(0.99)  # no more than the training part says
    assert np.isfinite(kind.score(spec, items, predictions)["AUC_PR"])
