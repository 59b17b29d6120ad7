from __future__ import annotations

import multiprocessing
import os
import pickle
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from stillroom.core.errors import CorruptError, DataError
from stillroom.core.targets import INLINE_BYTES, Label, TargetStore, key

SMALL = {"quantiles": np.arange(12.0).reshape(3, 4), "indices": np.array([3, 1], dtype=np.int32)}
LARGE = {"logits": np.arange(INLINE_BYTES, dtype=np.float32)}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=10,
)
TEXT = st.text(st.characters(codec="utf-8"))
LABELS = st.builds(
    Label,
    key=TEXT,
    row_id=TEXT,
    input=TEXT,
    answer=st.none() | TEXT,
    model=TEXT,
    rationale=st.none() | TEXT,
    soft_targets=st.none() | st.dictionaries(TEXT, st.floats(0, 1)),
    finish_reason=st.none() | TEXT,
    prompt_tokens=st.none() | st.integers(0, 2**40),
    created=st.just("2024-01-01T00:00:00+00:00"),
)
in_one_folder = settings(
    deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture]
)  # every example writes under a key of its own


@pytest.fixture
def store(tmp_path):
    with TargetStore(tmp_path / "targets.sqlite") as store:
        yield store


def equal(tensors, expected) -> bool:
    return sorted(tensors) == sorted(expected) and all(
        tensors[name].dtype == array.dtype and tensors[name].tobytes() == array.tobytes()
        for name, array in expected.items()
    )


@pytest.mark.parametrize("tensors", [None, SMALL, LARGE], ids=["value", "small", "large"])
def test_what_is_put_comes_back_also_from_a_store_opened_anew(store, tensors):
    assert store.put("k", "quantiles", {"level": 0.1, "note": ["é", None]}, tensors)
    for reader in (store, TargetStore(store.path)):
        target = reader.get("k", verify=True)
        assert (target.key, target.kind, target.value) == ("k", "quantiles", {"level": 0.1, "note": ["é", None]})
        assert equal(target.tensors, tensors or {})


@in_one_folder
@given(JSON)
def test_any_json_value_comes_back(store, value):
    name = key(value=value, at=store.keys())
    assert store.put(name, "any", value)
    assert store.get(name, verify=True).value == value


@in_one_folder
@given(
    st.dictionaries(TEXT, npst.arrays(st.sampled_from(["f4", "i8", "?"]), npst.array_shapes(max_side=3)), min_size=1)
)
def test_any_tensors_come_back_bit_for_bit(store, tensors):
    name = key(at=store.keys())
    store.put(name, "any", tensors=tensors)
    assert equal(store.get(name, verify=True).tensors, tensors)


@in_one_folder
@given(LABELS)
def test_any_label_comes_back(store, label):
    if store.put_label(label):
        assert store.get_label(label.key) == label
    assert store.get_label(label.key).key == label.key


def test_nan_and_infinity_come_back(store):
    store.put("k", "any", [float("nan"), float("inf")])
    assert str(store.get("k").value) == "[nan, inf]"


def test_what_is_not_there_is_none(store):
    assert store.get("k") is None
    assert store.get_label("k") is None
    assert not store.has("k")


def test_the_first_target_of_a_key_stays(store):
    assert store.put("k", "a", 1)
    assert not store.put("k", "b", 2, LARGE)
    assert store.get("k").value == 1
    assert store.put_label(Label("k", "1", "in", "first", "m"))
    assert not store.put_label(Label("k", "1", "in", "second", "m"))
    assert store.get_label("k").answer == "first"


def test_keys_and_targets_come_in_the_order_in_which_they_were_stored(store):
    names = [f"{number * 7919 % 600}" for number in range(600)]  # more than two pages
    with store.transaction():
        for number, name in enumerate(names):
            store.put(name, "even" if number % 2 == 0 else "odd", number)
    assert store.keys() == names
    assert store.keys("even") == names[::2]
    assert [target.value for target in store.iterate()] == list(range(600))
    assert [target.value for target in store.iterate("odd")] == list(range(1, 600, 2))


