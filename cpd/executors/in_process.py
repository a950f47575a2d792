"""Items done in this process, one after the other: no start-up, no copy, and no protection from what kills it."""

from __future__ import annotations

from cpd.executors.queue import Arrival, Ticket
from cpd.executors.worker import Work, attempt


class InProcess:
    """A pool of one worker, this process; an item that hangs hangs it, for nobody is left to notice."""

    workers = threads = 1

    def __init__(self, work: Work) -> None:
        self._work = work
        self._next: Ticket | None = None

    @property
    def room(self) -> int:
        """One at a time."""
        return 0 if self._next else 1

    def send(self, tickets: list[Ticket]) -> None:
        """Keep the ticket until the results are asked for."""
        (self._next,) = tickets

    def receive(self, timeout: float) -> list[Arrival]:
        """Do the work, however long it takes."""
        ticket, self._next = self._next, None
        return [(ticket, attempt(self._work, ticket.payload))] if ticket else []

    def cancel(self) -> None:
        """Forget the ticket."""
        self._next = None

    def close(self) -> None:
        """Nothing to end."""
