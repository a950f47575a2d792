"""Canonical JSON, and what a run's id depends on."""

import json
import os
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from commands import TESTS
from golden import golden
from hypothesis import given
from hypothesis import strategies as st
from identity_tasks import write_project
from spec_files import PROBLEM

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.spec import identity
from cpd.spec.bundled import bundled
from cpd.spec.held_out import Split
from cpd.spec.identity import ENGINE_VERSION, canonical_json, run_id, runs, with_ids
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Task, Train, task_from_json
from cpd.spec.reader import load_task
from cpd.spec.validation import Checked

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
GOLDEN = "c1:3a7b9900838cd468"


def fixed_id(key: RunKey = KEY, **changes: Any) -> str:
    return run_id(FIXED.model_copy(update=changes), key)


def test_an_id_stays_what_it_was() -> None:
    assert ENGINE_VERSION == 1
    assert fixed_id() == GOLDEN
    assert with_ids(FIXED, [KEY]) == [replace(KEY, id=GOLDEN)]


def ids(task: Task) -> list[str | None]:
    """Of all runs of a task, and of a penalised run of each seed, as a search trains it."""
    levels = {name: constraint.level for name, constraint in task.constraints.items()}
    searched = [RunKey("penalized", {"coefficient": 0.1}, levels, seed) for seed in task.seeds]
    return [*(key.id for key in runs(task)), *(run_id(task, key) for key in searched)]


def stored_tasks() -> dict[str, Task]:
    """The tasks of a store of the first version, as they were written down then."""
    store = sqlite3.connect(f"file:{TESTS / 'stores' / 'version-1.sqlite'}?mode=ro&immutable=1", uri=True)
    rows = store.execute("SELECT number, task FROM specs ORDER BY number").fetchall()
    store.close()
    return {f"version-1.sqlite, spec {number}": task_from_json(json.loads(text)) for number, text in rows}


