"""Files that other processes see too: written whole or not at all, and locked while one process changes them.

A plain ``open(path, "w")`` first cuts the old file to nothing, and on a full disk the error of its implicit close is
lost. Here the bytes go to a temporary file in the same folder, are synced, and take the old file's place in one step.

A lock is ``flock`` on a file of its own, which the kernel frees when its holder dies and which is there only while
somebody holds it. The package filelock leaves that file behind (beside a store that should be one portable file), falls
back to a marker that outlives a killed process where ``flock`` is missing, and takes 0.08 s to import.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

_PREFIX, _SUFFIX = ".cpd-", ".tmp"

PATIENCE = 30.0
"""Seconds to wait for another process: a write takes milliseconds, so a longer wait means that one hangs."""

_PAUSE = 0.005


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write, which takes the place of ``path`` when the block ends well.

    When it does not, or the process dies, ``path`` is as it was. A pipe or device is written directly.

    Raises:
        OSError: The folder is missing or read-only, or the disk is full.
    """
    if path.exists() and not path.is_file():
        with path.open("wb") as direct:
            yield direct
        return
    path = Path(os.path.realpath(path))
    with _temporary(path) as (file, name):
        yield file
        file.flush()
        os.fsync(file.fileno())
        os.replace(name, path)
    sync_folder(path.parent)


def write(path: Path, content: bytes | str) -> None:
    """Write a whole file, text as UTF-8; see :func:`replacing`."""
    with replacing(path) as file:
        file.write(content.encode() if isinstance(content, str) else content)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: a rename survives a power cut only after this."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep_stale(folder: Path) -> int:
    """Remove the temporary files of processes that died while writing; those still being written stay.

    Returns:
        How many were removed.
    """
    try:
        paths = list(folder.glob(f"{_PREFIX}*{_SUFFIX}"))
    except FileNotFoundError:  # removed while it was read
        return 0
    return sum(map(_remove_if_stale, paths))


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


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[BinaryIO, str]]:
    """A new locked file beside ``path``; it is gone afterwards unless it was renamed."""
    file = _create(path)
    try:
        with file:
            if path.exists():
                shutil.copymode(path, file.name)
            yield file, file.name
    finally:
        with suppress(FileNotFoundError):
            os.unlink(file.name)


def _create(path: Path) -> BinaryIO:
    while True:
        name = path.parent / f"{_PREFIX}{path.name[:100]}-{secrets.token_hex(4)}{_SUFFIX}"
        file = name.open("xb")
        fcntl.flock(file, fcntl.LOCK_EX)
        if name.exists():
            return file
        file.close()  # swept in the instant before it was locked


def _remove_if_stale(path: Path) -> bool:
    """A dead process holds no lock."""
    try:
        with path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()
            return True
    except (BlockingIOError, FileNotFoundError, PermissionError):
        return False


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
