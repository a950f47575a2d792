"""``cpd watch`` tells what the store knows of a sweep, follows one to its end, and never disturbs who writes it."""

import os
import pty
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import Command

from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.run import commands
from cpd.spec.models import task_to_json
from cpd.store.records import SweepRecord
from cpd.store.store import Store, open_store

STARTED = "2026-01-31T14:25:30.123+00:00"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / ".cpd" / "runs.sqlite"


@pytest.fixture(scope="module")
def record() -> SweepRecord:
    task = commands.load("rate")
    return SweepRecord("sweep", "rate", task.text, task_to_json(task), "cpd sweep rate", started=STARTED)


def run(c: float, status: Status = Status.COMPLETED, rate: float = 0.75, error: str | None = None) -> Run:
    key = RunKey("penalized", {"coefficient": c}, {"class0_rate": 0.7}, 1, f"c1:{c:016.0f}")
    outcomes = {"class0_rate": ConstraintOutcome(rate, rate, None, [rate] * 4)}
    done = status is Status.COMPLETED
    return Run(key, status, 0.25 * c if done else None, outcomes if done else {}, steps=4, error=error)


def begin(store: Store, record: SweepRecord, planned: int) -> str:
    sweep = store.begin_sweep(record)
    store.link(sweep, [run(float(c)).key.id or "" for c in range(planned)])
    return sweep


