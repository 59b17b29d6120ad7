import pytest

from stillroom.chronos import load
from stillroom.demo import distill
from stillroom.demo.domain import fertility


@pytest.fixture
def result(tour):
    return distill.run(tour, series=6, steps=4)


def test_the_student_has_at_most_a_quarter_of_the_parameters(result):
    sizes = result.numbers["parameters"]
    assert sizes["student"] <= sizes["teacher"] / 4
    assert [row[1] for row in result.tables[0].rows] == ["", f"{sizes['teacher']:,}", f"{sizes['student']:,}"]


def test_teacher_and_student_score_the_same_when_they_are_loaded_again(result, tiny):
    domain, after = fertility(6), result.numbers["after"]
    assert domain.score(load(tiny))["WQL"] == pytest.approx(after["teacher"]["WQL"], rel=1e-5)
    assert domain.score(load(result.files[0]))["WQL"] == pytest.approx(after["student"]["WQL"], rel=1e-5)


def test_the_speed_of_both_is_measured(result):
    cost = result.numbers["milliseconds_a_series"]
    assert [row[-1] for row in result.tables[0].rows[1:]] == [f"{cost['teacher']:.2f}", f"{cost['student']:.2f}"]
    assert min(cost.values()) > 0
