from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import DataError
from stillroom.prompts.counters import estimate
from stillroom.prompts.requests import chunks, prompt_file, requests

PIECES = [
    "One two. ", "Three four five!\n", "Why? ", '"So," she said. ', "e.g. 3.5 kg ", "今天去。", "学习吗？",
    "word ", "......", "\n\n", "   ", "anendlesswordwithoutanyend", "e\u0301", "👩\u200d👧",
]  # fmt: skip


def words(text: str) -> int:
    return len(text.split())


def test_chunks_end_with_sentences_and_are_as_long_as_the_limit_allows():
    text = "One two three. Four five! Six seven eight nine? Ten."
    assert chunks(text, words, 5) == ["One two three. Four five! ", "Six seven eight nine? Ten."]
    assert chunks(text, words, 4) == ["One two three. ", "Four five! ", "Six seven eight nine? ", "Ten."]


def test_quotes_and_brackets_stay_with_their_sentence():
    assert chunks('He said "go." (Twice.) Then he left.', words, 3) == ['He said "go." ', "(Twice.) ", "Then he left."]


def test_newlines_and_chinese_full_stops_end_sentences_and_decimal_points_do_not():
    assert chunks("a 3.5 b\nc d e", words, 3) == ["a 3.5 b\n", "c d e"]
    assert chunks("今天去。学习吗？好", len, 5) == ["今天去。", "学习吗？好"]


def test_a_sentence_too_long_by_itself_is_cut_between_words_and_a_word_between_characters():
    assert chunks("one two three four. five", words, 3) == ["one two three ", "four. ", "five"]
    assert chunks("abcdefgh. ij", len, 3) == ["abc", "def", "gh.", " ", "ij"]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join), st.integers(1, 20), st.sampled_from([len, words]))
def test_chunks_are_the_text_again_and_never_over_the_limit(text, limit, count):
    found = chunks(text, count, limit)
    assert "".join(found) == text
    assert all(count(chunk) <= limit for chunk in found)
    assert all(found)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from(["a. ", "b c. ", "d e f! "]), min_size=1, max_size=30), st.integers(3, 12))
def test_sentences_that_fit_are_packed_as_one_by_one(sentences, limit):
    expected = [sentences[0]]
    for sentence in sentences[1:]:
        if words(expected[-1] + sentence) <= limit:
            expected[-1] += sentence
        else:
            expected.append(sentence)
    assert chunks("".join(sentences), words, limit) == expected


def test_each_token_is_counted_a_few_times_however_long_the_document():
    counted = []

    def count(text: str) -> int:
        counted.append(words(text))
        return words(text)

    chunks("Five words are in here. " * 4000, count, 100)
    assert sum(counted) < 20 * 20_000


@pytest.mark.parametrize("text", ["." * 200_000, "a." * 100_000, " " * 200_000, "x" * 200_000, "\n" * 200_000])
def test_tables_of_dots_and_other_deserts_take_no_longer_than_prose(text):
    assert "".join(chunks(text, estimate, 512)) == text


def test_rows_have_a_name_made_of_what_they_ask_and_repeats_are_asked_once():
    documents = [{"id": 7, "body": "One two. Three four."}, {"body": "  Three four.\n"}, {"body": ""}, {"body": "One."}]
    rows = list(requests(documents, "body", words, 2))
    assert [(row["input"], row["source"], row["chunk"]) for row in rows] == [
        ("One two.", "7", 0),
        ("Three four.", "7", 1),
        ("One.", "3", 0),
    ]
    assert rows == list(requests(documents, "body", words, 2))
    assert next(requests(documents[1:], "body", words, 2))["row_id"] == rows[1]["row_id"]
    assert all(re.fullmatch("[0-9a-f]{16}", row["row_id"]) for row in rows)


@pytest.mark.parametrize("document", [{"text": "x"}, {"body": None}, {"body": 3}])
def test_a_document_without_text_is_named(document):
    with pytest.raises(DataError, match="row 0 has no text in the field 'body'"):
        list(requests([document], "body", words))


def test_half_a_character_and_an_empty_limit_are_refused():
    with pytest.raises(DataError, match="half a character"):
        chunks("a \ud800", words)
    with pytest.raises(DataError, match="allow 1 or more"):
        chunks("a", words, 0)


def test_the_prompt_file_is_the_published_instruction_with_its_source_and_licence():
    prompt = yaml.safe_load(prompt_file())
    assert set(prompt) == {"system", "user"}
    assert prompt["user"].count("{{ input }}") == 1
    assert "{" not in prompt["user"].replace("{{ input }}", "")
    for word in ("arXiv:2403.12968", "microsoft/LLMLingua", "Copyright (c) 2023 Microsoft, MIT License"):
        assert word in prompt_file()


def test_the_prompt_file_equals_the_published_one_to_the_letter_reference():
    folder = os.environ.get("STILLROOM_DATA")
    if not folder:
        pytest.skip("set STILLROOM_DATA to compare with the published instruction")
    path = Path(folder, "text/compression/llmlingua/compression_instructions.json")
    published = json.loads(path.read_text())["4"]
    prompt = yaml.safe_load(prompt_file())
    assert prompt["system"] == published["system_prompt"]
    assert prompt["user"] == published["user_prompt"].replace("{text_to_compress}", "{{ input }}")
