"""The files that a problem reads: which are seen, which count, and when they are as they were."""

import gzip
import io
import os
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from cpd.spec.inputs import ABSENT, Inputs, id_with, inputs, unchanged
from cpd.spec.models import ProblemSource
from cpd.spec.watching import watching

TEXT = "import cpd\n\n\nclass Mine(cpd.Problem): ...\n"


def source(folder: Path) -> ProblemSource:
    return ProblemSource(target="mine.py:Mine", path=str(folder / "mine.py"), source=TEXT, modules={"h.py": "A = 1\n"})


def read(folder: Path, *calls: Callable[[], object]) -> Inputs:
    with watching() as watch:
        for call in calls:
            call()
    return inputs(watch, source(folder))


def old(path: Path, content: bytes | str) -> Path:
    """A file from a while ago."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    os.utime(path, (1e9, 1e9))
    return path


READERS: dict[str, Callable[[Path], object]] = {
    "open": lambda path: open(path).close(),
    "bytes": lambda path: open(os.fsencode(path), "rb").close(),
    "to be changed": lambda path: open(path, "r+b").close(),
    "io.open": lambda path: io.open(path).close(),  # noqa: UP020
    "os.open": lambda path: os.close(os.open(path, os.O_RDONLY)),
    "pathlib": lambda path: path.read_bytes(),
    "numpy": lambda path: np.fromfile(path, np.uint8),
    "memory map": lambda path: np.memmap(path, np.uint8),
}


@pytest.mark.parametrize("how", list(READERS))
def test_whatever_opens_a_file_is_seen(how: str, tmp_path: Path) -> None:
    old(tmp_path / "data.txt", "1")
    assert list(read(tmp_path, lambda: READERS[how](tmp_path / "data.txt"))) == ["data.txt"]


def test_files_of_libraries_are_seen(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros(2))
    torch.save(torch.zeros(2), tmp_path / "b.pt")
    with gzip.open(tmp_path / "c.gz", "wb") as file:
        file.write(b"1")
    sqlite3.connect(tmp_path / "d.sqlite").close()
    (tmp_path / "d.sqlite").write_bytes(b"")
    found = read(
        tmp_path,
        lambda: np.load(tmp_path / "a.npy"),
        lambda: torch.load(tmp_path / "b.pt"),
        lambda: gzip.GzipFile(tmp_path / "c.gz").close(),
        lambda: sqlite3.connect(f"file:{tmp_path / 'd.sqlite'}?mode=ro", uri=True).close(),
    )
    assert list(found) == ["a.npy", "b.pt", "c.gz", "d.sqlite"]


def test_files_that_threads_of_the_problem_read_are_seen_and_those_of_others_are_not(tmp_path: Path) -> None:
    old(tmp_path / "own.txt", "1"), old(tmp_path / "other.txt", "1")
    begin, done = threading.Event(), threading.Event()

    def other() -> None:
        begin.wait()
        (tmp_path / "other.txt").read_text()
        done.set()

    before = threading.Thread(target=other)
    before.start()

    def own() -> None:
        begin.set()
        done.wait()
        thread = threading.Thread(target=(tmp_path / "own.txt").read_text)
        thread.start()
        thread.join()

    assert list(read(tmp_path, own)) == ["own.txt"]
    before.join()


def test_what_the_problem_makes_is_no_input(tmp_path: Path) -> None:
    def save() -> None:
        (tmp_path / "made.txt").write_text("1")
        (tmp_path / "made.txt").read_text()
        torch.save(torch.zeros(1), tmp_path / "made.pt")  # torch writes it without Python
        torch.load(tmp_path / "made.pt")
        (tmp_path / "part.txt").write_text("1")
        os.replace(tmp_path / "part.txt", tmp_path / "whole.txt")
        (tmp_path / "whole.txt").read_text()
        with (tmp_path / "log.txt").open("a") as file:
            file.write("1")

    old(tmp_path / "log.txt", "before")
    assert read(tmp_path, save) == {}


def test_what_is_installed_or_in_the_id_already_is_no_input(tmp_path: Path) -> None:
    old(tmp_path / "mine.py", TEXT), old(tmp_path / "h.py", "A = 1\n"), old(tmp_path / "blank.py", "\n")
    old(tmp_path / ".venv" / "lib" / "site-packages" / "x" / "data.csv", "1")
    names = ["mine.py", "h.py", "blank.py", ".venv/lib/site-packages/x/data.csv", "/proc/self/status", "/etc/hosts"]
    names += [np.__file__, os.__file__, os.devnull, str(Path("~/.cache/x").expanduser())]
    assert read(tmp_path, *[lambda name=name: _read_if_there(tmp_path / name) for name in names]) == {}
    edited = old(tmp_path / "h.py", "A = 2\n")
    assert list(read(tmp_path, edited.read_text)) == ["h.py"]


def _read_if_there(path: Path) -> None:
    if path.exists():
        path.read_bytes()


def test_paths_start_at_the_problem_and_far_ones_are_whole(tmp_path: Path) -> None:
    project = tmp_path / "a" / "project"
    files = [project / "in" / "x", project.parent / "beside", tmp_path / "far"]
    assert set(read(project, *[old(file, "1").read_text for file in files])) == {
        "in/x",
        "../beside",
        str(tmp_path / "far"),
    }


def test_files_are_as_they_were_or_not(tmp_path: Path) -> None:
    data = old(tmp_path / "data.txt", "1")
    found = read(tmp_path, data.read_text)
    assert unchanged(found, tmp_path)
    os.utime(data)
    assert unchanged(found, tmp_path)
    old(data, "2")  # the same size, the same time
    assert not unchanged(found, tmp_path)
    old(data, "1")
    assert unchanged(found, tmp_path)
    data.unlink()
    assert not unchanged(found, tmp_path)
    assert unchanged(found, tmp_path, elsewhere=True)
    data.mkdir()
    assert not unchanged(found, tmp_path, elsewhere=True)


def test_a_file_that_was_looked_for_in_vain_must_stay_away(tmp_path: Path) -> None:
    def look() -> None:
        with pytest.raises(FileNotFoundError):
            (tmp_path / "more.txt").open()

    found = read(tmp_path, look)
    assert found == {"more.txt": (ABSENT, ())}
    assert unchanged(found, tmp_path)
    old(tmp_path / "more.txt", "1")
    assert not unchanged(found, tmp_path)
    assert id_with("c1:0", found) == "c1:0"


def test_a_file_that_changes_while_it_is_read_is_never_as_it_was(tmp_path: Path) -> None:
    data = old(tmp_path / "data.txt", "1")
    with watching() as watch:
        data.read_text()
    old(data, "22")
    found = inputs(watch, source(tmp_path))
    assert list(found) == ["data.txt"]
    assert not unchanged(found, tmp_path)


def test_ids_tell_contents_apart_and_stay_where_nothing_is_read(tmp_path: Path) -> None:
    data = old(tmp_path / "data.txt", "1")
    first = id_with("c1:0", read(tmp_path, data.read_text))
    assert first == id_with("c1:0", read(tmp_path, data.read_text)) != "c1:0"
    old(data, "2")
    assert id_with("c1:0", read(tmp_path, data.read_text)) not in (first, "c1:0")
    assert id_with("c1:0", {}) == "c1:0"
