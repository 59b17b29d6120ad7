import json

import pytest

from stillroom.core.cli import main


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def said(capsys, *arguments):
    """Return the exit code of a command, and what it wrote to stdout and stderr."""
    with pytest.raises(SystemExit) as left:
        main(["language", *map(str, arguments)])
    captured = capsys.readouterr()
    return left.value.code, captured.out, captured.err


@pytest.fixture
def recipe(llama, labels, tmp_path):
    """A recipe that takes seconds."""
    path = tmp_path / "recipe.yaml"
    path.write_text(
        f"student: {llama}\ndata: [{{path: {labels}}}]\nprompt: {{form: plain}}\nadapter: {{method: full}}\n"
        "split: {choose: 0.2, judge: 0.2}\nmax_new_tokens: 4\n"
        "train: {steps: 60, learning_rate: 2.0e-2, batch_size: 16, eval_every: 30}\n"
    )
    return path


def test_a_recipe_becomes_a_student_that_answers_and_is_judged(capsys, recipe, labels, tmp_path):
    code, out, _ = said(capsys, "distill", recipe, "--out", "run", "--json")
    assert code == 0
    assert json.loads(out)["kept"] is True
    code, out, err = said(capsys, "generate", labels, "--model", "run")
    answers = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert "tokens/s" in err
    assert sum(row["answer"] == "xy"[number % 2] for number, row in enumerate(answers)) > 190
    code, out, _ = said(capsys, "evaluate", labels, "--model", "run", "--metric", "exact", "--metric", "chrf", "--json")
    rows = json.loads(out)
    assert code == 0
    assert {row["system"] for row in rows} == {"run", "copy"}
    assert {row["metric"] for row in rows} == {"exact", "chrf"}


def test_an_answer_goes_to_a_file_with_the_columns_of_its_row(capsys, llama, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"id": 7, "input": "a 1"}\n')
    code, out, _ = said(
        capsys, "generate", "rows.jsonl", "--model", llama, "--out", "answers.jsonl", "--max-new-tokens", 3
    )
    assert (code, out) == (0, "answers.jsonl\n")
    assert json.loads((tmp_path / "answers.jsonl").read_text()).keys() == {"id", "input", "answer", "finished"}


def test_a_plan_says_what_trains_without_training(capsys, recipe):
    code, out, _ = said(capsys, "plan", recipe, "--json")
    found = json.loads(out)
    assert code == 0
    assert found["trainable"] == found["total"]
    assert any("1,000" in warning for warning in found["warnings"])


def test_a_plan_needs_neither_weights_nor_rows(capsys, tmp_path):
    (tmp_path / "recipe.yaml").write_text(
        "student: TinyLlama/TinyLlama-1.1B-Chat-v1.0\ndata: [{path: not-there.jsonl}]\n"
        "adapter: {method: qlora, rank: 8}\ntrain: {steps: 300}\n"
    )
    code, out, err = said(capsys, "plan", "recipe.yaml")
    assert code == 2
    assert "not-there.jsonl is not here" in err
    assert "--rows" in err
    code, out, _ = said(capsys, "plan", "recipe.yaml", "--rows", 5000, "--json")
    assert code == 0
    # rank 8 on q, k, v and o of 22 layers: 8 · (in + out) each, with 4 of 32 heads for keys and values
    assert json.loads(out)["trainable"] == 22 * 8 * (2 * (2048 + 2048) + 2 * (2048 + 256))


def test_a_plan_does_not_guess_where_the_rows_are_here_and_wrong(capsys, tmp_path):
    (tmp_path / "rows.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "recipe.yaml").write_text("student: student\ndata: [{path: rows.jsonl}]\n")
    code, _, err = said(capsys, "plan", "recipe.yaml", "--rows", 5000)
    assert code == 2
    assert "has no column 'input'" in err


def test_made_up_sentences_come_in_four_languages(capsys, tmp_path):
    code, _, _ = said(capsys, "grammar", "--out", "rows.jsonl", "--count", 40, "--part", "test", "--seed", 3)
    rows = [json.loads(line) for line in (tmp_path / "rows.jsonl").read_text().splitlines()]
    assert code == 0
    assert {row["group"] for row in rows} == {"en", "fr", "de", "es"}
    assert len({row["input"] for row in rows}) == 40


def test_what_is_asked_of_a_teacher_for_more_rows_is_a_file_and_its_prompt(capsys, labels, tmp_path):
    code, out, _ = said(capsys, "augment", labels, "--out", "more.jsonl", "--count", 2)
    assert code == 0
    assert (tmp_path / "more.jsonl").is_file()
    assert "stillroom teacher label more.jsonl" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["distill", "nowhere.yaml"], "There is no file nowhere.yaml"),
        (["generate", "nowhere.jsonl", "--model", "x"], "there is no file nowhere.jsonl"),
        (["evaluate", "nowhere.jsonl", "--model", "x"], "there is no file nowhere.jsonl"),
        (["evaluate", "nowhere.jsonl", "--model", "x", "--metric", "exakt"], "did you mean exact?"),
        (["grammar", "--out", "x.jsonl", "--language", "it"], "there is no grammar of 'it'"),
        (["grammar", "--out", "x.jsonl", "--part", "dev"], "there is no part 'dev'"),
        (["corpus", "nothing", "--out", "x.jsonl"], "there is no set 'nothing'"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(capsys, arguments, sentence, tmp_path):
    code, out, err = said(capsys, *arguments)
    assert code == 2
    assert out == ""
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "x.jsonl").exists()


def test_a_merged_adapter_is_plain_weights(capsys, llama, labels, tmp_path):
    (tmp_path / "lora.yaml").write_text(
        f"student: {llama}\ndata: [{{path: {labels}}}]\nprompt: {{form: plain}}\nsplit: {{choose: 0.2, judge: 0.2}}\n"
        "max_new_tokens: 4\ntrain: {steps: 60, learning_rate: 2.0e-2, batch_size: 16, eval_every: 30}\n"
    )
    assert said(capsys, "distill", "lora.yaml", "--out", "run")[0] == 0
    assert said(capsys, "merge", "run", "--out", "merged")[0] == 0
    assert (tmp_path / "merged" / "model.safetensors").is_file()
    assert not (tmp_path / "merged" / "adapter_model.safetensors").exists()
