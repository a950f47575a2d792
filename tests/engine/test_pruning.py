"""``--prune``: trainings that are given up are marked, never stored, and never decide that a target is out of reach."""

import json
import sqlite3
from pathlib import Path

import pytest
from commands import Command
from engine_problems import __file__ as PROBLEMS  # noqa: N812

pytestmark = pytest.mark.slow

TASK = """
problem: engine_problems.py:Line
objective: distance
constraints: {size: {level: 1.0, sense: "<=", tolerance: 0.01}}
train: {steps: 400, optimizer: {name: SGD, lr: 0.01}}
methods: {penalized: {coefficient: {values: [0, 2, 3]}}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "engine_problems.py").write_text(Path(PROBLEMS).read_text())
    (tmp_path / "line.yaml").write_text(TASK)
    return tmp_path


def stored(folder: Path) -> int:
    with sqlite3.connect(folder / ".cpd" / "runs.sqlite") as connection:
        return int(connection.execute("SELECT count(*) FROM runs").fetchone()[0])


SEARCH = ("bisect", "line.yaml", "--target", "1", "--low", "0.1", "--high", "30", "--prune", "--engine", "eager")


def test_a_search_takes_the_side_of_what_it_gave_up(folder: Path, cpd_command: Command) -> None:
    done = cpd_command(*SEARCH, "--format", "json")
    assert done.rc == 0, done.stderr
    document = json.loads(done.stdout)
    search = document["search"]
    assert search["outcome"] == "solved"
    given_up = [(i["coefficient"], i["pruned"]) for i in search["iterations"] if "pruned" in i]
    assert given_up[:2] == [(0.1, "above"), (30.0, "below")]
    assert all(i["value"] is i["objective"] is None for i in search["iterations"] if "pruned" in i)
    last = search["iterations"][-1]
    assert abs(last["value"] - 1) < 0.01
    assert abs(last["coefficient"] - 2) < 0.05
    statuses = [run["status"] for run in document["runs"]]
    assert statuses.count("pruned") == len(given_up)
    assert not any(run["feasible"] for run in document["runs"] if run["status"] == "pruned")
    assert stored(folder) == statuses.count("completed")


def test_the_table_says_which_side(folder: Path, cpd_command: Command) -> None:
    done = cpd_command(*SEARCH)
    lines = done.stdout.splitlines()
    assert any(line.split()[:3] == ["1", "0.1", "above"] for line in lines), done.stdout
    shown = cpd_command("show", "last")
    assert "above, below: pruned, a training that was given up on that side of the target." in " ".join(
        shown.stdout.split()
    )


def test_a_sweep_marks_what_it_gave_up_and_trains_it_when_asked_again(folder: Path, cpd_command: Command) -> None:
    sweep = ("sweep", "line.yaml", "--format", "json", "--engine", "eager")
    first = json.loads(cpd_command(*sweep, "--prune").stdout)
    assert [run["status"] for run in first["runs"]] == ["pruned", "completed", "completed"]
    assert [run["feasible"] for run in first["runs"]] == [False, True, True]
    assert first["runs"][0]["constraints"]["size"]["value"] is None
    assert first["summary"][0]["feasible_settings"] == 2
    assert stored(folder) == 2
    again = cpd_command(*sweep)
    assert "2 of 3 runs found in the store, 1 to do" in again.stderr
    assert [run["status"] for run in json.loads(again.stdout)["runs"]] == ["completed"] * 3


def test_a_target_is_out_of_reach_only_by_trainings_that_were_finished(cpd_command: Command) -> None:
    done = cpd_command("bisect", "concave", "--target", "0.5", "--prune", "--format", "json")
    assert done.rc == 3
    document = json.loads(done.stdout)
    assert document["search"]["outcome"] == "unattainable"
    assert "given up: they are trained to the end" in done.stderr
    values = {i["coefficient"]: i["value"] for i in document["search"]["iterations"] if i["value"] is not None}
    low = max(c for c, value in values.items() if value > 0.5)
    high = min(c for c, value in values.items() if value < 0.5)
    assert low < 0.5463 < high
    assert high / low < 1.003
