"""`stillroom teacher label` and `ledger` as processes, against a real server: files, sentences, exit codes, kills."""

from __future__ import annotations

import json
import os
import random
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from stillroom.core.cli import main
from stillroom.core.labels import COLUMNS
from stillroom.core.tables import rows as read
from stillroom.core.targets import TargetStore
from stillroom.teacher.labelling import label
from stillroom.teacher.ledger import entries
from stillroom.teacher.prices import PICO
from stillroom.teacher.testing import Fault, Script, ScriptedServer

KEY = "sk-very-secret"
PROMPT = {"user": "{{ text }}", "output": {"one_of": ["yes", "no"]}, "max_tokens": 8}
PRICE = ("--input-usd", 0.15, "--output-usd", 0.6)
CLEAN = {name: value for name, value in os.environ.items() if not name.startswith(("OPENAI_", "STILLROOM_"))}
ENVIRONMENT = CLEAN | {"OPENAI_API_KEY": KEY}


def even(body: dict) -> str:
    """Answer "Is 12 even?"."""
    return "no" if int(re.findall(r"\d+", body["messages"][-1]["content"])[-1]) % 2 else "yes"


def command(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("stillroom")), "teacher", *map(str, arguments)]


def stillroom(*arguments: object, env=ENVIRONMENT, **options) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*arguments), capture_output=True, text=True, timeout=120, env=env, **options)


def write(path: Path, rows) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def cells(path: Path, *without: str) -> list[dict[str, str]]:
    """The rows of a label table, as CSV has them."""
    return [{name: str("" if row[name] is None else row[name]) for name in COLUMNS if name not in without}
            for row in read(path)]  # fmt: skip


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file): file.read_bytes() for file in sorted(folder.rglob("*")) if file.is_file()}


@pytest.fixture(scope="module")
def server():
    with ScriptedServer(Script(answer=even, api_key=KEY)) as server:
        yield server


@pytest.fixture
def job(tmp_path, server):
    """What most commands here begin with, but for the rows; its store and prompt are in the test's folder."""
    (tmp_path / "prompt.yaml").write_text(json.dumps(PROMPT))
    return ("--prompt", tmp_path / "prompt.yaml", "--model", "scripted", *PRICE, "--store", tmp_path / "teacher.sqlite",
            "--base-url", server.base_url)  # fmt: skip


def test_rows_of_every_kind_give_the_same_labels_in_files_of_every_kind(tmp_path, server, job, some_rows):
    pytest.importorskip("pyarrow")
    import pyarrow
    from pyarrow import parquet

    rows = some_rows(5)
    lines = write(tmp_path / "rows.jsonl", rows)
    parquet.write_table(pyarrow.Table.from_pylist(rows), tmp_path / "rows.parquet")
    (tmp_path / "rows.csv").write_text("row_id,text\n" + "".join(f"{row['row_id']},{row['text']}\n" for row in rows))
    before = server.stats()["requests"]
    for given, out in (("rows.csv", "a.parquet"), ("rows.jsonl", "b.csv"), ("rows.parquet", "c.jsonl")):
        done = stillroom("label", tmp_path / given, *job, "--out", tmp_path / out)
        assert done.returncode == 0, done.stderr
        assert f"5 labels in {tmp_path / out}" in done.stderr
        assert done.stdout == ""
    limited = (*job, "--budget-usd", 0.004, "--out", tmp_path / "d.jsonl", "--json")
    done = stillroom("label", "-", *limited, input=lines.read_text())
    assert re.search(r"\(5 of them were there before\)\. This run cost \$0\.00; the job \$0\.0000\d+ of a budget of "
                     r"\$0\.00400\.", done.stderr), done.stderr  # fmt: skip
    assert server.stats()["requests"] == before + 5  # the requests are the same, so those of one run are enough
    summary = json.loads(done.stdout)
    assert (summary["rows"], summary["labelled"], summary["stored_before"], summary["usd"]) == (5, 5, 5, 0)
    assert summary["usd_of_the_job"] > 0
    expected = cells(tmp_path / "a.parquet")
    assert [(one["row_id"], one["answer"], one["input"]) for one in expected] == [
        (f"r{number}", "no" if number % 2 else "yes", f"Is {number} even?") for number in range(5)
    ]
    for out in ("b.csv", "c.jsonl", "d.jsonl"):
        assert cells(tmp_path / out) == expected


def test_a_dry_run_counts_and_asks_nobody(tmp_path, server, job, some_rows):
    rows = write(tmp_path / "rows.jsonl", [*some_rows(4), *some_rows(1)])
    before = server.stats()["requests"]
    done = stillroom("label", rows, *job, "--out", tmp_path / "labels.csv", "--dry-run", "--json", env=CLEAN)
    assert done.returncode == 0, done.stderr
    counted = json.loads(done.stdout)
    assert (counted["rows"], counted["calls"], counted["repeated"]) == (5, 4, 1)
    assert counted["at_most"] > 0
    assert server.stats()["requests"] == before
    assert not (tmp_path / "labels.csv").exists()


