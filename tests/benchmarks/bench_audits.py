"""What audits cost: ``python bench_audits.py [--repetitions 3]``.

The share of a training's time, on its core, that goes into comparing its steps with those of one run alone: at the
start, at each look and at the end, copies of generators and of Python's state included. Trainings are the 40 runs of
Figure 2, eight runs of digits' sparsity, and four of a small convolutional network. Whole commands begin with the first
evaluations, which are compared too; they are shown apart. Exits 1 when a share is above 2 %.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import measuring  # noqa: F401  before torch: it lets idle threads sleep
import torch
from measuring import Measured, machine, table
from torch import nn

import cpd
from cpd.engine import replay
from cpd.engine.batch import Batch
from cpd.engine.checkpointing import Keeper
from cpd.engine.cost import threads_for
from cpd.engine.prepared import Prepared
from cpd.engine.preparing import Builder
from cpd.engine.steppers.choice import choose
from cpd.engine.train import Hooks, run_spans
from cpd.engine.training import Training
from cpd.outcome import RunKey
from cpd.run import commands
from cpd.spec.identity import runs as expand
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Train

MOST = 0.02
"""The share of a training that audits may take."""


class Digits(cpd.Problem):
    """A convolutional network on scikit-learn's digits, at most a tenth of which may be called eights."""

    def data(self) -> Any:
        """Return 1,797 images of 8 x 8."""
        from sklearn.datasets import load_digits

        images, labels = load_digits(return_X_y=True)
        return torch.tensor(images, dtype=torch.float32).view(-1, 1, 8, 8) / 16, torch.tensor(labels)

    def model(self) -> nn.Module:
        """Return two convolutions and a layer."""
        return nn.Sequential(
            *(nn.Conv2d(1, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, padding=1), nn.ReLU()),
            *(nn.MaxPool2d(2), nn.Flatten(), nn.Linear(256, 10)),
        )

    def evaluate(self, model: nn.Module, batch: Any) -> cpd.Evaluation:
        """Evaluate the loss and the rate of eights."""
        logits = model(batch[0])
        return cpd.Evaluation(nn.functional.cross_entropy(logits, batch[1]), {"eights": logits.softmax(1)[:, 8].mean()})


def of_task(name: str, runs: int, **changed: Any) -> Batch:
    """The first runs of a bundled task."""
    task = commands.load(name)
    keys = [replace(key, id=str(k)) for k, key in enumerate(expand(task)[:runs])]
    return Batch(task.problem, task.constraints, task.train.model_copy(update=changed), tuple(keys))


def convolutional() -> Batch:
    """Four runs of the convolutional network, 30 epochs."""
    source = ProblemSource(
        target="bench_audits.py:Digits", path=str(Path(__file__)), source=Path(__file__).read_text(), arguments={}
    )
    train = Train(epochs=30, batch_size=64, optimizer=Optimizer(name="Adam", options={"lr": 1e-3}), dtype="float32")
    keys = [RunKey("penalized", {"coefficient": c}, {"eights": 0.1}, 0, str(c)) for c in (0.0, 0.1, 1.0, 10.0)]
    return Batch(source, {"eights": Constraint(level=0.1, sense="<=", tolerance=0.01)}, train, tuple(keys))


class Clock:
    """Adds up the time of functions that it wraps, on this thread's core; of one that calls another once."""

    def __init__(self) -> None:
        self.seconds = 0.0
        self._depth = 0

    def timed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """The same function, timed."""

        def timed(*words: Any, **named: Any) -> Any:
            self._depth += 1
            began = time.process_time()
            try:
                return function(*words, **named)
            finally:
                self._depth -= 1
                if not self._depth:
                    self.seconds += time.process_time() - began

        return timed


def shares(batch: Batch) -> tuple[float, float, float]:
    """Seconds of the first evaluations, of the training, and the share of audits in that."""
    began = time.process_time()
    group = next(iter(Builder(batch).groups()))
    before = time.process_time() - began
    assert isinstance(group, Prepared)
    clock, moment, audit, settle = Clock(), replay.Replay._moment, replay.audit, replay.Replay.settle  # type: ignore[attr-defined]
    replay.Replay._moment, replay.audit = clock.timed(moment), clock.timed(audit)  # type: ignore[method-assign, attr-defined]
    replay.Replay.settle = clock.timed(settle)  # type: ignore[method-assign]
    try:
        with threads_for(group):
            training = Training.begin(group, batch.constraints, batch.train)
            stepper = choose(batch, training)
            began = time.process_time()
            notes = run_spans(training, stepper, Hooks(), Keeper(batch, print))
            seconds = time.process_time() - began
    finally:
        replay.Replay._moment, replay.audit, replay.Replay.settle = moment, audit, settle  # type: ignore[method-assign, attr-defined]
    assert not notes, notes
    return before, seconds, clock.seconds / seconds


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repetitions", type=int, default=3)
    arguments = parser.parse_args()
    batches = {
        "Figure 2, 40 runs, 10,000 steps": of_task("figure2", 40),
        "digits' sparsity, 8 runs, 300 epochs": of_task("sparsity", 8),
        "convolutions, 4 runs, 30 epochs": convolutional(),
    }
    firsts, trainings, audits = Measured(), Measured(), Measured()
    for batch in batches.values():  # compiled and warm
        shares(replace(batch, train=batch.train.model_copy(update={"steps": 40, "epochs": None})))
    for _ in range(arguments.repetitions):
        for name, batch in batches.items():
            before, seconds, share = shares(batch)
            firsts.add(name, before)
            trainings.add(name, seconds)
            audits.add(name, share)
    rows = [
        [name, f"{firsts.median(name):.2f}", f"{trainings.median(name):.2f}", f"{audits.median(name):.2%}"]
        for name in batches
    ]
    print(table(["training", "first evaluations, s", "training, s", "audits"], rows), machine(), sep="\n")
    return int(any(audits.median(name) > MOST for name in batches))


if __name__ == "__main__":
    sys.exit(main())
