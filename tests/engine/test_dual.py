"""What drives the multipliers around a method's own update: the printed equations by hand, and in every engine."""

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from engine_batches import (
    ADAM,
    assert_close,
    begun,
    constraint,
    flat,
    key,
    numbers,
    one_by_one,
    quadratic,
    recipe,
    source,
)
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.dual import Clock
from cpd.engine.method_groups import MethodGroups, group_name
from cpd.engine.train import Hooks, Interrupted, train
from cpd.engine.tree import leaves, named
from cpd.outcome import RunKey

CLOCK = Clock(steps=20, epoch=4)
EQUALITY = torch.tensor([False, True])
ERRORS = torch.randn(CLOCK.steps, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) + 0.3

DRIVEN: list[dict[str, Any]] = [
    {"start": 0.3},
    {"start": 0.07},  # 1.4 steps: two
    {"every": 3},
    {"every": "epoch"},
    {"smooth": 0.9},
    {"multiplier_max": 0.15},
    {"multiplier_max": [0.1, 0.2]},
    {"start": 0.25, "every": 3, "smooth": 0.5, "multiplier_max": 0.2, "multiplier_init": 0.05},
]
SHARED = {"start": 0.35, "every": 2, "smooth": 0.3}
METHODS: list[tuple[str, dict[str, Any]]] = [
    *(("lagrangian", {"dual_lr": 0.1, **given}) for given in DRIVEN),
    ("lagrangian", {"dual_lr": 0.1, "restart": True, **SHARED}),
    ("lagrangian", {"dual_lr": 0.1, "dual_optimizer": "Adam", **SHARED}),
    ("nupi", {"dual_lr": 0.1, "kp": 2.0, "nu": 0.3, "multiplier_max": 0.3, **SHARED}),
    ("augmented_lagrangian", {"dual_lr": 0.1, "penalty": 1.0, **SHARED}),
]


def keys_of(settings: list[tuple[str, dict[str, Any]]]) -> list[RunKey]:
    keys = [RunKey(method, setting, {"a": 0.0, "b": 0.0}, 1) for method, setting in settings]
    return sorted(keys, key=lambda one: str(group_name(one)))


def grouped(keys: list[RunKey], equality: Tensor = EQUALITY, clock: Clock = CLOCK) -> MethodGroups:
    like = torch.zeros(len(keys), 2, dtype=torch.float64)
    return MethodGroups(keys, {"a": 1, "b": 1}, equality, like, clock)


def rolled(groups: MethodGroups, errors: Tensor) -> Tensor:
    """The multipliers after each step, ``[steps, R, C]``; every run sees the same violations."""
    like = torch.zeros(groups.runs, 2, dtype=torch.float64)
    states, active, found = groups.init(like), torch.ones(groups.runs, dtype=torch.bool), []
    for t, g in enumerate(errors):
        states = groups.update(g.expand_as(like), states, active, torch.tensor(t))
        found.append(groups.multipliers(states, like))
    return torch.stack(found)


def by_hand(one: RunKey, errors: Tensor, equality: Tensor, clock: Clock) -> Tensor:
    """The multipliers of one run after each step, each component in a loop of numbers."""
    setting: dict[str, Any] = {"start": 0.0, "every": 1, "smooth": 0.0, "multiplier_max": "none", **one.setting}
    every = clock.epoch if setting["every"] == "epoch" else setting["every"]
    columns = []
    for c, free in enumerate(equality.tolist()):
        cap = setting["multiplier_max"]
        cap = math.inf if cap == "none" else cap[c] if isinstance(cap, list) else cap
        plain = grouped([RunKey(one.method, undriven(one.setting), one.levels, 1)], equality[[c, c]])
        state = plain.init(torch.zeros(1, 2, dtype=torch.float64))
        multiplier, seen, mean, column = one.setting.get("multiplier_init", 0.0), [], None, []
        for t, g in enumerate(errors[:, c].tolist()):
            if t >= round(setting["start"] * clock.steps, 9):
                seen.append(g)
                if (t + 1) % every == 0:
                    average, seen = sum(seen) / len(seen), []
                    beta = setting["smooth"]
                    mean = average if mean is None else beta * mean + (1 - beta) * average
                    drive = torch.full((1, 2), mean, dtype=torch.float64)
                    (before,) = state
                    at = before._replace(tree=before.tree._replace(multiplier=torch.full_like(drive, multiplier)))
                    state = plain.update(drive, (at,), torch.tensor([True]), torch.tensor(t))
                    moved = plain.multipliers(state, drive)[0, 0].item()
                    multiplier = max(-cap if free else 0.0, min(cap, moved))
            column.append(multiplier)
        columns.append(column)
    return torch.tensor(columns, dtype=torch.float64).T


