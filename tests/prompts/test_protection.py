"""What is protected, kind by kind; how much of prose that is; and how long it takes at worst."""

from __future__ import annotations

import gzip
import json
import os
import re
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from stillroom.core.errors import RecipeError
from stillroom.prompts.protection import DEFAULT, spans
from stillroom.prompts.words import split


def found(text: str, kind: str) -> list[str]:
    return [text[start:end] for start, end, _, _ in spans(text, [kind])]


def covered(text: str, part: str, kinds=DEFAULT) -> bool:
    """Whether every character of a part of a text is protected."""
    start = text.index(part)
    inside = {place for span in spans(text, kinds) if span.rate is None for place in range(span.start, span.end)}
    return inside >= set(range(start, start + len(part)))


@pytest.mark.parametrize(
    "placeholder",
    [
        "{name}", "{0}", "{}", "{user.name!r:>10}", "{your name here}", "{{ name }}", "{{ a | default(b) }}",
        "{{multi\nline}}", "{% if user %}", "{%- endif -%}", "{# a remark #}", "<placeholder>", "<your name>",
        "</context>", '<doc id="5">', "<<NAME>>", "<|im_start|>", "${HOME}", "$HOME", "%s", "%(name)s", "%5.2f",
        "%d", "[[X]]", "[[your name]]", "[NAME]", "[/INST]",
    ],
)  # fmt: skip
def test_placeholders_stay(placeholder):
    assert found(f"Dear old {placeholder}, so to speak", "placeholder") == [placeholder]


@pytest.mark.parametrize("text", ["a < b and c > d", "100 % of it", "x = [1]", "it costs $", "{", "if a<b", "50% of"])
def test_signs_that_are_no_placeholders_may_go(text):
    assert found(text, "placeholder") == []


@pytest.mark.parametrize(
    "number",
    [
        "5", "1,234.50", "1.000,50 €", "€ 5", "$1,250.00", "USD 1,000", "5 EUR", "CHF 1'000", "5 kg", "5kg",
        "10–20 km", "5 km/h", "5 %", "5%", "12:30", "12:30:05", "7 p.m.", "8 Uhr", "2024-01-05", "5/6/2024",
        "5. Januar 2024", "January 5, 2024", "5 de enero de 2024", "3 Mio. €", "5 million euros", "v1.2.3",
        "1.2.3-beta", "1st", "2nd", "3º", "§ 3", "Nr. 5", "No. 7", "+49 30 123456", "+1 (555) 123-4567",
        "(555) 123-4567", "-5", "−7 °C", ".5", "3.14e-10", "½", "3/4", "#5", "GPT-4", "COVID-19", "H2O",
        "２００５年", "2024年1月5日", "5公斤", "100元", "二十三个", "第三", "٣٤", "192.168.0.1", "0x1F",
        "30-year-old", "1 000 000", "12h30", "20th", "5 Stunden", "10 años", "3 heures", "€5m", "~5", "< 5 ms",
        "20 mg/l",
    ],
)  # fmt: skip
def test_numbers_stay_with_what_makes_them_one_quantity(number):
    assert covered(f"It is about {number} or so", number, ["number"])
    assert not covered(f"It is about {number} or so", "about", ["number"])


@pytest.mark.parametrize(
    ("text", "negation"),
    [
        ("I do not know", "not"), ("I don't know", "don't"), ("I don’t know", "don’t"), ("they CAN'T", "CAN'T"),
        ("Never mind", "Never"), ("without a cause", "without"), ("Das ist nicht wahr", "nicht"),
        ("keine Zeit", "keine"), ("in keinesfalls", "keinesfalls"), ("Ohne Mühe", "Ohne"),
        ("je n'en ai pas", "n'en"), ("je n’en ai pas", "pas"), ("il ne dort jamais", "ne"),
        ("sans rien", "rien"), ("no lo sé", "no"), ("ni uno ni otro", "ni"), ("él tampoco", "tampoco"),
        ("non lo so", "non"), ("né questo", "né"), ("senza", "senza"), ("não sei", "não"), ("nem um", "nem"),
        ("ik weet het niet", "niet"), ("geen idee", "geen"), ("jag vet inte", "inte"), ("nie wiem", "nie"),
        ("я не знаю", "не"), ("нельзя", "нельзя"), ("δεν ξέρω", "δεν"), ("bilmiyorum değil", "değil"),
        ("我不知道", "不"), ("我没有钱", "没"), ("無理です", "無"), ("知らない", "ない"),
        ("知りません", "ません"), ("모르지 않다", "않"), ("لا أعرف", "لا"), ("אני לא יודע", "לא"),
        ("मैं नहीं जानता", "नहीं"), ("ไม่รู้", "ไม่"),
    ],
)  # fmt: skip
def test_negations_stay(text, negation):
    assert covered(text, negation, ["negation"])


