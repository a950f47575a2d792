"""Recipes against a user's own loop with torch.optim, torch's schedulers and torch's clipping, in every engine."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from engine_batches import begun, constraint, key, numbers, source
from recipe_runs import (
    STEPS,
    assert_parameters,
    fitting,
    penalized,
    plainly,
    recipe_of,
    trained,
)
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_
from torch.optim import SGD, Adam, AdamW
from torch.optim import lr_scheduler as own

from cpd.engine.batch import Batch
from cpd.engine.train import Hooks, Interrupted, train
from cpd.errors import SpecError
from cpd.outcome import Run, RunKey
from cpd.spec.models import Train

ENGINES = ["eager", "captured", pytest.param("compiled", marks=pytest.mark.slow), "alone"]


def by(engine: str, batch: Batch) -> Batch:
    return replace(batch, fuse=False) if engine == "alone" else replace(batch, stepper=engine)


class Case(NamedTuple):
    """A recipe, and what a user's own loop has in its place."""

    train: Train
    optimizer_of: Callable[[nn.Module], torch.optim.Optimizer]
    scheduler_of: Callable[[torch.optim.Optimizer], Any] | None = None
    clip: Callable[[list[nn.Parameter]], Any] | None = None
    epoch: int = 1


def _groups(kind: Any, **options: Any) -> Callable[[nn.Module], torch.optim.Optimizer]:
    """Biases without decay and with a step-size of their own."""

    def make(model: nn.Module) -> torch.optim.Optimizer:
        named = dict(model.named_parameters())
        biases = {"params": [p for n, p in named.items() if n.endswith("bias")], "lr": 0.004, "weight_decay": 0}
        others = {"params": [p for n, p in named.items() if not n.endswith("bias")]}
        made: torch.optim.Optimizer = kind([others, biases], **options)
        return made

    return make


GROUPS = {"*.bias": {"lr": 0.004, "weight_decay": 0}, "*": {}}
CASES = {
    "warm-up, cosine, groups, norm": Case(
        recipe_of(
            optimizer={"name": "AdamW", "lr": 0.01, "weight_decay": 0.1},
            groups=GROUPS,
            schedule=[
                {"name": "LinearLR", "start_factor": 0.1, "total_iters": 20},
                {"name": "CosineAnnealingLR", "T_max": "all", "eta_min": 1e-4},
            ],
            clip={"norm": 0.3},
        ),
        _groups(AdamW, lr=0.01, weight_decay=0.1),
        lambda o: own.SequentialLR(
            o, [own.LinearLR(o, 0.1, total_iters=20), own.CosineAnnealingLR(o, STEPS - 20, 1e-4)], [20]
        ),
        lambda parameters: clip_grad_norm_(parameters, 0.3),
    ),
    "one cycle": Case(
        recipe_of(
            optimizer={"name": "SGD", "lr": 0.1, "momentum": 0.9},
            schedule={"name": "OneCycleLR", "max_lr": 0.2, "total_steps": "all"},
            clip={"value": 0.1},
        ),
        lambda model: SGD(model.parameters(), lr=0.1, momentum=0.9),
        lambda o: own.OneCycleLR(o, 0.2, STEPS),
        lambda parameters: clip_grad_value_(parameters, 0.1),
    ),
    "cycles of betas": Case(
        recipe_of(
            optimizer={"name": "Adam", "lr": 0.1, "amsgrad": True},
            schedule={"name": "CyclicLR", "base_lr": 1e-3, "max_lr": 0.02, "step_size_up": 15, "base_momentum": 0.0},
        ),
        lambda model: Adam(model.parameters(), lr=0.1, amsgrad=True),
        lambda o: own.CyclicLR(o, 1e-3, 0.02, 15, base_momentum=0.0),
    ),
    "cycles of a momentum that comes to 0": Case(
        recipe_of(
            optimizer={"name": "SGD", "lr": 0.1},
            schedule={"name": "CyclicLR", "base_lr": 1e-3, "max_lr": 0.05, "step_size_up": 15, "base_momentum": 0.0},
            clip={"norm": 0.5, "type": "inf"},
        ),
        lambda model: SGD(model.parameters(), lr=0.1),
        lambda o: own.CyclicLR(o, 1e-3, 0.05, 15, base_momentum=0.0),
        lambda parameters: clip_grad_norm_(parameters, 0.5, float("inf")),
    ),
    "by epoch": Case(
        recipe_of(
            optimizer={"name": "SGD", "lr": 0.1, "momentum": 0.5, "nesterov": True},
            schedule={"name": "StepLR", "step_size": 20, "gamma": 0.3, "every": "epoch"},
        ),
        lambda model: SGD(model.parameters(), lr=0.1, momentum=0.5, nesterov=True),
        lambda o: own.StepLR(o, 20, 0.3),
        epoch=4,
    ),
}


