"""The guard: a small process between a worker and the programs that it runs, one after the other.

It starts a program in a session of its own, tells how it ended, and leaves nothing of it behind: not when the program
ends and leaves children, not when it takes too long, and not when the worker is killed, which it notices at once, for
the socket to it closes. On Linux what is orphaned becomes the guard's own child, so that processes that went into
sessions of their own are found too.

It is run as a file, ``python -I -S guard.py SOCKET``, and imports nothing but the standard library, so that it is up in
some milliseconds.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from contextlib import suppress
from types import FrameType
from typing import Any

LINUX = sys.platform == "linux"

CHILD_SUBREAPER = 36
"""An option of Linux's ``prctl``."""

LINGER = 0.25
"""Seconds that what a program leaves behind may take to end by itself."""

KILLING = 5.0
"""Seconds after which what cannot be killed is left to the system."""

PAUSE = 0.02


class Link:
    """The socket to the worker: one JSON object a line, with the lock of a run's folder beside it."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._buffer = b""
        self.gone = False

    def fileno(self) -> int:
        """For ``select``."""
        return self._socket.fileno()

    def receive(self) -> tuple[dict[str, Any] | None, list[int]]:
        """Wait for an order, and the open files that come with it; None where the worker is gone."""
        files: list[int] = []
        while b"\n" not in self._buffer:
            content, new, _, _ = socket.recv_fds(self._socket, 1 << 16, 4)
            files += new
            if not content:
                self.gone = True
                return None, files
            self._buffer += content
        line, _, self._buffer = self._buffer.partition(b"\n")
        found: dict[str, Any] = json.loads(line)
        return found, files

    def asked_to_stop(self) -> bool:
        """Whether the worker wants an end, or is gone."""
        with suppress(OSError):
            content = self._socket.recv(1 << 16)
            self.gone = not content
            return True
        self.gone = True
        return True

    def send(self, answer: dict[str, Any]) -> None:
        """Tell the worker, if it is still there."""
        with suppress(OSError):
            self._socket.sendall(json.dumps(answer).encode() + b"\n")


class Children:
    """All processes below this one."""

    def __init__(self) -> None:
        self.wakeup, writing = os.pipe()
        for end in (self.wakeup, writing):
            os.set_blocking(end, False)
        signal.signal(signal.SIGCHLD, lambda number, frame: None)
        signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
        self.status: dict[int, int] = {}
        self.group: int | None = None

    def reap(self) -> bool:
        """Take note of those that have ended; whether there are others."""
        with suppress(BlockingIOError):
            os.read(self.wakeup, 1 << 12)
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return False
            if not pid:
                return True
            self.status[pid] = status

    def signal(self, number: int) -> None:
        """Send a signal to all of them: to the program's group, and to those that have left it."""
        if self.group is not None:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.group, number)
        for pid in descendants():
            with suppress(ProcessLookupError, PermissionError):
                os.kill(pid, number)

    def left(self) -> bool:
        """Whether there are any; on systems without orphans of one's own, in the program's group."""
        if self.reap():
            return True
        if LINUX or self.group is None:
            return False
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.group, 0)
            return True
        return False

    def gone_within(self, seconds: float) -> bool:
        """Wait until none is left; whether that is so."""
        until = time.monotonic() + seconds
        while self.left():
            wait = until - time.monotonic()
            if wait <= 0:
                return False
            select.select([self.wakeup], [], [], min(wait, PAUSE))
        return True

    def end(self, grace: float) -> None:
        """Ask all to end, then kill those that do not; several times, for they may start others meanwhile."""
        if grace > 0:
            self.signal(signal.SIGTERM)
            if self.gone_within(grace):
                return
        until = time.monotonic() + KILLING
        while time.monotonic() < until:
            self.signal(signal.SIGSTOP)  # so that none starts another between being seen and being killed
            self.signal(signal.SIGKILL)
            if self.gone_within(PAUSE):
                return


