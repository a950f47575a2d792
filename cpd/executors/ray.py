"""Items on a Ray cluster, through its own tasks and ``ray.wait``.

Not through joblib's ray backend: that one cannot stream, so one dead worker loses every result.
"""

from __future__ import annotations

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cpd.errors import CpdError, install
from cpd.executors.queue import TICK, Arrival, ExecutorLost, Ticket
from cpd.executors.versions import Probe, compare
from cpd.executors.worker import Died, Escaped, Outcome, Work, attempt_sealed, seal, unseal

try:
    import ray
    from ray import exceptions
except ImportError as error:
    raise CpdError(f"cannot import {error.name}", place="--backend ray", hint=install("ray")) from error

CONNECT = 8
"""Seconds to wait for the cluster's port."""

AHEAD = 2
"""Items sent for each core of the cluster: one to do and one to have at hand."""

DEATHS = (
    exceptions.WorkerCrashedError,
    exceptions.OutOfMemoryError,
    exceptions.NodeDiedError,
    exceptions.ObjectLostError,
)


class RayPool:
    """A connection to a Ray cluster.

    Args:
        work: Does one payload.
        address: ``auto``, ``host:port``, or ``local`` for a cluster of this machine alone.
        jobs: Cores of a ``local`` cluster.
        probe: Must give the same here and on a worker.
    """

    threads = 1

    def __init__(self, work: Work, address: str, jobs: int, probe: Probe | None) -> None:
        self._work = work
        self._address = address
        _connect(address, jobs)
        self._attempt = ray.remote(max_retries=0)(attempt_sealed)
        self._tickets: dict[Any, Ticket] = {}
        self._cores, self._looked = 1, float("-inf")
        try:
            self._look()
            if probe is not None:
                compare(probe, {"of the Ray cluster": _ask(probe)})
        except BaseException:
            self.close()
            raise

    @property
    def workers(self) -> int:
        """Cores of the cluster when last looked; one for each item."""
        return self._cores

    @property
    def room(self) -> int:
        """Room that is left in the bounded number of items that are with Ray."""
        return AHEAD * self.workers - len(self._tickets)

    def send(self, tickets: list[Ticket]) -> None:
        """Submit tickets; repeating is not left to Ray, which does not know how to halve."""
        for ticket in tickets:
            self._tickets[self._attempt.remote(seal(self._work, ticket.payload))] = ticket

    def receive(self, timeout: float) -> list[Arrival]:
        """Take what has arrived."""
        try:
            with _signals_pass():
                self._look()
                ready, _ = ray.wait(list(self._tickets), num_returns=1, timeout=timeout)
                if ready:  # and what else is there by now
                    ready, _ = ray.wait(list(self._tickets), num_returns=len(self._tickets), timeout=0)
                return [(self._tickets.pop(reference), _outcome(reference)) for reference in ready]
        except (exceptions.RaySystemError, ConnectionError) as error:
            raise ExecutorLost(f"lost the Ray cluster at {self._address}: {_line(error)}") from error

    def cancel(self) -> None:
        """End what is under way."""
        if ray.is_initialized():
            for reference in self._tickets:
                ray.cancel(reference, force=True)
        self._tickets.clear()

    def close(self) -> None:
        """End what is under way and disconnect; a ``local`` cluster ends too."""
        self.cancel()
        ray.shutdown()

    def _look(self) -> None:
        if time.monotonic() - self._looked >= TICK:
            self._cores = max(1, int(ray.cluster_resources().get("CPU", 0)))
            self._looked = time.monotonic()


def _connect(address: str, jobs: int) -> None:
    try:
        host, _, port = address.removeprefix("ray://").rpartition(":")
        if port.isdigit():  # Ray itself tries for minutes
            socket.create_connection((host.strip("[]"), int(port)), CONNECT).close()
        ray.init(
            address=address,
            num_cpus=jobs if address == "local" else None,
            include_dashboard=False if address == "local" else None,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
        )
    except (OSError, ValueError, RuntimeError, exceptions.RayError) as error:
        raise CpdError(
            f"cannot reach a Ray cluster at '{address}': {_line(error)}",
            place="--address",
            hint="start one: ray start --head",
        ) from error


@contextmanager
def _signals_pass() -> Iterator[None]:
    """Let out as it was what a signal's handler raises while Ray waits: Ray wraps it."""
    try:
        yield
    except SystemError as error:
        raise (error.__cause__ or error) from None


def _ask(probe: Probe) -> object:
    try:
        with _signals_pass():
            return ray.get(ray.remote(max_retries=0)(probe).remote(), timeout=60)
    except exceptions.RayError as error:
        return error


def _outcome(reference: Any) -> Outcome:
    try:
        return unseal(ray.get(reference))
    except exceptions.OutOfMemoryError:
        return Died("out of memory", repeatable=False)
    except DEATHS as error:
        return Died(f"its Ray worker died: {_line(error)}")
    except exceptions.RayError as error:  # what the work raises is told in its outcome; this is all else
        return Escaped(str(error))


def _line(error: Exception) -> str:
    """The first line of Ray's many."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
