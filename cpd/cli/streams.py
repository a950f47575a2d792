"""The three streams: there whatever the shell closed, and stdout for data alone while a user's code runs."""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from typing import Any, TextIO

STREAMS = (("stdin", "r"), ("stdout", "w"), ("stderr", "w"))


def settle() -> None:
    """Make the streams and the terminal's size usable.

    What the shell closed leads nowhere from now on: left closed, its number would be given to the next file that is
    opened, and messages would be written into that.
    """
    for number, (name, mode) in enumerate(STREAMS):
        try:
            os.fstat(number)
        except OSError:
            # Gets the lowest number that is free, which is this one; processes that are started have it too.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            stream = open(number, mode, encoding="utf-8", errors="replace", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
    for name in ("COLUMNS", "LINES"):
        if (size := os.environ.get(name)) is not None and not (size.isdecimal() and int(size) > 0):
            del os.environ[name]  # a size of 0 is that of no terminal


def nobody_reads() -> int:
    """Leave well after the reader of a pipe has gone, ``| head -1``: it has what it wanted.

    What is still in the buffers leads nowhere, so that nothing is said of it as the process ends.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            with suppress(OSError, ValueError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    return 0


def closed(ended: BaseException) -> bool:
    """Whether it is that the reader of a pipe has gone, or that a library ends the process because of that."""
    cause = ended.__cause__ or ended.__context__
    return isinstance(ended, BrokenPipeError) or (cause is not None and closed(cause))


def hush() -> None:
    """Show no warnings of Python, here and in processes that are started."""
    os.environ.setdefault("PYTHONWARNINGS", "ignore")
    if os.environ["PYTHONWARNINGS"] == "ignore":
        warnings.simplefilter("ignore")
        warnings.showwarning = _nothing  # some libraries switch their own on again


def _nothing(*_: Any, **__: Any) -> None:
    """Show nothing."""


@contextmanager
def for_data() -> Iterator[TextIO]:
    """A stream for data, while all else that goes to stdout goes to stderr: a problem prints what it likes.

    Where stdout is the process's own, this holds for what is printed by way of it from anywhere, libraries in C and
    started processes included, and holds on: what they have in their buffers comes out later. ``sys.stdout`` is the
    stream for data afterwards.
    """
    if not _is_own(sys.stdout):
        data = sys.stdout
        with redirect_stdout(sys.stderr):
            yield data
        return
    data = _taken(sys.stdout)
    try:
        with redirect_stdout(sys.stderr):
            yield data
    finally:
        sys.stdout = data


def _is_own(stream: Any) -> bool:
    """Whether a stream is file number 1, and not what a test or a host has put in its place."""
    try:
        return bool(stream.fileno() == 1) and hasattr(stream, "reconfigure")
    except (OSError, ValueError, AttributeError):
        return False


def _taken(stdout: Any) -> TextIO:
    """Stdout under another number; its own leads to stderr."""
    stdout.flush()
    data = open(os.dup(1), "w", encoding=stdout.encoding, errors=stdout.errors)  # noqa: SIM115 (it stays open)
    data.reconfigure(line_buffering=stdout.line_buffering)
    os.dup2(2, 1)
    stdout.reconfigure(line_buffering=True)
    return data
