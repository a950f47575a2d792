"""``--dry-run``: what would train, how much of it is stored, how long; and nothing is trained."""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import SPEC, InProcess

BISECT = ("bisect", "mine.yaml", "--target", "0.4", "--low", "0.1", "--high", "10", "--max-trainings", "6")


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def forecast(cpd: InProcess, *words: str) -> Any:
    done = cpd(*words, "--dry-run", "--format", "json")
    assert done.rc == 0, done.stderr
    return json.loads(done.stdout)


def test_nothing_is_trained_or_written(cpd: InProcess) -> None:
    found = forecast(cpd, "sweep", "mine.yaml", "--seeds", "0:3", "--levels", "g=0.1,0.2")
    assert found["methods"] == [
        {"method": "penalized", "settings": 2, "levels": 2, "seeds": 3, "runs": 12, "stored": 0, "to_train": 12},
        {"method": "lagrangian", "settings": 2, "levels": 2, "seeds": 3, "runs": 12, "stored": 0, "to_train": 12},
    ]
    assert (found["runs"], found["stored"], found["to_train"], found["steps"]) == (24, 0, 24, 3)
    assert found["seconds"] > 0
    assert sorted(path.name for path in cpd.folder.iterdir() if path.name != "__pycache__") == ["mine.py", "mine.yaml"]


def test_what_is_stored_is_counted(cpd: InProcess) -> None:
    cpd("sweep", "mine.yaml", "-q")
    store = (cpd.folder / ".cpd" / "runs.sqlite").read_bytes()
    found = forecast(cpd, "compare", "mine.yaml", "--method", "penalized", "--method", "lagrangian", "--seeds", "1,2")
    assert (found["command"], found["runs"], found["stored"], found["to_train"]) == ("compare", 8, 4, 4)
    assert [row["stored"] for row in found["methods"]] == [2, 2]
    assert forecast(cpd, "sweep", "mine.yaml")["seconds"] == 0
    for fresh in ("--fresh", "--no-store"):
        assert forecast(cpd, "sweep", "mine.yaml", fresh)["stored"] == 0
    cpd.edit("mine.py", "y - 1", "y - 2")  # another problem: none of its runs is stored
    assert forecast(cpd, "sweep", "mine.yaml")["stored"] == 0
    assert (cpd.folder / ".cpd" / "runs.sqlite").read_bytes() == store


def test_stored_speeds_tell_how_long(cpd: InProcess) -> None:
    seconds = sum(run["seconds"] for run in json.loads(cpd("sweep", "mine.yaml", "--format", "json").stdout)["runs"])
    found = forecast(cpd, "sweep", "mine.yaml", "--seeds", "2", "--set", "train.steps=6")
    assert found["seconds"] == pytest.approx(2 * seconds, rel=1e-6)
    done = cpd("sweep", "mine.yaml", "--seeds", "2", "--dry-run")
    assert done.stdout.startswith("mine: 4 runs of 3 steps, 0 of them stored, 4 to train: ")
    assert "as stored runs of it took; nothing was trained\n" in done.stdout
    lines = done.stdout.splitlines()
    assert lines[2].split() == ["method", "settings", "levels", "seeds", "runs", "stored", "to_train"]
    assert lines[4].split() == ["penalized", "2", "1", "1", "2", "0", "2"]


def test_a_search_is_followed_as_far_as_it_is_stored(cpd: InProcess) -> None:
    first = forecast(cpd, *BISECT)
    assert (first["runs"], first["stored"], first["at_most"]) == (6, 0, True)
    done = json.loads(cpd(*BISECT, "--format", "json").stdout)
    again = forecast(cpd, *BISECT)
    assert again["stored"] == again["runs"] == done["search"]["trainings"]
    assert (again["to_train"], again["seconds"]) == (0, 0)


def test_what_cannot_train_is_said_as_without_it(cpd: InProcess) -> None:
    done = cpd("sweep", "mine.yaml", "--set", "train.stps=1", "--dry-run")
    assert (done.rc, done.stdout) == (2, "")
    assert "unknown" in done.stderr
    cpd.write("mine.yaml", SPEC.replace("mine.py:Mine", "mine.py:Nobody"))
    assert cpd("sweep", "mine.yaml", "--dry-run").rc == 2


def test_csv_is_rows_alone(cpd: InProcess) -> None:
    done = cpd("sweep", "mine.yaml", "--dry-run", "--format", "csv")
    assert done.stdout.splitlines()[0] == "method,settings,levels,seeds,runs,stored,to_train"
    assert done.stderr.startswith("mine: 4 runs of 3 steps")
    assert cpd("sweep", "mine.yaml", "--dry-run", "--format", "csv", "-q").stderr == ""