@pytest.mark.parametrize(
    "text", ["notes on knots", "Nichte", "pasta", "nova", "非常好", "特别", "别人", "未来", "是否", '"\\not"']
)
def test_words_that_only_look_like_negations_may_go(text):
    assert found(text, "negation") == []


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("See https://example.com/a(b)?x=1&y=2#z.", "https://example.com/a(b)?x=1&y=2#z"),
        ("(at http://example.com/a)", "http://example.com/a"),
        ("at www.example.com, say", "www.example.com"),
        ("at example.com/path, say", "example.com/path"),
        ("at ftp://host:21/x; then", "ftp://host:21/x"),
        ("网址https://例え.jp/路径，然后", "https://例え.jp/路径"),
    ],
)
def test_addresses_of_the_web_stay_without_the_punctuation_around_them(text, address):
    assert any(hit.endswith(address) for hit in found(text, "url"))


def test_addresses_of_e_mail_stay():
    assert found("Write to ann.b+c@mail.example.co.uk, or @ann.", "email") == ["ann.b+c@mail.example.co.uk"]


def test_code_stays():
    block = "```python\n# no heading\nx = 1\n```"
    text = f"Use `a b` and ``c ` d`` here, not Bob`s or one `.\n\n{block}\nand ~~~ no\n~~~\nopen end\n"
    assert found(text, "code") == ["`a b`", "``c ` d``", block, "~~~\nopen end\n"]


def test_a_fence_closes_only_a_fence_of_its_own_kind():
    text = "````\n```\n~~~\n````  \nprose\n"
    assert found(text, "code") == ["````\n```\n~~~\n````  "]


def test_a_fenced_block_of_json_or_yaml_is_data_and_of_anything_else_code():
    text = 'A:\n```json\n{"a": "b c"}\n```\nB:\n```yaml\na: b c\nd: e f\n```\nC:\n```json\n{"a": oops}\n```\n'
    for part in ("```json", '{"a": "', "```yaml", "a: b", "d: e", '{"a": oops}'):
        assert covered(text, part), part
    for part in ("b c", " f"):
        assert not covered(text, part), part
    assert covered(text, '{"a": "b c"}', ["code"])


def test_json_on_many_lines_is_not_taken_for_yaml():
    text = json.dumps({"a": {"b": "one two", "c": ["three four"]}, "d": "five six"}, indent=2)
    for before in ("", "name: of it\ndata:\n  "):
        for part in ("one two", "three four", "five six"):
            assert not covered(before + text, part), part
        for part in ('"a": {', '"b": "', '"d": "'):
            assert covered(before + text, part), part


def test_headings_stay_whole_and_lists_and_quotes_keep_their_markers():
    text = "# One two\nthree\n\nFour five\n=========\n- six\n  1. seven\n- [ ] eight\n> nine\n> - ten\n#x\na) y\n"
    assert found(text, "heading") == ["# One two", "Four five\n========="]
    assert found(text, "list") == ["-", "  1.", "- [ ]", ">", "> -", "a)"]


def test_tables_keep_their_head_and_their_bars():
    text = "Before | it\n\n| a b | c |\n|:---|---:|\n| one two | three |\nfour | five six\n\nafter | it\n"
    kept = found(text, "table")
    assert kept[0] == "| a b | c |\n|:---|---:|"
    assert "".join(kept[1:]) == "|||f|x"


def test_spans_are_sorted_and_what_is_kept_never_overlaps():
    text = "# Pay $5 to {name} at https://a.com/5?not=1 `not 5`\n" + json.dumps(
        {"notes": "do not pay 5 kg", "id": "x y"}
    )
    every = spans(text, patterns=["pay.*to"], rates={"notes": 0.3})
    assert [span.start for span in every] == sorted(span.start for span in every)
    kept = [span for span in every if span.rate is None]
    assert all(before.end <= after.start for before, after in pairwise(kept))
    (rated,) = (span for span in every if span.rate is not None)
    assert text[rated.start : rated.end] == "do not pay 5 kg"
    inside = [text[span.start : span.end] for span in kept if rated.start <= span.start < rated.end]
    assert inside == ["not", "5 kg"]


SIGNS = "{}[]<>$%#`~*-+|:./\\\"'@_=!? \n\t5a0né不2世第月’€½😀\u0301\u200dא"


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=SIGNS, max_size=60) | st.text(max_size=40))
@example("`" * 7)
def test_spans_of_anything_are_in_range_sorted_and_apart(text):
    reach = 0
    for start, end, rate, reason in spans(text):
        assert rate is None
        assert reach <= start < end <= len(text)
        assert reason in DEFAULT
        reach = end


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=SIGNS, max_size=60))
def test_the_caller_can_choose_any_kind_alone(text):
    for kind in DEFAULT:
        assert {span.reason for span in spans(text, [kind])} <= {kind}
    assert spans(text, ()) == []


