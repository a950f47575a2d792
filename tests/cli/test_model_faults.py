"""Faults while weights are kept: killed, full disks, folders that are gone; no half file, and no run is lost by it."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from fault_tasks import write_tasks
from file_systems import read_only, small_disk
from forked_cpd import Forked, Moment
from large_models import write_large
from sweep_results import STORE, assert_whole, document, stored

from cpd.engine import model_file
from cpd.store.models import folder_of

MODELS = folder_of(STORE)
SWEEP = ("sweep", "large.yaml", "--fuse", "5", "--format", "json")
RUNS = 20


@pytest.fixture
def cpd(tmp_path: Path) -> Forked:
    write_large(tmp_path, RUNS, 20_000)
    return Forked(tmp_path)


def whole(folder: Path) -> set[str]:
    """The runs whose weights are kept: each file is whole, and its own."""
    paths = [path for path in folder.glob("*.safetensors") if not path.name.startswith(".")]
    assert all(model_file.read(path)[1].run == path.stem for path in paths)
    return {path.stem for path in paths}


def named(done: Any) -> set[str]:
    """The runs that a printed result says to have weights."""
    return {run["id"] for run in json.loads(done.stdout)["runs"] if run["model"] is not None}


FIRST = [Moment("open", ".safetensors", 3), Moment("os.rename", ".safetensors", 4)]


def moment(luck: random.Random, number: int) -> Moment:
    """While a file is written, when it takes its place, while one is removed, and while runs are stored in between."""
    if number < len(FIRST):
        return FIRST[number]
    return luck.choice(
        [
            Moment("open", ".safetensors", luck.randint(1, 12), luck.choice([0.0, luck.uniform(0, 0.002)])),
            Moment("os.rename", ".safetensors", luck.randint(1, 12), luck.choice([0.0, luck.uniform(0, 0.001)])),
            Moment("os.remove", ".safetensors", luck.randint(1, 8)),
            Moment("open", ".sqlite.lock", luck.randint(4, 8), luck.uniform(0, 0.002)),
        ]
    )


@pytest.mark.parametrize("kills", [2, pytest.param(20, marks=pytest.mark.slow)])
def test_killed_while_models_are_written_it_goes_on_and_ends_with_the_best_alone(
    kills: int, cpd: Forked, tmp_path: Path
) -> None:
    elsewhere = ("--store", "elsewhere/runs.sqlite")
    expected = document(cpd(*SWEEP, *elsewhere))
    luck, before, killed = random.Random(kills), 0, 0
    while killed < kills:
        done = cpd(*SWEEP, at=moment(luck, killed))
        there = stored(tmp_path / STORE)
        assert there >= before
        assert whole(tmp_path / MODELS) <= {run["id"] for run in expected["runs"]}
        if done.rc == 0:  # its moment did not come: once more from the first run
            assert document(done) == expected
            assert whole(tmp_path / MODELS) == named(done)
            shutil.rmtree(tmp_path / STORE.parent)
            before = 0
        else:
            assert done.rc == -9
            killed, before = killed + 1, there
    done = cpd(*SWEEP)
    assert document(done) == expected
    assert_whole(tmp_path / STORE, RUNS)
    (best,) = whole(tmp_path / MODELS)
    assert {best} == named(done)
    assert [path.stem for path in (tmp_path / MODELS).iterdir()] == [best]
    other = tmp_path / "elsewhere" / "models" / f"{best}.safetensors"
    assert model_file.read(tmp_path / MODELS / other.name)[0]["weight"].equal(model_file.read(other)[0]["weight"])


def test_a_file_that_is_too_large_costs_a_line_and_no_run(cpd: Forked, tmp_path: Path) -> None:
    write_large(tmp_path, 5, 200_000)
    done = cpd(*SWEEP, "--checkpoint-every", "1000", largest_file=400_000)
    assert done.rc == 0
    assert done.stderr == "note: weights are not kept, the runs are: .cpd/models cannot be written (File too large)\n"
    assert named(done) == set()
    assert_whole(tmp_path / STORE, 5)
    assert cpd("gc").stderr == "0 models that no sweep keeps are gone, 0 B freed\n"


@pytest.mark.slow
def test_a_disk_that_fills_up_costs_a_line_and_no_run(cpd: Forked, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    there = ("--store", "disk/runs.sqlite")
    with small_disk(disk, "600k"):  # each model has 80 kB
        done = cpd(*SWEEP, *there)
        assert done.rc == 0, done.stderr
        assert done.stderr.count("\n") == 1
        assert done.stderr.endswith("disk/models cannot be written (No space left on device)\n")
        assert stored(disk / "runs.sqlite") == RUNS
        assert whole(disk / "models") == named(done)


@pytest.mark.slow
def test_a_folder_of_models_that_is_read_only_costs_a_line_and_no_run(cpd: Forked, tmp_path: Path) -> None:
    (tmp_path / MODELS).mkdir(parents=True)
    with read_only(tmp_path / MODELS):
        done = cpd(*SWEEP)
        assert (done.rc, named(done)) == (0, set())
        assert done.stderr.startswith("note: weights are not kept, the runs are: .cpd/models cannot be written (")
        assert stored(tmp_path / STORE) == RUNS


def test_a_store_that_was_removed_meanwhile_is_told_and_stays_so(cpd: Forked, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(
        (tmp_path / "large.py").read_text()
        + "    def project(self, p):\n"
        + "        import shutil; shutil.rmtree('.cpd', ignore_errors=True)\n        return p\n"
    )
    done = cpd("sweep", "large.yaml", "--format", "json")
    assert done.rc == 4
    assert len(json.loads(done.stdout)["runs"]) == RUNS
    note, error = done.stderr.splitlines()
    assert note == "note: weights are not kept, the runs are: .cpd/models cannot be written (No such file or directory)"
    assert error.startswith("cpd: .cpd/runs.sqlite: ")
    assert not (tmp_path / ".cpd").exists()


@pytest.mark.slow
def test_without_a_store_nothing_is_written(cpd: Forked, tmp_path: Path) -> None:
    write_tasks(tmp_path)
    before = set(tmp_path.rglob("*"))
    done = cpd("sweep", "full.yaml", "--no-store", "--format", "json")
    assert done.rc == 0
    assert {run["model"] for run in json.loads(done.stdout)["runs"]} == {None}
    assert {path for path in set(tmp_path.rglob("*")) - before if not path.name.endswith((".out", ".err"))} == set()


@pytest.mark.slow
def test_halves_after_a_death_keep_their_weights(cpd: Forked, tmp_path: Path) -> None:
    (tmp_path / "large.py").write_text(
        (tmp_path / "large.py").read_text()
        + "    def project(self, p):\n"
        + "        import os\n"
        + "        if os.getpid() != int(open('parent.txt').read()) and not os.path.exists('died.txt'):\n"
        + "            open('died.txt', 'w').close(); os._exit(9)\n"
        + "        return p\n"
    )
    (tmp_path / "parent.txt").write_text("0")
    done = cpd(*SWEEP[:2], "--fuse", "10", "--jobs", "2", "--retries", "0", "--keep-models", "all", "--format", "json")
    assert done.rc == 0, done.stderr
    assert "tried again in halves" in done.stderr
    assert len(named(done)) == RUNS
    assert whole(tmp_path / MODELS) == named(done)
