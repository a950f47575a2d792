"""The queue of items and what becomes of them when workers die: the same for every executor."""

from __future__ import annotations

import heapq
import itertools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from cpd.errors import CpdError
from cpd.executors.worker import Died, Escaped, Outcome, Returned

TICK = 1.0
"""Seconds between two looks at an executor that delivers nothing."""

Halve = Callable[[Any], tuple[Any, Any] | None]


class ExecutorLost(CpdError):
    """The executor went away midway; what had arrived was delivered: exit code 1."""

    exit_code = 1


class Stalled(ExecutorLost):
    """Nothing finishes any more."""


@dataclass(frozen=True)
class Item:
    """Something to do: a picklable payload, and how long it takes relative to the others."""

    payload: Any
    weight: float = 1.0


@dataclass(frozen=True)
class Done:
    """A payload's result."""

    payload: Any
    result: Any


@dataclass(frozen=True)
class Raised:
    """The work raised on this payload: the traceback."""

    payload: Any
    error: str


@dataclass(frozen=True)
class Lost:
    """This payload ended its process while nothing else was under way."""

    payload: Any
    reason: str


@dataclass(frozen=True)
class Retrying:
    """Notice: a worker died on this payload, which is tried again whole or in two parts."""

    payload: Any
    reason: str
    parts: tuple[Any, ...]


@dataclass(frozen=True)
class WorkerLost:
    """Notice: a cluster lost a worker; its items go elsewhere by themselves."""

    worker: str
    left: int


Event = Done | Raised | Lost | Retrying | WorkerLost


@dataclass(frozen=True, eq=False)
class Ticket:
    """One dispatch of a payload. Equal to itself only, so a late answer to an earlier dispatch is not mistaken."""

    payload: Any
    weight: float
    retries: int
    alone: bool = False


Arrival = tuple[Ticket, Outcome] | WorkerLost


class Pool(Protocol):
    """The part that differs: takes tickets, gives outcomes, knows nothing of faults but to report them."""

    @property
    def workers(self) -> int:
        """How many tickets are worked on at once."""

    @property
    def threads(self) -> int:
        """How many tickets one process works on at once, at most."""

    @property
    def room(self) -> int:
        """How many more tickets may be sent now; at least one when none is under way."""

    def send(self, tickets: list[Ticket]) -> None:
        """Start work on tickets, no more of them than there is room."""

    def receive(self, timeout: float) -> list[Arrival]:
        """Wait until something arrives, ``timeout`` seconds at most; raise :class:`ExecutorLost` when nothing can."""

    def cancel(self) -> None:
        """End all that is under way; the pool stays usable."""

    def close(self) -> None:
        """End all that is under way, and the pool."""


class Queue:
    """Items that are still to do or under way.

    A payload whose worker died is tried again, then halved; what cannot be halved waits until nothing else is left and
    goes out alone, so that nobody is blamed for a neighbour's appetite for memory.
    """

    def __init__(self, items: Iterable[Item], halve: Halve, retries: int) -> None:
        self._halve = halve
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, Ticket]] = []
        self._suspects: deque[Ticket] = deque()
        self.under_way: set[Ticket] = set()
        for item in items:
            self._wait(Ticket(item.payload, item.weight, retries))

    def take(self) -> Ticket | None:
        """The next to send: longest first, suspects last and only when nothing else is under way."""
        if self._waiting:
            ticket = heapq.heappop(self._waiting)[-1]
        elif self._suspects and not self.under_way:
            ticket = self._suspects.popleft()
        else:
            return None
        self.under_way.add(ticket)
        return ticket

    def settle(self, ticket: Ticket, outcome: Outcome) -> Event | None:
        """Say what an outcome means for the payload; None for an answer that came twice."""
        if ticket not in self.under_way:
            return None
        self.under_way.remove(ticket)
        match outcome:
            case Returned(result):
                return Done(ticket.payload, result)
            case Escaped(error):
                return Raised(ticket.payload, error)
            case Died(reason) if ticket.alone:
                return Lost(ticket.payload, reason)
            case Died(reason, repeatable):
                return Retrying(ticket.payload, reason, self._requeue(ticket, repeatable))

    def _requeue(self, ticket: Ticket, repeatable: bool) -> tuple[Any, ...]:
        """Put back a ticket whose worker died, whole or halved."""
        if repeatable and ticket.retries:
            self._wait(replace(ticket, retries=ticket.retries - 1))
        elif halves := self._halve(ticket.payload):
            # No retries for a half: its whole has died each time, and every death costs a worker.
            for half in halves:
                self._wait(Ticket(half, ticket.weight / 2, 0))
            return halves
        else:
            self._suspects.append(replace(ticket, alone=True))
        return (ticket.payload,)

    def _wait(self, ticket: Ticket) -> None:
        heapq.heappush(self._waiting, (-ticket.weight, next(self._order), ticket))


def drain(pool: Pool, queue: Queue, stall_timeout: float) -> Generator[Event]:
    """Send the queue through a pool, see :meth:`cpd.executors.start.Executor.results`."""
    failure: ExecutorLost | None = None
    heard = time.monotonic()
    try:
        _fill(pool, queue)
        while queue.under_way:
            arrivals = pool.receive(min(TICK, stall_timeout))
            events = [event for arrival in arrivals if (event := _event(queue, arrival)) is not None]
            try:
                _fill(pool, queue)  # first, so that workers are busy while the caller stores these results
            except ExecutorLost as error:
                failure = error
            yield from events
            if failure is not None:
                raise failure
            if any(not isinstance(event, WorkerLost) for event in events):
                heard = time.monotonic()  # after the yield: the caller's own time does not count
            elif time.monotonic() - heard > stall_timeout:
                raise _stalled(pool, queue, stall_timeout)
    finally:
        if queue.under_way:
            pool.cancel()


def _fill(pool: Pool, queue: Queue) -> None:
    # The room is negative after a cluster has shrunk.
    tickets = list(itertools.islice(iter(queue.take, None), max(0, pool.room)))
    if tickets:
        pool.send(tickets)


def _event(queue: Queue, arrival: Arrival) -> Event | None:
    return arrival if isinstance(arrival, WorkerLost) else queue.settle(*arrival)


def _stalled(pool: Pool, queue: Queue, seconds: float) -> Stalled:
    return Stalled(
        f"nothing finished for {seconds:g} s, with {len(queue.under_way)} batches under way on {pool.workers} workers",
        hint="if one batch may take that long, raise --stall-timeout",
    )