def undriven(setting: Any) -> dict[str, Any]:
    return {n: v for n, v in setting.items() if n not in ("start", "every", "smooth", "multiplier_max")}


def test_moves_are_those_of_the_printed_equations() -> None:
    keys = keys_of(METHODS)
    found = rolled(grouped(keys), ERRORS)
    for row, one in enumerate(keys):
        expected = by_hand(one, ERRORS, EQUALITY, CLOCK)
        torch.testing.assert_close(found[:, row], expected, rtol=1e-12, atol=1e-14)
        assert found[-1, row].abs().max() > 0


def test_three_moves_in_numbers() -> None:
    errors = torch.tensor([[9.0], [1.0], [3.0], [2.0], [4.0], [-1.0]], dtype=torch.float64).expand(6, 2)
    one = RunKey("lagrangian", {"dual_lr": 0.5, "start": 0.1, "every": 2, "smooth": 0.5, "multiplier_max": 1.6}, {}, 1)
    found = rolled(grouped([one], clock=Clock(6, 1)), errors)[:, 0, 0].tolist()
    # Step 0 rests. Means: 1 (of step 1 alone), (3 + 2) / 2, (4 - 1) / 2. Averages: 1, 1.75, 1.625.
    # 0.5 * 1; 0.5 + 0.5 * 1.75; 1.375 + 0.5 * 1.625 is above the cap.
    assert found == pytest.approx([0.0, 0.5, 0.5, 1.375, 1.375, 1.6])


def test_exponentiated_multipliers_are_multiplied() -> None:
    inequalities = torch.tensor([False, False])
    settings: list[dict[str, Any]] = [{}, {"multiplier_init": 0.2}, {"multiplier_max": 1.1}, {"every": 2, "start": 0.2}]
    keys = keys_of([("lagrangian", {"dual_lr": 0.1, "multiplier": "exp", **given}) for given in settings])
    found = rolled(grouped(keys, inequalities), ERRORS)
    for row, one in enumerate(keys):
        multiplier = torch.full((2,), one.setting.get("multiplier_init", 1.0), dtype=torch.float64)
        seen: list[Tensor] = []
        for t, g in enumerate(ERRORS):
            seen += [g] if t >= one.setting.get("start", 0) * CLOCK.steps else []
            if seen and (t + 1) % one.setting.get("every", 1) == 0:
                multiplier = multiplier * (0.1 * torch.stack(seen).mean(0)).exp()  # w <- w exp(eta g)
                multiplier = multiplier.clamp(max=one.setting.get("multiplier_max", math.inf))
                seen = []
            torch.testing.assert_close(found[t, row], multiplier, rtol=1e-12, atol=0)
    assert found.min() > 0


def test_what_is_not_asked_for_adds_nothing() -> None:
    like = torch.zeros(1, 2, dtype=torch.float64)
    plain = grouped(keys_of([("lagrangian", {"dual_lr": 0.1})]))
    written_out = {"dual_lr": 0.1, "start": 0.0, "every": 1.0, "smooth": 0.0, "multiplier_max": "none"}
    same = grouped(keys_of([("lagrangian", written_out)]))
    assert [name for name, _ in named(plain.init(like))] == [name for name, _ in named(same.init(like))]
    assert plain.parts[0].structure == same.parts[0].structure
    assert plain.parts[0].dual is None


