"""The rate experiment as a plain script with Cooper: the numbers of the bundled task, and the settings of Figure 2."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from commands import ROOT
from engine_batches import RATE, bundled, key, recipe

from cpd.engine.batch import Batch
from cpd.engine.train import train
from cpd.spec.models import Optimizer

pytest.importorskip("cooper", reason="cooper-optim is not installed: the extra 'test-all' has it")

SCRIPT = ROOT / "examples" / "rate_with_cooper.py"
STEPS = 60


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "name", "value"), [("penalized", "coefficient", 2.15443469003), ("lagrangian", "dual_lr", 10.0)]
)
def test_the_script_trains_as_the_bundled_task(tmp_path: Path, method: str, name: str, value: float) -> None:
    flag = f"--{name.replace('_', '-')}"
    words = ["--method", method, flag, str(value), "--steps", str(STEPS), "--seed", "1", "--out", str(tmp_path / "out")]
    subprocess.run([sys.executable, "-P", str(SCRIPT), *words], check=True)
    found = json.loads((tmp_path / "out" / "result.json").read_text())
    keys = (replace(key(method, {"class0_rate": 0.7}), setting={name: value}),)
    sgd = Optimizer(name="SGD", options={"lr": 0.02})
    asked = Batch(bundled("cpd.problems.rate:Rate"), RATE, recipe(STEPS, optimizer=sgd, dtype="float32"), keys)
    (run,) = train(asked).runs
    assert found["cross_entropy"] == pytest.approx(run.objective, rel=1e-6)
    assert found["class0_rate"]["hits"] / found["class0_rate"]["of"] == pytest.approx(
        run.constraints["class0_rate"].value
    )
    assert found["accuracy"] == pytest.approx(run.metrics["accuracy"])


def test_its_task_has_the_settings_of_figure_2() -> None:
    task = yaml.safe_load((ROOT / "examples" / "rate_with_cooper.yaml").read_text())
    rate = yaml.safe_load((ROOT / "tasks" / "rate.yaml").read_text())
    figure = yaml.safe_load((ROOT / "sweeps" / "figure2.yaml").read_text())
    assert task["methods"] == figure["methods"]
    assert (task["constraints"], task["seeds"]) == (rate["constraints"], rate["seeds"])
