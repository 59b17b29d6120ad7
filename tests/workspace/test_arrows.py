"""Every import in every package, held against the arrows that the design draws."""

import ast
import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
# Who may import whom (besides itself). `teacher -> prompts` is optional at run time.
ARROWS = {
    "core": set(),
    "minis": set(),
    "series": {"core"},
    "prompts": {"core"},
    "teacher": {"core", "prompts"},
    "language": {"core"},
    "chronos": {"core", "series"},
    "units": {"core", "series"},
    "moirai": {"core", "series"},
    "bench": {"core", "series"},
}
APPS = {"demo", "gateway"}  # may import any package; nothing imports them
FOLDERS = sorted([*ROOT.glob("packages/*/pyproject.toml"), *ROOT.glob("apps/*/pyproject.toml")])
PACKAGES = [path.parent for path in FOLDERS]


def sources(package: Path) -> list[Path]:
    return sorted((package / "src").rglob("*.py"))


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively: write the whole name"
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def siblings(package: Path) -> dict[str, set[Path]]:
    """The stillroom packages that a package imports, and where."""
    found: dict[str, set[Path]] = {}
    for path in sources(package):
        for name in imported(path):
            if match := re.match(r"stillroom\.(\w+)", name):
                found.setdefault(match[1], set()).add(path.relative_to(ROOT))
    found.pop(package.name, None)
    return found


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_imports_only_along_the_arrows(package):
    allowed = {folder.name for folder in PACKAGES} - APPS if package.name in APPS else ARROWS[package.name]
    wrong = {name: sorted(map(str, where)) for name, where in siblings(package).items() if name not in allowed}
    assert not wrong, f"{package.name} must not import {wrong}"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_declares_what_it_imports(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    declared = {re.split(r"[\[<>=! ;]", line)[0].lower() for line in [*project["dependencies"], *extras]}
    for name in siblings(package):
        assert f"stillroom-{name}" in declared, f"{package.name} imports stillroom.{name} but does not depend on it"


@pytest.mark.parametrize("package", PACKAGES, ids=lambda path: path.name)
def test_a_package_asks_for_ranges_and_never_for_pins(package):
    project = tomllib.loads((package / "pyproject.toml").read_text())["project"]
    extras = [line for lines in project.get("optional-dependencies", {}).values() for line in lines]
    assert not [line for line in [*project["dependencies"], *extras] if "==" in line]


def test_an_arrow_that_is_not_drawn_is_found(tmp_path):
    module = tmp_path / "src" / "stillroom" / "core" / "bad.py"
    module.parent.mkdir(parents=True)
    module.write_text("def late():\n    from stillroom.bench import runner\n    return runner\n")
    assert imported(module) == {"stillroom.bench.runner"}


def test_the_namespace_has_no_init_file():
    assert not [*ROOT.glob("packages/*/src/stillroom/__init__.py"), *ROOT.glob("apps/*/src/stillroom/__init__.py")]


def test_every_constraint_is_a_pin_and_torch_is_the_one_that_was_measured():
    lines = [line for line in (ROOT / "constraints.txt").read_text().splitlines() if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[\w.\-]+==[\w.]+", line) for line in lines)
    assert "torch==2.13.0" in lines


def test_the_installed_packages_obey_the_constraints():
    pinned = dict(line.split("==") for line in (ROOT / "constraints.txt").read_text().splitlines() if "==" in line)
    for name in ("torch", "transformers", "chronos-forecasting", "peft", "numpy", "pandas"):
        assert importlib.metadata.version(name).split("+")[0] == pinned[name]


def test_the_tree_stays_small():
    import subprocess

    files = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    sizes = [(ROOT / name).stat().st_size for name in files.split("\0") if name and (ROOT / name).is_file()]
    assert sum(sizes) < 45_000_000
