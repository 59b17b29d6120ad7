"""Chat messages: each by its own policy, and nothing but text is touched."""

from __future__ import annotations

import copy

import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.prompts.messages import Part, plan, rebuild

IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
CHAT = [
    {"role": "system", "content": "Be brief."},
    {
        "role": "user",
        "content": [{"type": "text", "text": "What is this?", "id": 7}, IMAGE, "And that?"],
        "name": "ann",
    },
    {"role": "assistant", "content": None, "tool_calls": [{"id": "1", "function": {"name": "f", "arguments": "{}"}}]},
    {"role": "tool", "content": "A long result.", "tool_call_id": "1", "compress": 0.2},
]


def test_every_text_of_every_message_is_compressed_unless_somebody_says_otherwise():
    assert plan(CHAT) == [
        Part(0, "Be brief.", "compress"),
        Part(1, "What is this?", "compress"),
        Part(1, "And that?", "compress"),
        Part(3, "A long result.", 0.2),
    ]


def test_the_policy_is_by_role_and_a_message_beats_it():
    policy = {"system": "keep", "user": 0.5, "*": "compress", "tool": "keep"}
    assert [part.rate for part in plan(CHAT, policy)] == [None, 0.5, 0.5, 0.2]
    assert [part.rate for part in plan(CHAT[:1], {"user": "keep"})] == ["compress"]
    assert [part.rate for part in plan(CHAT[:1], {"*": "keep"})] == [None]


@pytest.mark.parametrize(
    ("policy", "rate"), [("keep", None), ("compress", "compress"), (None, "compress"), (0.3, 0.3), (1, 1.0)]
)
def test_one_policy_may_be_for_all(policy, rate):
    assert plan([{"role": "user", "content": "a"}], policy) == [Part(0, "a", rate)]


@pytest.mark.parametrize(("own", "rate"), [(False, None), (True, "compress"), ("keep", None), (0.5, 0.5)])
def test_a_message_speaks_for_itself_in_plain_values(own, rate):
    assert plan([{"role": "user", "content": "a", "compress": own}], "keep") == [Part(0, "a", rate)]


def test_messages_are_put_together_again_with_all_else_untouched():
    before = copy.deepcopy(CHAT)
    texts = [part.text for part in plan(CHAT)]
    same = rebuild(CHAT, texts)
    assert same == [{key: value for key, value in message.items() if key != "compress"} for message in CHAT]
    changed = rebuild(CHAT, [text.upper() for text in texts])
    assert changed[1] == {
        "role": "user",
        "content": [{"type": "text", "text": "WHAT IS THIS?", "id": 7}, IMAGE, "AND THAT?"],
        "name": "ann",
    }
    assert changed[2] == CHAT[2]
    assert before == CHAT


@pytest.mark.parametrize("policy", ["squeeze", 0, 2, -0.5, float("nan"), ["keep"]])
def test_a_policy_that_is_none_is_named_with_its_message(policy):
    with pytest.raises(RecipeError, match="message 0"):
        plan([{"role": "user", "content": "a"}], {"user": policy})


@pytest.mark.parametrize("message", ["hello", 5, None])
def test_a_message_that_is_no_mapping_is_refused(message):
    with pytest.raises(DataError, match="message 1"):
        plan([CHAT[0], message])


def test_content_that_is_no_text_is_refused():
    with pytest.raises(DataError, match="message 0"):
        plan([{"role": "user", "content": 5}])


def test_no_messages_are_no_parts():
    assert plan([]) == []
    assert rebuild([], []) == []
