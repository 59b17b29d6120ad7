"""The README's commands and code are those that there are."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

README = Path(__file__).parents[2] / "packages" / "units" / "README.md"


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README.read_text(), re.DOTALL)


def test_the_code_in_the_readme_runs(folder, tmp_path, monkeypatch):
    days = pd.date_range("2024-01-01", periods=50, freq="D")
    sales = pd.DataFrame({"item_id": "a", "timestamp": days, "target": np.arange(50.0)})
    sales.to_csv(tmp_path / "sales.csv", index=False)
    (tmp_path / "runs").mkdir()
    (tmp_path / "runs" / "units").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    jobs, scikit = blocks("python")
    exec(jobs.replace("* 30)", '* 30, head="ridge")'), {})  # a training is no matter of the README
    assert "UnitsClassifier" in scikit


def test_every_name_that_the_readme_imports_is_there():
    import stillroom.units as package

    for names in re.findall(r"from stillroom\.units import (.+)", README.read_text()):
        for name in names.split(", "):
            assert getattr(package, name) is not None


@pytest.mark.parametrize("package", ["bench", "units"])
def test_every_command_and_option_in_the_readme_exists(package):
    from importlib import import_module

    from typer.main import get_command

    commands = get_command(import_module(f"stillroom.{package}.cli").app).commands
    lines = re.findall(rf"^stillroom {package} (\w+) (.*)$", README.read_text(), re.MULTILINE)
    assert lines
    for name, rest in lines:
        options = {option for parameter in commands[name].params for option in parameter.opts}
        assert set(re.findall(r"--[\w-]+", rest)) <= options
    if package == "units":
        assert {name for name, _ in lines} == set(commands)
