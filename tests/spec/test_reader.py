"""What tasks come to: grids, runs, names, the bundled specs."""

import json
from pathlib import Path
from typing import Any

import pytest
from spec_files import PROBLEM, Write, load, refusal, writer

from cpd.spec.bundled import bundled, describe, is_spec
from cpd.spec.identity import runs
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Task, Train, task_from_json, task_to_json
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def settings_of(methods: str, write: Write) -> list[dict[str, Any]]:
    return [setting for settings in load(write(methods=methods)).methods.values() for setting in settings]


def test_a_task_is_read(write: Write) -> None:
    task = load(write(arguments="{size: 3}", objective="loss", seeds="[1, 2]"))
    assert task == Task(
        name="x",
        place="x.yaml",
        text=Path("x.yaml").read_text(),
        description="A task",
        problem=ProblemSource(
            target="mine.py:Mine", path=str(Path("mine.py").resolve()), source=PROBLEM, arguments={"size": 3}
        ),
        objective="loss",
        constraints={
            "g": Constraint(level=0.7, sense=">=", tolerance=0.001),
            "h": Constraint(level=1, sense="<=", tolerance=0.1),
        },
        train=Train(steps=10, optimizer=Optimizer(name="SGD", options={"lr": 0.1}), dtype="float32"),
        seeds=(1, 2),
        methods={"penalized": ({"coefficient": 0.1},)},
    )


def test_runs_come_in_order_levels_methods_settings_seeds(write: Write) -> None:
    methods = "{penalized: {coefficient: {values: [2, 1]}}, lagrangian: {dual_lr: 3}}"
    task = load(write(methods=methods, levels="{g: [0.2, 0.1]}", seeds="[7, 1]"))
    keys = runs(task)
    assert [(key.levels["g"], key.method, *key.setting.values(), key.seed) for key in keys] == [
        (0.2, "penalized", 2.0, 7),
        (0.2, "penalized", 2.0, 1),
        (0.2, "penalized", 1.0, 7),
        (0.2, "penalized", 1.0, 1),
        (0.2, "lagrangian", 3.0, 7),
        (0.2, "lagrangian", 3.0, 1),
        (0.1, "penalized", 2.0, 7),
        (0.1, "penalized", 2.0, 1),
        (0.1, "penalized", 1.0, 7),
        (0.1, "penalized", 1.0, 1),
        (0.1, "lagrangian", 3.0, 7),
        (0.1, "lagrangian", 3.0, 1),
    ]
    assert all(key.levels["h"] == 1 for key in keys)
    assert len({key.id for key in keys}) == 12


@pytest.mark.parametrize(
    ("grid", "values"),
    [
        ("0.1", [0.1]),
        ("{values: [3, 1, 2]}", [3, 1, 2]),
        ("{min: 0, max: 1, num: 11}", [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1]),
        ("{min: 1e-3, max: 10, num: 3, scale: log}", [0.001, 0.1, 10]),
        ("{min: 1, max: 10, num: 4, scale: log}", [1, 2.15443469003, 4.64158883361, 10]),
        ("{min: 2, max: 5, num: 1}", [2]),
        ("{min: 2, max: 2, num: 3, scale: linear}", [2]),
        ("[1, 2]", [[1, 2]]),
        ("{values: [[1, 2], 3]}", [[1, 2], 3]),
    ],
)
def test_grids(grid: str, values: list[Any], write: Write) -> None:
    assert [s["coefficient"] for s in settings_of(f"{{penalized: {{coefficient: {grid}}}}}", write)] == values


@pytest.mark.parametrize(
    ("grid", "values"),
    [
        ("-0.1:0.2:4", (-0.1, 0.0, 0.1, 0.2)),
        ("-0.3:0.3:7", (-0.3, -0.2, -0.1, 0.0, 0.1, 0.2, 0.3)),
        ("-1:1:21", tuple(k / 10 for k in range(-10, 11))),
        ("-1e-9:2e-9:4", (-1e-9, 0.0, 1e-9, 2e-9)),
        ("-1000:1000:20001", tuple(k / 10 for k in range(-10_000, 10_001))),
        ("-1e6:1e6:3", (-1e6, 0.0, 1e6)),
        ("0:1:4", (0.0, 0.333333333333, 0.666666666667, 1.0)),
        ("1e-3:1e3:7:log", (1e-3, 1e-2, 0.1, 1.0, 10.0, 100.0, 1000.0)),
        ("1e-30:1e30:61:log", tuple(float(f"1e{k}") for k in range(-30, 31))),
    ],
)
def test_grid_points_are_the_decimals_that_are_meant(grid: str, values: tuple[float, ...], write: Write) -> None:
    found = load(write(), levels=(f"g={grid}",)).levels["g"]
    assert found == values
    assert "-0.0" not in map(str, found)


