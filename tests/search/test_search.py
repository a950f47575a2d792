import math
import random
import re
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from cpd.errors import CpdError
from cpd.search.bisection import propose
from cpd.search.bracket import State, observe, start
from cpd.search.ending import Outcome, outcome
from cpd.search.strategies import STRATEGIES

Response = Callable[[float], float | None]

JUMP_HINT = "a constrained method can reach a level that no coefficient gives"
both_strategies = pytest.mark.parametrize("strategy", STRATEGIES)


def search(response: Response, state: State, strategy: str = "bisection") -> tuple[State, Outcome]:
    """Carry a search to its end."""
    while (end := outcome(state)) is None:
        state = observe(state, {c: response(c) for c in propose(state, STRATEGIES[strategy])})
    return state, end


def visited(state: State) -> list[float]:
    return [math.log10(point.coefficient) for point in state.points]


def sigmoid(middle: float, slope: float) -> Callable[[float], float]:
    """A rate that falls (slope > 0) or rises with log10 c and is 1/2 at ``10**middle``."""
    return lambda c: 1 / (1 + math.exp(slope * (math.log10(c) - middle)))


def step(switch: float, before: float | None, after: float | None) -> Response:
    return lambda c: before if c < switch else after


# The paper's search


@pytest.mark.parametrize("turn", [1, -1], ids=["falling", "rising"])
def test_visits_the_papers_coefficients(turn: int) -> None:
    state, end = search(lambda c: 0.5 - turn * 0.15 * (math.log10(c) + 0.66), start(target=0.5))
    assert visited(state) == pytest.approx([-3, 0, -1.5, -0.75, -0.375, -0.5625, -0.65625], abs=1e-11)
    assert end.kind == "solved"
    assert end.best == state.points[-1]
    assert end.hint == ""


def test_both_ends_come_first_low_before_high() -> None:
    state = start(target=0.5, low=1e-2, high=10)
    assert propose(state) == (1e-2, 10)
    half_way = observe(state, {1e-2: 0.9})
    assert outcome(half_way) is None
    assert propose(half_way) == (10,)


def test_stops_only_strictly_within_the_tolerance() -> None:
    at_the_edge = observe(start(target=0.5, tolerance=0.25), {1e-3: 0.75, 1.0: 0.0})
    assert outcome(at_the_edge) is None
    inside = observe(start(target=0.5, tolerance=0.2500001), {1e-3: 0.75, 1.0: 0.0})
    assert outcome(inside) == Outcome(
        "solved",
        "Coefficient 0.001 gives 0.75, within 0.25 of 0.5, after 2 trainings.",
        "",
        inside.points[0],
        inside.brackets[-1],
    )


@pytest.mark.parametrize(("low", "high", "best"), [(0.5, 0.9, 1e-3), (0.9, 0.495, 1.0), (0.505, 0.502, 1.0)])
def test_an_end_can_solve_it(low: float, high: float, best: float) -> None:
    state = observe(start(target=0.5), {1e-3: low, 1.0: high})
    end = outcome(state)
    assert end is not None
    assert (end.kind, end.best.coefficient if end.best else None) == ("solved", best)
    assert propose(state) == ()


def test_coefficients_keep_their_value_when_typed_in_again() -> None:
    state, _ = search(sigmoid(-1.234, 5), start(target=0.37, tolerance=1e-6))
    assert all(float(f"{point.coefficient:.12g}") == point.coefficient for point in state.points)


# Ends that do not bracket


@pytest.mark.parametrize(
    ("low", "high", "side", "hint"),
    [
        (0.9, 0.6, "above", "the value nears it with larger coefficients: raise --high above 1"),
        (0.6, 0.9, "above", "the value nears it with smaller coefficients: lower --low below 0.001"),
        (0.1, 0.4, "below", "the value nears it with larger coefficients: raise --high above 1"),
        (0.4, 0.1, "below", "the value nears it with smaller coefficients: lower --low below 0.001"),
        (0.8, 0.8, "above", "the value is the same at both ends: lower --low below 0.001, or raise --high above 1"),
    ],
)
def test_says_which_end_to_move(low: float, high: float, side: str, hint: str) -> None:
    state = observe(start(target=0.5), {1e-3: low, 1.0: high})
    end = outcome(state)
    assert end is not None
    between = "; or, where the value turns in between, move an end there"
    assert (end.kind, end.hint, end.bracket) == ("not_bracketed", hint + between, None)
    assert end.sentence == (
        f"The ends do not bracket 0.5: the value is {low} at coefficient 0.001 and {high} at 1, both {side} it."
    )
    assert propose(state) == ()


# Values that jump


