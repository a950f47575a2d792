"""Stores that cannot be read or written, through the command line: one clear line, exit code 4, and nothing harmed."""

import json
import shutil
import sqlite3
from pathlib import Path

import pytest
from command_line import PROBLEM, SPEC
from commands import TESTS, Finished
from fault_tasks import write_tasks
from file_systems import grow, read_only, small_disk
from forked_cpd import Forked
from store_runs import ELSEWHERE
from sweep_results import STORE, assert_whole, document, query, stored

SWEEP = ("sweep", "full.yaml", "--set", "train.steps=30", "--fuse", "4", "--format", "json")
NO_SPACE = "cannot be written (No space left on device)"
FREE_SPACE = "what was stored before is safe; free space and run the same command again"


@pytest.fixture
def cpd(tmp_path: Path) -> Forked:
    write_tasks(tmp_path)
    return Forked(tmp_path)


def refused(done: Finished) -> str:
    """The one line of a command that did nothing."""
    assert (done.rc, done.stdout) == (4, "")
    assert done.stderr.count("\n") == 1
    return done.stderr.rstrip("\n")


# Read-only


@pytest.mark.slow
def test_a_store_on_read_only_media_is_shown_listed_and_exported(cpd: Forked, tmp_path: Path) -> None:
    swept = cpd(*SWEEP)
    assert swept.rc == 0
    assert_whole(tmp_path / STORE, 24)  # a clean end leaves one file: the medium gets nothing else
    medium = tmp_path / "medium"
    medium.mkdir()
    shutil.copy(tmp_path / STORE, medium / "runs.sqlite")
    content = (medium / "runs.sqlite").read_bytes()
    there = ("--store", "medium/runs.sqlite")
    with read_only(medium):
        assert document(cpd("show", "full", "--format", "json", *there)) == document(swept)
        assert len(json.loads(cpd("runs", "--format", "json", *there).stdout)["sweeps"]) == 1
        assert cpd("export", "last", "--to", "out.csv", *there) == Finished(0, "", "24 rows written to out.csv\n")
        line = refused(cpd(*SWEEP, *there))
        assert line.startswith("cpd: medium/runs.sqlite: cannot be ")
        assert line.endswith(ELSEWHERE)
    assert (medium / "runs.sqlite").read_bytes() == content
    assert [path.name for path in medium.iterdir()] == ["runs.sqlite"]


@pytest.mark.slow
def test_a_sweep_in_a_read_only_folder_says_where_to_store_instead(cpd: Forked, tmp_path: Path) -> None:
    sealed = tmp_path / "sealed"
    sealed.mkdir()
    with read_only(sealed):
        line = refused(cpd(*SWEEP, "--store", "sealed/new/runs.sqlite"))
        assert line.startswith("cpd: sealed/new/runs.sqlite: cannot be ")
        assert line.endswith(ELSEWHERE)
        assert cpd(*SWEEP, "--no-store").rc == 0
    assert list(sealed.iterdir()) == []


# Full


@pytest.mark.slow
def test_a_disk_that_fills_up_midway_costs_no_result_on_the_screen(cpd: Forked, tmp_path: Path) -> None:
    whole = document(cpd(*SWEEP, "--no-store"))
    disk = tmp_path / "disk"
    there = ("--store", "disk/runs.sqlite")
    with small_disk(disk, "245k"):
        done = cpd(*SWEEP, *there)
        line = f"cpd: disk/runs.sqlite: the disk is full (SQLITE_FULL); {FREE_SPACE}\n"
        *notes, last = done.stderr.splitlines(keepends=True)
        assert (done.rc, last) == (4, line)
        assert notes in ([], [f"note: weights are not kept, the runs are: disk/models {NO_SPACE}\n"])
        kept = stored(disk / "runs.sqlite")
        printed = document(done)["runs"]
        assert 0 < kept < 24, "the disk is too large, or too small, for the test to show anything"
        assert printed == whole["runs"][: kept + 4], "those stored, and the batch that could not be"
        assert query(disk / "runs.sqlite", "PRAGMA integrity_check") == [("ok",)]
        grow(disk, "8m")
        again = cpd(*SWEEP, *there)
        assert again.stderr == f"{kept} of 24 runs found in the store, {24 - kept} to do\n"
        assert document(again) == whole
        assert_whole(disk / "runs.sqlite", 24)


def test_a_limit_on_the_size_of_files_is_a_full_disk(cpd: Forked, tmp_path: Path) -> None:
    whole = document(cpd(*SWEEP, "--no-store"))
    done = cpd(*SWEEP, largest_file=150_000)
    assert done.rc == 4
    assert done.stderr.startswith("cpd: .cpd/runs.sqlite: cannot be read or written: the disk failed or is full (")
    assert done.stderr.endswith(f"; {FREE_SPACE}\n")
    kept = stored(tmp_path / STORE)
    assert 0 < kept < 24
    assert document(done)["runs"] == whole["runs"][: kept + 4]
    assert document(cpd(*SWEEP)) == whole
    assert_whole(tmp_path / STORE, 24)


