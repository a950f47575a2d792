"""Sweeps on several workers, here and on a Dask cluster: the same numbers, and faults that cost one run only."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

SWEEP = ("sweep", "figure2", "--seeds", "0:4", "--set", "train.steps=400", "--engine", "captured", "--fuse", "40")
LONG = ("sweep", "figure2", "--seeds", "0:4", "--set", "train.steps=4000", "--engine", "captured", "--fuse", "20")

KILLER = """
import os
import torch
import cpd


class Kills(cpd.Problem):
    def model(self):
        if torch.initial_seed() == 5:
            os._exit(9)
        return torch.nn.Linear(2, 1)

    def evaluate(self, model, batch):
        x = model(torch.ones(2)).sum()
        return cpd.Evaluation((x - 2) ** 2, {"x": x})
"""
KILLER_TASK = """
problem: killer.py:Kills
constraints: {x: "<= 1"}
train: {steps: 50, optimizer: {name: SGD, lr: 0.05}}
seeds: 0:8
methods: {lagrangian: {dual_lr: 0.2}}
"""


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "NO_COLOR": "1", "OMP_NUM_THREADS": "1", **more}


def start(*arguments: str, cwd: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "cpd", *arguments],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate()
    return process.returncode, out, err


def command(*arguments: str, cwd: Path) -> tuple[int, str, str]:
    return finish(start(*arguments, cwd=cwd))


def numbers(out: str) -> list[Any]:
    """All that a sweep's JSON says of its runs but how long they took."""
    return [{k: v for k, v in run.items() if k != "seconds"} for run in json.loads(out)["runs"]]


def until(condition: Any) -> None:
    """Wait for something that will happen; the suite's own timeout ends a wait that is in vain."""
    while not condition():
        time.sleep(0.05)


def children(pid: int) -> list[int]:
    listed = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(pid)], capture_output=True, text=True, check=False)
    lines = [line.split(maxsplit=1) for line in listed.stdout.splitlines() if "loky" in line or "popen" in line]
    return [int(line[0]) for line in lines if "resource_tracker" not in line[1]]


def stored_runs(folder: Path) -> int:
    store = folder / ".cpd" / "runs.sqlite"
    if not store.exists():
        return 0
    connection = sqlite3.connect(f"file:{store}?mode=ro", uri=True)
    try:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])
    except sqlite3.OperationalError:
        return 0
    finally:
        connection.close()


@pytest.fixture(scope="module")
def one_process(tmp_path_factory: pytest.TempPathFactory) -> list[Any]:
    code, out, err = command(*SWEEP, "--jobs", "1", "--format", "json", cwd=tmp_path_factory.mktemp("one"))
    assert code == 0, err
    return numbers(out)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, list[subprocess.Popen[bytes]]]]:
    """A Dask scheduler and two worker processes on loopback."""
    folder = tmp_path_factory.mktemp("cluster")
    address_file = folder / "scheduler.json"
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": folder, "env": environment()}
    dask = [sys.executable, "-m", "dask"]
    own = ["--scheduler-file", str(address_file), "--no-dashboard", "--host", "127.0.0.1"]
    scheduler = subprocess.Popen([*dask, "scheduler", *own, "--port", "0"], **quiet)
    until(address_file.exists)
    workers = [subprocess.Popen([*dask, "worker", *own, "--nthreads", "1"], **quiet) for _ in range(2)]
    until(lambda: address_file.read_text().strip().endswith("}"))
    yield json.loads(address_file.read_text())["address"], workers
    for process in [*workers, scheduler]:
        process.terminate()
    for process in [*workers, scheduler]:
        process.wait()


def test_two_workers_give_the_numbers_of_one_process(one_process: list[Any], tmp_path: Path) -> None:
    _, out, err = command(*SWEEP, "--jobs", "2", "--format", "json", cwd=tmp_path)
    assert numbers(out) == one_process, err


