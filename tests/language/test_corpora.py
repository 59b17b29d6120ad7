"""On made-up files of the same shapes everywhere; on the real ones where STILLROOM_DATA has them."""

from __future__ import annotations

import csv
import gzip
import json
import os
import subprocess
import sys

import pytest

from stillroom.core.errors import DataError, MissingError
from stillroom.language import corpora, edits, exact
from stillroom.language.corpora import SPLITS, cows_l2h, gec, gsm8k, multilingual_gec, ua_gec

REAL = os.environ.get("STILLROOM_DATA")
real = pytest.mark.skipif(REAL is None, reason="STILLROOM_DATA is not set")


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("STILLROOM_DATA", str(tmp_path))
    return tmp_path / "text"


def put(path, records) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "".join(json.dumps(record) + "\n" for record in records)
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode()))
    else:
        path.write_text(text)


def synthetic(n: int, start: int = 0) -> list[dict[str, str | None]]:
    """The form of juancavallotti/multilingual-gec."""
    return [
        {
            "lang": ["en", "de"][number % 2],
            "sentence": f"He has {number} cats.",
            "modified": f"{'fix grammar: ' if number % 3 else ''}He have {number} cats.",
            "transformation": "VerbAgreementDestroyer",
            "sec_transformation": None if number % 2 else "RemovePunctuationDestroyer",
            "__index_level_0__": number,
        }
        for number in range(start, start + n)
    ]


def write(path, records) -> None:
    if path.suffix == ".csv":
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, records[0])
            writer.writeheader()
            writer.writerows(records)
    elif path.suffix == ".parquet":
        pa = pytest.importorskip("pyarrow")
        pa.parquet = pytest.importorskip("pyarrow.parquet")
        pa.parquet.write_table(pa.Table.from_pylist(records), path)
    else:
        put(path, records)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_the_form_of_multilingual_gec_is_read_from_any_file(tmp_path, kind):
    write(tmp_path / f"gec.{kind}", synthetic(200))
    rows = {split: multilingual_gec(tmp_path / f"gec.{kind}", split) for split in SPLITS}
    assert sum(map(len, rows.values())) == 200
    by_input = {row.input: row for part in rows.values() for row in part}
    row = by_input["He have 6 cats."]
    assert (row.answer, row.group) == ("He has 6 cats.", "en")
    assert row.extra == {
        "references": ("He has 6 cats.",),
        "transformation": "VerbAgreementDestroyer",
        "sec_transformation": "RemovePunctuationDestroyer",
    }
    assert by_input["He have 7 cats."].group == "de"  # its prefix was taken away
    assert "sec_transformation" not in by_input["He have 7 cats."].extra


def test_a_folder_as_the_hub_has_it_is_read_by_its_splits(tmp_path):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data/train-00000-of-00002.parquet", synthetic(100))
    write(tmp_path / "data/train-00001-of-00002.parquet", synthetic(100, 100))
    write(tmp_path / "data/test-00000-of-00001.parquet", synthetic(20, 190))
    parts = {split: multilingual_gec(tmp_path, split) for split in SPLITS}
    assert len(parts["test"]) == 20
    assert 160 <= len(parts["train"]) <= 189
    assert len(parts["train"]) + len(parts["dev"]) == 190  # ten stand in test


def test_splits_made_by_hash_depend_on_nothing_but_the_sentence(tmp_path):
    records = synthetic(400)
    twins = [record | {"modified": f"He haves {number} cats."} for number, record in enumerate(records)]
    write(tmp_path / "one.jsonl", records)
    write(tmp_path / "other.jsonl", [*twins, *records[::-1]])
    for split in SPLITS:
        one, other = multilingual_gec(tmp_path / "one.jsonl", split), multilingual_gec(tmp_path / "other.jsonl", split)
        assert len(other) == 2 * len(one) > 0
        assert {row.answer for row in one} == {row.answer for row in other}


def test_rows_without_a_text_are_left_out(tmp_path):
    whole = synthetic(3)
    write(tmp_path / "gec.jsonl", [*whole, whole[0] | {"modified": None}, whole[0] | {"sentence": " "},
                                   whole[0] | {"modified": "fix grammar: "}])  # fmt: skip
    found = corpora._synthetic(corpora._table(tmp_path / "gec.jsonl"), "", "gec")
    assert len(list(found)) == 3


def test_other_columns_are_refused_with_the_one_that_lacks(tmp_path):
    write(tmp_path / "gec.jsonl", [{"lang": "en", "sentence": "x"}])
    with pytest.raises(DataError, match="no column 'modified'"):
        multilingual_gec(tmp_path / "gec.jsonl")


def test_a_path_that_is_not_there_is_no_id():
    with pytest.raises(DataError, match="there is no file or folder"):
        multilingual_gec("no/such/file.csv")


def test_a_folder_without_splits_is_said(tmp_path):
    write(tmp_path / "other.csv", synthetic(2))
    with pytest.raises(DataError, match=r"no files train\*"):
        multilingual_gec(tmp_path)


def test_the_hub_is_read_through_datasets(tmp_path, monkeypatch):
    """The library loads a folder as it loads a repository."""
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    home = tmp_path / "someone" / "gec" / "data"
    home.mkdir(parents=True)
    write(home / "train-00000-of-00001.parquet", synthetic(60))
    write(home / "validation-00000-of-00001.parquet", synthetic(10, 60))
    tables = {part: list(records) for part, records in corpora._hub("someone/gec")}
    assert tables["train"] == synthetic(60)
    assert tables["dev"] == synthetic(10, 60)


