"""The queue of items, and how it goes through an executor, without any real one."""

from types import SimpleNamespace
from typing import Any

import pytest
from executor_events import of

from cpd.executors import queue as faults
from cpd.executors.queue import Done, Item, Lost, Queue, Raised, Retrying, Stalled, Ticket, drain
from cpd.executors.worker import Died, Escaped, Returned


def take(queue: Queue) -> Ticket:
    """The next ticket, of which there is one."""
    ticket = queue.take()
    assert ticket is not None
    return ticket


def test_the_longest_goes_out_first() -> None:
    queue = Queue([Item("short", 1), Item("long", 9), Item("middle", 5)], lambda payload: None, retries=1)
    taken = iter(queue.take, None)
    assert [ticket.payload for ticket in taken] == ["long", "middle", "short"]


def test_a_death_is_tried_again_then_halved_then_alone() -> None:
    queue = Queue([Item("ab", 2), Item("z", 1)], lambda text: (text[0], text[1]) if len(text) > 1 else None, retries=1)
    first = take(queue)
    assert queue.settle(first, Died("gone")) == Retrying("ab", "gone", ("ab",))
    second = take(queue)
    assert (second.payload, second.alone) == ("ab", False)
    assert queue.settle(second, Died("gone")) == Retrying("ab", "gone", ("a", "b"))
    third, neighbour, half = take(queue), take(queue), take(queue)
    assert [third.payload, neighbour.payload, half.payload] == ["z", "a", "b"] or third.weight == half.weight
    tickets = {ticket.payload: ticket for ticket in (third, neighbour, half)}
    assert queue.settle(tickets["a"], Died("gone")) == Retrying("a", "gone", ("a",))
    assert queue.take() is None  # not while others are under way
    assert queue.settle(tickets["b"], Returned(1)) == Done("b", 1)
    assert queue.settle(tickets["z"], Escaped("no")) == Raised("z", "no")
    last = take(queue)
    assert (last.payload, last.alone) == ("a", True)
    assert queue.settle(last, Died("gone")) == Lost("a", "gone")
    assert queue.take() is None
    assert not queue.under_way


def test_a_suspect_that_is_well_alone_is_done() -> None:
    queue = Queue([Item("a")], lambda payload: None, retries=0)
    assert queue.settle(take(queue), Died("gone")) == Retrying("a", "gone", ("a",))
    assert queue.settle(take(queue), Returned(1)) == Done("a", 1)


def test_an_answer_that_comes_twice_is_dropped() -> None:
    queue = Queue([Item("a")], lambda payload: None, retries=1)
    first = take(queue)
    queue.settle(first, Died("gone"))
    second = take(queue)
    assert queue.settle(first, Returned(1)) is None
    assert queue.settle(second, Returned(2)) == Done("a", 2)
    assert queue.settle(second, Returned(2)) is None


def test_out_of_memory_is_not_tried_again_as_it_is() -> None:
    queue = Queue([Item("ab", 2)], lambda text: (text[0], text[1]), retries=5)
    assert queue.settle(take(queue), Died("out of memory", repeatable=False)) == Retrying(
        "ab", "out of memory", ("a", "b")
    )


class Scripted:
    """A pool whose answers, and what the clock shows after each, are written down."""

    workers = threads = 1

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
        raise AssertionError("left to the executor's owner")


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
