"""The Dask executor on real clusters: a scheduler and two worker processes on loopback, started as a user would."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import executor_work as works
import pytest
from dask_cluster import Cluster
from executor_events import alive, attempts, items, of, only, results, squares, until
from executor_work import halve, square

from cpd.errors import CpdError
from cpd.executors.queue import ExecutorLost, Item, Lost, Raised, Retrying, Stalled, WorkerLost
from cpd.executors.start import Where, start

distributed = pytest.importorskip("distributed", reason="the extra 'dask' is not installed")

# A scheduler that goes away leaves sockets to the garbage collector, which tornado does not close in time.
pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def launch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Cluster]]:
    """Start clusters, ended at the end, whatever happens."""
    started: list[Cluster] = []

    def begin(workers: int = 2, *options: str) -> Cluster:
        folder = tmp_path_factory.mktemp("dask")
        path = os.pathsep.join([str(Path(works.__file__).parent), os.environ.get("PYTHONPATH", "")])
        started.append(Cluster(folder, {**os.environ, "PYTHONPATH": path}))
        started[-1].start_scheduler()
        for _ in range(workers):
            started[-1].start_worker(*options)
        return started[-1]

    yield begin
    for each in started:
        each.stop()


Launch = Callable[..., Cluster]


@pytest.fixture(scope="module")
def cluster(launch: Launch) -> Cluster:
    """A cluster of two workers that several tests use; a nanny replaces what they kill."""
    return launch()


def pids(up: Any, count: int) -> set[int]:
    """Process ids of the workers, once ``count`` of them have come up."""
    until(lambda: len(up._pool._look()) == count)
    return set(up._pool._client.run(os.getpid).values())


def test_only_a_bounded_number_is_with_the_scheduler(cluster: Cluster) -> None:
    with start(cluster.where, square) as up:
        pids(up, 2)
        events = up.results(items(100))
        for _ in range(100):
            next(events)
            assert len(up._pool._tickets) <= 4  # type: ignore[attr-defined]


def test_a_worker_killed_midway_costs_nothing(cluster: Cluster, tmp_path: Path) -> None:
    with start(cluster.where, square) as up:
        victim = pids(up, 2).pop()
        events = up.results(items(60, 2, seconds=0.05, folder=str(tmp_path)), halve)
        seen = [next(events) for _ in range(5)]
        os.kill(victim, signal.SIGKILL)
        seen += list(events)
    assert results(seen) == squares(range(120))  # and each once
    assert of(Retrying, seen) == []  # Dask has sent them elsewhere itself
    assert max(attempts(tmp_path, "begun", run) for run in range(120)) <= 2
    assert len(of(WorkerLost, seen)) == 1


def test_the_run_that_kills_is_found_and_all_others_are_done(cluster: Cluster, tmp_path: Path) -> None:
    with start(cluster.where, square) as up:
        events = list(up.results(items(8, 8, killer=37, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(64), without={37})
    (lost,) = of(Lost, events)
    assert lost.payload["runs"] == [37]
    assert "Dask worker" in lost.reason
    assert (
        attempts(tmp_path, "begun", 37) >= 5 * 2
    )  # whole, half, quarter, by itself and alone, and Dask tries each twice


def test_an_error_that_dask_swallows_is_told(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # As where a worker dies after an item, before its result is fetched, and so do the workers of all later tries.
    told = distributed.Future._result

    async def raises(future: Any, raiseit: bool = True) -> Any:
        return await told(future, raiseit=True)

    monkeypatch.setattr(distributed.Future, "_result", raises)
    with start(cluster.where, square) as up:
        events = list(up.results(items(4, 2, killer=3, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(8), without={3})
    (lost,) = of(Lost, events)
    assert lost.payload["runs"] == [3]
    assert "Dask worker" in lost.reason


def test_a_scheduler_that_dies_midway_is_said_after_what_arrived(launch: Launch) -> None:
    there = launch()
    assert there.scheduler is not None
    with start(there.where, square) as up:
        events = up.results(items(200, seconds=0.05))
        seen = [next(events) for _ in range(5)]
        there.scheduler.kill()
        with pytest.raises(ExecutorLost) as caught:
            seen.extend(events)
    assert str(caught.value) == f"lost the Dask scheduler at {there.where.address}"
    assert caught.value.exit_code == 1
    assert 5 <= len(results(seen)) < 200


def test_all_workers_gone_is_said(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.executors import dask

    monkeypatch.setattr(dask, "ABANDONED", 1)
    there = launch(2, "--no-nanny")
    with start(there.where, square) as up:
        victims = pids(up, 2)
        events = up.results(items(200, seconds=0.05))
        seen = [next(events) for _ in range(5)]
        for victim in victims:
            os.kill(victim, signal.SIGKILL)
        with pytest.raises(Stalled, match="no worker is left at the Dask scheduler") as caught:
            seen.extend(events)
    assert caught.value.exit_code == 1
    assert len(results(seen)) >= 5
    assert of(WorkerLost, seen)[-1].left == 0


@pytest.mark.parametrize("way", ["nobody", "silent", "other"])
def test_a_scheduler_that_cannot_be_reached(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.executors import dask

    assert dask.CONNECT < 10  # the promise
    monkeypatch.setattr(dask, "CONNECT", 1)
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        address = f"tcp://127.0.0.1:{door.getsockname()[1]}"
        if way == "silent":
            door.listen()
        if way == "other":
            address = "carrier-pigeon://roof:1"
        with pytest.raises(CpdError) as caught:
            start(Where("dask", address=address), square)
    line = str(caught.value)
    assert line.startswith(f"--scheduler: cannot reach a Dask scheduler at '{address}': ")
    assert line.endswith("; start one: dask scheduler")
    assert "\n" not in line
    assert caught.value.exit_code == 2


def test_a_process_that_cannot_reach_its_scheduler_ends_at_once(tmp_path: Path) -> None:
    program = (
        "import cpd.executors.dask as dask, executor_work; dask.CONNECT = 1\n"
        "from cpd.executors.start import Where, start; from cpd.errors import CpdError\n"
        "try: start(Where('dask', address='tcp://127.0.0.1:1'), executor_work.square)\n"
        "except CpdError as error: print(error)"
    )
    path = os.pathsep.join([str(Path(works.__file__).parent), os.environ.get("PYTHONPATH", "")])
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.startswith("--scheduler: cannot reach a Dask scheduler at 'tcp://127.0.0.1:1'")
    assert (done.returncode, done.stderr) == (0, "")
    print(f"{time.monotonic() - begun:.1f} s")


def test_a_scheduler_without_workers(launch: Launch, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.executors import dask

    monkeypatch.setattr(dask, "ARRIVE", 1)
    there = launch(0)
    with pytest.raises(CpdError) as caught:
        start(there.where, square)
    address = there.where.address
    assert str(caught.value) == (
        f"--scheduler: the Dask scheduler at {address} has no workers; start some: dask worker {address}"
    )


def test_workers_must_have_the_same_versions(cluster: Cluster) -> None:
    with pytest.raises(CpdError, match=r"the worker tcp://\S+ has torch \d+ \(here \d+\); install the same versions"):
        start(cluster.where, square, probe=works.versions_by_process)


def test_workers_that_cannot_import_the_work(cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "only_here.py").write_text("def versions(): return {}\ndef work(payload): return payload\n")
    monkeypatch.syspath_prepend(tmp_path)
    import only_here  # type: ignore[import-not-found]

    with start(cluster.where, only_here.work) as up:
        event = only(Raised, up.results([Item(1)]))
        assert "only_here" in event.error
    with pytest.raises(CpdError, match=r"cannot be used: .*only_here"):
        start(cluster.where, square, probe=only_here.versions)


def test_closing_leaves_the_cluster_for_others(cluster: Cluster) -> None:
    for _ in range(2):
        with start(cluster.where, square) as up:
            assert results(up.results(items(4))) == squares(range(4))
    assert cluster.scheduler is not None
    assert alive(cluster.scheduler.pid)
