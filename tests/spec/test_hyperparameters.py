"""Hyperparameters that are more than a number: words, mappings, grids inside them, and what does not go together."""

import json
from pathlib import Path
from typing import Any

import pytest
from spec_files import OPTIMIZERS, Write, load, refusal, writer

from cpd.spec.identity import runs

INEQUALITIES = "{g: '>= 0.7', h: {level: 1, sense: '<=', tolerance: 0.1}}"
RULE = "{factor: 10, unless_reduced_to: 0.25, every: 100, max: 1.0e+16}"


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def settings(write: Write, method: str, block: str, *assignments: str) -> list[dict[str, Any]]:
    return list(load(write(methods=f"{{{method}: {block}}}"), *assignments).methods[method])


def test_a_grid_inside_a_mapping_makes_the_product(write: Write) -> None:
    block = "{dual_lr: {values: [1, 2]}, dual_optimizer: {name: SGD, momentum: {values: [0, 0.7]}, nesterov: true}}"
    found = settings(write, "lagrangian", block)
    optimizers = [{"name": "SGD", "momentum": m, "nesterov": True} for m in (0.0, 0.7)]
    assert found == [{"dual_lr": lr, "dual_optimizer": o} for lr in (1.0, 2.0) for o in optimizers]


def test_values_may_be_words_and_mappings_with_grids(write: Write) -> None:
    block = f"{{coefficient: 1, growth: {{values: [1.5, {RULE}, {{add: {{min: 1, max: 3, num: 2}}}}]}}}}"
    rule = {"factor": 10.0, "unless_reduced_to": 0.25, "every": 100, "max": 1e16}
    found = [setting["growth"] for setting in settings(write, "quadratic_penalty", block)]
    assert found == [1.5, rule, {"add": 1.0}, {"add": 3.0}]


def test_a_schedule_is_written_as_a_recipes_and_may_hold_grids(write: Write) -> None:
    chain = "[{name: LinearLR, total_iters: {values: [5, 10]}}, {name: ExponentialLR, gamma: {values: [0.8, 0.9]}}]"
    block = f"{{dual_lr: 1, dual_schedule: {{values: [none, {{name: StepLR, step_size: 3}}, {chain}]}}}}"
    found = [setting["dual_schedule"] for setting in settings(write, "nupi", block)]
    assert found[:2] == ["none", {"name": "StepLR", "step_size": 3}]
    assert [(s[0]["total_iters"], s[1]["gamma"]) for s in found[2:]] == [(5, 0.8), (5, 0.9), (10, 0.8), (10, 0.9)]


@pytest.mark.parametrize(
    ("method", "one", "other"),
    [
        ("lagrangian", "dual_optimizer: SGD", "dual_optimizer: {name: SGD}"),
        ("lagrangian", "dual_optimizer: Adam", "dual_optimizer: {name: Adam}"),
        ("lagrangian", "dual_optimizer: RMSprop", "dual_optimizer: {name: RMSprop}"),
        ("lagrangian", "dual_optimizer: {momentum: 0.7}", "dual_optimizer: {momentum: 7e-1, name: SGD}"),
        ("lagrangian", "every: 1", "every: 1.0"),
        ("nupi", "dual_schedule: CosineAnnealingLR", "dual_schedule: [{name: CosineAnnealingLR, every: step}]"),
        ("lagrangian", "", "start: 0, every: 1, smooth: 0, multiplier_max: none, multiplier: plain"),
        ("augmented_lagrangian", "penalty: 1, growth: 2", "penalty: 1, growth: {factor: 2, every: 1}"),
    ],
)
def test_the_same_meaning_has_the_same_id(write: Write, method: str, one: str, other: str) -> None:
    first, second = (
        [key.id for key in runs(load(write(methods=f"{{{method}: {{dual_lr: 1, {given}}}}}")))]
        for given in (one, other)
    )
    assert first == second


EQUALITIES = '{g: "== 1", h: "== 2"}'
MIXED = '{g: "== 1", h: "<= 2"}'


@pytest.mark.parametrize(
    ("constraints", "coefficient"), [(EQUALITIES, "-2"), (EQUALITIES, "[-2, 3]"), (MIXED, "[-2, 0.5]"), (MIXED, "3")]
)
def test_coefficients_of_equalities_have_either_sign(write: Write, constraints: str, coefficient: str) -> None:
    task = load(write(constraints=constraints, methods=f"{{penalized: {{coefficient: {coefficient}}}}}"))
    assert [s["coefficient"] for s in task.methods["penalized"]] == [json.loads(coefficient)]


LIST = "write a number from 0 on, or a list in which only g has one below"


@pytest.mark.parametrize(
    ("constraints", "method", "coefficient", "message"),
    [
        (MIXED, "penalized", "-2", f"-2 is out of range for h, which is no equality; {LIST}"),
        (MIXED, "penalized", "[1, -2]", "-2 is out of range for h, which is no equality; write a number from 0 on"),
        (MIXED, "penalized", "{min: -1, max: 1, num: 3}", f"-1 is out of range for h, which is no equality; {LIST}"),
        ('{g: "<= 1", h: ">= 2"}', "penalized", "[0, -2]", "-2 is out of range; write a number from 0 on"),
        (EQUALITIES, "quadratic_penalty", "-2", "-2 is out of range; write a number from 0 on"),
    ],
)
def test_coefficients_below_0_are_refused_elsewhere(
    write: Write, constraints: str, method: str, coefficient: str, message: str
) -> None:
    path = write(constraints=constraints, methods=f"{{{method}: {{coefficient: {coefficient}}}}}")
    assert refusal(path) == f"x.yaml: methods.{method}.coefficient: {message}"


