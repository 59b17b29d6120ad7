"""From a recipe to batches: what is held out, what the teacher reads, and what is refused before the first step."""

from __future__ import annotations

import json

import pytest

from stillroom.core.errors import DataError
from stillroom.language.lessons import lessons, material, store_of
from stillroom.language.objective import TeacherPart
from stillroom.language.recipe import DistillRecipe
from stillroom.language.split import normalised
from stillroom.language.students import load


def recipe(model, labels, **changes):
    return DistillRecipe.of(
        {
            "student": {"model": str(model)},
            "data": [{"path": str(labels)}],
            "prompt": {"form": "plain"},
            "split": {"choose": 0.2, "judge": 0.2},
            "train": {"steps": 1, "batch_size": 4},
            **changes,
        }
    )


def write(path, rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_teacher_reads_its_own_prompt_and_the_students_answers(llama, other_llama, labels, tmp_path):
    prompt = {"form": "plain", "examples": [{"input": "a 1", "answer": "x"}]}
    objective = {"name": "forward_kl", "teacher": {"model": str(other_llama), "prompt": prompt}}
    asked = recipe(llama, labels, objective=objective)
    student = load(str(llama))
    with lessons(asked, material(asked), student, tmp_path) as lesson:
        batch = lesson.batches[0]
    words = student.tokenizer
    for row in range(4):
        ours, theirs = (
            words.decode(batch[name][row], skip_special_tokens=True) for name in ("input_ids", "teacher_input_ids")
        )
        assert theirs == "a 1\nx\n\n" + ours
    assert (
        batch["labels"][batch["labels"] >= 0].tolist() == batch["teacher_labels"][batch["teacher_labels"] >= 0].tolist()
    )


def test_what_tells_a_student_to_give_reasons_is_not_said_to_its_teacher(llama, other_llama, tmp_path):
    rows = [{"input": f"a {n}", "answer": "x", "rationale": "so"} for n in range(100)]
    prompt = {"form": "plain", "system": "Answer."}
    objective = {"name": "forward_kl", "rationale": 0.5, "teacher": {"model": str(other_llama), "prompt": prompt}}
    asked = recipe(llama, write(tmp_path / "rows.jsonl", rows), objective=objective)
    student = load(str(llama))
    with lessons(asked, material(asked), student, tmp_path) as lesson:
        batch = lesson.batches[0]
    texts = {name: student.tokenizer.batch_decode(batch[name]) for name in ("input_ids", "teacher_input_ids")}
    assert all("[label]" in text or "[rationale]" in text for text in texts["input_ids"])
    assert not any("[" in text for text in texts["teacher_input_ids"])
    assert set(batch["tasks"].tolist()) <= {0, 1}


def test_duplicates_never_cross_the_split_and_the_exam_is_taken_out(llama, tmp_path):
    rows = [{"input": f"{word} {n}", "answer": "x"} for n in range(100) for word in ("Word", "word ")]
    exam = write(tmp_path / "exam.jsonl", [{"input": "WORD 7", "answer": "x"}])
    parts = material(recipe(llama, write(tmp_path / "labels.jsonl", rows), exam={"path": str(exam)}))
    texts = [{normalised(row.input) for row in getattr(parts, name)} for name in ("learn", "choose", "judge", "exam")]
    assert all(texts)
    for place, one in enumerate(texts):
        assert all(one.isdisjoint(other) for other in texts[place + 1 :])
    assert any("are in the exam as well" in sentence for sentence in parts.sentences)


def test_too_few_rows_are_one_sentence(llama, tmp_path):
    with pytest.raises(DataError, match="label more"):
        material(recipe(llama, write(tmp_path / "labels.jsonl", [{"input": "a", "answer": "x"}])))


def test_answers_are_kept_where_the_recipe_says_else_in_the_run(tmp_path, monkeypatch):
    monkeypatch.setenv("KEPT", str(tmp_path))
    assert store_of(TeacherPart(model="m", store="$KEPT/said.sqlite"), tmp_path / "run") == tmp_path / "said.sqlite"
    assert store_of(TeacherPart(model="m"), tmp_path / "run") == tmp_path / "run" / "targets.sqlite"


def test_answers_spoilt_anew_join_what_is_learned_and_nothing_that_is_held_out(llama, tmp_path):
    rows = [{"input": f"anna walk to house {n}", "answer": f"Anna walks to the house {n}."} for n in range(200)]
    exam = write(tmp_path / "exam.jsonl", [{"input": f"Anna walks to the house {n}", "answer": "x"} for n in range(99)])
    labels = write(tmp_path / "rows.jsonl", rows)
    plain = material(recipe(llama, labels, exam={"path": str(exam)}))
    found = material(recipe(llama, labels, exam={"path": str(exam)}, spoilt=4))
    assert found.learn[: len(plain.learn)] == plain.learn
    assert len(found.learn) > 3 * len(plain.learn)
    assert (found.choose, found.judge, found.exam) == (plain.choose, plain.judge, plain.exam)
    learned = {normalised(row.input) for row in found.learn}
    for part in (found.choose, found.judge, found.exam):
        assert learned.isdisjoint(normalised(row.input) for row in part)
    assert found.sentences[-1].endswith("more rows to learn: answers, spoilt anew")
