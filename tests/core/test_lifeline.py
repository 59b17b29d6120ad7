import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

CHILD = """
import subprocess, sys, time
from stillroom.core.lifeline import first_line, leave_with_parent
print(first_line().decode().strip(), flush=True)
leave_with_parent()
own = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
print(own.pid, flush=True)
time.sleep(60)
"""


def start(**options):
    child = subprocess.Popen(
        [sys.executable, "-c", CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, **options
    )
    child.stdin.write("the order\n")
    child.stdin.flush()
    return child, child.stdout.readline().strip(), int(child.stdout.readline())


def gone(pid):
    """Whether a process ends within five seconds; what is left of it for its parent to read counts as gone."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except OSError:
            return True
        time.sleep(0.05)
    return False


@pytest.mark.parametrize(("leads", "code"), [(False, 1), (True, -signal.SIGKILL)])
def test_a_child_leaves_when_its_lifeline_is_cut_and_takes_its_own_along_if_it_leads(leads, code):
    child, said, own = start(start_new_session=leads)
    assert said == "the order"
    child.stdin.close()
    assert child.wait(5) == code
    if leads:
        assert gone(own)
    else:
        os.kill(own, signal.SIGKILL)  # it is there: killing what is gone is an error


def test_a_killed_parent_takes_its_child_along():
    parent = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", {CHILD!r}], stdin=subprocess.PIPE, start_new_session=True)
child.stdin.write(b"go\\n")
child.stdin.flush()
print(child.pid, flush=True)
child.wait()
"""
    process = subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE, text=True)
    pid = next(int(line) for line in process.stdout if line.strip().isdigit())
    process.kill()
    assert gone(pid)


def test_an_order_that_is_cut_has_no_line_end():
    code = "from stillroom.core.lifeline import first_line; print(first_line())"
    done = subprocess.run([sys.executable, "-c", code], input="half an or", capture_output=True, text=True, check=True)
    assert done.stdout == "b'half an or'\n"
