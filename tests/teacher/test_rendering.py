from __future__ import annotations

import json

import pytest

from stillroom.core.errors import DataError
from stillroom.teacher.prompt import Prompt
from stillroom.teacher.rendering import Rendering

PROMPT = Prompt.read(
    {
        "system": "You are careful and kind.",
        "instructions": {"text": "Label it well.", "compress": 0.5},
        "examples": [{"input": "good day", "output": "yes"}, {"input": "bad day", "output": "no"}],
        "user": "Text: {{ input }}",
        "output": {"one_of": ["yes", "no"]},
        "max_tokens": 4,
        "top_logprobs": 5,
    }
)


def first_words(text, rate):
    """A compressor: the first words."""
    words = text.split()
    kept = words[: max(1, round(rate * len(words)))]
    return " ".join(kept), len(words) - len(kept)


def test_a_row_becomes_the_messages_of_a_chat():
    request = Rendering(PROMPT).request({"input": "fine day"}, "m")
    assert request.body == {
        "model": "m",
        "messages": [
            {
                "role": "system",
                "content": "You are careful and kind.\n\nLabel it well.\n\nAnswer with exactly one of: yes, no.",
            },
            {"role": "user", "content": "Text: good day"},
            {"role": "assistant", "content": "yes"},
            {"role": "user", "content": "Text: bad day"},
            {"role": "assistant", "content": "no"},
            {"role": "user", "content": "Text: fine day"},
        ],
        "max_tokens": 4,
        "temperature": 0.0,
        "logprobs": True,
        "top_logprobs": 5,
    }
    assert (request.prefix, request.input, request.saved_tokens) == (5, "fine day", 0)
    assert request.size == sum(len(message["content"]) for message in request.body["messages"])


def test_the_static_prefix_is_compressed_once_and_is_the_same_in_every_request():
    calls = []

    def counting(text, rate):
        calls.append(text)
        return first_words(text, rate)

    rendering = Rendering(PROMPT, PROMPT.rates(0.5), counting)
    requests = [rendering.request({"input": f"row {number}"}, "m") for number in range(20)]
    assert sorted(calls) == ["Label it well.", "You are careful and kind.", "bad day", "good day"]
    prefixes = {json.dumps(request.body["messages"][: request.prefix]) for request in requests}
    assert len(prefixes) == 1
    assert all(request.saved_tokens == 3 + 1 + 1 + 1 for request in requests)
    assert [request.body["messages"][-1]["content"] for request in requests] == [f"Text: row {n}" for n in range(20)]


def test_the_rows_own_text_is_compressed_only_when_asked():
    asked = Prompt.read({"user": {"text": "Text: {{ input }} End", "compress": 0.5}, "max_tokens": 4})
    request = Rendering(asked, asked.rates(), first_words).request({"input": "one two three four"}, "m")
    assert request.body["messages"][-1]["content"] == "Text: one two End"
    assert (request.input, request.saved_tokens) == ("one two three four", 2)


def test_the_key_is_of_all_that_is_sent_and_of_nothing_else():
    rendering = Rendering(PROMPT)
    one = rendering.request({"input": "a", "other": 1}, "m")
    assert one.key == Rendering(PROMPT).request({"other": 2, "input": "a"}, "m").key
    others = [
        rendering.request({"input": "b"}, "m"), rendering.request({"input": "a"}, "n"),
        rendering.request({"input": "a"}, "m", sample=1),
        Rendering(Prompt.read(PROMPT, max_tokens=5)).request({"input": "a"}, "m"),
    ]  # fmt: skip
    assert len({one.key, *(other.key for other in others)}) == 5


def test_a_server_that_only_completes_gets_one_text():
    seed = Prompt.read(
        {
            "endpoint": "completions",
            "system": "Correct it.",
            "examples": [{"input": "He go.", "output": "He goes."}],
            "user": "{{ input }}",
            "template": "{% for one in examples %}[INST] {{ one.user }} [/INST] {{ one.assistant }}\n{% endfor %}"
            "[INST] {{ system }} {{ user }} [/INST]",
            "max_tokens": 9,
        }
    )
    body = Rendering(seed).request({"input": "She go."}, "m").body
    assert body["prompt"] == "[INST] He go. [/INST] He goes.\n[INST] Correct it. She go. [/INST]"
    assert "messages" not in body


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        ({"text": "a"}, r"row 7 has no 'input', which the prompt asks for; it has text"),
        ({}, "it has nothing"),
        ({"input": "half \ud83d"}, "half a character"),
    ],
)
def test_a_row_that_does_not_fit_is_named(row, sentence):
    with pytest.raises(DataError, match=sentence):
        Rendering(PROMPT).request(row, "m", name="row 7")


@pytest.mark.parametrize("template", ["{{ ''.__class__.__mro__ }}", "{{ [1, 2] | random }}", "{{ lipsum() }}"])
def test_templates_can_neither_reach_out_nor_draw_lots(template):
    from stillroom.core.errors import UserError

    with pytest.raises(UserError):
        Rendering(Prompt.read({"user": template, "max_tokens": 1})).request({"input": "a"}, "m")


def test_the_input_is_the_column_that_the_prompt_is_about():
    def named(user, row, **more):
        return Rendering(Prompt.read({"user": user, "max_tokens": 1, **more})).request(row, "m").input

    assert named("Say: {{ text }}", {"text": "a", "input": "b"}) == "a"
    assert named("{{ q }} {{ input }}", {"q": "a", "input": "b"}) == "b"
    assert named("{{ q }} {{ c }}", {"q": "a", "c": "b"}) == "a b"
    assert named("{{ q }} {{ c }}", {"q": "a", "c": "b"}, input="c") == "b"
