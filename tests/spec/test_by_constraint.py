"""One grid for each constraint: in files, options and Python, of every hyperparameter that may have one for each."""

from pathlib import Path
from typing import Any

import pytest
from spec_files import Write, load, refusal, writer

from cpd.methods.registry import REGISTRY
from cpd.spec.identity import runs
from cpd.spec.keywords import keyword_layer, set_layers

INEQUALITIES = "{g: '>= 0.7', h: {level: 1, sense: '<=', tolerance: 0.1}}"
DOTTED = "{rate.low: '<= 1', rate.high: '<= 1', size: '<= 1'}"
BESIDE = {("resilient", "slack_cost"): {"slack_lr": 0.01}, ("resilient", "slack_lr"): {"slack_cost": 0.01}}
"""What stands beside values up to 100, for together they may be too large."""
SEVERAL = [(m, n) for m, one in REGISTRY.items() for n, h in one.hyperparameters.items() if h.per_constraint]


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def values(write: Write, block: Any, *assignments: str, constraints: str = INEQUALITIES) -> list[Any]:
    path = write(methods=f"{{penalized: {{coefficient: {block}}}}}", constraints=constraints)
    return [setting["coefficient"] for setting in load(path, *assignments).methods["penalized"]]


def given(method: str, name: str, value: str) -> str:
    """A block with all that the method must have."""
    others: dict[str, float] = {
        n: 2 for n, h in REGISTRY[method].hyperparameters.items() if h.default is None and n != name
    }
    others |= BESIDE.get((method, name), {})
    return f"{{{method}: {{{''.join(f'{n}: {number}, ' for n, number in others.items())}{name}: {value}}}}}"


@pytest.mark.parametrize(("method", "name"), SEVERAL)
def test_every_hyperparameter_that_has_one_for_each_takes_one_grid_for_each(
    write: Write, method: str, name: str
) -> None:
    grids = "{h: {min: 1, max: 100, num: 3, scale: log}, g: {values: [2, 3]}}"
    task = load(write(methods=given(method, name, grids), constraints=INEQUALITIES))
    assert [s[name] for s in task.methods[method]] == [[g, h] for h in (1.0, 10.0, 100.0) for g in (2.0, 3.0)]


@pytest.mark.parametrize(
    ("block", "found"),
    [
        ("{g: 1, h: 2}", [[1, 2]]),
        ("{h: 2, '*': {values: [3, 4]}}", [[3, 2], [4, 2]]),
        ("{'[gh]': {values: [3, 4]}}", [[3, 3], [4, 4]]),
        ("[{values: [1, 2]}, 5]", [[1, 5], [2, 5]]),
        ("{values: [7, [1, 2], {g: {values: [3, 4]}, h: 5}]}", [7, [1, 2], [3, 5], [4, 5]]),
        ("{g: 1, h: 2, '*': {values: [8, 9]}}", [[1, 2]]),
    ],
)
def test_forms(write: Write, block: str, found: list[Any]) -> None:
    assert values(write, block) == found


@pytest.mark.parametrize(
    ("below", "assignment", "found"),
    [
        ("{g: 1, h: 2}", "penalized.coefficient.h=3,4", [[1, 3], [1, 4]]),
        ("0.5", "penalized.coefficient.h=1:100:3:log", [[0.5, 1], [0.5, 10], [0.5, 100]]),
        ("[1, 2]", "penalized.coefficient.g=7", [[7, 2]]),
        ("{values: [1, 2]}", "penalized.coefficient.g=7", [[7, 1], [7, 2]]),
        ("3", "penalized.coefficient={g: {values: [1, 2]}, h: 4}", [[1, 4], [2, 4]]),
        ("[1, 2]", "penalized.coefficient[1]=5", [[1, 5]]),
    ],
)
def test_an_option_sets_one_of_them(write: Write, below: str, assignment: str, found: list[Any]) -> None:
    assert values(write, below, assignment) == found


def test_names_with_points_and_patterns_of_them(write: Write) -> None:
    set_ = ("penalized.coefficient.rate.low=1,2", "penalized.coefficient.rate.*=5")
    assert values(write, "9", *set_, constraints=DOTTED) == [[1, 5, 9], [2, 5, 9]]


def test_a_method_in_several_blocks_has_it_set_in_each(write: Write) -> None:
    path = write(methods="{penalized: [{coefficient: 1}, {coefficient: [2, 3]}]}", constraints=INEQUALITIES)
    found = load(path, "penalized.coefficient.h=5,6").methods["penalized"]
    assert [s["coefficient"] for s in found] == [[1, 5], [1, 6], [2, 5], [2, 6]]


def test_where_there_is_a_default_others_have_it(write: Write) -> None:
    task = load(write(methods=given("lagrangian", "multiplier_max", "{h: 5}"), constraints=INEQUALITIES))
    assert [s["multiplier_max"] for s in task.methods["lagrangian"]] == [["none", 5]]


def test_it_is_the_same_run_as_with_a_list(write: Write) -> None:
    ids = [
        [
            key.id
            for key in runs(load(write(methods=f"{{penalized: {{coefficient: {one}}}}}", constraints=INEQUALITIES)))
        ]
        for one in ("{h: 2, g: 1}", "[1, 2]")
    ]
    assert ids[0] == ids[1]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ("{g: 1}", 'no value for h; add h: 0.1, or "*": 0.1 for all others'),
        ("{g: 1, hh: 2}", "coefficient.hh: no constraint 'hh'; did you mean 'h'?"),
        ("{g: 1, h: {values: []}}", "coefficient.h: values is empty"),
        ("{g: 1, h: [1, 2]}", "coefficient.h: [1, 2] is not a number"),
        ("{g: -1, h: 1}", "-1 is out of range"),
        ("{min: 1, max: 2}", "a grid without num"),
        ("[{values: [1, 2]}]", "does not have one number for each constraint (g, h)"),
    ],
)
def test_what_does_not_fit_is_refused_where_it_stands(write: Write, block: str, words: str) -> None:
    path = write(methods=f"{{penalized: {{coefficient: {block}}}}}", constraints=INEQUALITIES)
    assert words in refusal(path)


def test_a_product_too_large_is_counted_and_not_built(write: Write) -> None:
    names = [f"c{k}" for k in range(30)]
    grids = ", ".join(f"{n}: {{min: 1, max: 9, num: 9}}" for n in names)
    constraints = "{" + ", ".join(f"{n}: '<= 1'" for n in names) + "}"
    path = write(methods=f"{{penalized: {{coefficient: {{{grids}}}}}}}", constraints=constraints)
    assert f"makes {9**30:,} runs" in refusal(path)


def test_python_writes_lists_for_grids() -> None:
    block = {"penalized": {"coefficient": {"g": [1, 2], "*": 3, "h": {"min": 1, "max": 2, "num": 2}}}}
    raw = keyword_layer({"methods": block}, "cpd.sweep()").raw["methods"]["penalized"]["coefficient"]
    assert raw == {"g": {"values": [1, 2]}, "*": 3, "h": {"min": 1, "max": 2, "num": 2}}
    (layer,) = set_layers({"penalized.coefficient.rate.low": [1, 2]}, ["rate.low"], [], "cpd.sweep()")
    assert layer.raw["methods"]["penalized"]["coefficient"] == {"rate.low": {"values": [1, 2]}}