def test_one_may_write_while_iterating(store):
    store.put("0", "any")
    for number, _ in zip(range(1, 300), store.iterate(), strict=False):
        store.put(str(number), "any")
    assert len(store.keys()) == 300


@pytest.mark.parametrize(
    "value", [{1: "a"}, [{"deep": {None: 1}}], np.arange(3), {"x": np.float32(1)}, {1, 2}], ids=str
)
def test_a_value_that_json_would_change_is_refused(store, value):
    with pytest.raises(DataError, match="must be JSON"):
        store.put("k", "any", value)
    assert not store.has("k")


def test_every_commit_is_synced(store):
    with store.transaction() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL


def test_small_tensors_need_no_file_and_equal_large_ones_share_one(store):
    store.put("a", "any", None, SMALL)
    assert not store.folder.exists()
    store.put("b", "any", None, LARGE)
    store.put("c", "other", None, LARGE)
    assert len(list(store.folder.iterdir())) == 1


def test_the_safetensors_reference_reads_a_tensor_file(store):
    reference = pytest.importorskip("safetensors.numpy")
    store.put("k", "any", None, LARGE)
    (file,) = store.folder.iterdir()
    assert equal(reference.load_file(file), LARGE)


def test_a_transaction_that_fails_leaves_nothing_but_an_orphan_to_sweep(store):
    store.put("kept", "any", None, LARGE)

    def fail() -> None:
        with store.transaction():
            store.put("lost", "any", None, {"x": LARGE["logits"] + 1})
            store.put_label(Label("lost", "1", "in", "out", "m"))
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert not store.has("lost")
    assert store.get_label("lost") is None
    assert len(list(store.folder.iterdir())) == 2
    assert store.sweep() == 1
    assert equal(store.get("kept", verify=True).tensors, LARGE)
    assert store.put("lost", "any", None, {"x": LARGE["logits"] + 1})
    assert store.sweep() == 0
    store.check()


def test_an_outsiders_table_is_written_in_the_same_transaction(tmp_path):
    code = """
import sys
from stillroom.core.targets import Label, TargetStore, migration

@migration("outsider", 1)
def calls(connection):
    connection.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, usd REAL NOT NULL)")

store = TargetStore(sys.argv[1])
def pay(key, usd):
    with store.transaction() as connection:
        store.put_label(Label(key, "1", "in", "out", "m"))
        connection.execute("INSERT INTO calls VALUES (?, ?)", (key, usd))

pay("a", 0.5)
try:
    pay("b", None)
except Exception as error:
    print(type(error).__name__)
"""
    path = tmp_path / "targets.sqlite"
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True)
    assert done.stdout == "IntegrityError\n"
    with TargetStore(path) as store, store.transaction() as connection:
        assert connection.execute("SELECT * FROM calls").fetchall() == [("a", 0.5)]
        assert [label.key for label in store.labels()] == ["a"]


def test_labels_are_chosen_by_model_and_prompt(store):
    for number, (model, prompt) in enumerate([("m", "p"), ("m", "q"), ("n", "p")]):
        store.put_label(Label(str(number), "1", "in", "out", model, prompt_hash=prompt))
    assert [label.key for label in store.labels(model="m")] == ["0", "1"]
    assert [label.key for label in store.labels(prompt_hash="p")] == ["0", "2"]
    assert [label.key for label in store.labels(model="n", prompt_hash="q")] == []


def test_half_a_surrogate_pair_does_not_cost_a_paid_answer(store):
    store.put_label(Label("k", "1", "in", "broken \ud83d emoji", "m"))
    assert store.get_label("k").answer == "broken ? emoji"


def test_the_columns_of_labels_are_the_contract(store):
    with store.transaction() as connection:
        columns = [row[1] for row in connection.execute("PRAGMA table_info(labels)")]
    assert ", ".join(columns) == (
        "id, key, row_id, input, answer, rationale, soft_targets, finish_reason, model, prompt_hash, "
        "prompt_tokens, completion_tokens, cached_tokens, created, policy"
    )


