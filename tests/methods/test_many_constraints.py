"""Methods for many constraints: their equations by hand, and problems with many multipliers that are known."""

import math
from typing import Any

import pytest
import torch
from many_problems import prices
from method_settings import setting
from torch import Tensor

from cpd.engine.features import cosines
from cpd.methods.registry import REGISTRY

ETA, START = 0.5, 0.2


def moved(name: str, errors: list[list[float]], equality: Tensor, shown: Any = None, **given: Any) -> list[Any]:
    """The states after each of several steps, of which each shows some constraints."""
    method, chosen = REGISTRY[name], setting(name, len(equality), **given)
    state, found = method.init(chosen, torch.zeros(len(equality), dtype=torch.float64)), []
    for step, error in enumerate(errors):
        seen = {} if shown is None else {"observed": torch.tensor(shown[step])}
        state = method.update(torch.tensor(error, dtype=torch.float64), state, chosen | seen, equality)
        found.append(state)
    return found


def test_a_model_of_multipliers_ascends_in_its_parameters() -> None:
    # Three constraints, two features: (1, 1, 1) / sqrt 3 and (1, 0, -1) / sqrt 2; the last constraint is an equality.
    phi = [[3**-0.5] * 3, [2**-0.5, 0.0, -(2**-0.5)]]
    start, w = math.log(math.expm1(START)), [0.0, 0.0]
    errors = [[0.5, -0.2, 0.4], [1.0, 0.3, -0.6], [-0.4, 0.0, 0.1]]
    off_on = torch.tensor([False, False, True])
    found = moved("multiplier_model", errors, off_on, dual_lr=ETA, features=2, multiplier_init=START)
    for error, state in zip(errors, found, strict=True):
        thetas = [start + sum(w[m] * phi[m][j] for m in range(2)) for j in range(3)]
        slopes = [1 / (1 + math.exp(-thetas[0])), 1 / (1 + math.exp(-thetas[1])), 1.0]
        w = [w[m] + ETA * sum(phi[m][j] * slopes[j] * error[j] for j in range(3)) for m in range(2)]
        free = [sum(w[m] * phi[m][j] for m in range(2)) for j in range(3)]
        assert state.weight.tolist() == pytest.approx(w, rel=1e-12)
        expected = [*(math.log1p(math.exp(start + theta)) for theta in free[:2]), free[2]]
        assert state.multiplier.tolist() == pytest.approx(expected, rel=1e-12)


def test_its_step_is_the_gradient_of_the_lagrangian() -> None:
    n, equality = 9, torch.tensor([False] * 6 + [True] * 3)
    chosen = setting("multiplier_model", n, dual_lr=ETA, features=4)
    method, g = REGISTRY["multiplier_model"], torch.randn(n, dtype=torch.float64)
    state = method.update(g.flip(0), method.init(chosen, g), chosen, equality)
    w = state.weight.clone().requires_grad_()
    theta = w @ chosen["features"]
    start = math.log(math.expm1(0.1))
    total = g @ torch.where(equality, theta, torch.nn.functional.softplus(theta + start))
    (slope,) = torch.autograd.grad(total, w)
    torch.testing.assert_close(method.update(g, state, chosen, equality).weight, state.weight + ETA * slope)


@pytest.mark.parametrize("init", [1e-12, 0.1, 1e3])
def test_large_numbers_overflow_nothing(init: float) -> None:
    two = torch.tensor([False, False])
    (still,) = moved("multiplier_model", [[0.0, 0.0]], two, dual_lr=1.0, multiplier_init=init)
    assert still.multiplier.tolist() == pytest.approx([init, init], rel=1e-9)
    (state,) = moved("multiplier_model", [[1e6, -1e6]], two, dual_lr=1.0, multiplier_init=init)
    assert state.multiplier.isfinite().all()
    assert state.multiplier.min() >= 0


def test_with_a_feature_for_each_equality_it_is_gradient_ascent() -> None:
    both = torch.tensor([True] * 4)
    errors = torch.randn(5, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).tolist()
    plain = moved("lagrangian", errors, both, dual_lr=0.3)
    for one, other in zip(moved("multiplier_model", errors, both, dual_lr=0.3), plain, strict=True):
        torch.testing.assert_close(one.multiplier, other.multiplier)


@pytest.mark.parametrize(("number", "k"), [(1, 1), (3, 7), (8, 8), (20, 5), (8, 1000)])
def test_cosines_are_orthonormal_and_the_first_is_constant(number: int, k: int) -> None:
    phi = cosines(number, k)
    assert phi.shape == (min(number, k), k)
    torch.testing.assert_close(phi @ phi.T, torch.eye(len(phi), dtype=torch.float64))
    assert phi[0].tolist() == pytest.approx([k**-0.5] * k)
    if len(phi) > 1:
        assert phi[1].tolist() == pytest.approx(
            [math.sqrt(2 / k) * math.cos(math.pi * (j + 0.5) / k) for j in range(k)]
        )


