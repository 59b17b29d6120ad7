"""JSON and YAML stay JSON and YAML, with the same keys, whatever words of their strings go."""

from __future__ import annotations

import json
import random
import time

import numpy as np
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.prompts import protection
from stillroom.prompts.span import Span
from stillroom.prompts.structure import json_spans, json_values
from stillroom.prompts.words import join, split
from stillroom.prompts.yaml_structure import yaml_blocks

PIECES = """the report of Größe, déjà-vu “quoted” say: 'no' - # 5 5kg C:\\temp {x} [y] & * ? | > ! % @ ` 不 我们 会议 😀
สวัสดี שלום \\ / " '' : :x x: #x a:b e-mail C++ ~ null true"""
WORDS = st.sampled_from([*PIECES.split(), "a\tb", "line\nline\n\n-"])
TEXT = st.lists(WORDS, max_size=8).map(" ".join) | st.text(max_size=12).filter(
    lambda text: not any("\ud800" <= char <= "\udfff" for char in text)
)
KEYS = st.sampled_from(["id", "notes", "Größe", "a b", 'quo"te', "名", "x\\y", ""])
SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXT
JSON = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4))
CONTAINERS = JSON.filter(lambda value: isinstance(value, list | dict) and bool(value))


def shape(value):
    """The value with its strings emptied: keys, order, numbers, booleans and null are what must not change."""
    if isinstance(value, dict):
        return {key: shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [shape(inner) for inner in value]
    return "" if isinstance(value, str) else value


def drop(text: str, spans: list[Span], seed: int, share: float = 0.5, cuts: bool = True) -> str:
    """Return the text without a random share of the words that no span keeps.

    Words may end at the edges of spans (`cuts`) or not; a word that a span touches stays.
    """
    kept = sorted((span.start, span.end) for span in spans if span.rate is None)
    edges = {edge for span in spans if span.reason not in ("number", "negation") for edge in span[:2]}
    words = split(text, edges if cuts else ())
    covered = np.zeros(len(text) + 1, dtype=np.int64)
    solid, reach = [], 0
    for start, end in kept:
        covered[start:end] = 1
        if end > reach:
            solid.append((max(start, reach), end))
            reach = end
    count = np.concatenate(([0], np.cumsum(covered)))
    draws = random.Random(seed)
    chosen = (count[words.end] > count[words.start]) | [draws.random() >= share for _ in range(len(words))]
    return join(words, chosen, np.array(solid, dtype=np.int64).reshape(-1, 2))[0]


@settings(max_examples=80, deadline=None)
@given(CONTAINERS, st.booleans(), st.sampled_from([None, 0, 2]), st.integers(0, 9), st.booleans())
def test_json_is_json_with_the_same_keys_and_numbers_whatever_words_go(value, ascii_only, indent, seed, cuts):
    text = json.dumps(value, ensure_ascii=ascii_only, indent=indent)
    for share, spans in ((0.5, json_spans(text)), (1.0, json_spans(text)), (0.5, protection.spans(text))):
        assert shape(json.loads(drop(text, spans, seed, share, cuts))) == shape(value)


@settings(max_examples=40, deadline=None)
@given(CONTAINERS, st.integers(0, 9))
def test_json_within_prose_is_found_and_stays_json(value, seed):
    text = f"Look at this [well], {{so to speak}}:\n{json.dumps(value, indent=1)}\nand tell me ('{{') what it says."
    start = text.index("\n") + 1
    end = text.rindex("\n")
    assert (start, end) in [(found.start, found.end) for found in json_values(text)]
    spans = [s._replace(start=s.start - start, end=s.end - start) for s in json_spans(text) if start <= s.start < end]
    assert shape(json.loads(drop(text[start:end], spans, seed))) == shape(value)


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet='{}[]",:\\ \nab01-.etrufalsn', max_size=60))
def test_spans_of_anything_are_in_range_and_apart(text):
    reach = 0
    for start, end, rate, _ in json_spans(text):
        assert rate is None
        assert reach <= start < end <= len(text)
        reach = end


@settings(max_examples=40, deadline=None)
@given(st.text(alphabet='{}[]",: ab1', max_size=30))
def test_every_value_found_is_json_as_the_reference_parser_reads_it(text):
    for value in json_values(text):
        json.loads(text[value.start : value.end])


def test_a_line_of_json_each_is_found_line_by_line():
    text = '{"a": "b c"}\n{"a": "d e"}\n'
    assert [text[value.start : value.end] for value in json_values(text)] == text.splitlines()


def test_what_is_whole_within_what_is_broken_is_found():
    assert [(v.start, v.end) for v in json_values('[oops {"a": [1, "b c"]} and {"d": "e"')] == [(6, 23)]


def test_rates_go_by_the_innermost_key():
    text = json.dumps(
        {"notes": "one two", "id": "three four", "deep": {"notes": [{"x": "five six", "id": "y z"}]}, "n": "m"}
    )
    spans = json_spans(text, {"notes": 0.3, "id": None})
    rates = {text[start:end]: rate for start, end, rate, _ in spans if rate is not None}
    assert rates == {"one two": 0.3, "five six": 0.3}
    kept = "".join(text[start:end] for start, end, rate, _ in spans if rate is None)
    assert "three four" in kept
    assert "y z" in kept
    assert '"m"' not in kept


def test_a_key_is_compared_as_what_it_says():
    text = json.dumps({"Größe": "one two"})
    assert "\\u00f6" in text
    assert [span.rate for span in json_spans(text, {"Größe": 0.2}) if span.rate] == [0.2]


