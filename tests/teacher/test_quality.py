import csv
import json
import time
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.tables import rows
from stillroom.teacher.quality import measure
from stillroom.teacher.quality_report import render


def label(row_id, input, answer, **others):
    usage = {"prompt_tokens": 10, "completion_tokens": 2, "cached_tokens": None}
    return {"row_id": row_id, "input": input, "answer": answer, "finish_reason": "stop", "model": "m", **usage} | others


def summaries(count=40):
    """Labels that are all different, of lengths that vary a little."""
    return [label(str(n), f"text {n} " + "x" * 50, f"short {n} " + "y" * (n % 5)) for n in range(count)]


def test_planted_defects_are_found():
    table = summaries()
    table[3]["answer"] = table[3]["input"]
    table[4]["answer"] = table[4]["input"].upper() + "!"
    table[7]["input"] = table[8]["input"].upper()
    table[9]["answer"] = "y" * 900
    table[10] |= {"answer": None, "finish_reason": "content_filter"}
    table[11] |= {"answer": "  ", "finish_reason": None}
    table[12]["finish_reason"] = "length"
    found = measure(table)
    assert (found["rows"], found["answered"], found["cut_short"]) == (40, 38, 1)
    assert found["unanswered"] == {"content_filter": 1, "unknown": 1}
    assert found["copied"] == {"exact": 1 / 38, "normalised": 2 / 38, "row_ids": ["3", "4"]}
    assert found["duplicates"] == {"inputs": 1, "rows": 2, "differing": 1, "row_ids": [["7", "8"]]}
    assert found["lengths"]["answer"]["row_ids"] == ["9", "4", "3"]
    assert found["lengths"]["answer"]["outliers"] == 3
    assert found["lengths"]["answer/input"]["row_ids"][0] == "9"
    assert found["tokens"] == {"prompt_tokens": 400, "completion_tokens": 80, "cached_tokens": 0}
    assert (found["classes"], found["consistency"], found["gold"], found["second"]) == (None, None, None, None)
    assert json.loads(json.dumps(found, allow_nan=False)) == found


def test_a_sound_table_has_no_findings():
    found = measure(summaries())
    assert found["copied"]["row_ids"] == found["duplicates"]["row_ids"] == []
    assert found["lengths"]["answer"]["outliers"] == found["lengths"]["answer/input"]["outliers"] == 0


def test_one_odd_length_among_equal_ones_is_an_outlier():
    table = [label(str(n), "x", f"answer {n:02}") for n in range(30)]
    table[5]["answer"] = "answer 005"
    assert measure(table)["lengths"]["answer"]["row_ids"] == ["5"]


def test_duplicates_that_agree_differ_in_nothing():
    table = [label("1", "Same  text", "Yes"), label("2", "same text", "yes."), label("3", "other", "no")]
    assert measure(table)["duplicates"] == {"inputs": 1, "rows": 2, "differing": 0, "row_ids": []}
    assert measure([label("1", "2+2", "4"), label("2", "22", "22")])["duplicates"]["inputs"] == 0


def test_classes_are_counted_and_their_lengths_are_not():
    table = [label(str(n), f"text {n}", "Positive" if n % 4 else "no") for n in range(40)]
    found = measure(table)
    assert [(one["answer"], one["rows"], one["share"]) for one in found["classes"]] == [
        ("Positive", 30, 0.75),
        ("no", 10, 0.25),
    ]
    assert found["lengths"] is None


def test_samples_of_a_row_are_measured_together():
    table = [label("1", "a", "x"), label("1", "a", "X."), label("2", "b", "x"), label("2", "b", "y")]
    table += [label("2", "b", "x"), label("3", "c", "x"), label("3", "c", None)]
    found = measure(table)["consistency"]
    assert (found["rows"], found["samples"], found["unanimous"]) == (2, 2.5, 0.5)
    assert found["pairwise"] == pytest.approx((1 + 1 / 3) / 2)
    assert found["majority"] == pytest.approx((1 + 2 / 3) / 2)
    assert found["entropy"] == pytest.approx(0.9183 / 2, abs=1e-4)
    assert found["least_sure"] == [{"row_id": "2", "answer": "x", "share": pytest.approx(2 / 3)}]


