"""A run whose step raises ends alone, though it is fused with others.

``min (x - 2)^2`` with a penalty ``c (x - 1)`` goes to ``x = 2 - c/2``, which is below 0 for c > 4. A matrix with x on
its diagonal has no Cholesky factor there, and torch raises for the whole batch.
"""

import json
from pathlib import Path

import pytest
from command_line import InProcess

from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Trained, train

PROBLEM = """\
import torch
import cpd


class Factor(cpd.Problem):
    def __init__(self, most=None):
        self.most = most

    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.tensor(1.0))
        return model

    def evaluate(self, model, batch):
        positive = model.x if self.most is None else self.most - model.x
        torch.linalg.cholesky(positive.detach().reshape(1, 1))
        return cpd.Evaluation((model.x - 2) ** 2, {"x": model.x})
"""

SPEC = """\
problem: factor.py:Factor
objective: f
constraints: {x: "<= 1"}
train: {steps: 60, optimizer: {name: SGD, lr: 0.05}, dtype: float64}
methods: {penalized: {coefficient: {values: VALUES}}}
"""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    made = InProcess(tmp_path, monkeypatch, capsys)
    made.write("factor.py", PROBLEM)
    return made


@pytest.mark.parametrize(
    "values",
    [
        (1, 2, 3, 30),
        (30, 1, 2, 3),
        (1, 2, 30, 3),
        (1, 30),
        (1, 2, 5, 3, 9, 2.5, 6, 30, 0.5),  # each at a step of its own
        (30, 1, 30.1, 2, 30.2, 30.3, 3, 30.4, 1.5),  # several at the same step
    ],
)
@pytest.mark.parametrize("engine", ["eager", "captured"])
def test_a_step_that_raises_ends_its_own_run(cpd: InProcess, values: tuple[float, ...], engine: str) -> None:
    cpd.write("factor.yaml", SPEC.replace("VALUES", str(list(values))))
    done = cpd("sweep", "factor.yaml", "-f", "json", "--engine", engine, "--checkpoint-every", "0")
    assert done.rc == 1, done.stderr
    rows = json.loads(done.stdout)["runs"]
    assert [row["setting"]["coefficient"] for row in rows] == list(values)
    for row in rows:
        c = row["setting"]["coefficient"]
        assert row["status"] == ("failed" if c > 4 else "completed")
        if c > 4:
            assert "cholesky" in row["error"]
        else:
            assert row["objective"] == pytest.approx((c / 2) ** 2, rel=0.02)
    assert f"a step of {len(values)} fused runs raised" in done.stderr
    assert [path.name for path in Path(".cpd").glob("*checkpoints*")] == []


def test_what_every_run_raises_is_not_tried_for_each(cpd: InProcess, monkeypatch: pytest.MonkeyPatch) -> None:
    trained: list[int] = []

    def counted(batch: Batch, hooks: Hooks) -> Trained:
        trained.append(len(batch.keys))
        return train(batch, hooks)

    monkeypatch.setattr("cpd.run.apart.train", counted)
    cpd.write("factor.yaml", SPEC.replace("VALUES", str([k / 1000 for k in range(50)])))
    done = cpd("sweep", "factor.yaml", "-f", "json", "--set", "arguments.most=1.25")
    rows = json.loads(done.stdout)["runs"]
    assert [row["status"] for row in rows] == ["failed"] * 50
    assert all("cholesky" in row["error"] for row in rows)
    assert trained == [50, 1, 1, 1]
    assert sum(row["error"].startswith("Traceback") for row in rows) == 3
    assert "Not trained alone" in done.stderr
