"""Sweeps over tasks, and the command line's words over both."""

from pathlib import Path

import pytest
from spec_files import METHODS, MODELS_OPTIMIZERS, NUMBER, Write, load, refusal, writer

from cpd.errors import CpdError
from cpd.spec.models import Constraint, Optimizer, Train
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def test_a_sweep_starts_from_a_task(write: Write) -> None:
    write(
        "tasks/base.yaml",
        problem="../mine.py:Mine",
        arguments="{size: 3, deep: {a: 1}}",
        train="{steps: 10, batch_size: 5, optimizer: {name: SGD, lr: 0.1, momentum: 0.9}}",
        levels="{g: [1, 2], h: [3]}",
        seeds="[4]",
    )
    Path("sweeps").mkdir()
    text = (
        "# A sweep\n"
        "task: ../tasks/base.yaml\n"
        "arguments: {deep: 2}\n"
        "constraints: {g: {tolerance: 0.5}, h: '== 9'}\n"
        "train: {epochs: 2, optimizer: {lr: 0.2}}\n"
        "methods: {lagrangian: {dual_lr: 1}}\n"
        "levels: {g: {values: [5]}}\n"
    )
    Path("sweeps/s.yaml").write_text(text)
    task = load("sweeps/s.yaml")
    assert (task.name, task.place, task.description) == ("s", "sweeps/s.yaml", "A sweep")
    assert task.text == f"{text}\n# --- tasks/base.yaml\n{Path('tasks/base.yaml').read_text()}"
    assert task.problem.path == str(Path("mine.py").resolve())
    assert task.problem.arguments == {"size": 3, "deep": 2}
    assert task.constraints == {
        "g": Constraint(level=0.7, sense=">=", tolerance=0.5),
        "h": Constraint(level=9, sense="==", tolerance=0.1),
    }
    options = {"lr": 0.2, "momentum": 0.9}
    assert task.train == Train(epochs=2, batch_size=5, optimizer=Optimizer(name="SGD", options=options))
    assert task.methods == {"lagrangian": ({"dual_lr": 1.0},)}
    assert task.levels == {"g": (5.0,), "h": (3.0,)}
    assert task.seeds == (4,)


def test_another_optimizer_brings_its_own_options(write: Write) -> None:
    write(train="{steps: 1, optimizer: {name: SGD, lr: 0.1, momentum: 0.9}}")
    Path("s.yaml").write_text("task: x.yaml\ntrain: {optimizer: {name: Adam, lr: 0.01}}\n")
    assert load("s.yaml").train.optimizer == Optimizer(name="Adam", options={"lr": 0.01})


def test_a_sweep_may_bring_its_own_problem(write: Write) -> None:
    write("tasks/base.yaml", problem="../mine.py:Mine")
    Path("own").mkdir()
    Path("own/other.py").write_text("class Other: pass\n")
    Path("own/s.yaml").write_text("task: ../tasks/base.yaml\nproblem: other.py:Other\n")
    assert load("own/s.yaml").problem.path == str(Path("own/other.py").resolve())


def test_a_sweep_may_start_from_a_bundled_task(tmp_path: Path) -> None:
    (tmp_path / "s.yaml").write_text("task: rate\nmethods: {penalized: {coefficient: 1}}\n")
    assert load(str(tmp_path / "s.yaml")).problem.target == "cpd.problems.rate:Rate"


@pytest.mark.parametrize(
    ("sweep", "message"),
    [
        ("task: no.yaml", "sweeps/s.yaml: task: no such file 'no.yaml'; the path starts at this file's folder"),
        ("task: 5", "sweeps/s.yaml: task: 5 is no path; write e.g. task: ../tasks/rate.yaml"),
        ("task: s.yaml", "sweeps/s.yaml: task: 's.yaml' is a sweep itself; start from a task"),
        ("task: table1", "sweeps/s.yaml: task: 'table1' is a sweep itself; start from a task"),
        (
            "task: ../x.yaml\nseeds: []",
            "sweeps/s.yaml: seeds: [] gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4",
        ),
        # What is wrong in the task is reported there, not in the sweep.
        ("task: ../bad.yaml", "bad.yaml: train.steps: expected an integer >= 1, got 0"),
        ("task: ../odd.yaml", "odd.yaml:1:4: anchors and aliases (&x) are not allowed; write the value out"),
        ("task: ../bad.yaml\ntrain: {steps: -1}", "sweeps/s.yaml: train.steps: expected an integer >= 1, got -1"),
    ],
)  # fmt: skip
def test_a_sweep_is_refused(sweep: str, message: str, write: Write) -> None:
    write()
    write("bad.yaml", train="{steps: 0}")
    Path("odd.yaml").write_text("a: &x 1\n")
    Path("sweeps").mkdir()
    Path("sweeps/s.yaml").write_text(sweep + "\n")
    assert refusal("sweeps/s.yaml") == message


