"""Each package, installed alone from its wheel: it works, and nothing it does not need came along."""

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
HEAVY = {
    "torch",
    "transformers",
    "peft",
    "accelerate",
    "datasets",
    "statsforecast",
    "gluonts",
    "matplotlib",
    "ray",
    "openai",
}
# dist -> (what to run, what must not have come along)
ALONE = {
    "stillroom": (["stillroom", "--version"], HEAVY | {"pandas", "scipy", "stillroom-series"}),
    "stillroom-core": (["stillroom", "--help"], HEAVY | {"pandas", "scipy", "safetensors"}),
    "stillroom-minis": (
        ["python", "-c", "import stillroom.minis as m; assert (m.forecaster / 'model.safetensors').is_file()"],
        HEAVY | {"numpy", "pydantic", "stillroom-core"},
    ),
    "stillroom-series": (
        [
            "python",
            "-c",
            "from stillroom.series import synthetic; assert len(next(synthetic.kernel_synth(1, 64))) == 64",
        ],
        HEAVY | {"scipy", "statsmodels", "stillroom-chronos", "stillroom-bench"},
    ),
    "stillroom-bench": (
        ["stillroom", "bench", "--help"],
        HEAVY | {"statsmodels", "stillroom-chronos", "stillroom-minis"},
    ),
    "stillroom-chronos": (
        ["stillroom", "chronos", "--help"],
        {"statsforecast", "gluonts", "matplotlib", "bitsandbytes", "stillroom-bench", "stillroom-minis"},
    ),
    "stillroom-prompts": (
        ["stillroom", "prompts", "--help"],
        {
            "pandas",
            "statsforecast",
            "gluonts",
            "matplotlib",
            "bitsandbytes",
            "openai",
            "stillroom-series",
            "stillroom-bench",
        },
    ),
    "stillroom-teacher": (
        ["stillroom", "teacher", "--help"],
        (HEAVY - {"openai"}) | {"pandas", "scipy", "pyarrow", "stillroom-prompts", "stillroom-bench"},
    ),
    "stillroom-language": (
        ["stillroom", "language", "--help"],
        {"pandas", "statsforecast", "gluonts", "matplotlib", "bitsandbytes", "openai", "datasets", "stillroom-teacher"}
        | {"stillroom-prompts", "stillroom-series", "stillroom-bench", "stillroom-minis"},
    ),
    "stillroom-units": (
        ["stillroom", "units", "--help"],
        {"statsforecast", "gluonts", "matplotlib", "bitsandbytes", "openai", "aeon", "chronos-forecasting"}
        | {"stillroom-prompts", "stillroom-chronos", "stillroom-bench", "stillroom-minis"},
    ),
    "stillroom-demo": (["stillroom", "demo", "--help"], {"gluonts", "bitsandbytes", "trl"}),
}


def test_every_package_is_installed_alone():
    folders = [*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("apps/*/pyproject.toml")]
    assert {f"stillroom-{path.parent.name}" for path in folders} | {"stillroom"} == set(ALONE)


@pytest.mark.slow
@pytest.mark.parametrize("dist", ALONE)
def test_a_package_works_alone_and_brings_nothing_more(dist, tmp_path):
    assert (ROOT / "dist").is_dir(), "there are no wheels: run `make wheels` first"
    command, unwanted = ALONE[dist]
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "venv"], check=True)
    binaries = tmp_path / "venv" / "bin"
    pip = [binaries / "python", "-m", "pip", "--disable-pip-version-check"]
    wheels = ["--find-links", ROOT / "dist", "-c", ROOT / "constraints.txt"]
    subprocess.run([*pip, "install", "-q", *wheels, dist], check=True, cwd=tmp_path)
    clean = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    subprocess.run([binaries / command[0], *command[1:]], check=True, cwd=tmp_path, env=clean)
    listed = subprocess.run([*pip, "list", "--format", "json"], check=True, capture_output=True, text=True).stdout
    assert not unwanted & {row["name"].lower() for row in json.loads(listed)}


@pytest.mark.slow
def test_wheels_hold_their_own_part_of_the_namespace_and_nothing_else():
    for wheel in (ROOT / "dist").glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            modules = [name for name in archive.namelist() if ".dist-info/" not in name]
        name = wheel.name.split("-")[0].removeprefix("stillroom").removeprefix("_")
        assert all(module.startswith(f"stillroom/{name}/") for module in modules), wheel.name
        assert not [module for module in modules if module == "stillroom/__init__.py"]
