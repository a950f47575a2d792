"""Items to send to an executor, and what its events come to."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, TypeVar

from cpd.executors.queue import Done, Event, Item

T = TypeVar("T")


def items(batches: int, size: int = 1, **more: Any) -> list[Item]:
    """Batches of consecutive runs."""
    return [Item({"runs": list(range(k * size, (k + 1) * size)), **more}, size) for k in range(batches)]


def results(events: Iterable[Event]) -> dict[int, int]:
    """Every run's result, each seen once."""
    found: dict[int, int] = {}
    for event in events:
        if isinstance(event, Done):
            assert found.keys().isdisjoint(event.result)
            found |= event.result
    return found


def squares(runs: Iterable[int], without: Iterable[int] = ()) -> dict[int, int]:
    return {run: run**2 for run in set(runs) - set(without)}


def only(kind: type[T], events: Iterable[Event]) -> T:
    """The one event that there is, which is of this kind."""
    (event,) = events
    assert isinstance(event, kind)
    return event


def of(kind: type[Any], events: list[Event]) -> list[Any]:
    return [event for event in events if isinstance(event, kind)]


def attempts(folder: Path, what: str, run: int) -> int:
    """How often a batch with this run was begun or done, from the files that its processes left."""
    tags = (path.name.split("_")[:2] for path in folder.iterdir())
    return sum(tag == what and str(run) in runs.split("-") for tag, runs in tags)


def until(condition: Callable[[], Any]) -> Any:
    """Wait for something that must happen, for as long as the test may take."""
    while not (found := condition()):
        time.sleep(0.02)
    return found


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
