"""Grids over values of ``train`` and ``arguments``: what they come to, under which ids, and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from spec_files import Write, load, refusal, writer

from cpd.spec.identity import runs
from cpd.spec.models import ProblemSource, Task, Train, task_from_json, task_to_json
from cpd.spec.recipes import problem_of, structure, train_of, ways

LR = "train.optimizer.lr"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def recipe(text: str) -> str:
    return f"{{steps: 10, optimizer: {text}}}"


def test_a_grid_over_the_recipe_multiplies_the_settings_of_every_method(write: Write) -> None:
    methods = "{penalized: {coefficient: {values: [1, 2]}}, lagrangian: {dual_lr: 3}}"
    task = load(write(train=recipe("{name: SGD, lr: {values: [0.1, 1e-2]}}"), methods=methods, seeds="[7, 1]"))
    assert task.train == load(write()).train
    assert task.methods == {
        "penalized": ({"coefficient": 1.0}, {"coefficient": 2.0}),
        "lagrangian": ({"dual_lr": 3.0},),
    }
    assert [(key.method, *key.setting.values(), key.seed) for key in runs(task)] == [
        (method, own, lr, seed)
        for method, settings in (("penalized", (1.0, 2.0)), ("lagrangian", (3.0,)))
        for lr in (0.1, 0.01)
        for own in settings
        for seed in (7, 1)
    ]
    assert {name for key in runs(task) for name in key.setting} == {"coefficient", "dual_lr", LR}
    assert task_from_json(json.loads(json.dumps(task_to_json(task)))) == task


IN_PLACE: list[tuple[dict[str, str], list[dict[str, str]]]] = [
    (
        {"train": recipe("{lr: {values: [0.1, 0.2]}}")},
        [{"train": recipe("{lr: 0.1}")}, {"train": recipe("{lr: 0.2}")}],
    ),
    (
        {"train": recipe("{lr: {min: 1e-3, max: 0.1, num: 3, scale: log}, momentum: 0.9}")},
        [{"train": recipe(f"{{lr: {lr}, momentum: 0.9}}")} for lr in ("0.001", "0.01", "0.1")],
    ),
    (
        {"train": "{steps: {min: 1e3, max: 3e3, num: 3}, batch_size: {values: [all, 8]}}"},
        [{"train": f"{{steps: {k}000, batch_size: {b}}}"} for k in (1, 2, 3) for b in ("all", "8")],
    ),
    ({"train": "{epochs: {values: [1.5, 2]}}"}, [{"train": "{epochs: 1.5}"}, {"train": "{epochs: 2}"}]),
    (
        {"train": "{steps: 5, optimizer: {values: [Adam, {name: SGD, lr: 0.5}, {lr: 0.5}]}}"},
        [{"train": "{steps: 5, optimizer: Adam}"}, {"train": "{steps: 5, optimizer: {name: SGD, lr: 0.5}}"}],
    ),
    (
        {"train": "{steps: 5, optimizer: {name: {values: [Adam, AdamW]}, lr: 0.5}, dtype: {values: [float64]}}"},
        [{"train": f"{{steps: 5, optimizer: {{name: {n}, lr: 0.5}}, dtype: float64}}"} for n in ("Adam", "AdamW")],
    ),
    (
        {"train": recipe("{name: Adam, betas: {values: [[0.9, 0.99], [0.5, 0.9]]}}")},
        [{"train": recipe(f"{{name: Adam, betas: {b}}}")} for b in ("[0.9, 0.99]", "[0.5, 0.9]")],
    ),
    (
        {"train": recipe("{name: Adam, betas: [{values: [0.9, 0.5]}, 0.99]}")},
        [{"train": recipe(f"{{name: Adam, betas: {b}}}")} for b in ("[0.9, 0.99]", "[0.5, 0.99]")],
    ),
    (
        {"arguments": "{hidden: {values: [32, 64]}, act: {values: [relu, null, true]}}"},
        [{"arguments": f"{{hidden: {h}, act: {a}}}"} for h in (32, 64) for a in ("relu", "null", "true")],
    ),
    (
        {"arguments": "{net: {layers: {values: [[64, 64], [8]]}, a.b: {c: {values: [1, 2]}}}}"},
        [{"arguments": f"{{net: {{layers: {n}, a.b: {{c: {c}}}}}}}"} for n in ("[64, 64]", "[8]") for c in (1, 2)],
    ),
    (
        {"arguments": "{size: {min: 16, max: 64, num: 3, scale: log}}"},
        [{"arguments": f"{{size: {n}}}"} for n in (16, 32, 64)],
    ),
    (
        {"arguments": "{options: {values: [{values: [1, 2]}]}, other: {min: 1, max: 2}, layers: [64, 64]}"},
        [{"arguments": "{options: {values: [{values: [1, 2]}]}, other: {min: 1, max: 2}, layers: [64, 64]}"}],
    ),
]


@pytest.mark.parametrize(("gridded", "in_place"), IN_PLACE, ids=lambda one: str(one)[:60])
def test_a_run_of_a_grid_is_the_run_of_its_values_in_place(
    gridded: dict[str, str], in_place: list[dict[str, str]], write: Write
) -> None:
    keys = runs(load(write(**gridded)))
    alone = [runs(load(write(**own)))[0] for own in in_place]
    assert [key.id for key in keys] == [key.id for key in alone]
    assert len({key.id for key in keys}) == len(keys)
    assert all(key.hyperparameters == own.setting for key, own in zip(keys, alone, strict=True))


def test_arguments_reach_the_class_as_they_are_written(write: Write) -> None:
    task = load(
        write(
            arguments="{options: {values: [{values: [1, 2]}]}, size: {min: 16, max: 64, num: 3, scale: log}, "
            "share: {min: 0, max: 1, num: 3}, x: {min: 1.0, max: 2.0, num: 2}, n: 3}"
        )
    )
    found = [problem_of(task.problem, key.setting).arguments for key in runs(task)]
    assert found[0] == {"options": {"values": [1, 2]}, "size": 16, "share": 0.0, "x": 1.0, "n": 3}
    assert [list(map(type, own.values())) for own in found] == [[dict, int, float, float, int]] * 18
    assert task.problem.arguments == found[0]
    assert list(task.grids) == ["arguments.size", "arguments.share", "arguments.x"]


@pytest.mark.parametrize(
    ("values", "setting"),
    [("{values: [0.1]}", {}), ("{values: [0.1, 0.1]}", {}), ("{min: 0.1, max: 5, num: 1}", {}), ("0.1", {})],
)
def test_a_grid_of_one_value_is_that_value(values: str, setting: dict[str, Any], write: Write) -> None:
    task = load(write(train=recipe(f"{{name: SGD, lr: {values}}}")))
    assert runs(task) == runs(load(write()))
    assert runs(task)[0].setting == {"coefficient": 0.1, **setting}


def test_values_that_mean_the_same_are_one_with_a_note(write: Write) -> None:
    task = load(
        write(
            train="{steps: {values: [5, 5.0, 6]}, batch_size: {values: [all, null]}}",
            arguments="{a: {values: [1, 1.0, true]}}",
        )
    )
    assert task.grids == {"train.steps": (5, 6), "arguments.a": (1, True)}
    assert task.notes == (
        "train.steps: 1 of 3 left out as duplicates",
        "train.batch_size: 1 of 2 left out as duplicates",
        "arguments.a: 1 of 3 left out as duplicates",
    )


@pytest.mark.parametrize(
    ("assignment", "grids"),
    [
        ("train.optimizer.lr=0.1,0.01", {LR: (0.1, 0.01)}),
        ("train.optimizer.lr=1e-3:1e-1:3:log", {LR: (0.001, 0.01, 0.1)}),
        ("train.optimizer.lr={values: [1, 2]}", {LR: (1.0, 2.0)}),
        ("train.optimizer.lr=0.5", {}),
        ("train.dtype=float32,float64", {"train.dtype": ("float32", "float64")}),
        ("train.optimizer=SGD,Adam", {"train.optimizer.name": ("SGD", "Adam")}),
        ("arguments.hidden=32,64", {"arguments.hidden": (32, 64)}),
        ("arguments.hidden=16:64:4", {"arguments.hidden": (16, 32, 48, 64)}),
        ("arguments.act=relu,tanh", {"arguments.act": ("relu", "tanh")}),
        ("arguments.layers=[64, 64]", {}),
        ("arguments.words='a,b'", {}),
        ("arguments.url=http://there:80/x", {}),
        ("arguments.time=12:30", {}),
    ],
)
def test_the_command_line_grids_them_as_it_does_hyperparameters(
    assignment: str, grids: dict[str, Any], write: Write
) -> None:
    assert load(write(), assignment).grids == grids


def test_a_layer_above_replaces_a_grid_whole(write: Write) -> None:
    name = write(
        train=recipe("{name: Adam, lr: {min: 0.1, max: 1, num: 3}}"), arguments="{a: {min: 1, max: 2, num: 2}, b: 1}"
    )
    Path("s.yaml").write_text(f"task: {name}\ntrain: {{optimizer: {{lr: {{values: [5, 6]}}}}}}\n")
    task = load("s.yaml", "arguments.a=7,8")
    assert task.grids == {LR: (5.0, 6.0), "arguments.a": (7, 8)}
    assert task.train.optimizer.name == "Adam"
    assert task.problem.arguments == {"a": 7, "b": 1}
    assert load(name, "train.optimizer.lr=0.5", "arguments.a=3").grids == {}
    assert load(name, "train.optimizer=SGD,Adam", "train.optimizer.lr=0.5").train.optimizer.options == {"lr": 0.5}
    whole = write(train="{steps: 5, optimizer: {values: [SGD, {name: Adam}]}}")
    assert load(whole, "train.optimizer=RMSprop").grids == {}


def test_the_command_line_sets_an_entry_of_a_list(write: Write) -> None:
    name = write(
        train=recipe("{name: Adam, betas: [{values: [0.9, 0.5]}, 0.99]}"), arguments="{nets: [{size: 1}, {size: 2}]}"
    )
    assert list(load(name).grids) == ["train.optimizer.betas[0]"]
    task = load(name, "train.optimizer.betas[0]=0.1", "arguments.nets[1].size=3,4")
    assert task.grids == {"arguments.nets[1].size": (3, 4)}
    assert task.train.optimizer.options == {"betas": [0.1, 0.99]}
    assert task.problem.arguments == {"nets": [{"size": 1}, {"size": 3}]}
    assert load(name, "arguments.nets[7]=3").problem.arguments["nets[7]"] == 3


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"train": recipe("{lr: {values: []}}")}, f"x.yaml: {LR}: values is empty; write {{values: [0.1, 1]}}"),
        ({"train": recipe("{lr: {values: [0.1, -1]}}")}, f"x.yaml: {LR}: -1 is out of range; write a number from 0 on"),
        (
            {"train": recipe("{lr: {min: 0.1, max: 1}}")},
            f"x.yaml: {LR}: a grid without num; write {{values: [0.1, 1]}} or {{min: 0.1, max: 1, num: 5}}",
        ),
        (
            {"train": recipe("{lr: {values: [1], num: 2}}")},
            f"x.yaml: {LR}: values and a range at once; keep values, or min, max, num and scale",
        ),
        (
            {"train": "{steps: {min: 10, max: 20, num: 4}}"},
            "x.yaml: train.steps: expected an integer >= 1, got 13.3333333333",
        ),
        (
            {"train": "{steps: 5, optimizer: {name: {values: [SGD, Adamm]}}}"},
            "x.yaml: train.optimizer.name: unknown optimizer 'Adamm'; did you mean 'Adam'? Valid: SGD, Adam, AdamW, "
            "RMSprop, Adagrad, Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop, Adafactor, Muon, LBFGS",
        ),
        (
            {"train": "{steps: 5, optimizer: {values: [SGD, {name: Adam}], lr: 0.1}}"},
            "x.yaml: train.optimizer: unknown key 'lr'; valid: values, min, max, num, scale",
        ),
        (
            {"arguments": "{a: {values: 3}}"},
            "x.yaml: arguments.a: values: 3 is not a list; write {values: [0.1, 1]}; a mapping that is meant as it "
            "stands is written as the one value of a grid: {values: [{values: 3}]}",
        ),
        (
            {"arguments": "{a: {b: {values: [1, 2]}}, a.b: {values: [3, 4]}}"},
            "x.yaml: arguments.a.b: two values are called 'arguments.a.b'; rename one of them, or grid a mapping that "
            "holds one of them",
        ),
        (
            {"arguments": "{a: {min: 0, max: 1, num: 1000000000000}}"},
            "x.yaml: makes 1,000,000,000,000 runs; at most 100,000; make its grids shorter, or raise --max-runs",
        ),
        (
            {"arguments": "{a: {min: 0, max: 1, num: 1000}}", "train": "{steps: {min: 1, max: 1001, num: 1001}}"},
            "x.yaml: makes 1,001,000 runs; at most 100,000; make its grids shorter, or raise --max-runs",
        ),
    ],
)
def test_what_is_no_grid_is_refused_in_a_line(keys: dict[str, str], message: str, write: Write) -> None:
    assert refusal(write(**keys)) == message


def test_a_search_counts_the_values_of_its_grids_too(write: Write) -> None:
    name = write(methods=None, search="{constraint: g, target: 0.5}", arguments="{a: {min: 0, max: 1, num: 200000}}")
    assert refusal(name).startswith("x.yaml: makes 200,000 runs")


# The recipe of one run.

DEEP = Train(steps=5)
ARGUMENTS = {"a": 1, "a.b": 2, "net": {"size": [3, {"x": 4}]}, "lr": 5, "options": {"lr": 6}}


@pytest.mark.parametrize(
    ("path", "way"),
    [
        ("a", [("a",)]),
        ("a.b", [("a.b",)]),
        ("net.size[1].x", [("net", "size", 1, "x")]),
        ("net.size[0]", [("net", "size", 0)]),
        ("lr", [("lr",)]),
        ("options.lr", [("options", "lr")]),
        ("net.siz", []),
        ("net.size[2]", []),
    ],
)
def test_a_dotted_path_leads_through_names_with_dots(path: str, way: list[Any]) -> None:
    assert ways(ARGUMENTS, path) == way


def test_what_is_given_stays_as_it_is() -> None:
    source = ProblemSource(target="a:B", path=None, source="", arguments=ARGUMENTS)
    before = json.dumps(ARGUMENTS)
    changed = problem_of(source, {"arguments.net.size[1].x": [9], "coefficient": 1})
    assert changed.arguments == {**ARGUMENTS, "net": {"size": [3, {"x": [9]}]}}
    assert json.dumps(ARGUMENTS) == before
    assert problem_of(source, {"coefficient": 1}) is source
    with pytest.raises(KeyError):
        problem_of(source, {"arguments.c": 1})


def test_a_structure_is_of_words_and_sizes_and_not_of_step_sizes(write: Write) -> None:
    task: Task = load(write())

    def of(**setting: Any) -> str:
        return structure(task.train, {"coefficient": 1, **{f"train.{n}": v for n, v in setting.items()}})

    rates = {of(**{"optimizer.lr": lr}) for lr in (0.1, 1, 2.5)}
    rates |= {of(optimizer={"name": "SGD", "lr": 3.0})}
    assert len(rates) == 1
    assert of(optimizer={"name": "SGD", "lr": None}) not in rates  # null is something else than a number
    others = [of(steps=11), of(batch_size=3), of(dtype="float64"), of(**{"optimizer.name": "Adam"})]
    others += [structure(task.train, {"arguments.n": n}) for n in (1, 2, None, [1])]
    assert len({*rates, *others}) == 1 + len(others)
    assert train_of(task.train, {"coefficient": 3}) is task.train
