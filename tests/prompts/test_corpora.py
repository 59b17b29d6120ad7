"""On made-up files of the same shapes everywhere; on the real ones where STILLROOM_DATA has them."""

from __future__ import annotations

import gzip
import itertools
import json
import lzma
import os

import numpy as np
import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.prompts import corpora

REAL = os.environ.get("STILLROOM_DATA")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    corpora._restoration.cache_clear()
    yield tmp_path / "text"
    corpora._restoration.cache_clear()


def put(path, rows) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows)
    with (lzma.open if path.suffix == ".xz" else gzip.open)(path, "wt") as file:
        file.write(text)


def kept(example) -> list[str]:
    return [word for word, keep in zip(example.words, example.keep, strict=True) if keep]


def test_lower_cased_news_gets_case_numbers_and_names_back(folder):
    clean = [["He met Brown in 1995 at noon.", "They saw the vicarage of Brown."], [], []]
    for name, lines in zip(corpora._CLEAN, clean, strict=True):
        put(folder / name, lines)
    rows = [{"split": "val", "tokens": "<unk> met ## people , said brown .", "keep": "11110001"}]
    put(folder / "compression/google_sentcomp/val.tokens.jsonl.xz", rows)
    (example,) = corpora.load("google_sentcomp", "val")
    (again,) = corpora.load("google_sentcomp", "val")
    assert example.text == again.text
    assert example.text[0].isupper()
    assert example.words[2] == "1995"
    assert " ,".join(example.text.split(",")) != example.text
    assert example.text.endswith(".")
    assert "<unk>" not in example.text
    assert (example.source, example.language) == ("google_sentcomp", "en")
    assert example.keep.tolist() == [1, 1, 1, 1, 0, 0, 0, 1]


def test_real_case_is_left_as_it_is(folder):
    rows = [{"tokens": ["Five", "people", "left", "Sleaford", "."], "keep": "11011", "compression": []}]
    put(folder / "compression/google_sentcomp/eval.cased.jsonl.gz", rows)
    (example,) = corpora.load("google_sentcomp", "test")
    assert example.text == "Five people left Sleaford."
    assert kept(example) == ["Five", "people", "Sleaford", "."]


def test_disfluencies_are_labelled_in_the_text_as_it_was_said(folder):
    row = {"disfluent": "Send uhm mom's  ETA.", "tokens": ["Send", "uhm", "mom's", "ETA", "."], "keep": "10111"}
    for language in ("english", "french", "german"):
        put(folder / f"compression/disco/{language}.jsonl.gz", [row | {"exact": True}, row | {"exact": False}])
    found = [example for split in corpora.SPLITS for example in corpora.load("disco", split)]
    assert [example.language for example in found] == ["en", "fr", "de"]  # what is no exact deletion is left out
    assert found[0].text == row["disfluent"]
    assert kept(found[0]) == ["Send", "mom's", "ETA", "."]


def test_a_set_without_splits_is_split_by_its_rows_alone(folder):
    rows = [{"original": f"O litoral {n} .", "tokens": ["O", "litoral", str(n), "."], "keep": "0111", "exact": True}
            for n in range(300)]  # fmt: skip
    put(folder / "compression/portuguese_g1.jsonl.gz", rows)
    parts = {split: {example.text for example in corpora.load("portuguese_g1", split)} for split in corpora.SPLITS}
    assert set.union(*parts.values()) == {f"O litoral {n}." for n in range(300)}
    assert not any(one & other for one, other in itertools.combinations(parts.values(), 2))
    assert 200 < len(parts["train"]) < 280
    put(folder / "compression/portuguese_g1.jsonl.gz", rows[::-1])
    assert {example.text for example in corpora.load("portuguese_g1", "val")} == parts["val"]


def test_what_a_summary_takes_from_a_meeting_is_found_though_the_order_differs(folder):
    transcript = "Um I like whales. They eat everything in sight, I think.\nWell, we design a new remote control."
    summary = "so we design a new remote control . They eat everything in sight , Whales ."
    rows = [{"meeting": f"ES{n}a", "transcript": transcript, "extractive": summary} for n in range(2002, 2040)]
    put(folder / "compression/ami.jsonl.gz", [*rows, {"meeting": "IB4003", "transcript": "x", "extractive": None}])
    found = [example for split in corpora.SPLITS for example in corpora.load("ami", split)]
    assert len(found) == len(rows)
    assert " ".join(kept(found[0])) == "They eat everything in sight we design a new remote control"


