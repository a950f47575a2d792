"""What many constraints cost: ``python bench_multiplier_model.py [--repetitions 7] [--steps 400]``.

A network (64-256-256-10, 85,000 parameters) learns 1,000 digits: four runs of one program by ``multiplier_model``, with
one constraint, the mean loss, or with 1,000, each example's loss. The data and the network are the same, on all
examples a step, and on minibatches of 128 that show 128 of the 1,000. A step's seconds are those of the core, of a
training without its start and end; beside it is all of the training, with the judging of 1,000 constraints at its end.
The last rows say what free multipliers cost. Exits 1 when 1,000 constraints cost more than 1.2 times what one does a
step.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import measuring  # noqa: F401  before torch: it lets idle threads sleep
import torch
from measuring import Measured, machine, table, verdicts
from torch import nn

import cpd
from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper
from cpd.engine.cost import threads_for
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, run_spans, train
from cpd.engine.training import Training
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train

EXAMPLES, MOST = 1000, 1.2
DUAL_LR = (0.01, 0.03, 0.1, 0.3)


class Digits(cpd.Problem):
    """The first thousand of scikit-learn's digits, with a bound on their mean loss, or on the loss of each."""

    def __init__(self, each: bool) -> None:
        self.each = each

    def data(self) -> Any:
        """Return images, digits and the example's number."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        pixels = torch.tensor(images[:EXAMPLES], dtype=torch.float32) / 16
        return pixels, torch.tensor(labels[:EXAMPLES]), torch.arange(EXAMPLES)

    def model(self) -> nn.Module:
        """Return two hidden layers."""
        return nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256), nn.ReLU(), nn.Linear(256, 10))

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the size of the logits, which is to be small, and the losses."""
        images, labels, numbers = batch
        logits = model(images)
        losses = nn.functional.cross_entropy(logits, labels, reduction="none")
        bound = cpd.observed(losses, numbers, size=EXAMPLES) if self.each else losses.mean()
        return cpd.Evaluation(logits.square().mean(), {"loss": bound})


def batch_of(constraints: int, size: int | None, steps: int, method: str = "multiplier_model") -> Batch:
    """Four runs."""
    file = Path(__file__)
    arguments = {"each": constraints > 1}
    problem = ProblemSource(target=f"{file.name}:Digits", path=str(file), source=file.read_text(), arguments=arguments)
    recipe = Train(
        steps=steps,
        epochs=None,
        batch_size=size,
        optimizer=Optimizer(name="Adam", options={"lr": 1e-3}),
        dtype="float32",
    )
    keys = [RunKey(method, {"dual_lr": lr}, {"loss": 0.5}, 0, str(k)) for k, lr in enumerate(DUAL_LR)]
    return Batch(problem, {"loss": Constraint(level=0.5, sense="<=", tolerance=0.01)}, recipe, tuple(keys))


def step_seconds(batch: Batch) -> float:
    """Seconds a step, of the steps of a training alone."""
    (group,) = Builder(batch).groups()
    assert isinstance(group, Prepared)
    with threads_for(group):
        training = Training.begin(group, batch.constraints, batch.train)
        stepper = choose(batch, training)
        began = time.process_time()
        run_spans(training, stepper, Hooks(), Keeper(batch, print))
        return (time.process_time() - began) / training.steps


def training_seconds(batch: Batch) -> float:
    """Seconds of all of a training."""
    began = time.process_time()
    assert all(run.objective is not None for run in train(batch).runs)
    return time.process_time() - began


def main() -> int:
    """Measure, print, and say whether 1,000 constraints are cheap."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repetitions", type=int, default=7)
    parser.add_argument("--steps", type=int, default=400)
    asked = parser.parse_args()
    cases: dict[str, tuple[int, int | None, str]] = {
        "one, all examples": (1, None, "multiplier_model"),
        "1,000, all examples": (EXAMPLES, None, "multiplier_model"),
        "one, minibatches": (1, 128, "multiplier_model"),
        "1,000, minibatches": (EXAMPLES, 128, "multiplier_model"),
        "1,000 free, all examples": (EXAMPLES, None, "lagrangian"),
        "1,000 free, minibatches": (EXAMPLES, 128, "lagrangian"),
    }
    batches = {name: batch_of(n, size, asked.steps, method) for name, (n, size, method) in cases.items()}
    steps, trainings = Measured(), Measured()
    for batch in batches.values():  # compiled and warm
        step_seconds(batch)
    for _ in range(asked.repetitions):
        for name, batch in batches.items():
            steps.add(name, step_seconds(batch))
            trainings.add(name, training_seconds(batch))
    rows = []
    for name in batches:
        base = next(one for one in cases if one.startswith("one") and one.split(", ")[-1] == name.split(", ")[-1])
        ratios = [f"{measured.ratio(name, base):.3f}" for measured in (steps, trainings)]
        rows.append([name, f"{1e3 * steps.median(name):.2f}", ratios[0], f"{trainings.median(name):.2f}", ratios[1]])
    head = ("constraints", "ms a step", "times one's", "s a training", "times one's")
    print(table(head, rows), machine(), sep="\n")
    return verdicts(
        {
            f"a step of 1,000 beside one, {which}": (steps.ratio(f"1,000, {which}", f"one, {which}"), MOST, False)
            for which in ("all examples", "minibatches")
        }
    )


if __name__ == "__main__":
    sys.exit(bool(main()))
