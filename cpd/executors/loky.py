"""Items on this machine's cores, in loky's worker processes.

One loky executor with a single worker for each job, not one pool: when a process is killed, loky breaks its whole pool
and with it every item under way. So a death costs one item, the guilty one is known at once, and each worker keeps its
device for life. ``joblib.Parallel`` cannot do that: it has one pool for the whole process and throws away results that
were finished but not yet taken when the pool breaks.
"""

from __future__ import annotations

import os
import re
import resource
import signal
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import resource_tracker

from loky import BrokenProcessPool, ProcessPoolExecutor, cpu_count

from cpd.executors.queue import Arrival, ExecutorLost, Ticket
from cpd.executors.worker import (
    OURS,
    SAFE_PATH,
    SIGNALS,
    Died,
    Escaped,
    Outcome,
    Work,
    attempt_sealed,
    begin,
    seal,
    unseal,
)

Setup = Callable[[int], None]

THREAD_LIMITS = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


FILES_PER_WORKER = 8
"""Pipes that the parent holds for each worker; a limit of 1024 open files would end at 120 workers."""


class LokyPool:
    """Worker processes on this machine; workers times threads never exceeds the cores.

    Args:
        work: Does one payload.
        jobs: Worker processes.
        devices: Dealt to the workers in turn.
        setup: Called in each worker with its number of threads.
    """

    threads = 1

    def __init__(self, work: Work, jobs: int, devices: tuple[str, ...], setup: Setup | None) -> None:
        threads = max(1, cpu_count() // jobs)
        _allow_files(FILES_PER_WORKER * jobs + 256)
        bound_to = [devices[k % len(devices)] if devices else None for k in range(jobs)]
        self._work = work
        self._slots = [_Slot(device, setup, threads) for device in bound_to]
        # loky renews a worker that has grown by 300 MB, which data sets read late do, and warns. Nothing is lost by it.
        warnings.filterwarnings("ignore", "A worker stopped while some jobs were given to the executor", UserWarning)

    @property
    def workers(self) -> int:
        """Worker processes."""
        return len(self._slots)

    @property
    def room(self) -> int:
        """Workers without a ticket."""
        return sum(slot.ticket is None for slot in self._slots)

    def send(self, tickets: list[Ticket]) -> None:
        """Give each ticket to a free worker."""
        free = [slot for slot in self._slots if slot.ticket is None]
        for slot, ticket in zip(free, tickets, strict=False):
            slot.start(ticket, seal(self._work, ticket.payload))

    def receive(self, timeout: float) -> list[Arrival]:
        """Take what workers have finished, and tell whose worker died."""
        busy = {slot.future: slot for slot in self._slots if slot.future is not None}
        finished, _ = wait(busy, timeout, return_when=FIRST_COMPLETED)
        return [busy[future].finish() for future in finished]

    def cancel(self) -> None:
        """Kill the workers that are busy; they are started anew when needed."""
        _kill([slot for slot in self._slots if slot.ticket is not None])

    def close(self) -> None:
        """Kill all workers and wait until they are gone."""
        _kill(self._slots)


@dataclass
class _Slot:
    """One worker process, replaced when it dies, and what it is doing."""

    device: str | None
    setup: Setup | None
    threads: int
    executor: ProcessPoolExecutor | None = None
    ticket: Ticket | None = None
    future: Future[bytes] | None = None

    def start(self, ticket: Ticket, sealed: bytes) -> None:
        self.ticket = ticket
        try:
            if self.executor is None:
                with _safe_path():
                    self.executor = self._executor()
            with _signals_blocked(), _safe_path():
                self.future = self.executor.submit(attempt_sealed, sealed)
        except BrokenProcessPool:  # killed while idle: nobody's fault
            self.kill()
            return self.start(ticket, sealed)
        except OSError as error:
            raise ExecutorLost(f"cannot start a worker process: {error}") from error

    def finish(self) -> Arrival:
        assert self.ticket is not None
        assert self.future is not None
        ticket, future = self.ticket, self.future
        self.ticket = self.future = None
        if isinstance(future.exception(), BrokenProcessPool):
            self.kill()
        return ticket, _outcome(future)

    def kill(self) -> None:
        executor, future = self.executor, self.future
        self.executor = self.ticket = self.future = None
        if executor is not None:
            _until_taken(future)
            executor.shutdown(wait=True, kill_workers=True)

    def _executor(self) -> ProcessPoolExecutor:
        return ProcessPoolExecutor(
            max_workers=1,
            initializer=begin,
            initargs=(os.getpid(), self.device, self.setup, self.threads),
            env=_environment(self.threads),
        )


def _until_taken(future: Future[bytes] | None) -> None:
    """Wait the instant until loky's thread has taken up what was submitted; told to stop before that, it raises."""
    patience = time.monotonic() + 1
    while future is not None and not (future.running() or future.done()) and time.monotonic() < patience:
        time.sleep(0.001)


def _outcome(future: Future[bytes]) -> Outcome:
    error = future.exception()
    if error is None:
        return unseal(future.result())
    if isinstance(error, BrokenProcessPool):
        return Died(_reason(str(error)))
    return Escaped("".join(traceback.format_exception(error)))


def _reason(message: str) -> str:
    """One line from loky's long one, which ends with e.g. ``{SIGKILL(-9)}`` or ``{EXIT(3)}``."""
    found = re.search(r"\{(\w+)\((-?\d+)\)", message)
    if found is None:
        return "its process ended: " + message.strip().splitlines()[0]
    name, code = found.groups()
    if name == "SIGKILL":
        return "its process was killed (SIGKILL: out of memory, or from outside)"
    return f"its process ended with exit code {code}" if name == "EXIT" else f"its process was killed by {name}"


def _environment(threads: int) -> dict[str, str]:
    """Thread limits, set before any library is loaded; a lower limit of the user's own stays."""
    limits = {name: os.environ.get(name, "") for name in THREAD_LIMITS}
    kept = {name: min(int(given), threads) if given.isdigit() else threads for name, given in limits.items()}
    # Waiting threads that spin make an oversubscribed machine fifty times slower.
    path = {SAFE_PATH: os.environ.get(SAFE_PATH) or OURS}
    return {name: str(value) for name, value in kept.items()} | {"OMP_WAIT_POLICY": "passive"} | path


def _allow_files(needed: int) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        wanted = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


@contextmanager
def _signals_blocked() -> Iterator[None]:
    """A process started meanwhile has them blocked until it ignores them: no Ctrl-C can hit it half-way."""
    with _safe_path():
        resource_tracker.ensure_running()  # started with the first worker, it would unblock them
    before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _safe_path() -> Iterator[None]:
    """Processes started meanwhile, loky's trackers too, take no module from the current folder: a ``random.py``."""
    before = os.environ.get(SAFE_PATH)
    os.environ[SAFE_PATH] = before or OURS
    try:
        yield
    finally:
        if before is None:
            del os.environ[SAFE_PATH]
        else:
            os.environ[SAFE_PATH] = before


def _kill(slots: list[_Slot]) -> None:
    """Kill workers all at once: each takes a while."""
    up = [slot for slot in slots if slot.executor is not None]
    if up:
        with ThreadPoolExecutor(len(up)) as threads:
            list(threads.map(_Slot.kill, up))
