"""What a program left in its folder: its result, its curves, the end of its log."""

from __future__ import annotations

import codecs
import errno
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from cpd.external.folder import Folder
from cpd.external.names import CURVES, RESULT

BLOCK = 1 << 20
"""Bytes of a log that are read at once, from its end."""

LONGEST = 1 << 24
"""Bytes of a line that may be a result: what is longer is none."""

LAST_LINES, LAST_BYTES, WIDEST = 20, 1 << 16, 400
"""How much of a log an error shows: lines, bytes that are looked at, characters of a line."""

Values = Mapping[str, Any]


class Unreadable(Exception):
    """A program came to its end, and what it left is no result."""


def read_result(folder: Folder) -> Values:
    """The result of a program: its ``result.json``, or else the last line of its output that is a JSON object.

    Raises:
        Unreadable: There is neither, or the file is no JSON object.
    """
    try:
        with opened(folder.path / RESULT) as file:
            content = file.read()
    except FileNotFoundError:
        return _printed(folder)
    except OSError as error:
        raise Unreadable(f"{RESULT} cannot be read: {error.strerror}") from None
    try:
        found = _json(content)
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"{RESULT} is no whole JSON: {str(error) or type(error).__name__}") from None
    if not isinstance(found, dict):
        raise Unreadable(f"{RESULT} is no JSON object")
    return found


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """Open what a program left for reading, if it is a file: a pipe or a device would be waited for without end.

    Raises:
        OSError: It is not there, is none, or cannot be read.
    """
    with open(path, "rb", opener=_unhindered) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no file", str(path))
        yield file


def _unhindered(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _json(content: bytes) -> Any:
    """JSON in the encoding that it is in, with a mark at its front or without; whole numbers of any size."""
    try:
        return json.loads(content)
    except json.JSONDecodeError:
        raise
    except ValueError:
        return json.loads(content, parse_int=_whole)


def _whole(digits: str) -> int | float:
    try:
        return int(digits)
    except ValueError:  # more digits than Python turns into a number
        return float(digits)


def _printed(folder: Folder) -> Values:
    for line in _lines_backwards(folder.log, folder.log_from):
        line = line.removeprefix(codecs.BOM_UTF8)
        if line.startswith(b"{") and line.endswith(b"}"):
            try:
                found = _json(line)
            except (ValueError, RecursionError):  # also text that is not UTF-8
                continue
            if isinstance(found, dict):
                return found
    raise Unreadable(f"it left no {RESULT} in its folder, and printed no line that is a JSON object")


def _lines_backwards(path: Path, start: int) -> Iterator[bytes]:
    """The lines of a file, the last one first, down to a place in it, without the space around them."""
    try:
        with opened(path) as file:
            yield from _backwards(file, start)
    except OSError:  # the program removed it, or put something else in its place
        return


def _backwards(file: BinaryIO, start: int) -> Iterator[bytes]:
    end = file.seek(0, 2)
    rest, too_long = b"", False
    while end > start:
        begin = max(start, end - BLOCK)
        file.seek(begin)
        block = file.read(end - begin).replace(b"\r", b"\n")
        end = begin
        rest, *lines = (block + rest).split(b"\n")
        if too_long and lines:
            lines.pop()  # its beginning
            too_long = False
        yield from (line.strip() for line in reversed(lines))
        if too_long or len(rest) > LONGEST:
            rest, too_long = b"", True
    if not too_long:
        yield rest.strip()


def last_lines(folder: Folder) -> str:
    """The end of what a program printed in its last attempt, for an error."""
    try:
        with opened(folder.log) as file:
            size = file.seek(0, 2)
            file.seek(max(folder.log_from, size - LAST_BYTES))
            text = file.read().decode(errors="replace")
    except OSError:
        return ""
    lines = [line.rstrip() for line in re.split(r"[\r\n]+", text) if line.strip()]
    return "\n".join(line if len(line) <= WIDEST else f"{line[: WIDEST - 3]}..." for line in lines[-LAST_LINES:])


class Recorded:
    """What a program has recorded so far, read on from where the last look ended.

    Steps ascend: what was recorded again after a kill counts, and values of the same step come together.

    Args:
        folder: The run's.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / CURVES
        self._begin_at(None)

    def points(self) -> list[Values]:
        """All whole lines of ``curves.jsonl`` up to now, by ascending step."""
        try:
            with opened(self._path) as file:
                self._go_on(file)
        except OSError:
            self._begin_at(None)
        return self._points

    def _go_on(self, file: BinaryIO) -> None:
        there = os.fstat(file.fileno())
        if there.st_ino != self._file or there.st_size < self._read:  # another one, or written anew
            self._begin_at(there.st_ino)
        file.seek(self._read)
        for line in file:
            point = _point(line)
            if point is None and not line.endswith(b"\n"):
                break  # it is being written, or was cut off when the program was killed
            self._read += len(line)
            if point is not None:
                self._add(point)

    def _begin_at(self, file: int | None) -> None:
        self._points: list[Values] = []
        self._steps: list[float] = []
        self._read, self._file = 0, file

    def _add(self, point: Values) -> None:
        found, steps = self._points, self._steps
        step = point.get("step", steps[-1] + 1 if steps else 0)
        if isinstance(step, bool) or not isinstance(step, int | float) or not 0 <= step < 2**53:
            return
        same: Values = {}
        while steps and steps[-1] >= step:
            last = found.pop()
            same = last if steps.pop() == step else {}
        found.append({**same, **point, "step": int(step)})
        steps.append(step)


def _point(line: bytes) -> Values | None:
    try:
        found = _json(line)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def read_curves(folder: Path) -> list[Values]:
    """The points of ``curves.jsonl`` in a folder; see :class:`Recorded`."""
    return Recorded(folder).points()
