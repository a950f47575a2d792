"""What every executor must do, whichever it is; what is special to one is in its own file.

A new executor is one more entry of ``EXECUTORS``.
"""

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import executor_work as works
import pytest
from dask_cluster import Cluster
from executor_events import attempts, items, of, results, squares
from executor_work import halve

from cpd.executors.queue import Done, Event, Item, Lost, Raised, Retrying, Stalled
from cpd.executors.start import Executor, Where, start

# Ray warns about itself; a scheduler that goes away leaves sockets to the garbage collector.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning"),
]

FINDS_WORK = os.pathsep.join([str(Path(works.__file__).parent), os.environ.get("PYTHONPATH", "")])
"""Where workers find what tests ask of them."""


@contextmanager
def local(folder: Path) -> Iterator[Where]:
    yield Where("local", 1)


@contextmanager
def loky(folder: Path) -> Iterator[Where]:
    yield Where("loky", 2)


@contextmanager
def dask(folder: Path) -> Iterator[Where]:
    pytest.importorskip("distributed", reason="the extra 'dask' is not installed")
    cluster = Cluster(folder, {**os.environ, "PYTHONPATH": FINDS_WORK})
    try:
        cluster.start_scheduler()
        for _ in range(2):
            cluster.start_worker()
        yield cluster.where
    finally:
        cluster.stop()


@contextmanager
def ray(folder: Path) -> Iterator[Where]:
    pytest.importorskip("ray", reason="the extra 'ray' is not installed")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", FINDS_WORK)
        yield Where("ray", 2, "local")


Compute = Callable[[Path], AbstractContextManager[Where]]

PROCESSES: dict[str, Compute] = {"loky": loky, "dask": dask, "ray": ray}
"""Executors whose workers are processes of their own, which may die."""

EXECUTORS: dict[str, Compute] = {"in_process": local, **PROCESSES}


def _named(executors: dict[str, Compute]) -> list[Any]:
    """Their names as parameters; to start a cluster is slow."""
    return [pytest.param(name, marks=[pytest.mark.slow] if name in ("dask", "ray") else []) for name in executors]


@pytest.fixture(scope="module", params=_named(EXECUTORS))
def up(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Executor]:
    """One executor for all tests: what one test did to it must not matter to the next."""
    with (
        EXECUTORS[request.param](tmp_path_factory.mktemp("executor")) as where,
        start(where, works.contract) as started,
    ):
        yield started


of_processes = pytest.mark.parametrize("up", _named(PROCESSES), indirect=True)
"""For tests in which workers die. The same fixture: Ray, say, is connected to once in a process."""


def last_line(event: Raised) -> str:
    return event.error.strip().splitlines()[-1]


# What is done.


def test_every_item_is_done_once(up: Executor) -> None:
    assert up.workers >= 1
    assert up.threads == 1
    assert results(up.results(items(100, 3))) == squares(range(300))


def test_rounds_share_the_workers(up: Executor) -> None:
    for count in (2, 0, 3):
        assert results(up.results(items(count))) == squares(range(count))


def test_a_lone_worker_begins_with_the_longest(tmp_path: Path) -> None:
    """Of several workers which begins first is up to the machine; what they are sent is held by the queue's tests."""
    work = [Item({"runs": [k], "folder": str(tmp_path)}, weight) for k, weight in enumerate([1, 9, 5])]
    with EXECUTORS["in_process"](tmp_path) as where, start(where, works.contract) as alone:
        assert results(alone.results(work)) == squares(range(3))
    begun = sorted(tmp_path.glob("begun_*"), key=lambda path: int(path.name.rpartition("_")[2]))
    assert [int(path.name.split("_")[1]) for path in begun] == [1, 2, 0]


# What goes wrong with an item.


def test_an_exception_costs_its_item_only(up: Executor) -> None:
    events = list(up.results(items(6, 2, raiser=5), halve))
    assert results(events) == squares(range(12), without={4, 5})
    (raised,) = of(Raised, events)
    assert raised.payload["runs"] == [4, 5]
    assert last_line(raised) == "ValueError: run 5 is not to our taste"
    assert "executor_work.py" in raised.error


@of_processes
def test_an_exit_or_a_result_that_cannot_travel_is_an_error_of_its_item(up: Executor) -> None:
    events = list(up.results([*items(4, leaver=2), Item({"runs": [9], "result": "cannot travel"})]))
    assert results(events) == squares(range(4), without={2})
    errors = {event.payload["runs"][0]: last_line(event) for event in of(Raised, events)}
    assert errors[2] == "SystemExit: 7"
    assert "pickle" in errors[9]


