from __future__ import annotations

import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.teacher.harvest import harvest
from stillroom.teacher.synthesis import INSTRUCTIONS, request, requests

SEEDS = [
    {"input": "Where is the parcel that I ordered from you last week?", "topic": "delivery"},
    {"input": "I sent the shoes back and want my money, how long does that take?", "topic": "refund"},
    {"input": "Please delete my account.", "topic": "account"},
]
NEW = [
    "The courier says he left the box with a neighbour, but nobody here has it.",
    "Can you ship two lamps to Norway before Christmas?",
    "My tracking page has been empty since Monday morning.",
    "Your driver rang once and drove off with my new kettle.",
    "Is a signature needed when the wardrobe is brought upstairs?",
]


def answer(*inputs: str, topic: str = "delivery") -> str:
    return json.dumps({"inputs": [{"input": text, "topic": topic} for text in inputs]})


def put(*answers: str | None, number: int = 100, **columns) -> tuple[list[dict], list[dict]]:
    """Labels with these answers, and the rows that asked for them."""
    asked = [request(["a"], batch, number, "delivery") for batch in range(1, len(answers) + 1)]
    rows = zip(asked, answers, strict=True)
    return [{"row_id": row["row_id"], "answer": text, "finish_reason": "stop", **columns} for row, text in rows], asked


def reasons(*texts: str, seeds: list[dict] = SEEDS) -> list[str]:
    return [reason for _, reason in harvest(*put(answer(*texts)), seeds).dropped]


def test_new_inputs_are_kept_as_rows_for_the_label_job():
    labels, asked = put(answer(*NEW[:2]), answer(NEW[2], topic="parcels"))
    found = harvest(labels, asked, SEEDS)
    assert [row["input"] for row in found.kept] == NEW[:3]
    assert len({row["row_id"] for row in found.kept}) == 3
    assert {row["topic"] for row in found.kept} == {"delivery"}  # what the teacher calls it is none of those asked for
    assert [row["request"] for row in found.kept] == [asked[0]["row_id"]] * 2 + [asked[1]["row_id"]]
    assert found.tally == {"kept": 3}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no text"),
        ("  \n ", "no text"),
        ("Hi there.", "too short: 9 characters, the least is 12.5"),
        (" ".join(NEW), "too long: "),
        ("Dear [insert name], where is the lamp?", "placeholder: [insert name]"),
        ("TODO: ask about the missing lamp.", "placeholder: TODO"),
        ("I live at <your address>, when do you come?", "placeholder: <your address>"),
        ("Hello {{ name }}, where is the blue lamp?", "placeholder: {{ name }}"),
        ("Где моя посылка, которую я заказал на прошлой неделе?", "another script: cyrillic"),
        ("我上周订购的包裹现在在哪里，为什么还没有送到？", "another script: cjk"),
        ("0123456789 0123456789", "another script: none"),
        (INSTRUCTIONS[:115], "copy of the prompt"),
        ("Do not answer the inputs, do not explain them!", "copy of the prompt"),
        ("where is the parcel that I ordered from you LAST WEEK", "near-duplicate: of seed 0"),
        ("Please, delete my account now.", "near-duplicate: of seed 2"),
    ],
)
def test_planted_bad_inputs_are_dropped_with_their_reason(text, reason):
    found = harvest(*put(answer(NEW[0], text, NEW[1])), SEEDS)
    assert [row["input"] for row in found.kept] == NEW[:2]
    [(row, why)] = found.dropped
    assert row["input"] == text.strip()
    assert why.startswith(reason)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "no answer"),
        ("", "no answer"),
        ("Sorry, I cannot help with that.", "not JSON"),
        ('{"inputs": [{"input": "Where', "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("{}", "no inputs"),
        ('{"inputs": []}', "no inputs"),
        ('{"inputs": "Where is it?"}', "no inputs"),
        ("3", "no inputs"),
        ('{"inputs": [null]}', "no text"),
        ('{"inputs": [{"input": 3, "topic": 4}]}', "no text"),
        ('{"inputs": [[["a"]]]}', "no text"),
    ],
)
def test_answers_that_are_none_are_dropped_with_their_reason(text, reason):
    found = harvest(*put(text, answer(NEW[0])), SEEDS)
    assert [why for _, why in found.dropped] == [reason]
    assert found.tally == {"kept": 1, reason: 1}


def test_requests_without_a_label_and_answers_that_were_cut_short_are_counted():
    labels, asked = put(answer(NEW[0]), answer(NEW[1]), answer(NEW[2]))
    labels[1]["finish_reason"] = "length"
    found = harvest(labels[:2], asked, SEEDS)
    assert found.tally == {"kept": 1, "cut short": 1, "no answer": 1}


