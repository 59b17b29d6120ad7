from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stillroom.core.errors import DataError, RecipeError
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.rendering import Rendering
from stillroom.teacher.synthesis import batches, drawn, prompt, request, requests

SEEDS = [
    *({"input": f"My parcel number {n} has not arrived.", "topic": "delivery"} for n in range(40)),
    *({"input": f"I want my {n} euros back.", "topic": "refund"} for n in range(5)),
    {"input": "How do I delete my account?", "topic": "account"},
]


def shown(row: dict) -> list[str]:
    return row["input"].removeprefix("<example>\n").removesuffix("\n</example>").split("\n</example>\n\n<example>\n")


def test_each_row_shows_seeds_and_asks_for_inputs_of_its_topic():
    rows = list(requests(SEEDS, count=60, per_request=8, shown=6))
    assert {len(shown(row)) for row in rows} == {6}
    assert {text for row in rows for text in shown(row)} <= {row["input"] for row in SEEDS}
    assert [row["number"] for row in rows if row["topic"] == "refund"] == [8, 8, 4]
    assert [row["topic"] for row in rows[:4]] == ["delivery", "refund", "account", "delivery"]
    assert len({row["row_id"] for row in rows}) == len(rows) == 9


@given(st.integers(1, 200), st.integers(1, 20), st.integers(1, 7))
def test_topics_are_asked_for_alike_and_in_turns(count, per_request, topics):
    rows = list(requests([{"input": "a"}], count=count, per_request=per_request, topics=list("abcdefg"[:topics])))
    asked = Counter()
    for row in rows:
        asked[row["topic"]] += row["number"]
        assert max(asked.values()) - min(asked[topic] for topic in "abcdefg"[:topics]) <= per_request
    assert set(asked.values()) == {-(-count // topics)}


def test_seeds_of_rare_topics_are_shown_as_often_as_those_of_common_ones():
    texts = [text for row in requests(SEEDS, count=2400, shown=3) for text in shown(row)]
    topic = {row["input"]: row["topic"] for row in SEEDS}
    assert Counter(topic[text] for text in texts) == {"delivery": 300, "refund": 300, "account": 300}
    delivery = Counter(text for text in texts if topic[text] == "delivery")
    assert len(delivery) == 40
    assert max(delivery.values()) < 25  # of 7.5 on average: no seed is drawn far more often than others


def test_without_topics_the_teacher_chooses_and_all_seeds_are_drawn_alike():
    rows = list(requests([{"text": f"seed {n}"} for n in range(10)], count=800, shown=4, field="text"))
    assert {row["topic"] for row in rows} == {None}
    counts = Counter(text for row in rows for text in shown(row))
    assert len(counts) == 10
    assert max(counts.values()) < 2 * min(counts.values())


def test_a_single_seed_makes_requests_that_differ():
    rows = list(requests([{"input": "Hello?"}, {"input": " Hello? "}], count=20))
    assert [shown(row) for row in rows] == [["Hello?"]] * 3
    rendering = Rendering(Prompt.read(prompt()))
    assert len({rendering.request(row, "m").key for row in rows}) == 3


def test_the_same_seed_gives_the_same_bytes_in_other_processes_and_another_seed_others():
    program = """
import json, sys
from stillroom.teacher.synthesis import requests
seeds, seed = json.load(sys.stdin)
print(json.dumps(list(requests(seeds, count=40, seed=seed))))
"""

    def ask(seed: int) -> str:
        given = json.dumps([SEEDS, seed])
        return subprocess.run(
            [sys.executable, "-c", program], input=given, text=True, capture_output=True, check=True
        ).stdout

    assert ask(0) == ask(0) == json.dumps(list(requests(SEEDS, count=40))) + "\n"
    assert ask(0) != ask(1)


def test_the_prompt_is_one_that_the_label_job_takes():
    read = Prompt.read(prompt(), max_tokens=100)
    rendering = Rendering(read)
    [row, *_] = requests(SEEDS, count=8, per_request=2, topics=["shoes & boots"])
    sent = rendering.request(row, "m")
    system, user = (message["content"] for message in sent.body["messages"])
    assert "Make each unlike" in system
    assert '"required": ["input", "topic"]' in system
    assert user.endswith(f"{row['input']}\n\nWrite 2 new inputs of this kind. Their topic is: shoes & boots. "
                         "Repeat it as the topic of each.")  # fmt: skip
    assert (sent.input, sent.body["max_tokens"], sent.body["temperature"]) == (row["input"], 100, 1.0)
    second = rendering.request(request(["a"], 2, 3, wanted="yes"), "m").body["messages"][1]["content"]
    assert "The right answer to each of them should be: yes You wrote such lists before, this is number 2" in second
    assert "topic" not in second


def test_the_schema_takes_a_list_of_inputs_and_nothing_else():
    schema = prompt()["output"]["json_schema"]
    jsonschema.validate({"inputs": [{"input": "a", "topic": "b"}]}, schema)
    for wrong in ({}, {"inputs": ["a"]}, {"inputs": [{"input": "a"}]}, [{"input": "a", "topic": "b"}]):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


@given(st.lists(st.integers(), unique=True), st.integers(1, 12), st.text())
def test_what_is_drawn_is_a_sample_without_repetition(items, count, salt):
    sample = drawn(items, count, salt)
    assert len(sample) == len(set(sample)) == min(count, len(items))
    assert set(sample) <= set(items)
    assert drawn(items, count, salt) == sample


@given(st.integers(1, 1000), st.integers(1, 50))
def test_batches_add_up(count, per_request):
    found = batches(count, per_request)
    assert sum(number for _, number in found) == count
    assert [batch for batch, _ in found] == list(range(1, len(found) + 1))
    assert all(1 <= number <= per_request for _, number in found)


@pytest.mark.parametrize(
    ("seeds", "options", "kind", "sentence"),
    [
        ([], {}, DataError, "there are no seeds"),
        ([{"text": "a"}], {}, DataError, "seed 0 has no text in the field 'input'; its fields are: text"),
        ([{"input": "a"}, {"input": " "}], {}, DataError, "seed 1 has no text"),
        ([{"input": "a"}], {"count": 0}, RecipeError, "nothing to ask for"),
        ([{"input": "a"}], {"per_request": 0}, RecipeError, "nothing to ask for"),
        ([{"input": "a"}], {"shown": 0}, RecipeError, "show nothing"),
        ([{"input": "a"}], {"topics": []}, RecipeError, "list of topics is empty"),
    ],
)
def test_what_cannot_be_asked_is_refused_in_a_sentence(seeds, options, kind, sentence):
    with pytest.raises(kind, match=sentence):
        list(requests(seeds, **{"count": 8, **options}))