def test_without_the_network_the_hub_is_missed_in_a_sentence(tmp_path):
    pytest.importorskip("datasets")
    script = (
        "from stillroom.core.errors import MissingError\n"
        "from stillroom.language.corpora import multilingual_gec\n"
        "try:\n    multilingual_gec()\nexcept MissingError as error:\n    print(error)"
    )
    env = os.environ | {"HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path)}
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=env)
    assert "juancavallotti/multilingual-gec is no file here and cannot be had from the hub" in run.stdout
    assert "connect to the network" in run.stdout
    assert run.stdout.count("\n") == 1


def test_without_datasets_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-language\[hub\]'"):
        multilingual_gec()


def test_corrections_of_one_sentence_by_several_people_are_one_row(folder):
    rows = [
        {"lang": "uk", "split": "test", "doc": "1", "ann": who, "src": "він йдут", "tgt": text}
        for who, text in [("a1", "Він йде"), ("a2", "він іде"), ("a3", "Він йде")]
    ]
    other = {"lang": "uk", "split": "test", "doc": "2", "ann": "a1", "src": "він йдут", "tgt": "вони йдуть"}
    put(folder / "gec/ua_gec.jsonl.gz", [*rows, other])
    first, second = ua_gec("test")
    assert (first.input, first.answer, first.group) == ("він йдут", "Він йде", "uk")
    assert first.extra == {"references": ("Він йде", "він іде"), "document": "1"}
    assert second.extra["references"] == ("вони йдуть",)


def test_sets_with_lists_of_references_are_read(folder):
    row = {"lang": "de", "src": "Er gehe .", "refs": ["Er geht .", "Er ging ."]}
    put(folder / "gec/falko_merlin.jsonl.gz", [row | {"split": "dev"}, row | {"split": "test", "src": "Er gehen ."}])
    (found,) = gec("falko_merlin", "test")
    assert found.extra == {"references": ("Er geht .", "Er ging .")}


def test_a_missing_dev_part_is_made_of_whole_documents(folder):
    rows = [
        {
            "lang": "es",
            "split": "train",
            "id": str(document),
            "src": f"{document} {line} x",
            "tgt": f"{document} {line}",
        }
        for document in range(200)
        for line in range(3)
    ]
    put(folder / "gec/sentences.jsonl.gz", rows)
    train, dev = cows_l2h("train"), cows_l2h("dev")
    assert len(train) + len(dev) == 600
    assert 3 <= len(dev) <= 60
    assert not {row.extra["document"] for row in train} & {row.extra["document"] for row in dev}


def test_nothing_to_learn_from_stands_in_what_judges(folder):
    record = {"lang": "is", "genre": "essays"}
    train = [record | {"split": "train", "src": f"nr {n}", "tgt": f"Nr {n}."} for n in range(50)]
    test = [
        record | {"split": "test", "src": "NR  7", "tgt": "x"},
        record | {"split": "test", "src": "y", "tgt": "Nr 8."},
    ]
    put(folder / "gec/iceec.jsonl.gz", [*train, *test])
    learned = {row.input for split in ("train", "dev") for row in gec("iceec", split)}
    assert learned == {f"nr {n}" for n in range(50)} - {"nr 7", "nr 8"}
    assert gec("iceec", "test")[0].extra["genre"] == "essays"


def test_maths_has_its_way_and_its_number_apart(folder):
    record = {"question": "How many?", "answer": "2 + 2 = <<2+2=4>>4 and\nso 4,000.\n#### 4,000"}
    put(folder / "rationale/gsm8k/train.jsonl.gz", [record | {"question": f"How many of {n}?"} for n in range(40)])
    put(folder / "rationale/gsm8k/test.jsonl.gz", [record])
    (row,) = gsm8k("test")
    assert (row.input, row.answer, row.rationale) == ("How many?", "4,000", "2 + 2 = 4 and\nso 4,000.")
    assert len(gsm8k("train")) + len(gsm8k("dev")) == 40  # the same answers are no reason to leave questions out


def test_what_is_not_there_is_a_sentence(folder, monkeypatch):
    with pytest.raises(MissingError, match=r"has text/gec/ua_gec\.jsonl\.gz"):
        ua_gec()
    put(folder / "gec/swell_ud.jsonl.gz", [{"lang": "sv", "split": "test", "src": "a", "refs": ["b"]}])
    with pytest.raises(DataError, match="no split 'train': it has test"):
        gec("swell_ud")
    with pytest.raises(DataError, match="no set 'conll14'"):
        gec("conll14")
    monkeypatch.delenv("STILLROOM_DATA")
    with pytest.raises(MissingError, match="set STILLROOM_DATA"):
        gsm8k()


@real
def test_the_real_sets_have_the_rows_they_should():
    ukrainian = {split: ua_gec(split) for split in SPLITS}
    assert [len(rows) for rows in ukrainian.values()] == [27_596, 2734, 2675]
    assert sum(len(row.extra["references"]) > 1 for row in ukrainian["test"]) > 500
    assert {row.group for row in ukrainian["test"]} == {"uk"}
    texts = [{exact.normalise(row.input) for row in rows} for rows in ukrainian.values()]
    assert not texts[0] & texts[1]
    assert not texts[0] & texts[2]
    assert not texts[1] & texts[2]
    assert len(cows_l2h("test")) == 5671
    assert [len(gsm8k(split)) for split in SPLITS] == [7121, 352, 1319]


@real
def test_a_copy_of_real_sentences_has_no_edit_right_and_their_corrections_all():
    rows = gec("falko_merlin", "test")[:400] + ua_gec("test")[:400]
    sources, right = [row.input for row in rows], [row.extra["references"] for row in rows]
    assert edits.f05(sources, right, sources).value == 0
    assert edits.f05([row.answer for row in rows], right, sources).value == 1
    for row in rows:
        source, target = edits.words(row.input), edits.words(row.answer)
        assert edits.applied(source, edits.edits(source, target)) == target
