"""Sweeps of values that are very small, very large or very many, through the command line."""

import json
from pathlib import Path

import pytest
from command_line import InProcess

PROBLEM = """
import cpd, torch

class Line(cpd.Problem):
    '''f = (x - 2)^2, or -x^2; the value is a multiple of x, or x^2, or as many x as asked for'''
    def __init__(self, of: str = "x", scale: float = 1.0, count: int = 1):
        self.of, self.scale, self.count = of, scale, count

    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.zeros(self.count) + float(self.of == "square"))
        return model

    def evaluate(self, model, batch):
        x = model.x if self.count > 1 else model.x[0]
        if self.of == "square":
            return cpd.Evaluation(-(x**2), {"g": x**2})
        return cpd.Evaluation(((x - 2) ** 2).sum(), {"g": self.scale * x})
"""


@pytest.fixture
def command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    (tmp_path / "line.py").write_text(PROBLEM)
    return InProcess(tmp_path, monkeypatch, capsys)


def write(folder: Path, arguments: str, bound: str, train: str, methods: str) -> str:
    (folder / "line.yaml").write_text(
        f"problem: line.py:Line\narguments: {arguments}\nobjective: f\nconstraints: {{g: {bound}}}\n"
        f"train: {{optimizer: {{name: SGD, lr: 0.1}}, {train}}}\nmethods: {methods}\n"
    )
    return "line.yaml"


def test_a_small_value_above_a_small_level_is_not_feasible(command: InProcess, tmp_path: Path) -> None:
    bound = '{level: 1.0e-8, sense: "<=", tolerance: 0}'
    task = write(tmp_path, "{scale: 1.0e-7}", bound, "steps: 100", "{penalized: {coefficient: 0}}")
    done = command("sweep", task, "--no-store", "--format", "json")
    assert done.rc == 3, done.stderr
    [run] = json.loads(done.stdout)["runs"]
    assert run["constraints"]["g"]["value"] == pytest.approx(2e-7)
    assert not run["feasible"]


def test_a_level_that_another_setting_reaches_is_not_out_of_reach(command: InProcess, tmp_path: Path) -> None:
    methods = "{lagrangian: {dual_lr: {values: [1.0e-5, 3.0e-4, 1.0e-3, 3.0e-3, 1.0e-2, 0.1]}}}"
    task = write(tmp_path, "{}", '"<= -1"', "steps: 1000", methods)
    done = command("sweep", task, "--no-store", "--format", "json")
    runs = json.loads(done.stdout)["runs"]
    assert [run["feasible"] for run in runs] == [False] * 5 + [True]
    assert [run["diagnosis"] for run in runs] == ["budget_exhausted"] * 5 + [None]


def test_what_runs_away_but_stays_finite_is_shown_and_exported(command: InProcess, tmp_path: Path) -> None:
    methods = "{penalized: {coefficient: {values: [0, 5]}}}"
    task = write(tmp_path, "{of: square}", '"<= 1"', "steps: 1500, dtype: float64", methods)
    done = command("sweep", task, "--format", "json")
    assert done.rc == 0, done.stderr
    runs = json.loads(done.stdout)["runs"]
    assert [run["feasible"] for run in runs] == [False, True]
    assert runs[0]["constraints"]["g"]["violation"] > 1e200
    for form in ("table", "json", "csv", "markdown", "latex"):
        assert command("show", "last", "--format", form).rc == 0
    assert command("export", "last", "--to", "runs.csv").rc == 0
    assert command("plot", "last", "--to", "runs.png").rc == 0


def test_a_long_vector_is_one_column_to_read(command: InProcess, tmp_path: Path) -> None:
    task = write(tmp_path, "{count: 300}", '"<= 1"', "steps: 60", "{lagrangian: {dual_lr: {values: [0.1, 1]}}}")
    assert command("sweep", task).rc in (0, 3)
    for form in ("table", "markdown", "latex"):
        shown = command("show", "last", "--format", form).stdout
        assert "worst of" in shown
        assert max(len(line) for line in shown.splitlines() if "exhausted" not in line) < 200
    rows = command("show", "last", "--format", "csv").stdout.splitlines()
    assert rows[0].count("constraints.g.value.") == 300
    assert (
        len(json.loads(command("show", "last", "--format", "json").stdout)["runs"][0]["constraints"]["g"]["value"])
        == 300
    )
