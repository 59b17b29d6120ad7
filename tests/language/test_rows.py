from __future__ import annotations

import csv
import json
import math

import pytest
from pydantic import ValidationError

from stillroom.core.errors import DataError, MissingError
from stillroom.core.recipes import checked
from stillroom.core.targets import Label, TargetStore
from stillroom.language.rows import Columns, Report, Row, Source, read


def lines(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return str(path)


def store(path, labels):
    with TargetStore(path) as targets:
        for number, label in enumerate(labels):
            fields = {"row_id": f"r{number}", "model": "teacher", "prompt_hash": "p", **label}
            targets.put_label(Label(key=f"k{number}", **fields))
    return str(path)


def table(path, rows):
    """The same rows as a file of the kind that the path ends in."""
    if path.suffix == ".jsonl":
        return lines(path, rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    if path.suffix == ".csv":
        with path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, names)
            writer.writeheader()
            writer.writerows(rows)
    else:
        pyarrow = pytest.importorskip("pyarrow")
        from pyarrow import parquet

        parquet.write_table(pyarrow.Table.from_pylist([{n: row.get(n) for n in names} for row in rows]), path)
    return str(path)


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_kind_of_file_gives_the_same_rows(tmp_path, kind):
    rows = [
        {"sentence": "he go", "right": "he goes", "lang": "en", "because": "third person", "source": "a"},
        {"sentence": "il vont, lui\n", "right": "il va", "lang": "fr", "because": "", "source": "b"},
    ]
    columns = Columns(input="sentence", answer="right", group="lang", rationale="because")
    found = read(Source(path=table(tmp_path / f"t.{kind}", rows), columns=columns, task="gec")).rows
    assert found == [
        Row("he go", "he goes", "gec", "en", "third person", extra={"source": "a"}),
        Row("il vont, lui\n", "il va", "gec", "fr", None, extra={"source": "b"}),
    ]


def test_a_store_gives_labels_that_can_be_learned_from_and_counts_the_others(tmp_path):
    path = store(
        tmp_path / "labels.sqlite",
        [
            {"input": "a", "answer": "A", "rationale": "big", "soft_targets": {"A": 0.75, "B": 0.25}},
            {"input": "b", "answer": None},
            {"input": "c", "answer": " \n"},
            {"input": "d", "answer": "D and th", "finish_reason": "length"},
            {"input": "e", "answer": "E", "finish_reason": "stop"},
            {"input": "e", "answer": "E"},
            {"input": "", "answer": "nothing was asked"},
        ],
    )
    found = read(Source(path=path))
    assert [(row.input, row.answer, row.rationale) for row in found.rows] == [("a", "A", "big"), ("e", "E", None)]
    assert found.rows[0].soft_targets == {"A": 0.75, "B": 0.25}
    assert found.rows[1].extra["row_id"] == "r4"
    assert found.report == Report(
        read=7, kept=2, no_input=1, no_answer=2, cut_short=1, duplicates=1, name="labels.sqlite"
    )
    assert found.report.sentence() == (
        "labels.sqlite: 2 of 7 rows are kept; left out: 1 without an input, 2 without an answer, "
        "1 with an answer that was cut short, 1 duplicates"
    )


def test_every_row_read_is_accounted_for(tmp_path):
    rows = [{"input": f"{n % 7}", "answer": [None, "x", "y", math.nan, ""][n % 5]} for n in range(60)]
    report = read(Source(path=lines(tmp_path / "t.jsonl", rows), limit=3)).report
    left_out = report.no_input + report.no_answer + report.cut_short + report.duplicates + report.conflicts
    assert report.read == report.kept + left_out + report.over_limit == 60


def test_nothing_left_out_is_said_plainly():
    assert Report(read=1200, kept=1200).sentence() == "all 1,200 rows are kept"


@pytest.mark.parametrize("word", ["nan", "NaN", "None", "null", "<NA>", ""])
def test_a_failed_call_in_a_csv_is_no_answer(tmp_path, word):
    path = table(tmp_path / "t.csv", [{"input": "a", "answer": word}, {"input": "b", "answer": "B"}])
    found = read(Source(path=path))
    assert ([row.answer for row in found.rows], found.report.no_answer) == (["B"], 1)


def test_a_failed_call_that_pandas_wrote_is_no_answer_in_any_kind_of_file(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"input": ["a", "b"], "answer": [float("nan"), "B"]})
    frame.to_csv(tmp_path / "t.csv", index=False)
    frame.to_csv(tmp_path / "said.csv", index=False, na_rep="nan")
    frame.to_parquet(tmp_path / "t.parquet")
    lines(tmp_path / "t.jsonl", frame.to_dict("records"))  # json.dumps writes NaN without quotes
    for name in ("t.csv", "said.csv", "t.parquet", "t.jsonl"):
        found = read(Source(path=str(tmp_path / name)))
        assert ([row.answer for row in found.rows], found.report.no_answer) == (["B"], 1), name