def test_rows_without_a_label_are_listed_and_the_list_goes_when_they_have_one(tmp_path, job, some_rows):
    rows = write(tmp_path / "rows.jsonl", [*some_rows(2), {"row_id": "odd", "txt": "?"}])
    out, beside = tmp_path / "labels.jsonl", tmp_path / "labels.unlabelled.jsonl"
    done = stillroom("label", rows, *job, "--out", out, "--json")
    assert done.returncode == 1
    assert f"1 rows have no label. They are listed in {beside}" in done.stderr
    assert (json.loads(done.stdout)["unlabelled"], json.loads(done.stdout)["unlabelled_in"]) == (1, str(beside))
    (listed,) = read(beside)
    assert listed["row_id"] == "odd"
    assert "has no 'text'" in listed["reason"]
    assert len(cells(out)) == 2
    write(rows, some_rows(3))
    done = stillroom("label", rows, *job, "--out", out)
    assert done.returncode == 0, done.stderr
    assert not beside.exists()
    assert len(cells(out)) == 3


def without(arguments: tuple, *names: str) -> tuple:
    """The arguments without these options."""
    return tuple(one for name, value in zip(arguments[::2], arguments[1::2], strict=True) if name not in names
                 for one in (name, value))  # fmt: skip


def test_a_mistake_is_one_sentence_and_no_file_is_touched(tmp_path, job, some_rows, monkeypatch, capsys):
    """In this process, for quickness: `main` is what the script calls."""
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    rows = write(tmp_path / "rows.jsonl", some_rows(2))
    out = write(tmp_path / "labels.jsonl", [{"row_id": "kept"}])
    write(tmp_path / "labels.unlabelled.jsonl", [{"row_id": "kept"}])
    boundless = tmp_path / "boundless.yaml"
    boundless.write_text(json.dumps({"user": "{{ text }}"}))
    before = everything(tmp_path)
    for arguments, sentence in (
        ((rows, *job, "--prompt", tmp_path / "none.yaml"), "There is no file .*none.yaml: give a YAML file"),
        ((rows, *without(job, *PRICE[::2])), "there is no price for 'scripted': give one with --prices FILE"),
        ((rows, *job, "--prompt", boundless), "give max_tokens in the prompt, or --max-tokens"),
        ((rows, *job, "--budget-usd", 0), "a budget is more than nothing"),
        ((rows, *job, "--out", tmp_path / "labels.xlsx"), "a file that ends in .parquet, .csv, .jsonl, not to"),
        ((tmp_path / "none.jsonl", *job), "there is no file .*none.jsonl"),
        ((rows, *without(job, "--base-url")), "there is no API key: set OPENAI_API_KEY, or name a server"),
    ):
        with pytest.raises(SystemExit) as left:
            main([*map(str, ("teacher", "label", "--out", out, *arguments))])
        said = capsys.readouterr()
        assert (left.value.code, said.out) == (2, "")
        assert re.fullmatch(rf"error: .*{sentence}.*\n", said.err), said.err
    after = everything(tmp_path)
    assert {name: after[name] for name in before} == before
    assert after.keys() == before.keys()


def test_the_key_is_in_no_output_and_no_file(tmp_path, job, some_rows):
    rows = write(tmp_path / "rows.jsonl", some_rows(10))
    script = Script(answer=even, api_key=KEY, faults=(Fault("cut", share=0.3), Fault("status", share=0.2, status=400)))
    with ScriptedServer(script) as troubled:
        reach = (*job, "--base-url", troubled.base_url, "--out", tmp_path / "labels.csv", "--json")
        done = [stillroom("label", rows, *reach), stillroom("label", rows, *reach, "--job", "wrong", env=CLEAN)]
        assert all(request["authorized"] for request in troubled.requests())
    assert done[0].returncode in (0, 1)
    assert done[1].returncode in (0, 1)
    assert not [one for one in done if KEY in one.stdout + one.stderr]
    assert not [name for name, content in everything(tmp_path).items() if KEY.encode() in content]


def test_the_ledger_sums_by_job_model_and_day(tmp_path, server, make_job, api, some_rows):
    store = tmp_path / "teacher.sqlite"
    with TargetStore(store) as kept:
        for name, count in (("first", 3), ("second", 5)):
            label(some_rows(count, start=count * 10), make_job(name=name), kept, api(server))
    table = stillroom("ledger", store).stdout
    assert [line.split()[:2] for line in table.splitlines() if "scripted" in line] == [
        ["first", "scripted"],
        ["second", "scripted"],
    ]
    by_job = json.loads(stillroom("ledger", store, "--by", "job", "--json").stdout)
    assert [(row["job"], row["calls"], row["labelled"]) for row in by_job] == [("first", 3, 3), ("second", 5, 5)]
    (both,) = json.loads(stillroom("ledger", store, "--by", "model,day", "--json").stdout)
    assert both["model"] == "scripted"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", both["day"])
    assert both["charged"] == sum(row["charged"] for row in by_job)
    assert both["usd"] == pytest.approx(both["charged"] / PICO)
    wrong = stillroom("ledger", store, "--by", "week")
    assert (wrong.returncode, wrong.stderr) == (
        2,
        "error: --by week: sum by any of job, model, day, each once, with commas between them\n",
    )


