"""The engine with methods that keep more than a multiplier: fused, alone, captured, and as loops by hand."""

from dataclasses import replace
from typing import Any

import pytest
import torch
from engine_batches import (
    SGD,
    assert_close,
    begun,
    bundled,
    constraint,
    key,
    numbers,
    one_by_one,
    quadratic,
    recipe,
    source,
)
from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.train import train
from cpd.errors import SpecError
from cpd.outcome import Run, RunKey, Status
from cpd.spec.models import Optimizer
from cpd.spec.training import Schedule

LEVELS = {"each": 0.5, "total": 2.0}
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("exact_penalty", {"coefficient": 0.7, "growth": 1.01}),
    ("log_barrier", {"sharpness": 3.0}),
    ("log_barrier", {"sharpness": 3.0, "growth": {"factor": 1.5, "every": 10, "max": 8.0}}),
    ("pid_lagrangian", {"dual_lr": 0.1, "kd": 0.5}),
    ("pid_lagrangian", {"dual_lr": [0.1, 0.2], "multiplier_max": 0.3, "start": 0.2}),
    ("geco", {"dual_lr": 0.1}),
    ("geco", {"dual_lr": 0.1, "smooth": 0.0, "every": 3}),
    ("entropic", {"dual_lr": 0.2}),
    ("entropic", {"dual_lr": 0.2, "radius": 3.0, "start": 0.1, "every": 2, "smooth": 0.5}),
    ("entropic", {"dual_lr": 0.2, "dual_schedule": {"name": "LinearLR", "total_iters": 20}}),
    ("resilient", {"dual_lr": 0.1, "slack_cost": [1.0, 4.0]}),
    ("method_of_multipliers", {"penalty": 2.0, "phase": 9}),
    ("method_of_multipliers", {"penalty": 3.0, "factor": 2.0}),
    ("extragradient", {"dual_lr": 0.1}),
    ("extragradient", {"dual_lr": 0.3, "every": 2, "multiplier_max": 0.4}),
    ("switching", {"coefficient": 0.7}),
    ("multiplier_model", {"dual_lr": 0.1, "features": 2}),
    ("saga", {"dual_lr": 0.1, "multiplier_max": 0.4}),
    ("optimistic", {"dual_lr": 0.1}),
    ("optimistic", {"dual_lr": 0.3, "update": "alternating", "every": 2}),
    ("switching", {"coefficient": [0.7, 1.0], "mend": "all", "switch_above": 0.01}),
    ("projected", {"alpha": [0.7, 3.0]}),
    ("projected", {"alpha": 2.0, "hold": "violated"}),
]
KEYS = [key(method, LEVELS, seed, **setting) for seed in (1, 2) for method, setting in SETTINGS]


def test_fused_equals_one_by_one_and_captured_equals_eager() -> None:
    eager = train(quadratic(KEYS, stepper="eager")).runs
    for fused, alone in zip(eager, one_by_one(quadratic(KEYS[: len(SETTINGS)])), strict=False):
        assert fused.status is Status.COMPLETED
        assert_close(fused, alone)
    captured = train(quadratic(KEYS, stepper="captured")).runs
    for one, other in zip(eager, captured, strict=True):
        assert_close(one, other, 1e-12)
    assert [numbers(r) for r in train(quadratic(KEYS[::-1], stepper="eager")).runs[::-1]] == [numbers(r) for r in eager]


@pytest.mark.slow
def test_compiled_equals_eager() -> None:
    keys = [one for one in KEYS if one.seed == 1]
    pairs = zip(train(quadratic(keys, stepper="eager")).runs, train(quadratic(keys)).runs, strict=True)
    for eager, compiled in pairs:
        assert_close(eager, compiled)


def test_a_run_that_diverges_tells_its_neighbours_nothing_of_its_gradient() -> None:
    own = [one for one in KEYS if one.method == "method_of_multipliers"]
    whole = train(quadratic(own, stepper="eager")).runs
    training = begun(quadratic(own, stepper="eager"))
    slopes = [part.tree.slope for part in training.state.methods]
    assert all(bool(slope.isinf().all()) for slope in slopes)
    wild = key("quadratic_penalty", LEVELS, coefficient=1e6)
    beside = train(quadratic([own[0], wild, *own[1:]], stepper="eager")).runs
    assert beside[1].status is Status.DIVERGED
    assert [numbers(r) for r in [beside[0], *beside[2:]]] == [numbers(r) for r in whole]


