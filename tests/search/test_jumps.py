"""The right word for values of every shape: a jump is told from a steep value, a turning one, and noise."""

import math
import random
from collections.abc import Callable

import pytest

from cpd.search.bisection import propose
from cpd.search.bracket import State, observe, start
from cpd.search.ending import Outcome, outcome
from cpd.search.strategies import STRATEGIES

Response = Callable[[float], float]

both_strategies = pytest.mark.parametrize("strategy", STRATEGIES)


def search(response: Callable[[float], object], state: State, strategy: str = "bisection") -> tuple[State, Outcome]:
    while (end := outcome(state)) is None:
        state = observe(state, {c: response(c) for c in propose(state, STRATEGIES[strategy])})  # type: ignore[misc]
    return state, end


SHAPES: dict[str, Callable[[float], float]] = {
    "linear": lambda x: x,
    "flat": lambda x: 1e-3 * x + 1e-3 * x**3,
    "steep": lambda x: math.tanh(200 * x),
    "steeper": lambda x: math.tanh(5e3 * x),
    "convex": lambda x: math.expm1(2 * x),
    "vertical at the root": lambda x: math.copysign(abs(x) ** (1 / 3), x),
    "jump": lambda x: 1.0 if x >= 0 else -1.0,
    "jump of a slope": lambda x: (0.1 if x >= 0 else -0.07) + 2 * x,
    "jump to a divergence": lambda x: math.nan if x >= 0 else -1 + 0.1 * x,
}


def drawn(seed: int) -> tuple[str, Response, State]:
    """A response with a root or a jump inside the ends, and its search: any scale, target, direction and ends."""
    draw = random.Random(seed)
    shape = list(SHAPES)[seed % len(SHAPES)]
    decades = draw.uniform(0.3, 6)
    low, root = 10 ** draw.uniform(-9, 3), draw.uniform(0.05, 0.95) * decades
    scale = 10 ** draw.uniform(-9, 9) * draw.choice([1, -1])
    target = draw.choice([0.0, draw.uniform(-3, 3) * abs(scale)])

    def response(coefficient: float) -> float:
        return target + scale * SHAPES[shape](math.log10(coefficient / low) - root)

    tolerance = abs(scale) * (1e-6 if shape == "flat" else 10 ** draw.uniform(-4, -2))
    return shape, response, start(target, low, low * 10**decades, tolerance=tolerance)


@both_strategies
@pytest.mark.parametrize(("parallel", "budget"), [(1, 50), (3, 100), (8, 200)])
def test_two_hundred_functions_get_the_right_word(strategy: str, parallel: int, budget: int) -> None:
    for seed in range(200):
        shape, response, goal = drawn(seed)
        state = start(
            goal.target, goal.low, goal.high, tolerance=goal.tolerance, max_trainings=budget, parallel=parallel
        )
        _, end = search(response, state, strategy)
        assert end.kind == ("unattainable" if shape.startswith("jump") else "solved"), (seed, shape)


@both_strategies
def test_ends_on_one_side_are_not_bracketed_though_a_hump_passes_the_target(strategy: str) -> None:
    for seed in range(50):
        draw = random.Random(seed)
        sign, scale = draw.choice([1, -1]), 10 ** draw.uniform(-9, 9)
        middle = draw.uniform(-2.5, -0.5)
        state, end = search(
            lambda c, s=sign * scale, m=middle: s * math.exp(-((math.log10(c) - m) ** 2) * 9),  # type: ignore[misc]
            start(target=0.5 * sign * scale, tolerance=1e-3 * scale),
            strategy,
        )
        assert (end.kind, len(state.points)) == ("not_bracketed", 2)
        assert ("both below it" if sign > 0 else "both above it") in end.sentence


@both_strategies
def test_a_small_budget_ends_it(strategy: str) -> None:
    for seed in range(200):
        shape, response, goal = drawn(seed)
        state = start(goal.target, goal.low, goal.high, tolerance=goal.tolerance, max_trainings=2 + seed % 5)
        state, end = search(response, state, strategy)
        assert end.kind in ("solved", "out_of_budget"), (seed, shape)
        assert len(state.points) <= state.max_trainings


@both_strategies
@pytest.mark.parametrize("at", [1.0, 10**-1.5, 0.5463])
def test_a_jump_is_found_where_the_search_cuts_too(strategy: str, at: float) -> None:
    """The coefficient of the jump is an end of the bracket from the first cut on; its side is trained beside it."""
    goal = start(0.5, at / 10**1.5, at * 10**1.5)
    state, end = search(lambda c: 1.0 if c < at else 0.0, goal, strategy)
    assert end.kind == "unattainable"
    assert sum(point.coefficient >= at for point in state.points) >= 3


# Noise