def test_help_of_every_command_works_and_imports_neither_openai_nor_torch():
    code = """
import sys
from typer.main import get_command
from stillroom.core.cli import main
from stillroom.teacher.cli import app
paths = [[]]
for name, command in get_command(app).commands.items():
    paths += [[name], *([name, one] for one in getattr(command, "commands", ()))]
for path in paths:
    try: main(["teacher", *path, "--help"])
    except SystemExit as done: assert not done.code, path
assert not {"openai", "torch", "numpy", "jinja2"} & {*sys.modules}
print(len(paths), "helps")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert int(re.findall(r"(\d+) helps", done.stdout)[0]) >= 11


def kill_at_random(arguments: list[str], server: ScriptedServer, kills: int, seconds: tuple[float, float]) -> None:
    """Run a command so many times and kill it (SIGKILL) some time after it has begun to ask."""
    draw = random.Random(kills)
    for _ in range(kills):
        before = server.stats()["requests"]
        process = subprocess.Popen(arguments, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while server.stats()["requests"] == before:
            assert process.poll() is None, "it ended before it asked"
            time.sleep(0.01)
        time.sleep(draw.uniform(*seconds))
        assert process.poll() is None, "it was over before it could be killed"
        process.kill()
        process.wait()


def charged(store: Path) -> int:
    with TargetStore(store) as kept:
        (row,) = entries(kept, ["job"])
    assert row["open"] == 0
    return int(str(row["charged"]))


CONCURRENCY = 8
SLOW = Script(answer=even, latency=(0.05, 0.2))  # 300 rows at this concurrency take five seconds
LIMITS = ("--concurrency", CONCURRENCY, "--job", "killed")


@pytest.mark.parametrize(("count", "kills"), [(300, 3), pytest.param(2000, 25, marks=pytest.mark.slow)])
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_had_not_been(
    tmp_path, job, make_job, api, store, some_rows, count, kills
):
    rows, out = write(tmp_path / "rows.jsonl", some_rows(count)), tmp_path / "labels.parquet"
    kept = tmp_path / "killed.sqlite"
    plain = make_job(PROMPT)
    most = max(plain.price.reservation(one.request.size, 8) for one in plain.questions(some_rows(count)))
    budget = (count + kills * CONCURRENCY) * most / PICO
    with ScriptedServer(SLOW) as server:
        arguments = command("label", rows, *job, *LIMITS, "--store", kept, "--base-url", server.base_url, "--out", out,
                            "--budget-usd", budget)  # fmt: skip
        kill_at_random(arguments, server, kills, (0.3, 1.2))
        assert not out.exists()
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
        assert done.returncode == 0, done.stderr
        bill = server.bill()
        assert subprocess.run(arguments, capture_output=True, timeout=120, env=ENVIRONMENT).returncode == 0
        assert server.bill() == bill  # a further run makes no request
    assert len(bill.by_content) == count
    assert bill.requests <= count + kills * CONCURRENCY
    assert bill.picodollars <= charged(kept) <= budget * PICO
    with ScriptedServer(Script(answer=even)) as quick:
        uninterrupted = label(some_rows(count), plain, store, api(quick))
    expected = [{name: str("" if value is None else value) for name, value in vars(one).items() if name != "created"}
                for one in uninterrupted]  # fmt: skip
    assert cells(out, "created") == expected
    assert len(expected) == count


@pytest.mark.slow
def test_a_budget_holds_over_a_run_and_its_kills_together(tmp_path, job, some_rows):
    rows, kept = write(tmp_path / "rows.jsonl", some_rows(1000)), tmp_path / "killed.sqlite"
    budget = 0.004  # less than 1,000 rows cost
    with ScriptedServer(SLOW) as server:
        arguments = command("label", rows, *job, *LIMITS, "--store", kept, "--base-url", server.base_url, "--out",
                            tmp_path / "labels.csv", "--budget-usd", budget)  # fmt: skip
        kill_at_random(arguments, server, 3, (0.3, 0.6))
        done = subprocess.run(arguments, capture_output=True, text=True, timeout=120, env=ENVIRONMENT)
        bill = server.bill()
    assert done.returncode == 1
    assert "rows have no label: the budget is used up" in done.stderr
    assert 0 < len(cells(tmp_path / "labels.csv")) < 1000
    assert bill.picodollars <= charged(kept) <= budget * PICO
