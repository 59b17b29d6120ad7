from __future__ import annotations

import gzip
import json
import os

import numpy as np
import pandas as pd
import pytest

from stillroom.core.errors import DataError, MissingError, RecipeError
from stillroom.core.recipes import checked
from stillroom.series import anomalous, labelled
from stillroom.series.intake import load
from stillroom.units.sources import Sources, apart, read, tasks
from stillroom.units.windows import Synthetic

DATA = os.environ.get("STILLROOM_DATA")
real_data = pytest.mark.skipif(not DATA, reason="STILLROOM_DATA is not set")


@pytest.fixture
def write(tmp_path):
    def write(rows):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.jsonl.gz"
        path.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in rows).encode()))
        return str(path)

    return write


def ramps(count, length=100, **more):
    """Series that say who they are and which step it is: the number times a thousand, and the step."""
    return [
        {"item_id": f"s{k}", "target": [1000 * k + t for t in range(length)], "freq": "h", **more} for k in range(count)
    ]


def one(sources):
    (source,) = read(checked(Sources, sources))
    return source


def numbers(windows):
    return {int(row[0] // 1000) for values in windows.series for row in values}


def panel(path, **more):
    return {"panels": [{"name": "power", "source": path, "end": None, **more}]}


def test_series_of_one_source_and_length_stand_together_and_are_drawn_as_often_as_the_corpus_says(write):
    rows = ramps(12, 100, source="a") + ramps(14, 200, source="a")[12:] + ramps(17, 100, source="b")[14:]
    source = one({"series": [{"path": write(rows), "name": "corpus", "held_out": 1e-9, "factors": [1]}]})
    assert (source.name, source.data, source.train.mixed, source.held_out) == ("corpus", ("corpus",), 0.5, None)
    assert [values.shape for values in source.train.series] == [(12, 100), (2, 200), (3, 100)]
    a, b = 12 * 10 + 2 * 200**0.5, 3 * 10
    expected = np.array([12 * 10 / a**0.5, 2 * 200**0.5 / a**0.5, 3 * 10 / b**0.5])
    np.testing.assert_allclose(source.train._chances, expected / expected.sum())
    assert source.jobs == {"forecast": 1.0, "impute": 1.0, "detect": 1.0}


def test_held_out_series_of_a_corpus_are_no_training_series_and_come_coarser_too(write):
    path = write(ramps(60, 300, source="a"))
    source = one({"series": [{"path": path, "name": "corpus", "held_out": 0.3, "factors": [1]}]})
    assert numbers(source.train) | numbers(source.held_out) == set(range(60))
    assert not numbers(source.train) & numbers(source.held_out)
    assert {values.shape[1] for values in source.held_out.series} == {300, 75}
    assert source.held_out.mixed == 0


def test_made_series_are_as_good_to_validate_with_as_to_train_on():
    source = one({"synthetic": {"shares": {"seasonal": 1}, "jobs": {"forecast": 2}}})
    assert isinstance(source.train, Synthetic)
    assert source.train is source.held_out
    assert (source.name, source.data, source.jobs, list(source.learnt())) == ("synthetic", (), {"forecast": 2.0}, [])


@pytest.mark.parametrize(("end", "last"), [(70, 69), (-20, 79), (None, 99)])
@pytest.mark.parametrize("count", [3, 30], ids=["few", "many"])
def test_no_step_at_or_after_the_stated_end_is_read(write, end, last, count):
    source = one(panel(write(ramps(count)), end=end))
    for windows in (source.train, source.held_out):
        assert max((values % 1000).max() for values in windows.series) <= last
    everything = [values for windows in (source.train, source.held_out) for values in windows.series]
    assert max((values % 1000).max() for values in everything) == last


def test_of_few_items_the_last_steps_are_held_out_and_of_many_whole_ones(write):
    few = one(panel(write(ramps(3))))
    assert [values.shape for values in few.train.series] == [(1, 90)] * 3
    assert [values[0, 0] % 1000 for values in few.held_out.series] == [90] * 3
    many = one(panel(write(ramps(30)), held_out=0.2))
    assert (len(many.train.series), len(many.held_out.series)) == (24, 6)
    assert not numbers(many.train) & numbers(many.held_out)


def test_series_that_a_data_set_keeps_apart_become_the_variables_of_one_item(write):
    source = one(panel(write(ramps(5)), together={"left": ["s0", "s3"], "right": ["s1"]}))
    assert [values.shape for values in source.train.series] == [(2, 90), (1, 90)]
    np.testing.assert_array_equal(source.train.series[0][:, 0], [0, 3000])
    assert numbers(source.train) == {0, 1, 3}


def test_series_that_do_not_cover_the_same_steps_are_not_one(write):
    rows = [{**row, "start": f"2020-01-0{k + 1}"} for k, row in enumerate(ramps(2))]
    with pytest.raises(DataError, match="'s0' and 's1' do not cover the same steps"):
        one(panel(write(rows), together={"both": ["s0", "s1"]}))


def test_a_series_that_does_not_reach_the_end_is_refused_as_its_test_months_would_be_learnt(write):
    with pytest.raises(DataError, match="'s0' of power has 100 steps, so it does not reach the end at step 101: name"):
        one(panel(write(ramps(3)), end=101))


def test_series_that_a_negative_end_takes_whole_are_left_out_and_all_of_them_are_refused(write):
    rows = [*ramps(3), {"item_id": "short", "target": [9e6] * 10, "freq": "h"}]
    assert numbers(one(panel(write(rows), end=-20)).train) == {0, 1, 2}
    with pytest.raises(DataError, match="The panel power has no series of 4 steps before its end -100"):
        one(panel(write(ramps(3)), end=-100))


@pytest.fixture
def labelled_file(tmp_path):
    path = tmp_path / "shapes.npz"
    labels = np.array(["b"] * 30 + ["a"] * 30)
    train = np.arange(60)[:, None] * 1000 + np.arange(20)
    np.savez(path, X_train=train, y_train=labels, X_test=train + 500, y_test=labels)
    return str(path)


def test_of_labelled_series_a_tenth_of_the_training_split_is_held_out_and_no_test_series_is_touched(labelled_file):
    source = one({"classes": [{"source": labelled_file}]})
    assert (source.name, source.classes, source.data) == ("shapes", ("a", "b"), (labelled_file,))
    assert (len(source.train.series), len(source.held_out.series)) == (54, 6)
    assert numbers(source.train) | numbers(source.held_out) == set(range(60))
    for windows in (source.train, source.held_out):
        assert max((values % 1000).max() for values in windows.series) == 19
        for values, label in zip(windows.series, windows.labels, strict=True):
            assert label == (values[0, 0] < 30_000)


def test_a_class_keeps_its_last_series_to_learn_from(tmp_path):
    path = tmp_path / "x.npz"
    series, labels = np.random.default_rng(0).standard_normal((6, 9)), np.array(list("aabbcd"))
    np.savez(path, X_train=series, y_train=labels, X_test=series, y_test=labels)
    source = one({"classes": [{"source": str(path), "held_out": 0.9}]})
    assert set(source.train.labels.tolist()) == {0, 1, 2, 3}


def test_labelled_series_may_serve_other_jobs_under_another_name(labelled_file):
    jobs = {"classify": 1, "impute": 0.2}
    source = one({"classes": [{"source": labelled_file, "name": "curves", "jobs": jobs}]})
    assert (source.name, source.jobs) == ("curves", jobs)
    assert [window.shape for window in source.train.draw(np.random.default_rng(0), 2, 8, 1)] == [(1, 8)] * 2


def test_detectors_data_are_their_training_parts_alone(tmp_path):
    frames = [
        pd.DataFrame({"item_id": f"s{k}", "value": 1000 * k + np.arange(100), "label": [0] * 90 + [1] * 10})
        for k in range(20)
    ]
    pd.concat(frames).to_csv(tmp_path / "pumps.csv", index=False)
    source = one({"normal": [{"source": str(tmp_path / "pumps.csv")}]})
    assert (len(source.train.series), len(source.held_out.series)) == (18, 2)
    assert numbers(source.train) | numbers(source.held_out) == set(range(20))
    assert {values.shape for values in (*source.train.series, *source.held_out.series)} == {(1, 15)}
    assert source.jobs == {"detect": 1.0}


def test_tasks_are_the_three_jobs_and_each_set_of_classes(labelled_file):
    sources = read(
        Sources.model_validate({"classes": [{"source": labelled_file}], "synthetic": {"shares": {"seasonal": 1}}})
    )
    assert tasks(sources) == {"forecast": None, "impute": None, "detect": None, "shapes": ["a", "b"]}


def test_what_is_learnt_is_every_variable_of_the_training_part(write):
    source = one(panel(write(ramps(4)), together={"pair": ["s0", "s1"], "other": ["s2"]}))
    assert [(int(row[0]), len(row)) for row in source.learnt()] == [(0, 90), (1000, 90), (2000, 90)]


def test_an_environment_variable_is_filled_in_and_an_unset_one_is_asked_for(write, monkeypatch, tmp_path):
    path = write(ramps(3)).replace(str(tmp_path), "$FOLDER_OF_DATA")
    monkeypatch.setenv("FOLDER_OF_DATA", str(tmp_path))
    assert len(one(panel(path)).train.series) == 3
    monkeypatch.delenv("FOLDER_OF_DATA")
    with pytest.raises(MissingError, match=r"\$FOLDER_OF_DATA/.* needs an environment variable"):
        one(panel(path))


@pytest.mark.parametrize(
    ("sources", "sentence"),
    [
        ({"panels": [{"name": "a", "source": "a.csv"}]}, "panels.0.end: Field required"),
        ({"panels": [{"name": "a", "source": "a.csv", "end": 0}]}, "would leave nothing: write null for all"),
        ({"panels": [{"name": "a", "source": "a.csv", "end": 5, "togther": {}}]}, "did you mean 'together'"),
        ({"synthetic": {"shares": {"seasonl": 1}}}, "by the name of 'seasonl': did you mean 'seasonal'"),
        ({"synthetic": {"shares": {"seasonal": 1}, "jobs": {"classify": 1}}}, "should be 'forecast', 'impute' or"),
        ({"classes": [{"source": "ucr:A"}, {"source": "x/A.npz"}]}, "two sources or jobs are called 'A'"),
        ({"classes": [{"source": "ucr:forecast"}]}, "two sources or jobs are called 'forecast'"),
        ({"telemetry": []}, "telemetry means nothing here"),
        ({}, "names no sources to train on: give series"),
    ],
)  # fmt: skip
def test_a_recipe_that_cannot_be_meant_is_refused_in_a_sentence(sources, sentence):
    with pytest.raises(RecipeError, match=sentence):
        read(checked(Sources, sources))


def test_what_is_held_out_does_not_depend_on_order_and_is_the_share_asked_for():
    names = [str(number).encode() for number in range(200)]
    chosen = apart(names, 0.1)
    assert chosen.sum() == 20
    np.testing.assert_array_equal(apart(names[::-1], 0.1), chosen[::-1])
    assert (apart(names, 0.3) | ~chosen).all()
    assert apart(names[:2], 0.01).sum() == 1
    assert not apart(names[:1], 0.9).any()


def test_twins_are_held_out_together_or_not_at_all():
    names = [str(number % 50).encode() for number in range(100)]
    chosen = apart(names, 0.1)
    np.testing.assert_array_equal(chosen[:50], chosen[50:])
    assert chosen.any()
    assert not apart([b"same"] * 5, 0.5).any()


@real_data
def test_of_the_electricity_transformers_only_the_training_year_is_learnt():
    file = f"{DATA}/forecasting/chronos/ETTh.jsonl.gz"
    ids = [f"ETTh1_{name}" for name in ("HUFL", "HULL", "MUFL", "MULL", "LUFL", "LULL", "OT")]
    source = one({"panels": [{"name": "ETTh", "source": file, "end": 8640, "together": {"ETTh1": ids}}]})
    year = np.concatenate([item.target[:, :8640] for item in load(file).select(ids)]).astype(np.float32)
    np.testing.assert_array_equal(np.concatenate([*source.train.series, *source.held_out.series], axis=1), year)


@real_data
@pytest.mark.parametrize("name", ["telemetry:MSL", "nab:"])
def test_of_anomaly_benchmarks_nothing_is_learnt_that_they_judge_by(name):
    source = one({"normal": [{"source": name}]})
    found = anomalous.load(name)
    parts = [*source.train.series, *source.held_out.series]
    assert sorted(part.shape for part in parts) == sorted(item.train.shape for item in found.items)
    whole = {item.train.astype(np.float32).tobytes() for item in found.items}
    assert {part.tobytes() for part in parts} == whole
    assert source.data == (("telemetry:MSL",) if name == "telemetry:MSL" else source.data)
    assert "nab:realTraffic" in source.data or name != "nab:"


def test_classes_that_come_with_aeon_are_read_by_name():
    pytest.importorskip("aeon")
    source = one({"classes": [{"source": "ucr:JapaneseVowels"}]})
    split = labelled.load("ucr:JapaneseVowels")
    assert source.train.widest == 12
    assert len(source.train.series) + len(source.held_out.series) == len(split.train)
    assert source.classes == tuple(split.classes.tolist())