def test_an_unknown_name_in_a_sweep_is_refused_there(write: Write) -> None:
    Path("s.yaml").write_text("task: rates\n")
    assert refusal("s.yaml").startswith("s.yaml: task: no bundled task or sweep 'rates'; did you mean 'rate'? Valid: ")


def test_set_writes_grids_as_min_max_num_scale(write: Write) -> None:
    task = load(write(), "penalized.coefficient=1e-3:1e1:5:log")
    assert task.methods == {"penalized": tuple({"coefficient": c} for c in (0.001, 0.01, 0.1, 1.0, 10.0))}
    task = load(write(), "penalized.coefficient=0:1:3")
    assert task.methods == {"penalized": tuple({"coefficient": c} for c in (0.0, 0.5, 1.0))}


def test_set_changes_one_hyperparameter_in_every_block(write: Write) -> None:
    name = write(methods="{lagrangian: [{dual_lr: 1}, {dual_lr: 2, restart: true}]}")
    assert load(name, "lagrangian.update=simultaneous,alternating").methods == {
        "lagrangian": (
            {"dual_lr": 1.0, "update": "simultaneous"},
            {"dual_lr": 1.0, "update": "alternating"},
            {"dual_lr": 2.0, "restart": True, "update": "simultaneous"},
            {"dual_lr": 2.0, "restart": True, "update": "alternating"},
        )
    }


def test_blocks_that_set_makes_equal_become_one(write: Write) -> None:
    name = write(methods="{penalized: [{coefficient: 0}, {coefficient: {min: 1, max: 9, num: 5}}]}")
    task = load(name, "penalized.coefficient=1,2", max_runs=2)
    assert task.methods == {"penalized": ({"coefficient": 1.0}, {"coefficient": 2.0})}
    assert task.notes == ()


def test_set_reaches_everything_else(write: Write) -> None:
    task = load(
        write(arguments="{size: 3, deep: {a: 1, b: 2}}", search="{target: 1}"),
        "train.epochs=2",
        "train.optimizer.lr=0.5",
        "arguments.size=4",
        "arguments.size=5",
        "arguments.deep.a=[1, {b: x}]",
        "arguments.name=true story",
        "constraints.g.tolerance=0.02",
        "constraints.h=>= 2",
        "search.low=0.5",
        "objective=loss",
        "penalized.coefficient=[1, 2]",
    )
    assert task.train == Train(epochs=2, optimizer=Optimizer(name="SGD", options={"lr": 0.5}))
    assert task.problem.arguments == {"size": 5, "deep": {"a": [1, {"b": "x"}], "b": 2}, "name": "true story"}
    assert task.constraints == {
        "g": Constraint(level=0.7, sense=">=", tolerance=0.02),
        "h": Constraint(level=2, sense=">=", tolerance=0.1),
    }
    assert task.search is not None
    assert task.search.low == 0.5
    assert task.objective == "loss"
    assert task.methods == {"penalized": ({"coefficient": [1.0, 2.0]},)}