def test_a_store_from_before_there_were_policies_keeps_its_labels(tmp_path, monkeypatch):
    from stillroom.core import schema

    path = tmp_path / "old.sqlite"
    with monkeypatch.context() as then:
        then.setitem(schema._steps, "core", {1: schema._steps["core"][1]})
        with TargetStore(path) as old, old.transaction() as connection:
            row = ("old", "r", "in", "out", "m", "2026-01-01")
            columns = "key, row_id, input, answer, model, created"
            connection.execute(f"INSERT INTO labels ({columns}) VALUES (?, ?, ?, ?, ?, ?)", row)
    with TargetStore(path) as store:
        assert store.get_label("old") == Label("old", "r", "in", "out", "m", created="2026-01-01")
        store.put_label(Label("new", "r", "in", "out", "m", policy="system 0.5"))
        assert store.get_labels(["old", "new", "none"])["new"].policy == "system 0.5"


def test_labels_are_exported_to_parquet(store, tmp_path):
    pytest.importorskip("pyarrow")
    import pyarrow.parquet

    labels = [
        Label("a", "1", "in", "out", "m", soft_targets={"yes": 0.25}, prompt_tokens=3),
        Label("b", "2", "in", None, "m", finish_reason="length"),
    ]
    for label in labels:
        store.put_label(label)
    assert store.export_labels(tmp_path / "labels.parquet") == 2
    rows = pyarrow.parquet.read_table(tmp_path / "labels.parquet").to_pylist()
    assert [row["answer"] for row in rows] == ["out", None]
    assert [row["prompt_tokens"] for row in rows] == [3, None]
    assert rows[0]["soft_targets"] == '{"yes": 0.25}'


def test_a_flipped_bit_anywhere_is_found(store):
    store.put("small", "any", 1, SMALL)
    store.put("large", "any", 1, LARGE)
    store.check()
    (file,) = store.folder.iterdir()
    whole = file.read_bytes()
    file.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    with pytest.raises(CorruptError, match=r"target large .* is not as it was written"):
        store.check()
    file.write_bytes(whole)
    for column, value in [("value", "2"), ("kind", "'other'"), ("tensors", "zeroblob(8)")]:
        with store.transaction() as connection:
            ((before,),) = connection.execute(f"SELECT {column} FROM targets WHERE key = 'small'")
            connection.execute(f"UPDATE targets SET {column} = {value} WHERE key = 'small'")
        with pytest.raises(CorruptError, match="target small"):
            store.get("small", verify=True)
        with store.transaction() as connection:
            connection.execute(f"UPDATE targets SET {column} = ? WHERE key = 'small'", (before,))
    store.check()


def test_a_tensor_file_that_is_gone_is_named(store):
    store.put("large", "any", None, LARGE)
    (file,) = store.folder.iterdir()
    file.unlink()
    with pytest.raises(CorruptError, match=file.name):
        store.get("large")


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("dear diary, " * 500)
    with pytest.raises(DataError, match="is not a target store"):
        TargetStore(path)
    assert path.read_text() == "dear diary, " * 500


def test_another_programs_database_is_refused(tmp_path):
    path = tmp_path / "bookmarks.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE bookmarks (url)")
    connection.close()
    with pytest.raises(DataError, match="another program's database"):
        TargetStore(path)


def test_a_folder_is_refused_with_the_name_of_a_file(tmp_path):
    with pytest.raises(DataError, match=r"is a folder: .*targets\.sqlite"):
        TargetStore(tmp_path)


