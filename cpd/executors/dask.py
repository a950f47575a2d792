"""Items on a Dask cluster, through its own futures.

Not through joblib's dask backend: that one hangs for ever when an item kills its worker, and on a cluster of one core
it runs everything in the parent.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any
from uuid import uuid4

from cpd.errors import CpdError, install
from cpd.executors.queue import TICK, Arrival, ExecutorLost, Stalled, Ticket, WorkerLost
from cpd.executors.versions import Probe, compare
from cpd.executors.worker import Died, Escaped, Outcome, Work, attempt_sealed, cancellable, seal, unseal

try:
    import distributed
except ImportError as error:
    raise CpdError(f"cannot import {error.name}", place="--backend dask", hint=install("distributed")) from error

CONNECT = 6
"""Seconds to wait for the scheduler."""

ARRIVE = 30
"""Seconds to wait for the first worker of a scheduler that has none."""

ABANDONED = 60
"""Seconds to wait for a worker once all are gone: a nanny needs a few to start one anew."""

AHEAD = 2
"""Items sent for each thread of the cluster: one to do and one to have at hand, so that thousands wait here."""


class DaskPool:
    """A connection to a scheduler. Its security settings (TLS) are those of Dask's own configuration.

    Args:
        work: Does one payload.
        address: The scheduler's.
        probe: Must give the same here and on every worker.
    """

    def __init__(self, work: Work, address: str, probe: Probe | None) -> None:
        self._work = work
        self._address = address
        self._client = _connect(address)
        self._tickets: dict[Any, Ticket] = {}
        self._arrived = distributed.as_completed(loop=self._client.loop, with_results=True, raise_errors=False)
        self._names = map("cpd-{}-{}".format, itertools.repeat(uuid4().hex), itertools.count())
        self._threads: dict[str, int] = {}
        self._looked = self._staffed = 0.0
        try:
            self._await_workers()
            if probe is not None:
                compare(probe, self._client.run(probe, on_error="return"))
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """Threads of all workers when last looked."""
        return sum(self._threads.values())

    @property
    def threads(self) -> int:
        """Threads of the worker process that has the most."""
        return max(self._threads.values(), default=1)

    @property
    def room(self) -> int:
        """Room that is left in the bounded number of items that are with the scheduler."""
        return max(1, AHEAD * self.workers) - len(self._tickets)

    def send(self, tickets: list[Ticket]) -> None:
        """Submit tickets, in one message (half the time of one each), each under a name of its own."""
        self._insist()
        sealed = [seal(self._work, ticket.payload) for ticket in tickets]
        names = list(itertools.islice(self._names, len(tickets)))
        futures = self._client.map(_attempt, sealed, key=names, pure=False, retries=0)
        self._tickets.update(zip(futures, tickets, strict=True))
        self._arrived.update(futures)

    def receive(self, timeout: float) -> list[Arrival]:
        """Take what has arrived, and tell which workers have gone."""
        with self._arrived.thread_condition:
            if not self._arrived.has_ready():
                self._arrived.thread_condition.wait(timeout)
        answers = [(f, a) for f, a in self._arrived.next_batch(block=False) if not isinstance(a, CancelledError)]
        if not answers:
            self._insist()
            answers = self._swallowed()
        arrivals: list[Arrival] = [(self._tickets.pop(f), _outcome(a)) for f, a in answers if f in self._tickets]
        arrivals += self._gone()
        if not (arrivals or self._threads) and time.monotonic() - self._staffed > ABANDONED:
            raise Stalled(f"no worker is left at the Dask scheduler {self._address}")
        return arrivals

    def cancel(self) -> None:
        """Take back what has not begun; work that has begun can ask, see :func:`cpd.executors.worker.cancelled`."""
        self._arrived.clear()
        if self._tickets and self._client.status == "running":
            self._client.cancel(list(self._tickets), force=True)
        self._tickets.clear()

    def close(self) -> None:
        """Take back what is under way and disconnect; the cluster stays."""
        self.cancel()
        with suppress(TimeoutError):  # a scheduler that does not answer need not know
            self._client.close(timeout=2)

    def _swallowed(self) -> list[tuple[Any, Any]]:
        """Errors that ``as_completed`` never gives, or will give later, when nobody waits for them any more.

        A worker that dies between finishing an item and handing its result over takes the result along. Where the
        scheduler's next tries die too, the collection of the result raises in ``as_completed``, which loses the future.
        """
        erred = [future for future in self._tickets if future.status == "error"]
        return [(future, (None, future.exception(timeout=CONNECT), None)) for future in erred]

    def _insist(self) -> None:
        """Raise unless results may still come. Dask reconnects by itself, but its futures are gone by then."""
        if self._client.status != "running" or any(map(distributed.Future.cancelled, self._tickets)):
            raise ExecutorLost(f"lost the Dask scheduler at {self._address}")

    def _gone(self) -> list[Arrival]:
        """Workers that were there at the last look, a second ago or more, and are no more."""
        now = time.monotonic()
        if now - self._looked < TICK:
            return []
        self._looked = now
        before, self._threads = self._threads, self._look()
        if self._threads or before:
            self._staffed = now
        return [WorkerLost(worker, len(self._threads)) for worker in before if worker not in self._threads]

    def _look(self) -> dict[str, int]:
        """Threads of each worker; as before where the scheduler does not answer, which it must do before the stall."""
        scheduler = self._client.scheduler
        assert scheduler is not None
        try:
            return dict(self._client.sync(scheduler.ncores, callback_timeout=CONNECT))
        except OSError:
            return self._threads

    def _await_workers(self) -> None:
        try:
            self._client.wait_for_workers(1, timeout=ARRIVE)
        except TimeoutError as error:
            raise CpdError(
                f"the Dask scheduler at {self._address} has no workers",
                place="--scheduler",
                hint=f"start some: dask worker {self._address}",
            ) from error
        self._threads = self._look()
        self._looked = self._staffed = time.monotonic()


def _connect(address: str) -> distributed.Client:
    for name in ("distributed", "distributed.client", "distributed.core"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # what goes wrong is said here, in one line
    try:
        # Asked first without a client: one that fails to connect holds up the end of this process by 16 s.
        asyncio.run(asyncio.wait_for(_identify(address), CONNECT))
        return distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except Exception as error:  # unreachable, no such protocol, TLS not configured, or anything: who knows who answers
        reason = str(error).strip().partition("\n")[0] or f"no answer within {CONNECT} s"
        raise CpdError(
            f"cannot reach a Dask scheduler at '{address}': {reason}",
            place="--scheduler",
            hint="start one: dask scheduler",
        ) from error


async def _identify(address: str) -> None:
    security = distributed.Security().get_connection_args("client")
    async with distributed.rpc(address, timeout=CONNECT, connection_args=security) as scheduler:
        if (found := (await scheduler.identity())["type"]) != "Scheduler":
            raise ValueError(f"it is a {found}")


def _attempt(sealed: bytes) -> bytes:
    """Do sealed work in a thread of a Dask worker, which knows when its task was cancelled or its client has gone."""
    worker = distributed.get_worker()
    tasks, key = worker.state.tasks, worker.get_current_task()

    def cancelled() -> bool:
        task = tasks.get(key)
        return task is None or task.state == "cancelled"

    with cancellable(cancelled):
        return attempt_sealed(sealed)


def _outcome(answer: Any) -> Outcome:
    """Read a result, or what Dask gives for an error: its type, itself, its traceback."""
    if isinstance(answer, bytes):
        return unseal(answer)
    _, error, _ = answer
    if isinstance(error, distributed.KilledWorker):
        # The scheduler has tried it on several workers already ("allowed-failures").
        return Died(f"its Dask workers died, the last one at {error.last_worker.address}", repeatable=False)
    return Escaped(f"{type(error).__name__}: {error}")