def noisy(draw: random.Random, deviation: float) -> Response:
    middle, slope = draw.uniform(-2.5, -0.5), draw.uniform(1, 8)
    return lambda c: 1 / (1 + math.exp(slope * (math.log10(c) - middle))) + draw.gauss(0, deviation)


@both_strategies
@pytest.mark.parametrize("tolerance", [0.01, 0.003])
def test_noise_is_no_jump(strategy: str, tolerance: float) -> None:
    ends = []
    for seed in range(300):
        draw = random.Random(seed)
        response = noisy(draw, 0.03)
        ends.append(search(response, start(draw.uniform(0.3, 0.7), tolerance=tolerance), strategy)[1].kind)
    assert ends.count("unattainable") <= 1
    assert ends.count("solved") > 200


@both_strategies
def test_noise_finer_than_the_tolerance_asks_for_seeds(strategy: str) -> None:
    for seed in range(20):
        draw = random.Random(seed)
        _, end = search(noisy(draw, 0.03), start(draw.uniform(0.3, 0.7), tolerance=1e-7, max_trainings=30), strategy)
        if end.kind == "out_of_budget":
            assert "search the mean of several --seeds" in end.hint


@both_strategies
@pytest.mark.parametrize("deviation", [0.003, 0.03, 0.1])
def test_a_jump_beyond_the_noise_is_one(strategy: str, deviation: float) -> None:
    for seed in range(50):
        draw = random.Random(seed)
        middle = draw.uniform(-2.5, -0.5)
        _, end = search(
            lambda c, m=middle, d=draw: float(math.log10(c) < m) + d.gauss(0, deviation),  # type: ignore[misc]
            start(0.5),
            strategy,
        )
        assert end.kind == "unattainable", seed


def test_a_step_of_the_mean_within_the_noise_between_seeds_is_no_jump() -> None:
    """Each of eight seeds jumps elsewhere: their mean goes down in eighths, which is no jump of all."""
    draw = random.Random(0)
    places = [draw.uniform(-2.5, -0.5) for _ in range(8)]
    state, end = search(lambda c: [float(math.log10(c) < m) for m in places], start(0.55, max_trainings=60))
    assert end.kind == "out_of_budget"
    assert len(state.points) == 60 or state.brackets[-1].decades < 1e-14
    assert end.best is not None
    assert end.best.value in (0.5, 0.625)


# The mean over seeds


def test_the_mean_over_the_seeds_is_searched_and_those_that_diverged_are_left_out() -> None:
    state = observe(start(0.5, tolerance=0.05), {1e-3: [0.9, None, 0.8], 1.0: [0.4, 0.6, math.nan]})
    assert [point.value for point in state.points] == pytest.approx([0.85, 0.5])
    assert math.isnan(state.points[0].seeds[1])
    end = outcome(state)
    assert end is not None
    assert end.sentence == (
        "Coefficient 1 gives 0.5, within 0.05 of 0.5 in the mean of 3 seeds, 0 of them within it themselves, "
        "after 2 coefficients."
    )


def test_a_coefficient_whose_seeds_all_diverged_has_no_value() -> None:
    state = observe(start(0.5), {1e-3: [0.9, 0.8], 1.0: [None, None]})
    assert state.points[1].diverged
    assert state.brackets[-1].high.coefficient == 1.0


# The resolution of floats


@both_strategies
def test_a_search_goes_on_to_the_last_digits(strategy: str) -> None:
    root = 0.123456789012345
    state, end = search(lambda c: 1e9 * (c - root), start(0.0, tolerance=1e-5, max_trainings=100), strategy)
    assert end.kind == "solved"
    assert end.best is not None
    assert end.best.coefficient == pytest.approx(root, rel=1e-13)
    assert all(float(repr(point.coefficient)) == point.coefficient for point in state.points)


@both_strategies
@pytest.mark.parametrize(("low", "high"), [(1.0, 1.0 + 2**-52), (5e-324, 1e-323), (1e300, 1.7e308), (1e-300, 1e300)])
def test_a_search_without_numbers_to_try_ends(strategy: str, low: float, high: float) -> None:
    state, end = search(lambda c: 1.0 if c == low else -1.0 - c, start(0.0, low, high, tolerance=1e-320), strategy)
    assert end.kind in ("out_of_budget", "unattainable")
    assert len(state.points) <= state.max_trainings


def test_single_precision_ends_where_it_cannot_tell_two_coefficients_apart() -> None:
    state, end = search(lambda c: 0.3 - c, start(0.0, tolerance=1e-12, max_trainings=100, spacing=2.0**-24))
    assert end.kind == "out_of_budget"
    assert len(state.points) < 35
    assert "no coefficient lies between them that the trainings' precision can tell from them" in end.sentence