@pytest.mark.skipif(not Path("/proc/version").exists(), reason="needs a file system that nobody may write to")
@pytest.mark.parametrize(
    "path", ["/proc/targets.sqlite", "/proc/folder/targets.sqlite", "/proc/version/targets.sqlite"]
)
def test_a_place_that_cannot_be_written_is_refused(path):
    with pytest.raises(DataError, match=r"cannot be (opened|made)"):
        TargetStore(path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(tmp_path):
    TargetStore(tmp_path / "targets.sqlite").close()
    (tmp_path / "targets.sqlite").chmod(0o400)
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(DataError, match="that you may write to"):
            TargetStore(tmp_path / "targets.sqlite")
    finally:
        tmp_path.chmod(0o700)


def test_a_store_of_a_newer_version_is_refused(store):
    with store.transaction() as connection:
        connection.execute("INSERT INTO stillroom_migrations VALUES ('core', 99)")
    with pytest.raises(DataError, match="a newer Stillroom wrote"):
        TargetStore(store.path)


def test_a_full_disk_is_one_sentence_and_costs_nothing_that_was_committed(store):
    store.put("kept", "any", 1)
    with store.transaction() as connection:
        connection.execute("PRAGMA max_page_count = 20")
    with pytest.raises(DataError, match="is full"):
        store.put("too much", "any", "x" * 100_000)
    store.check()
    assert store.keys() == ["kept"]


def test_threads_may_write_at_once(store):
    def write(writer: int) -> int:
        return sum(store.put(str(number), "any", writer, LARGE) for number in range(writer % 2, 40, 2))

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(write, range(8))) == 40
    store.check()
    assert len(store.keys()) == 40


def test_a_transaction_of_one_thread_is_not_joined_by_another(store):
    inside, written = threading.Event(), threading.Event()

    def write() -> None:
        inside.wait()
        store.put("other", "any")
        written.set()

    thread = threading.Thread(target=write)
    thread.start()

    def fail() -> None:
        with store.transaction():
            inside.set()
            assert not written.wait(0.1)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    thread.join()
    assert store.keys() == ["other"]


WRITER = """
import sys
import numpy as np
from stillroom.core.targets import Label, TargetStore

sys.stdin.readline()  # all start at once
store = TargetStore(sys.argv[1])
new = 0
for number in range(40):
    tensors = {"x": np.full(10_000, number)} if number % 2 else None
    new += store.put(str(number), "any", number, tensors)
    store.put_label(Label(f"{sys.argv[2]}-{number}", "1", "in", "out", "m"))
print(new)
"""


