"""A small valid spec for the tests to vary."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.spec.models import Task
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task

PROBLEM = "import cpd\n\n\nclass Mine(cpd.Problem):\n    pass\n"
NUMBER = "write a number like 0.5 or 1e-3"
OPTIMIZERS = "SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop"
MODELS_OPTIMIZERS = f"{OPTIMIZERS}, Adafactor, Muon, LBFGS"
METHODS = ", ".join(REGISTRY)

BASE = {
    "problem": "mine.py:Mine",
    "constraints": "{g: '>= 0.7', h: {level: 1, sense: '<=', tolerance: 0.1}}",
    "train": "{steps: 10, optimizer: {name: SGD, lr: 0.1}}",
    "methods": "{penalized: {coefficient: 0.1}}",
}

Write = Callable[..., str]


def writer(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Go to a folder with ``mine.py``; return what writes ``x.yaml`` there: BASE with keys replaced, or left out."""
    monkeypatch.chdir(folder)
    (folder / "mine.py").write_text(PROBLEM)

    def write(name: str = "x.yaml", **keys: str | None) -> str:
        lines = [f"{key}: {value}" for key, value in {**BASE, **keys}.items() if value is not None]
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text("# A task\n" + "\n".join(lines) + "\n", encoding="utf-8")
        return name

    return write


def load(name: str, *assignments: str, **words: Any) -> Task:
    return load_task(name, Overrides(set=assignments, **words))


def refusal(name: str, *assignments: str, **words: Any) -> str:
    """The whole message that a spec, or the command line's words for it, is refused with."""
    with pytest.raises(CpdError) as caught:
        load(name, *assignments, **words)
    return str(caught.value)
