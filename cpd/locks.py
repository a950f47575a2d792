"""A short lock between processes: one at a time, and the kernel frees it when its holder dies."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

PATIENCE = 30.0
"""Seconds to wait for another process: a write takes milliseconds, so a longer wait means that one hangs."""

_PAUSE = 0.005


@contextmanager
def locked(path: Path, patience: float = PATIENCE) -> Iterator[None]:
    """Hold the lock on a lock file, which is there only while somebody holds it.

    Not reentrant: a process that takes it twice waits for itself.

    Args:
        path: The lock file; nothing is written into it.
        patience: Seconds to wait.

    Raises:
        TimeoutError: Another process held the lock all that time.
        OSError: The lock file cannot be created here.
    """
    descriptor = _acquire(path, time.monotonic() + patience)
    try:
        yield
    finally:
        with suppress(OSError):  # a lock file that stays is as good
            os.unlink(path)
        os.close(descriptor)


def _acquire(path: Path, deadline: float) -> int:
    while True:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            _wait(descriptor, path, deadline)
            if _still_there(descriptor, path):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _wait(descriptor: int, path: Path, deadline: float) -> None:
    while True:
        try:
            return fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() > deadline:
                raise TimeoutError(f"another process holds {path}") from None
            time.sleep(_PAUSE)


def _still_there(descriptor: int, path: Path) -> bool:
    """False when the last holder removed the file while we waited: our lock would then exclude nobody."""
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except FileNotFoundError:
        return False