def slowly(names: Sequence[str], engines: Sequence[str], fast: Sequence[tuple[str, str]]) -> list[Any]:
    """Every name in every engine; all but some of them slow tests, and only the first two of each run are compiled."""
    pairs = [(name, engine) for name in names for engine in engines]
    seldom = [(name, "compiled") for name in names[2:]]
    slow = [[pytest.mark.slow, *([pytest.mark.whole] if pair in seldom else [])] for pair in pairs]
    return [pair if pair in fast else pytest.param(*pair, marks=own) for pair, own in zip(pairs, slow, strict=True)]


QUICK = [(name, "eager") for name in CASES] + [(next(iter(CASES)), engine) for engine in ("captured", "alone")]


@pytest.mark.parametrize(("name", "engine"), slowly(list(CASES), ["eager", "captured", "compiled", "alone"], QUICK))
def test_a_recipe_trains_as_a_users_own_loop(name: str, engine: str) -> None:
    case = CASES[name]
    batch = by(engine, fitting(case.train))
    expected = plainly(batch, case.optimizer_of, case.scheduler_of, case.clip, case.epoch)
    training = trained(batch)
    assert_parameters(training.state.parameters, expected.iterates[-1])
    recipe, state = training.going.step.recipe, training.state
    used = [[o["lr"][0].item() for o in recipe.options(state.recipe, torch.tensor(t))] for t in range(STEPS)]
    places = sorted({recipe.group_of[n] for n in state.parameters}, reverse=True)
    assert [[row[place] for place in places] for row in used] == expected.rates


FALLING = {"weight": constraint(0.5, "<="), "bias": constraint(0.5, "<=")}


def falling(train: Train, *keys: RunKey, **options: Any) -> Batch:
    keys = keys or (key("penalized", {"weight": 0.5, "bias": 0.5}, coefficient=0.0),)
    return Batch(source("Falling"), FALLING, train, keys, **options)


CYCLE = recipe_of(
    batch_size=None,
    optimizer={"name": "SGD", "lr": 0.1},
    groups={"bias": {"lr": 0.03}},
    schedule=[{"name": "LinearLR", "total_iters": 30}, {"name": "CosineAnnealingLR", "T_max": "all"}],
)


def rates() -> list[list[float]]:
    """Torch's own, of both groups."""
    optimizer = SGD([{"params": [nn.Parameter(torch.zeros(1))], "lr": lr} for lr in (0.1, 0.03)])
    parts = [own.LinearLR(optimizer, total_iters=30), own.CosineAnnealingLR(optimizer, STEPS - 30)]
    scheduler = own.SequentialLR(optimizer, parts, [30])
    found = []
    for _ in range(STEPS):
        found.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        scheduler.step()
    return found


def assert_falls(run: Run) -> None:
    """Each step of a parameter whose gradient is 1 is its step-size, to the last bit."""
    assert run.curves is not None
    for column, name in enumerate(FALLING):
        at, expected = 0.0, []
        for row in rates():
            expected.append(at)
            at -= row[column]
        assert list(run.curves.constraints[name]) == expected


@pytest.mark.parametrize("engine", ENGINES)
def test_the_step_size_of_every_step_is_pytorchs_own(engine: str) -> None:
    (run,) = train(by(engine, falling(CYCLE))).runs
    assert_falls(run)