def test_out_of_memory_is_halved_until_it_fits(up: Executor) -> None:
    events = list(up.results(items(2, 8, most=2), halve))
    assert results(events) == squares(range(16))
    assert max(len(done.payload["runs"]) for done in of(Done, events)) == 2


def test_a_single_run_without_memory_is_lost(up: Executor) -> None:
    events = list(up.results(items(4, 4, glutton=6), halve))
    assert results(events) == squares(range(16), without={6})
    (lost,) = of(Lost, events)
    assert (lost.payload["runs"], lost.reason) == ([6], "out of memory")


# Workers that die.


@of_processes
def test_a_worker_killed_midway_costs_nothing(up: Executor, tmp_path: Path) -> None:
    events = list(up.results(items(12, 2, killer=7, once=str(tmp_path / "once")), halve))
    assert results(events) == squares(range(24))
    assert of(Lost, events) == []
    assert [again.payload["runs"] for again in of(Retrying, events)] in ([], [[6, 7]])  # Dask itself tries it again


@of_processes
def test_the_run_that_kills_is_found_and_all_others_are_done(up: Executor, tmp_path: Path) -> None:
    events = list(up.results(items(4, 4, killer=6, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(16), without={6})
    (lost,) = of(Lost, events)
    assert lost.payload["runs"] == [6]
    assert attempts(tmp_path, "begun", 6) >= 5  # whole, again, in a half, by itself, alone


@of_processes
def test_without_retries_a_death_is_halved_at_once(up: Executor) -> None:
    events = list(up.results(items(1, 2, killer=1), halve, retries=0))
    assert results(events) == {0: 0}
    halved, *alone = [len(again.parts) for again in of(Retrying, events)]
    assert halved == 2
    assert set(alone) == {1}


@pytest.mark.parametrize("up", _named({name: PROCESSES[name] for name in ("loky", "ray")}), indirect=True)
def test_a_death_is_that_of_its_own_batch_alone(up: Executor, tmp_path: Path) -> None:
    # Not on Dask, whose worker has other batches at hand, or their results, which die with it and are tried again too.
    events = list(up.results(items(4, 4, killer=6, folder=str(tmp_path)), halve))
    assert {run for again in of(Retrying, events) for run in again.payload["runs"]} == {4, 5, 6, 7}
    events = list(up.results(items(1, 2, killer=1), halve, retries=0))
    assert [len(again.parts) for again in of(Retrying, events)] == [2, 1]


# Ends.


def test_closing_the_results_early_ends_what_is_under_way(up: Executor) -> None:
    endless = [Item({"runs": [k], "until": "cancelled"}) for k in range(8)]
    some = up.results([Item({"runs": [99]}, 2), *endless])
    assert isinstance(next(some), Done)
    some.close()
    assert results(up.results(items(3))) == squares(range(3))


@of_processes
@pytest.mark.slow
def test_a_stall_is_said_after_what_arrived(up: Executor) -> None:
    # Workers that are up already, and the endless one last: a start does not count as a stall here, nor one anew of
    # workers that other tests have killed.
    assert results(up.results(items(8, seconds=0.05))) == squares(range(8))
    endless = Item({"runs": [99], "until": "cancelled"}, 2)
    found: list[Event] = []
    with pytest.raises(Stalled, match="nothing finished for 3 s, with 1 batches under way on 2 workers") as caught:
        found.extend(up.results([*items(3), endless], stall_timeout=3))
    assert results(found) == squares(range(3))
    assert caught.value.exit_code == 1
    assert results(up.results(items(2))) == squares(range(2))


class Stop(BaseException):
    pass


@of_processes
def test_a_signal_cuts_the_wait_short(up: Executor) -> None:
    def stop(number: int, frame: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGUSR1, stop)
    events = up.results([Item({"runs": [0], "until": "cancelled"})])
    try:
        threading.Timer(1, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1)).start()
        with pytest.raises(Stop):
            next(events)
    finally:
        events.close()
        signal.signal(signal.SIGUSR1, before)
    assert results(up.results(items(2))) == squares(range(2))


@pytest.mark.parametrize("name", _named({n: EXECUTORS[n] for n in EXECUTORS if n != "ray"}))  # its own: test_ray.py
def test_an_executor_that_is_closed_may_be_closed_again(name: str, tmp_path: Path) -> None:
    with EXECUTORS[name](tmp_path) as where:
        executor = start(where, works.contract)
        assert results(executor.results(items(2))) == squares(range(2))
        executor.close()
        executor.close()
