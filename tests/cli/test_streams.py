"""What goes to which stream, and what happens where one is closed."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import Command
from problem_folders import write_problem

PRINTS = """
import ctypes, os, subprocess, sys, warnings
print("py: import")

def say(where):
    print("py:", where)
    sys.stdout.write("write: " + where + "\\n")
    os.write(1, ("fd: " + where + "\\n").encode())
    subprocess.run(["echo", "child: " + where])
    ctypes.CDLL(None).puts(("c: " + where).encode())
    warnings.warn("odd: " + where)
    return 1.5
"""

COMMANDS = {
    "sweep": ("sweep", "mine.yaml", "--no-store"),
    "quiet": ("sweep", "mine.yaml", "--no-store", "-q"),
    "workers": ("sweep", "mine.yaml", "--no-store", "--jobs", "2", "--fuse", "1"),
    "compare": ("compare", "penalized", "lagrangian", "--task", "mine.yaml", "--set", "lagrangian.dual_lr=0.1"),
    "bisect": ("bisect", "mine.yaml", "--no-store", "--target-g", "0.1"),
    "check": ("check", "mine.yaml"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", list(COMMANDS))
def test_what_a_problem_prints_goes_to_stderr(name: str, tmp_path: Path, cpd_command: Command) -> None:
    write_problem(tmp_path, "say('data')", PRINTS)
    done = cpd_command(*COMMANDS[name], "--format", "json")
    assert done.rc in (0, 3), done.stderr
    assert json.loads(done.stdout)
    # A worker is killed in the end, and what C has in its buffers with it.
    for how in ("py", "write", "fd", "child", *(["c"] if name != "workers" else [])):
        assert f"{how}: data" in done.stderr
    assert ("odd: data" in done.stderr) == (name != "quiet")


@pytest.mark.slow
def test_a_search_prints_its_iterations_to_stdout(tmp_path: Path, cpd_command: Command) -> None:
    write_problem(tmp_path, "say('data')", PRINTS)
    done = cpd_command("bisect", "mine.yaml", "--no-store", "--target-g", "0.1")
    assert "iteration" in done.stdout
    assert "data" not in done.stdout


def shell(folder: Path, line: str) -> tuple[int, str]:
    """A line of a shell: its exit code and what it printed, wherever to."""
    command = line.replace("cpd", f"{sys.executable} -P -m cpd", 1)
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.slow
def test_closed_streams_cost_what_would_be_in_them_and_no_more(tmp_path: Path) -> None:
    write_problem(tmp_path, "1.5")
    code, said = shell(tmp_path, "cpd sweep mine.yaml --format csv 2>&-")
    assert (code, said.partition(",")[0]) == (0, "id")
    for line in ("cpd sweep mine.yaml >&-", "cpd sweep mine.yaml --jobs 2 --fuse 1 --fresh <&- 2>&- >&-"):
        assert shell(tmp_path, line)[0] == 0, line
    code, said = shell(tmp_path, "cpd rm last <&-")
    assert code == 130
    assert "nothing was removed; --yes does not ask" in said
    assert "Traceback" not in said
    code, said = shell(tmp_path, "cpd runs --format csv")
    assert said.count("sweep") == 3
    code, said = shell(tmp_path, "COLUMNS=0 cpd show last 2>&1")
    assert "Traceback" not in said
    assert "penalized: 2 of 2 settings feasible" in said


@pytest.mark.parametrize("columns", ["0", "-1", "wide", "80"])
def test_a_width_that_is_none_is_left_out(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.cli.streams import settle

    monkeypatch.setenv("COLUMNS", columns)
    settle()
    assert os.environ.get("COLUMNS") == ("80" if columns == "80" else None)


def test_streams_that_are_none_are_there_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.cli.streams import settle

    for name in ("stdin", "stdout", "stderr"):
        monkeypatch.setattr(sys, name, None)
    settle()
    assert sys.stderr.write("") == 0
    assert not sys.stdout.closed


def test_a_folder_that_was_removed_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "gone").mkdir()
    line = f"cd gone && rmdir ../gone && {sys.executable} -P -m cpd sweep rate"
    done = subprocess.run(["sh", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "cpd: the current folder was removed; go to another one, e.g. cd ~\n"


def test_a_tilde_is_the_home_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cpd.store.store import open_store

    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("CPD_STORE", "~/there.sqlite")
    for named in ("~/here.sqlite", None):
        open_store(named, "write").close()
    assert {path.name for path in tmp_path.iterdir()} == {"here.sqlite", "there.sqlite"}
