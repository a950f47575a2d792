"""Canonical JSON, and what a run's id depends on."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import TESTS
from hypothesis import given
from hypothesis import strategies as st
from spec_files import PROBLEM, REGISTRY

from cpd.outcome import RunKey
from cpd.spec.models import (
    ENGINE_VERSION,
    Constraint,
    Optimizer,
    ProblemSource,
    Task,
    Train,
    canonical_json,
    run_id,
    with_ids,
)

FIXED = Task(
    name="fixed",
    place="tasks/fixed.yaml",
    text="",
    problem=ProblemSource(target="dir/mine.py:Mine", path="/a/dir/mine.py", source=PROBLEM, arguments={"size": 3}),
    objective="f",
    constraints={"g": Constraint(level=0.7, sense=">="), "h": Constraint(level=1, sense="==")},
    train=Train(steps=100, batch_size=10, optimizer=Optimizer(name="SGD", options={"lr": 0.1})),
    methods={},
)
KEY = RunKey("lagrangian", {"dual_lr": 0.5}, {"g": 0.7, "h": 1.0}, 3)
GOLDEN = "c1:09501bb7d8887163"


def fixed_id(key: RunKey = KEY, **changes: Any) -> str:
    return run_id(FIXED.model_copy(update=changes), key, REGISTRY)


def test_an_id_stays_what_it_was() -> None:
    assert ENGINE_VERSION == 1
    assert fixed_id() == GOLDEN
    assert with_ids(FIXED, [KEY], REGISTRY) == [replace(KEY, id=GOLDEN)]


def test_an_id_is_the_same_in_every_process() -> None:
    program = "import sys; sys.path[:0] = sys.argv[1:]\nfrom test_identity import fixed_id\nprint(fixed_id())\n"
    found = set()
    for seed in ("0", "1", "2"):
        done = subprocess.run(
            [sys.executable, "-c", program, str(Path(__file__).parent), str(TESTS / "support")],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        found.add(done.stdout.strip())
    assert found == {GOLDEN}


SAME = {
    "name": {"name": "other", "place": "elsewhere.yaml", "text": "...", "description": "x", "notes": ("x",)},
    "objective's name": {"objective": "loss"},
    "tolerance": {"constraints": {n: c.model_copy(update={"tolerance": 9.0}) for n, c in FIXED.constraints.items()}},
    "own level": {"constraints": {n: c.model_copy(update={"level": 9.0}) for n, c in FIXED.constraints.items()}},
    "what else is tried": {"methods": {"penalized": ({"coefficient": 1.0},)}, "levels": {"g": (1.0,)}, "seeds": (1, 2)},
    "folder": {"problem": FIXED.problem.model_copy(update={"target": "mine.py:Mine", "path": "/b/mine.py"})},
    "1 for 1.0": {
        "train": FIXED.train.model_copy(update={"optimizer": Optimizer(name="SGD", options={"lr": 0.1, "x": 1})})
    },
}


@pytest.mark.parametrize("change", [name for name in SAME if name != "1 for 1.0"])
def test_an_id_does_not_depend_on(change: str) -> None:
    assert fixed_id(**SAME[change]) == GOLDEN


def test_an_id_does_not_depend_on_how_a_number_is_written() -> None:
    written = FIXED.train.model_copy(update={"optimizer": Optimizer(name="SGD", options={"lr": 0.1, "x": 1.0})})
    assert fixed_id(**SAME["1 for 1.0"]) == fixed_id(train=written)
    assert fixed_id(replace(KEY, levels={"g": 0.7, "h": 1})) == GOLDEN
    assert fixed_id(replace(KEY, levels={"h": 1.0, "g": 0.7})) == GOLDEN


def test_an_id_fills_in_the_defaults() -> None:
    spelled_out = {"update": "alternating", "dual_lr": 0.5, "restart": False}
    assert fixed_id(replace(KEY, setting=spelled_out)) == GOLDEN


def test_an_id_depends_on_all_that_changes_the_number() -> None:
    problem, train, constraints = FIXED.problem, FIXED.train, FIXED.constraints
    ids = [
        fixed_id(),
        fixed_id(replace(KEY, seed=4)),
        fixed_id(replace(KEY, setting={"dual_lr": 0.6})),
        fixed_id(replace(KEY, setting={"dual_lr": [0.5, 0.6]})),
        fixed_id(replace(KEY, setting={"dual_lr": 0.5, "restart": True})),
        fixed_id(replace(KEY, levels={"g": 0.8, "h": 1.0})),
        fixed_id(replace(KEY, method="nupi")),
        fixed_id(problem=problem.model_copy(update={"target": "mine.py:Other"})),
        fixed_id(problem=problem.model_copy(update={"target": "other.py:Mine"})),
        fixed_id(problem=problem.model_copy(update={"source": PROBLEM + "# edited\n"})),
        fixed_id(problem=problem.model_copy(update={"arguments": {"size": 4}})),
        fixed_id(train=train.model_copy(update={"steps": 101})),
        fixed_id(train=train.model_copy(update={"steps": None, "epochs": 100.0})),
        fixed_id(train=train.model_copy(update={"batch_size": None})),
        fixed_id(train=train.model_copy(update={"dtype": "float64"})),
        fixed_id(train=train.model_copy(update={"optimizer": Optimizer(name="SGD", options={"lr": 0.2})})),
        fixed_id(train=train.model_copy(update={"optimizer": Optimizer(name="Adam", options={"lr": 0.1})})),
        fixed_id(constraints={**constraints, "g": Constraint(level=0.7, sense="<=")}),
        # The order decides which constraint a list such as [0.5, 0.6] means.
        fixed_id(constraints=dict(reversed(constraints.items()))),
    ]
    assert len(set(ids)) == len(ids)


def test_canonical_json_is_one_text_for_equal_values() -> None:
    value = {"b": (1.0, -0.0, True, None), "a": {"y": 1e300, "x": 0.1}, "c": "é"}
    assert canonical_json(value) == '{"a":{"x":0.1,"y":1e+300},"b":[1,0,true,null],"c":"\\u00e9"}'


@pytest.mark.parametrize("value", [float("nan"), [float("inf")]])
def test_canonical_json_refuses_what_is_not_finite(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON"):
        canonical_json(value)


def test_canonical_json_refuses_what_has_no_order() -> None:
    with pytest.raises(TypeError, match=r"^set has no canonical JSON$"):
        canonical_json([{1, 2}])
    with pytest.raises(TypeError, match=r"^a key must be a string, not 1$"):
        canonical_json({1: 2})


NUMBERS = st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(2**60), 2**60))
PLAIN = st.recursive(
    st.one_of(st.none(), st.booleans(), NUMBERS, st.text()),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text(), inner)),
    max_leaves=20,
)


@given(PLAIN)
def test_canonical_json_reads_back_as_the_same_value(value: Any) -> None:
    text = canonical_json(value)
    assert json.loads(text) == value
    assert canonical_json(json.loads(text)) == text