RATES = (0.3, 0.05)


def shortest(keys: list[RunKey], bounds: Any, steps: int = 80) -> list[Run]:
    problem = bundled("cpd.problems.min_norm:MinNorm", rows=[[1, 2, 0, -1], [0, 1, 1, 1]])
    return train(Batch(problem, bounds, recipe(steps, optimizer=SGD), tuple(keys), stepper="eager")).runs


def test_geco_is_the_lagrangian_with_an_average_and_exponents() -> None:
    bounds = {"row1": constraint(1.0, ">="), "row2": constraint(2.0, ">=")}
    levels = {"row1": 1.0, "row2": 2.0}
    driven: dict[str, Any] = {"multiplier": "exp", "smooth": 0.99, "multiplier_init": 1.0}
    ours = shortest([key("geco", levels, dual_lr=rate) for rate in RATES], bounds)
    theirs = shortest([key("lagrangian", levels, dual_lr=rate, **driven) for rate in RATES], bounds)
    for one, other in zip(ours, theirs, strict=True):
        assert_close(one, replace(other, key=one.key), 1e-9)


ROWS = torch.tensor([[1.0, 2, 0, -1], [0, 1, 1, 1]], dtype=torch.float64)


def by_hand(penalty: float, phase: int, steps: int) -> tuple[Tensor, Tensor, list[float]]:
    """Algorithm 17.4 on the shortest solution of two equations, written for it alone."""
    b = torch.tensor([1.0, 2.0], dtype=torch.float64)
    x, multiplier = torch.zeros(4, dtype=torch.float64), torch.zeros(2, dtype=torch.float64)
    mu, eta, omega, slope, inner = penalty, penalty**-0.1, 1 / penalty, float("inf"), 0
    penalties = []
    for _ in range(steps):
        h = ROWS @ x - b
        violation = float(h.norm())
        if not (violation <= 1e-4 and slope <= 1e-4) and (slope <= omega or inner >= phase):
            inner = 0
            if violation <= eta:
                multiplier, eta, omega = multiplier + mu * h, max(eta / mu**0.9, 1e-4), max(omega / mu, 1e-4)
            else:
                mu = min(3 * mu, 8.0)
                eta, omega = max(mu**-0.1, 1e-4), max(1 / mu, 1e-4)
        gradient = x + ROWS.T @ (multiplier + mu * h)
        slope, inner = float(gradient.norm()), inner + 1
        x = x - 0.02 * gradient
        penalties.append(mu)
    return x, multiplier, penalties


def test_the_method_of_multipliers_is_the_textbooks() -> None:
    bounds = {"row1": constraint(1.0, "=="), "row2": constraint(2.0, "==")}
    problem, steps = bundled("cpd.problems.min_norm:MinNorm"), 400
    setting: dict[str, Any] = {"penalty": 1.5, "phase": 6, "factor": 3.0, "penalty_max": 8.0}
    keys = (key("method_of_multipliers", {"row1": 1.0, "row2": 2.0}, **setting),)
    optimizer = Optimizer(name="SGD", options={"lr": 0.02})
    (run,) = train(Batch(problem, bounds, recipe(steps, optimizer=optimizer), keys, stepper="eager")).runs
    x, multiplier, penalties = by_hand(1.5, 6, steps)
    assert len(set(penalties)) > 1, "the penalty has grown, or this says little"
    assert run.objective == pytest.approx(float(x.square().sum()) / 2, rel=1e-9)
    found = [run.constraints[name].multiplier for name in ("row1", "row2")]
    assert found == pytest.approx(multiplier.tolist(), rel=1e-9)
    assert found == pytest.approx([-1 / 17, -11 / 17], abs=1e-3), "which are the known ones"