@pytest.mark.parametrize("engine", ["captured", pytest.param("compiled", marks=pytest.mark.slow)])
def test_a_schedule_goes_on_where_a_training_was_cut(engine: str, tmp_path: Path) -> None:
    batch = by(engine, falling(CYCLE, checkpoint=str(tmp_path)))
    calls = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(calls) > 8))
    (run,) = train(batch).runs
    assert_falls(run)
    assert numbers(run) == numbers(train(replace(batch, checkpoint=None)).runs[0])


def test_a_table_does_not_depend_on_the_number_of_steps() -> None:
    """A program for 200 steps is one for 900."""
    steps = [begun(falling(CYCLE.model_copy(update={"steps": n}))).going.step for n in (200, 900)]
    assert steps[0].structure == steps[1].structure
    assert [t.shape for t in steps[0].tensors] == [t.shape for t in steps[1].tensors]


def test_a_step_beyond_the_last_one_has_its_step_size() -> None:
    recipe = begun(falling(CYCLE.model_copy(update={"steps": 1024}))).going.step.recipe
    (last, after, far) = (recipe.options(recipe.start, torch.tensor(t))[0]["lr"] for t in (1023, 1024, 10**6))
    assert torch.equal(last, after)
    assert torch.equal(last, far)


# Runs of one program whose recipes differ in numbers

SWEPT: dict[str, tuple[Train, dict[str, Sequence[Any]]]] = {
    "SGD": (
        recipe_of(
            optimizer={"name": "SGD", "lr": 0.1, "momentum": 0.5, "weight_decay": 0.0, "dampening": 0.2},
            groups={"*.bias": {"lr": 0.01}},
            schedule={"name": "PolynomialLR", "total_iters": "all", "power": 1.0},
            clip={"norm": 1.0},
        ),
        {
            "train.optimizer.lr": (0.1, 0.03, 0.01, 0.1),
            "train.optimizer.momentum": (0.9, 0.0, 0.5, 0.9),
            "train.optimizer.weight_decay": (0.0, 0.1, 0.01, 0.0),
            "train.schedule.power": (1.0, 2.0, 0.5, 1.0),
            "train.clip.norm": (1.0, 0.1, 10.0, 1.0),
        },
    ),
    "AdamW": (
        recipe_of(optimizer={"name": "AdamW", "lr": 0.01, "eps": 1e-8, "betas": [0.9, 0.999]}, average=0.1),
        {
            "train.optimizer.lr": (0.01, 0.003, 0.02),
            "train.optimizer.betas": ([0.9, 0.999], [0.8, 0.99], [0.9, 0.9]),
            "train.optimizer.eps": (1e-8, 1e-4, 1e-3),
            "train.average": (0.1, 0.5, 1.0),
        },
    ),
    "RMSprop": (
        recipe_of(optimizer={"name": "RMSprop", "lr": 0.01, "momentum": 0.0, "alpha": 0.9}),
        {"train.optimizer.momentum": (0.0, 0.5, 0.9), "train.optimizer.alpha": (0.9, 0.99, 0.5)},
    ),
}


@pytest.mark.parametrize(
    ("name", "engine"), slowly(list(SWEPT), ["eager", "captured", "compiled"], [("SGD", "captured")])
)
def test_runs_whose_recipes_differ_in_numbers_are_one_program(name: str, engine: str) -> None:
    recipe, grids = SWEPT[name]
    keys = [penalized(**dict(zip(grids, values, strict=True))) for values in zip(*grids.values(), strict=True)]
    training = trained(by(engine, fitting(recipe, *keys)))
    judged = training.going.step.judged(training.state).parameters
    for row, one in enumerate(keys):
        alone = trained(fitting(recipe, one, fuse=False))
        expected = alone.going.step.judged(alone.state).parameters
        assert_parameters(judged, {n: p[0] for n, p in expected.items()}, row)
    first = [p[0] for p in judged.values()]
    assert all(not torch.allclose(a, b[1]) for a, b in zip(first, judged.values(), strict=True))


