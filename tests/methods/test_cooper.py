"""Step by step the same numbers as Cooper, an independent implementation, on a stochastic problem in float64."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from method_settings import setting
from torch import Tensor

from cpd.methods.registry import REGISTRY

cooper: Any = pytest.importorskip("cooper", reason="cooper-optim is not installed: the extra 'test-all' has it")

pytestmark = pytest.mark.slow

STEPS = 250
LR = 0.02
SIZES = (2, 1)
"""Two inequalities, one equality."""
EQUALITY = torch.tensor([False, False, True])


def noise() -> Iterator[Tensor]:
    """The same minibatch noise for both."""
    generator = torch.Generator().manual_seed(11)
    while True:
        yield torch.randn(9, dtype=torch.float64, generator=generator)


def evaluate(x: Tensor, shake: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Objective, surrogate violations and strict ones, which are rounded."""
    target = torch.tensor([1.0, -2.0, 0.5, 3.0], dtype=torch.float64)
    objective = ((x - target - 0.3 * shake[:4]) ** 2).sum()
    inequality = torch.stack([x.sum() - 1.0 + 0.2 * shake[4], 0.5 - x[0] * x[1] + 0.2 * shake[5]])
    equality = (x[2] - x[3] ** 2 + 0.2 * shake[6]).reshape(1)
    surrogate = torch.cat([inequality, equality])
    return objective, surrogate, (surrogate.detach() * 4).round() / 4


def ours(name: str, given: dict[str, Any]) -> list[tuple[Tensor, Tensor]]:
    """A plain loop over the method's functions."""
    method, chosen = REGISTRY[name], setting(name, **given)
    x = torch.zeros(4, dtype=torch.float64, requires_grad=True)
    state = method.init(chosen, torch.zeros(3, dtype=torch.float64))
    seen = []
    for _, shake in zip(range(STEPS), noise(), strict=False):
        objective, surrogate, strict = evaluate(x, shake)
        new = method.update(strict, state, chosen, EQUALITY)
        acting = state if chosen.get("update") == "simultaneous" else new
        term = method.penalty_term(surrogate, acting, chosen, EQUALITY)
        (slope,) = torch.autograd.grad(objective + term, x)
        with torch.no_grad():
            x -= LR * slope
        state = new
        moved = torch.zeros(3) if method.multipliers is None else method.multipliers(state)
        seen.append((x.detach().clone(), moved.clone()))
    return seen


class Reference(cooper.ConstrainedMinimizationProblem):  # type: ignore[misc]  # Cooper may be missing
    """The same problem in Cooper."""

    def __init__(self, formulation: Any, penalty: float | None) -> None:
        super().__init__()
        self.x = torch.nn.Parameter(torch.zeros(4, dtype=torch.float64))
        self.shakes = noise()
        kinds = (cooper.ConstraintType.INEQUALITY, cooper.ConstraintType.EQUALITY)
        made = [self._constraint(kind, size, formulation, penalty) for kind, size in zip(kinds, SIZES, strict=True)]
        self.inequality, self.equality = made

    def _constraint(self, kind: Any, size: int, formulation: Any, penalty: float | None) -> Any:
        needs_multiplier = formulation is not cooper.formulations.QuadraticPenalty
        start = torch.zeros(size, dtype=torch.float64)
        multiplier = cooper.multipliers.DenseMultiplier(init=start).double() if needs_multiplier else None
        coefficient = None
        if penalty is not None:
            coefficient = cooper.penalty_coefficients.DensePenaltyCoefficient(init=start + penalty)
        return cooper.Constraint(
            constraint_type=kind,
            formulation_type=formulation,
            multiplier=multiplier,
            penalty_coefficient=coefficient,
        )

    def compute_cmp_state(self) -> Any:
        objective, surrogate, strict = evaluate(self.x, next(self.shakes))
        states = {
            self.inequality: cooper.ConstraintState(violation=surrogate[:2], strict_violation=strict[:2]),
            self.equality: cooper.ConstraintState(violation=surrogate[2:], strict_violation=strict[2:]),
        }
        return cooper.CMPState(loss=objective, observed_constraints=states)