def test_processes_may_open_a_new_store_and_write_at_once(tmp_path):
    path = tmp_path / "targets.sqlite"
    command = [sys.executable, "-c", WRITER, str(path)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    writers = [subprocess.Popen([*command, str(number)], **pipes) for number in range(6)]
    for writer in writers:
        writer.stdin.write("go\n")
        writer.stdin.flush()
    assert sum(int(writer.communicate(timeout=120)[0]) for writer in writers) == 40
    assert [writer.returncode for writer in writers] == [0] * 6
    with TargetStore(path) as store:
        store.check()
        assert len(store.keys()) == 40
        assert len(list(store.labels())) == 240
        assert all(target.value == int(target.key) for target in store.iterate())


def _write_in_a_fork(store: TargetStore, number: int) -> None:
    store.put(f"child {number}", "any", number, LARGE)


def test_a_forked_process_may_use_the_store_of_its_parent(store):
    store.put("parent", "any", -1)
    fork = multiprocessing.get_context("fork")
    children = [fork.Process(target=_write_in_a_fork, args=(store, number)) for number in range(3)]
    for child in children:
        child.start()
    store.put("parent again", "any", -2)
    for child in children:
        child.join(60)
        assert child.exitcode == 0
    assert sorted(store.keys()) == ["child 0", "child 1", "child 2", "parent", "parent again"]
    store.check()


def test_a_pickled_store_opens_the_same_file(store):
    store.put("k", "any", 1)
    with pickle.loads(pickle.dumps(store)) as copy:
        assert copy.get("k").value == 1


def test_the_example_of_the_readme_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    readme = (Path(__file__).parents[2] / "packages" / "core" / "README.md").read_text()
    example = readme.split("## Stored targets")[1].split("```python\n")[1].split("```")[0]
    exec(example)
    with TargetStore("targets.sqlite") as store:
        assert store.keys("quantiles") == [key(teacher="chronos-bolt-base", series="a", levels=[0.1, 0.5, 0.9])]


# A real child commits targets of every kind and says so after each commit, until it is killed.
CHILD = """
import sys
import numpy as np
from stillroom.core.targets import Label, TargetStore, migration

@migration("outsider", 1)
def calls(connection):
    connection.execute("CREATE TABLE calls (key TEXT PRIMARY KEY, usd REAL NOT NULL)")

number = int(sys.argv[2])
store = TargetStore(sys.argv[1])
while True:
    number += 1
    size = (0, 10, 10_000)[number % 3]
    tensors = {"x": np.random.default_rng(number).normal(size=size)} if size else None
    if number % 4 == 0:
        with store.transaction() as connection:
            store.put(str(number), "paid", [number], tensors)
            store.put_label(Label(str(number), "1", "in", "out" * (number % 50), "m"))
            connection.execute("INSERT INTO calls VALUES (?, ?)", (str(number), 0.5))
    else:
        store.put(str(number), "free", [number], tensors)
    print(number, flush=True)
"""


def run_and_kill(path: Path, first: int, *, delays: list[float], from_the_start: bool) -> list[int]:
    """Start a child a delay and kill it that long after its start or its first commit; what they said was committed."""
    children = [
        subprocess.Popen(
            [sys.executable, "-c", CHILD, str(path), str(first + 1_000_000 * place)], stdout=subprocess.PIPE, text=True
        )
        for place in range(len(delays))
    ]
    said = []
    try:
        for child, delay in zip(children, delays, strict=True):
            if not from_the_start:
                said.append(int(child.stdout.readline()))
            time.sleep(delay)
            child.send_signal(signal.SIGKILL)
    finally:
        for child in children:
            child.kill()
    for child in children:
        rest, _ = child.communicate(timeout=60)
        assert child.returncode == -signal.SIGKILL
        said += [int(line) for line in rest.splitlines(keepends=True) if line.endswith("\n")]
    return said


def assert_kept(path: Path, said: list[int]) -> None:
    with TargetStore(path) as store:
        for number in said:
            target = store.get(str(number), verify=True)
            assert target.value == [number]
            size = (0, 10, 10_000)[number % 3]
            expected = {"x": np.random.default_rng(number).normal(size=size)} if size else {}
            assert equal(target.tensors, expected)
        with store.transaction() as connection:
            paid = set(store.keys("paid"))
            tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master")}
            calls = connection.execute("SELECT key FROM calls").fetchall() if "calls" in tables else []
            assert {key for (key,) in calls} == {label.key for label in store.labels()} == paid
        store.check()


def test_a_kill_at_any_instant_loses_no_committed_target(tmp_path):
    path = tmp_path / "targets.sqlite"
    moments = random.Random(0)
    everything = []
    for round_ in range(25):  # one store that survives all of them
        said = run_and_kill(path, round_ * 1000, delays=[moments.uniform(0, 0.05)], from_the_start=False)
        assert_kept(path, said)
        everything += said
    assert_kept(path, everything)
    with TargetStore(path) as store:
        store.sweep()
        assert_kept(path, everything)


def test_a_kill_while_the_store_is_being_made_leaves_one_that_opens(tmp_path):
    moments = random.Random(1)
    for round_ in range(10):
        path = tmp_path / f"{round_}.sqlite"
        assert_kept(path, run_and_kill(path, 0, delays=[moments.uniform(0.1, 0.4)], from_the_start=True))


@pytest.mark.slow
def test_hundreds_of_kills_of_three_writers_at_once_lose_no_committed_target(tmp_path):
    moments = random.Random(2)
    kills, everything = 0, []
    path = tmp_path / "targets.sqlite"
    while kills < 200:
        delays = [moments.uniform(0, 0.1) for _ in range(3)]
        said = run_and_kill(path, kills * 10_000_000, delays=delays, from_the_start=moments.random() < 0.2)
        assert_kept(path, said)
        everything += said
        kills += len(delays)
    assert len(everything) > 200
    assert_kept(path, everything)
