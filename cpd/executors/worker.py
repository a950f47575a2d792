"""Do an item in a worker process, with whatever happens to it told in plain objects."""

from __future__ import annotations

import gc
import io
import multiprocessing
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

Work = Callable[[Any], Any]

POLL = 0.1
"""Seconds between two looks at whether the parent is still there."""

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""They reach the whole process group; the parent alone decides what they mean."""

SAFE_PATH, OURS = "PYTHONSAFEPATH", "cpd"
"""Keeps Python from looking for modules in the current folder, whatever the value; ours is not for what a problem
starts, which may be a script with modules beside it."""


@dataclass(frozen=True)
class Returned:
    """The work's result."""

    result: Any


@dataclass(frozen=True)
class Escaped:
    """An exception left the work: its traceback as text, for classes of exceptions do not all travel."""

    error: str


@dataclass(frozen=True)
class Died:
    """The work took its process, or its memory, with it.

    Attributes:
        repeatable: Whether the same may go well another time.
    """

    reason: str
    repeatable: bool = True


Outcome = Returned | Escaped | Died

_device: str | None = None
_thread = threading.local()
_setup_error: str | None = None


def device() -> str | None:
    """The device that this worker process is bound to for its life, None elsewhere."""
    return _device


def cancelled() -> bool:
    """Whether nobody waits any more for what this thread does: long work asks now and then, and ends."""
    asked: Callable[[], bool] | None = getattr(_thread, "cancelled", None)
    return asked is not None and asked()


@contextmanager
def cancellable(asked: Callable[[], bool]) -> Iterator[None]:
    """Let :func:`cancelled` ask this in this thread meanwhile, for executors that cannot end what has begun."""
    _thread.cancelled = asked
    try:
        yield
    finally:
        _thread.cancelled = None


def attempt(work: Work, payload: Any) -> Outcome:
    """Do the work; an interrupt or a signal's exception still passes through."""
    try:
        return Returned(work(payload))
    except MemoryError:
        died = Died("out of memory", repeatable=False)
    except Exception:
        return Escaped(traceback.format_exc())
    gc.collect()  # what the work held in circles would be missing when its halves are tried
    return died


def seal(work: Work, payload: Any) -> bytes:
    """Pack work for :func:`attempt_sealed`: bytes, so that no executor looks into the payload."""
    return pickle.dumps((work, payload), protocol=pickle.HIGHEST_PROTOCOL)


def unseal(outcome: bytes) -> Outcome:
    """Unpack what :func:`attempt_sealed` gave."""
    found: Outcome = pickle.loads(outcome)
    return found


def attempt_sealed(sealed: bytes) -> bytes:
    """Do sealed work in a worker process, where even ``SystemExit`` must not get out: it would end the worker."""
    if _setup_error is not None:
        return pickle.dumps(Escaped(_setup_error))
    try:
        work, payload = pickle.loads(sealed)
        return pickle.dumps(attempt(work, payload), protocol=pickle.HIGHEST_PROTOCOL)
    except MemoryError:
        return pickle.dumps(Died("out of memory", repeatable=False))
    except (Exception, SystemExit, KeyboardInterrupt):  # also a result that cannot be pickled
        return pickle.dumps(Escaped(traceback.format_exc()))


def begin(parent: int, bound_to: str | None, setup: Callable[[int], None] | None, threads: int) -> None:
    """Prepare a local worker process: signals ignored, parent watched, threads limited, device known.

    Args:
        parent: Process id of the parent; the worker ends when it is gone.
        bound_to: This worker's device.
        setup: The caller's own preparation; when it raises, every item of this worker raises that.
        threads: What ``setup`` is called with.
    """
    global _device, _setup_error
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)
    os.register_at_fork(after_in_child=_end_when_told)  # what the user's code forks: `Pool.terminate()` waits for it
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)  # the parent started this process with them blocked
    if os.environ.get(SAFE_PATH) == OURS:
        del os.environ[SAFE_PATH]
    os.dup2(2, 1)  # stdout is the parent's, for data: what a problem prints must not get in between
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # a worker is killed in the end, whatever is in its buffers
    threading.Thread(target=_end_without, args=(parent,), daemon=True).start()
    multiprocessing.set_start_method(None, force=True)  # loky's own, its default here, starts no DataLoader
    _device = bound_to
    try:
        if setup is not None:
            setup(threads)
    except Exception:
        _setup_error = traceback.format_exc()


def _end_when_told() -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _end_without(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(POLL)
    os._exit(1)