def test_a_dask_cluster_gives_the_numbers_of_one_process(
    one_process: list[Any], cluster: tuple[str, Any], tmp_path: Path
) -> None:
    _, out, err = command(*SWEEP, "--backend", "dask", "--scheduler", cluster[0], "--format", "json", cwd=tmp_path)
    assert numbers(out) == one_process, err


def test_a_killed_worker_costs_its_batch_a_second_try_and_no_run(tmp_path: Path) -> None:
    process = start(*LONG, "--jobs", "2", "--format", "json", cwd=tmp_path)
    until(lambda: stored_runs(tmp_path) > 0 and children(process.pid))
    os.kill(children(process.pid)[0], signal.SIGKILL)
    code, out, err = finish(process)
    assert code == 0, err
    assert {run["status"] for run in json.loads(out)["runs"]} == {"completed"}
    assert stored_runs(tmp_path) == len(json.loads(out)["runs"]) == 160
    assert "tried again whole" in err


def test_a_killed_dask_worker_is_not_missed(cluster: tuple[str, list[Any]], tmp_path: Path) -> None:
    address, workers = cluster
    process = start(*LONG, "--backend", "dask", "--scheduler", address, "--format", "json", cwd=tmp_path)
    until(lambda: stored_runs(tmp_path) > 0)
    nanny = workers[0].pid
    listed = subprocess.run(["ps", "-o", "pid=", "--ppid", str(nanny)], capture_output=True, text=True, check=False)
    for pid in map(int, listed.stdout.split()):
        os.kill(pid, signal.SIGKILL)
    code, out, err = finish(process)
    assert code == 0, err
    assert {run["status"] for run in json.loads(out)["runs"]} == {"completed"}
    assert stored_runs(tmp_path) == 160


@pytest.mark.parametrize("backend", ["local", "dask"])
def test_a_run_that_kills_its_process_is_found_and_the_others_complete(
    backend: str, cluster: tuple[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "killer.py").write_text(KILLER)
    (tmp_path / "killer.yaml").write_text(KILLER_TASK)
    where = ("--jobs", "2") if backend == "local" else ("--backend", "dask", "--scheduler", cluster[0])
    code, out, err = command("sweep", "killer.yaml", *where, "--format", "json", cwd=tmp_path)
    assert code == 1, err
    by_seed = {run["seed"]: run for run in json.loads(out)["runs"]}
    assert {seed for seed, run in by_seed.items() if run["status"] == "completed"} == {0, 1, 2, 3, 4, 6, 7}
    assert by_seed[5]["status"] == "failed"
    assert by_seed[5]["error"]


def test_an_unreachable_scheduler_is_one_line(tmp_path: Path) -> None:
    code, out, err = command(
        "sweep", "rate", "--backend", "dask", "--scheduler", "tcp://127.0.0.1:9", "--no-store", cwd=tmp_path
    )
    assert (code, out) == (2, "")
    assert err.startswith("cpd: --scheduler: cannot reach a Dask scheduler at 'tcp://127.0.0.1:9'")
    assert len(err.splitlines()) == 1


def test_ctrl_c_leaves_no_worker_behind(tmp_path: Path) -> None:
    process = start(*LONG, "--jobs", "2", "--format", "json", cwd=tmp_path)
    until(lambda: len(children(process.pid)) == 2 and stored_runs(tmp_path) > 0)
    workers = children(process.pid)
    os.killpg(process.pid, signal.SIGINT)
    code, _, err = finish(process)
    assert code == 130, err
    assert "run the same command again" in err
    assert "Traceback" not in err
    until(lambda: not any(Path(f"/proc/{pid}").exists() and _alive(pid) for pid in workers))
    code, out, err = command(*LONG, "--jobs", "2", "--format", "json", cwd=tmp_path)
    assert code == 0
    assert "runs found in the store" in err
    assert stored_runs(tmp_path) == 160


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
