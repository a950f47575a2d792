"""A project of tasks that use all that a run's id is made of: the golden ids are theirs and the bundled tasks'."""

from pathlib import Path

PROBLEM = """import json
import math

import numpy
import torch

import cpd


class Mine(cpd.Problem):
    def __init__(self, size=3, **options):
        self.size = size
"""

FILES = {
    "mine.py": PROBLEM,
    "package/__init__.py": "",
    "package/inner.py": PROBLEM,
    "short_forms.yaml": """
problem: mine.py:Mine
constraints: {g: "<= 0.5", h: ">= 1e-3", k: "== 2"}
train: {epochs: 1.5, optimizer: Adam}
methods: {penalized: {coefficient: 1}, nupi: {dual_lr: 0.1}}
""",
    "lists.yaml": """
problem: mine.py:Mine
constraints: {g: "<= 0.5", h: {level: 1, sense: "=="}}
train: {steps: 1e3, batch_size: 8, optimizer: {name: AdamW, lr: 1e-3, betas: [0.9, 0.99], weight_decay: 0}}
methods:
  penalized: {coefficient: {values: [[0, 1], [1.5, 2], 3]}}
  augmented_lagrangian: {dual_lr: [0.1, 1], penalty: [1, 2], multiplier_init: [0, -1]}
""",
    "blocks.yaml": """
problem: mine.py:Mine
constraints: {g: "<= 0.5"}
train: {steps: 10}
seeds: 3
methods:
  penalized: {coefficient: {min: 1e-3, max: 10, num: 5, scale: log}}
  quadratic_penalty: [{coefficient: 1}, {coefficient: 1, growth: 1.5}]
  lagrangian:
    - {dual_lr: 0.1}
    - {dual_lr: 0.1, update: simultaneous, dual_optimizer: Adam, restart: true, multiplier_init: 1}
  nupi:
    - {dual_lr: 0.1, kp: 1, ki: 0.5, nu: -0.5}
    - {dual_lr: 0.1, init: {values: [released, documented, zeros]}, multiplier_init: 0.5}
  augmented_lagrangian: [{dual_lr: 1, penalty: 1}, {dual_lr: 1, penalty: 2, growth: 1.1, update: simultaneous}]
""",
    "levels.yaml": """
problem: mine.py:Mine
constraints: {g: {level: 0.5, sense: "<=", tolerance: 0.1}, h: ">= 0"}
train: {steps: 10, dtype: float64, batch_size: all}
seeds: 0:3
levels: {g: {min: 0.1, max: 0.3, num: 3}, h: [0, -1]}
methods: {lagrangian: {dual_lr: 1}}
""",
    "arguments.yaml": """
problem: mine.py:Mine
arguments: {size: 4, deep: {a: [1, 2.5, x, null, true], b: {c: 1e-7}}, "a name": ""}
constraints: {g: "<= 0.5"}
train: {steps: 10, optimizer: {name: SGD, lr: 0.1, momentum: 0.9, nesterov: true}}
methods: {penalized: {coefficient: 0}}
""",
    "dotted.yaml": """
problem: package.inner:Mine
constraints: {g: "<= 0.5"}
train: {steps: 10}
methods: {penalized: {coefficient: 1}}
""",
    "search.yaml": """
problem: mine.py:Mine
constraints: {g: "<= 0.5"}
train: {epochs: 2, batch_size: 1}
seeds: [1, 9]
search: {target: 0.5}
""",
    "sweep.yaml": """
task: short_forms.yaml
arguments: {size: 5}
constraints: {h: {level: 2}}
train: {steps: 7}
seeds: 1,2
methods: {penalized: {coefficient: {values: [1, 2]}}}
""",
}


def write_project(folder: Path) -> list[str]:
    """Write the project; return the names of its specs."""
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text.lstrip("\n") if name.endswith(".yaml") else text, encoding="utf-8")
    return [name for name in FILES if name.endswith(".yaml")]