@both_strategies
@pytest.mark.parametrize(("before", "after"), [(1, 0), (0, 1), (0.9, 0.45), (3e3, -7)])
def test_a_jump_is_unattainable(strategy: str, before: float, after: float) -> None:
    state, end = search(step(0.5463, before, after), start(target=0.5), strategy)
    assert end.kind == "unattainable"
    assert end.hint == JUMP_HINT
    assert end.bracket is not None
    assert end.bracket.low.coefficient < 0.5463 <= end.bracket.high.coefficient
    assert end.bracket.decades < 2e-5
    assert len(state.points) < state.max_trainings


def test_the_sentence_on_a_jump() -> None:
    _, end = search(step(0.5463, 1, 0), start(target=0.5))
    assert end.sentence == (
        "The value jumps across 0.5: it is 1 at coefficient 0.54629 and 0 at 0.54631, and the gap does not close as "
        "they come together."
    )


@pytest.mark.parametrize("resolution", [1e-3, 1e-5, 1e-9])
def test_the_resolution_sets_how_narrow(resolution: float) -> None:
    state, end = search(step(0.5463, 1, 0), start(target=0.5, resolution=resolution, max_trainings=100))
    assert end.kind == "unattainable"
    assert resolution / 4 <= state.brackets[-1].decades < resolution
    low, high = (word.rstrip(",.") for word in end.sentence.split() if re.match(r"0\.54\d", word))
    assert low != high


def test_a_target_at_the_edge_of_the_rates_is_searched_too() -> None:
    _, end = search(step(0.1, 0.9, 0.2), start(target=1e-9, tolerance=0.1), "illinois")
    assert end.kind == "not_bracketed"
    _, end = search(sigmoid(-1.5, 6), start(target=0.0, tolerance=0.01, high=100), "illinois")
    assert end.kind == "solved"


# Trainings that diverge


@both_strategies
@pytest.mark.parametrize("diverged", [None, math.nan, math.inf, -math.inf])
def test_a_diverged_training_counts_as_the_high_side(strategy: str, diverged: float | None) -> None:
    state, end = search(step(0.1, 0.9, diverged), start(target=0.5), strategy)
    assert end.kind == "unattainable"
    assert end.sentence.endswith("the training diverges.")
    assert end.best is not None
    assert end.best.value == 0.9
    assert state.brackets[-1].low.coefficient < 0.1 <= state.brackets[-1].high.coefficient


@both_strategies
def test_finds_a_target_below_the_coefficients_that_diverge(strategy: str) -> None:
    falling = sigmoid(-2, 3)
    state, end = search(lambda c: falling(c) if c < 0.1 else math.nan, start(target=0.5), strategy)
    assert end.kind == "solved"
    assert any(point.diverged for point in state.points)


def test_a_diverged_low_end_brackets_nothing() -> None:
    end = outcome(observe(start(target=0.5), {1e-3: None, 1.0: 0.2}))
    assert end is not None
    assert (end.kind, end.bracket) == ("not_bracketed", None)
    assert end.sentence == "The training at the low end, 0.001, diverged, so nothing brackets 0.5."
    assert end.hint == "lower the learning rate, or move the low end with --low"


# The budget


def test_out_of_budget_says_where_the_target_lies() -> None:
    state, end = search(step(0.5463, 1, 0), start(target=0.5, max_trainings=4))
    assert len(state.points) == 4
    assert end.kind == "out_of_budget"
    assert end.sentence == (
        "After 4 trainings 0.5 lies between coefficients 0.1778 (1) and 1 (0), none within 0.01 of it."
    )
    assert end.hint == "raise --max-trainings, or accept more with --tolerance"


@both_strategies
@pytest.mark.parametrize("parallel", [2, 3, 7])
def test_a_round_never_passes_the_budget(strategy: str, parallel: int) -> None:
    state, end = search(step(0.5463, 1, 0), start(target=0.5, max_trainings=8, parallel=parallel), strategy)
    assert end.kind == "out_of_budget"
    assert len(state.points) == 8


# Several coefficients a round


@pytest.mark.parametrize("parallel", [1, 2, 3, 8])
def test_a_round_shrinks_the_bracket_by_one_more_than_its_trainings(parallel: int) -> None:
    state, _ = search(step(0.0123, 1, 0), start(target=0.5, parallel=parallel, max_trainings=200))
    assert len(state.brackets) > 2
    for wider, narrower in pairwise(state.brackets):
        assert wider.decades / narrower.decades == pytest.approx(parallel + 1, rel=1e-6)


@both_strategies
def test_rounds_fall_as_the_trainings_of_a_round_rise(strategy: str) -> None:
    def rounds(parallel: int) -> int:
        goal = start(target=0.5, tolerance=1e-4, parallel=parallel, max_trainings=200)
        return len(search(step(0.0123, 1, 0), goal, strategy)[0].brackets)

    assert rounds(1) > rounds(3) > rounds(15)


