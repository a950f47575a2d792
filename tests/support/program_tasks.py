"""Tasks whose training is a program: written into a folder, run in this process."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from cpd.errors import CpdError
from cpd.outcome import Run
from cpd.run import commands
from cpd.run.options import Options
from cpd.spec.overrides import Overrides

HEAD = """\
command: {command}
objective: loss
constraints: {{density: "<= 0.5"}}
methods: {{penalized: {{coefficient: {{values: [{values}]}}}}}}
"""


def write_task(folder: Path, program: str, values: str = "1", words: str = "{coefficient}", more: str = "") -> Path:
    """A task of a Python program, which is written beside it; it is given ``words``."""
    (folder / "program.py").write_text(program)
    command = json.dumps([sys.executable, "program.py", *words.split()])
    path = folder / "task.yaml"
    path.write_text(HEAD.format(command=command, values=values) + more)
    return path


def sweep(path: Path, *assign: str, **options: Any) -> list[Run]:
    """The runs of a sweep."""
    store = path.parent / ".cpd" / "runs.sqlite"
    return commands.sweep(str(path), Overrides(set=assign), Options(store=store, **options)).finished


def alive(mark: str) -> list[int]:
    """Processes whose command line holds a mark."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            try:
                words = (entry / "cmdline").read_bytes()
                state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
            if mark.encode() in words and state != "Z":
                found.append(int(entry.name))
    return found


def gone_within(seconds: float, mark: str) -> bool:
    """Whether no process with a mark is left after a while."""
    until = time.monotonic() + seconds
    while alive(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def start(folder: Path, *words: str) -> "subprocess.Popen[bytes]":
    """``cpd WORDS`` as a process of its own, in a folder; what it prints is in ``printed``."""
    with (folder / "printed").open("ab") as file:
        return subprocess.Popen([sys.executable, "-P", "-m", "cpd", *words], cwd=folder, stdout=file, stderr=file)


def wait_for(there: Callable[[], Any], seconds: float = 20.0) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < until, "it did not come about"
        time.sleep(0.01)


def refused(path: Path, *assign: str, methods: Sequence[str] = (), **options: Any) -> str:
    """The message that a task is refused with before anything runs."""
    try:
        commands.sweep(str(path), Overrides(set=assign, methods=tuple(methods)), Options(keep=False, **options))
    except CpdError as error:
        return str(error)
    raise AssertionError("it was not refused")
