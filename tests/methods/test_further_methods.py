"""Methods of the wider field: their printed equations by hand, and plain loops of other people's programs."""

import math
from typing import Any

import pytest
import torch
from method_settings import setting

from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY, price

INEQUALITY, EQUALITY = torch.tensor([False]), torch.tensor([True])
ERRORS = [0.5, -0.2, 0.4]


def states(name: str, errors: list[Any], equality: torch.Tensor = INEQUALITY, **given: Any) -> list[Any]:
    """The states after each of several strict violations."""
    method, chosen = REGISTRY[name], setting(name, **given)
    state = method.init(chosen, torch.zeros(len(equality), dtype=torch.float64))
    found = []
    for step, error in enumerate(errors):
        g = torch.tensor(error, dtype=torch.float64).reshape(-1)
        state = method.update(g, state, chosen | {"step": torch.tensor(step)}, equality)
        found.append(state)
    return found


def multipliers(name: str, errors: list[Any], equality: torch.Tensor = INEQUALITY, **given: Any) -> list[Any]:
    read = REGISTRY[name].multipliers
    assert read is not None
    found = [read(state).tolist() for state in states(name, errors, equality, **given)]
    return found if len(equality) > 1 else [one for (one,) in found]


def term(name: str, g: float, state: Any, equality: torch.Tensor = INEQUALITY) -> tuple[float, float]:
    """The term and its derivative at a surrogate violation."""
    x = torch.tensor([g], dtype=torch.float64, requires_grad=True)
    value = REGISTRY[name].penalty_term(x, state, {}, equality)
    (slope,) = torch.autograd.grad(value, x)
    return value.item(), slope.item()


def test_the_exact_penalty_charges_what_is_violated_and_nothing_at_its_kink() -> None:
    found = states("exact_penalty", ERRORS, coefficient=2.0, growth=3.0)
    assert [s.coefficient.item() for s in found] == [2.0, 6.0, 6.0]
    assert [s.grown.item() for s in found] == [6.0, 6.0, 18.0]
    state = found[1]
    assert term("exact_penalty", 0.5, state) == (3.0, 6.0)
    assert [term("exact_penalty", g, state) for g in (-0.5, 0.0)] == [(0.0, 0.0), (0.0, 0.0)]
    assert [term("exact_penalty", g, state, EQUALITY) for g in (0.5, -0.5)] == [(3.0, 6.0), (3.0, -6.0)]
    assert term("exact_penalty", 0.0, state, EQUALITY) == (0.0, 0.0)
    assert [price("exact_penalty", {"coefficient": [3.0, 4.0]}, 1, v) for v in (0.1, -0.1)] == [4.0, -4.0]
    assert price("exact_penalty", {"coefficient": 3.0, "growth": 2.0}, 0, 0.1) is None


def barrier(z: float, t: float) -> float:
    """As a person writes it for one number."""
    return -math.log(-z) / t if z <= -1 / t**2 else t * z - math.log(1 / t**2) / t + 1 / t


@pytest.mark.parametrize("t", [0.5, 2.0, 20.0])
@pytest.mark.parametrize("z", [-7.0, -0.5, -0.25, -0.01, 0.0, 0.3, 5.0])
def test_the_barrier_is_a_logarithm_and_then_its_tangent(z: float, t: float) -> None:
    (state,) = states("log_barrier", [0.0], sharpness=t)
    value, slope = term("log_barrier", z, state)
    assert value == pytest.approx(barrier(z, t), rel=1e-12)
    assert slope == pytest.approx(1 / (t * -z) if z <= -1 / t**2 else t, rel=1e-12)
    both, difference = term("log_barrier", z, state, EQUALITY)
    assert both == pytest.approx(barrier(z, t) + barrier(-z, t), rel=1e-12)
    edge = 1 / t**2
    outside = t - 1 / (t * abs(z)) if abs(z) > edge else 0.0
    assert difference == pytest.approx(math.copysign(outside, z), abs=1e-9)