def test_an_option_changes_one_key_of_a_mapping(write: Write) -> None:
    grown = settings(
        write, "quadratic_penalty", f"{{coefficient: 1, growth: {RULE}}}", "quadratic_penalty.growth.factor=2,4"
    )
    assert [(s["growth"]["factor"], s["growth"]["every"]) for s in grown] == [(2, 100), (4, 100)]
    block = "{dual_lr: 1, dual_optimizer: Adam}"
    (moved,) = settings(write, "lagrangian", block, "lagrangian.dual_optimizer.amsgrad=true")
    assert moved["dual_optimizer"] == {"name": "Adam", "amsgrad": True}


@pytest.mark.parametrize(
    ("method", "given", "message"),
    [
        ("lagrangian", "start: 1", "start: 1 is out of range; write a number below 1"),
        ("lagrangian", "smooth: -0.1", "smooth: -0.1 is out of range; write a number from 0 on"),
        ("lagrangian", "every: 0", "every: expected an integer >= 1, got 0"),
        ("lagrangian", "every: 1.5", "every: expected an integer >= 1, got 1.5"),
        ("lagrangian", "every: epochs", "every: 'epochs' is not valid; write a number, or epoch"),
        (
            "lagrangian",
            "every: {min: 1, max: 2, num: 3}",
            "every: 1.5 is no whole number; write {values: [1, 10, 100]}",
        ),
        ("lagrangian", "multiplier_max: 0", "multiplier_max: 0 is out of range; write a number above 0"),
        ("lagrangian", "dual_optimizer: LBFGS", f"dual_optimizer: 'LBFGS' is not a valid choice; valid: {OPTIMIZERS}"),
        (
            "lagrangian",
            "dual_optimizer: {name: Sgd}",
            f"dual_optimizer.name: 'Sgd' is not a valid choice; valid: {OPTIMIZERS}",
        ),
        (
            "lagrangian",
            "dual_optimizer: {name: SGD, lr: 0.1}",
            "dual_optimizer.lr: 'lr' cannot be given here; its step-size is dual_lr",
        ),
        (
            "lagrangian",
            "dual_optimizer: {name: SGD, momentum: {values: []}}",
            "dual_optimizer.momentum: values is empty; write {values: [0.1, 1]}",
        ),
        (
            "nupi",
            "dual_optimizer: SGD",
            "dual_optimizer: unknown hyperparameter 'dual_optimizer'; valid: dual_lr, kp, ki, nu, update, init, "
            "multiplier_init, multipliers_on, start, every, smooth, multiplier, multiplier_max, dual_schedule",
        ),
        (
            "lagrangian",
            "dual_schedule: {name: ReduceLROnPlateau}",
            "dual_schedule.name: ReduceLROnPlateau depends on measured values, not on the step alone; "
            "use CosineAnnealingLR or StepLR",
        ),
        (
            "lagrangian",
            "dual_schedule: [{name: StepLR, step_size: 2}, {name: StepLR, step_size: 3}]",
            "dual_schedule.0: StepLR does not say how long it lasts; add for: 100, or a share of the training, "
            "for: 0.1",
        ),
        (
            "augmented_lagrangian",
            "penalty: 1, growth: {every: 2}",
            "growth: neither factor nor add is there; add factor: 10",
        ),
        (
            "augmented_lagrangian",
            "penalty: 1, growth: {factor: 2, add: 1}",
            "growth: factor and add at once; keep factor or add",
        ),
        (
            "augmented_lagrangian",
            "penalty: 1, growth: {factor: 2, each: 1}",
            "growth.each: unknown key 'each'; valid: factor, add, unless_reduced_to, every, max",
        ),
        (
            "lagrangian",
            "multiplier: exp, multiplier_init: {values: [1, 0]}",
            "multiplier_init: no exp(theta) is 0.0; write a number above 0, or leave it out for 1",
        ),
        (
            "lagrangian",
            "multiplier: exp, restart: true",
            "restart: no exp(theta) goes back to 0; write restart: false, or multiplier: plain",
        ),
    ],
)
def test_what_is_refused(write: Write, method: str, given: str, message: str) -> None:
    name = write(constraints=INEQUALITIES, methods=f"{{{method}: [{{dual_lr: 1, {given}}}]}}")
    assert refusal(name) == f"x.yaml: methods.{method}[0].{message}"


def test_an_equality_has_no_exponentiated_multiplier(write: Write) -> None:
    name = write(constraints="{g: '>= 0.7', h: '== 1'}", methods="{nupi: {dual_lr: 1, multiplier: exp}}")
    assert refusal(name) == (
        "x.yaml: methods.nupi.multiplier: exp(theta) is above 0, and the multiplier of an equality (h) may not be; "
        "write multiplier: plain, or two inequalities"
    )
