"""What user code keeps in Python is seen, set back and saved."""

import random
from collections import Counter, deque
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import cpd
from cpd.engine.python_checkpoint import CannotKeep, resume_state, written_state
from cpd.engine.python_state import PythonState


class Config:
    def __init__(self) -> None:
        self.rate = 0.5


class Keeping(cpd.Problem):
    seen = 0

    def __init__(self) -> None:
        self.calls = 0
        self.history: list[float] = []
        self.best = {"loss": 1.0, "at": [1, 2]}
        self.config = Config()
        self.rng = np.random.default_rng(0)
        self.torch = torch.Generator().manual_seed(0)
        self.random = random.Random(0)
        self.average = torch.zeros(3)
        self.array = np.zeros(3)
        self.recent: deque[int] = deque([1, 2], maxlen=3)
        self.counter = Counter("ab")
        self.pair = (1, [2])


class Layer(nn.Linear):
    def __init__(self) -> None:
        super().__init__(2, 2)
        self.temperature = 1.0


def keep_more(p: Keeping, model: nn.Module) -> dict[str, Any]:
    """What may be done, by the name under which it is seen."""
    return {
        "self.calls": lambda: setattr(p, "calls", 1),
        "self.history": lambda: p.history.append(0.5),
        "self.best['loss']": lambda: p.best.update(loss=0.2),
        "self.best['at']": lambda: p.best["at"].append(3),  # type: ignore[attr-defined]
        "self.config.rate": lambda: setattr(p.config, "rate", 0.1),
        "self.rng": lambda: p.rng.normal(),
        "self.torch": lambda: torch.rand(1, generator=p.torch),
        "self.random": lambda: p.random.random(),
        "self.average": lambda: p.average.add_(1),
        "self.array": lambda: p.array.__iadd__(1),
        "self.recent": lambda: p.recent.append(9),
        "self.counter['a']": lambda: p.counter.update("a"),
        "self.pair": lambda: p.pair[1].append(3),
        "self.new": lambda: setattr(p, "new", 1),
        "Keeping.seen": lambda: setattr(Keeping, "seen", Keeping.seen + 1),
        "model.0.temperature": lambda: setattr(model[0], "temperature", 0.5),  # type: ignore[index]
    }


@pytest.mark.parametrize("name", keep_more(Keeping(), nn.Sequential(Layer())))
def test_a_change_is_seen_by_its_name_set_back_and_saved(name: str) -> None:
    p, model = Keeping(), nn.Sequential(Layer())
    state = PythonState(p, model)
    assert state.changes() == []
    keep_more(p, model)[name]()
    assert state.changes() == [name]
    changed, saved = PythonState(p, model), written_state(state)
    state.restore()
    assert state.changes() == []
    resume_state(state, saved)
    assert PythonState(p, model).alike(changed)
    state.restore()
    assert PythonState(p, model).alike(state)


def test_what_modules_register_is_not_pythons() -> None:
    p, model = Keeping(), nn.Sequential(Layer(), nn.BatchNorm1d(2))
    state = PythonState(p, model)
    with torch.no_grad():
        next(model.parameters()).add_(1)
    model(torch.randn(4, 2))
    model.eval()
    assert state.changes() == []


def test_two_models_of_a_problem_may_keep_the_same() -> None:
    p = Keeping()
    one, other = nn.Sequential(Layer()), nn.Sequential(Layer())
    assert PythonState(p, one).alike(PythonState(p, other))
    setattr(other[0], "temperature", 0.3)  # noqa: B010
    assert not PythonState(p, one).alike(PythonState(p, other))


def test_what_holds_itself_and_what_is_large_end() -> None:
    p = Keeping()
    p.best["self"] = p.best
    p.history = [0.0] * 1_000_000
    state = PythonState(p)
    assert state.changes() == []
    p.history = []
    assert state.changes() == ["self.history"]


def test_what_a_checkpoint_cannot_hold_is_named() -> None:
    p = Keeping()
    state = PythonState(p)
    p.file = open(__file__)  # type: ignore[attr-defined]  # noqa: SIM115
    try:
        with pytest.raises(CannotKeep, match=r"self\.file"):
            written_state(state)
    finally:
        p.file.close()  # type: ignore[attr-defined]
