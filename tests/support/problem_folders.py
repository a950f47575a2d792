"""Folders with a small problem of the user's own, to import, to edit and to sweep."""

from pathlib import Path
from typing import Any

import cpd

HEAD = "import pathlib\nimport torch\nimport cpd\n"

BODY = """

class Mine(cpd.Problem):
    def data(self):
        return (torch.tensor({data}, dtype=torch.float32).reshape(-1),)

    def model(self):
        model = torch.nn.Module()
        model.x = torch.nn.Parameter(torch.zeros(()))
        return model

    def evaluate(self, model, batch):
        mean = batch[0].mean()
        return cpd.Evaluation((model.x - mean) ** 2, {{"g": model.x}}, metrics={{"seen": mean}})
"""
"""A problem whose metric ``seen`` is the mean of its data."""

HERE = "pathlib.Path(__file__).parent"

SPEC = """problem: {problem}
constraints: {{g: "<= 1000"}}
train: {{steps: 3, optimizer: {{name: SGD, lr: 0.1}}}}
methods: {{penalized: {{coefficient: {{values: [0, 1]}}}}}}
"""


def write_problem(folder: Path, data: str, before: str = "", name: str = "mine.py", problem: str | None = None) -> str:
    """Write a problem whose data are this expression, and its task; return the task's path."""
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_text(HEAD + before + BODY.format(data=data))
    (folder / "mine.yaml").write_text(SPEC.format(problem=problem or f"{name}:Mine"))
    return str(folder / "mine.yaml")


def swept(task: str, store: Path | None = None, **options: Any) -> tuple[float | None, str | None, int]:
    """What a sweep's first run saw, its id, and how many runs the store had."""
    kept = {"keep": False} if store is None else {"store": store}
    result = cpd.sweep(task, options=cpd.Options(engine="eager", **kept, **options))
    first = result.finished[0]
    return first.metrics.get("seen"), first.key.id, result.found