def test_step_sizes_and_coefficients_are_one_program() -> None:
    """4 x 5 of them; each equals the run trained alone."""
    recipe = recipe_of(optimizer={"name": "SGD", "lr": 0.1})
    pairs = [(lr, c) for lr in (0.1, 0.03, 0.01, 0.003) for c in (0.0, 0.1, 0.5, 1.0, 2.0)]
    keys = [replace(penalized(), setting={"coefficient": c, "train.optimizer.lr": lr}) for lr, c in pairs]
    training = trained(fitting(recipe, *keys, stepper="captured"))
    assert training.stepper.name == "captured"
    assert len(training.keys) == 20
    for row in (0, 7, 19):
        alone = trained(fitting(recipe, keys[row], fuse=False)).state.parameters
        assert_parameters(training.state.parameters, {n: p[0] for n, p in alone.items()}, row)


# The mean of the last parameters


def test_the_mean_of_the_last_parameters_is_judged() -> None:
    batch = fitting(recipe_of(average=0.1))
    iterates = plainly(batch, lambda model: SGD(model.parameters(), lr=0.05)).iterates[-20:]
    mean = {n: torch.stack([at[n] for at in iterates]).mean(0) for n in iterates[0]}
    training = trained(batch)
    assert_parameters(training.going.step.judged(training.state).parameters, mean)
    assert not torch.allclose(mean["0.weight"], training.state.parameters["0.weight"][0])
    (run,) = train(batch).runs
    model = nn.Sequential(nn.Linear(1, 8), nn.Tanh(), nn.Linear(8, 1)).double()
    model.load_state_dict(mean)
    x, y = training.prepared.data
    assert run.objective == pytest.approx((model(x) - y).square().mean().item(), rel=1e-9)


def test_nothing_is_summed_where_no_mean_is_judged() -> None:
    training = begun(fitting(recipe_of()))
    assert training.state.average == {}
    assert training.going.step.judged(training.state) == training.going.step.models(training.state)
    assert set(training.state.recipe) & {"average.start", "clip.norm"} == set()


# Groups


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        (
            {"*.bais": {"lr": 1}},
            "train.groups.*.bais: matches no parameter that is trained; there are 2.bias, 0.bias, 2.",
        ),
        (
            {"*": {"lr": 1}, "*.bias": {"lr": 2}},
            "train.groups.*.bias: every parameter that it matches is matched by '*' before; the first match wins: "
            "write it above",
        ),
        ({"*.bias": {"momentun": 1}}, "train.groups.*.bias.momentun: SGD takes no option 'momentun'; did you mean "),
        ({"*.bias": {"momentum": -1}}, "train.groups.*.bias: SGD refuses {lr: 0.05, momentum: -1}: Invalid momentum"),
        ({"*.bias": {"nesterov": 1}}, "train.groups.*.bias.nesterov: 1 is neither true nor false; write true or false"),
        ({"*.bias": {"momentum": True}}, "train.groups.*.bias.momentum: true is not a number; write a number like 0"),
    ],
)
def test_groups_are_refused_in_a_line(groups: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as caught:
        begun(fitting(recipe_of(groups=groups)))
    assert str(caught.value).startswith(message)


def test_the_first_pattern_that_matches_counts() -> None:
    groups = {"2.*": {"lr": 0.0}, "*.bias": {"lr": 1.0}}
    recipe = begun(fitting(recipe_of(groups=groups))).going.step.recipe
    assert recipe.group_of == {"0.weight": 0, "0.bias": 2, "2.weight": 1, "2.bias": 1}
    assert [o["lr"][0].item() for o in recipe.options(recipe.start, torch.tensor(0))] == [0.05, 0.0, 1.0]


def test_a_frozen_run_keeps_its_mean_and_its_neighbours_go_on() -> None:
    """A step-size that diverges, beside one that does not."""
    recipe = recipe_of(optimizer={"name": "SGD", "lr": 0.05}, average=1.0, clip={"value": 1e300})
    wild = [penalized(**{"train.optimizer.lr": lr}) for lr in (0.05, 1e200, 0.02)]
    training = trained(fitting(recipe, *wild))
    assert training.state.active.tolist() == [True, False, True]
    tame = trained(fitting(recipe, wild[0], wild[2]))
    judged = [t.going.step.judged(t.state).parameters["0.weight"] for t in (training, tame)]
    assert torch.equal(judged[0][[0, 2]], judged[1])
