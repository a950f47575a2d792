"""What the benchmarks share: commands timed as whole processes, interleaved, and medians in a table."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command does; read when torch is loaded


@dataclass(frozen=True)
class Process:
    """One finished process: seconds by the clock and of its own on a core, peak memory in MiB, and what it printed."""

    seconds: float
    cpu: float
    memory: float
    out: str

    @property
    def json(self) -> Any:
        """The JSON on its last line."""
        return json.loads(self.out.strip().splitlines()[-1])

    @property
    def json_document(self) -> Any:
        """All that it printed, as JSON."""
        return json.loads(self.out)


def run(
    *command: str, folder: Path, codes: Sequence[int] = (0,), one_core: bool = False, **environment: str
) -> Process:
    """Run a command to its end in a folder, without a terminal; any other exit code is an error.

    With ``one_core`` the command has the first core alone: what is compared has the same, whatever it does with more.
    """
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)} if one_core else before)
    try:
        return _run(command, folder, codes, environment)
    finally:
        os.sched_setaffinity(0, before)


def _run(command: Sequence[str], folder: Path, codes: Sequence[int], environment: Mapping[str, str]) -> Process:
    out = folder / "stdout.txt"
    started = time.perf_counter()
    with out.open("w") as stdout, (folder / "stderr.txt").open("w") as stderr:
        process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            env={**os.environ, **environment},
        )
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - started
    code = os.waitstatus_to_exitcode(status)
    if code not in codes:
        raise SystemExit(f"{' '.join(command)} ended with {code}:\n{(folder / 'stderr.txt').read_text()}")
    return Process(seconds, usage.ru_utime, usage.ru_maxrss / 1024, out.read_text())


def cpd(*arguments: str) -> tuple[str, ...]:
    """The cpd command of this environment."""
    return (sys.executable, "-P", "-m", "cpd", *arguments)


def script(name: str, *arguments: str) -> tuple[str, ...]:
    """A script of this folder."""
    return (sys.executable, str(HERE / name), *arguments)


@dataclass
class Measured:
    """Numbers of several ways over several repetitions."""

    values: dict[str, list[float]] = field(default_factory=dict)

    def add(self, way: str, value: float) -> None:
        """Keep one more."""
        self.values.setdefault(way, []).append(value)

    def median(self, way: str) -> float:
        """Of all repetitions."""
        return statistics.median(self.values[way])

    def ratio(self, slow: str, fast: str) -> float:
        """Median of the ratios within each repetition: a machine whose speed drifts does not bend it."""
        return statistics.median(s / f for s, f in zip(self.values[slow], self.values[fast], strict=True))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lines of a Markdown table, aligned."""
    widths = [max(len(row[k]) for row in (head, *rows)) for k in range(len(head))]
    lines = [[cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in (head, *rows)]
    lines.insert(1, ["-" * width for width in widths])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def verdicts(wanted: Mapping[str, tuple[float, float, bool]]) -> int:
    """Print what was asked for beside what was measured.

    Args:
        wanted: By name: what was measured, the bound, and whether more is better.

    Returns:
        How many fall short.
    """
    rows, short = [], 0
    for name, (value, bound, more) in wanted.items():
        met = value >= bound if more else value <= bound
        short += not met
        rows.append((name, f"{value:.3g}", f"{'at least' if more else 'at most'} {bound:g}", "yes" if met else "NO"))
    print(table(("what", "measured", "asked for", "met"), rows))
    return short


def skipped(device: str) -> bool:
    """Whether a benchmark on a GPU skips itself, which it says, for there is none."""
    import torch

    if device == "cpu" or torch.cuda.is_available():
        return False
    print(f"skipped: no device '{device}' here")
    return True


def machine() -> str:
    """The hardware, in words that say no more than what matters."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores}-core {os.uname().machine.replace('x86_64', 'x86')} CPU"
