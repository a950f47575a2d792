"""See which files are read meanwhile, by whatever opens them: Python tells of each file that it opens.

What is opened without Python (by another process, or inside a library such as HDF5's) is not seen.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

_WRITES = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Stamp(NamedTuple):
    """What a file's status says of its content: where this is as it was, the content is taken to be too."""

    size: int
    modified: int
    changed: int
    node: int

    @classmethod
    def of(cls, path: str) -> Stamp | None:
        """A file's stamp; None where there is no file of bytes: nothing, a folder, a device, a pipe."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        regular = status.st_mode & 0o170000 == 0o100000
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino) if regular else None


class Watch:
    """The files that were opened, in this thread and in those that were started meanwhile.

    Attributes:
        read: Absolute paths that were opened to be read, with the file's stamp then; None where there was none.
    """

    def __init__(self) -> None:
        self.read: dict[str, Stamp | None] = {}
        self._written: set[str] = set()
        self._others = {thread.native_id for thread in threading.enumerate()} - {threading.get_native_id()}
        self._begun = time.time_ns()

    def inputs(self) -> dict[str, Stamp | None]:
        """What was read and not made meanwhile: a file that is younger than the watch is no input."""
        # An archive on Python's path is opened to look for modules; those in it are in the id by their texts.
        elsewhere = self._written | {os.path.abspath(place) for place in sys.path_importer_cache}
        return {
            path: stamp
            for path, stamp in self.read.items()
            if path not in elsewhere and not (stamp and min(stamp.modified, stamp.changed) >= self._begun)
        }

    def told(self, event: str, args: tuple[Any, ...]) -> None:
        """Take note of a file that is about to be opened."""
        if threading.get_native_id() in self._others:
            return
        path, writes = _opened(event, args)
        if path is None:
            return
        absolute = os.path.abspath(path)
        if writes:
            self._written.add(absolute)
        elif absolute not in self.read:
            self.read[absolute] = Stamp.of(absolute)


def _opened(event: str, args: tuple[Any, ...]) -> tuple[str | None, bool]:
    """The path that an event is about, None where it has none, and whether it is opened to be written."""
    first = args[0] if args else None
    if not isinstance(first, str | bytes | os.PathLike):
        return None, False
    path = os.fsdecode(first)
    if event == "sqlite3.connect":
        path = unquote(urlsplit(path).path) if path.startswith("file:") else path
        return (None if path in ("", ":memory:") else path), False
    flags = args[2] if len(args) > 2 and isinstance(args[2], int) else 0
    return path or None, bool(flags & _WRITES)


_watch: Watch | None = None
_hooked = False


def _hook(event: str, args: tuple[Any, ...]) -> None:
    if _watch is not None and event in ("open", "sqlite3.connect"):
        _watch.told(event, args)


@contextmanager
def watching() -> Iterator[Watch]:
    """Watch which files are opened; one watch within another sees them alone."""
    global _watch, _hooked
    if not _hooked:  # it stays for the life of the process: Python takes none back
        sys.addaudithook(_hook)
        _hooked = True
    outer, _watch = _watch, Watch()
    try:
        yield _watch
    finally:
        _watch = outer
