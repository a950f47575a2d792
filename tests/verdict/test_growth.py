"""Growth beyond sensible sizes, objectives that fall for ever or still fall, on simulated curves."""

import random
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from cpd.outcome import ConstraintOutcome, Curves, Diagnosis, Ending, Run, RunKey, Status
from cpd.verdict.diagnosis import diagnose


def recorded(
    objective: Callable[[float], float],
    value: Callable[[float], float] = lambda t: 0.0,
    *,
    points: int = 500,
    recedes: bool | None = False,
    scale: float = 1.0,
    ended_early: bool = False,
) -> Run:
    """Curves over a training whose time goes from 0 to 1."""
    times = [k / (points - 1) for k in range(points)]
    curve, values = [objective(t) for t in times], [value(t) for t in times]
    outcome = ConstraintOutcome(values[-1], values[-1], None, values[-points // 10 :])
    curves = Curves([10 * k for k in range(points)], curve, {"g": values}, {})
    ending = Ending([("g", 0)], [[1.0]], scale, recedes)
    key = RunKey("any", {}, {}, 0)
    outcomes = {"g": outcome}
    return Run(
        key, Status.COMPLETED, curve[-1], outcomes, curves=curves, ending=ending, ended_early=ended_early
    )  # fmt: skip


def found(*args: Any, **options: Any) -> Diagnosis | None:
    bound = SimpleNamespace(level=1.0, sense="<=", tolerance=0.01)
    return diagnose(recorded(*args, **options), {"g": bound}, dtype="float64")


@pytest.mark.parametrize("sign", [1.0, -1.0])
@pytest.mark.parametrize("offset", [0.0, 1e3, -1e6])
@pytest.mark.parametrize("decades", [13, 34, 300])
def test_what_grows_without_end_has_blown_up_and_an_objective_that_falls_so_is_unbounded(
    sign: float, offset: float, decades: int
) -> None:
    said = Diagnosis.BLOWN_UP if sign > 0 else Diagnosis.UNBOUNDED
    assert found(lambda t: offset + sign * 10.0 ** (decades * t)) is said
    assert found(lambda t: 1.0, lambda t: -(10.0 ** (decades * t))) is Diagnosis.BLOWN_UP
    assert found(lambda t: 1.0, lambda t: 10.0 ** (decades * t)) is Diagnosis.BLOWN_UP


def test_what_jumped_and_stays_has_blown_up_and_so_have_parameters() -> None:
    assert found(lambda t: 1.0 if t < 0.3 else 1e34) is Diagnosis.BLOWN_UP
    assert found(lambda t: 1.0, scale=1e20) is Diagnosis.BLOWN_UP


@pytest.mark.parametrize("size", [1e-30, 1e-6, 1.0, 1e6, 1e30])
@pytest.mark.parametrize("offset", [0.0, 50.0])
def test_large_numbers_are_no_growth(size: float, offset: float) -> None:
    assert found(lambda t: size * (offset + 2.0 ** (-40 * t))) is None
    assert found(lambda t: size * (offset + 1.0 - 2.0 ** (-40 * t))) is None
    assert found(lambda t: size * offset) is None
    assert found(lambda t: 1e-12 * 10.0 ** (12 * min(1.0, 2 * t))) is None


def moving(rate: float, size: float = 1.0, offset: float = 0.0, noise: float = 0.0) -> Callable[[float], float]:
    drawn = random.Random(0)
    return lambda t: size * (offset + 2.718281828 ** (-rate * t) + drawn.gauss(0, noise))


@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("offset", [0.0, 100.0, -1e3])
def test_an_objective_that_still_falls_at_the_end(size: float, offset: float) -> None:
    for rate in (0.1, 1.0, 2.5, 4.0):
        assert found(moving(rate, size, offset)) is Diagnosis.OBJECTIVE_MOVING
    for rate in (8.0, 20.0):
        assert found(moving(rate, size, offset)) is None
    assert found(moving(-1.0, size, offset)) is None


@pytest.mark.parametrize(("noise", "said"), [(0.02, Diagnosis.OBJECTIVE_MOVING), (1.0, None)])
def test_it_must_fall_beyond_noise(noise: float, said: Diagnosis | None) -> None:
    assert found(moving(1.0, noise=noise)) is said
    for seed in range(20):
        drawn = random.Random(seed)
        assert found(lambda t: drawn.gauss(0, 1)) is None  # noqa: B023


def test_a_steady_fall_is_unbounded_only_where_it_goes_on_beyond() -> None:
    fall = lambda t: -5.0 * t  # noqa: E731
    assert found(fall, recedes=True) is Diagnosis.UNBOUNDED
    assert found(fall, recedes=False) is found(fall, recedes=None) is Diagnosis.OBJECTIVE_MOVING
    assert found(moving(20.0), recedes=True) is None


def test_a_run_that_ended_early_and_one_of_few_points_say_nothing() -> None:
    assert found(moving(1.0), ended_early=True) is None
    assert found(moving(1.0), points=15) is None


def test_a_constraint_that_moves_is_said_first() -> None:
    drift: Sequence[Any] = (moving(1.0), lambda t: 2 - 0.5 * t)
    assert found(*drift) is Diagnosis.BUDGET_EXHAUSTED
