"""A run in a worker: its environment, its device, and a worker that does not see the user's files."""

import sys
from pathlib import Path

import pytest
from program_tasks import sweep, write_task

from cpd.external.job import VISIBLE, Job, bring_home, do, environment
from cpd.outcome import RunKey, Status
from cpd.spec.models import Constraint, ProblemSource, Program

SHOWS = f"import os\nprint(os.environ.get('{VISIBLE}'))\n"
GOOD = 'print(\'{"loss": 1.5, "density": 0.25}\')\n'


def logs(folder: Path) -> list[str]:
    return sorted(path.read_text().splitlines()[0] for path in folder.glob(".cpd/work/*/log.txt"))


def test_each_worker_shows_its_programs_its_own_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    path = write_task(tmp_path, f"import time\ntime.sleep(0.5)\n{SHOWS}{GOOD}", values="1, 2, 3, 4")
    sweep(path, devices=("cuda:0", "cuda:3"))
    assert set(logs(tmp_path)) == {"0", "3"}


@pytest.mark.parametrize(
    ("device", "before", "seen"),
    [
        (None, None, None),
        (None, "5", "5"),
        ("cuda:1", "4,7", "7"),
        ("cuda:1", "4", "1"),
        ("cuda", "4,7", "4,7"),
        ("cuda:0", "GPU-8932f937", "GPU-8932f937"),
        ("cpu", "4", "4"),
    ],
)
def test_devices_are_places_among_those_that_are_seen(
    monkeypatch: pytest.MonkeyPatch, device: str | None, before: str | None, seen: str | None
) -> None:
    monkeypatch.delenv(VISIBLE, raising=False)
    if before is not None:
        monkeypatch.setenv(VISIBLE, before)
    assert environment("/x", device=device).get(VISIBLE) == seen


def job(folder: Path, program: str, **files: bytes) -> Job:
    return Job(
        program=Program(words=(sys.executable, "program.py", "{folder}"), folder="/nowhere/here"),
        problem=ProblemSource(target="x", path=None, source=""),
        objective="loss",
        constraints={"density": Constraint(level=0.5, sense="<=")},
        keys=(RunKey("m", {}, {"density": 0.5}, 0, "c1:0"),),
        folder=str(folder),
        files={"program.py": program.encode(), **files},
    )


def test_files_travel_and_results_come_home(tmp_path: Path) -> None:
    program = (
        "import cpd, sys, os\nassert open('sub/data.txt').read() == 'data'\n"
        "cpd.log(1, loss=2.0, density=0.3)\nprint('here')\n"
        "os.mkdir(sys.argv[1] + '/deep')\nopen(sys.argv[1] + '/deep/best.ckpt', 'w').write('weights')\n"
        "cpd.result(loss=1, density=0.25, model='deep/best.ckpt')\n"
    )
    there = tmp_path / "run"
    done = do(job(there, program, **{"sub/data.txt": b"data"}), lambda: False)
    assert done is not None
    (run,) = done.runs
    assert (run.status, run.objective, run.steps) == (Status.COMPLETED, 1.0, 1), run.error
    assert set(done.files) == {"log.txt", "result.json", "curves.jsonl", "deep/best.ckpt"}
    bring_home(there, done.files)
    assert run.model == str(there / "deep" / "best.ckpt")
    assert Path(run.model).read_text() == "weights"
    assert (there / "log.txt").read_text() == "here\n"


def test_a_worker_without_the_files_says_so(tmp_path: Path) -> None:
    done = do(job(tmp_path / "run", GOOD), lambda: False)
    assert done is not None
    assert done.runs[0].status is Status.COMPLETED
    without = job(tmp_path / "run", GOOD)
    done = do(Job(**{**vars(without), "files": {}}), lambda: False)
    assert done is not None
    assert done.runs[0].error == (
        "cannot be started: there is no folder /nowhere/here here; name the files that it needs under files"
    )


def test_nothing_is_kept_without_a_store(tmp_path: Path) -> None:
    path = write_task(tmp_path, f"import os\nopen('where', 'w').write(os.environ['CPD_FOLDER'])\n{GOOD}")
    (run,) = sweep(path, keep=False)
    assert run.status is Status.COMPLETED
    assert not Path((tmp_path / "where").read_text()).exists()
    assert not (tmp_path / ".cpd").exists()