def test_of_several_crossings_the_smallest_coefficients_are_kept() -> None:
    state = observe(start(target=0.5, parallel=3), {1e-3: 0.9, 1.0: 0.1})
    inner = propose(state)
    assert len(inner) == 3
    state = observe(state, dict(zip(inner, [0.2, 0.8, 0.3], strict=True)))
    assert (state.brackets[-1].low.coefficient, state.brackets[-1].high.coefficient) == (1e-3, inner[0])


def test_a_round_may_be_observed_in_pieces() -> None:
    response = sigmoid(-0.7, 4)
    whole = observe(start(target=0.4, parallel=3), {1e-3: response(1e-3), 1.0: response(1.0)})
    pieces = whole
    for coefficient in propose(whole):
        pieces = observe(pieces, {coefficient: response(coefficient)})
    whole = observe(whole, {c: response(c) for c in propose(whole)})
    assert pieces.brackets[-1] == whole.brackets[-1]


@both_strategies
@pytest.mark.parametrize("parallel", [1, 4])
def test_noise_within_the_tolerance_does_not_mislead(strategy: str, parallel: int) -> None:
    falling, noise = sigmoid(-1.1, 3), random.Random(7)
    goal = start(target=0.5, parallel=parallel)
    _, end = search(lambda c: falling(c) + noise.uniform(-0.005, 0.005), goal, strategy)
    assert end.kind == "solved"
    assert end.best is not None
    assert falling(end.best.coefficient) == pytest.approx(0.5, abs=0.015)


# Illinois


def test_illinois_needs_fewer_trainings_on_smooth_responses() -> None:
    counts = {
        strategy: [
            len(search(sigmoid(middle, slope), start(target=target, tolerance=0.005), strategy)[0].points)
            for middle in (-2.6, -2.2, -1.7, -1.1, -0.9, -0.4)
            for slope in (0.8, -1.5, 3.0, -6.0, 12.0)
            for target in (0.3, 0.5, 0.7)
        ]
        for strategy in STRATEGIES
    }
    pairs = list(zip(counts["illinois"], counts["bisection"], strict=True))
    assert all(illinois <= bisection for illinois, bisection in pairs)
    assert sum(counts["illinois"]) < 0.5 * sum(counts["bisection"])


def test_illinois_is_exact_where_the_logit_is_linear() -> None:
    state, _ = search(sigmoid(-1.2345, 2.5), start(target=0.42, tolerance=1e-9), "illinois")
    assert len(state.points) == 3


def test_illinois_interpolates_values_that_are_no_rates() -> None:
    state, _ = search(lambda c: 40 - 10 * math.log10(c), start(target=47.5, tolerance=1e-6), "illinois")
    assert visited(state) == pytest.approx([-3, 0, -0.75], abs=1e-10)


@pytest.mark.parametrize("mirrored", [False, True])
def test_illinois_halves_an_end_that_stays(mirrored: bool) -> None:
    """Hand-computed over t = log10 c in [0, 3]: the end with value 8 stays, and counts as 4 the third time."""

    def coefficient(t: float) -> float:
        return 10 ** (3 - t if mirrored else t)

    state = observe(start(target=0.0, low=1.0, high=1e3, tolerance=1e-3), {coefficient(0): 8.0, coefficient(3): -4.0})
    for t, value in ((2.0, -2.0), (1.6, -1.0), (1.28, -0.5)):  # 3 * 8 / 12, 2 * 8 / 10, 1.6 * 4 / 5
        (proposed,) = propose(state, STRATEGIES["illinois"])
        assert proposed == pytest.approx(coefficient(t))
        state = observe(state, {proposed: value})


def test_illinois_bisects_when_the_estimate_hugs_an_end() -> None:
    state = observe(start(target=0.0, low=1.0, high=100.0, tolerance=1e-3), {1.0: 1e6, 100.0: -1.0})
    assert propose(state, STRATEGIES["illinois"]) == (10.0,)


def flat_then_steep(c: float) -> float:
    """Falls through 0 at log10 c = -1.1, so flat around it that regula falsi creeps."""
    return -((math.log10(c) + 1.1) ** 9)


@pytest.mark.parametrize("response", [flat_then_steep, step(0.02, 1, -30), step(0.3, 20, -1)])
def test_illinois_halves_the_bracket_within_four_rounds(response: Response) -> None:
    goal = start(target=0.0, tolerance=1e-60, resolution=1e-6, max_trainings=200)
    state, _ = search(response, goal, "illinois")
    assert len(state.brackets) > 8
    for earlier, later in zip(state.brackets, state.brackets[4:], strict=False):
        assert later.decades <= earlier.decades / 2


# Properties

