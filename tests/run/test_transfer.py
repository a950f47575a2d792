"""Transfer from end to end, on a problem whose answer is known by hand: a coefficient does not carry over, a step does.

``min s (x - 2)^2 / 2`` subject to ``x <= 1`` has ``x = 1`` and the multiplier ``s``. Penalised, ``x = 2 - c / s``: the
best of the feasible coefficients is ``s`` itself. So the best one at s = 1 leaves ``x = 1.9`` at s = 10, and the best
one there is ten times as large; the multiplier finds its ``s`` by itself, from the same step-size.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from command_line import InProcess

from cpd.spec.identity import runs
from cpd.spec.reader import load_task

PROBLEM = """\
import torch
import cpd


class Scaled(cpd.Problem):
    def __init__(self, scale=1.0, shift=0.0):
        self.scale, self.shift = scale, shift

    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.zeros(()))
        return model

    def evaluate(self, model, batch):
        return cpd.Evaluation(self.scale * (model.x - 2) ** 2 / 2 + self.shift, {"x": model.x})
"""

SPEC = """\
problem: scaled.py:Scaled
arguments: {scale: {values: [1, 3, 10]}}
objective: f
constraints: {x: "<= 1"}
train: {steps: 800, optimizer: {name: SGD, lr: 0.05}, dtype: float64}
seeds: 0:2
methods:
  penalized: {coefficient: {values: [0.1, 1, 10]}}
  lagrangian: {dual_lr: {values: [0.1, 1]}}
"""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    made = InProcess(tmp_path, monkeypatch, capsys)
    made.write("scaled.py", PROBLEM)
    made.write("scaled.yaml", SPEC)
    made.write("carried.yaml", SPEC + "transfer: {from: {scale: 1}, to: {scale: 10.0}}\n")
    return made


def block(cpd: InProcess, *words: str) -> Any:
    done = cpd(*words, "--format", "json")
    assert done.rc == 0, done.stderr
    return json.loads(done.stdout).get("transfer")


def test_a_coefficient_does_not_carry_over_and_a_step_size_does(cpd: InProcess) -> None:
    found = block(cpd, "sweep", "carried.yaml", "--engine", "eager")
    assert (found["from"], found["to"]) == ({"arguments.scale": 1}, {"arguments.scale": 10})
    penalized, lagrangian = found["methods"]
    assert (penalized["setting"], penalized["best_setting"]) == ({"coefficient": 1}, {"coefficient": 10})
    assert (penalized["feasible"], penalized["useful"], penalized["moved_decades"]) == (False, False, 1.0)
    assert penalized["violation"] == pytest.approx(0.9)
    assert penalized["objective"]["median"] == pytest.approx(0.05)
    assert (penalized["cost"]["each"], penalized["best_objective"]) == ([None, None], pytest.approx(5))
    assert (lagrangian["feasible"], lagrangian["useful"]) == (True, True)
    assert lagrangian["cost"]["median"] == pytest.approx(0, abs=1e-6)

    # Whatever asks for it, and whenever, gets the same; and nothing is trained again.
    assert block(cpd, "show", "carried") == found
    whole = "transfer={from: {arguments.scale: 1.0}, to: {arguments.scale: 10}}"
    for words in (["--transfer", "all"], ["--transfer", "scale=1:10"], ["--set", whole]):
        assert block(cpd, "sweep", "scaled.yaml", *words) == found
    assert block(cpd, "sweep", "scaled.yaml") is None
    assert block(cpd, "show", "last", "--transfer", "scale=1:10") == found
    back = block(cpd, "show", "last", "--transfer", "scale=10:1")["methods"][0]
    assert (back["feasible"], back["useful"], back["moved_decades"]) == (True, False, -1.0)
    assert back["cost"]["median"] == pytest.approx(49.5)  # x = -8 in place of 1: 50 - 0.5
    assert_tables(cpd)


def assert_tables(cpd: InProcess) -> None:
    table = cpd("show", "carried").stdout
    assert "Source scale 1; target scale 10" in table
    assert "penalized, carried over from scale 1 to scale 10: coefficient 1 is infeasible, by +0.9; " in table
    assert "lagrangian, carried over from scale 1 to scale 10: dual_lr" in table
    page, paper = (" ".join(cpd("show", "carried", "-f", form).stdout.split()) for form in ("markdown", "latex"))
    assert "| penalized | coefficient 1 | no (0 of 2 seeds) | +0.9 |" in page
    assert "cost of carrying over" in page
    assert "cost of carrying over" in paper
    assert len(cpd("show", "carried", "-f", "csv").stdout.splitlines()) == 1 + 3 * 5 * 2  # a line a run, as ever


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "{from: {scale: 1}, to: {scale: 4}}",
            "transfer.to.scale: 4 is no value of 'arguments.scale'; valid: 1, 3, 10",
        ),
        ("{from: {scal: 1}, to: {scale: 3}}", "transfer.from.scal: 'scal' has no grid of several values; "),
        ("{from: {scale: 1}}", "transfer: no 'to'; write {from: "),
        ("{}", "transfer: {} names no two cases; write {from: "),
        (
            "{from: {scale: 1, arguments.scale: 3}, to: {scale: 3}}",
            "transfer.from.arguments.scale: 'arguments.scale' is given twice; ",
        ),
        ("{from: {scale: 1}, to: {scale: 1.0}}", "transfer: both cases are the same; "),
        ("{from: {scale: 1}, to: {shift: 0}}", "transfer.to.shift: 'shift' has no grid of several values; "),
        ("{from: {scale: 1}, too: {scale: 3}}", "transfer.too: unknown key 'too'; did you mean 'to'?"),
        ("scale", "transfer: 'scale' names no two cases; write {from: "),
    ],
)
def test_what_names_no_case_is_said(cpd: InProcess, words: str, message: str) -> None:
    cpd.write("wrong.yaml", f"{SPEC}transfer: {words}\n")
    done = cpd("sweep", "wrong.yaml")
    assert done.rc == 2
    assert f"wrong.yaml: {message}" in done.stderr


def test_options_that_name_no_case_are_refused(cpd: InProcess) -> None:
    for words, message in {
        "scale": "--transfer: 'scale' names no two values of a grid; write NAME=FROM:TO",
        "scale=1": "--transfer: 'scale=1' names no two values of a grid; ",
        "scale=1:3,scale=3:10": "--transfer: 'scale' is given twice; ",
        "scale=1:4": "--transfer: 4 is no value of 'arguments.scale'; ",
    }.items():
        assert message in cpd("sweep", "scaled.yaml", "--transfer", words).stderr
    assert "--transfer: no argument has several values; " in cpd("sweep", "mine.yaml", "--transfer", "all").stderr
    assert (
        "carried.yaml: transfer: a search does not" in cpd("sweep", "carried.yaml", "--set", "search.target=1").stderr
    )
    assert "--transfer: a search does not" in cpd("bisect", "scaled.yaml", "--transfer", "all").stderr
    assert "carried.yaml: transfer: a budget does not" in cpd("compare", "carried.yaml", "--budget", "2").stderr


def test_it_moves_no_id(cpd: InProcess) -> None:
    ids = [[run.id for run in runs(load_task(name))] for name in ("scaled.yaml", "carried.yaml")]
    assert ids[0] == ids[1]
