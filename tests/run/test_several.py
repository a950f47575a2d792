"""A search for one coefficient of each constraint, from a file, options and Python to its table and a store."""

import json
from pathlib import Path
from typing import Any

import pytest

import cpd
from cpd.errors import CpdError
from cpd.run.target import with_target
from cpd.spec.models import Task
from cpd.spec.reader import load_task
from cpd.verdict.several import several_again

PROBLEM = """
import cpd, torch

class Pull(cpd.Problem):
    def __init__(self, coupling: float = 0.0):
        self.coupling = coupling

    def model(self):
        return torch.nn.Linear(1, 2, bias=False)

    def evaluate(self, model, batch):
        x = model.weight[:, 0]
        mixed = x + self.coupling * x.flip(0)
        return cpd.Evaluation(
            objective=(x - torch.tensor([1.0, 2.0])).square().sum() / 2,
            constraints={"first": mixed[0], "second": mixed[1]},
        )
"""
SPEC = """
problem: pull.py:Pull
constraints: {first: "<= 0.5", second: "<= 0.7"}
train: {steps: 60, optimizer: {name: SGD, lr: 0.5}}
methods: {penalized: {coefficient: [0.25, 0]}}
"""
QUICK: Any = {"high": 10, "jobs": 1, "engine": "eager"}


@pytest.fixture
def pull(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    Path("pull.py").write_text(PROBLEM, encoding="utf-8")
    Path("pull.yaml").write_text(SPEC, encoding="utf-8")
    return "pull.yaml"


def aimed(task: str, **words: Any) -> Task:
    return with_target(load_task(task), words)


@pytest.mark.parametrize(("coupling", "known"), [(0.0, (0.5, 1.3)), (0.5, (0.075 / 0.5625, 0.75 / 0.5625))])
def test_each_coefficient_is_the_one_that_is_known(pull: str, coupling: float, known: tuple[float, float]) -> None:
    found = cpd.bisect(pull, strategy="coordinates", arguments={"coupling": coupling}, keep=False, **QUICK)
    assert found.search is not None
    assert found.exit_code == 0
    search, last = found.search, found.search["iterations"][-1]
    assert search["outcome"] == "solved"
    assert search["targets"] == {"first": 0.5, "second": 0.7}
    assert list(last["coefficients"].values()) == pytest.approx(known, abs=0.04)
    assert last["setting"] == {"coefficient": list(last["coefficients"].values())}
    assert last["distance"] is not None
    assert max(d for d in last["distances"].values() if d is not None) == last["distance"] < 1
    assert last["coefficient"] == last["coefficients"][search["constraint"]]  # as contract 3 has it
    assert last["value"] == last["values"][search["constraint"]]
    assert search["trainings"] == len(found.runs) == len(search["iterations"])


def test_what_is_stored_is_shown_again_and_trained_no_more(pull: str) -> None:
    first = cpd.bisect(pull, target={"first": 0.4, "second": 0.6}, **QUICK)
    again = cpd.bisect(pull, target={"first": 0.4, "second": 0.6}, **QUICK)
    shown = cpd.open("last")
    keys = ("outcome", "targets", "constraint", "iterations")
    documents = [json.loads(one.to_json())["search"] for one in (first, again, shown)]
    assert documents[0] == documents[1]
    assert [documents[0][k] for k in keys] == [documents[2][k] for k in keys]
    assert first.best("penalized").setting["coefficient"] == pytest.approx([0.6, 1.4], abs=0.02)


def test_one_that_is_not_searched_keeps_its_own(pull: str) -> None:
    found = cpd.bisect(pull, strategy="coordinates", target={"second": 0.7}, keep=False, **QUICK)
    assert found.search is not None
    assert {run.key.setting["coefficient"][0] for run in found.finished} == {0.25}
    assert found.search["outcome"] == "infeasible"
    assert found.exit_code == 3
    assert found.search["iterations"][-1]["violated"] == ["first"]
    assert found.advice is not None
    assert "first <= 0.5 does not hold there" in found.advice


def test_at_other_targets_it_is_solved_no_more(pull: str) -> None:
    found = cpd.bisect(pull, strategy="coordinates", keep=False, **QUICK)
    assert found.search is not None
    moved: Any = {**found.search, "targets": {"first": 0.1, "second": 0.7}}
    again = several_again(moved, found.finished, found.task.constraints, "float32", "training")
    assert again["outcome"] == "out_of_budget"
    assert again["constraint"] == "first"


def test_options_name_several(pull: str) -> None:
    task = aimed(pull, target=["first=0.4", "second=0.6"])
    assert task.search is not None
    assert task.search.strategy == "coordinates"
    assert {n: (c.level, c.tolerance) for n, c in task.constraints.items()} == {
        "first": (0.4, 0.01),
        "second": (0.6, 0.01),
    }
    task = aimed(pull, strategy="simplex", high=5.0)
    assert task.search is not None
    assert [a.high for a in task.search.targets.values()] == [5, 5]
    task = aimed(pull, target="second=0.6")
    assert task.search is not None
    assert not task.search.is_several
    assert task.search.constraint == "second"


def test_a_file_has_a_range_and_a_tolerance_of_each(pull: str) -> None:
    targets = "{first: {target: 0.4, low: 0.01, high: 5, tolerance: 0.02}, second: }"
    Path(pull).write_text(f"{SPEC}search: {{targets: {targets}, high: 7}}\n", encoding="utf-8")
    task = aimed(pull)
    assert task.search is not None
    assert task.search.strategy == "coordinates"
    found = [(a.target, a.low, a.high, a.tolerance) for a in task.search.targets.values()]
    assert found == [(0.4, 0.01, 5, 0.02), (0.7, 1e-3, 7, 0.01)]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"target": ["first=0.4", "third=0.6"]}, "--target-third: no constraint 'third'"),
        ({"target": ["first=0.4", "0.6"]}, "--target: a target of no constraint"),
        ({"target": ["first=0.4", "second=x"]}, "--target-second: 'x' is not a number"),
        (
            {"target": ["first=0.4", "second=1"], "strategy": "bisection"},
            "--strategy: bisection searches one coefficient",
        ),
        ({"strategy": "simplex", "low": -1.0, "high": -0.1}, "-1 is out of range; write a number above 0"),
        ({"strategy": "simplex", "hyperparameter": "nupi.kp"}, "'nupi.kp' has one number for all constraints"),
    ],
)
def test_what_cannot_be_searched_is_refused(pull: str, words: dict[str, Any], message: str) -> None:
    with pytest.raises(CpdError) as caught:
        aimed(pull, **words)
    assert message in str(caught.value)