@pytest.mark.parametrize("around", ["```json\n{}\n```", "```\n{}\n```", "Here they are:\n\n{}\n\nTell me if …", " {} "])
@pytest.mark.parametrize("bare", [False, True])
def test_fences_words_around_and_bare_lists_are_read(around, bare):
    inside = json.dumps(NEW[:2]) if bare else json.dumps(json.loads(answer(*NEW[:2])), indent=2)
    found = harvest(*put(around.replace("{}", inside, 1)), SEEDS)
    assert [row["input"] for row in found.kept] == NEW[:2]


def test_what_was_kept_is_not_kept_again():
    found = harvest(*put(answer(NEW[0]), answer(NEW[0].upper(), NEW[1])), SEEDS)
    assert [row["input"] for row in found.kept] == NEW[:2]
    assert [why for _, why in found.dropped] == [f"near-duplicate: of {found.kept[0]['row_id']}"]


def test_placeholders_and_scripts_that_the_seeds_have_are_theirs():
    assert reasons("Dear [insert name], where is the lamp?", seeds=[*SEEDS, {"input": "Dear [your name], hello"}]) == []
    japanese = [{"input": "先週注文した荷物はどこにありますか"}]
    assert reasons("アカウントをキャンセルできますか", "返金手続完了日連絡希望", seeds=japanese) == []
    assert reasons("Where is the parcel?", seeds=japanese) == ["another script: latin"]


def test_each_topic_has_its_share_and_no_more():
    asked = list(requests(SEEDS, count=6, per_request=2))
    said = {"delivery": NEW[:5], "refund": ["When will I have the forty euros for the coat?"], "account": []}
    labels = [{"row_id": row["row_id"], "answer": answer(*said[row["topic"]], topic=row["topic"])} for row in asked]
    found = harvest(labels, asked, SEEDS)
    assert [row["topic"] for row in found.kept] == ["delivery", "delivery", "refund"]
    assert [why for _, why in found.dropped] == ["topic is full: delivery"] * 3 + ["no inputs"]
    assert harvest(labels, asked, SEEDS, count=10).tally["kept"] == 5  # four a topic, though two were asked for
    assert harvest(labels, asked, SEEDS, count=1).tally["kept"] == 2


def test_an_input_belongs_to_the_topic_the_teacher_gives_it_if_that_was_asked_for():
    asked = list(requests(SEEDS, count=3, per_request=1))
    labels = [{"row_id": asked[0]["row_id"], "answer": answer(NEW[0], topic="refund")}]
    labels += [{"row_id": asked[1]["row_id"], "answer": answer(NEW[1], topic="money")}]
    found = harvest(labels, asked, SEEDS)
    assert [(row["input"], row["topic"]) for row in found.kept] == [(NEW[0], "refund")]
    assert [why for _, why in found.dropped] == ["topic is full: refund", "no answer"]


def test_without_topics_the_teacher_s_own_are_kept():
    seeds = [{"text": row["input"]} for row in SEEDS]
    asked = list(requests(seeds, count=2, field="text"))
    labels = [{"row_id": asked[0]["row_id"], "answer": answer(*NEW[:3], topic="lamps")}]
    found = harvest(labels, asked, seeds, field="text")
    assert [(row["text"], row["topic"], row["wanted"]) for row in found.kept] == [(t, "lamps", None) for t in NEW[:2]]
    assert found.tally == {"kept": 2, "topic is full": 1}


def test_the_prompt_that_was_put_is_the_one_not_to_copy():
    other = {"user": "The courier says he left the box with a neighbour: {{ input }}"}
    labels, asked = put(answer(*NEW[:2]))
    assert harvest(labels, asked, SEEDS, asked_with=other).tally == {"kept": 1, "copy of the prompt": 1}


@settings(max_examples=25, deadline=None)
@given(
    st.randoms(use_true_random=False), st.lists(st.lists(st.sampled_from([*NEW, "", "TODO"])), min_size=1, max_size=5)
)
def test_the_order_of_the_labels_makes_no_difference(chance: random.Random, answers):
    labels, asked = put(*(answer(*inputs) for inputs in answers), number=2)
    labels += [{**label, "answer": answer(*NEW[::-1])} for label in labels[:2]]  # a second sample
    shuffled = chance.sample(labels, len(labels))
    assert harvest(labels, asked, SEEDS) == harvest(shuffled, asked, SEEDS)


def test_half_characters_do_no_harm():
    [row] = harvest(*put('{"inputs": ["Where is my \\ud83d lamp, please?"]}'), SEEDS).kept
    assert row["input"] == "Where is my ? lamp, please?"


def test_tables_of_other_jobs_are_refused_and_their_rows_passed_over():
    labels, asked = put(answer(NEW[0]))
    other = {"row_id": "other", "answer": answer(NEW[1])}
    assert harvest([other, *labels], asked, SEEDS).tally == {"kept": 1}
    with pytest.raises(DataError, match="no label answers one of the requests"):
        harvest([other], asked, SEEDS)
    with pytest.raises(DataError, match="row 0 of the label table has no row_id or no answer"):
        harvest(SEEDS, asked, SEEDS)
    with pytest.raises(DataError, match="there are no seeds"):
        harvest(labels, asked, [])
