"""Samplers propose what their spaces have, nothing twice, the same again, and find what is good as soon as they can."""

import math
import sys
from collections.abc import Callable
from statistics import mean, median

import pytest

from cpd.errors import CpdError
from cpd.samplers import start
from cpd.samplers.random_points import RandomPoints
from cpd.samplers.space import Block, Choice, Interval, Point, Space, Told
from cpd.spec import budget

DECADES: Space = (Block({"c": Interval(1e-3, 10, log=True)}),)
CHOICES: Space = (Block({"c": Choice(19)}),)
MIXED: Space = (
    Block({}, 1),
    Block({"a": Interval(1, 8, log=True, whole=True), "b": Choice(3), "c": Interval(-1, 1)}, 30),
    Block({"a": Interval(0, 1e-9)}, 10),
)

learners = pytest.mark.parametrize("word", start.OPTUNAS)
all_samplers = pytest.mark.parametrize("word", ["random", "tpe", pytest.param("gp", marks=pytest.mark.slow)])


def first_good(word: str, space: Space, seed: int, good: Callable[[float], bool], most: int = 10_000) -> int:
    """Trainings until the first good one; what is told rewards small values that are good."""
    sampler = start.sampler(word, space, str(seed))
    for k in range(most):
        (point,) = sampler.propose(1)
        value = point.values[0][1]
        if good(value):
            return k + 1
        sampler.observe([Told(point, value, (abs(math.log10(value) + 1),) if word != "random" else ())])
    return most + 1


def test_the_words_of_a_spec_are_those_that_there_are() -> None:
    assert set(budget.SAMPLERS) == set(start.SAMPLERS)


def test_at_random_a_quarter_of_an_interval_takes_four_trainings() -> None:
    """One decade of four is good: the first good one is at 1 / p = 4 in the mean, with a variance of (1 - p) / p^2."""
    firsts = [first_good("random", DECADES, seed, lambda c: 0.1 <= c < 1) for seed in range(1000)]
    assert mean(firsts) == pytest.approx(4, abs=4 * math.sqrt(12 / 1000))


def test_at_random_three_good_ones_of_nineteen_take_five_trainings() -> None:
    """Without replacement the first of k good ones among n is at (n + 1) / (k + 1) = 5 in the mean."""
    firsts = [first_good("random", CHOICES, seed, lambda c: c in (2, 3, 17)) for seed in range(1000)]
    assert mean(firsts) == pytest.approx(5, abs=4 * 3.5 / math.sqrt(1000))


def rounds(word: str, space: Space, sizes: list[int], seed: str = "1") -> list[Point]:
    """What a sampler proposes in rounds, told an objective, and of some nothing but that they failed."""
    pytest.importorskip("optuna")
    sampler, found = start.sampler(word, space, seed), []
    for size in sizes:
        points = sampler.propose(size)
        found += points
        sums = [sum(value for _, value in point.values) for point in points]
        sampler.observe(
            [
                Told(p, None) if k % 3 == 2 else Told(p, x, (1 - x,))
                for k, (p, x) in enumerate(zip(points, sums, strict=True))
            ]
        )
    return found


@all_samplers
def test_the_same_told_gives_the_same_points_and_none_twice(word: str) -> None:
    sizes = [3, 4, 1] if word == "gp" else [3, 4, 1, 4, 8, 8]
    points = rounds(word, MIXED, sizes)
    assert len(set(points)) == len(points) == sum(sizes)
    assert rounds(word, MIXED, sizes) == points
    assert rounds(word, MIXED, sizes, "2") != points
    for point in points:
        values = dict(point.values)
        assert values.keys() == MIXED[point.block].parts.keys()
        if point.block == 1:
            assert values["a"] in range(1, 9)
            assert values["b"] in range(3)
            assert -1 <= values["c"] <= 1
        assert point.block != 2 or 0 <= values["a"] <= 1e-9


@all_samplers
def test_a_finite_space_is_proposed_whole_and_then_nothing(word: str) -> None:
    space = (Block({}), Block({"a": Choice(2), "b": Interval(3, 5, whole=True)}, 6))
    points = rounds(word, space, [4, 4, 4, 4])
    assert len(points) == 7
    assert {point for point in points if point.block == 1} == {
        Point(1, (("a", a), ("b", b))) for a in range(2) for b in (3, 4, 5)
    }


@pytest.mark.parametrize("low", [1e-12, 1.0, 123456.7, 1e12])
@pytest.mark.parametrize("ratio", [1 + 1e-9, 1.5, 1e6])
def test_numbers_stay_between_the_ends_and_are_not_all_one(low: float, ratio: float) -> None:
    for log in (False, True):
        points = rounds("random", (Block({"x": Interval(low, low * ratio, log=log)}),), [50])
        values = [point.values[0][1] for point in points]
        assert low <= min(values) < max(values) <= low * ratio
        assert log is False or ratio < 2 or median(values) == pytest.approx(low * math.sqrt(ratio), rel=0.98)


def test_learning_pays() -> None:
    """A hundredth of the interval is good, and the violation says where: at random that takes 100 trainings."""
    pytest.importorskip("optuna")
    firsts = [first_good("tpe", DECADES, seed, lambda c: 0.0955 <= c <= 0.1047, 60) for seed in range(8)]
    assert median(firsts) < 35


@learners
def test_what_is_not_installed_is_named(word: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(
        CpdError, match=f"^--sampler: {word} needs Optuna; .*pip install 'optuna>=5,<6', or use random$"
    ):
        start.check(word, "--sampler")
    start.check("random", "--sampler")


def test_a_large_finite_space_ends_where_it_has_no_others() -> None:
    points = RandomPoints((Block({"n": Interval(1, 10_001, whole=True)}),), "x")
    assert all(points.take(Point(0, (("n", n),))) for n in range(1, 10_002))
    assert points.propose(3) == []
