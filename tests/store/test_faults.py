"""The store under faults: killed, shared, read-only, full."""

import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import store_runs
from file_systems import grow, read_only, small_disk
from store_runs import ELSEWHERE, RECORD, fill, identity, make_run, refusal, writer

from cpd.store import file as store_file
from cpd.store import store as store_module
from cpd.store.store import Store, _link, open_store

WRITER = Path(store_runs.__file__)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "runs.sqlite"


@pytest.fixture
def tmpfs(tmp_path: Path) -> Iterator[Path]:
    """A file system of 600 kB."""
    with small_disk(tmp_path / "tmpfs", "600k"):
        yield tmp_path / "tmpfs"


def check(path: Path) -> None:
    connection = sqlite3.connect(path)
    assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    (lonely,) = connection.execute(
        "SELECT count(*) FROM runs WHERE number NOT IN (SELECT run FROM recordings)"
    ).fetchone()
    assert lonely == 0
    connection.close()


def stored(store: Store, count: int) -> set[int]:
    return {int(run.removeprefix("c1:"), 16) for run in store.finished([identity(k) for k in range(count)])}


# Killed and shared


@pytest.mark.slow
def test_a_killed_writer_loses_nothing_acknowledged_and_leaves_nothing_half_written(path: Path) -> None:
    luck = random.Random(0)
    acknowledged: set[int] = set()
    for attempt in range(16):
        process = writer(path, 1000 * attempt, 1000, 2)
        assert process.stdout is not None
        if attempt % 4:  # at any moment of its life, the creation of the store included, or while it writes
            process.stdout.readline()
        time.sleep(luck.uniform(0, 0.05) if attempt % 4 else luck.uniform(0.05, 0.3))
        process.kill()
        lines = process.stdout.read().split()
        process.stdout.close()
        assert process.wait() == -signal.SIGKILL
        acknowledged |= {int(line) for line in lines if line != "ready"}
        with open_store(path, "write") as store:
            there = stored(store, 16_000)
        assert acknowledged <= there
        assert {number ^ 1 for number in there} == there, "half a batch is stored"
        check(path)
    assert acknowledged
    with open_store(path, "read") as store:
        for info in store.sweeps():
            for run in store.load(info.id, curves=True).runs:
                assert run.key.id is not None
                assert run == make_run(int(run.key.id.removeprefix("c1:"), 16))


def test_a_store_whose_creation_was_killed_is_usable(path: Path) -> None:
    luck = random.Random(0)
    for attempt in range(12):
        created = path.with_name(f"{attempt}.sqlite")
        process = writer(created, 0, 2, 2)
        time.sleep(luck.uniform(0.07, 0.15))
        process.kill()
        process.communicate()
        with open_store(created, "write") as store:
            assert stored(store, 2) in (set(), {0, 1})
            store.add_runs(store.begin_sweep(RECORD), [make_run(0), make_run(1)])
        with open_store(created, "read") as store:
            assert stored(store, 2) == {0, 1}
        check(created)


def test_two_sweeps_at_once_store_each_run_once(path: Path) -> None:
    both = [writer(path, 0, 300, 10), writer(path, 150, 300, 10)]
    for process in both:
        process.communicate()
        assert process.returncode == 0
    check(path)
    with open_store(path, "read") as store:
        assert stored(store, 1000) == set(range(450))
        assert [(info.runs, info.completed) for info in store.sweeps()] == [(300, 300), (300, 300)]
        assert all(info.ended for info in store.sweeps())
    assert list(path.parent.iterdir()) == [path]


def test_the_first_to_leave_does_not_disturb_the_others(path: Path) -> None:
    with open_store(path, "write") as first:
        sweep = first.begin_sweep(RECORD)
        with open_store(path, "write") as second:
            second.add_runs(sweep, [make_run(1)])
        first.add_runs(sweep, [make_run(2)])
        assert stored(first, 10) == {1, 2}
    assert list(path.parent.iterdir()) == [path]


