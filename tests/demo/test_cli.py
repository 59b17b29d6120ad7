import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from stillroom import minis
from stillroom.core.errors import DataError, ModelError
from stillroom.demo.report import BEFORE
from stillroom.demo.tour import Tour


def stillroom(*arguments: object, **options) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("stillroom")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=600, **options)


def test_a_chapter_runs_alone_and_says_where_its_files_are(tiny, tmp_path):
    done = stillroom("demo", "--chapter", "report", "--model", tiny, "--out", tmp_path / "new" / "out")
    assert done.returncode == 0, done.stderr
    assert str(tmp_path / "new" / "out" / "index.html") in done.stdout
    assert "It takes a few seconds" in done.stdout
    assert (tmp_path / "new" / "out" / "forecasts.png").is_file()


def test_json_is_all_there_is_on_stdout(tiny, tmp_path):
    done = stillroom("demo", "--chapter", "report", "--model", tiny, "--out", tmp_path, "--json")
    assert json.loads(done.stdout)["report"]["left_out"] == list(BEFORE)
    assert "It takes" in done.stderr


def test_a_missing_mini_is_one_plain_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(minis, "forecaster", tmp_path / "forecaster")
    with pytest.raises(ModelError, match=r"weights are not at .*forecaster: install stillroom-minis again"):
        Tour.of("forecaster", tmp_path)


def test_a_folder_that_cannot_be_written_is_one_plain_sentence(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DataError, match=r"nothing can be written to .*choose another --out"):
        Tour.of(str(tiny), tmp_path / "file" / "out")


def test_a_chapter_that_is_not_there_is_refused_with_the_names_of_those_that_are():
    done = stillroom("demo", "--chapter", "adopt")
    assert done.returncode == 2
    assert "adapt" in done.stderr


def test_help_does_not_import_torch():
    code = "import sys; sys.argv = ['stillroom', 'demo', '--help']\nfrom stillroom.core.cli import main\ntry: main()\n"
    code += "finally: assert 'torch' not in sys.modules"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not (minis.forecaster / "config.json").is_file(), reason="the mini's weights are not there")
def test_the_whole_tour_takes_less_than_four_minutes_of_cpu_and_no_network(tmp_path):
    nowhere = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"), "http://127.0.0.1:9")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = stillroom("demo", "--out", tmp_path, env={**os.environ, **nowhere})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert done.returncode == 0, done.stderr
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 240
    page = (tmp_path / "index.html").read_text()
    for heading in ("Forecasting zero-shot", "Adapting to one domain", "A student of a quarter of the size"):
        assert heading in page
