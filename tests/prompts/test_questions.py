from __future__ import annotations

import gzip
import json

import pytest

from stillroom.core.errors import DataError
from stillroom.prompts.questions import Context, Question, asked, exact_match, plain, read

TEXT = "The Denver Broncos won in 2016; in 2016 they were 24."
SQUAD = {
    "data": [
        {
            "paragraphs": [
                {
                    "context": TEXT,
                    "qas": [
                        {
                            "id": "q1",
                            "question": "Who won?",
                            "answers": [{"text": "Denver Broncos", "answer_start": 4}],
                        },
                        {"id": "q2", "question": "When?", "answers": [{"text": "2016", "answer_start": 35}]},
                    ],
                }
            ]
        }
    ]
}


@pytest.mark.parametrize("name", ["set.json", "set.json.gz"])
def test_squads_form_is_read_packed_or_not(tmp_path, name):
    content = json.dumps(SQUAD).encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if name.endswith("gz") else content)
    assert read(tmp_path / name) == [
        Context(
            TEXT,
            (
                Question("q1", "Who won?", ("Denver Broncos",), ((4, 18),)),
                Question("q2", "When?", ("2016",), ((35, 39),)),
            ),
        )
    ]


@pytest.mark.parametrize(
    ("answers", "spans"),
    [
        (["2016"], ((26, 30), (35, 39))),
        ([{"text": "2016", "answer_start": 26}], ((26, 30),)),
        ({"text": ["2016", "24"], "answer_start": [26, 50]}, ((26, 30), (50, 52))),
        ({"text": ["24"]}, ((50, 52),)),
        ("24", ((50, 52),)),
        ('["24"]', ((50, 52),)),
        (["not there"], ()),
    ],
)
def test_rows_may_give_answers_in_many_forms_and_without_a_place_stand_wherever_they_occur(tmp_path, answers, spans):
    (tmp_path / "set.jsonl").write_text(json.dumps({"context": TEXT, "answers": answers}))
    [context] = read(tmp_path / "set.jsonl")
    assert context.questions[0].spans == spans


def test_rows_of_one_context_are_its_questions_and_have_names_of_their_own(tmp_path):
    rows = [
        {"context": TEXT, "answers": ["24"]},
        {"context": "b", "answers": ["b"]},
        {"context": TEXT, "answers": ["won"]},
    ]
    (tmp_path / "set.jsonl").write_text("\n".join(map(json.dumps, rows)))
    first, second = read(tmp_path / "set.jsonl")
    assert [question.answers for question in first.questions] == [("24",), ("won",)]
    names = [question.id for context in (first, second) for question in context.questions]
    assert len(set(names)) == 3
    assert read(tmp_path / "set.jsonl")[0].questions == first.questions


@pytest.mark.parametrize("content", ["{", '{"data": [{}]}', '{"data": 3}', "[]"])
def test_a_file_of_another_form_is_refused_in_one_sentence(tmp_path, content):
    (tmp_path / "set.json").write_text(content)
    with pytest.raises(DataError, match="needs contexts with answers"):
        read(tmp_path / "set.json")
    with pytest.raises(DataError, match="no file"):
        read(tmp_path / "none.json")


@pytest.fixture
def contexts():
    questions = (Question("q/1", "Who?", ("Denver Broncos", "Broncos"), ()), Question("q2", "When?", ("2016",), ()))
    return [Context(TEXT, questions)]


def test_every_question_is_asked_of_the_full_context_and_of_what_each_compressor_leaves(contexts):
    rows = list(asked(contexts, {"0.5": lambda text: text[:10]}))
    assert [row["row_id"] for row in rows] == ["q/1/full", "q2/full", "q/1/0.5", "q2/0.5"]
    assert rows[0]["input"] == f"{TEXT}\n\nWho?"
    assert rows[3]["input"] == "The Denver\n\nWhen?"


def test_answers_that_come_back_are_compared_with_gold_and_with_those_from_the_full_context(contexts):
    answers = {"q/1/full": "The Broncos!", "q2/full": "1999", "q/1/0.5": None, "q2/0.5": "1999.", "other/full": "x"}
    table = [{"row_id": name, "answer": answer} for name, answer in answers.items()]
    assert exact_match(contexts, table) == {
        "full": {"answers": 2, "exact_match": 0.5},
        "0.5": {"answers": 2, "exact_match": 0.0, "as_full": 0.5},
    }


def test_a_table_about_something_else_is_refused(contexts):
    with pytest.raises(DataError, match="no row of the label table"):
        exact_match(contexts, [{"row_id": "x", "answer": "y"}])


def test_answers_are_compared_as_squad_does():
    assert plain(" The  Broncos, of a Denver! ") == "broncos of denver"