def theirs(
    formulation: Any, optimizer: Any, dual: Any = None, penalty: float | None = None, growth: float = 1.0
) -> list[tuple[Tensor, Tensor]]:
    problem = Reference(formulation, penalty)
    primal = torch.optim.SGD([problem.x], lr=LR)
    if dual is None:
        rolling = cooper.optim.UnconstrainedOptimizer(cmp=problem, primal_optimizers=primal)
    else:
        rolling = optimizer(cmp=problem, primal_optimizers=primal, dual_optimizers=dual(problem.dual_parameters()))
    grow = cooper.penalty_coefficients.MultiplicativePenaltyCoefficientUpdater(
        growth_factor=growth, violation_tolerance=0.0, has_restart=False
    )
    seen = []
    for _ in range(STEPS):
        rolled = rolling.roll()
        if growth != 1.0:
            grow.step(rolled.cmp_state.observed_constraints)
        constraints = (problem.inequality, problem.equality)
        held = [
            torch.zeros(n) if c.multiplier is None else c.multiplier() for c, n in zip(constraints, SIZES, strict=True)
        ]
        seen.append((problem.x.detach().clone(), torch.cat(held).detach().clone()))
    return seen


def sgd(lr: float) -> Any:
    return lambda parameters: torch.optim.SGD(parameters, lr=lr, maximize=True)


def controller(lr: float, kp: float, ki: float, nu: float, init: Any) -> Any:
    gains: dict[str, Any] = {"Kp": torch.tensor(kp).double(), "Ki": torch.tensor(ki, dtype=torch.float64), "ema_nu": nu}
    return lambda parameters: cooper.optim.nuPI(parameters, lr=lr, init_type=init, maximize=True, **gains)


UPDATES = {
    "alternating": cooper.optim.AlternatingDualPrimalOptimizer,
    "simultaneous": cooper.optim.SimultaneousOptimizer,
}
FORMS = cooper.formulations
INITS = cooper.optim.nuPIInitType


def at(step: int) -> Callable[[str], str]:
    return lambda message: f"model at step {step}: {message}"


def assert_same(one: list[tuple[Tensor, Tensor]], other: list[tuple[Tensor, Tensor]]) -> None:
    assert len(one) == len(other) == STEPS
    for step, ((x, multiplier), (x_there, multiplier_there)) in enumerate(zip(one, other, strict=True)):
        torch.testing.assert_close(x, x_there, rtol=1e-9, atol=1e-12, msg=at(step))
        torch.testing.assert_close(multiplier, multiplier_there, rtol=1e-9, atol=1e-12, check_dtype=False)
    assert torch.isfinite(one[-1][0]).all()


@pytest.mark.parametrize("update", list(UPDATES))
def test_gradient_descent_ascent(update: str) -> None:
    found = ours("lagrangian", {"dual_lr": 0.05, "update": update})
    assert_same(found, theirs(FORMS.Lagrangian, UPDATES[update], sgd(0.05)))
    assert found[-1][1].abs().max() > 0.1, "the multipliers must have moved for this to mean anything"


def test_dual_adam() -> None:
    found = ours("lagrangian", {"dual_lr": 0.05, "dual_optimizer": "Adam"})
    adam = lambda parameters: torch.optim.Adam(parameters, lr=0.05, maximize=True)  # noqa: E731
    assert_same(found, theirs(FORMS.Lagrangian, UPDATES["alternating"], adam))


@pytest.mark.parametrize("update", list(UPDATES))
@pytest.mark.parametrize("nu", [0.0, 0.6])
@pytest.mark.parametrize(
    ("init", "there"), [("released", cooper.optim.nuPIInitType.SGD), ("zeros", cooper.optim.nuPIInitType.ZEROS)]
)
def test_nupi(update: str, nu: float, init: str, there: Any) -> None:
    found = ours("nupi", {"dual_lr": 0.03, "kp": 3.0, "ki": 0.8, "nu": nu, "init": init, "update": update})
    dual = controller(0.03, 3.0, 0.8, nu, there)
    assert_same(found, theirs(FORMS.Lagrangian, UPDATES[update], dual))


@pytest.mark.parametrize("growth", [1.0, 1.002])
def test_quadratic_penalty(growth: float) -> None:
    found = ours("quadratic_penalty", {"coefficient": 1.5, "growth": growth})
    assert_same(found, theirs(FORMS.QuadraticPenalty, None, None, 1.5, growth))


@pytest.mark.parametrize("growth", [1.0, 1.002])
@pytest.mark.parametrize("update", list(UPDATES))
def test_augmented_lagrangian(update: str, growth: float) -> None:
    found = ours("augmented_lagrangian", {"dual_lr": 0.05, "penalty": 1.5, "growth": growth, "update": update})
    assert_same(found, theirs(FORMS.AugmentedLagrangian, UPDATES[update], sgd(0.05), 1.5, growth))
