from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from stillroom.core import schema
from stillroom.core.errors import DataError
from stillroom.core.schema import migrate, migration

PATH = Path("some.sqlite")


@pytest.fixture(autouse=True)
def _no_other_steps(monkeypatch):
    monkeypatch.setattr(schema, "_steps", {})


@pytest.fixture
def connection():
    connection = sqlite3.connect(":memory:", isolation_level=None)
    yield connection
    connection.close()


def tables(connection) -> set[str]:
    return {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}


def test_steps_run_once_and_in_order(connection):
    calls = []
    for number in (1, 2, 3):
        migration("a", number)(lambda connection, number=number: calls.append(number))
    migrate(connection, PATH)
    migrate(connection, PATH)
    assert calls == [1, 2, 3]


def test_a_new_step_runs_on_a_file_that_has_the_old_ones(connection):
    migration("a", 1)(lambda connection: connection.execute("CREATE TABLE first (x)"))
    migrate(connection, PATH)
    migration("a", 2)(lambda connection: connection.execute("ALTER TABLE first ADD COLUMN y"))
    migration("b", 1)(lambda connection: connection.execute("CREATE TABLE second (x)"))
    migrate(connection, PATH)
    assert {"first", "second"} <= tables(connection)
    connection.execute("SELECT y FROM first")


def test_a_step_that_fails_undoes_all_of_them(connection):
    migration("a", 1)(lambda connection: connection.execute("CREATE TABLE first (x)"))
    migration("a", 2)(lambda connection: connection.execute("CREATE TABLE first (x)"))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        migrate(connection, PATH)
    assert tables(connection) == set()


@pytest.mark.parametrize("number", [0, 1, 3])
def test_a_number_that_is_not_the_next_one_is_refused(number):
    migration("a", 1)(lambda connection: None)
    with pytest.raises(ValueError, match="the next migration of 'a' is 2"):
        migration("a", number)


def test_a_file_of_a_newer_package_asks_for_an_update(connection, monkeypatch):
    for number in (1, 2):
        migration("a", number)(lambda connection: None)
    migrate(connection, PATH)
    monkeypatch.setattr(schema, "_steps", {"a": {1: lambda connection: None}})
    with pytest.raises(DataError, match=r"a newer Stillroom wrote some\.sqlite"):
        migrate(connection, PATH)


def test_tables_of_a_package_that_is_not_here_do_no_harm(connection, monkeypatch):
    migration("a", 1)(lambda connection: None)
    migrate(connection, PATH)
    monkeypatch.setattr(schema, "_steps", {})
    migrate(connection, PATH)


def test_another_programs_database_is_left_alone(connection):
    migration("a", 1)(lambda connection: connection.execute("CREATE TABLE ours (x)"))
    connection.execute("CREATE TABLE bookmarks (url)")
    with pytest.raises(DataError, match="another program's database"):
        migrate(connection, PATH)
    assert tables(connection) == {"bookmarks"}