def test_numbers_are_rows_and_structure_is_not() -> None:
    numbers_of = {"smooth": (0.1, 0.5), "start": (0.1, 0.2), "every": (2, 7), "multiplier_max": (2.0, 3.0)}
    settings = [dict(zip(numbers_of, values, strict=True)) for values in itertools.product(*numbers_of.values())]
    groups = grouped(keys_of([("nupi", {"dual_lr": 0.1, **given}) for given in settings]))
    assert len(groups.parts) == 1


def test_a_component_that_is_not_observed_waits() -> None:
    """Its mean is over what was observed; where nothing was since its last move, it does not move."""
    like = torch.zeros(1, 2, dtype=torch.float64)
    one = RunKey("lagrangian", {"dual_lr": 1.0, "every": 2, "smooth": 0.5}, {}, 1)
    groups = grouped([one])
    states, found = groups.init(like), []
    shown = [(True, False), (False, False), (False, False), (False, False), (True, True), (True, False)]
    for t, seen in enumerate(shown):
        observed = torch.tensor([seen])
        g = torch.where(observed, torch.tensor([[float(t + 1), 10.0]]), 0.0).to(like)
        states = groups.update(g, states, torch.tensor([True]), torch.tensor(t), observed)
        found.append(groups.multipliers(states, like)[0].tolist())
    # First: mean 1, then nothing in steps 2 and 3, then (5 + 6) / 2 averaged with 1. Second: 10 at the last move alone.
    assert found == [[0, 0], [1, 0], [1, 0], [1, 0], [1, 0], [1 + 3.25, 10]]


LEVELS = {"each": 0.5, "total": 2.0}
GROWING: list[tuple[str, dict[str, Any]]] = [
    ("quadratic_penalty", {"coefficient": 0.5}),
    ("augmented_lagrangian", {"dual_lr": 0.1, "penalty": 0.5}),
]
EVERYTHING = [
    *(key(m, LEVELS, **s) for m, s in METHODS if "multiplier_max" not in s or m == "nupi"),
    key("lagrangian", LEVELS, dual_lr=0.1, multiplier_max=0.4, every=7),
    key("lagrangian", LEVELS, dual_lr=0.1, multiplier_max=0.3),
    *(
        key(m, LEVELS, **s, growth=rule)
        for m, s in GROWING
        for rule in (
            {"factor": 2.0, "unless_reduced_to": 0.9, "every": 5, "max": 8.0},
            {"factor": 3.0, "unless_reduced_to": 0.5, "every": 7, "max": 5.0},
            {"add": 0.1, "every": "epoch"},
        )
    ),
]
EXPONENTIAL = Batch(
    source("Classifier"),  # minibatches: an epoch has 4 steps
    {"rate": constraint(0.7, ">=")},
    recipe(60, 16, ADAM),
    tuple(
        key("lagrangian", {"rate": 0.7}, dual_lr=e, multiplier="exp", every="epoch", multiplier_max=m, smooth=0.3)
        for e in (0.1, 2.0)
        for m in ("none", 0.99)
    ),
)
BATCHES = {"all": quadratic(EVERYTHING), "exp": EXPONENTIAL}


@pytest.mark.parametrize("kind", BATCHES)
def test_every_engine_gives_the_same_numbers(kind: str) -> None:
    batch = replace(BATCHES[kind], stepper="eager")
    eager = train(batch).runs
    for other in (train(replace(batch, stepper="captured")).runs, one_by_one(batch)):
        for one, same in zip(other, eager, strict=True):
            assert_close(one, same)
    assert len({str(numbers(run)) for run in eager}) == len(batch.keys), "each setting has numbers of its own"


@pytest.mark.slow
@pytest.mark.parametrize("kind", BATCHES)
def test_the_compiled_engine_gives_them_too(kind: str) -> None:
    batch = BATCHES[kind]
    for one, same in zip(train(replace(batch, stepper="compiled")).runs, train(batch).runs, strict=True):
        assert_close(one, same)


