"""Start an executor: this process, loky's worker processes, a Dask or a Ray cluster.

Items in, events out, whatever the executor; faults are handled once, in :mod:`cpd.executors.queue`. Nothing in here
knows what an item holds.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from cpd.errors import CpdError, closest
from cpd.executors.queue import Event, Halve, Item, Pool, Queue, drain
from cpd.executors.worker import Work

BACKENDS = ("local", "loky", "dask", "ray")


@dataclass(frozen=True)
class Where:
    """The compute to use.

    Attributes:
        backend: ``local`` (this process for one job, loky workers for more), ``loky``, ``dask`` or ``ray``.
        jobs: Local worker processes; a cluster has as many as it has.
        address: The Dask scheduler, e.g. ``tcp://host:8786``, or the Ray cluster: ``auto``, ``host:6379``, or ``local``
            for one that lives and dies with this process.
        devices: Devices that local workers are bound to for life, in turn, e.g. ``("cuda:0", "cuda:1")``; a worker
            learns its own from :func:`cpd.executors.worker.device`.
    """

    backend: str = "local"
    jobs: int = 1
    address: str | None = None
    devices: tuple[str, ...] = ()

    @property
    def is_this_process(self) -> bool:
        """Whether this process does the work itself, one item after the other."""
        return self.backend == "local" and self.jobs == 1 and not self.devices


class Executor:
    """Workers that are up, until closed: use it in a ``with`` statement."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @property
    def workers(self) -> int:
        """How many items can be worked on at once, as far as is known now."""
        return self._pool.workers

    @property
    def threads(self) -> int:
        """How many items one process works on at once, at most: on threads, which share all that a process has."""
        return self._pool.threads

    def results(
        self, items: Iterable[Item], halve: Halve | None = None, *, retries: int = 1, stall_timeout: float = 600.0
    ) -> Generator[Event]:
        """Do all items, longest first, and tell what comes of each as soon as it is known.

        A worker's death costs its item only: it is tried again, then halved, and what cannot be halved is tried last
        with nothing else under way; only a death seen then makes it lost. May be called again when exhausted; closing
        the iterator early ends what is under way.

        Args:
            items: What to do.
            halve: Cut a payload in two, or None where it cannot be cut.
            retries: How often an item whose worker died is tried again as it is.
            stall_timeout: Seconds without anything finishing after which to give up.

        Yields:
            ``Done``, ``Raised`` or ``Lost`` once for each payload (or for its parts), and in between the notices
            ``Retrying`` and ``WorkerLost``.

        Raises:
            Stalled: Nothing finished for ``stall_timeout`` seconds, or no worker is left; what arrived was yielded.
            ExecutorLost: The cluster went away; what arrived was yielded.
        """
        return drain(self._pool, Queue(items, halve or _whole, retries), stall_timeout)

    def close(self) -> None:
        """End all that is under way; local workers are killed."""
        self._pool.close()

    def __enter__(self) -> Executor:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def start(
    where: Where,
    work: Work,
    *,
    setup: Callable[[int], None] | None = None,
    probe: Callable[[], dict[str, str]] | None = None,
) -> Executor:
    """Start local workers, or connect to a cluster.

    Args:
        where: The compute.
        work: Does one payload; a function that workers can import, of picklable objects. It raises ``MemoryError`` when
            any memory is short, also a device's; what else it raises is an error of that payload alone.
        setup: Called once in each local worker process, with the threads that it may use.
        probe: Versions by name; must give the same here and on every worker of a cluster.

    Raises:
        CpdError: The backend is unknown or not installed, the cluster cannot be reached, has no workers, or other
            versions.
    """
    _check(where)
    if where.backend == "dask":
        from cpd.executors import dask

        return Executor(dask.DaskPool(work, str(where.address), probe))
    if where.backend == "ray":
        from cpd.executors import ray

        return Executor(ray.RayPool(work, where.address or "auto", where.jobs, probe))
    if where.is_this_process:
        from cpd.executors.in_process import InProcess

        return Executor(InProcess(work))
    from cpd.executors import loky

    return Executor(loky.LokyPool(work, where.jobs, where.devices, setup))


def _check(where: Where) -> None:
    if where.backend not in BACKENDS:
        raise CpdError(f"no backend '{where.backend}'", place="--backend", hint=closest(where.backend, BACKENDS))
    if where.jobs < 1:
        raise CpdError(f"{where.jobs} workers", place="--jobs", hint="at least 1")
    if where.backend in ("dask", "ray") and where.devices:
        raise CpdError(
            f"binds local workers to devices; the {where.backend} backend does not",
            place="--devices",
            hint="give each worker of the cluster its own device when you start it",
        )
    if where.backend == "dask" and not where.address:
        raise CpdError("which scheduler?", place="--backend dask", hint="--scheduler tcp://HOST:8786")


def _whole(payload: Any) -> None:
    """Never cut."""
