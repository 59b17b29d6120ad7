from __future__ import annotations

import gzip
import re
from dataclasses import replace

import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.prompts import clean
from stillroom.prompts.usage import Usage

PLAIN = 30 * [
    "the house of the man is in a city",
    "she is in the old house",
    "he saw the city",
    "it is the man he saw",
]
NAMED = [
    "a quiet zebra",
    "the quiet sea",
    "so quiet",
    "we saw Vienna",
    "they like Vienna",
    "the University of Vienna is old",
    "a zebra ate 5 kilograms",
]


@pytest.fixture(scope="module")
def known():
    learnt = Usage.learn(PLAIN + NAMED)
    return replace(learnt, stop_words=frozenset({"the", "of", "is", "in", "a", "he", "she", "we", "at"}))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with clean sentences of two languages."""
    (tmp_path / "text/clean").mkdir(parents=True)

    def put(name, lines):
        (tmp_path / "text/clean" / name).write_bytes(gzip.compress("\n".join(lines).encode()))

    put("common_voice.en.txt.gz", [*PLAIN[:4], "Too short.", "", *(f"sentence number {k} is here" for k in range(100))])
    put("ud_en_ewt.txt.gz", ["Where in the world is Iguazu?"])
    wiki = [" = Title = ", " It weighs 0 @.@ 7 kg , says the <unk> . It is a two @-@ part work ( 24 in ) . "]
    put("wikitext2.valid.txt.gz", wiki)
    put("wikitext2.test.txt.gz", ["", " This is another one . "])
    put("common_voice.de.txt.gz", PLAIN[:4])
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    clean.usage.cache_clear()
    yield tmp_path
    clean.usage.cache_clear()


def labels(text, known, language=None):
    start, end, label = clean.labels(text, known, language)
    return dict(zip([text[a:b] for a, b in zip(start, end, strict=True)], label.tolist(), strict=True))


def test_numbers_and_names_are_worth_most_then_rare_words_and_stop_words_next_to_nothing(known):
    label = labels("the zebra saw Vienna in 1683.", known)
    assert label["1683"] >= label["Vienna"] > label["zebra"] > 0.5 > label["saw"]
    assert label["the"] < 0.1
    assert label["."] < 0.1


def test_the_unit_after_a_number_is_nearly_as_dear_as_the_number(known):
    assert labels("a dog ate 5 kilograms", known)["kilograms"] >= clean.UNIT
    assert labels("up by 5%", known)["%"] >= clean.UNIT
    assert labels("what %", known)["%"] < 0.1


def test_what_links_the_parts_of_a_name_stays_with_it(known):
    assert labels("at the University of Vienna", known)["of"] == pytest.approx(0.85, abs=0.05)
    assert labels("the house of Vienna", known)["of"] < 0.1
    assert labels("the University of houses", known)["of"] < 0.1


def test_the_capital_of_a_first_word_counts_only_if_it_is_written_so_elsewhere(known):
    assert labels("Vienna is old", known)["Vienna"] == pytest.approx(clean.NAME)
    assert labels("House is old", known)["House"] < 0.5


def test_a_german_capital_is_no_name_but_a_noun(known):
    german, other = labels("we saw a Zebra", known, "de"), labels("we saw a Zebra", known, "fr")
    assert other["Zebra"] == pytest.approx(clean.NAME)
    assert labels("we saw a zebra", known, "de")["zebra"] < german["Zebra"] <= other["Zebra"]


def test_a_word_is_raised_half_way_to_the_mean_of_its_phrase(known):
    alone, beside = labels("quiet", known)["quiet"], labels("a quiet zebra", known)
    assert beside["quiet"] == pytest.approx((alone + (alone + beside["zebra"]) / 2) / 2)
    assert beside["zebra"] == labels("zebra", known)["zebra"]


def test_labels_are_probabilities_of_whole_words(known):
    for text in ("", "…", "a", "Ünïcödé 5,000 € 敏捷 😀"):
        start, end, label = clean.labels(text, known)
        assert ((label >= 0) & (label <= 1)).all()
        assert (start < end).all()


def test_short_sentences_are_left_out(folder):
    texts = list(clean.sentences("en"))
    assert "Where in the world is Iguazu?" in texts
    assert "Too short." not in texts


def test_paragraphs_are_set_as_text_without_headings_and_with_words_for_the_unknown(folder, known):
    first, second = clean.paragraphs(known)
    assert second == "This is another one."
    assert re.fullmatch(r"It weighs 0\.7 kg, says the \w{4,}. It is a two-part work \(24 in\)\.", first)
    assert [first, second] == list(clean.paragraphs(known))


def test_a_twentieth_is_held_out_and_every_sentence_is_in_one_part(folder):
    train, val = ({example.text for example in clean.load("en", part)} for part in ("train", "val"))
    assert not train & val
    assert train | val == set(clean.sentences("en"))
    assert 0 < len(val) < len(train) / 5


def test_what_is_not_there_is_said(folder, monkeypatch):
    with pytest.raises(DataError, match="no clean text 'xx', only en, de"):
        clean.load("xx", "train")
    with pytest.raises(DataError, match="no split 'test'"):
        clean.load("en", "test")
    with pytest.raises(MissingError, match=r"text/clean/common_voice.fr.txt.gz"):
        clean.load("fr", "train")
    monkeypatch.delenv("STILLROOM_DATA")
    with pytest.raises(MissingError, match="set STILLROOM_DATA"):
        clean.load("es", "train")
