from __future__ import annotations

import numpy as np
import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.language import metrics
from stillroom.language.intervals import interval
from stillroom.language.report import closed, compare, copied
from stillroom.language.scored import mean

SOURCES = [f"He have {number} cat." for number in range(12)]
RIGHT = [f"He has {number} cats." for number in range(12)]
GROUPS = ["en", "fr", "en"] * 4
SYSTEMS = {
    "teacher": RIGHT[:10] + SOURCES[10:],
    "student": RIGHT[:7] + [None] * 5,
    "base | 7B": [f"He has {number} cat." for number in range(12)],
    "copy": copied(SOURCES),
}


@pytest.fixture(scope="module")
def table():
    return compare(SYSTEMS, RIGHT, SOURCES, GROUPS, ("exact", "edit_f05", "chrf"))


def test_every_system_has_every_metric_over_all_rows_and_each_group(table):
    rows = table.rows()
    assert len(rows) == 4 * 3 * 3
    assert {(row["group"], row["n"]) for row in rows} == {("all", 12), ("en", 8), ("fr", 4)}
    assert list(rows[0]) == ["system", "group", "metric", "value", "low", "high", "n"]
    assert [row["system"] for row in rows[::3]][:4] == list(SYSTEMS)


def test_a_number_is_that_of_the_metric_on_the_rows_of_its_group(table):
    french = [place for place, group in enumerate(GROUPS) if group == "fr"]
    said, right, sources = ([column[i] for i in french] for column in (SYSTEMS["student"], RIGHT, SOURCES))
    for name in ("exact", "edit_f05", "chrf"):
        assert table.value("student", name, "fr") == pytest.approx(metrics.score(name, said, right, sources).value)
    assert table.value("teacher", "exact") == pytest.approx(10 / 12)
    assert table.value("copy", "edit_f05") == table.value("copy", "exact") == 0


def test_bounds_are_those_of_the_interval(table):
    row = next(row for row in table.rows() if (row["system"], row["metric"]) == ("teacher", "exact"))
    found = interval(metrics.score("exact", SYSTEMS["teacher"], RIGHT))
    assert (row["low"], row["high"]) == (found.low, found.high)
    assert row["low"] < row["value"] < row["high"]


def test_one_group_is_no_group():
    table = compare({"copy": SOURCES}, RIGHT, SOURCES, ["en"] * 12)
    assert [row["group"] for row in table.rows()] == ["all"]


def test_rows_without_a_language_are_a_group_too():
    table = compare({"copy": SOURCES}, RIGHT, SOURCES, ["en", ""] * 6)
    assert {row["group"] for row in table.rows()} == {"all", "en", "none"}


def test_markdown_has_a_line_for_each_system_of_each_group(table):
    lines = table.markdown().splitlines()
    assert lines[0] == "| group | system | rows | exact | edit_f05 | chrf |"
    assert len(lines) == 2 + 4 * 3
    assert r"base \| 7B" in lines[4]
    assert {line.replace(r"\|", "").count("|") for line in lines} == {7}
    assert lines[2].startswith("| all | teacher | 12 | 83.3 [")


def test_a_terminal_gets_the_same_numbers_aligned(table):
    lines = table.lines()
    assert [word for word in lines[0].split() if word != "│"] == [
        "group",
        "system",
        "rows",
        "exact",
        "edit_f05",
        "chrf",
    ]
    told = [line for line in lines if "[" in line]
    assert len(told) == 12
    for line in table.markdown().splitlines()[2:]:
        cells = [cell.strip().replace("\\|", "|") for cell in line.replace("\\|", "\0").strip("|").split("|")]
        cells = [cell.replace("\0", "|") for cell in cells]
        assert any(all(cell in other for cell in cells) for other in told)


def test_the_gap_closed_is_a_share_of_teacher_minus_the_best_baseline():
    rng = np.random.default_rng(0)
    draw = rng.random(2000)
    teacher, student, base, copy = (mean((draw < share).tolist()) for share in (0.7, 0.6, 0.1, 0.2))
    found = closed(student, teacher, base, copy)
    expected = (student.value - copy.value) / (teacher.value - copy.value)
    assert found.value == pytest.approx(expected)
    assert found.low < expected < found.high
    assert found.high - found.low < 0.2
    assert closed(teacher, teacher, base).value == 1
    assert closed(base, teacher, base).value == 0


def test_a_gap_that_is_not_there_cannot_be_closed():
    good, bad = mean([1.0] * 9 + [0.0]), mean([0.0] * 9 + [1.0])
    assert np.isnan(closed(good, bad, good).value)
    with pytest.raises(DataError, match="from a baseline"):
        closed(good, bad)


def test_faults_are_sentences():
    with pytest.raises(RecipeError, match="no metric"):
        compare({"copy": SOURCES}, RIGHT, SOURCES, metrics=["exakt"])
    with pytest.raises(DataError, match="student has 1 answers to 12 rows"):
        compare({"student": ["x"]}, RIGHT, SOURCES)
    with pytest.raises(DataError, match="2 groups for 12 rows"):
        compare({"copy": SOURCES}, RIGHT, SOURCES, ["en", "fr"])
    with pytest.raises(DataError, match="nothing to compare"):
        compare({}, RIGHT, SOURCES)
    with pytest.raises(DataError, match="edits are those of a source"):
        compare({"copy": SOURCES}, RIGHT, metrics=["edit_f05"])