def test_gold_and_a_second_teacher_are_compared_and_copying_is_scored():
    answers = ["yes", "no", "yes", "yes", "no", "no"] * 5
    golden = ["yes", "no", "no", "yes", "no", "yes"] * 5
    table = [label(str(n), "yes", answer) for n, answer in enumerate(answers)]
    gold = [{"row_id": n, "answer": answer.upper()} for n, answer in enumerate(golden)]
    found = measure(table, gold=gold, second=[label(str(n), "yes", "yes") for n in range(30)])
    assert (found["gold"]["rows"], found["gold"]["mean"]) == (30, pytest.approx(2 / 3))
    assert found["gold"]["low"] < 2 / 3 < found["gold"]["high"]
    assert found["gold"]["kappa"] == pytest.approx(cohen_kappa_score(answers, golden))
    assert found["gold"]["differing"] == [
        {"answer": "yes", "other": "NO", "rows": 5},
        {"answer": "no", "other": "YES", "rows": 5},
    ]
    assert found["copied"]["gold"]["mean"] == 0.5
    assert found["second"]["mean"] == 0.5
    assert found["second"]["kappa"] == 0


def test_a_row_the_teacher_failed_is_wrong_and_one_without_gold_is_not_judged():
    table = [label("1", "a", "x"), label("2", "b", None), label("3", "c", "x")]
    found = measure(
        table, gold=[{"row_id": "1", "answer": "x"}, {"row_id": "2", "answer": "x"}, {"row_id": "3", "answer": ""}]
    )
    assert (found["gold"]["rows"], found["gold"]["mean"]) == (2, 0.5)


@given(st.lists(st.tuples(st.text(max_size=9), st.none() | st.text(max_size=9)), min_size=1, max_size=30), st.randoms())
def test_the_order_of_rows_changes_no_number(texts, random):
    table = [label(str(n), *both) for n, both in enumerate(texts)]
    shuffled = random.sample(table, len(table))
    first, second = measure(table), measure(shuffled)
    for part in ("rows", "answered", "unanswered", "tokens"):
        assert first[part] == second[part]
    assert first["copied"]["normalised"] == second["copied"]["normalised"]
    assert first["duplicates"]["differing"] == second["duplicates"]["differing"]
    assert (first["lengths"] or {}).keys() == (second["lengths"] or {}).keys()
    for name, size in (first["lengths"] or {}).items():
        for bound in ("median", "low", "high") if size else ():
            assert second["lengths"][name][bound] == pytest.approx(size[bound])


def test_a_table_from_csv_says_the_same(tmp_path):
    table = [*summaries(10), label("1", "x", None)]
    with (tmp_path / "labels.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, table[0].keys())
        writer.writeheader()
        writer.writerows(table)
    assert measure(rows(tmp_path / "labels.csv")) == measure(table)


def test_work_grows_with_the_rows_and_not_with_their_square():
    begin = time.perf_counter()
    measure(summaries(20_000), gold=summaries(20_000), by="f1")
    assert time.perf_counter() - begin < 20  # some 400 million pairs would take minutes


def test_what_cannot_be_measured_is_refused_in_a_sentence():
    with pytest.raises(DataError, match="has no rows"):
        measure([])
    with pytest.raises(DataError, match="row 1 has no answer: is it a label table"):
        measure([{"row_id": "1"}])
    with pytest.raises(DataError, match="row 1 has 'many' for prompt_tokens"):
        measure([label("1", "a", "b", prompt_tokens="many")])
    with pytest.raises(DataError, match="no answered row in common"):
        measure([label("1", "a", "b")], gold=[{"row_id": "2", "answer": "b"}])
    with pytest.raises(RecipeError, match="no measure 'bleu'"):
        measure([label("1", "a", "b")], by="bleu")


class Page(HTMLParser):
    """The elements and the text of a page."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.text = set(), ""
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        assert not any(name.startswith("on") for name, _ in attrs)

    def handle_data(self, data):
        self.text += data


EVIL = '<script>alert(1)</script><img src=x onerror="alert(2)">{{ 7 * 7 }}'


def test_the_report_escapes_what_strangers_wrote():
    table = [label(f"{EVIL}{n % 3}", EVIL, EVIL if n % 2 else "no", model=EVIL, policy=EVIL) for n in range(12)]
    table += [label(EVIL, "x", None, finish_reason=EVIL), label(EVIL + "9", EVIL, "no", prompt_hash=EVIL)]
    gold = [{"row_id": f"{EVIL}{n}", "answer": f"{EVIL}!?{n}"} for n in range(3)]
    page = Page(render(measure(table, gold=gold, second=gold, by="exact")))
    assert not page.tags & {"script", "img"}
    assert page.text.count(EVIL) > 8


def test_the_report_shows_what_was_measured():
    table = summaries()
    table[9]["answer"] = "y" * 900
    page = Page(render(measure(table, gold=summaries())))
    assert "40 of 40 rows have an answer" in page.text
    assert "97.5% of 40 rows agree" in page.text
    assert "Lengths" in page.text
    assert "Consistency" not in page.text
    assert "Classes" in Page(render(measure([label(str(n), "x", "yes") for n in range(9)]))).text
