"""The loky executor: worker processes on this machine, and a parent that ends."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import executor_work as works
import pytest
from executor_events import alive, attempts, items, of, only, results, squares, until
from executor_work import halve, square

from cpd.executors.queue import Done, Item, Lost, Raised, Retrying
from cpd.executors.start import Executor, Where, start

LOKY = Where("loky", 2)


@pytest.fixture
def begin() -> Iterator[Callable[..., Executor]]:
    """Start executors that are closed at the end, whatever happens."""
    started: list[Executor] = []

    def begin(where: Where = LOKY, work: Any = square, **more: Any) -> Executor:
        started.append(start(where, work, **more))
        return started[-1]

    yield begin
    for up in started:
        up.close()


Begin = Callable[..., Executor]


def test_a_worker_killed_midway_costs_nothing(begin: Begin, tmp_path: Path) -> None:
    once = tmp_path / "once"
    folder = tmp_path / "attempts"
    folder.mkdir()
    up = begin(work=works.kill_once)
    events = list(up.results(items(12, 2, killer=7, once=str(once), folder=str(folder)), halve))
    assert results(events) == squares(range(24))
    (again,) = of(Retrying, events)
    assert again.payload["runs"] == [6, 7]
    assert again.parts == (again.payload,)
    assert "SIGKILL" in again.reason
    # The neighbour at the time of death was not disturbed, and nothing ran to its end twice.
    assert {run: attempts(folder, "done", run) for run in range(24)} == dict.fromkeys(range(24), 1)


@pytest.mark.slow
def test_a_worker_killed_from_outside_midway_costs_nothing(begin: Begin) -> None:
    up = begin(work=works.surroundings)
    pid = only(Done, up.results([Item({})])).result["pid"]
    os.kill(pid, signal.SIGKILL)  # idle
    events = up.results([Item({"seconds": 1, "number": k}) for k in range(4)])
    first = next(event for event in events if isinstance(event, Done))
    os.kill(first.result["pid"], signal.SIGKILL)  # at work on its next item
    rest = list(events)
    assert sorted(event.payload["number"] for event in of(Done, [first, *rest])) == [0, 1, 2, 3]
    assert of(Lost, rest) == []


def test_the_run_that_kills_is_found_and_all_others_are_done(begin: Begin, tmp_path: Path) -> None:
    events = list(begin().results(items(8, 8, killer=37, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(64), without={37})
    (lost,) = of(Lost, events)
    assert lost.payload["runs"] == [37]
    assert lost.reason == "its process ended with exit code 3"
    # Whole, again, in a half, a quarter, by itself, and alone.
    assert attempts(tmp_path, "begun", 37) == 6
    assert max(attempts(tmp_path, "done", run) for run in range(64) if run != 37) == 1


def test_without_retries_a_death_is_halved_at_once(begin: Begin, tmp_path: Path) -> None:
    events = list(begin().results(items(1, 2, killer=1, folder=str(tmp_path)), halve, retries=0))
    assert results(events) == {0: 0}
    assert attempts(tmp_path, "begun", 1) == 3


def test_an_exit_or_a_result_that_cannot_travel_is_an_error_of_its_item(begin: Begin) -> None:
    events = list(begin().results(items(4, leaver=2)))
    assert results(events) == squares(range(4), without={2})
    assert "SystemExit: 7" in of(Raised, events)[0].error
    event = only(Raised, begin(work=works.unpicklable).results([Item(1)]))
    assert "pickle" in event.error


def test_workers_share_the_cores_and_ignore_signals(begin: Begin, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.executors import loky

    monkeypatch.setattr(loky, "cpu_count", lambda: 6)
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "1")  # a user's lower limit stays
    event = only(Done, begin(LOKY, works.surroundings, setup=works.set_up).results([Item({})]))
    seen = event.result
    assert seen["threads"] == [3]
    assert (seen["OMP_NUM_THREADS"], seen["OPENBLAS_NUM_THREADS"]) == ("3", "3")
    assert seen["MKL_NUM_THREADS"] == "1"
    assert seen["OMP_WAIT_POLICY"] == "passive"
    assert seen["ignored"] == [True, True]
    assert seen["blocked"] == []


def test_work_may_start_processes_of_its_own(begin: Begin) -> None:
    event = only(Done, begin(work=works.start_a_child).results([Item({})]))
    assert event.result == 0


def test_what_work_prints_is_not_on_stdout(begin: Begin, capfd: pytest.CaptureFixture[str]) -> None:
    list(begin(work=works.surroundings).results([Item({})]))
    assert capfd.readouterr().out == ""


def test_a_failed_setup_is_the_error_of_each_item(begin: Begin) -> None:
    events = list(begin(setup=works.fail_to_set_up).results(items(3)))
    assert [event.error.strip().splitlines()[-1] for event in of(Raised, events)] == [
        "RuntimeError: no such library"
    ] * 3


def test_a_worker_keeps_its_device_for_life(begin: Begin) -> None:
    up = begin(Where("local", 3, devices=("cuda:0", "cuda:1")), works.surroundings)
    work = [Item({"seconds": 0.1, "number": k}) for k in range(12)]
    seen = {(event.result["pid"], event.result["device"]) for event in of(Done, list(up.results(work)))}
    assert len(seen) == len(dict(seen)) == 3
    assert sorted(device for _, device in seen) == ["cuda:0", "cuda:0", "cuda:1"]
    victim = min(dict(seen))
    os.kill(victim, signal.SIGKILL)
    again = {(event.result["pid"], event.result["device"]) for event in of(Done, list(up.results(work)))}
    assert victim not in dict(again)
    assert sorted(device for _, device in again) == ["cuda:0", "cuda:0", "cuda:1"]


# A parent that ends, by each of the ways in which parents end.

PARENT = dedent(
    """
    import os, sys, signal
    import executor_work
    from cpd.executors.queue import Item
    from cpd.executors.start import Where, start

    def stop(*_):
        raise SystemExit(143)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, stop)
    try:
        with start(Where("loky", 2), executor_work.surroundings) as up:
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
