"""Tasks for the tests that kill, fill and interrupt sweeps: written as a user would write them."""

from pathlib import Path

POINTS = """\
import os
import sys

import torch

import cpd


def compared():
    # Whether the step under way is made to compare, or to look at a finished model: it is none of the training.
    frame, callers = sys._getframe(), set()
    while frame is not None:
        callers.add(frame.f_code.co_name)
        frame = frame.f_back
    return bool(callers & {"settle", "audit", "confirmed", "certified", "ends_of"})


def count():
    # A step that was done is on record, whatever ends the process next.
    if "STEPS" in os.environ and not compared():
        with open(os.environ["STEPS"], "ab", buffering=0) as file:
            file.write(b".")


class Points(cpd.Problem):
    def __init__(self, gates: bool = False):
        self.gates = gates

    def data(self):
        x = torch.randn(40, 3, generator=torch.Generator().manual_seed(5))
        return x, (x[:, 0] > 0).to(x.dtype)

    def model(self):
        return torch.nn.Linear(3, 1)

    def evaluate(self, model, batch):
        x, y = batch
        keep = (torch.rand(3) < 0.7).to(x.dtype) if self.gates else 1.0
        logits = model(x * keep)[:, 0]
        loss = torch.nn.functional.binary_cross_entropy_with_logits(logits, y)
        rate = logits.sigmoid().mean()
        return cpd.Evaluation(loss, {"rate": rate}, strict={"rate": (logits > 0).to(x.dtype).mean()})

    def project(self, parameters):
        count()  # once a step, where steps are executed as they are written
        return parameters
"""

FULL_BATCH = """\
problem: points.py:Points
objective: loss
constraints: {rate: "<= 0.6"}
train: {steps: 120, optimizer: {name: Adam, lr: 0.01}}
seeds: 1:5
methods:
  penalized: {coefficient: {values: [0, 0.1, 1]}}
  nupi: {dual_lr: {values: [0.01, 0.1, 1]}, kp: 2, nu: 0.5}
"""

MINIBATCHES = """\
problem: points.py:Points
arguments: {gates: true}
objective: loss
constraints: {rate: "<= 0.6"}
train: {epochs: 68, batch_size: 16, optimizer: {name: SGD, lr: 0.05, momentum: 0.9}}
seeds: 0:6
methods:
  penalized: {coefficient: 0.1}
  lagrangian: {dual_lr: 0.1}
"""


def write_tasks(folder: Path) -> None:
    """``points.py`` and its two tasks: one sees all data in a step, one draws minibatches and random gates."""
    (folder / "points.py").write_text(POINTS, encoding="utf-8")
    (folder / "full.yaml").write_text(FULL_BATCH, encoding="utf-8")
    (folder / "minibatches.yaml").write_text(MINIBATCHES, encoding="utf-8")
