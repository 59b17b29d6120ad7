"""Jobs on a real Ray: the same table as in fresh processes, the same limits, and what is lost is a row with its reason.

Ray takes four seconds to start and its workers keep the environment it was started in, so each test asks much of one.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pandas as pd
import psutil
import pytest

from stillroom.bench.executor import Executor, FreshProcess
from stillroom.bench.on_ray import OnRay
from stillroom.bench.rows import MEASURED
from stillroom.bench.runner import make_plan, run
from stillroom.bench.tasks import read_suite
from stillroom.bench.worker import Job
from stillroom.core.errors import MissingError

TASK = {"id": "months", "dataset": "months", "prediction_length": 12, "season_length": 12}
pytestmark = pytest.mark.usefixtures("outside")


@pytest.fixture
def on_ray():
    """`OnRay`, closed at the end of the test."""
    pytest.importorskip("ray")
    opened: list[OnRay] = []

    def start(**options) -> OnRay:
        opened.append(OnRay(**options))
        return opened[-1]

    yield start
    for executor in opened:
        executor.close()


def job(model: str, folder: Path) -> Job:
    return Job(TASK, model, 0, str(folder / "predictions.parquet"))


def model_process() -> psutil.Process:
    """The process that runs a job of ours on this machine's Ray, as soon as there is one."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for process in psutil.Process().children(recursive=True):
            try:
                if "stillroom.bench.worker" in process.cmdline():
                    return process
            except psutil.Error:
                pass
        time.sleep(0.05)
    raise AssertionError("no job was started")


