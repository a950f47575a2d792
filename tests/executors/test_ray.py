"""The Ray executor on a cluster of two cores of this machine."""

import os
from collections.abc import Iterator
from pathlib import Path

import executor_work as works
import pytest
from executor_events import attempts, items, of, results, squares
from executor_work import halve, square

from cpd.errors import CpdError
from cpd.executors.queue import Lost, Retrying
from cpd.executors.start import Executor, Where, start

pytest.importorskip("ray", reason="the extra 'ray' is not installed")

pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore")]  # Ray warns about itself


@pytest.fixture(scope="module", autouse=True)
def _workers_find_their_work() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(works.__file__).parent), prepend=os.pathsep)
        yield


@pytest.fixture(scope="module")
def up() -> Iterator[Executor]:
    with start(Where("ray", 2, "local"), works.kill_once, probe=works.versions) as started:
        yield started


def test_a_worker_killed_midway_costs_nothing(up: Executor, tmp_path: Path) -> None:
    events = list(up.results(items(12, 2, killer=7, once=str(tmp_path / "once")), halve))
    assert results(events) == squares(range(24))
    assert of(Lost, events) == []
    assert [again.payload["runs"] for again in of(Retrying, events)] == [[6, 7]]


def test_the_run_that_kills_is_found_and_all_others_are_done(tmp_path: Path, up: Executor) -> None:
    up.close()
    with start(Where("ray", 2, "local"), square) as other:
        events = list(other.results(items(4, 4, killer=6, folder=str(tmp_path)), halve))
    assert results(events) == squares(range(16), without={6})
    assert [lost.payload["runs"] for lost in of(Lost, events)] == [[6]]
    assert attempts(tmp_path, "begun", 6) == 5


@pytest.mark.parametrize("address", ["auto", "127.0.0.1:1"])
def test_a_cluster_that_cannot_be_reached(address: str, up: Executor) -> None:
    up.close()
    with pytest.raises(CpdError) as caught:
        start(Where("ray", address=address), square)
    assert str(caught.value).startswith(f"--address: cannot reach a Ray cluster at '{address}': ")
    assert "\n" not in str(caught.value)


def test_workers_must_have_the_same_versions(up: Executor) -> None:
    up.close()
    with pytest.raises(CpdError, match="has torch"):
        start(Where("ray", 2, "local"), square, probe=works.versions_by_process)


def test_an_executor_that_is_closed_may_be_closed_again(up: Executor) -> None:
    up.close()
    other = start(Where("ray", 2, "local"), square)
    assert results(other.results(items(2))) == squares(range(2))
    other.close()
    other.close()
