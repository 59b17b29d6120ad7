import subprocess
import sys

import pytest

INIT = """
from stillroom.core.lazy import on_first_use

on_first_use(__name__, {"adapt": "adapt", "Thing": "things"})
"""


@pytest.fixture
def package(tmp_path, monkeypatch):
    folder = tmp_path / "lazy_package"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT)
    (folder / "adapt.py").write_text("def adapt(): return 'adapted'\n")
    (folder / "things.py").write_text("class Thing: pass\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "lazy_package"


def said(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_nothing_is_imported_before_a_name_is_used(package):
    code = f"import sys, {package} as p; print('lazy_package.things' in sys.modules, p.Thing.__name__)"
    assert said(code) == "False Thing"


def test_a_function_with_the_name_of_its_module_stays_the_function(package):
    for first in ("import lazy_package.adapt", "from lazy_package import adapt", "import lazy_package.things"):
        assert said(f"{first}\nimport lazy_package as p; print(p.adapt(), p.adapt())") == "adapted adapted"


def test_an_unknown_name_is_an_attribute_error(package):
    code = f"import {package} as p\ntry: p.nothing\nexcept AttributeError as error: print(error)"
    assert said(code) == "module 'lazy_package' has no attribute 'nothing'"
