"""A command from its opening to its end: what is told, in which order, and what is given back whatever goes wrong."""

import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import cpd
from cpd.errors import CpdError, StoreError
from cpd.executors.start import Executor
from cpd.outcome import Run, Status
from cpd.run import execution
from cpd.run.closing import Closers
from cpd.run.events import (
    BatchEnded,
    Event,
    IterationEnded,
    Planned,
    RunsEnded,
    SearchBegun,
    Stepped,
    SweepEnded,
    TaskRead,
    WorkersReady,
)
from cpd.run.recording import Recording
from cpd.run.signals import StopSignals
from cpd.run.target import with_target
from cpd.run.tracking import Tracking
from cpd.spec.identity import runs
from cpd.spec.reader import load_task
from cpd.store.store import Store, open_store
from cpd.trackers import Tracker

SHORT = cpd.Overrides(methods=("lagrangian",), set=("train.steps=20", "lagrangian.dual_lr=0.1,0.2"))


class Told(Tracker):
    """Remembers what it was told."""

    calls: list[str] = []  # noqa: RUF012

    def sweep_start(self, sweep: Any) -> None:
        self.calls.append("sweep_start")

    def sweep_end(self, document: Any) -> None:
        self.calls.append("sweep_end")


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What a tracker named ``told:Told`` hears."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(sys.modules, "told", sys.modules[__name__])
    monkeypatch.setattr(Told, "calls", [])
    return Told.calls


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[Store]:
    """The stores that a command opened."""
    stores: list[Store] = []

    def opening(*arguments: Any) -> Store:
        stores.append(open_store(*arguments))
        return stores[-1]

    monkeypatch.setattr("cpd.run.recording.open_store", opening)
    return stores


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """Every command gives the signals back."""
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    yield
    assert [signal.getsignal(number) for number in numbers] == before


def sweep(listener: Any = None, **options: Any) -> Any:
    chosen = cpd.Options(engine="eager", trackers=("told:Told",), **options)
    return cpd.sweep("concave", SHORT, chosen, listener)


class Boom(Exception):
    pass


def booming(original: Callable[..., Any]) -> Callable[..., Any]:
    """Does what it should, and then raises."""

    def boom(*arguments: Any, **more: Any) -> None:
        original(*arguments, **more)
        raise Boom(original.__qualname__)

    return boom


CLOSERS = [(Executor, "close"), (Tracking, "close"), (StopSignals, "give_back"), (Store, "close")]


def is_closed(store: Store) -> bool:
    try:
        store.sweeps()
    except Exception:
        return True
    return False


@pytest.mark.parametrize("error", [None, CpdError("first"), KeyboardInterrupt()], ids=["none", "error", "interrupt"])
@pytest.mark.parametrize(("kind", "close"), CLOSERS, ids=[f"{kind.__name__}.{name}" for kind, name in CLOSERS])
def test_a_closer_that_raises_keeps_nothing_from_being_closed(
    kind: type[Any],
    close: str,
    error: BaseException | None,
    told: list[str],
    opened: list[Store],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kind, close, booming(getattr(kind, close)))

    def listener(event: Event) -> None:
        if error is not None and isinstance(event, RunsEnded):
            raise error

    with pytest.raises(BaseException) as caught:  # noqa: PT011
        sweep(listener)
    if error is None:
        assert isinstance(caught.value, Boom)
        assert str(caught.value) == f"{kind.__name__}.{close}"
    else:
        assert caught.value is error
    assert told == ["sweep_start", "sweep_end"]
    (store,) = opened
    assert is_closed(store)