@pytest.mark.parametrize("word", ["nan", "None", "null"])
@pytest.mark.parametrize("kind", ["jsonl", "parquet"])
def test_the_word_nan_is_an_answer_where_the_file_knows_words_from_nothing(tmp_path, kind, word):
    path = table(tmp_path / f"t.{kind}", [{"input": "which float is no number?", "answer": word}])
    assert read(Source(path=path)).rows[0].answer == word


def test_numbers_are_read_as_they_are_written(tmp_path):
    rows = [{"input": "2+2", "answer": 4}, {"input": "1/2", "answer": 0.5}, {"input": 7, "answer": "x"}]
    found = read(Source(path=lines(tmp_path / "t.jsonl", rows))).rows
    assert [(row.input, row.answer) for row in found] == [("2+2", "4"), ("1/2", "0.5"), ("7", "x")]


def test_whole_numbers_beside_missing_ones_get_no_decimals_from_parquet(tmp_path):
    pandas = pytest.importorskip("pandas")
    pandas.DataFrame({"input": ["a", "b"], "answer": [3, None]}).to_parquet(tmp_path / "t.parquet")
    assert [row.answer for row in read(Source(path=str(tmp_path / "t.parquet"))).rows] == ["3"]


def test_soft_targets_alone_make_a_label_of_the_likeliest_class(tmp_path):
    path = lines(tmp_path / "t.jsonl", [{"input": "a", "soft_targets": {"no": 0.3, "yes": 0.7}}])
    (row,) = read(Source(path=path)).rows
    assert (row.answer, row.soft_targets) == ("yes", {"no": 0.3, "yes": 0.7})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_soft_targets_may_be_json_in_a_cell(tmp_path, kind):
    rows = [{"input": "a", "answer": "no", "soft_targets": '{"no": 0.9, "yes": 0.1}'}]
    assert read(Source(path=table(tmp_path / f"t.{kind}", rows))).rows[0].soft_targets == {"no": 0.9, "yes": 0.1}


def test_labels_of_several_models_or_prompts_are_not_mixed(tmp_path):
    labels = [
        {"input": "a", "answer": "A", "model": "large", "prompt_hash": "short"},
        {"input": "a", "answer": "because", "model": "large", "prompt_hash": "why"},
        {"input": "a", "answer": "B", "model": "small", "prompt_hash": "short"},
    ]
    path = store(tmp_path / "labels.sqlite", labels)
    with pytest.raises(DataError, match=r"more than one model: .* large \(2\), small \(1\)"):
        read(Source(path=path))
    with pytest.raises(DataError, match=r"more than one prompt_hash: .* short \(1\), why \(1\)"):
        read(Source(path=path, model="large"))
    with pytest.raises(DataError, match="no rows whose model is 'huge': there are large"):
        read(Source(path=path, model="huge"))
    assert read(Source(path=path, model="large", prompt_hash="short")).rows[0].answer == "A"


def test_a_column_called_model_is_a_column_like_any_other_in_a_table_without_prompts(tmp_path):
    rows = [{"input": "a", "answer": "A", "model": "T"}, {"input": "b", "answer": "B", "model": "A"}]
    found = read(Source(path=lines(tmp_path / "t.jsonl", rows))).rows
    assert [row.extra for row in found] == [{"model": "T"}, {"model": "A"}]


def test_the_file_that_was_labelled_gives_its_other_columns_to_the_labels(tmp_path):
    asked = [
        {"row_id": "r0", "input": "he go", "lang": "en", "answer": "the user's own", "reference": "he goes"},
        {"row_id": "r1", "input": "il vont", "lang": "fr", "answer": "", "reference": "il va"},
        {"row_id": "r2", "input": "sie geht", "lang": "de", "answer": "must not come back", "reference": "x"},
    ]
    labels = [
        {"input": "he go", "answer": "goes"},
        {"input": "il vont", "answer": "va"},
        {"input": "x", "answer": None},
    ]
    path = store(tmp_path / "labels.sqlite", labels)
    columns = Columns(group="lang")
    found = read(Source(path=path, join=lines(tmp_path / "asked.jsonl", asked), columns=columns))
    assert [(row.answer, row.group, row.extra["reference"]) for row in found.rows] == [
        ("goes", "en", "he goes"),
        ("va", "fr", "il va"),
    ]
    assert found.report.no_answer == 1


