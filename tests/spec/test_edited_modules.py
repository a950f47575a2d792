"""Whole commands: what is edited trains again, with the edited code; what is not is found in the store."""

import json
import os
import sqlite3
from pathlib import Path

import pytest
from commands import Command

PROBLEM = """import torch

import cpd
from layers.scale import SCALE


class Mine(cpd.Problem):
    def data(self):
        return (torch.ones(4, 1),)

    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        y = model(batch[0])
        return cpd.Evaluation((SCALE * y - 1).square().mean(), {"g": y.mean()})
"""

SPEC = """problem: mine.py:Mine
constraints: {g: "<= 0.5"}
train: {steps: 5, optimizer: {name: SGD, lr: 0.1}}
methods: {penalized: {coefficient: {values: [0.1, 1]}}}
depends: [data.txt]
"""


def sweep(command: Command) -> tuple[str, list[float]]:
    """What is said of the store, and the objectives."""
    done = command("sweep", "mine.yaml", "--engine", "eager", "--format", "json")
    assert done.rc in (0, 3), done.stderr
    document = json.loads(done.stdout)
    return done.stderr.strip(), [run["objective"] for run in document["runs"]]


def recorded_versions(folder: Path) -> dict[str, str]:
    store = sqlite3.connect(folder / ".cpd" / "runs.sqlite")
    ((text,),) = store.execute("SELECT versions FROM sweeps").fetchall()
    store.close()
    found: dict[str, str] = json.loads(text)
    return found


@pytest.mark.slow
def test_an_edited_module_is_trained_again(tmp_path: Path, cpd_command: Command) -> None:
    scale, unused = tmp_path / "layers" / "scale.py", tmp_path / "layers" / "unused.py"
    scale.parent.mkdir()
    scale.write_text("import yaml\n\nSCALE = 1.0\n")
    unused.write_text("")
    (tmp_path / "mine.py").write_text(PROBLEM)
    (tmp_path / "mine.yaml").write_text(SPEC)
    (tmp_path / "data.txt").write_text("1")
    said, first = sweep(cpd_command)
    assert said == ""
    assert "PyYAML" in recorded_versions(tmp_path)
    unused.write_text("# edited\n")
    assert sweep(cpd_command) == ("2 of 2 runs found in the store, 0 to do", first)
    scale.write_text("SCALE = 2.00\n")
    os.utime(scale, (scale.stat().st_mtime + 2,) * 2)  # as after an edit by hand: Python looks at whole seconds
    said, second = sweep(cpd_command)
    assert said == ""
    assert second != first
    (tmp_path / "data.txt").write_text("2")
    assert sweep(cpd_command) == ("", second)