def test_an_exception_in_a_write_leaves_nothing_of_it(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with open_store(path, "write") as store:
        sweep = store.begin_sweep(RECORD)
        link = _link

        def interrupted(*arguments: Any, **options: Any) -> None:
            link(*arguments, **options)
            raise KeyboardInterrupt

        monkeypatch.setattr(store_module, "_link", interrupted)
        with pytest.raises(KeyboardInterrupt):
            store.add_runs(sweep, [make_run(1)])
        monkeypatch.undo()
        assert stored(store, 10) == set()
        assert store.add_runs(sweep, [make_run(1)]) == 1


def test_signals_that_only_set_a_flag_disturb_no_write(path: Path) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGVTALRM, lambda number, _: seen.append(number))
    try:
        with open_store(path, "write") as store:
            sweep = store.begin_sweep(RECORD)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.001, 0.001)
            number = 0
            while number < 100 or not seen:  # the timer ticks while the process itself is busy, not its disk
                store.add_runs(sweep, [make_run(number)])
                number += 1
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    with open_store(path, "read") as store:
        assert stored(store, number + 1) == set(range(number))


def test_another_process_that_never_finishes_is_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_file, "_BUSY_SECONDS", 0.01)
    with open_store(path, "write") as store:
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        message = refusal(lambda: store.begin_sweep(RECORD))
        other.close()
    fix = "wait for it, or end it, and run the same command again"
    assert message == f"{path}: another process is writing it and does not finish (SQLITE_BUSY); {fix}"


# Read-only


def test_a_store_on_read_only_media_is_shown(path: Path) -> None:
    sweep = fill(path, 3)
    with read_only(path.parent):
        with open_store(path, "read") as store:
            assert len(store.load(store.resolve("last"), curves=True).runs) == 3
            assert store.resolve("rate") == sweep
        assert refusal(lambda: open_store(path, "write")).startswith(f"{path}: cannot be ")
        assert refusal(lambda: open_store(path.with_name("new"), "write")).endswith(ELSEWHERE)
        assert refusal(lambda: open_store(path.parent / "new" / "runs.sqlite", "write")).endswith(ELSEWHERE)


def test_a_store_that_was_not_closed_says_so_on_read_only_media(path: Path, tmp_path: Path) -> None:
    whole, bare = tmp_path / "sealed" / "whole.sqlite", tmp_path / "sealed" / "bare.sqlite"
    whole.parent.mkdir()
    with open_store(path, "write") as store:
        store.add_runs(store.begin_sweep(RECORD), [make_run(1)])
        shutil.copy(path, whole)
        shutil.copy(f"{path}-wal", f"{whole}-wal")
        shutil.copy(path, bare)
    with read_only(whole.parent):
        assert refusal(lambda: open_store(whole, "read")) == (
            f"{whole}: was not closed, and its folder is read-only; "
            "copy it together with whole.sqlite-wal to a folder that can be written, and read it there"
        )
        with open_store(bare, "read") as store:
            assert store.sweeps() == []  # an old state, but a whole one


# Full


def test_a_full_disk_loses_only_what_was_not_acknowledged(tmpfs: Path) -> None:
    path = tmpfs / "runs.sqlite"
    store = open_store(path, "write")
    sweep, done = store.begin_sweep(RECORD), 0

    def add_until_full() -> None:
        nonlocal done
        while True:
            store.add_runs(sweep, [make_run(done), make_run(done + 1)])
            done += 2

    assert refusal(add_until_full) == (
        f"{path}: the disk is full (SQLITE_FULL); "
        "what was stored before is safe; free space and run the same command again"
    )
    assert stored(store, 10_000) == set(range(done))
    store.close()
    grow(tmpfs, "4m")
    with open_store(path, "write") as store:
        store.add_runs(sweep, [make_run(done)])
        assert stored(store, 10_000) == set(range(done + 1))
    check(path)


def test_a_limit_on_the_files_size_is_a_full_disk(path: Path) -> None:
    program = (
        "import resource, sys; resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))\n"
        f"sys.path.insert(0, {str(WRITER.parent)!r}); import store_runs; from cpd.errors import StoreError\n"
        f"try: store_runs.main(store_runs.Path({str(path)!r}), 0, 600, 2)\n"
        "except StoreError as error: sys.exit(str(error))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{path}: cannot be read or written: the disk failed or is full (SQLITE_IOERR")
    acknowledged = [int(line) for line in done.stdout.split()[1:]]
    assert acknowledged
    with open_store(path, "read") as store:
        assert stored(store, 10_000) == {number + k for number in acknowledged for k in (0, 1)}
    check(path)