def test_the_barrier_sharpens_whatever_it_sees() -> None:
    found = states("log_barrier", ERRORS, sharpness=5.0, growth=1.1)
    assert [s.sharpness.item() for s in found] == pytest.approx([5.0, 5.5, 6.05])
    rule = {"factor": torch.tensor([2.0]), "every": torch.tensor([2]), "max": torch.tensor([15.0])}
    method, chosen = REGISTRY["log_barrier"], {"sharpness": torch.tensor([5.0]), "growth": rule}
    state, seen = method.init(chosen, torch.zeros(1)), []
    for step in range(6):
        state = method.update(torch.tensor([-1.0]), state, chosen | {"step": torch.tensor(step)}, INEQUALITY)
        seen.append(state.sharpness.item())
    assert seen == [5, 5, 10, 10, 15, 15]
    assert [price("log_barrier", {"sharpness": 5.0}, 0, v) for v in (0.1, -0.1)] == [5.0, -5.0]


def test_pid_adds_up_acts_at_once_and_looks_at_what_grows() -> None:
    # eta .5, kp 2, ki 1, kd 4. I: .25, .15, .35. Growth of g: none at first, [-.7]+ = 0, .6
    # .25 + .5 * 2 * .5 = .75; [.15 - .2]+ = 0; .35 + .5 * (.8 + 2.4) = 1.95
    given: dict[str, Any] = {"dual_lr": 0.5, "kp": 2.0, "ki": 1.0, "kd": 4.0}
    assert multipliers("pid_lagrangian", ERRORS, **given) == pytest.approx([0.75, 0.0, 1.95])
    # Signed: .15 + .5 * (-.4 - 2.8) = -1.45
    assert multipliers("pid_lagrangian", ERRORS, EQUALITY, **given) == pytest.approx([0.75, -1.45, 1.95])
    # I is projected by itself: [.25 - .45]+ = 0, then .2
    found = states("pid_lagrangian", [0.5, -0.9, 0.4], dual_lr=0.5, kp=0.0)
    assert [s.integral.item() for s in found] == pytest.approx([0.25, 0.0, 0.2])


def controlled(costs: list[float], limit: float, kp: float, ki: float, kd: float) -> list[float]:
    """The published loop: of a cost that has a limit, not smoothed."""
    integral, last, found = 0.0, costs[0], []
    for cost in costs:
        integral = max(0.0, integral + ki * (cost - limit))
        found.append(max(0.0, kp * (cost - limit) + integral + kd * max(0.0, cost - last)))
        last = cost
    return found


