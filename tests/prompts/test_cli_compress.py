"""`stillroom prompts compress` as a command: texts, messages, rows, what it shows, and its sentences."""

from __future__ import annotations

import io
import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from stillroom.core.cli import main
from stillroom.prompts import Compressor
from stillroom.prompts.paint import paint

COMMAND = [str(Path(sys.executable).with_name("stillroom")), "prompts", "compress"]
TEXT = (
    "# Notes\n\nIn a meeting, the committee agreed (after a long debate) that prompts\r\n"
    "should be shorter, at $1,250.00.\n"
)


class Done(NamedTuple):
    """What came of a command."""

    returncode: int
    stdout: bytes
    stderr: str


@pytest.fixture
def compress(tmp_path, models, monkeypatch, capfdbinary):
    """Run the command in an empty folder, with the small model, in this process: loading torch takes seconds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TERM", "dumb")

    def run(*arguments, stdin: bytes = b"", model: object = models["bert"]) -> Done:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8"))
        capfdbinary.readouterr()
        with pytest.raises(SystemExit) as leaving:
            main(["prompts", "compress", *map(str, arguments), "--model", str(model)])
        stdout, stderr = capfdbinary.readouterr()
        lines = stderr.decode().splitlines(keepends=True)
        said = [line for line in lines if not line.startswith(("Loading weights", "\r"))]
        return Done(leaving.value.code, stdout, "".join(said))

    return run


@pytest.fixture(scope="module")
def compressor(scorers):
    return Compressor(scorers["bert"])


def test_the_text_goes_to_stdout_to_the_byte_and_the_numbers_to_stderr(compress, tmp_path, compressor):
    (tmp_path / "notes.md").write_bytes(TEXT.encode())
    done = compress("notes.md", "--rate", 0.5)
    assert done.returncode == 0, done.stderr
    expected = compressor.compress(TEXT, rate=0.5)
    assert done.stdout == expected.text.encode()
    before, after, share = expected.original_tokens, expected.compressed_tokens, f"{expected.rate:.1%}"
    assert re.fullmatch(rf"{before} → {after} tokens \({share}\) in \d+\.\d\d s\n", done.stderr)


def test_options_reach_the_compressor_and_json_has_all_numbers(compress, compressor):
    arguments = ["--target-tokens", 20, "--counter", "estimate", "--keep", "debate", "--keep", "m.eting"]
    arguments += ["--protect", "heading,url", "--question", "Who agreed?", "--json"]
    done = compress("-", *arguments, stdin=TEXT.encode())
    assert done.returncode == 0, done.stderr
    expected = compressor.compress(
        TEXT, target_tokens=20, counter="estimate", keep=["debate", "m.eting"], protect=["heading", "url"],
        question="Who agreed?",
    )  # fmt: skip
    said = json.loads(done.stdout)
    assert said.pop("seconds") > 0
    assert said == {
        "text": expected.text,
        "kept": [list(stretch) for stretch in expected.kept],
        "prompts": 1,
        "original_tokens": expected.original_tokens,
        "compressed_tokens": expected.compressed_tokens,
        "rate": expected.rate,
        "over_budget": 0,
    }


def test_protection_can_be_left_out_and_its_excess_is_said(compress, compressor):
    done = compress("-", "--threshold", 1, "--protect", "none", stdin=TEXT.encode())
    assert done.stdout.decode() == compressor.compress(TEXT, threshold=1, protect=()).text
    done = compress("-", "--target-tokens", 3, stdin=TEXT.encode())
    assert done.returncode == 0
    assert "; protected text alone exceeds the cap" in done.stderr


def test_messages_are_read_from_a_list_or_a_whole_request(compress, compressor):
    messages = [{"role": "system", "content": "Be brief.", "compress": False}, {"role": "user", "content": TEXT}]
    expected = compressor.compress(messages, rate=0.5).messages
    for content in (messages, {"model": "m", "messages": messages}):
        done = compress("-", "--rate", 0.5, "--messages", stdin=json.dumps(content).encode())
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout) == expected


def test_show_marks_what_goes_where_there_is_no_colour(compress, compressor):
    done = compress("-", "--rate", 0.5, "--show", stdin=TEXT.encode())
    painted = done.stdout.decode()
    assert painted.startswith("# Notes\n\n")
    assert "[-" in painted
    assert re.sub(r"\[-|-\]", "", painted) == TEXT.replace("\r\n", "\n")
    left = re.sub(r"\[-.*?-\]", "", painted, flags=re.DOTALL)
    assert "".join(left.split()) == "".join(compressor.compress(TEXT, rate=0.5).text.split())


def test_show_puts_the_texts_of_messages_one_after_the_other(compress):
    messages = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": TEXT}]
    done = compress("-", "--rate", 0.5, "--messages", "--show", stdin=json.dumps(messages).encode())
    painted = done.stdout.decode()
    assert re.sub(r"\[-|-\]", "", painted) == "Be brief.\n\n" + TEXT.replace("\r\n", "\n")


def test_show_strikes_out_what_goes_and_leaves_white_space_alone():
    painted = paint("one two three\nfour", [(0, 3), (14, 18)])
    assert painted.plain == "one two three\nfour"
    assert [(span.start, span.end, span.style) for span in painted.spans] == [(4, 13, "dim strike")]
    assert paint("one two", [], styled=False).plain == "[-one two-]"
    assert paint(" one  ", [], styled=False).plain == " [-one-]  "
    assert paint(" \n", [], styled=False).plain == " \n"


def test_rows_keep_their_order_and_their_other_columns(compress, tmp_path, compressor):
    texts = [f"{TEXT} Row {number}." for number in range(40)]
    rows = [{"id": number, "body": text, "note": "\ud800é"} for number, text in enumerate(texts)]
    (tmp_path / "in.jsonl").write_text("\n\n".join(map(json.dumps, rows)))
    done = compress("in.jsonl", "--jsonl", "--field", "body", "--rate", 0.5, "--out", "new/out.jsonl", "--json")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in (tmp_path / "new" / "out.jsonl").read_text().splitlines()]
    results = list(compressor.compress_many(texts, rate=0.5))
    assert lines == [row | {"body": result.text} for row, result in zip(rows, results, strict=True)]
    said = json.loads(done.stdout)
    assert (said["prompts"], said["original_tokens"]) == (40, sum(result.original_tokens for result in results))
    assert done.stderr.startswith("40 prompts: ")


def test_rows_may_come_and_go_by_pipe_and_may_be_conversations(compress, compressor):
    rows = [{"messages": [{"role": "user", "content": TEXT}], "id": number} for number in range(3)]
    done = compress("-", "--jsonl", "--messages", "--rate", 0.3, stdin="\n".join(map(json.dumps, rows)).encode())
    assert done.returncode == 0, done.stderr
    short = compressor.compress(TEXT, rate=0.3).text
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert lines == [row | {"messages": [{"role": "user", "content": short}]} for row in rows]


@pytest.mark.parametrize(
    ("arguments", "stdin", "sentence"),
    [
        (["-"], "a", "how much is to stay? Give --rate 0.5"),
        (["-", "--rate", "0"], "a", "rate=0.0: the share of tokens to keep is a number above 0"),
        (["-", "--rate", "2"], "a", "above 0 and at most 1"),
        (["-", "--rate", "0.5", "--threshold", "0.5"], "a", "both say how much to keep"),
        (["-", "--target-tokens", "0"], "a", "a cap is a whole number of tokens"),
        (["-", "--rate", "0.5", "--protect", "numbers"], "a", "did you mean 'number'"),
        (["-", "--rate", "0.5", "--keep", "("], "a", "regular expression"),
        (["-", "--rate", "0.5", "--counter", "tiktoken:gpt-9000"], "a", "tiktoken"),
        (["-", "--rate", "0.5", "--field", "text"], "a", "give --jsonl"),
        (["-", "--rate", "0.5", "--jsonl", "--show"], "{}", "--show takes one text"),
        (["-", "--rate", "0.5", "--jsonl", "--json"], "{}", "needs --out"),
        (["-", "--rate", "0.5", "--out", "."], "a", "nothing can be written to ."),
        (["-", "--rate", "0.5"], b"\xff\xfe", "standard input is no UTF-8 text (byte 0)"),
        (["none.txt", "--rate", "0.5"], "", "none.txt cannot be read: No such file"),
        (["-", "--rate", "0.5", "--messages"], "[", "is no JSON"),
        (["-", "--rate", "0.5", "--messages"], '{"prompt": "a"}', "should be a list of messages"),
        (["-", "--rate", "0.5", "--messages"], '["a"]', "message 0 is a str"),
    ],
)
def test_a_mistake_is_one_sentence_and_exit_code_2(arguments, stdin, sentence, compress):
    done = compress(*arguments, stdin=stdin if isinstance(stdin, bytes) else stdin.encode())
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""
    [line] = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert sentence in line


def test_a_model_that_is_not_there_or_no_compressor_is_a_sentence(compress, tmp_path):
    (tmp_path / "empty").mkdir()
    for model, sentence in {"empty": "cannot be loaded as a token classifier", "first-k": "is no compressor"}.items():
        done = compress("-", "--rate", 0.5, stdin=b"a", model=model)
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr


def test_a_bad_row_leaves_no_file_behind_and_the_old_one_as_it_was(compress, tmp_path):
    (tmp_path / "out.jsonl").write_text("old\n")
    good = json.dumps({"text": TEXT})
    for bad, sentence in {
        '{"body": "a"}': "row 3 of standard input has no text under 'text'; it has body",
        '{"text": 7}': "row 3",
        "no JSON": "line 3 of standard input is no JSON",
        '{"text": "\\ud800"}': "lone surrogate",
    }.items():
        done = compress(
            "-", "--jsonl", "--rate", 0.5, "--out", "out.jsonl", stdin="\n".join([good, good, bad, good]).encode()
        )
        assert done.returncode == 2, done.stderr
        assert sentence in done.stderr
        assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"out.jsonl": "old\n"}


def test_a_kill_in_the_middle_leaves_the_old_file(tmp_path, models):
    (tmp_path / "out.jsonl").write_text("old\n")
    process = subprocess.Popen(
        [*COMMAND, "-", "--jsonl", "--rate", "0.5", "--out", "out.jsonl", "--model", str(models["bert"])],
        stdin=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=tmp_path,
    )  # fmt: skip
    row = json.dumps({"text": TEXT}).encode() + b"\n"
    while not any(path.stat().st_size for path in tmp_path.glob(".out.jsonl*")):  # until lines are on their way
        process.stdin.write(row * 100)
        process.stdin.flush()
    process.kill()
    process.communicate()
    assert (tmp_path / "out.jsonl").read_text() == "old\n"


@pytest.mark.slow
def test_many_rows_take_no_more_memory_than_few(models, tmp_path):
    peaks = []
    for count in (3_000, 30_000):
        with (tmp_path / "in.jsonl").open("w") as file:
            file.writelines(json.dumps({"text": f"{number} {'so be it ' * 20}"}) + "\n" for number in range(count))
        options = ["--jsonl", "--rate", "0.5", "--out", "out.jsonl", "--model", str(models["bert"])]
        subprocess.run([*COMMAND, "in.jsonl", *options], cwd=tmp_path, check=True)
        assert sum(1 for _ in (tmp_path / "out.jsonl").open()) == count
        peaks.append(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    assert peaks[1] < 1.15 * peaks[0]