def test_others_without_one_value_are_refused(pull: str) -> None:
    Path(pull).write_text(SPEC.replace("[0.25, 0]", "{values: [1, 2]}"), encoding="utf-8")
    with pytest.raises(CpdError, match="2 values for first, which is not searched; give one: set="):
        cpd.bisect(pull, strategy="coordinates", target={"second": 0.7}, keep=False, **QUICK)


def test_many_constraints_are_a_line_of_the_worst(pull: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = Path("pull.py").read_text(encoding="utf-8").replace("Linear(1, 2,", "Linear(1, 12,")
    text = text.replace("torch.tensor([1.0, 2.0])", "torch.arange(12.0)")
    text = text.replace('{"first": mixed[0], "second": mixed[1]}', '{f"c{k}": mixed[k] for k in range(12)}')
    Path("pull.py").write_text(text, encoding="utf-8")
    bounds = ", ".join(f'c{k}: "<= {k / 2 + 1}"' for k in range(12))
    Path(pull).write_text(
        f"{SPEC.partition('constraints')[0]}constraints: {{{bounds}}}\n"
        "train: {steps: 60, optimizer: {name: SGD, lr: 0.5}}\n",
        encoding="utf-8",
    )
    found = cpd.bisect(pull, strategy="coordinates", keep=False, **QUICK)
    assert found.search is not None
    assert found.search["outcome"] == "solved"
    assert found.search["trainings"] == 19  # 1, and 2 for each of the 9 that do not hold by themselves
    assert "12 of 12" in str(found)
    assert "coefficient c3" not in str(found)