@contextmanager
def watching(folder: Path, out: Any = subprocess.PIPE) -> Iterator[Any]:
    """``cpd watch`` as a process that goes on while the test writes; it does not outlive the test."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", "cpd", "watch", "--every", "0.1"],
        cwd=folder,
        env=kept | {"TERM": "xterm", "COLUMNS": "100"},
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # a shell's background job ignores it
    )
    with process:
        try:
            yield process
        finally:
            process.kill()


def test_once_prints_the_present_state_of_a_sweep_under_way(
    store: Store, record: SweepRecord, cpd_command: Command
) -> None:
    sweep = begin(store, record, 4)
    error = "Traceback (most recent call last):\n  ...\nRuntimeError: \x1b[31mno luck"
    store.add_runs(sweep, [run(2), run(1), run(3, Status.FAILED, error=error)])
    done = cpd_command("watch", "--once")
    assert (done.rc, done.stderr) == (0, "")
    assert done.stdout.splitlines() == [
        f"{sweep}: cpd sweep rate, started 2026-01-31 14:25:30 UTC",
        "3 of 4 runs done: 2 completed, 0 diverged, 1 failed",
        "penalized: 2 of 3 settings feasible, 1 useful, best coefficient 1 with cross_entropy 0.2500.",
        "1 of 3 runs failed.",
        "failed: penalized coefficient=3 seed 1: RuntimeError: \\x1b[31mno luck",
        "runs still",
    ]


def test_a_sweep_without_a_result_yet_is_told_in_three_lines(
    store: Store, record: SweepRecord, cpd_command: Command
) -> None:
    sweep = begin(store, replace(record, command_line=""), 2)
    assert cpd_command("watch", "--once", sweep[:12]).stdout.splitlines() == [
        f"{sweep}: sweep rate, started 2026-01-31 14:25:30 UTC",
        "0 of 2 runs done: 0 completed, 0 diverged, 0 failed",
        "runs still",
    ]


def test_runs_found_in_the_store_are_counted_as_such(store: Store, record: SweepRecord, cpd_command: Command) -> None:
    store.add_runs(begin(store, record, 0), [run(0), run(1)])
    begin(store, record, 3)
    line = cpd_command("watch", "--once").stdout.splitlines()[1]
    assert line == "2 of 3 runs done: 2 completed, 0 diverged, 0 failed; 2 were in the store"


def test_a_search_has_no_planned_number_before_its_end(store: Store, record: SweepRecord, cpd_command: Command) -> None:
    search = {"constraint": "class0_rate", "target": 0.7}
    sweep = store.begin_sweep(replace(record, command="bisect", spec={**record.spec, "search": search}))
    store.add_runs(sweep, [run(1), run(2)])
    line = cpd_command("watch", "--once").stdout.splitlines()[1]
    assert line == "2 runs done so far: 2 completed, 0 diverged, 0 failed"


def test_an_ended_sweep_is_shown_and_left(store: Store, record: SweepRecord, cpd_command: Command) -> None:
    sweep = begin(store, record, 1)
    store.add_runs(sweep, [run(0)])
    store.end_sweep(sweep, 0)
    ended = store.info(sweep).ended
    assert ended is not None
    done = cpd_command("watch")
    assert (done.rc, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == f"ended {ended[:10]} {ended[11:19]} UTC"
    assert cpd_command("watch", "--once").stdout == done.stdout


def test_a_sweep_that_was_stopped_is_shown_and_left(path: Path, record: SweepRecord, cpd_command: Command) -> None:
    with open_store(path, "write") as store:
        sweep = begin(store, record, 2)
        store.add_runs(sweep, [run(0)])
    done = cpd_command("watch")
    assert (done.rc, done.stderr) == (0, "")
    assert done.stdout.splitlines()[1] == "1 of 2 runs done: 1 completed, 0 diverged, 0 failed"
    assert done.stdout.splitlines()[-1] == "was stopped before its end"


def test_once_says_that_there_is_no_store_and_none_is_made(path: Path, cpd_command: Command) -> None:
    done = cpd_command("watch", "--once")
    hint = "run a sweep first, or name one with --store PATH or CPD_STORE"
    assert (done.rc, done.stdout) == (4, "")
    assert done.stderr == f"cpd: .cpd/runs.sqlite: there is no store of runs here; {hint}\n"
    assert not path.parent.exists()


def test_an_unknown_sweep_is_refused_at_once(store: Store, record: SweepRecord, cpd_command: Command) -> None:
    begin(store, record, 1)
    done = cpd_command("watch", "ratte")
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr == (
        "cpd: .cpd/runs.sqlite: no sweep 'ratte'; did you mean 'rate'? Valid: last, rate; an id or the start of one "
        "will do too\n"
    )


def test_it_waits_for_the_first_sweep_and_follows_it_to_its_end(
    tmp_path: Path, path: Path, record: SweepRecord
) -> None:
    with watching(tmp_path) as process:
        first = process.stderr.readline().decode()
        assert first == "no sweep in .cpd/runs.sqlite yet: waiting for one (Ctrl-C to leave)\n"
        with open_store(path, "write") as store:
            sweep = begin(store, record, 3)
            lines = Lines(process.stdout)
            lines.until("runs still")
            store.add_runs(sweep, [run(1, Status.FAILED, error="MemoryError")])
            lines.until("failed: penalized coefficient=1 seed 1: MemoryError")
            store.add_runs(sweep, [run(0), run(2)])
            lines.until("3 of 3 runs done: 2 completed, 0 diverged, 1 failed")
            store.end_sweep(sweep, 1)
            lines.rest()
        assert process.wait() == 0
        assert process.stderr.read() == b""
    assert lines.read[0] == f"{sweep}: cpd sweep rate, started 2026-01-31 14:25:30 UTC"
    assert len(lines.read) == len(set(lines.read)), "a line that has not changed is not printed again"
    assert lines.read[-1].startswith("ended 20")


def test_writers_go_on_undisturbed_and_one_file_is_left(tmp_path: Path, path: Path, record: SweepRecord) -> None:
    with open_store(path, "write") as store, watching(tmp_path) as process:
        sweep = begin(store, record, 50)
        lines = Lines(process.stdout)
        lines.until("0 of 50 runs done: 0 completed, 0 diverged, 0 failed")
        for c in range(50):
            assert store.add_runs(sweep, [run(float(c))]) == 1
        store.end_sweep(sweep, 0)
        lines.rest()
        assert process.wait() == 0
    assert "50 of 50 runs done: 50 completed, 0 diverged, 0 failed" in lines.read
    assert sorted(p.name for p in path.parent.iterdir()) == ["runs.sqlite"]


def test_ctrl_c_leaves(tmp_path: Path, store: Store, record: SweepRecord) -> None:
    begin(store, record, 1)
    with watching(tmp_path) as process:
        Lines(process.stdout).until("runs still")
        process.send_signal(signal.SIGINT)
        assert process.wait() == 130
        assert process.stderr.read() == b""


@pytest.mark.slow
def test_a_terminal_shows_one_picture_that_is_drawn_again(tmp_path: Path, store: Store, record: SweepRecord) -> None:
    sweep = begin(store, record, 20)
    main, side = pty.openpty()
    with os.fdopen(main, "rb", buffering=0), watching(tmp_path, out=side) as process:
        os.close(side)
        screen = Screen(main)
        screen.until("0 of 20 runs done")
        store.add_runs(sweep, [run(float(c), Status.FAILED, error="ValueError: no") for c in range(10)])
        screen.until("2 earlier failures")
        store.add_runs(sweep, [run(float(c)) for c in range(10, 20)])
        store.end_sweep(sweep, 1)
        screen.until("ended 20")
        assert process.wait() == 0
    last = screen.text[screen.text.rindex(f"{sweep}:") :]
    assert re.search(r"━ *\r\n20 of 20 runs done: 10 completed, 0 diverged, 10 failed\r\npenalized: 10 of 20", last)
    assert "coefficient=1.0 " not in last
    assert last.count("failed: penalized coefficient=") == 8


class Lines:
    """Lines of a stream as they come."""

    def __init__(self, stream: Any) -> None:
        self.stream = stream
        self.read: list[str] = []

    def until(self, wanted: str) -> None:
        while not self.read or self.read[-1] != wanted:
            line = self.stream.readline().decode()
            assert line, f"ended without {wanted!r}: {self.read}"
            self.read.append(line.rstrip("\n"))

    def rest(self) -> None:
        self.read += self.stream.read().decode().splitlines()


class Screen:
    """What was written to a terminal, without its control sequences."""

    def __init__(self, terminal: int) -> None:
        self.terminal = terminal
        self.text = ""

    def until(self, wanted: str) -> None:
        while wanted not in self.text:
            try:
                part = os.read(self.terminal, 4096)
            except OSError:  # the other end was closed
                part = b""
            assert part, f"ended without {wanted!r}: {self.text}"
            self.text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", part.decode(errors="replace"))
