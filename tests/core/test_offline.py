"""bitsandbytes is imported without fetching code, whatever else is installed."""

from __future__ import annotations

import os
import subprocess
import sys


def run(code, path=""):
    environment = os.environ | {"PYTHONPATH": str(path)}
    return subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=False)


def test_an_installed_kernels_package_is_not_asked_for_code_and_can_be_imported_afterwards(tmp_path):
    (tmp_path / "kernels.py").write_text("def get_kernel(*args, **more):\n    print('fetched')\n    raise OSError\n")
    done = run("import stillroom.core.trainer, bitsandbytes, peft, kernels; print(kernels.__name__)", tmp_path)
    assert done.stdout.split() == ["kernels"], done.stderr


def test_importing_the_trainer_says_nothing():
    done = run("import stillroom.core.trainer")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
