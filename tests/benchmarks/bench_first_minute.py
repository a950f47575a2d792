"""The first command of the README, from its start to its end: ``python bench_first_minute.py [--repetitions 3]``.

Whole processes, interleaved: cpd with nothing compiled, compiled and captured; cpd again, with its program kept; and
the same runs as one JAX program, where JAX is installed. Medians, and ratios within each repetition. What is first seen
is timed on a terminal of 80 columns.

Exits 1 when something is seen after more than 2 s, when a first start takes 25 s of CPU or more, or a later one twice
as long as JAX's whole command.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import pty
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path

from measuring import Measured, Process, cpd, machine, run, script, table, verdicts

COMMAND = ("compare", "penalized", "lagrangian")

FIRST, CAPTURED, LATER, JAX = "first start, compiled", "first start, captured", "later start", "JAX, whole command"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    repetitions = parser.parse_args().repetitions
    wall, cpu, seen = Measured(), Measured(), Measured()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for repetition in range(repetitions):
            cache = str(folder / f"programs-{repetition}")
            ways: dict[str, Callable[[], Process]] = {
                FIRST: partial(_compared, folder, cache),
                CAPTURED: partial(_compared, folder, str(folder / "none"), "--engine", "captured"),
                LATER: partial(_compared, folder, cache),
            }
            if find_spec("jax") is not None:
                ways[JAX] = partial(run, *script("jax_figure2.py"), folder=folder)
            for way, measured in ways.items():
                done = measured()
                wall.add(way, done.seconds)
                cpu.add(way, done.cpu)
            seen.add("seen", seconds_to_the_first_line(folder, cache))
    print(f"{machine()}, medians of {repetitions}\n")
    rows = [(way, f"{wall.median(way):.1f} s", f"{cpu.median(way):.1f} s") for way in wall.values]
    print(table(("README's first command", "start to end", "user CPU"), rows), end="\n\n")
    wanted = {
        "something is seen after (s)": (seen.median("seen"), 2.0, False),
        "a first start (s of user CPU)": (cpu.median(FIRST), 25.0, False),
        "first start, compiled / captured (CPU)": (cpu.ratio(FIRST, CAPTURED), 2.0, False),
        "later start / first one captured (CPU)": (cpu.ratio(LATER, CAPTURED), 1.0, False),
    }
    if JAX in wall.values:
        wanted["later start / JAX's whole command"] = (wall.ratio(LATER, JAX), 2.0, False)
    else:
        print("JAX is not installed: nothing is compared with it\n")
    return verdicts(wanted)


def _compared(folder: Path, cache: str, *words: str) -> Process:
    return run(*cpd(*COMMAND, "--no-store", *words), folder=folder, codes=(0, 3), CPD_CACHE=cache)


def seconds_to_the_first_line(folder: Path, cache: str) -> float:
    """Seconds until a terminal shows something; what is under way is then stopped."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    environment = {**os.environ, "CPD_CACHE": cache, "TERM": "xterm"}
    started = time.perf_counter()
    process = subprocess.Popen(
        cpd(*COMMAND, "--no-store"), cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    )
    os.close(theirs)
    os.read(ours, 1)
    seconds = time.perf_counter() - started
    process.terminate()
    while process.poll() is None:
        try:
            os.read(ours, 65536)
        except OSError:  # the other end is closed
            process.wait()
    os.close(ours)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