def test_a_join_by_the_text_works_and_one_that_lacks_rows_is_refused(tmp_path):
    path = lines(tmp_path / "t.jsonl", [{"input": "a", "answer": "A"}, {"input": "b", "answer": "B"}])
    both = lines(tmp_path / "both.jsonl", [{"input": "b", "group": "2"}, {"input": "a", "group": "1"}])
    assert [row.group for row in read(Source(path=path, join=both)).rows] == ["1", "2"]
    with pytest.raises(DataError, match="lacks some of the rows"):
        read(Source(path=path, join=lines(tmp_path / "one.jsonl", [{"input": "b", "group": "2"}])))
    with pytest.raises(DataError, match="neither a column row_id nor a column input"):
        read(Source(path=path, join=lines(tmp_path / "none.jsonl", [{"group": "2"}])))


def test_texts_without_inputs_are_read_when_the_recipe_says_so(tmp_path):
    path = lines(tmp_path / "t.jsonl", [{"text": "one"}, {"text": "two"}, {"text": "one"}])
    found = read(Source(path=path, columns=Columns(input="", answer="text")))
    assert [(row.input, row.answer) for row in found.rows] == [("", "one"), ("", "two")]
    assert found.report.duplicates == 1


def test_a_question_about_another_context_is_another_question(tmp_path):
    rows = [{"input": "who?", "context": c, "answer": c} for c in ("Ann", "Bob", "Ann")]
    path = lines(tmp_path / "t.jsonl", rows)
    assert len(read(Source(path=path)).rows) == 1
    assert len(read(Source(path=path), inputs=("context", "input")).rows) == 2
    own = {"path": path, "prompt": {"user": "{{ context }} {{ input }}"}}
    assert len(read(checked(Source, own)).rows) == 2


def test_variables_in_a_path_are_filled_in_and_missing_ones_named(tmp_path, monkeypatch):
    lines(tmp_path / "t.jsonl", [{"input": "a", "answer": "A"}])
    monkeypatch.setenv("SOME_FOLDER", str(tmp_path))
    assert len(read(Source(path="$SOME_FOLDER/t.jsonl")).rows) == 1
    monkeypatch.delenv("SOME_FOLDER")
    with pytest.raises(MissingError, match=r"\$SOME_FOLDER/t.jsonl needs an environment variable that is not set"):
        read(Source(path="$SOME_FOLDER/t.jsonl"))


def test_looking_for_a_store_that_is_not_there_makes_none(tmp_path):
    with pytest.raises(DataError, match="there is no file"):
        read(Source(path=str(tmp_path / "labels.sqlite")))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "has no rows: label some first"),
        ([{"text": "a", "answer": "A"}], "no column 'input': name its input in columns; it has text, answer"),
        ([{"input": "a", "label": "A"}], "no column 'answer'"),
        (
            [{"input": "a", "answer": None}],
            "nothing to learn from: .*0 of 1 rows are kept; left out: 1 without an answer",
        ),
        ([{"input": "a", "answer": ["A"]}], "row 1 of .*: text is needed, not list"),
        ([{"input": "a", "answer": "A", "soft_targets": {"A": 2.0}}], "row 1 .* add up to 1, not to 2"),
        ([{"input": "a", "answer": "A", "soft_targets": "{"}], "row 1 of .*: its soft targets are no JSON"),
        (
            [{"input": "a", "answer": "A", "soft_targets": [0.5]}],
            "a mapping from each class .*, not list",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_a_sentence(tmp_path, rows, sentence):
    with pytest.raises(DataError, match=sentence):
        read(Source(path=lines(tmp_path / "t.jsonl", rows)))


def test_a_csv_row_with_too_many_cells_is_not_cut(tmp_path):
    (tmp_path / "t.csv").write_text("input,answer\na,well, yes\n")
    with pytest.raises(DataError, match=r"row 1 of .* more cells than the header"):
        read(Source(path=str(tmp_path / "t.csv")))


def test_a_named_column_must_be_there(tmp_path):
    path = lines(tmp_path / "t.jsonl", [{"input": "a", "answer": "A"}])
    with pytest.raises(DataError, match="no column 'lang': name its group"):
        read(Source(path=path, columns=Columns(group="lang")))


def test_a_source_with_an_unknown_name_is_refused():
    with pytest.raises(ValidationError):
        Source(path="a.jsonl", colums={})


@pytest.mark.parametrize("column", [{}, {"answer": None}], ids=["no column", "an empty cell"])
def test_several_right_answers_need_no_first_one(tmp_path, column):
    path = tmp_path / "exam.jsonl"
    path.write_text(json.dumps({"input": "a", **column, "references": ["x", "y"]}) + "\n")
    (row,) = read(Source(path=str(path))).rows
    assert row.answer == "x"
    assert row.extra["references"] == ["x", "y"]