responses = st.one_of(
    st.builds(sigmoid, st.floats(-4, 1), st.floats(-20, 20)),
    st.builds(step, st.floats(1e-3, 1), st.floats(-2, 2), st.one_of(st.none(), st.floats(-2, 2))),
    st.integers(0, 2**32).map(lambda salt: lambda c: math.sin(1e4 * c + salt)),
    st.integers(0, 2**32).map(lambda salt: lambda c: None if hash((c, salt)) % 3 == 0 else (hash((salt, c)) % 97) / 97),
)
goals = st.builds(
    start,
    target=st.floats(-0.5, 1.5),
    tolerance=st.floats(1e-6, 0.1),
    max_trainings=st.integers(2, 60),
    resolution=st.floats(1e-9, 0.1),
    parallel=st.integers(1, 9),
)


@given(responses, goals, st.sampled_from(sorted(STRATEGIES)))
def test_every_search_ends_within_its_budget(response: Response, goal: State, strategy: str) -> None:
    state = goal
    while (end := outcome(state)) is None:
        proposed = propose(state, STRATEGIES[strategy])
        assert 1 <= len(proposed) <= max(2, goal.parallel)
        assert len(set(proposed) - {point.coefficient for point in state.points}) == len(proposed)
        state = observe(state, {c: response(c) for c in proposed})
        assert len(state.points) <= goal.max_trainings
    assert propose(state, STRATEGIES[strategy]) == ()
    assert end.sentence.endswith(".")
    assert (end.hint == "") == (end.kind == "solved")


@given(responses, goals, st.sampled_from(sorted(STRATEGIES)))
def test_the_bracket_always_holds_the_target(response: Response, goal: State, strategy: str) -> None:
    state, _ = search(response, goal, strategy)
    for bracket in state.brackets:
        at_low, at_high = bracket.low.value, bracket.high.value
        assert not bracket.low.diverged
        assert bracket.high.diverged or (at_low > goal.target) != (at_high > goal.target)
    for outer, inner in pairwise(state.brackets):
        assert outer.low.coefficient <= inner.low.coefficient < inner.high.coefficient <= outer.high.coefficient
        assert inner.decades < outer.decades


@given(
    middle=st.floats(-2.5, -0.5),
    slope=st.one_of(st.floats(0.5, 20), st.floats(-20, -0.5)),
    target=st.floats(0.1, 0.9),
    parallel=st.integers(1, 6),
    strategy=st.sampled_from(sorted(STRATEGIES)),
)
@example(middle=-2.5, slope=0.5, target=0.9, parallel=1, strategy="illinois")
def test_a_continuous_monotone_response_is_solved(
    middle: float, slope: float, target: float, parallel: int, strategy: str
) -> None:
    """Solved wherever the ends bracket, and then at the coefficient that inverts the response."""
    goal = start(target=target, tolerance=1e-4, resolution=1e-9, max_trainings=200, parallel=parallel)
    _, end = search(sigmoid(middle, slope), goal, strategy)
    root = middle + math.log(1 / target - 1) / slope
    if -3 < root < 0:
        assert end.kind == "solved"
        assert end.best is not None
        steepness = abs(slope) * target * (1 - target)
        assert math.log10(end.best.coefficient) == pytest.approx(root, abs=2e-4 / steepness)
    else:
        assert end.kind == "solved" or end.bracket is None


@given(st.floats(-2.5, -0.5), st.sampled_from([-1.0, 1.0]), st.integers(2, 9))
def test_parallel_searches_find_the_same_answer(middle: float, turn: float, parallel: int) -> None:
    def answer(trainings_a_round: int) -> float:
        goal = start(target=0.5, tolerance=1e-6, resolution=1e-9, max_trainings=300, parallel=trainings_a_round)
        _, end = search(sigmoid(middle, turn * 4), goal)
        assert end.best is not None
        return math.log10(end.best.coefficient)

    assert answer(parallel) == pytest.approx(answer(1), abs=2e-6)


# Bad use


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"resolution": 0.0}, "search.resolution: 0 cannot be used; give at least 1e-09 decades"),
        ({"parallel": 0}, "--parallel: expected an integer >= 1, got 0"),
    ],
)
def test_refuses_what_cannot_be_searched(arguments: dict[str, float], message: str) -> None:
    with pytest.raises(CpdError) as refused:
        start(**{"target": 0.5, **arguments})  # type: ignore[arg-type]
    assert str(refused.value) == message


@pytest.mark.parametrize("results", [{}, {2.0: 0.5}, {1e-4: 0.5}, {math.nan: 0.5}, {1e-3: 0.5}])
def test_refuses_results_that_were_not_asked_for(results: dict[float, float]) -> None:
    state = observe(start(target=0.2), {1e-3: 0.9, 1.0: 0.1})
    with pytest.raises(
        ValueError, match=r"observe needs at least one result|is outside \[0.001, 1.0\] or trained before"
    ):
        observe(state, results)