def test_meetings_of_one_group_stay_in_one_split(folder):
    groups = [f"ES20{n:02}" for n in range(30)]
    rows = [{"meeting": g + part, "transcript": g + part, "extractive": "x"} for g in groups for part in "abcd"]
    put(folder / "compression/ami.jsonl.gz", rows)
    parts = [{example.text[:6] for example in corpora.load("ami", split)} for split in corpora.SPLITS]
    assert not any(one & other for one, other in itertools.combinations(parts, 2))


def test_turns_that_answer_a_question_are_the_evidence(folder):
    turns = [
        {"speaker": "Grad C", "content": "Yeah , it {disfmarker} it works ."},
        {"speaker": "PhD D", "content": "{vocalsound}"},
        {"speaker": "PhD D", "content": "We do n't know ."},
        {"speaker": "Grad C", "content": "OK ."},
    ]
    query = [{"query": "?", "answer": "!", "relevant_text_span": [["1", "2"]]}]
    rows = [{"split": split, "meeting_transcripts": turns, "specific_query_list": query} for split in ("train", "test")]
    put(folder / "qa/qmsum.jsonl.gz", rows)
    (example,) = corpora.load("qmsum", "train")
    assert example.text == "Grad C: Yeah, it it works.\nPhD D: We don't know.\nGrad C: OK."
    assert kept(example) == ["PhD", "D", ":", "We", "do", "n't", "know", "."]


def test_the_words_that_justify_an_answer_are_found_whatever_their_case_and_spaces(folder):
    row = {"split": "dev", "question": "The factory made toys; AK47's, MiGs, what?", "selected": "ak47's,migs"}
    put(folder / "rationale/cos_e.jsonl.gz", [row, row | {"split": "train"}])
    (example,) = corpora.load("cos_e", "val")
    assert [word for word in kept(example) if word[0].isalpha()] == ["AK47's", "MiGs"]


def test_what_is_not_there_says_where_it_should_be(tmp_path, monkeypatch):
    monkeypatch.delenv("STILLROOM_DATA", raising=False)
    with pytest.raises(MissingError, match=r"set STILLROOM_DATA to a folder that has text/compression/ami\.jsonl\.gz"):
        corpora.load("ami", "train")
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    with pytest.raises(MissingError, match=r"text/qa/qmsum\.jsonl\.gz"):
        corpora.load("qmsum", "val")


def test_an_unknown_name_or_split_is_answered_with_the_known_ones():
    with pytest.raises(DataError, match="known are google_sentcomp"):
        corpora.load("imdb", "train")
    with pytest.raises(DataError, match="cos_e has no split 'test'; it has train, val"):
        corpora.load("cos_e", "test")


@pytest.mark.skipif(not REAL, reason="set STILLROOM_DATA to read the real data sets")
@pytest.mark.parametrize("name", [name for name in corpora._READERS if name != "google_sentcomp"])
def test_real_rows_have_a_label_for_each_word_and_some_are_kept(name):
    examples = list(itertools.islice(corpora.load(name, "val"), 20))
    assert len(examples) >= 10
    for example in examples:
        assert example.start.shape == example.end.shape == example.keep.shape
        edges = np.stack((example.start, example.end), axis=1).ravel()
        assert edges[0] >= 0
        assert edges[-1] <= len(example.text)
        assert (np.diff(edges) >= 0).all()
        assert all(word.strip() == word != "" for word in example.words)
    assert 0.1 < np.concatenate([example.keep for example in examples]).mean() < 0.95


@pytest.mark.slow
@pytest.mark.skipif(not REAL, reason="set STILLROOM_DATA to read the real data sets")
def test_real_news_is_restored_to_words_that_could_be_news():
    examples = list(itertools.islice(corpora.load("google_sentcomp", "val"), 500))
    words = [word for example in examples for word in example.words]
    assert not any("##" in word or word == "<unk>" for word in words)
    assert 0.1 < np.mean([word[0].isupper() for word in words]) < 0.35
    assert np.mean([word[0].isdigit() for word in words]) > 0.01
