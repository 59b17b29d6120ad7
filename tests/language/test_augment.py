from __future__ import annotations

import json

import jinja2
import jsonschema
import pytest
import yaml

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.tables import rows as table_rows
from stillroom.core.targets import Label, TargetStore
from stillroom.language.augment import inputs, labelled, requests
from stillroom.language.rows import Columns, Row, Source

SEEDS = [Row("he go", "he goes", group="en"), Row("il vont", "il va", group="fr")]
KNOWN_TO_TEACHER = {
    "name", "system", "instructions", "examples", "user", "input", "output", "endpoint", "template", "max_tokens",
    "temperature", "top_p", "seed", "stop", "top_logprobs", "extra",
}  # fmt: skip


def answered(path, asked, answers):
    """A store as a label job would leave it."""
    with TargetStore(path) as store:
        for number, (row, answer) in enumerate(zip(asked, answers, strict=True)):
            store.put_label(Label(f"k{number}", row["row_id"], row["input"], answer, "teacher", prompt_hash="p"))
    return str(path)


def listed(*texts):
    return json.dumps({"inputs": texts})


@pytest.mark.parametrize("how", ["paraphrase", "new"])
def test_the_prompt_file_says_what_a_teacher_understands(tmp_path, how):
    place = requests(SEEDS, tmp_path / "asked.jsonl", 3, how)
    assert place == tmp_path / "asked.prompt.yaml"
    prompt = yaml.safe_load(place.read_text())
    assert prompt.keys() <= KNOWN_TO_TEACHER
    assert "{" not in prompt["system"] + prompt["instructions"]
    jsonschema.Draft202012Validator.check_schema(prompt["output"]["json_schema"])
    jsonschema.validate({"inputs": ["a", "b"]}, prompt["output"]["json_schema"])
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({"inputs": [1]}, prompt["output"]["json_schema"])
    template = jinja2.Environment(undefined=jinja2.StrictUndefined).from_string(prompt["user"])
    said = [template.render(row) for row in table_rows(tmp_path / "asked.jsonl")]
    assert said[0] == "<input>\nhe go\n</input>\n\nWrite 3 new inputs."


def test_a_request_names_what_it_asks(tmp_path):
    requests(SEEDS, tmp_path / "a.jsonl", 3)
    requests(SEEDS[::-1], tmp_path / "b.jsonl", 3)
    requests(SEEDS, tmp_path / "c.jsonl", 4)
    a, b, c = ([row["row_id"] for row in table_rows(tmp_path / f"{name}.jsonl")] for name in "abc")
    assert a == b[::-1]
    assert not set(a) & set(c)
    assert next(table_rows(tmp_path / "a.jsonl")) == {"row_id": a[0], "input": "he go", "number": 3, "group": "en"}


def test_the_whole_way_gives_rows_that_are_new_and_keep_their_group(tmp_path):
    requests(SEEDS, tmp_path / "asked.jsonl", 3)
    asked = list(table_rows(tmp_path / "asked.jsonl"))
    store = answered(
        tmp_path / "new.sqlite", asked, [listed("she go", "HE  GO", " she go "), listed("elle vont", "held")]
    )
    harvest = inputs(
        Source(path=store, join=str(tmp_path / "asked.jsonl")), [*SEEDS, Row("Held")], tmp_path / "new.jsonl"
    )
    assert (harvest.answers, harvest.unreadable, harvest.inputs, harvest.known, harvest.kept) == (2, 0, 5, 3, 2)
    assert harvest.sentence().startswith("2 new inputs from 2 answers; left out: 3 that were there already")
    new = list(table_rows(tmp_path / "new.jsonl"))
    assert [(row["input"], row["group"]) for row in new] == [("she go", "en"), ("elle vont", "fr")]

    labels = answered(tmp_path / "labels.sqlite", new, ["she goes", "elle va"])
    found = labelled(Source(path=labels, join=str(tmp_path / "new.jsonl"), columns=Columns(group="group")))
    assert [(row.input, row.answer, row.group) for row in found.rows] == [
        ("she go", "she goes", "en"),
        ("elle vont", "elle va", "fr"),
    ]


def test_what_judges_is_not_learned(tmp_path):
    new = [{"row_id": "1", "input": "She  go"}, {"row_id": "2", "input": "they goes"}]
    labels = answered(tmp_path / "labels.sqlite", new, ["She goes", "they go"])
    found = labelled(labels, held_out=[Row("she go", "she goes")])
    assert [row.input for row in found.rows] == ["they goes"]
    assert "1 nearly the same as one held out" in found.report.sentence()
    with pytest.raises(DataError, match="nothing to learn from"):
        labelled(labels, held_out=[Row("she go"), Row("they goes")])


def test_answers_of_another_form_are_counted(tmp_path):
    asked = [{"row_id": str(n), "input": f"i{n}"} for n in range(6)]
    answers = ["no json", "[]", "{}", '{"inputs": "text"}', '{"inputs": [1]}', listed("one", "  ")]
    harvest = inputs(answered(tmp_path / "new.sqlite", asked, answers), [], tmp_path / "new.jsonl")
    assert (harvest.answers, harvest.unreadable, harvest.inputs, harvest.kept) == (6, 5, 1, 1)


def test_a_harvest_of_nothing_is_an_error_and_writes_no_file(tmp_path):
    store = answered(tmp_path / "new.sqlite", [{"row_id": "1", "input": "he go"}], [listed("He go")])
    with pytest.raises(DataError, match="no new input to label"):
        inputs(store, SEEDS, tmp_path / "new.jsonl")
    assert not (tmp_path / "new.jsonl").exists()


@pytest.mark.parametrize(
    ("rows", "options", "error"),
    [
        ([], {}, DataError),
        ([Row("", "text")], {}, DataError),
        (SEEDS, {"count": 0}, RecipeError),
        (SEEDS, {"how": "rhyme"}, RecipeError),
    ],
)
def test_requests_that_ask_for_nothing_are_refused(tmp_path, rows, options, error):
    with pytest.raises(error):
        requests(rows, tmp_path / "asked.jsonl", **options)
    assert not list(tmp_path.iterdir())
