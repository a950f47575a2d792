"""A file that is no store, or no longer one, is told in one line and left as it is."""

import os
import shutil
import sqlite3
from functools import partial
from pathlib import Path

import pytest
from store_runs import ELSEWHERE, RECORD, fill, make_run, refusal, writer

from cpd.store import migrations as store_schema
from cpd.store.file import Mode
from cpd.store.store import open_store

MODES: tuple[Mode, ...] = ("read", "write")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store" / "runs.sqlite"


@pytest.mark.parametrize("content", [b"x", b"task: rate\n", b"not a database" * 100, b"SQLite format 3\0", bytes(5000)])
def test_a_file_that_is_not_sqlite_is_left_as_it_is(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(content)
    for mode in MODES:
        message = refusal(partial(open_store, path, mode))
        assert message.startswith(f"{path}: is not a store of runs; it was left as it is")
        assert message.endswith(ELSEWHERE)
    assert path.read_bytes() == content
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("journal", ["delete", "wal"])
def test_another_programs_database_is_left_as_it_is(tmp_path: Path, journal: str) -> None:
    path = tmp_path / "photos.db"
    connection = sqlite3.connect(path)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE photos (name)")
    connection.close()
    content = path.read_bytes()
    message = f"{path}: is another program's SQLite file; it was left as it is; {ELSEWHERE}"
    assert refusal(lambda: open_store(path, "write")) == message
    assert list(tmp_path.iterdir()) == [path]
    assert refusal(lambda: open_store(path, "read")) == message
    assert path.read_bytes() == content


@pytest.mark.parametrize("crashed", [False, True])
def test_a_newer_store_is_left_as_it_is(path: Path, monkeypatch: pytest.MonkeyPatch, crashed: bool) -> None:
    if crashed:
        process = writer(path, 0, 10_000, 1)
        assert process.stdout is not None
        while process.stdout.readline().strip() != "5":
            pass
        process.kill()
        process.communicate()
    fill(path, 1) if not crashed else None
    version = len(store_schema.MIGRATIONS)
    monkeypatch.setattr(store_schema, "MIGRATIONS", ())
    content = path.read_bytes()
    for mode in MODES:
        assert refusal(partial(open_store, path, mode)) == (
            f"{path}: was written by a newer cpd (format {version}, this one knows 0); it was left as it is; "
            f"upgrade cpd, or {ELSEWHERE}"
        )
    assert path.read_bytes() == content


def test_a_missing_store_is_not_created_by_a_reader(path: Path) -> None:
    fix = "run a sweep first, or name one with --store PATH or CPD_STORE"
    assert refusal(lambda: open_store(path, "read")) == f"{path}: there is no store of runs here; {fix}"
    assert not path.parent.exists()


def test_an_empty_file_becomes_a_store_only_when_written(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    assert "is not a store of runs" in refusal(lambda: open_store(path, "read"))
    assert path.read_bytes() == b""
    fill(path, 1)


def test_a_path_that_cannot_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    os.mkfifo(tmp_path / "pipe")
    assert refusal(lambda: open_store(tmp_path, "write")).startswith(f"{tmp_path}: is a folder")
    assert "a part of the path is a file" in refusal(lambda: open_store(tmp_path / "file" / "x" / "y", "write"))
    assert "is not a store of runs" in refusal(lambda: open_store(tmp_path / "pipe", "write"))


# Damaged or gone


def test_a_truncated_store_is_called_damaged(path: Path) -> None:
    sweep = fill(path, 200)
    os.truncate(path, path.stat().st_size // 2)

    def show() -> None:
        with open_store(path, "read") as store:
            store.load(sweep, curves=True)

    assert refusal(show).startswith(f"{path}: is damaged: not all of it can be read (SQLITE_CORRUPT")


@pytest.mark.parametrize("replacement", [None, b"", b"something else"])
def test_a_store_that_vanished_in_use_is_noticed(path: Path, replacement: bytes | None) -> None:
    with open_store(path, "write") as store:
        sweep = store.begin_sweep(RECORD)
        path.unlink()
        if replacement is not None:
            path.write_bytes(replacement)
        message = refusal(lambda: store.add_runs(sweep, [make_run(1)]))
    assert message == f"{path}: was removed or replaced while in use; run the same command again"
    assert (path.read_bytes() if path.exists() else None) == replacement


def test_a_folder_that_vanished_in_use_is_noticed(path: Path) -> None:
    with open_store(path, "write") as store:
        shutil.rmtree(path.parent)
        assert "no such file or folder" in refusal(lambda: store.begin_sweep(RECORD))
