from __future__ import annotations

import numpy as np
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.language.judging import losses, references, table
from stillroom.language.metrics import METRICS, score
from stillroom.language.rows import Row

ROWS = [
    Row("he go home.", "he goes home.", group="en"),
    Row("she sings.", "she sings.", group="en"),
    Row("nous va.", "nous allons.", group="fr"),
    Row("we sees 2 cat.", "we see 2 cats.", group="en", extra={"references": ["we see 2 cats.", "we saw 2 cats."]}),
]
SAID = ["he goes home.", "she sang.", None, "we saw 2 cats."]


def test_the_right_answers_are_the_references_where_there_are_some():
    rows = [*ROWS, Row("x", "y", extra={"references": []}), Row("x", "y", extra={"references": "z"}), Row("x")]
    assert references(rows) == [
        "he goes home.",
        "she sings.",
        "nous allons.",
        ["we see 2 cats.", "we saw 2 cats."],
        "y",
        "z",
        "",
    ]


def test_a_right_row_loses_nothing_and_a_wrong_or_missing_one_all():
    assert losses("exact", ROWS, SAID).tolist() == [0, 1, 1, 0]


@pytest.mark.parametrize("metric", ["exact", "strict", "accuracy", "rouge_l"])
def test_a_metric_that_is_a_mean_over_rows_is_one_less_the_mean_loss(metric):
    assert 1 - losses(metric, ROWS, SAID).mean() == pytest.approx(score(metric, SAID, references(ROWS)).value)


@pytest.mark.parametrize("metric", ["edit_f05", "chrf", "bleu", "rouge_l", "exact", "strict"])
def test_a_rows_loss_is_that_of_the_row_alone(metric):
    found = losses(metric, ROWS, SAID)
    for place, (row, said) in enumerate(zip(ROWS, SAID, strict=True)):
        alone = score(metric, [said], references([row]), [row.input]).value
        assert found[place] == pytest.approx(1 - alone)


@pytest.mark.parametrize("metric", METRICS)
def test_every_loss_is_a_number_between_0_and_1(metric):
    rows = [Row(f"{n} go", f"{n} goes") for n in range(3)]
    for said in (["0 goes", "1 go", None], ["", "", ""], [None, None, None], ["0 goes", "1 goes", "2 goes"]):
        found = losses(metric, rows, said)
        assert found.shape == (3,)
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()


def test_a_row_with_nothing_to_correct_loses_nothing_if_it_is_left_alone():
    rows = [Row("she sings.", "she sings.")] * 3
    assert losses("edit_f05", rows, ["she sings.", "she sang.", None]).tolist() == [0, 1, 1]


def test_a_row_without_a_value_has_nothing_to_lose(monkeypatch):
    """A metric of one's own may have none where it divides by what a row lacks."""
    from stillroom.language.scored import Scored

    def shares(predictions, references, sources):
        return Scored(np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 0.0]]), lambda sums: sums[..., 0] / sums[..., 1])

    monkeypatch.setitem(METRICS, "shares", shares)
    with np.errstate(all="raise"):
        assert losses("shares", ROWS[:3], SAID[:3]).tolist() == [0.5, 0, 0]


def test_a_metric_that_is_none_and_answers_that_are_missing_are_one_sentence():
    with pytest.raises(RecipeError, match="there is no metric 'exakt': did you mean exact"):
        losses("exakt", ROWS, SAID)
    with pytest.raises(DataError, match="3 predictions and 4 references"):
        losses("exact", ROWS, SAID[:3])


def systems(found) -> list[str]:
    return list(dict.fromkeys(entry.system for entry in found.entries))


def test_the_table_sets_the_student_beside_the_copy_of_the_input():
    found = table(ROWS, {"student": SAID, "base": [None] * 4}, ["exact", "edit_f05"])
    assert systems(found) == ["student", "base", "copy"]
    assert found.value("student", "exact") == 0.5
    assert found.value("base", "exact") == 0
    assert found.value("copy", "exact") == 0.25
    assert found.value("copy", "edit_f05") == 0
    assert found.value("student", "exact", "fr") == 0
    assert found.value("student", "exact", "en") == pytest.approx(2 / 3)


def taught(*answers):
    return [
        Row(row.input, row.answer, group=row.group, extra={"teacher": said})
        for row, said in zip(ROWS, answers, strict=True)
    ]


def test_the_table_has_the_teacher_where_rows_hold_what_it_said():
    found = table(taught("he goes home.", "she sings.", None, "we see cats"), {"student": SAID}, ["exact"])
    assert systems(found) == ["teacher", "student", "copy"]
    assert found.value("teacher", "exact") == 0.5


def test_what_is_no_text_is_no_answer_of_the_teachers():
    found = table(taught(float("nan"), 3, None, "we see 2 cats."), {"student": SAID}, ["exact"])
    assert found.value("teacher", "exact") == 0.25


def test_several_references_count_for_all_systems():
    found = table(ROWS[3:], {"one": ["we see 2 cats."], "other": ["we saw 2 cats."]}, ["exact"])
    assert found.value("one", "exact") == found.value("other", "exact") == 1


def test_a_teacher_that_gave_some_rows_no_answer_stays_in_the_table_and_is_wrong_there():
    rows = [Row("a", "x", extra={"teacher": "x"}), Row("b", "y")]
    assert table(rows, {"student": ["x", "y"]}, ["exact"]).value("teacher", "exact") == 0.5
