"""``cpd`` as real processes that start at once: forked from a server that has imported torch.

A test that kills twenty sweeps would otherwise spend its minutes on imports. Each command is a process of its own with
its own streams, environment and limits, which signals reach as they would reach one that a shell has started.
"""

import multiprocessing
import os
import resource
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path
from typing import Any

from commands import Finished

IMPORTED = [
    *("torch", "torch._dynamo", "pandas"),
    *(
        "cpd.run.bisection",
        "cpd.run.searching",
        "cpd.engine.checking",
        "cpd.run.commands",
        "cpd.views.tables.render",
        "cpd.results.history",
        "cpd.cli.main",
    ),
]


@dataclass(frozen=True)
class Moment:
    """When a command gets a signal, to the instruction: no other process can be as exact.

    Attributes:
        event: One of Python's audit events, such as ``open``.
        part: What its first argument contains.
        number: Its how-manieth occurrence.
        delay: Seconds after it.
    """

    event: str
    part: str
    number: int = 1
    delay: float = 0.0
    signal: int = signal.SIGKILL


@dataclass(frozen=True)
class Running:
    """A command under way."""

    process: ForkServerProcess
    streams: tuple[Path, Path]

    @property
    def alive(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.is_alive()

    def send(self, number: int) -> None:
        """Send it a signal, as a terminal or another program does; it may have ended just now."""
        assert self.process.pid is not None
        with suppress(ProcessLookupError):
            os.kill(self.process.pid, number)

    def kill(self) -> Finished:
        """End it as a crash of the machine would."""
        self.process.kill()
        return self.finish()

    def finish(self) -> Finished:
        """Wait for its end."""
        self.process.join()
        code = self.process.exitcode
        assert code is not None
        out, err = (path.read_text(encoding="utf-8") for path in self.streams)
        return Finished(code, out, err)


class Forked:
    """Starts ``cpd ARGUMENTS`` in a folder, with nothing of the developer's settings but what finds caches."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(IMPORTED)
        self._count = 0

    def start(
        self,
        *arguments: str,
        at: Moment | None = None,
        largest_file: int | None = None,
        extra_memory: int | None = None,
        **environment: str,
    ) -> Running:
        """Start a command; it may write files of so many bytes, and use so many beyond those of its start."""
        self._count += 1
        streams = tuple(self.folder / f".{self._count}.{name}" for name in ("out", "err"))
        for path in streams:
            path.touch()
        process = self._context.Process(
            target=_command, args=(arguments, self.folder, streams, (at, largest_file, extra_memory), environment)
        )
        process.start()
        return Running(process, (streams[0], streams[1]))

    def __call__(self, *arguments: str, **options: Any) -> Finished:
        return self.start(*arguments, **options).finish()


def until(condition: Callable[[], object], running: Running | None = None) -> None:
    """Wait for something that will happen, or for the command's end; the suite's timeout ends a wait in vain."""
    while not condition() and (running is None or running.alive):
        time.sleep(0.001)


def _command(
    arguments: tuple[str, ...],
    folder: Path,
    streams: tuple[Path, ...],
    fate: tuple[Moment | None, int | None, int | None],
    environment: Mapping[str, str],
) -> None:
    """In the process: what a shell does before it starts a program, and then the program."""
    os.chdir(folder)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR", "CPD_CACHE") if name in os.environ}
    os.environ.clear()
    os.environ.update({**kept, "NO_COLOR": "1", "COLUMNS": "120", "OMP_NUM_THREADS": "1", **environment})
    for number, (path, flags) in enumerate(
        [(Path(os.devnull), os.O_RDONLY), *((p, os.O_WRONLY | os.O_CREAT | os.O_TRUNC) for p in streams)]
    ):
        os.dup2(os.open(path, flags), number)
    moment, largest_file, extra_memory = fate
    if largest_file is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))
    if extra_memory is not None:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
        most = pages * resource.getpagesize() + extra_memory
        resource.setrlimit(resource.RLIMIT_AS, (most, most))
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if moment is not None:
        _await(moment)
    sys.argv = ["cpd", *arguments]

    from cpd.cli.main import main

    main()


def _await(moment: Moment) -> None:
    left = moment.number

    def send() -> None:
        os.kill(os.getpid(), moment.signal)

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        nonlocal left
        if event == moment.event and moment.part in str(arguments[0]):
            left -= 1
            if left == 0:
                threading.Timer(moment.delay, send).start() if moment.delay else send()

    sys.addaudithook(watch)
