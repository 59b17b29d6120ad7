from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

OUTSIDER = """
import sys, time
from typing import Annotated
import typer
from stillroom.core.cli import echo_json, progress
from stillroom.core.errors import CorruptError, DataError

app = typer.Typer(help="Things that an outsider does.")

@app.command()
def result(as_json: Annotated[bool, typer.Option("--json")] = False) -> None:
    with progress("thinking", total=1) as advance:
        advance()
    typer.echo("a message", err=True)
    echo_json({"score": float("nan"), "names": ("a", "b")})

@app.command()
def mistake() -> None:
    raise DataError("there is no column 'target'; name one with --target")

@app.command()
def damage() -> None:
    raise CorruptError("the file is damaged: bring back a copy")

@app.command()
def bug() -> None:
    raise ZeroDivisionError("ours")

@app.command()
def flood() -> None:
    for line in range(100_000):
        print("line", line)

@app.command()
def sleep() -> None:
    print("ready", flush=True)
    time.sleep(60)

single = typer.Typer()

@single.command()
def only(name: str = "you") -> None:
    typer.echo(f"hello {name}")

not_an_app = 3
"""


@pytest.fixture(scope="module")
def outsider(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An outsider's package, installed for real: modules and metadata in a folder on the path."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "outsider_commands.py").write_text(OUTSIDER)
    (folder / "outsider_broken.py").write_text("raise ImportError('half of me is missing')")
    info = folder / "outsider-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: outsider\nVersion: 1.0\nSummary: Things [from] outside\n"
    )
    (info / "entry_points.txt").write_text(
        "[stillroom.commands]\n"
        "outside = outsider_commands:app\n"
        "hello = outsider_commands:single\n"
        "three = outsider_commands:not_an_app\n"
        "cracked = outsider_broken:app\n"
        "absent = outsider_nowhere.cli:app\n"
        "mad = not a module!:app\n"
    )
    return folder


def start(site: Path, code: str, *arguments: str, **options) -> subprocess.Popen:
    environment = {**os.environ, "PYTHONPATH": str(site), "COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
    command = [sys.executable, "-c", code, *arguments]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": environment}
    return subprocess.Popen(command, **pipes | options)


def stillroom(site: Path, *arguments: str) -> subprocess.CompletedProcess:
    process = start(site, "from stillroom.core.cli import main; main()", *arguments)
    stdout, stderr = process.communicate(timeout=60)
    return subprocess.CompletedProcess(arguments, process.returncode, stdout, stderr)


def test_help_lists_every_installed_command_and_the_reason_of_a_broken_one(outsider):
    done = stillroom(outsider, "--help")
    assert done.returncode == 0
    assert done.stderr == ""
    lines = {line.strip("│ ").split()[0]: line for line in done.stdout.splitlines() if line.strip("│ ")}
    assert "Things [from] outside" in lines["outside"]
    assert "broken: its module outsider_nowhere is not installed" in lines["absent"]
    assert "broken" in lines["mad"]
    assert "cracked" in lines


def test_help_imports_no_command_and_nothing_heavy(outsider):
    code = """
import sys
from stillroom.core.cli import main
try:
    main(["--help"])
except SystemExit as done:
    assert done.code == 0
heavy = {"torch", "transformers", "peft", "pandas", "numpy", "chronos", "pydantic", "yaml"}
commands = {"outsider_commands", "outsider_broken", "stillroom.bench", "stillroom.chronos"}
print(sorted((heavy | commands) & set(sys.modules)))
"""
    stdout, stderr = start(outsider, code).communicate(timeout=60)
    assert stdout.splitlines()[-1] == "[]", stderr


def test_the_light_modules_of_core_bring_neither_torch_nor_pandas(outsider):
    code = """
import sys
from stillroom.core import cli, errors, keys, labels, plain, progress, protocols, registry, runs, targets, tensors
print(sorted({"torch", "transformers", "peft", "pandas", "pyarrow", "safetensors"} & set(sys.modules)))
"""
    stdout, stderr = start(outsider, code).communicate(timeout=60)
    assert stdout == "[]\n", stderr


def test_help_takes_less_than_a_second(outsider):
    seconds = []
    for _ in range(5):  # the best of five: other work may be running on this machine
        process = start(outsider, "from stillroom.core.cli import main; main()", "--help")
        process.stdout.read()
        _, _, usage = os.wait4(process.pid, 0)
        seconds.append(usage.ru_utime + usage.ru_stime)
    assert min(seconds) < 1.0


def test_the_installed_script_is_this_command():
    script = Path(sys.executable).with_name("stillroom")
    done = subprocess.run([script, "--version"], capture_output=True, text=True, check=True)
    assert "stillroom-core " in done.stdout


def test_results_are_json_on_stdout_and_messages_go_to_stderr(outsider):
    done = stillroom(outsider, "outside", "result", "--json")
    assert done.returncode == 0
    assert json.loads(done.stdout) == {"score": None, "names": ["a", "b"]}
    assert done.stderr == "a message\n"


def test_a_users_mistake_is_one_sentence_and_exit_code_2(outsider):
    done = stillroom(outsider, "outside", "mistake")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == "error: there is no column 'target'; name one with --target\n"


def test_a_damaged_file_is_one_sentence_and_exit_code_1(outsider):
    done = stillroom(outsider, "outside", "damage")
    assert done.returncode == 1
    assert done.stderr == "error: the file is damaged: bring back a copy\n"


def test_a_bug_keeps_its_traceback(outsider):
    done = stillroom(outsider, "outside", "bug")
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "ZeroDivisionError: ours" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("--nonsense",), ("outside", "result", "--nonsense"), ("outside", "nonsense"), ("hello", "--name")],
    ids=" ".join,
)
def test_a_wrong_option_ends_with_exit_code_2(outsider, arguments):
    done = stillroom(outsider, *arguments)
    assert done.returncode == 2
    assert done.stdout == ""
    assert "Traceback" not in done.stderr


