"""Every method that can solve a problem solves six whose answers are known, at some setting of one grid for all."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import pytest
import torch
from known_solutions import PROBLEMS, Known, box_quadratic
from method_settings import setting
from torch import Tensor

from cpd.engine.quadratic import pivoted
from cpd.methods.registry import REGISTRY

GRID = torch.logspace(-3, 2, 11, dtype=torch.float64).unsqueeze(1)
"""Of every method's first hyperparameter; a run each."""


class Way(NamedTuple):
    """How a method is set, and how near it comes.

    Attributes:
        given: What is not swept.
        x: To the optimum.
        multipliers: To the multipliers; None where nothing of the method converges to them.
    """

    given: Mapping[str, Any]
    x: float = 2e-3
    multipliers: float | None = 2e-2


WAYS = {
    "lagrangian": Way({}, 0.02, 0.2),  # it swings about a kink, and the less the smaller its steps
    "nupi": Way({"kp": 5.0}),
    "augmented_lagrangian": Way({"penalty": 2.0}),
    "exact_penalty": Way({}, 0.01, None),  # the optimum is its kink, at which it has no slope
    "log_barrier": Way({}, 0.1, 0.05),  # n / t from the best, and t is 100 at most
    "pid_lagrangian": Way({}),
    "geco": Way({"smooth": 0.0}, multipliers=0.1),
    "entropic": Way({}, 0.01, 0.05),
    "resilient": Way({"slack_cost": 100.0, "slack_lr": 0.01}, 0.02, 0.02),  # violated by a hundredth of the multipliers
    "method_of_multipliers": Way({}),
    "extragradient": Way({}, 0.02, 0.05),
    "switching": Way({"switch_above": 0.02}, 0.05, None),  # it ends between two gradients, neither of which is 0
    "multiplier_model": Way({}, 0.02, 0.2),  # with as many features as constraints
    "saga": Way({}, 0.02, 0.2),  # as lagrangian
    "optimistic": Way({}, 0.02, 0.05),
    "projected": Way({}),
}


def ends(name: str, known: Known, given: Mapping[str, Any], steps: int) -> tuple[Tensor, Tensor]:
    """Where the runs of the grid end, and the slopes that take the multipliers' place: a plain loop over all."""
    method = REGISTRY[name]
    chosen = setting(name, known.equality.numel(), **given, **{next(iter(method.hyperparameters)): GRID})
    chosen = {n: v.reshape(-1, 1) if isinstance(v, Tensor) and n != "features" else v for n, v in chosen.items()}
    x = known.start.expand(len(GRID), -1).clone().requires_grad_()
    state = method.init(chosen, known.violations(x).detach().zero_())

    def slope_at(there: Tensor, acting: Any) -> Tensor:
        counts = 1.0 if method.weight is None else method.weight(acting)
        added = method.penalty_term(known.violations(there), acting, chosen, known.equality)
        (slope,) = torch.autograd.grad((counts * known.objective(there) + added).sum(), there)
        return slope

    def told(state: Any) -> Any:
        asked = method.velocities(state) if method.velocities else None
        if asked is None:
            return state
        assert method.solved is not None
        g = known.violations(x)
        rows = torch.stack([torch.autograd.grad(one.sum(), x, retain_graph=True)[0] for one in g.unbind(1)], 1)
        (own,) = torch.autograd.grad(known.objective(x).sum(), x)
        right = asked.fall - (rows * own.unsqueeze(1)).sum(-1)
        return method.solved(pivoted(rows @ rows.mT, right, known.equality, asked.held, asked.last), state)

    before: Tensor | None = None
    for step in range(steps):
        at, lr = chosen | {"step": torch.tensor(step)}, known.lr * min(1.0, 2 - 2 * step / steps)
        new = told(method.update(known.violations(x).detach(), state, at, known.equality))
        if method.extrapolates:
            ahead = (x - lr * slope_at(x, state)).detach().requires_grad_()
            slope = slope_at(ahead, new)
            new = method.update(known.violations(ahead).detach(), state, at, known.equality)
        else:
            slope = slope_at(x, state if method.optimistic else new)
        if method.optimistic:
            slope, before = slope if before is None else 2 * slope - before, slope
        state = new if method.slope is None else method.slope(slope.norm(dim=1, keepdim=True), new)
        with torch.no_grad():
            x -= lr * slope
    g = known.violations(x.detach()).requires_grad_()
    (implied,) = torch.autograd.grad(method.penalty_term(g, state, chosen, known.equality).sum(), g)
    return x.detach(), implied


