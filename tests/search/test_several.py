"""A search for several coefficients at once, on problems whose coefficients are known: separable, coupled, hopeless."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

from cpd.search.coordinates import coordinates
from cpd.search.several import Aim, State, observe, start
from cpd.search.several_ending import Ending, ending, proposed
from cpd.search.simplex import simplex

PLANS = (coordinates, simplex)
Values = Callable[[Any], list[float]]
Maybe = Callable[[Any], Sequence[float | None]]


def run(aims: Sequence[Aim], values: Maybe, plan: Any, most: int = 60, parallel: int = 1) -> tuple[State, Ending]:
    state = start(aims, plan, max_trainings=most, parallel=parallel)
    while (end := ending(state)) is None:
        sizes = proposed(state)
        assert sizes
        assert len(state.trials) + len(sizes) <= most
        trained = {one: [a.signed(c) for a, c in zip(aims, one, strict=True)] for one in sizes}
        state = observe(state, {one: values(np.array(c)) for one, c in trained.items()})
    assert proposed(state) == ()
    return state, end


def quadratic(coupling: float, senses: str = "<<", known: Sequence[float] = (0.5, 1.3)) -> tuple[list[Aim], Values]:
    """min |x - t|^2 / 2 + c'A x, so x = t - A'c; levels at which the known coefficients c are the multipliers."""
    n = len(known)
    a = np.full((n, n), coupling) + (1 - coupling) * np.eye(n)
    signs = np.array([-1.0 if s == ">" else 1.0 for s in senses])
    t = np.arange(1.0, n + 1)

    def values(c: Any) -> list[float]:
        return list(a @ (t - a.T @ (signs * c)))

    names = {"<": "<=", ">": ">=", "=": "=="}
    levels = values(np.array(known))
    return [Aim(levels[k], 1e-3, 10, 0.01, names[s], name=f"c{k}") for k, s in enumerate(senses)], values


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("coupling", [0.0, 0.3, -0.4])
@pytest.mark.parametrize("senses", ["<<", "<>", "=<"])
def test_two_quadratics_have_the_coefficients_that_are_known(plan: Any, coupling: float, senses: str) -> None:
    aims, values = quadratic(coupling, senses)
    _, end = run(aims, values, plan, most=200)
    assert end.kind == "solved"
    assert end.best is not None
    assert all(abs(v - aim.target) < 0.01 for v, aim in zip(end.best.values, aims, strict=True))
    assert end.best.sizes == pytest.approx((0.5, 1.3), abs=0.04)  # 0.01 over the smallest eigenvalue of A A'


@pytest.mark.parametrize("n", [2, 5, 20])
def test_separable_quadratics_take_two_trainings_each(n: int) -> None:
    aims, values = quadratic(0.0, "<" * n, known=np.linspace(0.1, 9, n).tolist())
    state, end = run(aims, values, coordinates, most=2 * n + 1)
    assert end.kind == "solved"
    assert len(state.trials) == 2 * n + 1


@pytest.mark.parametrize("plan", PLANS)
def test_a_constraint_that_holds_by_itself_keeps_its_coefficient_at_the_low_end(plan: Any) -> None:
    aims, values = quadratic(0.0)
    loose = [aims[0], Aim(5.0, 1e-3, 10, 0.01, "<=", name="loose")]
    _, end = run(loose, values, plan, most=200)
    assert end.kind == "solved"
    assert end.best is not None
    assert end.best.sizes[0] == pytest.approx(0.5, abs=0.02)
    assert end.best.sizes[1] < 1.03e-3
    equal = [aims[0], Aim(5.0, 1e-3, 10, 0.01, "==", name="equal")]
    _, end = run(equal, values, plan, most=400)
    assert end.kind == ("not_bracketed" if plan is coordinates else "unattainable")


def test_an_equality_may_need_a_coefficient_below_0() -> None:
    aims, values = quadratic(0.0, "==", known=(-2.0, 0.5))
    below = Aim(aims[0].target, 1e-3, 10, 0.01, "==", negative=True, name="below")
    _, end = run([below, aims[1]], values, coordinates)
    assert end.kind == "solved"
    assert end.best is not None
    assert [below.signed(end.best.sizes[0]), end.best.sizes[1]] == pytest.approx([-2, 0.5], abs=0.01)


def test_a_value_that_jumps_is_unattainable_and_said_so() -> None:
    aims, values = quadratic(0.0)

    def jumping(c: Any) -> list[float]:
        return [1.0 if c[0] < 0.7 else 0.0, values(c)[1]]

    state, end = run([Aim(0.5, 1e-3, 10, 0.01, name="edge"), aims[1]], jumping, coordinates, most=100)
    assert end.kind == "unattainable"
    assert len(state.trials) < 100
    assert end.sentence.startswith("edge jumps across 0.5 while the other coefficients stay: it is 1 at 0.69")
    assert "constrained method" in end.hint
    assert end.best is not None
    assert end.best.values[1] == pytest.approx(aims[1].target, abs=0.01)  # the other one is met
    _, end = run([Aim(0.5, 1e-3, 10, 0.01, name="edge"), aims[1]], jumping, simplex, most=600)
    assert end.kind == "unattainable"
    assert "edge" in end.sentence


def test_ends_that_do_not_reach_say_which_to_move() -> None:
    aims, values = quadratic(0.0)
    short = [Aim(aims[0].target, 1e-3, 0.1, name="a"), Aim(aims[1].target, 2, 10, 0.01, "==", name="b")]
    _, end = run(short, values, coordinates)
    assert end.kind == "not_bracketed"
    assert end.hint == "raise high of a above 0.1, and lower low of b below 2"


@pytest.mark.parametrize("plan", PLANS)
def test_a_budget_ends_it_with_what_is_nearest(plan: Any) -> None:
    aims, values = quadratic(0.6)
    state, end = run(aims, values, plan, most=9)
    assert end.kind == "out_of_budget"
    assert len(state.trials) == 9
    assert end.best is not None
    assert state.worst(end.best) == min(map(state.worst, state.trials))
    assert "--max-trainings" in end.hint


def test_constraints_that_pull_at_each_other_are_said_to() -> None:
    aims, values = quadratic(0.93)
    _, end = run([Aim(a.target, 1e-3, 10, 1e-4, name=a.name) for a in aims], values, coordinates, most=120)
    assert end.kind == "out_of_budget"
    assert "--strategy simplex" in end.hint


@pytest.mark.parametrize("plan", PLANS)
def test_what_diverges_counts_as_too_much(plan: Any) -> None:
    aims, values = quadratic(0.2)

    def diverging(c: Any) -> list[float | None]:
        return [None, None] if c.max() > 2 else [float(v) for v in values(c)]

    _, end = run(aims, diverging, plan, most=200)
    assert end.kind == "solved"
    assert end.best is not None
    assert max(end.best.sizes) < 2


def test_where_all_diverges_it_ends() -> None:
    aims, _ = quadratic(0.0)
    for plan in PLANS:
        _, end = run(aims, lambda c: [None, math.nan], plan, most=30)
        assert end.kind in ("not_bracketed", "unattainable", "out_of_budget")
        assert end.best is None


def test_several_seeds_are_their_mean() -> None:
    aims, values = quadratic(0.0)

    def seeds(c: Any) -> Any:
        return [[v - 0.2, v + 0.2, None] for v in values(c)]

    _, end = run(aims, seeds, coordinates)
    assert end.kind == "solved"
    assert end.best is not None
    assert end.best.sizes == pytest.approx((0.5, 1.3), abs=0.01)


def test_what_is_trained_at_once_is_a_round() -> None:
    aims, values = quadratic(0.3)
    state = start(aims, simplex, max_trainings=50, parallel=4)
    assert len(proposed(state)) == 3  # the corners
    state = observe(state, {one: values(np.array(one)) for one in proposed(state)})
    assert 3 <= len(proposed(state)) <= 4


def test_distances_are_those_of_complementary_slackness() -> None:
    aim = Aim(1.0, 0.1, 10, 0.5, "<=")
    assert aim.distance(1.0, 2.0) == 2  # violated by 1
    assert aim.distance(1.0, 0.0) == 2  # room of 1, which a smaller coefficient would use
    assert aim.distance(0.1, 0.0) == 0  # at the low end
    assert Aim(1.0, 0.1, 10, 0.5, ">=").distance(0.1, 0.0) == 2
    assert Aim(1.0, 0.1, 10, 0.5, "==").distance(0.1, 0.0) == 2
    assert aim.distance(1.0, math.nan) == math.inf


def test_results_that_were_known_are_refused() -> None:
    aims, values = quadratic(0.0)
    state = start(aims, coordinates, max_trainings=10)
    (first,) = proposed(state)
    state = observe(state, {first: values(np.array(first))})
    with pytest.raises(ValueError, match="trained before"):
        observe(state, {first: [0, 0]})