def test_levels_and_methods_of_the_command_line(write: Write) -> None:
    name = write(methods="{penalized: {coefficient: 1}, lagrangian: {dual_lr: 1}}", levels="{g: [1]}")
    task = load(name, methods=("lagrangian", "penalized", "lagrangian"), levels=("g=0.6,0.7", "h=0:1:3"))
    assert list(task.methods) == ["lagrangian", "penalized"]
    assert task.levels == {"g": (0.6, 0.7), "h": (0.0, 0.5, 1.0)}
    task = load(name, "nupi.dual_lr=1,2", methods=("nupi",))
    assert task.methods == {"nupi": ({"dual_lr": 1.0}, {"dual_lr": 2.0})}


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            {"set": "penalized.coefficient=1:2"},
            "--set penalized.coefficient: '1:2' is no range; write MIN:MAX:NUM or MIN:MAX:NUM:log",
        ),
        (
            {"set": "penalized.coefficient=0:1:3:log"},
            "--set penalized.coefficient: a log grid cannot start at 0; start above 0; {values: [0, ...]} may hold 0",
        ),
        (
            {"set": "penalized.coefficient=1:2:many"},
            "--set penalized.coefficient: num: expected an integer >= 1, got 'many'",
        ),
        (
            {"set": "penalized.coefficient=1,,2"},
            "--set penalized.coefficient: '1,,2' has an empty entry; write e.g. 0.1,0.2",
        ),
        ({"set": "penalized.coefficient=x"}, f"--set penalized.coefficient: 'x' is not a number; {NUMBER}"),
        (
            {"set": "penalized.coefficient=1,.inf"},
            f"--set penalized.coefficient: .inf is not a finite number; {NUMBER}",
        ),
        (
            {"set": "penalized.coeficient=1"},
            "--set penalized.coeficient: unknown hyperparameter 'coeficient'; did you mean 'coefficient'? "
            "Valid: coefficient",
        ),
        (
            {"set": "penalised.coefficient=1"},
            "--set penalised.coefficient: 'penalised' is neither a method nor a key that can be set; "
            f"did you mean 'penalized'? Valid: {METHODS}, arguments, budget, constraints, held_out, judge, levels, "
            "objective, search, seeds, timeout, train, transfer",
        ),
        ({"set": "penalized=1"}, "--set penalized: 'penalized' is no single value; write penalized.NAME=VALUE"),
        ({"set": "penalized.coefficient"}, "--set: expected NAME=VALUE, got 'penalized.coefficient'"),
        ({"set": "penalized.coefficient="}, "--set: expected NAME=VALUE, got 'penalized.coefficient='"),
        ({"set": "penalized..x=1"}, "--set: expected NAME=VALUE, got 'penalized..x=1'"),
        ({"set": "train.steps=0"}, "--set train.steps: expected an integer >= 1, got 0"),
        (
            {"set": "train.optimizer.name=Foo"},
            f"--set train.optimizer.name: unknown optimizer 'Foo'; valid: {MODELS_OPTIMIZERS}",
        ),
        ({"set": "constraints.k.level=1"}, "--set constraints.k.level: no constraint 'k'; valid: g, h"),
        (
            {"set": "constraints.g=high"},
            "--set constraints.g: 'high' is no constraint; write e.g. \">= 0.7\", with <=, >= or ==",
        ),
        (
            {"set": "penalized.coefficient=1", "method": "lagrangian"},
            "--set penalized.coefficient: 'penalized' is not among the methods asked for; "
            "add --method penalized, or leave this out",
        ),
        ({"method": "lagrangan"}, f"unknown method 'lagrangan'; did you mean 'lagrangian'? Valid: {METHODS}"),
        (
            {"method": "lagrangian"},
            "x.yaml: methods: no settings for 'lagrangian'; give some: --set lagrangian.dual_lr=VALUES; "
            "it has: penalized",
        ),
        ({"levels": "k=1"}, "--levels k: no constraint 'k'; valid: g, h"),
        ({"levels": "g"}, "--levels: expected NAME=VALUE, got 'g'"),
        ({"levels": "g=high"}, f"--levels g: 'high' is not a number; {NUMBER}"),
        ({"seeds": "5:0"}, "--seeds: '5:0' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
        ({"seeds": "a,b"}, "--seeds: 'a,b' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4"),
    ],
)
def test_words_of_the_command_line_are_refused(words: dict[str, str], message: str, write: Write) -> None:
    overrides = Overrides(
        methods=tuple(filter(None, [words.get("method")])),
        set=tuple(filter(None, [words.get("set")])),
        levels=tuple(filter(None, [words.get("levels")])),
        seeds=words.get("seeds"),
    )
    with pytest.raises(CpdError) as caught:
        load_task(write(), overrides)
    assert str(caught.value) == message