def game(method: str, steps: int, **options: Any) -> Run:
    keys = (key(method, {"x": 0.0}, dual_lr=0.2),)
    problem = source("Game")
    train_ = recipe(steps, optimizer=Optimizer(name="SGD", options={"lr": 0.2}))
    return train(Batch(problem, {"x": constraint(0.0, "==")}, train_, keys, **options)).runs[0]


@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_extragradient_takes_the_steps_of_a_loop_by_hand_and_ends_a_game(stepper: str) -> None:
    x, multiplier = 1.0, 0.0
    for _ in range(30):
        ahead, raised = x - 0.2 * (1 + multiplier), multiplier + 0.2 * x
        x, multiplier = x - 0.2 * (1 + raised), multiplier + 0.2 * ahead
    run = game("extragradient", 30, stepper=stepper)
    assert run.constraints["x"].value == pytest.approx(x, rel=1e-12)
    assert run.constraints["x"].multiplier == pytest.approx(multiplier, rel=1e-12)
    assert game("extragradient", 600, stepper=stepper).constraints["x"].multiplier == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize("stepper", ["eager", "captured"])
def test_optimistic_steps_are_those_of_a_loop_by_hand_and_end_a_game(stepper: str) -> None:
    x, multiplier, before = 1.0, 0.0, (1.0, 1.0)
    for step in range(30):
        now = (1 + multiplier, x)
        before = before if step else now
        x, multiplier = x - 0.2 * (2 * now[0] - before[0]), multiplier + 0.2 * (2 * now[1] - before[1])
        before = now
    run = game("optimistic", 30, stepper=stepper)
    assert run.constraints["x"].value == pytest.approx(x, rel=1e-12)
    assert run.constraints["x"].multiplier == pytest.approx(multiplier, rel=1e-12)
    assert game("optimistic", 600, stepper=stepper).constraints["x"].multiplier == pytest.approx(-1, abs=1e-4)


def test_plain_ascent_goes_round_and_round_in_that_game() -> None:
    run = game("lagrangian", 600, stepper="eager")
    multiplier = run.constraints["x"].multiplier
    assert isinstance(multiplier, float)
    assert abs(multiplier + 1) > 0.5


@pytest.mark.parametrize("accumulate", [1, 3])
def test_looking_ahead_sees_the_same_examples_and_draws_the_same_numbers(accumulate: int) -> None:
    levels = {"rate": 0.7}
    settings: list[tuple[str, dict[str, Any]]] = [
        ("extragradient", {"dual_lr": 0.1}),
        ("extragradient", {"dual_lr": 0.5}),
        ("switching", {"coefficient": 1.0}),
        ("method_of_multipliers", {"penalty": 2.0, "phase": 5}),
        ("optimistic", {"dual_lr": 0.1}),
    ]
    keys = tuple(key(method, levels, seed, **given) for seed in (1, 2) for method, given in settings)
    train_ = recipe(20, 16).model_copy(update={"accumulate": accumulate})
    batch = Batch(source("Classifier"), {"rate": constraint(0.7, ">=")}, train_, keys)
    for fused, alone in zip(train(batch).runs, one_by_one(batch), strict=True):
        assert fused.status is Status.COMPLETED
        assert_close(fused, alone)


@pytest.mark.parametrize(
    ("method", "said"), [("extragradient", "looks a step ahead"), ("optimistic", "corrects one gradient")]
)
def test_some_are_refused_where_the_optimizer_evaluates_several_times(method: str, said: str) -> None:
    batch = quadratic([key(method, LEVELS, dual_lr=0.1)], optimizer=Optimizer(name="LBFGS"))
    with pytest.raises(SpecError, match=rf"^methods\.{method}: it {said}"):
        train(batch)


def switched(steps: int) -> tuple[float, float]:
    """``min |x - 1|^2`` where each x_i >= 0.5 and their sum is 2, one step of whoever's turn it is at a time."""
    torch.manual_seed(1)
    x = torch.nn.Linear(3, 1, bias=False).weight.detach().double()[0]
    for _ in range(steps):
        low, total = 0.5 - x, round(float(x.sum()), 2) - 2.0
        worst = max(*low.tolist(), abs(total))
        if worst <= 0.01:
            slope = 2 * (x - 1)
        elif abs(total) == worst:
            slope = torch.full_like(x, 0.7 if total > 0 else -0.7)
        else:
            slope = torch.where(low == worst, -0.7, 0.0).double()
        x = x - 0.05 * slope
    return float((x - 1).square().sum()), float(x.sum())


