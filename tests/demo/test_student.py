import json

import pytest

from stillroom.demo import student
from stillroom.demo.tour import Tour
from stillroom.language.grammar.generate import LANGUAGES, distinct
from stillroom.language.intervals import Interval
from stillroom.language.scratch import Shape, network, vocabulary


@pytest.fixture(scope="module")
def untaught(tmp_path_factory):
    """A tiny Llama that has learned nothing, as teacher and as student."""
    shape = Shape(
        vocab_size=300, hidden_size=32, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2,
        max_position_embeddings=2048,
    )  # fmt: skip
    tokenizer = vocabulary([one.target for one in distinct(50)], shape)
    folder = tmp_path_factory.mktemp("models") / "untaught"
    network(shape, tokenizer).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


@pytest.fixture(scope="module")
def found(tiny, untaught, tmp_path_factory):
    """A tour whose teacher writes down what is right, and what the chapter found on it."""
    tour = Tour.of(str(tiny), tmp_path_factory.mktemp("out"))
    folder = tour.folder("student")
    learned, examined = distinct(60, seed=student.LEARN_SEED), distinct(20, part="test", seed=student.EXAM_SEED)
    student.write(folder / "labels.jsonl", learned, [one.target for one in learned])
    student.write(folder / "exam.jsonl", examined, [one.target for one in examined], exam=True)
    return tour, student.run(tour, untaught, untaught, LANGUAGES, rows=60, exam=20, steps=3)


def test_the_table_has_teacher_student_base_and_copy_in_four_languages(found):
    _, result = found
    rows = {row[0]: row for row in result.tables[0].rows}
    assert list(rows) == ["teacher", "student", "base", "copy"]
    assert result.tables[0].columns[1:] == ["all", "de", "en", "es", "fr"]
    assert rows["teacher"][1] == "100.0%"


def test_who_learned_nothing_closes_nothing(found):
    _, result = found
    assert result.numbers["gap_closed"] <= 0
    assert not result.numbers["kept"]


def test_a_second_run_asks_no_teacher_and_says_the_same(found, untaught):
    tour, first = found
    again = student.run(tour, "nobody", untaught, LANGUAGES, rows=60, exam=20, steps=3)
    assert again.numbers == first.numbers


def test_a_teacher_that_is_no_better_than_the_copy_leaves_no_gap():
    assert student._closed(Interval(float("nan"), float("nan"), float("nan"), 20)).startswith("the teacher is no")


def test_what_the_teacher_is_shown_is_one_mistake_a_language_and_never_the_exam():
    shown = student.shown()
    assert [one.language for one in shown] == ["en", "fr", "de", "es"]
    assert all(len(one.kinds) == 1 for one in shown)
    asked = {one.source for one in distinct(3000, seed=student.LEARN_SEED)}
    assert not asked & {one.source for one in shown}


def test_an_exam_holds_the_right_answer_beside_the_teachers(found):
    tour, _ = found
    row = json.loads((tour.folder("student") / "exam.jsonl").read_text().splitlines()[0])
    assert row.keys() == {"row_id", "input", "group", "answer", "teacher"}