def has_ended(process: psutil.Process) -> bool:
    """Nobody may be there to collect the exit code of a process whose parent was killed: a zombie has ended."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            if not process.is_running() or process.status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


def tables(executors: dict[str, Executor], models: list[str], folder: Path) -> list[pd.DataFrame]:
    """What is not measured of the table of each executor, which runs in a folder of its name."""
    suite = read_suite({"tasks": [TASK]}, "mine")
    return [
        run(make_plan(suite, models, folder / name), executor=executor, workers=2).drop(columns=list(MEASURED))
        for name, executor in executors.items()
    ]


def test_a_run_on_ray_makes_the_table_files_and_logs_of_fresh_processes(on_ray, tmp_path):
    there, here = tables({"there": on_ray(), "here": FreshProcess(threads=1)}, ["last", "raises"], tmp_path)
    pd.testing.assert_frame_equal(there, here)
    assert there["status"].tolist() == ["ok", "failed", "ok"]
    for name in here["predictions"].dropna():
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()
    [log] = (tmp_path / "there" / "logs").iterdir()
    assert log.name in [path.name for path in (tmp_path / "here" / "logs").iterdir()]
    assert "no luck" in log.read_text()


@pytest.mark.slow
def test_limits_on_ray_are_those_of_fresh_processes(on_ray, tmp_path):
    limits = {"time_limit": 15, "memory_limit": 400}
    executors = {"there": on_ray(**limits), "here": FreshProcess(**limits, threads=1)}
    there, here = tables(executors, ["last", "sleeps", "eats"], tmp_path)
    held = " .it held.*"  # how much more than the limit is a matter of the moment
    for table in (there, here):
        table["reason"] = table["reason"].str.replace(held, "", regex=True)
    pd.testing.assert_frame_equal(there, here)
    reasons = there.set_index("model")["reason"]
    assert (reasons["sleeps"], reasons["eats"]) == ("time limit: 15 s", "memory limit: 400 MB")


def test_a_kill_of_its_worker_and_a_stop_end_a_job_and_its_process(on_ray, tmp_path, capfd):
    import ray

    on_ray()
    executor = on_ray()
    with ThreadPoolExecutor() as pool:
        future = pool.submit(executor, job("sleeps", tmp_path), tmp_path / "log")
        process = model_process()
        process.parent().kill()  # as an operator does, or the system when memory runs out
        outcome = future.result(timeout=60)
        assert outcome["status"] == "failed"
        assert outcome["reason"].startswith("Ray: WorkerCrashedError: ")
        assert has_ended(process)

        assert executor(job("last", tmp_path), tmp_path / "log")["status"] == "ok"  # the rest goes on

        future = pool.submit(executor, job("sleeps", tmp_path), tmp_path / "log")
        process = model_process()
        executor.stop()
        assert future.result(timeout=60) == {"status": "failed", "reason": "stopped"}
        assert has_ended(process)
    assert executor(job("last", tmp_path), tmp_path / "log") == {"status": "failed", "reason": "stopped"}
    executor.close()
    assert ray.is_initialized()  # it was running before this one
    assert capfd.readouterr().out == ""  # Ray says much, but not where results go


@pytest.mark.slow
def test_ctrl_c_ends_a_run_on_ray_and_blames_no_model(tmp_path):
    pytest.importorskip("ray")
    (tmp_path / "mine.yaml").write_text(json.dumps({"tasks": [TASK]}))
    command = [Path(sys.executable).with_name("stillroom"), "bench", "run", tmp_path / "mine.yaml"]
    options = ["--model", "sleeps", "--executor", "ray", "--out", tmp_path / "out"]
    process = psutil.Popen([*command, *options], stderr=subprocess.DEVNULL)
    while not list(tmp_path.glob("out/rows/*.json")):  # of the baseline
        assert process.poll() is None
        time.sleep(0.05)
    sleeping = model_process()
    process.send_signal(signal.SIGINT)
    assert process.wait(60) == 130
    assert has_ended(sleeping)
    assert len(list(tmp_path.glob("out/rows/*.json"))) == 1


@pytest.mark.slow
def test_a_job_ends_with_a_killed_node_or_a_killed_driver_and_the_cluster_goes_on(on_ray, tmp_path, monkeypatch):
    pytest.importorskip("ray")
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, connect=False, head_node_args={"num_cpus": 0})
    node = cluster.add_node(num_cpus=1)
    monkeypatch.setenv("RAY_ADDRESS", cluster.address)
    script = (
        "from pathlib import Path\n"
        "from stillroom.bench.on_ray import OnRay\n"
        "from stillroom.bench.worker import Job\n"
        f"OnRay()(Job({TASK!r}, 'sleeps', 0, 'p'), Path({str(tmp_path / 'log')!r}))\n"
    )
    driver = subprocess.Popen([sys.executable, "-c", script])
    process = model_process()
    driver.kill()
    driver.wait()
    assert has_ended(process)

    executor = on_ray(threads=8)  # more than any node has: the job takes all of one
    with ThreadPoolExecutor() as pool:
        assert executor(job("last", tmp_path), tmp_path / "log")["status"] == "ok"
        future = pool.submit(executor, job("sleeps", tmp_path), tmp_path / "log")
        process = model_process()
        cluster.remove_node(node, allow_graceful=False)
        outcome = future.result(timeout=120)
        assert outcome["status"] == "failed"
        assert outcome["reason"].startswith("Ray: ")
        assert has_ended(process)
    cluster.add_node(num_cpus=1)
    assert executor(job("last", tmp_path), tmp_path / "log")["status"] == "ok"
    executor.close()

    executor = on_ray()  # closing the first left the cluster alone
    assert executor(job("last", tmp_path), tmp_path / "log")["status"] == "ok"
    executor.close()
    cluster.shutdown()


def test_without_ray_one_sentence_says_how_to_get_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingError, match=r"pip install 'stillroom-bench\[ray\]'"):
        OnRay()


@pytest.mark.parametrize("address", ["127.0.0.1:1", "ray://127.0.0.1:1", "nobody:here"])
def test_a_cluster_that_does_not_answer_is_refused_at_once(address, monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(MissingError, match=f"no Ray answers at '{address}'"):
        OnRay()
