import pytest

from stillroom.chronos import load
from stillroom.demo import adapt
from stillroom.demo.domain import fertility


@pytest.fixture
def result(tour):
    return adapt.run(tour, series=6, steps=4)


def test_the_verdict_is_told_as_the_gate_gave_it(result):
    verdict = result.numbers["verdict"]
    assert any(verdict.sentence in sentence for sentence in result.sentences)
    assert "thin" in verdict.sentence  # six series are


def test_the_adapted_model_is_shown_only_if_the_gate_kept_it(result):
    names = [row[0] for row in result.tables[0].rows]
    assert names == ["seasonal-naive", "tiny"] + ["tiny, adapted"] * result.numbers["verdict"].keep


def test_what_was_kept_scores_the_same_when_it_is_loaded_again(result):
    kept = list(result.numbers["after"].values())[-1]
    assert fertility(6).score(load(result.files[0]))["WQL"] == pytest.approx(kept["WQL"], rel=1e-5)