def test_switching_takes_the_steps_of_a_loop_by_hand() -> None:
    (run,) = train(quadratic([key("switching", LEVELS, coefficient=0.7, switch_above=0.01)], steps=40)).runs
    objective, total = switched(40)
    assert run.objective == pytest.approx(objective, rel=1e-6)
    assert run.constraints["total"].surrogate == pytest.approx(total, rel=1e-6)


KNOWN: dict[str, dict[str, Any]] = {
    "pid_lagrangian": {"dual_lr": 0.1},
    "extragradient": {"dual_lr": 0.1},
    "method_of_multipliers": {"penalty": 3.0, "factor": 3.0, "penalty_max": 9.0, "least_violation": 0.0, "phase": 50},
    "geco": {"dual_lr": 0.1, "smooth": 0.5},
    "entropic": {"dual_lr": 0.2, "radius": 3.0},
    "resilient": {"dual_lr": 0.1, "slack_cost": 1e4, "slack_lr": 1e-4},
    "log_barrier": {"sharpness": 20.0},
    "exact_penalty": {"coefficient": 1.0},
    "switching": {"coefficient": 0.5},
    "multiplier_model": {"dual_lr": 0.5},
    "saga": {"dual_lr": 0.1},
    "optimistic": {"dual_lr": 0.1},
    "projected": {"alpha": 1.0},
}
"""With how each comes to the shortest solution of two equations, which is that of the inequalities too."""


@pytest.mark.slow
def test_every_method_comes_to_the_shortest_solution() -> None:
    bounds, levels = {"row1": constraint(1.0, ">="), "row2": constraint(2.0, ">=")}, {"row1": 1.0, "row2": 2.0}
    falling = Schedule.model_validate(
        {"name": "LinearLR", "start_factor": 1.0, "end_factor": 0.0, "total_iters": "all"}
    )
    train_ = recipe(1000, optimizer=SGD).model_copy(update={"schedule": (falling,)})
    keys = tuple(key(method, levels, **given) for method, given in KNOWN.items())
    problem = bundled("cpd.problems.min_norm:MinNorm")
    runs = {run.key.method: run for run in train(Batch(problem, bounds, train_, keys, stepper="captured")).runs}
    for name, run in runs.items():
        best = 0.5 * 23 / 17
        if name == "log_barrier":  # feasible, and n / t from the best
            assert run.constraints["row1"].value > 1  # type: ignore[operator]
            assert best < run.objective < best + 2 / 20  # type: ignore[operator]
            continue
        near = 0.02 if name in ("switching", "exact_penalty") else 2e-3
        assert [run.constraints[row].value for row in bounds] == pytest.approx([1, 2], abs=near), name
        assert run.objective == pytest.approx(best, abs=near), name
        if run.constraints["row1"].multiplier is not None:
            assert [run.constraints[row].multiplier for row in bounds] == pytest.approx([1 / 17, 11 / 17], abs=5e-3), (
                name
            )


@pytest.mark.slow
def test_a_barrier_on_a_rate_that_starts_violated_ends_where_it_holds() -> None:
    level = {"class0_rate": 0.7}
    keys = (key("log_barrier", level, sharpness=20.0), key("penalized", level, coefficient=0.0))
    rate = {"class0_rate": constraint(0.7, ">=").model_copy(update={"tolerance": 0.0025})}
    train_ = recipe(1500, optimizer=Optimizer(name="SGD", options={"lr": 0.02}), dtype="float32")
    barrier, plain = train(Batch(bundled("cpd.problems.rate:Rate"), rate, train_, keys, stepper="captured")).runs
    assert barrier.curves is not None
    assert barrier.curves.constraints["class0_rate"][0] < 0.6
    assert barrier.constraints["class0_rate"].value > 0.697  # type: ignore[operator]
    assert plain.constraints["class0_rate"].value < 0.6  # type: ignore[operator]
