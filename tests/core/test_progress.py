from __future__ import annotations

import os
import pty
import subprocess
import sys

import pytest

from stillroom.core.progress import without_bars

CODE = """
import sys, time
from stillroom.core import progress
progress.DELAY, progress.INTERVAL = 0.2, 0.3
steps, pause = int(sys.argv[1]), float(sys.argv[2])
with progress.progress("forecasting", total=steps) as advance:
    for _ in range(steps):
        time.sleep(pause)
        advance()
"""


def run(steps: int, pause: float) -> str:
    done = subprocess.run(
        [sys.executable, "-c", CODE, str(steps), str(pause)], capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout == ""
    return done.stderr


def run_on_terminal(steps: int, pause: float) -> str:
    """What a terminal gets on stderr."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen([sys.executable, "-c", CODE, str(steps), str(pause)], stderr=theirs)
    os.close(theirs)
    output = b""
    while True:
        try:
            piece = os.read(ours, 4096)
        except OSError:  # how Linux says that the other end is closed
            break
        if not piece:
            break
        output += piece
    os.close(ours)
    assert process.wait(timeout=60) == 0
    return output.decode()


def test_what_is_over_soon_shows_nothing():
    assert run(steps=3, pause=0) == ""


def test_in_a_log_file_there_is_a_line_now_and_then_and_a_last_one():
    lines = run(steps=10, pause=0.1).splitlines()
    assert 2 <= len(lines) <= 6
    assert lines[-1].startswith("forecasting: 10/10 after ")


def test_on_a_terminal_what_is_over_soon_shows_nothing():
    assert run_on_terminal(steps=3, pause=0) == ""


def test_on_a_terminal_a_bar_appears_even_while_the_first_step_lasts():
    output = run_on_terminal(steps=1, pause=1.5)
    assert "forecasting" in output
    assert "0/1" in output


def test_the_lines_go_where_stderr_was_when_the_work_began():
    code = CODE.replace("time.sleep(pause)", "sys.stderr, pause = None, pause; time.sleep(pause)")
    done = subprocess.run([sys.executable, "-c", code, "10", "0.1"], capture_output=True, text=True, timeout=60)
    assert done.stderr.splitlines()[-1].startswith("forecasting: 10/10")


@pytest.mark.parametrize("shown", [True, False])
def test_bars_of_transformers_are_silent_within_and_then_as_they_were(shown):
    from transformers.utils import logging

    before = logging.is_progress_bar_enabled()
    try:
        (logging.enable_progress_bar if shown else logging.disable_progress_bar)()
        with without_bars():
            assert not logging.is_progress_bar_enabled()
        assert logging.is_progress_bar_enabled() is shown
    finally:
        (logging.enable_progress_bar if before else logging.disable_progress_bar)()
