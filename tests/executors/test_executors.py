"""Local executors with real processes: in this process and on loky workers."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from types import SimpleNamespace
from typing import Any

import executor_work as works
import pytest
from executor_events import alive, attempts, items, of, results, squares, until
from executor_work import halve, square

from cpd.errors import CpdError
from cpd.executors import queue as faults
from cpd.executors import start as executors
from cpd.executors.queue import Done, Item, Lost, Queue, Raised, Retrying, Stalled, drain
from cpd.executors.start import Engine, Where, engine
from cpd.executors.worker import Died, Escaped, Returned

LOCAL = Where("local", 1)
LOKY = Where("loky", 2)


@pytest.fixture
def start() -> Iterator[Callable[..., Engine]]:
    """Start engines that are closed at the end, whatever happens."""
    started: list[Engine] = []

    def begin(where: Where = LOKY, work: Any = square, **more: Any) -> Engine:
        started.append(engine(where, work, **more))
        return started[-1]

    yield begin
    for up in started:
        up.close()


Start = Callable[..., Engine]


# The queue, without any engine.


def test_the_longest_goes_out_first() -> None:
    queue = Queue([Item("short", 1), Item("long", 9), Item("middle", 5)], lambda payload: None, retries=1)
    taken = iter(queue.take, None)
    assert [ticket.payload for ticket in taken] == ["long", "middle", "short"]


def test_a_death_is_tried_again_then_halved_then_alone() -> None:
    queue = Queue([Item("ab", 2), Item("z", 1)], lambda text: (text[0], text[1]) if len(text) > 1 else None, retries=1)
    first = queue.take()
    assert queue.settle(first, Died("gone")) == Retrying("ab", "gone", ("ab",))
    second = queue.take()
    assert (second.payload, second.alone) == ("ab", False)
    assert queue.settle(second, Died("gone")) == Retrying("ab", "gone", ("a", "b"))
    third, neighbour, half = queue.take(), queue.take(), queue.take()
    assert [third.payload, neighbour.payload, half.payload] == ["z", "a", "b"] or third.weight == half.weight
    tickets = {ticket.payload: ticket for ticket in (third, neighbour, half)}
    assert queue.settle(tickets["a"], Died("gone")) == Retrying("a", "gone", ("a",))
    assert queue.take() is None  # not while others are under way
    assert queue.settle(tickets["b"], Returned(1)) == Done("b", 1)
    assert queue.settle(tickets["z"], Escaped("no")) == Raised("z", "no")
    last = queue.take()
    assert (last.payload, last.alone) == ("a", True)
    assert queue.settle(last, Died("gone")) == Lost("a", "gone")
    assert queue.take() is None
    assert not queue.under_way


def test_a_suspect_that_is_well_alone_is_done() -> None:
    queue = Queue([Item("a")], lambda payload: None, retries=0)
    assert queue.settle(queue.take(), Died("gone")) == Retrying("a", "gone", ("a",))
    assert queue.settle(queue.take(), Returned(1)) == Done("a", 1)


def test_an_answer_that_comes_twice_is_dropped() -> None:
    queue = Queue([Item("a")], lambda payload: None, retries=1)
    first = queue.take()
    queue.settle(first, Died("gone"))
    second = queue.take()
    assert queue.settle(first, Returned(1)) is None
    assert queue.settle(second, Returned(2)) == Done("a", 2)
    assert queue.settle(second, Returned(2)) is None


def test_out_of_memory_is_not_tried_again_as_it_is() -> None:
    queue = Queue([Item("ab", 2)], tuple, retries=5)  # type: ignore[arg-type]
    assert queue.settle(queue.take(), Died("out of memory", repeatable=False)) == Retrying(
        "ab", "out of memory", ("a", "b")
    )


class Scripted:
    """A pool whose answers, and what the clock shows after each, are written down."""

    workers = 1

    def __init__(self, script: list[tuple[float, bool]], clock: SimpleNamespace) -> None:
        self.script = iter(script)
        self.clock = clock
        self.tickets: list[Any] = []
        self.cancelled = False

    @property
    def room(self) -> int:
        return 1 - len(self.tickets)

    def send(self, tickets: list[Any]) -> None:
        self.tickets += tickets

    def receive(self, timeout: float) -> list[Any]:
        seconds, answers = next(self.script)
        self.clock.now += seconds
        return [(self.tickets.pop(), Returned(None))] if answers else []

    def cancel(self) -> None:
        self.cancelled = True

    def close(self) -> None:
        raise AssertionError("left to the engine's owner")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    shown = SimpleNamespace(now=0.0)
    monkeypatch.setattr(faults, "time", SimpleNamespace(monotonic=lambda: shown.now))
    return shown


def test_the_time_of_a_slow_caller_is_not_a_stall(clock: SimpleNamespace) -> None:
    pool = Scripted([(1, True), (1, False), (1, True), (1, False), (1, True)], clock)
    seen = []
    for event in drain(pool, Queue([Item(k) for k in range(3)], lambda payload: None, 0), stall_timeout=5):
        clock.now += 1000
        seen.append(event)
    assert len(of(Done, seen)) == 3
    assert not pool.cancelled


def test_nothing_finishing_is_a_stall_counted_from_the_last_result(clock: SimpleNamespace) -> None:
    pool = Scripted([(4, False), (0, True), (4, False), (2, False), (0, True)], clock)
    events = drain(pool, Queue([Item(k) for k in range(2)], lambda payload: None, 0), stall_timeout=5)
    assert isinstance(next(events), Done)
    with pytest.raises(Stalled, match="nothing finished for 5 s, with 1 batches under way on 1 workers"):
        next(events)
    assert clock.now == 10
    assert pool.cancelled


# What must be the same for every local engine.


@pytest.fixture(params=[LOCAL, LOKY], ids=["local", "loky"])
def anywhere(request: pytest.FixtureRequest, start: Start) -> Engine:
    return start(request.param)


def test_every_item_is_done_once(anywhere: Engine) -> None:
    assert results(anywhere.results(items(20, 3))) == squares(range(60))
    assert results(anywhere.results(items(2))) == squares(range(2))  # again, with the same workers
    assert list(anywhere.results([])) == []


def test_an_exception_costs_its_item_only(anywhere: Engine) -> None:
    events = list(anywhere.results(items(6, 2, raiser=5), halve))
    assert results(events) == squares(range(12), without={4, 5})
    (raised,) = of(Raised, events)
    assert raised.payload["runs"] == [4, 5]
    assert raised.error.strip().endswith("ValueError: run 5 is not to our taste")
    assert "executor_work.py" in raised.error


def test_out_of_memory_is_halved_until_it_fits(anywhere: Engine) -> None:
    events = list(anywhere.results(items(2, 8, most=2), halve))
    assert results(events) == squares(range(16))
    assert max(len(done.payload["runs"]) for done in of(Done, events)) == 2


def test_a_single_run_without_memory_is_lost(anywhere: Engine) -> None:
    events = list(anywhere.results(items(4, 4, glutton=6), halve))
    assert results(events) == squares(range(16), without={6})
    (lost,) = of(Lost, events)
    assert (lost.payload["runs"], lost.reason) == ([6], "out of memory")


def test_closing_early_leaves_the_engine_usable(anywhere: Engine) -> None:
    some = anywhere.results(items(9))
    assert isinstance(next(some), Done)
    some.close()  # type: ignore[attr-defined]
    assert results(anywhere.results(items(3))) == squares(range(3))


def test_local_is_this_process_for_one_job(start: Start) -> None:
    (event,) = start(LOCAL, works.surroundings).results([Item({})])
    assert event.result["pid"] == os.getpid()
    assert event.result["device"] is None


@pytest.mark.parametrize("where", [Where("local", 2), Where("loky", 1), Where("local", 1, devices=("cpu",))])
def test_loky_is_other_processes(where: Where, start: Start) -> None:
    events = list(start(where, works.surroundings).results([Item({})]))
    assert events[0].result["pid"] != os.getpid()


# Loky.


def test_a_worker_killed_midway_costs_nothing(start: Start, tmp_path: Path) -> None:
    once = tmp_path / "once"
    folder = tmp_path / "attempts"
    folder.mkdir()
    up = start(work=works.kill_once)
    events = list(up.results(items(12, 2, killer=7, once=str(once), folder=str(folder)), halve))
    assert results(events) == squares(range(24))
    (again,) = of(Retrying, events)
    assert again.payload["runs"] == [6, 7]
    assert again.parts == (again.payload,)
    assert "SIGKILL" in again.reason
    # The neighbour at the time of death was not disturbed, and nothing ran to its end twice.
    assert {run: attempts(folder, "done", run) for run in range(24)} == dict.fromkeys(range(24), 1)


def test_a_worker_killed_from_outside_midway_costs_nothing(start: Start) -> None:
    up = start(work=works.surroundings)
    pid = next(iter(up.results([Item({})]))).result["pid"]
    os.kill(pid, signal.SIGKILL)  # idle
    events = up.results([Item({"seconds": 1, "number": k}) for k in range(4)])
    first = next(event for event in events if isinstance(event, Done))
    os.kill(first.result["pid"], signal.SIGKILL)  # at work on its next item
    rest = list(events)
    assert sorted(event.payload["number"] for event in of(Done, [first, *rest])) == [0, 1, 2, 3]
    assert of(Lost, rest) == []


def test_the_run_that_kills_is_found_and_all_others_are_done(start: Start, tmp_path: Path) -> None:
    events = list(start().results(items(8, 8, killer=37, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(64), without={37})
    (lost,) = of(Lost, events)
    assert lost.payload["runs"] == [37]
    assert lost.reason == "its process ended with exit code 3"
    # Whole, again, in a half, a quarter, by itself, and alone.
    assert attempts(tmp_path, "begun", 37) == 6
    assert max(attempts(tmp_path, "done", run) for run in range(64) if run != 37) == 1


def test_without_retries_a_death_is_halved_at_once(start: Start, tmp_path: Path) -> None:
    events = list(start().results(items(1, 2, killer=1, folder=str(tmp_path)), halve, retries=0))
    assert results(events) == {0: 0}
    assert attempts(tmp_path, "begun", 1) == 3


def test_an_exit_or_a_result_that_cannot_travel_is_an_error_of_its_item(start: Start) -> None:
    events = list(start().results(items(4, leaver=2)))
    assert results(events) == squares(range(4), without={2})
    assert "SystemExit: 7" in of(Raised, events)[0].error
    (event,) = start(work=works.unpicklable).results([Item(1)])
    assert isinstance(event, Raised)
    assert "pickle" in event.error


def test_workers_share_the_cores_and_ignore_signals(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.executors.start import loky

    monkeypatch.setattr(loky, "cpu_count", lambda: 6)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # a user's lower limit stays
    (event,) = start(LOKY, works.surroundings, setup=works.set_up).results([Item({})])
    seen = event.result
    assert seen["threads"] == [3]
    assert (seen["OMP_NUM_THREADS"], seen["OPENBLAS_NUM_THREADS"]) == ("3", "3")
    assert seen["MKL_NUM_THREADS"] == "1"
    assert seen["OMP_WAIT_POLICY"] == "passive"
    assert seen["ignored"] == [True, True]
    assert seen["blocked"] == []


def test_work_may_start_processes_of_its_own(start: Start) -> None:
    (event,) = start(work=works.start_a_child).results([Item({})])
    assert event.result == 0


def test_what_work_prints_is_not_on_stdout(start: Start, capfd: pytest.CaptureFixture[str]) -> None:
    list(start(work=works.surroundings).results([Item({})]))
    assert capfd.readouterr().out == ""


def test_a_failed_setup_is_the_error_of_each_item(start: Start) -> None:
    events = list(start(setup=works.fail_to_set_up).results(items(3)))
    assert [event.error.strip().splitlines()[-1] for event in of(Raised, events)] == [
        "RuntimeError: no such library"
    ] * 3


def test_a_worker_keeps_its_device_for_life(start: Start) -> None:
    up = start(Where("local", 3, devices=("cuda:0", "cuda:1")), works.surroundings)
    work = [Item({"seconds": 0.1, "number": k}) for k in range(12)]
    seen = {(event.result["pid"], event.result["device"]) for event in of(Done, list(up.results(work)))}
    assert len(seen) == len(dict(seen)) == 3
    assert sorted(device for _, device in seen) == ["cuda:0", "cuda:0", "cuda:1"]
    victim = min(dict(seen))
    os.kill(victim, signal.SIGKILL)
    again = {(event.result["pid"], event.result["device"]) for event in of(Done, list(up.results(work)))}
    assert victim not in dict(again)
    assert sorted(device for _, device in again) == ["cuda:0", "cuda:0", "cuda:1"]


@pytest.mark.slow
def test_a_stall_is_said_after_what_arrived(start: Start) -> None:
    up = start()
    list(up.results(items(2)))  # workers that are up already: their start does not count as a stall here
    slow = Item({"runs": [99], "seconds": 3600}, 2)
    found = []
    with pytest.raises(Stalled, match="nothing finished for 3 s, with 1 batches under way on 2 workers") as caught:
        found.extend(up.results([slow, *items(3)], stall_timeout=3))
    assert results(found) == squares(range(3))
    assert caught.value.exit_code == 1
    assert results(up.results(items(2))) == squares(range(2))


@pytest.mark.parametrize(
    ("where", "message"),
    [
        (Where("lokky"), "--backend: no backend 'lokky'; did you mean 'loky'? Valid: local, loky, dask, ray"),
        (Where("local", 0), "--jobs: 0 workers; at least 1"),
        (Where("dask"), "--backend dask: which scheduler?; --scheduler tcp://HOST:8786"),
        (
            Where("ray", devices=("cuda:0",)),
            "--devices: binds local workers to devices; the ray backend does not; "
            "give each worker of the cluster its own device when you start it",
        ),
    ],
)
def test_bad_usage_is_one_line(where: Where, message: str) -> None:
    with pytest.raises(CpdError) as caught:
        engine(where, square)
    assert str(caught.value) == message
    assert caught.value.exit_code == 2


@pytest.mark.parametrize(("backend", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_backend_that_is_not_installed(backend: str, package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, f"cpd.executors.{backend}", raising=False)
    monkeypatch.delattr(executors, backend, raising=False)
    with pytest.raises(CpdError) as caught:
        engine(Where(backend, address="tcp://127.0.0.1:1"), square)
    assert str(caught.value) == f"--backend {backend}: cannot import {package}; pip install 'cpd[{backend}]'"


# A parent that ends, by each of the ways in which parents end.

PARENT = dedent(
    """
    import os, sys, signal
    import executor_work
    from cpd.executors import Item, Where, engine

    def stop(*_):
        raise SystemExit(143)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    try:
        with engine(Where("loky", 2), executor_work.surroundings) as up:
            for event in up.results([Item({"seconds": 0.2 * k}, 100 - k) for k in (0, 1, 3000, 3001)]):
                print(event.result["pid"], flush=True)
    except KeyboardInterrupt:
        sys.exit(130)
    """
)


@pytest.mark.parametrize(
    ("number", "to_group", "code"),
    [
        (signal.SIGINT, True, 130),
        (signal.SIGTERM, True, 143),
        (signal.SIGTERM, False, 143),
        (signal.SIGKILL, False, -signal.SIGKILL),
    ],
)
def test_a_parent_that_ends_leaves_no_worker(number: signal.Signals, to_group: bool, code: int) -> None:
    path = os.pathsep.join([str(Path(works.__file__).parent), os.environ.get("PYTHONPATH", "")])
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert parent.stdout is not None
    assert parent.stderr is not None
    with parent.stdout, parent.stderr:
        workers = {int(parent.stdout.readline()) for _ in range(2)}
        assert all(map(alive, workers))
        (os.killpg if to_group else os.kill)(parent.pid, number)
        assert parent.wait() == code
        until(lambda: not any(map(alive, workers)))
        assert "Traceback" not in parent.stderr.read()