@pytest.mark.parametrize("rate", [0, 2, -1, float("nan")])
def test_a_rate_that_is_none_is_refused_by_name(rate):
    with pytest.raises(RecipeError, match="'notes'"):
        json_spans("{}", {"notes": rate})
    with pytest.raises(RecipeError, match="'notes'"):
        yaml_blocks("a: b", {"notes": rate})


def test_escapes_are_kept_but_not_the_words_that_hold_one():
    text = '{"a": "so\\nviele Gr\\u00f6\\u00dfe \\u00dcber \\"das\\""}'
    kept = [text[start:end] for start, end, _, _ in json_spans(text)]
    assert kept == ['{"a": "', "\\n", "\\u00dc", '\\"', '\\"', '"}']


@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "unit",
    [
        "[",
        "{",
        '{"',
        '{"a":',
        "[1,",
        '["\\',
        '[{"a":[',
        "[ ",
        '{"a": "b"} [',
        '"\\',
        '[""',
        '{"a":"b",',
        "{ \n",
        "\\u",
        "[[]",
    ],
)
def test_broken_json_takes_no_longer_than_json(unit, size):
    text = unit * (size // len(unit))
    start = time.process_time()
    json_spans(text)
    assert time.process_time() - start < 1 + size / 300_000  # about a second a million; hours if it were quadratic


YAML = """\
# what to build
name: stillroom prompts
"quoted key": "a \\"quoted\\" value: with # signs, \\u00e9 and more"   # remark: here
'other': 'it''s one: of # those'
empty:
list:
  - first item of the list
  - name: inner name of it
    notes: |
      line one: of notes
        - deeper line

      # no remark but text
  - >-
    folded text goes
    on here
  - - nested one two
    - "nested: two"
same-level:
- plain and simple
- -5 is no item
- (see) note e-mail C++ now
text: goes on
  over two lines, so
flow: {a: b c, d: [e f, g]}
later:
  {g: h i,
   j: k l}
also:
  "quoted: one two three"
more: [one two,
  three four]
anchor: &here some words there
alias: *here
tagged: !!str 5 of them
url: see http://example.com/a:b for more
when: at 12:30 or so #5 ok # remark
中文: 时间:今天 下午 三点
--- # next
second: the next document
"""


def keys(value):
    if isinstance(value, dict):
        return {key: keys(inner) for key, inner in value.items()}
    return [keys(inner) for inner in value] if isinstance(value, list) else None


@pytest.mark.parametrize("cuts", [True, False])
def test_yaml_is_yaml_with_the_same_keys_whatever_words_go(cuts):
    text = YAML
    blocks = yaml_blocks(text)
    assert [(block.start, block.end) for block in blocks] == [(0, len(text.rstrip()))]
    whole = [keys(document) for document in yaml.safe_load_all(text)]
    for seed in range(40):
        left = drop(text, blocks[0].spans, seed, 1.0 if seed == 0 else 0.5, cuts)
        assert [keys(document) for document in yaml.safe_load_all(left)] == whole, left


NAMES = st.sampled_from(["name", "notes", "a-b", "x.y", "my key", "名"])
LINES = st.lists(WORDS.filter(lambda word: "\n" not in word and "\t" not in word), max_size=6).map(" ".join)
DATA = st.recursive(
    LINES | st.integers() | st.none() | st.booleans(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3),
    max_leaves=12,
)


@settings(max_examples=80, deadline=None)
@given(st.dictionaries(NAMES, DATA, min_size=2, max_size=4), st.integers(0, 9), st.booleans(), st.integers(30, 200))
def test_yaml_that_pyyaml_writes_keeps_its_keys_whatever_words_go(value, seed, cuts, width):
    text = yaml.safe_dump(value, allow_unicode=True, width=width, sort_keys=False)
    spans = [span for block in yaml_blocks(text) for span in block.spans]
    for share in (0.5, 1.0):
        left = drop(text, spans, seed, share, cuts)
        assert keys(yaml.safe_load(left)) == keys(value), (text, left)


def test_rates_of_yaml_go_by_the_innermost_key():
    text = "notes:\n  a: one two three\n  id: four five\nother: six seven\nlist:\n- notes: |\n    eight nine\n"
    (block,) = yaml_blocks(text, {"notes": 0.3, "id": None})
    assert {text[s:e].strip(): rate for s, e, rate, _ in block.spans if rate is not None} == {
        "one two three": 0.3,
        "eight nine": 0.3,
    }
    assert Span(text.index("four"), text.index("five") + 4, None, "yaml") in block.spans


@pytest.mark.parametrize(
    "text",
    [
        "A plain paragraph of prose.\nIt has a second line.",
        "Note: this is one line with a colon.\nThe next has none.",
        "He said: so: what?\nAnd: then: nothing.",
        "https://example.com\nhttp://example.org",
        "- an item\n- another item",
    ],
)
def test_prose_is_no_yaml(text):
    assert yaml_blocks(text) == []


@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "unit", ["a:\n", "- ", "a: b: c\n", " a:\n", "a", "- a: |\n", "a: '\n", ": ", "# a\n", "a: &a ", "a:\n b\n"]
)
def test_broken_yaml_takes_no_longer_than_yaml(unit, size):
    text = unit * (size // len(unit))
    start = time.process_time()
    yaml_blocks(text)
    assert time.process_time() - start < 1 + size / 300_000  # about a second a million; hours if it were quadratic
