"""Every optimizer, however its steps are executed, is ``torch.optim``'s in double precision, over a whole training."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzz_agreement import flat
from fuzz_cases import OPTIMIZERS, Case
from fuzz_plain import train_plainly

from cpd.engine.train import train
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Optimizer, Train

compiler = pytest.mark.skipif(
    not any(shutil.which(name) for name in ("g++", "clang++", "c++")), reason="there is no C++ compiler"
)


OFTEN = [next(o for o in OPTIMIZERS if o[0] == name) for name in ("SGD", "Adam", "NAdam")]
"""Compiled in every run of the tests: it takes seconds each."""


def case(name: str, options: dict[str, Any], constraint: str = "spread", steps: int = 50) -> Case:
    """A small network on all data; it depends so little on its weights that rounding stays rounding."""
    return Case(
        0,
        name,
        "Fuzz",
        {"constraints": [constraint], "examples": 24},
        {constraint: Constraint(level=0.1, sense="<=")},
        Train(
            steps=steps,
            epochs=None,
            batch_size=None,
            optimizer=Optimizer(name=name, options=options),
            dtype="float64",
        ),
        (
            RunKey("lagrangian", {"dual_lr": 0.01}, {constraint: 0.1}, 1),
            RunKey("penalized", {"coefficient": 0.1}, {constraint: 0.1}, 1),
        ),
    )


def farthest(case: Case, stepper: str) -> float:
    """The largest relative difference of a training's curves and end from the plain loop's; no note is taken."""
    trained = train(case.batch(stepper=stepper))
    assert trained.notes == []
    apart = []
    for key, run in zip(case.keys, trained.runs, strict=True):
        plain, ours = train_plainly(case, key), flat(run)
        theirs = {**plain.numbers, **plain.curves}
        assert len(theirs) >= 9
        apart += [np.abs(ours[n] - value).max() / max(np.abs(value).max(), 1e-300) for n, value in theirs.items()]
    return float(max(apart))


@pytest.mark.parametrize(("name", "options"), [o for o in OPTIMIZERS if o[0] in ("NAdam", "RMSprop")])
def test_a_captured_training_keeps_double_precision(name: str, options: dict[str, Any]) -> None:
    assert farthest(case(name, options), "captured") < 1e-13


@pytest.mark.slow
@pytest.mark.parametrize("stepper", ["eager", "captured"])
@pytest.mark.parametrize(("name", "options"), OPTIMIZERS)
def test_every_training_keeps_double_precision(name: str, options: dict[str, Any], stepper: str) -> None:
    assert farthest(case(name, options), stepper) < 1e-13


@compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"), [o if o in OFTEN else pytest.param(*o, marks=pytest.mark.whole) for o in OPTIMIZERS]
)
def test_a_compiled_training_keeps_double_precision(
    name: str, options: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    assert farthest(case(name, options), "compiled") < 1e-13


@compiler
@pytest.mark.slow
@pytest.mark.parametrize("constraint", ["examples", "product", "outer"])
def test_vectors_that_a_product_makes_are_compiled(
    constraint: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under ``vmap`` they do not stand row by row."""
    monkeypatch.setenv("CPD_CACHE", str(tmp_path))
    assert farthest(case("SGD", {"lr": 0.02}, constraint, steps=70), "compiled") < 1e-13