def test_an_unknown_command_is_answered_with_the_nearest_one(outsider):
    done = stillroom(outsider, "outsid", "result")
    assert done.returncode == 2
    assert done.stderr == "error: there is no command 'outsid'; did you mean 'outside'?\n"


def test_a_broken_package_breaks_only_its_own_command(outsider):
    done = stillroom(outsider, "cracked", "anything")
    assert done.returncode == 2
    assert done.stderr == (
        "error: command 'cracked' of package outsider cannot be loaded: ImportError: half of me is missing\n"
    )
    assert stillroom(outsider, "outside", "result").returncode == 0


def test_a_command_that_is_no_typer_app_is_refused(outsider):
    done = stillroom(outsider, "three")
    assert done.returncode == 2
    assert "registered as int, not as a Typer app" in done.stderr


def test_an_app_with_one_command_needs_no_second_word(outsider):
    assert stillroom(outsider, "hello", "--name", "us").stdout == "hello us\n"


def test_help_of_a_sub_command_comes_from_its_app(outsider):
    done = stillroom(outsider, "outside", "--help")
    assert done.returncode == 0
    assert "Things that an outsider does." in done.stdout
    assert "Usage: stillroom outside" in done.stdout
    assert "--install-completion" not in done.stdout


def test_a_reader_that_leaves_early_causes_no_noise(outsider):
    process = start(outsider, "from stillroom.core.cli import main; main()", "outside", "flood")
    assert process.stdout.readline() == "line 0\n"
    process.stdout.close()
    assert process.stderr.read() == ""
    process.wait(timeout=60)


def test_a_reader_that_left_before_the_first_line_causes_no_noise(outsider):
    reading, writing = os.pipe()
    process = start(outsider, "from stillroom.core.cli import main; main()", "outside", "result", stdout=writing)
    os.close(reading)
    os.close(writing)
    assert process.stderr.read() == "a message\n"
    process.wait(timeout=60)


def test_ctrl_c_ends_with_130_and_without_a_traceback(outsider):
    process = start(outsider, "from stillroom.core.cli import main; main()", "outside", "sleep")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    assert "Traceback" not in process.communicate(timeout=60)[1]
    assert process.returncode == 130