def test_pid_gives_the_numbers_of_a_loop_over_costs() -> None:
    costs = (torch.rand(200, dtype=torch.float64, generator=torch.Generator().manual_seed(2)) * 4).tolist()
    expected = controlled(costs, 2.0, 0.3, 0.1, 0.7)
    found = multipliers("pid_lagrangian", [c - 2.0 for c in costs], dual_lr=1.0, kp=0.3, ki=0.1, kd=0.7)
    assert found == pytest.approx(expected, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize("equality", [INEQUALITY, EQUALITY])
def test_pid_without_other_gains_is_gradient_ascent(equality: torch.Tensor) -> None:
    expected = multipliers("lagrangian", ERRORS, equality, dual_lr=0.3)
    assert multipliers("pid_lagrangian", ERRORS, equality, dual_lr=0.3, kp=0.0) == expected


def test_nupi_with_equal_gains_is_optimistic_gradient_ascent() -> None:
    # lambda + eta (2 g - g_last): 0 + .25; [.25 + .5 (-.4 - .5)]+ = 0; .5 (.8 + .2) = .5
    found = multipliers("nupi", ERRORS, dual_lr=0.5, kp=1.0, init="documented")
    assert found == pytest.approx([0.25, 0.0, 0.5])


def test_geco_multiplies() -> None:
    found = multipliers("geco", [0.5, -0.2, 0.4], dual_lr=2.0, multiplier_init=3.0)
    assert found == pytest.approx([3 * math.exp(1.0), 3 * math.exp(0.6), 3 * math.exp(1.4)])
    floored = multipliers("geco", [-1e3, 50.0], dual_lr=1.0)
    assert floored == pytest.approx([1e-30, 1e-30 * math.exp(50.0)]), "what was next to nothing grows again"


def test_entropic_multipliers_share_their_radius() -> None:
    two = torch.tensor([False, False])
    errors = [[0.5, -0.2], [1.0, 0.0], [700.0, 900.0]]
    found = multipliers("entropic", errors, two, dual_lr=2.0, radius=6.0)
    theta = [0.0, 0.0]
    for error, one in zip(errors[:2], found, strict=False):
        theta = [t + 2.0 * e for t, e in zip(theta, error, strict=True)]
        total = 1 + sum(math.exp(t) for t in theta)
        assert one == pytest.approx([6 * math.exp(t) / total for t in theta])
    assert found[2] == pytest.approx([0.0, 6.0]), "no exponential overflows"
    method = REGISTRY["entropic"]
    assert method.multipliers is not None
    start = method.multipliers(method.init(setting("entropic", radius=6.0), torch.zeros(2, dtype=torch.float64)))
    assert start.tolist() == pytest.approx([2.0, 2.0])


def test_a_resilient_level_gives_way() -> None:
    # eta .5, alpha 2, eta_u .1. lambda: .25; .25 + .5 (-.2 - .025) = .1375; .1375 + .5 (.4 - .03375) = .320625
    # u: .1 * .25 = .025; .025 - .1 (.05 - .1375) = .03375; .03375 - .1 (.0675 - .320625) = .0590625
    found = states("resilient", ERRORS, dual_lr=0.5, slack_cost=2.0)
    assert [s.multiplier.item() for s in found] == pytest.approx([0.25, 0.1375, 0.320625])
    assert [s.slack.item() for s in found] == pytest.approx([0.025, 0.03375, 0.0590625])
    assert term("resilient", 0.5, found[0]) == pytest.approx((0.25 * 0.475, 0.25))
    signed = states("resilient", [-0.5], EQUALITY, dual_lr=0.5, slack_cost=2.0)
    assert (signed[0].multiplier.item(), signed[0].slack.item()) == pytest.approx((-0.25, -0.025))


@pytest.mark.parametrize(
    ("given", "refused"),
    [
        ({}, False),
        ({"slack_cost": 19.9}, False),
        ({"slack_cost": 20.0}, True),
        ({"slack_cost": [1.0, 50.0]}, True),
        ({"slack_cost": 50.0, "slack_lr": [0.01, 0.05]}, True),
        ({"slack_cost": [1.0, 50.0], "slack_lr": [0.5, 0.01]}, False),
    ],
)
def test_a_slack_that_would_swing_for_ever_is_refused(given: dict[str, Any], refused: bool) -> None:
    if refused:
        with pytest.raises(CpdError, match="swings further and further"):
            REGISTRY["resilient"].check(given, [])
    else:
        REGISTRY["resilient"].check(given, [])


def phases(slopes: list[float], errors: list[float], **given: Any) -> list[tuple[float, ...]]:
    """lambda, mu, eta and omega after each step, whose gradient had this norm in the step before."""
    method, chosen = REGISTRY["method_of_multipliers"], setting("method_of_multipliers", **given)
    assert method.slope is not None
    state, found = method.init(chosen, torch.zeros(1, dtype=torch.float64)), []
    for slope, error in zip(slopes, errors, strict=True):
        state = method.slope(torch.tensor([slope], dtype=torch.float64), state)
        state = method.update(torch.tensor([error], dtype=torch.float64), state, chosen, INEQUALITY)
        found.append(tuple(leaf.item() for leaf in state[:4]))
    return found


def test_algorithm_17_4_moves_multipliers_or_raises_the_penalty() -> None:
    # mu 10: eta 10^-.1 = .794, omega .1. Steps: still too steep; |g| = .5 <= eta: lambda = 5, eta 10^-1, omega .01;
    # .2 > .1: mu 1000, eta 1000^-.1, omega .001; too steep again; [-.001, -lambda / mu]: lambda = 4, eta 1000^-1.
    found = phases([1.0, 0.05, 0.01, 0.01, 1e-3], [0.5, 0.5, 0.2, 0.2, -0.001], penalty=10.0, penalty_max=1e9)
    expected = [
        (0.0, 10.0, 10**-0.1, 0.1),
        (5.0, 10.0, 10**-1.0, 0.01),
        (5.0, 1000.0, 1000**-0.1, 0.001),
        (5.0, 1000.0, 1000**-0.1, 0.001),
        (4.0, 1000.0, 1000**-1.0, 1e-4),  # omega goes no lower than `least_gradient`
    ]
    for one, other in zip(found, expected, strict=True):
        assert one == pytest.approx(other)


def test_a_phase_ends_by_its_length_too_and_all_ends_when_both_are_small() -> None:
    steep = phases([9.0] * 7, [0.5] * 7, penalty=10.0, phase=3, penalty_max=1e9)
    assert [one[0] for one in steep] == [0, 0, 0, 5, 5, 5, 5]
    assert [one[1] for one in steep] == [10, 10, 10, 10, 10, 10, 1000]
    bounded = phases([0.0] * 2, [5.0] * 2, penalty=10.0, penalty_max=200.0, factor=10.0)
    assert [one[1] for one in bounded] == [100, 200]
    done = phases([1e-5] * 2, [1e-5] * 2, penalty=10.0)
    assert [one[:2] for one in done] == [(0, 10), (0, 10)]


def test_a_switching_step_is_the_objectives_or_that_of_the_worst_constraint() -> None:
    mixed = torch.tensor([False, True, False])
    errors = [[-1.0, 0.05, 0.1], [0.3, -0.4, 0.2], [0.3, -0.3, 0.0], [-0.3, 0.0, -1.0]]
    method = REGISTRY["switching"]
    assert method.weight is not None
    found = states("switching", errors, mixed, coefficient=2.0, switch_above=0.1)
    assert [method.weight(s).item() for s in found] == [1, 0, 0, 1]
    assert [s.pull.tolist() for s in found] == [[0, 0, 0], [0, -1, 0], [0.5, -0.5, 0], [0, 0, 0]]
    everyone = states("switching", errors[1:2], mixed, coefficient=2.0, switch_above=0.1, mend="all")[0]
    assert everyone.pull.tolist() == pytest.approx([1 / 3, -1 / 3, 1 / 3])
    x = torch.tensor(errors[1], dtype=torch.float64, requires_grad=True)
    chosen = setting("switching", coefficient=2.0)
    (slope,) = torch.autograd.grad(method.penalty_term(x, found[1], chosen, mixed), x)
    assert slope.tolist() == [0, -2, 0]


def test_switching_goes_by_the_constraints_that_the_last_step_showed() -> None:
    """Where a step shows some constraints only, the others' leaves are put back."""
    method, chosen = REGISTRY["switching"], setting("switching", coefficient=1.0)
    assert method.weight is not None
    two = torch.tensor([False, False])
    violated = method.update(torch.tensor([0.5, 0.0]), method.init(chosen, torch.zeros(2)), chosen, two)
    new = method.update(torch.tensor([0.0, -0.1]), violated, chosen, two)
    only_the_second = torch.tensor([False, True])
    kept = type(new)(*(torch.where(only_the_second, a, b) for a, b in zip(new, violated, strict=True)))
    assert method.weight(violated).item() == 0
    assert method.weight(kept).item() == 1


@pytest.mark.parametrize("above", [0.0, [0.1, 0.0], None])
def test_switching_refuses_an_equality_that_would_have_to_be_met_exactly(above: Any) -> None:
    given = {} if above is None else {"switch_above": above}
    with pytest.raises(CpdError, match="never met exactly"):
        REGISTRY["switching"].check(given, ["total"])
    REGISTRY["switching"].check(given, [])
    REGISTRY["switching"].check({"switch_above": 0.1}, ["total"])