DOTTED = "{g: '<= 1', g.0: '<= 2', 'a b [c]=\"d\"': '<= 3', g.0.level: '>= 4'}"


@pytest.mark.parametrize(
    ("words", "level"),
    [
        ({"levels": ("g.0=15",)}, {"g.0": 15}),
        ({"levels": ("g.0=15", "g=7")}, {"g.0": 15, "g": 7}),
        ({"levels": ('a b [c]="d"=-2',)}, {'a b [c]="d"': -2}),
        ({"set": ("levels.g.0=15",)}, {"g.0": 15}),
        ({"set": ("constraints.g.0.tolerance=15",)}, {}),
        ({"set": ("constraints.g.0.level.level=15",)}, {"g.0.level": 15}),
        ({"set": ("constraints.g.level=15",)}, {"g": 15}),
    ],
)
def test_names_of_constraints_may_hold_dots(words: dict[str, Any], level: dict[str, float], write: Write) -> None:
    task = load_task(write(constraints=DOTTED), Overrides(**words))
    own = {"g": 1.0, "g.0": 2.0, 'a b [c]="d"': 3.0, "g.0.level": 4.0}
    assert {name: task.levels.get(name, (c.level,))[0] for name, c in task.constraints.items()} == own | level
    assert task.constraints["g.0"].tolerance == (15 if "tolerance" in str(words) else 1e-3)


def test_a_grid_starts_and_ends_where_it_says(write: Write) -> None:
    grid = "{min: 0.1234567890123456, max: 77.77777777777777, num: 5, scale: log}"
    values = settings_of(f"{{penalized: {{coefficient: {grid}}}}}", write)
    assert values[0]["coefficient"] == 0.1234567890123456
    assert values[-1]["coefficient"] == 77.77777777777777


def test_several_grids_give_their_product_and_several_blocks_their_sum(write: Write) -> None:
    methods = (
        "{lagrangian: [{dual_lr: {values: [1, 2]}, restart: {values: [true, false]}}, "
        "{dual_lr: 3, update: simultaneous}]}"
    )
    assert settings_of(methods, write) == [
        {"dual_lr": 1, "restart": True},
        {"dual_lr": 1, "restart": False},
        {"dual_lr": 2, "restart": True},
        {"dual_lr": 2, "restart": False},
        {"dual_lr": 3, "update": "simultaneous"},
    ]


def test_duplicates_become_one_run_with_a_note(write: Write) -> None:
    methods = (
        "{penalized: {coefficient: {values: [0.1, 1e-1, 1, 1.0]}}, "
        "lagrangian: [{dual_lr: 1}, {dual_lr: 1, update: alternating}, {dual_lr: 1, restart: true}]}"
    )
    task = load(write(methods=methods, levels="{g: [0, -0.0]}", seeds="[1, 1]"))
    assert task.methods == {
        "penalized": ({"coefficient": 0.1}, {"coefficient": 1.0}),
        "lagrangian": ({"dual_lr": 1.0}, {"dual_lr": 1.0, "restart": True}),
    }
    assert (task.levels, task.seeds) == ({"g": (0.0,)}, (1,))
    assert task.notes == (
        "seeds: 1 of 2 left out as duplicates",
        "methods.penalized: 2 of 4 left out as duplicates",
        "methods.lagrangian: 1 of 3 left out as duplicates",
        "levels.g: 1 of 2 left out as duplicates",
    )


@pytest.mark.parametrize(
    ("seeds", "expected"),
    [
        ("5", (5,)),
        ("9223372036854775807", (2**63 - 1,)),
        ("9223372036854775806:9223372036854775807", (2**63 - 2,)),
        ("20261125", (20261125,)),
        ("[3, 1]", (3, 1)),
        ("0:3", (0, 1, 2)),
        ("1:5", (1, 2, 3, 4)),
        ("'2 : 4'", (2, 3)),
        ("1,2,7", (1, 2, 7)),
    ],
)
def test_seeds(seeds: str, expected: tuple[int, ...], write: Write) -> None:
    assert load(write(seeds=seeds)).seeds == expected
    assert load(write(), seeds=seeds.strip("[]'")).seeds == expected


def test_a_whole_number_may_be_written_as_a_float(write: Write) -> None:
    assert load(write(train="{steps: 1e3, batch_size: 1.0}")).train == Train(steps=1000, batch_size=1)


