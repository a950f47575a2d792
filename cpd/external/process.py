"""A program as a process of its own, ended with all that it started: by time, on request, or when this process dies."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cpd.external import guard

GRACE = 1.0
"""Seconds that a program has from SIGTERM to SIGKILL."""

UNSTARTED = 127
"""The exit code of what could not be started, as shells have it."""

TICK = 0.1
"""Seconds between two looks at whether a program is to be ended."""


@dataclass(frozen=True)
class Order:
    """What to run.

    Attributes:
        words: The program and its arguments.
        cwd: The folder that it is started in.
        env: Its environment, the whole of it.
        log: The file that its output is appended to.
        ended: The file that says, as soon as it ended by itself, how.
        timeout: Seconds that it may take; None for as long as it likes.
        grace: Seconds from SIGTERM to SIGKILL.
    """

    words: Sequence[str]
    cwd: str
    env: Mapping[str, str]
    log: str
    ended: str
    timeout: float | None = None
    grace: float = GRACE


@dataclass(frozen=True)
class Ended:
    """How a program ended.

    Attributes:
        code: Its exit code; below 0 the number of the signal that ended it.
        why: ``timeout``, or what it was ended for by whoever watched it; None where it ended by itself.
        seconds: How long it took.
        error: Why it could not be started, or what happened to its guard.
    """

    code: int
    why: str | None
    seconds: float
    error: str | None = None


class Guard:
    """This thread's guard, see :mod:`cpd.external.guard`: it lives as long as this process, and one program at most."""

    def __init__(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            words = [sys.executable, "-I", "-S", guard.__file__, str(theirs.fileno())]
            self._process = subprocess.Popen(
                words,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        self._socket = ours
        self._buffer = b""
        self.owner = os.getpid()

    def run(self, order: Order, lock: int, watch: Callable[[], str | None]) -> Ended:
        """Run a program to its end.

        Args:
            order: What to run.
            lock: An open file, which stays open until nothing of the program is left, whatever happens to this process.
            watch: Asked now and then why it is to be ended; None to let it go on.
        """
        started = time.monotonic()
        pid: int | None = None
        why: str | None = None
        try:
            content = json.dumps({**vars(order), "words": list(order.words), "env": dict(order.env)}).encode() + b"\n"
            sent = socket.send_fds(self._socket, [content], [lock])
            self._socket.sendall(content[sent:])
            while (answer := self._answer(TICK)) is None or "pid" in answer:
                pid = pid if answer is None else answer["pid"]
                if why is None and (why := watch()) is not None:
                    self._socket.sendall(b"stop\n")
        except (OSError, EOFError):
            return self._lost(pid, time.monotonic() - started)
        if "error" in answer:
            return Ended(UNSTARTED, None, answer.get("seconds", 0.0), _unstarted(order, answer))
        return Ended(answer["code"], why if answer["why"] == "stop" else answer["why"], answer["seconds"])

    def close(self) -> None:
        """Let it go; it ends by itself."""
        self._socket.close()
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout=2 * GRACE)

    def _answer(self, patience: float) -> dict[str, Any] | None:
        """One answer, or None where there is none yet."""
        if b"\n" not in self._buffer:
            ready, _, _ = select.select([self._socket], [], [], patience)
            if not ready:
                return None
            content = self._socket.recv(1 << 16)
            if not content:
                raise EOFError
            self._buffer += content
            if b"\n" not in self._buffer:
                return None
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found

    def _lost(self, pid: int | None, seconds: float) -> Ended:
        """The guard is gone: what it was to end is ended here, as far as it can be found."""
        if pid is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        self._socket.close()
        self._process.wait()
        forget_guard()
        return Ended(-signal.SIGKILL, None, seconds, "the process that watched over it was killed")


_own = threading.local()


def guard_of_thread() -> Guard:
    """The guard of this thread, started when first needed."""
    found: Guard | None = getattr(_own, "guard", None)
    if found is None or found.owner != os.getpid():
        found = _own.guard = Guard()
    return found


def forget_guard() -> None:
    """Start another one when next needed."""
    _own.guard = None


def close_guard() -> None:
    """End the guard of this thread, if there is one."""
    found: Guard | None = getattr(_own, "guard", None)
    forget_guard()
    if found is not None and found.owner == os.getpid():
        found.close()


def run(order: Order, lock: int, watch: Callable[[], str | None] = lambda: None) -> Ended:
    """Run a program to its end; see :meth:`Guard.run`."""
    return guard_of_thread().run(order, lock, watch)


def _unstarted(order: Order, answer: Mapping[str, Any]) -> str:
    program = order.words[0]
    if answer.get("file") and not Path(order.cwd).is_dir():
        return f"cannot be started: there is no folder {order.cwd} here; name the files that it needs under files"
    path = Path(order.cwd, program)
    if answer.get("file") != program or not path.is_file():
        return f"cannot start '{program}': {answer['error']}"
    with path.open("rb") as file:
        first = file.readline(80).decode(errors="replace").strip()
    hint = f"its first line is {first!r}" if first.startswith("#!") else "it has no first line like #!/bin/bash"
    return f"cannot start '{program}': {answer['error']}; {hint}"
