"""Problems of one process: what was edited since, and what other problems have under the same names."""

from pathlib import Path

import pytest

import cpd

PROBLEM = """import pathlib

import torch

import cpd
from helper import {what}


class Mine(cpd.Problem):
    def data(self):
        return (torch.tensor([float(pathlib.Path({data!r}).read_text())]),)

    def model(self):
        return torch.nn.Linear(1, 1)

    def evaluate(self, model, batch):
        y = model(batch[0][:, None]).mean()
        return cpd.Evaluation((y - TARGET) ** 2, {{"g": y}}, metrics={{"target": torch.tensor(TARGET)}})
"""

SPEC = """problem: mine.py:Mine
constraints: {g: "<= 10"}
train: {steps: 3, optimizer: {name: SGD, lr: 0.1}}
methods: {penalized: {coefficient: 0.1}}
depends: [data.txt]
"""


def write(folder: Path, target: float, data: float = 1.0) -> str:
    """A task whose problem reads a module and a file beside it."""
    folder.mkdir(exist_ok=True)
    (folder / "helper").mkdir(exist_ok=True)
    (folder / "helper" / "__init__.py").write_text("from helper.numbers import TARGET\n")
    (folder / "helper" / "numbers.py").write_text(f"TARGET = {target}  # {'x' * int(10 * target)}\n")
    (folder / "data.txt").write_text(str(data))
    (folder / "mine.py").write_text(PROBLEM.format(what="TARGET", data=str(folder / "data.txt")))
    (folder / "mine.yaml").write_text(SPEC)
    return str(folder / "mine.yaml")


def seen(task: str) -> tuple[float | None, float | None, str | None]:
    """What a run saw of the module, its objective and its id."""
    (run,) = cpd.sweep(task, options=cpd.Options(keep=False, engine="eager")).finished
    return run.metrics["target"], run.objective, run.key.id


@pytest.fixture(autouse=True)
def _own_modules(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setattr(sys, "dont_write_bytecode", True)


def test_an_edited_module_is_seen_in_the_same_process(tmp_path: Path) -> None:
    task = write(tmp_path / "one", 1.5)
    first = seen(task)
    assert first[0] == 1.5
    assert seen(task) == first
    second = seen(write(tmp_path / "one", 2.5))
    assert second[0] == 2.5
    assert second[2] != first[2]
    assert seen(write(tmp_path / "one", 1.5)) == first


def test_two_folders_have_modules_of_the_same_name(tmp_path: Path) -> None:
    tasks = [write(tmp_path / name, target) for name, target in (("one", 1.5), ("two", 2.5))]
    assert [seen(task)[0] for task in (*tasks, *tasks)] == [1.5, 2.5, 1.5, 2.5]


def test_edited_data_that_the_task_names_is_read_again(tmp_path: Path) -> None:
    first = seen(write(tmp_path / "one", 1.5, data=1.0))
    second = seen(write(tmp_path / "one", 1.5, data=2.0))
    assert second[1] != first[1]
    assert second[2] != first[2]


def test_problems_of_one_package_leave_it_where_it_is() -> None:
    import sys

    from cpd.engine.loading import load_problem
    from cpd.spec.reader import load_task

    before = sys.modules["cpd"]
    for name in ("rate", "concave", "rate"):
        load_problem(load_task(name).problem)
    assert sys.modules["cpd"] is before
