"""Whether somebody works on a sweep: a file beside the store, locked by who does. The kernel frees it when they die."""

from __future__ import annotations

import fcntl
import glob
import os
from contextlib import suppress
from pathlib import Path


class Mark:
    """Says that this process works on a sweep, until it is closed."""

    def __init__(self, store: Path, sweep: str) -> None:
        _sweep_up(store)
        self._path = _path(store, sweep)
        new = self._path.with_suffix(".new")
        self._descriptor = os.open(new, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.rename(new, self._path)  # nobody sees it unlocked before

    def close(self) -> None:
        """The work is over, at its end or before it."""
        with suppress(OSError):
            self._path.unlink()
        os.close(self._descriptor)


def is_running(store: Path, sweep: str) -> bool:
    """Whether somebody works on a sweep."""
    return _held(_path(store, sweep))


def _held(path: Path) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _sweep_up(store: Path) -> None:
    """Remove the marks of processes that were killed."""
    for path in store.parent.glob(f"{glob.escape(store.name)}.*.running"):
        if not _held(path):
            with suppress(OSError):
                path.unlink()


def _path(store: Path, sweep: str) -> Path:
    return store.with_name(f"{store.name}.{sweep}.running")