def test_the_callers_patterns_are_kept():
    text = "Ask Ann Lee about ticket ABC-12 today"
    kept = spans(text, (), ["Ann Lee", re.compile(r"abc-\d+", re.IGNORECASE)])
    assert [(text[start:end], reason) for start, end, _, reason in kept] == [
        ("Ann Lee", "pattern"),
        ("ABC-12", "pattern"),
    ]


def test_a_pattern_that_is_none_is_refused_with_its_place():
    with pytest.raises(RecipeError, match=r"at position 4"):
        spans("text", patterns=["abc ("])


@pytest.mark.parametrize("pattern", ["a*", "", "x?", r"\b", r"(?=t)", "^"])
def test_a_pattern_that_matches_nothing_at_all_is_refused(pattern):
    with pytest.raises(RecipeError, match="empty"):
        spans("some text", patterns=[pattern])


def test_an_unknown_kind_is_refused_with_the_nearest_name():
    with pytest.raises(RecipeError, match="'number'"):
        spans("text", ["numbers"])


@pytest.mark.parametrize("size", [200_000, pytest.param(1_000_000, marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "unit",
    [
        "a", "1", "1 ", "$5", "1. ", "(1) ", "(555) 1", "5 a", "5 m/", "No.5 ", "1'1\"", "no ", "n't ", "n'",
        "{", "{{", "{%", "<", "<a", "[[", "[A", "%(", "${", "`", "`a", "``a`", "~~~\n", "#", "\n", " \n", "- ",
        "> ", "|", "|-", "|-|\n", "a|b\n|-|\n", "a\n---\n", "===\n", "://", "a://", "www.", "http://)))",
        ".com", "a.", "@", "a@", "a@b.", "\\u", "不", "第一", "5年", "a: b\n", "😀", "\u0301", " ", "\t", "\\",
        "a-", "'",
    ],
    ids=ascii,
)  # fmt: skip
def test_no_text_takes_much_longer_than_prose(unit, size):
    text = unit * (size // len(unit))
    start = time.process_time()
    spans(text)
    assert time.process_time() - start < 1 + size / 300_000  # about a second a million; hours if it were quadratic


def share_of_words(text: str) -> float:
    words, kept = split(text), np.zeros(len(text) + 1, dtype=np.int64)
    for span in spans(text):
        kept[span.start : span.end] = 1
    count = np.concatenate(([0], np.cumsum(kept)))
    return float((count[words.end] > count[words.start]).mean())


PROSE = {
    "en": """The mayor said on Tuesday that the old bridge would stay closed until the engineers had looked at every
        beam. Nobody had expected the flood, and the town, she added, was grateful to its neighbours: they came.""",
    "de": """Die Bürgermeisterin sagte am Dienstag, dass die alte Brücke geschlossen bleibe, bis die Ingenieure jeden
        Balken geprüft hätten. Niemand hatte die Flut erwartet, und die Stadt, so fügte sie hinzu, danke allen.""",
    "zh": """市长星期二表示，在工程师检查完每一根横梁之前，旧桥将继续关闭。她还说，全城都感谢邻居们及时赶来帮忙，
        大家特别高兴，因为洪水来得非常突然，没有人想到。""",
}
VOICES = [f"common_voice.{language}" for language in ("en", "de", "fr", "es", "it", "pt")]


@pytest.mark.parametrize("language", PROSE)
def test_little_of_ordinary_prose_is_protected(language):
    assert 0 < share_of_words(PROSE[language]) < 0.06


@pytest.mark.parametrize("name", [*VOICES, "ud_en_ewt"])
def test_little_of_real_prose_is_protected(name):
    with gzip.open(_data() / f"clean/{name}.txt.gz", "rt", encoding="utf-8") as lines:
        assert 0.005 < share_of_words(lines.read()[:300_000]) < 0.06


@pytest.mark.parametrize("language", ["en", "de", "es", "zh"])
def test_little_of_real_encyclopedias_is_protected(language):
    with gzip.open(_data() / f"qa/xquad.{language}.json.gz", "rt", encoding="utf-8") as file:
        paragraphs = [part["context"] for article in json.load(file)["data"] for part in article["paragraphs"]]
    assert 0.005 < share_of_words("\n".join(paragraphs)[:200_000]) < 0.06


def _data() -> Path:
    folder = os.environ.get("STILLROOM_DATA")
    if not folder:
        pytest.skip("STILLROOM_DATA is not set: no folder of real text")
    return Path(folder) / "text"