def nearest(name: str, known: Known, steps: int) -> tuple[float, float]:
    """How near the best setting comes to the optimum and the multipliers, both at once."""
    x, implied = ends(name, known, WAYS[name].given, steps)
    if known.x.numel() == 6:  # a constant added to logits is nothing
        x = x - x.mean(1, keepdim=True)
    away = (x - known.x).abs().amax(1).nan_to_num(nan=torch.inf)
    wrong = (implied - known.multipliers).abs().amax(1).nan_to_num(nan=torch.inf)
    way = WAYS[name]
    best = (away / way.x).maximum(wrong / way.multipliers if way.multipliers else away * 0).argmin()
    return away[best].item(), wrong[best].item()


def solves(name: str, known: Known, steps: int, priced: bool = True) -> None:
    away, wrong = nearest(name, known, steps)
    assert away < WAYS[name].x, (away, wrong)
    if WAYS[name].multipliers is not None and priced:
        assert wrong < WAYS[name].multipliers, (away, wrong)  # type: ignore[operator]


UNPRICED = {("projected", "hinges")}
"""Where the optimum is a kink of the objective, and multipliers are those of the slope that the last step had."""

CASES = [
    (name, problem)
    for name in WAYS
    for problem, make in PROBLEMS.items()
    if not (name in ("geco", "entropic") and make().equality.any())
]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "problem"), CASES)
def test_some_setting_of_the_grid_solves_it(name: str, problem: str) -> None:
    solves(name, PROBLEMS[problem](), 2000, (name, problem) not in UNPRICED)


@pytest.mark.parametrize("name", [name for name in WAYS if name != "log_barrier"])
def test_some_setting_of_the_grid_finds_what_a_box_cuts_off(name: str) -> None:
    solves(name, box_quadratic(), 400)


def test_every_method_that_can_solve_a_problem_is_tried() -> None:
    assert set(WAYS) == set(REGISTRY) - {"penalized", "quadratic_penalty"}


def test_a_resilient_run_solves_the_problem_with_the_slacks_price() -> None:
    # min |x - a|^2 / 2 + alpha / 2 [x - 1]+^2: x = (a + alpha) / (1 + alpha) beyond 1, and slack and multiplier follow.
    known, alpha = box_quadratic(), 2.0
    x, multipliers = ends("resilient", known, {"slack_cost": alpha}, 1500)
    run = 6  # dual_lr 1
    assert x[run].tolist() == pytest.approx([(2.5 + alpha) / (1 + alpha), -(1.8 + alpha) / (1 + alpha), 0.3], abs=1e-6)
    assert multipliers[run, [0, 4]].tolist() == pytest.approx([alpha * 0.5, alpha * 0.8 / 3], abs=1e-6)


@pytest.mark.parametrize("t", [4.0, 40.0])
def test_a_barrier_ends_at_its_own_minimum_from_either_side(t: float) -> None:
    # min (x - 2)^2 / 2 subject to x <= 1: x - 2 + 1 / (t (1 - x)) = 0.
    method, found = REGISTRY["log_barrier"], []
    x = torch.tensor([[-3.0], [7.0]], dtype=torch.float64, requires_grad=True)
    chosen = setting("log_barrier", sharpness=t)
    state = method.init(chosen, x.detach())
    for _ in range(3000):
        total = (x - 2).square().sum(1) / 2 + method.penalty_term(x - 1, state, chosen, torch.tensor([False]))
        (slope,) = torch.autograd.grad(total.sum(), x)
        with torch.no_grad():
            x -= 0.5 / t * slope
        found.append(x.detach().clone())
    inside = (3 - (1 + 4 / t) ** 0.5) / 2
    assert found[-1].flatten().tolist() == pytest.approx([inside, inside], abs=1e-6)
    assert found[-1].max() < 1, "feasible, also from where the plain barrier is infinite"
