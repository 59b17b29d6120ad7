from __future__ import annotations

import json

import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.balance import agreeing, thin
from stillroom.teacher.harvest import harvest


def table(**sizes: int) -> list[dict]:
    return [
        {"row_id": f"{name}{n}", "input": f"The {name} thing number {n} is here.", "answer": name}
        for name, size in sizes.items()
        for n in range(size)
    ]


def test_thin_classes_are_topped_up_to_the_median_with_inputs_of_their_own():
    rows = thin(table(huge=90, usual=20, rare=3, few=12))
    asked = {name: sum(row["number"] for row in rows if row["wanted"] == name) for name in ("rare", "few")}
    assert asked == {"rare": 13, "few": 4}
    assert [row["wanted"] for row in rows] == ["rare", "rare", "few"]
    assert [(row["batch"], row["number"]) for row in rows] == [(1, 8), (2, 5), (1, 4)]
    assert all(row["input"].count(f"The {row['wanted']} thing") == row["input"].count("<example>") for row in rows)
    assert [row["input"].count("<example>") for row in rows] == [3, 3, 6]
    assert thin(table(huge=90, usual=20, rare=3, few=12)) == rows


def test_a_target_counts_for_all_and_balanced_classes_ask_for_nothing():
    assert sum(row["number"] for row in thin(table(a=9, b=3), target=10)) == 8
    assert thin(table(a=9, b=9, c=9)) == []


def test_answers_that_cannot_be_trusted_do_not_count():
    labels = table(a=4, b=4)
    labels[0]["answer"], labels[1]["finish_reason"] = None, "length"
    labels.append(labels[2])  # the same input again
    [row] = thin(labels, target=4)
    assert (row["wanted"], row["number"]) == ("a", 2)


def test_harvested_inputs_carry_what_was_wanted_and_stay_if_the_teacher_agrees():
    labels = table(complaint=6, praise=2)
    asked = thin(labels, target=6)
    said = ["That thing broke twice already.", "What a lovely thing, thank you!", "The colour of it is a dream."]
    answer = json.dumps({"inputs": [{"input": text, "topic": "things"} for text in said]})
    found = harvest([{"row_id": asked[0]["row_id"], "answer": answer}], asked, labels)
    assert [(row["wanted"], row["topic"]) for row in found.kept] == [("praise", "things")] * 3
    ids = [row["row_id"] for row in found.kept]
    answered = [{"row_id": ids[0], "answer": "complaint"}, *({"row_id": ids[1], "answer": a} for a in ("praise", None))]
    judged = agreeing(found.kept, answered)
    assert [(row["input"], row["answer"]) for row in judged.kept] == [(said[1], "praise")]
    assert [why for _, why in judged.dropped] == ["answered otherwise: complaint", "no answer"]
    assert judged.tally == {"kept": 1, "answered otherwise": 1, "no answer": 1}


def test_a_teacher_that_disagrees_with_itself_does_not_agree():
    rows = [{"row_id": "a", "input": "x", "wanted": "yes"}, {"row_id": "b", "input": "y", "wanted": None}]
    labels = [{"row_id": name, "answer": said} for name, said in (("a", "yes"), ("a", "no"), ("b", "no"), ("b", "no"))]
    judged = agreeing(rows, labels)
    assert [row["row_id"] for row in judged.kept] == ["b"]
    assert [why for _, why in judged.dropped] == ["answered otherwise: no, yes"]


def test_a_class_has_no_more_than_its_share():
    labels = table(a=4, b=3)
    asked = thin(labels, target=4)
    answer = json.dumps(["One lamp stands in the hall.", "Who has painted the garden door?"])
    found = harvest([{"row_id": asked[0]["row_id"], "answer": answer}], asked, labels)
    assert found.tally == {"kept": 1, "topic is full": 1}


def test_what_cannot_be_balanced_is_refused_in_a_sentence():
    with pytest.raises(DataError, match="no row has an input and an answer"):
        thin([])
    with pytest.raises(DataError, match="most of the 5 answers were given once"):
        thin(table(a=1, b=1, c=1, d=1, e=7))
    with pytest.raises(RecipeError, match="show nothing"):
        thin(table(a=1, b=3), shown=0)