@pytest.mark.parametrize("kind", BATCHES)
def test_a_killed_training_goes_on_bit_by_bit(kind: str, tmp_path: Path) -> None:
    batch = replace(BATCHES[kind], stepper="captured", checkpoint=str(tmp_path), checkpoint_every=0.0)
    whole = train(replace(batch, checkpoint=None)).runs
    steps = iter(range(10_000))
    with pytest.raises(Interrupted):
        train(batch, Hooks(stop=lambda: next(steps) == 23))
    assert [numbers(run) for run in train(batch).runs] == [numbers(run) for run in whole]


def test_a_training_is_the_plain_loop_that_one_would_write() -> None:
    """Rest, mean, moving average and cap, with the model's own SGD, as plain PyTorch."""
    one = key("lagrangian", LEVELS, dual_lr=0.3, start=0.2, every=3, smooth=0.6, multiplier_max=0.5)
    training = begun(quadratic([one]))
    x = next(iter(training.state.parameters.values()))[0, 0].clone().requires_grad_()
    multiplier, seen, mean = torch.zeros(4, dtype=torch.float64), [], None
    free = torch.tensor([False, False, False, True])
    for t in range(60):
        surrogate = torch.cat([0.5 - x, (x.sum() - 2.0).reshape(1)])
        strict = torch.cat([0.5 - x, (x.sum().round(decimals=2) - 2.0).reshape(1)]).detach()
        seen += [strict] if t >= 12 else []
        if seen and (t + 1) % 3 == 0:
            average, seen = torch.stack(seen).mean(0), []
            mean = average if mean is None else 0.6 * mean + 0.4 * average
            moved = multiplier + 0.3 * mean
            multiplier = torch.where(free, moved, moved.clamp_min(0)).clamp(-0.5, 0.5)
        loss = ((x - 1.0) ** 2).sum() + (multiplier * surrogate).sum()
        (slope,) = torch.autograd.grad(loss, x)
        x = (x - 0.05 * slope).detach().requires_grad_()
    (run,) = train(quadratic([one])).runs
    assert run.constraints["each"].value == pytest.approx(x.tolist(), rel=1e-9)
    found = flat([run.constraints[name].multiplier for name in LEVELS])
    assert found == pytest.approx(multiplier.tolist(), rel=1e-9)


def test_a_diverged_run_keeps_all_that_it_remembers() -> None:
    groups = grouped(keys_of([("lagrangian", {"dual_lr": 0.1, "every": 3, "smooth": 0.2})] * 2))
    like = torch.zeros(2, 2, dtype=torch.float64)
    states = groups.init(like)
    frozen = groups.update(like / 0, states, torch.tensor([False, False]), torch.tensor(0))
    assert all(torch.equal(a, b) for a, b in zip(leaves(states), leaves(frozen), strict=True))


@pytest.mark.parametrize(
    "given",
    [
        {"multiplier": "exp"},
        {"multiplier": "exp", "every": 4, "smooth": 0.5, "start": 0.1},
        {"every": 5, "smooth": 0.8, "multiplier_max": 3.0},
    ],
)
def test_the_known_optimum_and_multipliers_are_reached(given: dict[str, Any]) -> None:
    """min ||x - (2, 1, -1)||^2 with x1 + x2 <= 1, which binds with the multiplier 2, and x3 <= 5, which does not."""
    rows = torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 1.0]], dtype=torch.float64)
    target, limits = torch.tensor([2.0, 1.0, -1.0], dtype=torch.float64), torch.tensor([1.0, 5.0])
    groups = grouped(
        keys_of([("lagrangian", {"dual_lr": 0.05, **given})]), torch.tensor([False, False]), Clock(4000, 1)
    )
    x, states, on = torch.zeros(3, dtype=torch.float64), groups.init(limits.double()[None]), torch.tensor([True])
    for t in range(4000):
        g = rows @ x - limits
        states = groups.update(g[None], states, on, torch.tensor(t))
        x = x - 0.02 * (2 * (x - target) + groups.multipliers(states, g[None])[0] @ rows)
    torch.testing.assert_close(x, torch.tensor([1.0, 0.0, -1.0], dtype=torch.float64), atol=1e-6, rtol=0)
    found = groups.multipliers(states, g[None])[0]
    torch.testing.assert_close(found, torch.tensor([2.0, 0.0], dtype=torch.float64), atol=1e-5, rtol=0)