def test_of_several_closers_that_raise_the_first_is_told(told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, close in CLOSERS:
        monkeypatch.setattr(kind, close, booming(getattr(kind, close)))
    with pytest.raises(Boom, match=r"Executor\.close"):
        sweep()


def test_what_fails_while_it_is_opened_closes_what_was_open(
    told: list[str], opened: list[Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> None:
        raise CpdError("no trackers today")

    monkeypatch.setattr(execution, "Tracking", fail)
    with pytest.raises(CpdError, match="no trackers today"):
        sweep()
    assert is_closed(opened[0])


def test_a_store_that_cannot_be_opened_is_told(told: list[str], tmp_path: Path) -> None:
    with pytest.raises(StoreError):
        sweep(store=tmp_path)
    assert told == []


def test_closers_are_called_last_first_and_told_the_first_error() -> None:
    seen: list[tuple[str, BaseException | None]] = []
    boom = Boom("of the second")

    def second(error: BaseException | None) -> None:
        seen.append(("second", error))
        raise boom

    closers = Closers()
    closers.add(lambda error: seen.append(("first", error)))
    closers.add(second)
    closers.add(lambda error: seen.append(("third", error)))
    with pytest.raises(Boom) as caught, closers:
        pass
    assert caught.value is boom
    assert seen == [("third", None), ("second", None), ("first", boom)]


def test_the_events_of_a_sweep(told: list[str]) -> None:
    events: list[Event] = []
    result = sweep(events.append, fuse=1, jobs=1)
    kinds = [type(event) for event in events if not isinstance(event, Stepped)]
    assert kinds == [TaskRead, Planned, WorkersReady, *[RunsEnded, BatchEnded] * 2, SweepEnded]
    planned = events[1]
    assert isinstance(planned, Planned)
    assert (planned.sweep, len(planned.keys), planned.found) == (result.id, 2, {})
    assert WorkersReady(batches=2, workers=1) in events
    assert [event for event in events if isinstance(event, BatchEnded)] == [BatchEnded(1, 1, 1), BatchEnded(2, 2, 1)]
    assert events[-1] == SweepEnded(result.exit_code, None)
    ended = [run for event in events if isinstance(event, RunsEnded) for run in event.runs]
    assert ended == [replace(run, model=None) for run in result.finished]
    again: list[Event] = []
    sweep(again.append)
    assert [type(event) for event in again] == [TaskRead, Planned, WorkersReady, SweepEnded]
    assert isinstance(again[1], Planned)
    assert again[1].found.keys() == {run.key.id for run in result.finished}


def test_the_events_of_a_search(told: list[str]) -> None:
    events: list[Event] = []
    task = with_target(load_task("concave", cpd.Overrides(set=("train.steps=20",))), {"target": "0.5"})
    result = cpd.bisect(task, options=cpd.Options(engine="eager", keep=False), listener=events.append)
    assert events[:2] == [TaskRead(task), SearchBegun(task)]
    lines = [event.iteration for event in events if isinstance(event, IterationEnded)]
    assert result.search is not None
    assert lines == result.search["iterations"]
    assert events[-1] == SweepEnded(result.exit_code, result.search)


def test_recording_keeps_nothing_where_nothing_is_to_be_kept() -> None:
    task = load_task("concave", SHORT)
    recording = Recording("sweep", task, cpd.Options(keep=False))
    recording(RunsEnded([]))
    recording(SweepEnded(0, None))
    recording.close(None)
    assert (recording.sweep, recording.checkpoints, recording.kept, recording.error) == (None, None, 0, None)


@pytest.mark.parametrize("kept", [True, False])
def test_a_sweep_that_a_mistake_ends_has_ended_or_leaves_no_trace(kept: bool, tmp_path: Path) -> None:
    task = load_task("concave", SHORT)
    recording = Recording("bisect", task, cpd.Options(store=str(tmp_path / "s.sqlite")))
    if kept:
        recording(RunsEnded([Run(runs(task)[0], Status.COMPLETED, 1.0)]))
    recording.close(CpdError("cannot go on"))
    with open_store(tmp_path / "s.sqlite", "read") as store:
        assert [store.load(info.id).exit_status for info in store.sweeps()] == ([2] if kept else [])
        assert all(info.ended for info in store.sweeps())