def test_ids_of_many_tasks_stay_what_they_were(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = [*(one.name for one in bundled()), *write_project(tmp_path)]
    tasks = {name: load_task(name) for name in names} | stored_tasks()
    golden("ids.json", json.dumps({name: ids(task) for name, task in tasks.items()}, indent=1) + "\n")


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


SAME: dict[str, dict[str, Any]] = {
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


def test_an_id_depends_on_measures_along_the_way_however_they_are_written() -> None:
    def asked(**train: Any) -> str:
        return fixed_id(train=Train.model_validate(FIXED.train.model_dump() | train))

    assert asked(measure_every=None, select="last", stop=None) == GOLDEN
    assert asked(measure_every="epoch") == asked(measure_every="1 epoch")
    assert asked(stop={"feasible_for": 5}) == asked(stop={"feasible_for": 5, "gap": 0.05})
    ways: list[dict[str, Any]] = [
        {"measure_every": "epoch"},
        {"measure_every": 1},
        {"select": "best_feasible"},
        {"stop": {"feasible_for": 5}},
        {"stop": {"feasible_for": 5, "gap": 0}},
    ]
    assert len({GOLDEN, *(asked(**way) for way in ways)}) == 1 + len(ways)


def test_an_id_depends_on_which_examples_are_held_out_and_not_on_which_decide() -> None:
    assert fixed_id(judge="training") == fixed_id(judge="held_out", held_out=None) == GOLDEN
    assert fixed_id(held_out=Split(share=0.2)) == fixed_id(held_out=Split(share=0.2, seed=0, stratify=None))
    ways = [Split(share=0.2), Split(share=0.3), Split(share=0.2, seed=1), Split(share=0.2, stratify=1)]
    ways.append(Split(share=0.2, stratify="1"))
    assert len({GOLDEN, *(fixed_id(held_out=way) for way in ways)}) == 1 + len(ways)


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


# What is added later


class Schedule(Checked):
    """A part of a recipe as one may be added."""

    name: str
    start: float = 0.0


class LaterTrain(Train):
    """A recipe of a later version."""

    plan: Schedule | None = None
    shrink: float = 1.0


class LaterOptimizer(Optimizer):
    """Likewise."""

    warm: bool = False


def with_recipe(**later: Any) -> str:
    return fixed_id(train=LaterTrain(**FIXED.train.model_dump(), **later))


def test_a_field_that_is_added_to_the_recipe_moves_no_id() -> None:
    assert with_recipe() == with_recipe(plan=None, shrink=1) == GOLDEN


def test_a_field_that_was_added_counts_where_it_is_not_its_default() -> None:
    plain = with_recipe(plan=Schedule(name="cosine"))
    found = [with_recipe(shrink=2.0), plain, with_recipe(plan=Schedule(name="cosine", start=1.0))]
    assert len({GOLDEN, *found}) == 4
    assert with_recipe(plan=Schedule(name="cosine", start=0)) == plain


def test_an_option_that_is_added_to_the_optimizer_moves_no_id() -> None:
    def moved(**given: bool) -> str:
        later = LaterOptimizer(name="SGD", options={"lr": 0.1}, **given)
        return fixed_id(train=FIXED.train.model_copy(update={"optimizer": later}))

    assert moved() == moved(warm=False) == GOLDEN
    assert moved(warm=True) != GOLDEN


def add_hyperparameter(monkeypatch: pytest.MonkeyPatch, default: float) -> None:
    known = REGISTRY["lagrangian"].hyperparameters
    changed = REGISTRY["lagrangian"]._replace(hyperparameters={**known, "start": Hyperparameter(default=default)})
    monkeypatch.setitem(REGISTRY, "lagrangian", changed)


def test_a_hyperparameter_that_is_added_to_a_method_moves_no_id(monkeypatch: pytest.MonkeyPatch) -> None:
    add_hyperparameter(monkeypatch, default=0.0)
    assert fixed_id() == GOLDEN
    assert fixed_id(replace(KEY, setting={"dual_lr": 0.5, "start": 0})) == GOLDEN
    assert fixed_id(replace(KEY, setting={"dual_lr": 0.5, "start": 0.1})) != GOLDEN


def test_a_default_may_change_and_a_number_keeps_its_id(monkeypatch: pytest.MonkeyPatch) -> None:
    add_hyperparameter(monkeypatch, default=0.0)
    moved = fixed_id(replace(KEY, setting={"dual_lr": 0.5, "start": 0.1}))
    add_hyperparameter(monkeypatch, default=0.1)
    monkeypatch.setattr(identity, "FIRST_DEFAULTS", {"lagrangian.start": 0.0})
    assert fixed_id() == moved
    assert fixed_id(replace(KEY, setting={"dual_lr": 0.5, "start": 0.0})) == GOLDEN


def test_a_method_that_is_added_writes_what_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(REGISTRY, "later", REGISTRY["nupi"]._replace(name="later"))
    key = replace(KEY, method="later")
    assert fixed_id(replace(key, setting={"dual_lr": 0.5, "kp": 0})) == fixed_id(key) != fixed_id()
    assert fixed_id(replace(key, setting={"dual_lr": 0.5, "kp": 1})) != fixed_id(key)


def test_every_default_of_today_is_in_the_tables() -> None:
    """They are frozen: this test is for those who would add to them what came later."""
    assert set(identity.TRAIN) == {"steps", "epochs", "batch_size", "optimizer", "dtype"}
    assert list(identity.METHODS) == ["penalized", "quadratic_penalty", "lagrangian", "nupi", "augmented_lagrangian"]
    assert sum(len(first) for first in identity.METHODS.values()) == 20


def test_an_id_depends_on_modules_and_on_what_the_task_lists() -> None:
    modules = {"a.py": "x = 1\n"}
    found = [
        fixed_id(problem=FIXED.problem.model_copy(update={"modules": modules})),
        fixed_id(problem=FIXED.problem.model_copy(update={"modules": {"a.py": "x = 2\n"}})),
        fixed_id(problem=FIXED.problem.model_copy(update={"modules": {"b.py": "x = 1\n"}})),
        fixed_id(problem=FIXED.problem.model_copy(update={"depends": {"a.csv": "0"}})),
        fixed_id(problem=FIXED.problem.model_copy(update={"depends": {"a.csv": "1"}})),
    ]
    assert len({GOLDEN, *found}) == 6


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
