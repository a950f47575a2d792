"""The options that shape tables, as they are typed."""

import os
import pty
import subprocess
import sys
import threading
from pathlib import Path

import pytest
import wide_sweeps
from command_line import InProcess


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


@pytest.fixture
def stored(cpd: InProcess) -> InProcess:
    wide_sweeps.store(cpd.folder / ".cpd" / "runs.sqlite", 50, ("penalized", "lagrangian"))
    return cpd


def cells(printed: str, after: str) -> list[list[str]]:
    """The cells of the rows of a method in the first table."""
    rows = printed.partition(f"\n{after}\n")[2].splitlines()
    return [row.split() for row in rows[: next(k for k, row in enumerate(rows) if "  " not in row)]]


def test_rows_and_columns_of_a_stored_sweep(stored: InProcess) -> None:
    done = stored(
        "show", "--sort", "-accuracy,dual_lr", "--top", "2", "--columns", "accuracy,cost", "--only", "feasible"
    )
    assert done.rc == 0
    assert done.stderr == ""
    rows = cells(done.stdout, "lagrangian")
    # 0.5 + 0.4 sin(k)^2 is largest at k = 33, then at k = 36
    assert [row[1:3] for row in rows] == [["0.0001389", "89.99"], ["0.0001431", "89.35"]]
    assert "feasible only, 44 of 100 rows; 4 of them, at most 2 of each method, by -accuracy,dual_lr" in done.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--sort", "acuracy"), "cpd: --sort: no column 'acuracy'; did you mean 'accuracy'? Valid: setting, feasible,"),
        (("--columns", "acuracy"), "cpd: --columns: no column 'acuracy'; did you mean 'accuracy'? Valid: setting,"),
        (("--top", "0"), "cpd: --top: expected an integer >= 1, or all, got '0'"),
        (("--top", "1.5"), "cpd: --top: expected an integer >= 1, or all, got '1.5'"),
        (("--only", "good"), "cpd: --only: 'good' is not a valid choice; valid: feasible, useful, failed"),
        (("--sort", "-"), "cpd: --sort: '-' names no column; write COLUMN, or -COLUMN for falling"),
        (("--columns", " , "), "cpd: --columns: ' , ' names no column; write names with commas between them"),
        (("--top", "2", "--format", "csv"), "cpd: --top: shapes tables for reading, and csv has every row and column;"),
        (("--only", "failed", "-f", "json"), "cpd: --only: shapes tables for reading, and json has every row and"),
    ],
)
def test_what_cannot_be_shown_is_one_line(stored: InProcess, words: tuple[str, ...], said: str) -> None:
    done = stored("show", *words)
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr.startswith(said)
    assert done.stderr.count("\n") == 1


def test_no_training_is_lost_over_a_column(cpd: InProcess) -> None:
    done = cpd("sweep", "mine.yaml", "-q", "--sort", "largset")
    assert done.rc == 2
    assert "penalized: " in done.stdout
    assert "cpd: not shaped: --sort: no column 'largset'; did you mean 'largest'?" in done.stderr
    refused = cpd("sweep", "mine.yaml", "--top", "none")
    assert (refused.rc, refused.stdout) == (2, "")
    again = cpd("compare", "penalized", "lagrangian", "--task", "mine.yaml", "-q", "--top", "1", "--sort", "-largest")
    assert again.rc == 0, again.stderr
    assert "2 of 4 rows, at most 1 of each method, by -largest" in again.stdout


def test_a_search_that_is_shaped_is_printed_at_its_end(cpd: InProcess) -> None:
    words = ("bisect", "mine.yaml", "--target", "0.2", "--max-trainings", "4", "-q")
    plain, shaped = cpd(*words), cpd(*words, "--sort", "-coefficient", "--columns", "error,g")
    assert plain.rc == shaped.rc == 0
    header, _, *rows = shaped.stdout.splitlines()[3:9]
    assert header.split() == ["iteration", "coefficient", "error", "g"]
    coefficients = [float(row.split()[1]) for row in rows if row and row.split()[0].isdigit()]
    assert coefficients == sorted(coefficients, reverse=True)
    assert len(coefficients) > 1
    assert shaped.stdout.splitlines()[-1] == plain.stdout.splitlines()[-1]
    refused = cpd(*words, "--only", "useful")
    assert refused.stderr == "cpd: --only: a search calls no training useful; valid: feasible, failed\n"
    assert (refused.rc, refused.stdout) == (2, "")


@pytest.mark.slow
@pytest.mark.parametrize(("words", "paged"), [((), True), (("--no-pager",), False), (("--top", "all"), True)])
def test_in_a_terminal(tmp_path: Path, words: tuple[str, ...], paged: bool) -> None:
    wide_sweeps.store(tmp_path / ".cpd" / "runs.sqlite", 1000)
    main, side = pty.openpty()
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
    environment = kept | {"TERM": "xterm", "LINES": "24", "COLUMNS": "80", "PAGER": "sed s/^/paged:/"}
    read: list[bytes] = []

    def follow() -> None:
        try:
            while part := os.read(main, 4096):
                read.append(part)
        except OSError:  # the other end is closed
            pass

    reader = threading.Thread(target=follow)
    reader.start()
    command = [sys.executable, "-P", "-m", "cpd", "show", *words]
    done = subprocess.run(command, cwd=tmp_path, env=environment, stdout=side, stderr=subprocess.PIPE, check=False)
    os.close(side)
    reader.join()
    os.close(main)
    lines = b"".join(read).decode().splitlines()
    assert (done.returncode, done.stderr) == (0, b"")
    assert all(line.startswith("paged:") == paged for line in lines)
    assert len(lines) < 40 if "all" not in words else len(lines) > 1000
    assert any("0.05659" in line and "\x1b[1;32m" in line for line in lines), "the best one, in colour"
