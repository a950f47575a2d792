"""The Ray engine on a cluster of two cores of this machine."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path

import executor_work as works
import pytest
from executor_events import attempts, items, of, results, squares
from executor_work import halve, square

from cpd.errors import CpdError
from cpd.executors.queue import Done, Lost, Raised, Retrying
from cpd.executors.start import Engine, Where, engine

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray warns about itself


@pytest.fixture(scope="module", autouse=True)
def _workers_find_their_work() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(works.__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def up() -> Iterator[Engine]:
    with engine(Where("ray", 2, "local"), works.kill_once, probe=works.versions) as started:
        yield started


def test_every_item_is_done_once(up: Engine) -> None:
    assert up.workers == 2
    assert results(up.results(items(100, 2))) == squares(range(200))


def test_errors_and_memory(up: Engine) -> None:
    events = list(up.results(items(6, 4, raiser=5, leaver=9, glutton=14), halve))
    assert results(events) == squares(range(24), without={4, 5, 6, 7, 8, 9, 10, 11, 14})
    errors = {event.payload["runs"][0]: event.error.strip().splitlines()[-1] for event in of(Raised, events)}
    assert errors == {4: "ValueError: run 5 is not to our taste", 8: "SystemExit: 7"}
    assert [(lost.payload["runs"], lost.reason) for lost in of(Lost, events)] == [([14], "out of memory")]


def test_a_worker_killed_midway_costs_nothing(up: Engine, tmp_path: Path) -> None:
    events = list(up.results(items(12, 2, killer=7, once=str(tmp_path / "once")), halve))
    assert results(events) == squares(range(24))
    assert of(Lost, events) == []
    assert [again.payload["runs"] for again in of(Retrying, events)] == [[6, 7]]


def test_closing_early_leaves_the_engine_usable(up: Engine) -> None:
    some = up.results(items(20, seconds=0.2))
    assert isinstance(next(some), Done)
    some.close()  # type: ignore[attr-defined]
    assert results(up.results(items(3))) == squares(range(3))


def test_the_run_that_kills_is_found_and_all_others_are_done(tmp_path: Path, up: Engine) -> None:
    up.close()
    with engine(Where("ray", 2, "local"), square) as other:
        events = list(other.results(items(4, 4, killer=6, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(16), without={6})
    assert [lost.payload["runs"] for lost in of(Lost, events)] == [[6]]
    assert attempts(tmp_path, "begun", 6) == 5


class Stop(BaseException):
    pass


def test_a_signal_cuts_the_wait_short(up: Engine) -> None:
    up.close()

    def stop(number: int, frame: object) -> None:
        raise Stop

    before = signal.signal(signal.SIGUSR1, stop)
    try:
        with engine(Where("ray", 2, "local"), square) as other:
            events = other.results(items(1, seconds=3600))
            threading.Timer(1, signal.pthread_kill, (threading.get_ident(), signal.SIGUSR1)).start()
            with pytest.raises(Stop):
                next(events)
    finally:
        signal.signal(signal.SIGUSR1, before)


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1"])
def test_a_cluster_that_cannot_be_reached(address: str, up: Engine) -> None:
    up.close()
    with pytest.raises(CpdError) as caught:
        engine(Where("ray", address=address), square)
    assert str(caught.value).startswith(f"--address: cannot reach a Ray cluster at '{address}': ")
    assert "\n" not in str(caught.value)


def test_workers_must_have_the_same_versions(up: Engine) -> None:
    up.close()
    with pytest.raises(CpdError, match="has torch"):
        engine(Where("ray", 2, "local"), square, probe=works.versions_by_process)