def descendants() -> list[int]:
    """Every process below this one, as far as the system tells."""
    parents = _parents()
    below: set[int] = {os.getpid()}
    found: list[int] = []
    while new := [pid for pid, parent in parents.items() if parent in below and pid not in below]:
        below.update(new)
        found += new
    return found


def _parents() -> dict[int, int]:
    """The parent of every process."""
    if not LINUX:
        with suppress(OSError, subprocess.SubprocessError, ValueError):
            listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True)
            pairs = (line.split() for line in listed.stdout.splitlines())
            return {int(pid): int(parent) for pid, parent in pairs}
        return {}
    found = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            with suppress(OSError, ValueError, IndexError), open(f"/proc/{name}/stat", "rb") as file:
                found[int(name)] = int(file.read().rpartition(b")")[2].split()[1])
    return found


def attend(order: dict[str, Any], link: Link, children: Children) -> None:
    """Run a program to its end, and tell how it ended."""
    started = time.monotonic()
    program = _started(order, link)
    if program is None:
        return
    children.group = program.pid
    link.send({"pid": program.pid})
    why = _awaited(program.pid, order.get("timeout"), link, children)
    if why is None:
        _note_end(order["ended"], program, children.status[program.pid], time.monotonic() - started)
        if not children.gone_within(LINGER):
            children.end(LINGER)
    else:
        children.end(order["grace"])
    status = children.status.pop(program.pid, None)
    program.returncode = 0 if status is None else os.waitstatus_to_exitcode(status)  # no Popen waits for it any more
    children.status.clear()
    children.group = None
    link.send({"code": program.returncode, "why": why, "seconds": time.monotonic() - started})


def _started(order: dict[str, Any], link: Link) -> subprocess.Popen[bytes] | None:
    log = None
    try:
        log = os.open(order["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NONBLOCK, 0o666)
        os.set_blocking(log, True)
        return subprocess.Popen(
            order["words"],
            cwd=order["cwd"],
            env=order["env"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    except OSError as error:
        link.send({"error": error.strerror or str(error), "file": error.filename})
        return None
    except ValueError as error:  # a NUL in a word
        link.send({"error": str(error), "file": None})
        return None
    finally:
        if log is not None:
            os.close(log)


def _awaited(pid: int, timeout: float | None, link: Link, children: Children) -> str | None:
    """Wait for a program's end; why it is to be ended before, or None where it ended by itself."""
    until = None if timeout is None else time.monotonic() + timeout
    while True:
        children.reap()
        if pid in children.status:
            return None
        left = None if until is None else until - time.monotonic()
        if left is not None and left <= 0:
            return "timeout"
        ready, _, _ = select.select([link.fileno(), children.wakeup], [], [], left)
        if link.fileno() in ready and link.asked_to_stop():
            return "stop"


def _note_end(path: str, program: subprocess.Popen[bytes], status: int, seconds: float) -> None:
    """Write down that a program ended by itself: whoever asks may not be there any more."""
    with suppress(OSError):
        with open(f"{path}.new", "w") as file:
            json.dump({"code": os.waitstatus_to_exitcode(status), "seconds": seconds}, file)
        os.replace(f"{path}.new", path)


def main() -> None:
    """Serve a worker until it is gone."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _ignore)  # not SIG_IGN, which programs would inherit
    _adopt_orphans()
    link = Link(socket.socket(fileno=int(sys.argv[1])))
    children = Children()
    while not link.gone:
        order, files = link.receive()
        try:
            if order is not None:
                attend(order, link, children)
        finally:
            for file in files:
                os.close(file)


def _ignore(number: int, frame: FrameType | None) -> None:
    """The worker alone decides; a Ctrl-C does not come here in any case, for this is a session of its own."""


def _adopt_orphans() -> None:
    """Become the parent of what loses its own."""
    if LINUX:
        import ctypes

        ctypes.CDLL(None, use_errno=True).prctl(CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