def test_a_disk_that_is_full_from_the_start_is_told_before_any_training(cpd: Forked, tmp_path: Path) -> None:
    steps = tmp_path / "steps"
    with small_disk(tmp_path / "disk", "1m"):
        (tmp_path / "disk" / "ballast").write_bytes(bytes(2**20))
        line = refused(cpd(*SWEEP, "--engine", "eager", "--store", "disk/runs.sqlite", STEPS=str(steps)))
    assert line == f"cpd: disk/runs.sqlite: the disk is full (SQLITE_FULL); {FREE_SPACE}"
    assert not steps.exists()


@pytest.mark.slow
def test_a_search_whose_store_fails_late_prints_what_it_knows(cpd: Forked, tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(PROBLEM)
    (tmp_path / "mine.yaml").write_text(SPEC)
    target = ("--target-g", "0.5", "--tolerance", "1e-12", "--max-trainings", "40")
    search = ("bisect", "mine.yaml", *target, "--set", "train.steps=100", "--format", "json")
    whole = json.loads(cpd(*search, "--no-store").stdout)
    done = cpd(*search, largest_file=170_000)
    assert done.rc == 4
    assert done.stderr.splitlines()[-1].startswith("cpd: .cpd/runs.sqlite: cannot be read or written: the disk failed")
    printed = json.loads(done.stdout)
    trained = printed["search"]["trainings"]
    assert 2 < trained < whole["search"]["trainings"]
    assert printed["search"]["iterations"] == whole["search"]["iterations"][:trained]
    again = cpd(*search)
    assert json.loads(again.stdout)["search"] == whole["search"]


LARGE = """\
import torch

import cpd


class Large(cpd.Problem):
    def model(self):
        return torch.nn.Linear(100_000, 1)

    def evaluate(self, model, batch):
        x = model(torch.ones(100_000)).sum()
        return cpd.Evaluation((x - 2) ** 2, {"x": x})
"""


def test_a_checkpoint_that_cannot_be_written_costs_a_line_not_the_training(cpd: Forked, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(LARGE)
    (tmp_path / "large.yaml").write_text(
        "problem: large.py:Large\nconstraints: {x: '<= 100'}\n"
        "train: {steps: 8, optimizer: {name: SGD, lr: 1.0e-6}}\nmethods: {lagrangian: {dual_lr: {values: [0.1, 1]}}}\n"
    )
    command = ("sweep", "large.yaml", "--format", "json", "--checkpoint-every", "0")
    done = cpd(*command, largest_file=400_000)
    line, weights = done.stderr.splitlines()
    assert weights == "note: weights are not kept, the runs are: .cpd/models cannot be written (File too large)"
    assert line.startswith("note: .cpd/runs-checkpoints/")
    assert line.endswith(": cannot read or write the checkpoint (File too large): the training goes on without one")
    assert done.rc == 0
    assert document(done) == document(cpd(*command, "--no-store"))
    assert_whole(tmp_path / STORE, 2)


# Another program's, or a newer cpd's


COMPARE = ("compare", "penalized", "nupi", "--task", "full.yaml")
COMMANDS = [SWEEP, COMPARE, ("runs",), ("show",), ("rm", "last", "--yes")]
NAMES = [command[0] for command in COMMANDS]
FOREIGN = {"text": b"not a store " * 500, "one byte": b"x", "half a page": b"SQLite format 3\0" + bytes(90)}


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
@pytest.mark.parametrize("kind", list(FOREIGN))
def test_a_file_that_is_no_store_is_left_as_it_is(
    command: tuple[str, ...], kind: str, cpd: Forked, tmp_path: Path
) -> None:
    (tmp_path / "notes").mkdir()
    path = tmp_path / "notes" / "notes.txt"
    path.write_bytes(FOREIGN[kind])
    line = refused(cpd(*command, "--store", "notes/notes.txt"))
    assert line.startswith("cpd: notes/notes.txt: is not a store of runs; it was left as it is")
    assert line.endswith(ELSEWHERE)
    assert path.read_bytes() == FOREIGN[kind]
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("command", COMMANDS, ids=NAMES)
def test_a_newer_cpds_store_is_left_as_it_is(command: tuple[str, ...], cpd: Forked, tmp_path: Path) -> None:
    store = tmp_path / "newer" / "runs.sqlite"
    store.parent.mkdir()
    shutil.copy(TESTS / "stores" / "version-1.sqlite", store)
    connection = sqlite3.connect(store)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    content = store.read_bytes()
    line = refused(cpd(*command, "--store", "newer/runs.sqlite"))
    assert line == (
        "cpd: newer/runs.sqlite: was written by a newer cpd (format 99, this one knows 4); it was left as it is; "
        f"upgrade cpd, or {ELSEWHERE}"
    )
    assert store.read_bytes() == content
    assert list(store.parent.iterdir()) == [store]


@pytest.mark.parametrize("command", [("runs",), ("show",), ("rm", "last")], ids=["runs", "show", "rm"])
def test_a_store_that_is_not_there(command: tuple[str, ...], cpd: Forked, tmp_path: Path) -> None:
    fix = "run a sweep first, or name one with --store PATH or CPD_STORE"
    assert refused(cpd(*command)) == f"cpd: .cpd/runs.sqlite: there is no store of runs here; {fix}"
    assert not (tmp_path / ".cpd").exists()