def test_a_search_needs_no_methods(write: Write) -> None:
    task = load(write(methods=None, search="{target: 0.5, constraint: g}"))
    assert task.search is not None
    assert task.search.model_dump() == {
        "hyperparameter": None,
        "constraint": "g",
        "target": 0.5,
        "low": 0.001,
        "high": 1.0,
        "tolerance": 0.01,
        "strategy": "bisection",
        "max_trainings": 40,
        "targets": {},
    }
    assert runs(task) == []


def test_a_task_survives_json(write: Write) -> None:
    methods = "{penalized: {coefficient: {values: [0.1, [1, 2]]}}, lagrangian: {dual_lr: 1, restart: true}}"
    task = load(
        write(
            arguments="{a: [1, 2.5, x, null, true, {b: 1e-7}]}",
            methods=methods,
            levels="{h: [1, 1]}",
            search="{target: 0.5, constraint: g}",
            train="{epochs: 1.5, batch_size: 7, optimizer: {name: Adam, lr: 1e-3, betas: [0.9, 0.99]}, dtype: float64}",
        )
    )
    again = task_from_json(json.loads(json.dumps(task_to_json(task))))
    assert again == task
    assert runs(again) == runs(task)


def test_names_of_files_and_bundled_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names = ", ".join(one.name for one in bundled())
    assert names.startswith("command-sklearn, concave, ")
    assert names.endswith(", table3, table4, transfer")
    assert refusal("rates") == (
        f"no bundled task or sweep 'rates'; did you mean 'rate'? Valid: {names}; or a path to a YAML file"
    )
    for path in ("x.yaml", "folder/x", "X.YML"):
        assert refusal(path) == f"{path}: no such file; check the path; cpd tasks lists the bundled ones"
    (tmp_path / "folder").mkdir()
    assert refusal("./folder") == "./folder: is a folder; name a YAML file in it"


def test_a_dash_is_an_underscore_in_bundled_names_where_no_file_has_that_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_task("feasible-learning") == load_task("feasible_learning")
    assert load_task("kl_finetune").name == "kl-finetune"
    assert is_spec("max-margin")
    write("min-norm", problem="mine.py:Mine")
    assert load_task("min-norm").description == "A task"


def test_a_path_means_the_file_before_the_bundled_spec(write: Write) -> None:
    assert load_task("tasks/rate.yaml").description.startswith("A classifier")
    write("tasks/rate.yaml", problem="../mine.py:Mine")
    assert load("tasks/rate.yaml").description == "A task"


def test_every_bundled_spec_is_valid() -> None:
    assert [(one.kind, one.name) for one in bundled()] == [
        ("task", "command-sklearn"),
        ("task", "concave"),
        ("task", "contradictory"),
        ("task", "dag"),
        ("task", "entropy"),
        ("task", "fairness"),
        ("task", "feasible_learning"),
        ("task", "geco"),
        ("task", "kl-finetune"),
        ("task", "lipschitz"),
        ("task", "max_margin"),
        ("task", "min_norm"),
        ("task", "pinn"),
        ("task", "rate"),
        ("task", "recall"),
        ("task", "sparsity-mnist"),
        ("task", "sparsity"),
        ("task", "surrogate_rate"),
        ("sweep", "figure2"),
        ("sweep", "table1"),
        ("sweep", "table2"),
        ("sweep", "table3"),
        ("sweep", "table4"),
        ("sweep", "transfer"),
    ]
    for one in bundled():
        task = load_task(one.name)
        assert one.description
        assert (task.name, task.place) == (one.name, f"{one.kind}s/{one.name}.yaml")
        assert task.description == one.description
        assert task.notes == ()
        assert (task.search is not None) == (one.name == "table2")
        assert task_from_json(json.loads(json.dumps(task_to_json(task)))) == task


def test_the_paper_s_grids() -> None:
    third = [1.0, 2.15443469003, 4.64158883361]
    paper = [0.0, *(float(f"{mantissa}e{power}") for power in range(-4, 2) for mantissa in third), 100.0]
    assert len(paper) == 20
    figure = load_task("figure2")
    assert [s["coefficient"] for s in figure.methods["penalized"]] == paper
    assert [s["dual_lr"] for s in figure.methods["lagrangian"]] == paper
    for name, method in (("table3", "penalized"), ("table4", "lagrangian")):
        assert load_task(name).methods == {method: figure.methods[method]}
    table1 = load_task("table1")
    assert table1.levels == {"g": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)}
    assert table1.train.steps == 1000
    assert table1.constraints["g"].sense == "=="


def test_descriptions_are_first_comment_lines() -> None:
    assert describe("\n# A task: short\n# more\na: 1") == "A task: short"
    assert describe("a: 1\n# later") == ""
    assert describe("") == ""
