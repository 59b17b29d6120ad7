"""Adapters compared, end to end on a tiny model: what is trained, judged, shown; and what survives a kill."""

from __future__ import annotations

import json
import math
import multiprocessing
import runpy
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stillroom.core.errors import DataError, RecipeError
from stillroom.core.runs import Run
from stillroom.language.compare import compare
from stillroom.language.lessons import material
from stillroom.language.recipe import DistillRecipe
from stillroom.language.summary import summary

CHILD = str(Path(__file__).with_name("comparing_child.py"))


def rows_file(folder, count=200):
    path = folder / "labels.jsonl"
    rows = [{"input": f"{'ab'[n % 2]} {n} done", "answer": "xy"[n % 2], "group": f"g{n % 2}"} for n in range(count)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def base_of(llama, folder, **changes):
    return {
        "student": str(llama),
        "data": [{"path": str(rows_file(folder))}],
        "prompt": {"form": "plain"},
        "split": {"choose": 0.2, "judge": 0.2},
        "max_new_tokens": 4,
        "choose_from": 16,
        "train": {"steps": 40, "learning_rate": 2e-2, "batch_size": 16, "eval_every": 20},
        **changes,
    }


@pytest.fixture(scope="module")
def compared(llama, tmp_path_factory):
    """Two methods at two ranks with two numbers of labels."""
    folder = tmp_path_factory.mktemp("compared")
    recipe = {"base": base_of(llama, folder), "adapters": ["lora", "ia3"], "ranks": [2, 8], "labels": [40, 100_000]}
    return recipe, compare(recipe, folder / "out", apart=False), folder / "out"


def test_every_cell_is_a_run_with_its_costs_and_its_quality(compared):
    _, found, _ = compared
    assert len(found.entries) == 6
    assert not found.failed
    lora = [one for one in found.entries if one.method == "lora"]
    assert {one.rank: one.trained for one in lora} == {
        2: min(one.trained for one in lora),
        8: 4 * min(o.trained for o in lora),
    }
    assert all(one.loss > 0 and one.seconds > 0 and 0 <= one.base <= one.quality <= 1 for one in lora)
    assert max(one.quality for one in lora) > 0.8


def test_costs_and_quality_are_those_of_the_runs(compared):
    _, found, out = compared
    for one in found.entries:
        run = Run.load(out / "runs" / one.name)
        assert one.trained == run.cost["trained"]
        assert one.loss == run.metrics["chosen_at"]["loss"]
        judged = [row for row in run.metrics["judged"] if (row["system"], row["group"]) == ("student", "all")]
        assert one.quality == judged[0]["value"]
        assert not list((out / "runs" / one.name / "checkpoints").glob("checkpoint-*"))


def test_labels_nest_and_what_chooses_and_judges_is_the_same(compared):
    _, found, out = compared
    recipes = {one.labels: Run.load(out / "runs" / one.name).recipe for one in found.entries}
    few, all_of_them = (
        material(DistillRecipe.of({k: v for k, v in recipes[n].items() if k not in ("family", "verb")}))
        for n in sorted(recipes)
    )
    assert len(few.learn) == 40 < len(all_of_them.learn)
    assert {row.input for row in few.learn} < {row.input for row in all_of_them.learn}
    for part in ("choose", "judge"):
        assert [row.input for row in getattr(few, part)] == [row.input for row in getattr(all_of_them, part)]
    judged = [json.loads(line)["input"] for line in (out / "rows" / "judge.jsonl").read_text().splitlines()]
    assert judged == [row.input for row in few.judge]


def test_more_labels_than_there_are_are_all_and_that_is_said(compared, capsys):
    recipe, _, out = compared
    compare(recipe, out, apart=False)
    said = capsys.readouterr().err
    assert "100,000 stands for all of them" in said
    assert "ia3 has no rank to vary" in said
    assert "6 trainings, 6 of them done before" in said


def test_a_second_call_trains_nothing_and_says_the_same(compared):
    recipe, found, out = compared
    before = {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")}
    assert compare(recipe, out, apart=False).rows() == found.rows()
    assert {path: path.stat().st_mtime_ns for path in (out / "runs").rglob("*")} == before


def test_another_recipe_or_other_rows_are_refused_and_nothing_is_touched(compared, llama, tmp_path):
    recipe, found, out = compared
    other = {**recipe, "base": {**recipe["base"], "max_tokens": 99}}
    with pytest.raises(RecipeError, match=r"another recipe \(max_tokens\): choose another folder"):
        compare(other, out, apart=False)
    other = {**recipe, "base": {**recipe["base"], "data": [{"path": str(rows_file(tmp_path, 210))}]}}
    with pytest.raises(RecipeError, match="is of another comparison"):
        compare(other, out, apart=False)
    assert summary(out).rows() == found.rows()


def test_a_grid_may_grow_and_what_was_there_stays_in_the_table(compared):
    recipe, found, out = compared
    grown = compare({**recipe, "adapters": ["vera"], "ranks": [4], "labels": [40]}, out, apart=False)
    assert {one.name for one in grown.entries} - {one.name for one in found.entries} == {"llama-vera-r4-n40-s0"}
    assert len(grown.entries) == 7


def test_the_table_says_what_was_left_out_and_how_loss_and_quality_rank(compared):
    _, found, _ = compared
    for shown in (found.markdown(), "\n".join(found.text())):
        assert "Houlsby et al. 2019" in shown
        assert "cannot be merged" in shown
        assert "rank correlation of validation loss and exact over 6 trainings" in shown
        assert "copy of the input" in shown
        assert "as it was" in shown
        assert "lora r=8" in shown
    (correlation,) = found.correlations.values()
    assert -1 <= correlation < 0
    plain = found.plain()
    assert len(plain["runs"]) == 6
    assert json.loads(json.dumps(plain, default=str))["rank_correlation"]


def test_bench_judges_a_run_by_the_suite_and_the_summary_finds_the_scores(compared, monkeypatch):
    runner = pytest.importorskip("stillroom.bench.runner", reason="the runner is stillroom-bench's")
    from stillroom.bench.executor import in_process
    from stillroom.bench.tasks import load_suite

    _, found, out = compared
    best = max(found.entries, key=lambda one: one.quality)
    place = str(out / "runs" / best.name)
    assert f"--model {place} " in found.command
    plan = runner.make_plan(load_suite(str(out / "suite.yaml")), [place], out / "scores")
    scores = runner.run(plan, executor=in_process).set_index(["model", "task"])
    assert set(scores.status) == {"ok"}
    clean, noisy = scores.loc[place, "clean"], scores.loc[place, "noisy"]
    assert clean["QUALITY"] == best.quality  # the same rows, asked in the same way
    assert (clean["adapter"], clean["train_seconds"]) == (best.method, best.seconds)
    assert scores.loc["copy", "clean"]["QUALITY"] == 0
    after = summary(out)
    scored = next(one for one in after.entries if one.name == best.name)
    assert (scored.clean, scored.noisy) == (clean["QUALITY"], noisy["QUALITY"])
    assert "noisy (bench)" in after.markdown()
    (out / "scores" / "scores.parquet").unlink()


def test_the_picture_is_drawn(compared):
    pytest.importorskip("matplotlib")
    from stillroom.language.tradeoff import draw

    _, found, _ = compared
    assert draw(found).startswith(b"\x89PNG")


def test_seeds_are_one_line_with_their_mean_and_range(llama, tmp_path):
    base = base_of(llama, tmp_path, train={"steps": 4, "learning_rate": 2e-2, "batch_size": 16, "eval_every": 4})
    found = compare({"base": base, "adapters": ["full"], "seeds": [0, 1]}, tmp_path / "out", apart=False)
    assert [one.seed for one in found.entries] == [0, 1]
    (line,) = found.lines()
    assert line.mean("loss") == pytest.approx(sum(one.loss for one in found.entries) / 2)
    assert line.spread("loss")[0] < line.spread("loss")[1]
    assert math.isnan(line.mean("memory_mb"))
    assert "[" in found.markdown().splitlines()[4]
    assert math.isnan(found.correlations[str(llama)])
    assert "too few different trainings (2)" in found.markdown()


def test_tasks_prompts_reasons_soft_targets_and_other_columns_survive_the_portions(llama, tmp_path):
    first = [{"q": f"{'ab'[n % 2]} {n}", "answer": "xy"[n % 2], "level": n % 3, "rationale": "so"} for n in range(80)]
    second = [{"input": f"is {n}", "soft_targets": {"x": 0.75, "y": 0.25}, "group": "g"} for n in range(80)]
    exam = [
        {"input": "b 7", "answer": "y", "references": ["y", "Y"], "level": 1},
        {"input": "a 9", "answer": "x", "level": 0},
    ]
    for name, rows in (("first", first), ("second", second), ("exam", exam)):
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    base = base_of(
        llama, tmp_path, prompt={"form": "plain", "user": "{{ level }} {{ input }}"}, objective={"rationale": 0.5},
        data=[
            {"path": str(tmp_path / "first.jsonl"), "columns": {"input": "q"}, "task": "letters", "weight": 2.0},
            {"path": str(tmp_path / "second.jsonl"), "task": "soft", "prompt": {"form": "plain"}},
        ],
        exam={"path": str(tmp_path / "exam.jsonl")},
    )  # fmt: skip
    from stillroom.language.portions import portions

    whole = DistillRecipe.of(base)
    data = portions(whole).write(tmp_path / "rows", None)
    again = material(whole.model_copy(update={"data": DistillRecipe.of({**base, "data": data}).data}))
    before = material(whole)
    for part in ("learn", "choose", "judge"):
        ours = [(r.task, r.prefix, r.input, r.answer, r.rationale, r.soft_targets, dict(r.extra), r.group)
                for r in getattr(again, part)]  # fmt: skip
        wanted = [(r.task, r.prefix, r.input, r.answer, r.rationale, r.soft_targets, dict(r.extra), r.group)
                  for r in getattr(before, part)]  # fmt: skip
        assert sorted(map(repr, ours)) == sorted(map(repr, wanted))
    assert (again.prompts, again.weights) == (before.prompts, before.weights)
    few = portions(whole).write(tmp_path / "rows", 10)
    found = material(whole.model_copy(update={"data": DistillRecipe.of({**base, "data": few}).data}))
    assert len({row.input for row in found.learn}) == 10
    assert [one["input"] for one in portions(whole).asked(whole.prompt)] == ["b 7", "a 9"]
    assert next(portions(whole).asked(whole.prompt)) == {"level": 1, "input": "b 7", "references": ["y", "Y"]}


def test_a_training_that_fails_is_said_and_the_others_go_on(llama, tmp_path, capsys):
    base = base_of(llama, tmp_path, adapter={"method": "lora", "target_modules": ["q_proj", "nowhere"]})
    base["train"]["steps"] = 2
    recipe = {"base": base, "adapters": ["lora", "full"]}
    found = compare(recipe, tmp_path / "out", apart=False)
    assert [one.method for one in found.entries] == ["full"]
    assert "no linear layer 'nowhere'" in found.failed["llama-lora-all-s0"]
    assert "llama-lora-all-s0 failed" in capsys.readouterr().err
    assert "is not there: LlamaForCausalLM has no linear layer 'nowhere'" in found.markdown()


def test_where_nothing_could_be_trained_the_first_reason_is_said(llama, tmp_path):
    base = base_of(llama, tmp_path, adapter={"method": "lora", "target_modules": ["nowhere"]})
    with pytest.raises(DataError, match=r"no training of .* is done: .*no linear layer 'nowhere'"):
        compare({"base": base, "adapters": ["lora"]}, tmp_path / "out", apart=False)
    with pytest.raises(DataError, match="holds no comparison"):
        summary(tmp_path)


def test_a_teacher_whose_targets_are_stored_is_asked_once_for_all(llama, tmp_path):
    teacher = {"model": str(llama), "targets": "stored", "top_k": 4}
    base = base_of(llama, tmp_path, objective={"name": "forward_kl", "teacher": teacher})
    base["train"] = {"steps": 2, "eval_every": 2, "batch_size": 16}
    found = compare({"base": base, "adapters": ["full", "ia3"]}, tmp_path / "out", apart=False)
    assert len(found.entries) == 2
    assert [path.parent.name for path in (tmp_path / "out").rglob("targets.sqlite")] == ["out"]


@pytest.fixture(scope="module")
def start():
    """Start a comparison in a process that has imported torch already."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["stillroom.language.distill", "stillroom.language.compare"])

    def start(recipe, folder):
        order = {"recipe": recipe, "folder": str(folder)}
        process = context.Process(target=runpy.run_path, args=(CHILD, {"ORDER": order}, "child"))
        process.start()
        return process

    return start


def test_a_comparison_killed_in_the_middle_goes_on_where_it_was(start, llama, tmp_path):
    recipe = {"base": base_of(llama, tmp_path), "adapters": ["lora", "dora"], "ranks": [2, 4]}
    recipe["base"]["train"] |= {"steps": 60, "eval_every": 5}
    out = tmp_path / "out"
    doomed = start(recipe, out)
    second = out / "runs" / "llama-lora-r4-all-s0"
    deadline = time.monotonic() + 120
    while not list((second / "checkpoints").glob("checkpoint-[1-9]*")) and time.monotonic() < deadline:
        time.sleep(0.02)
    doomed.kill()
    doomed.join()
    assert not Run.load(second).metrics
    first = out / "runs" / "llama-lora-r2-all-s0"
    before = {path: path.stat().st_mtime_ns for path in first.rglob("*")}
    begun = summary(out)
    assert [one.name for one in begun.entries] == [first.name]
    assert len(begun.failed) == 3
    found = compare(recipe, out, apart=False)
    assert len(found.entries) == 4
    assert {path: path.stat().st_mtime_ns for path in first.rglob("*")} == before
    assert [one.name for one in found.entries if one.resumed] == [second.name]
    whole = compare({**recipe, "adapters": ["lora"], "ranks": [4]}, tmp_path / "whole", apart=False)
    resumed = next(one for one in found.entries if one.name == second.name)
    assert (resumed.loss, resumed.quality) == (whole.entries[0].loss, whole.entries[0].quality)


def test_a_cell_in_a_process_of_its_own_knows_its_peak_memory_and_leaves_no_log(llama, tmp_path):
    base = base_of(llama, tmp_path)
    base["train"] |= {"steps": 4}
    found = compare({"base": base, "adapters": ["lora"]}, tmp_path / "out")
    assert found.entries[0].memory_mb > 100
    assert not list((tmp_path / "out" / "logs").iterdir())


def test_a_cell_says_why_it_failed_and_leaves_when_its_parent_is_gone_or_killed(tmp_path):
    cell = [sys.executable, "-m", "stillroom.language.cell"]
    order = json.dumps({"recipe": {"student": "x"}, "folder": str(tmp_path / "run")}) + "\n"
    child = subprocess.Popen(cell, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    child.stdin.write(order.encode())
    child.stdin.close()  # as the system does when a parent is killed
    assert child.wait(60) in (1, 2)
    silent = subprocess.run(cell, input=b"", timeout=60)
    assert silent.returncode == 1