def solved(n: int, features: int, steps: int, shown: int) -> tuple[Tensor, Tensor, Tensor]:
    """The bounds' optimum and multipliers as a plain loop finds them that shows ``shown`` constraints a step."""
    method, chosen = REGISTRY["multiplier_model"], setting("multiplier_model", n, dual_lr=1.0, features=features)
    inequalities, a = torch.zeros(n, dtype=torch.bool), 1 + prices(n)
    x, drawn = torch.zeros(n, dtype=torch.float64), torch.Generator().manual_seed(3)
    state = method.init(chosen, x)
    for _ in range(steps):
        seen = torch.zeros(n, dtype=torch.bool)
        seen[torch.randperm(n, generator=drawn)[:shown]] = True
        g = (x - 1).where(seen, torch.zeros_like(x))
        state = method.update(g, state, chosen | {"observed": seen}, inequalities)
        x = x - 0.2 * (x - a + state.multiplier)
    return x, state.multiplier, state.weight


@pytest.mark.parametrize("shown", [200, 20])
def test_few_parameters_find_many_multipliers(shown: int) -> None:
    """Of 200 constraints, all or a tenth of them shown a step: the three parameters give all 200 multipliers."""
    x, multipliers, weight = solved(200, 3, 2000, shown)
    assert weight.numel() == 3
    assert (x - 1).abs().max() < 1e-4
    assert (multipliers - prices(200)).abs().max() < 1e-4


def test_with_too_few_features_constraints_hold_on_average() -> None:
    x, multipliers, _ = solved(200, 1, 2000, 200)
    assert (x - 1).abs().max() > 0.1
    weights = 1 - (-multipliers).exp()  # sigma where lambda is the softplus
    assert (weights * (x - 1)).sum().abs() < 1e-6


# Variance reduction


def test_saga_goes_on_by_what_it_saw_last() -> None:
    # eta .5. a: seen, .4: .2; not, p 1/2: + .5 * .5 * .4 = .3; seen, .2, p 2/3: + .5 (.2 - .4 + 2/3 * .4) = .3333
    # b: not: 0; seen, 1, p 1/2: .5; not, p 1/3: + .5 / 3 = .6667. c, an equality, is always seen: -.1, -.3, .2
    shown = [[True, False, True], [False, True, True], [True, False, True]]
    errors = [[0.4, 0.0, -0.2], [0.0, 1.0, -0.4], [0.2, 0.0, 1.0]]
    found = moved("saga", errors, torch.tensor([False, False, True]), shown, dual_lr=0.5)
    assert [s.multiplier[0].item() for s in found] == pytest.approx([0.2, 0.3, 1 / 3])
    assert [s.multiplier[1].item() for s in found] == pytest.approx([0.0, 0.5, 2 / 3])
    assert [s.multiplier[2].item() for s in found] == pytest.approx([-0.1, -0.3, 0.2])
    assert found[2].last.tolist() == [0.2, 1.0, 1.0]


def test_saga_is_gradient_ascent_where_all_is_shown() -> None:
    errors = torch.randn(6, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)).tolist()
    mixed = torch.tensor([False, True, False])
    expected = [state.multiplier for state in moved("lagrangian", errors, mixed, dual_lr=0.3)]
    for shown in (None, [[True] * 3] * 6):
        found = [state.multiplier for state in moved("saga", errors, mixed, shown, dual_lr=0.3)]
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))


def test_sagas_steps_have_the_mean_of_gradient_ascent_and_in_the_end_no_variance() -> None:
    """At violations that rest, shown a quarter at a time: epochs of four steps, in an order of their own."""
    n, epochs, drawn = 12, 30, torch.Generator().manual_seed(2)
    g = torch.rand(n, dtype=torch.float64, generator=drawn) + 0.5
    seen = torch.cat([torch.randperm(n, generator=drawn).reshape(4, 3) for _ in range(epochs)])
    shown = torch.zeros(len(seen), n, dtype=torch.bool).scatter(1, seen, True)
    errors = torch.where(shown, g, torch.zeros_like(g)).tolist()
    found = moved("saga", errors, torch.zeros(n, dtype=torch.bool), shown.tolist(), dual_lr=0.1)
    steps = torch.stack([state.multiplier for state in found]).diff(dim=0) / 0.1
    assert (steps[-4:].mean(0) - g / 4).abs().max() < 0.02
    ours, plain = (steps[-40:] - g / 4).square().mean(), (shown[-40:] * g - g / 4).square().mean()
    assert ours < 1e-3 * plain
