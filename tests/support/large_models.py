"""A task of many runs with models of a size: every setting is feasible, and each is better than all before it."""

from pathlib import Path

LARGE = """\
import torch

import cpd


class Large(cpd.Problem):
    def __init__(self, size):
        self.size = size

    def model(self):
        return torch.nn.Linear(self.size, 1, bias=False)

    def evaluate(self, model, batch):
        x = model.weight.sum() * self.size**-0.5
        return cpd.Evaluation((x - 2).square(), {"x": x})  # penalised it ends at 2 - c/2, after one step of lr 0.5
"""
SPEC = """\
problem: large.py:Large
arguments: {{size: {size}}}
constraints: {{x: "<= 1"}}
train: {{steps: 4, optimizer: {{name: SGD, lr: 0.5}}}}
methods:
  penalized: {{coefficient: {{values: [{values}]}}}}
"""


def write_large(folder: Path, runs: int, size: int) -> None:
    """``large.py`` and ``large.yaml``."""
    (folder / "large.py").write_text(LARGE)
    values = ", ".join(str(2.1 + k / 10) for k in reversed(range(runs)))
    (folder / "large.yaml").write_text(SPEC.format(size=size, values=values))
