"""A job that asks for yes or no, and a store for it; servers are made by the tests that script them."""

from __future__ import annotations

import pytest

from stillroom.core.cli import main
from stillroom.core.targets import TargetStore
from stillroom.teacher.calls import Api
from stillroom.teacher.labelling import Job
from stillroom.teacher.prices import price_of
from stillroom.teacher.prompt import Prompt

PRICE = (0.15, 0.075, 0.60)  # USD per million tokens: of prompts, of what of them is cached, of answers


@pytest.fixture
def store(tmp_path):
    with TargetStore(tmp_path / "teacher.sqlite") as store:
        yield store


@pytest.fixture
def make_job():
    """Make a job; the prompt is given by its parts, `budget_usd` and the like by their names."""

    def make(prompt=None, **changes):
        prompt = {"user": "{{ text }}", "output": {"one_of": ["yes", "no"]}, "max_tokens": 8} | (prompt or {})
        price = price_of("scripted", input_usd=PRICE[0], cached_usd=PRICE[1], output_usd=PRICE[2])
        return Job(Prompt.read(prompt), "scripted", price, **({"concurrency": 8, "patience": 20.0} | changes))

    return make


@pytest.fixture
def api():
    """How to reach a server."""

    def reach(server, **options):
        return Api(server.base_url, **({"api_key": "sk-very-secret", "timeout": 10.0} | options))

    return reach


@pytest.fixture
def some_rows():
    """Rows with a text that no other has."""

    def rows(count, start=0):
        return [{"row_id": f"r{number}", "text": f"Is {number} even?"} for number in range(start, start + count)]

    return rows


@pytest.fixture
def stillroom(capsys):
    """Run a command in this process, for quickness: `main` is what the script calls."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as left:
            main(["teacher", *map(str, arguments)])
        return left.value.code, *capsys.readouterr()

    return run
