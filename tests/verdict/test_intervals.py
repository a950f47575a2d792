"""Intervals against scipy, against the formula by hand and against simulated truth; verdicts by hand."""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from cpd.outcome import Evidence, Series
from cpd.verdict.beta import beta_probability, beta_quantile, student_quantile
from cpd.verdict.intervals import bootstrap, clopper_pearson, corrected, interval, intervals, together, verdict

LARGE = [0.5 + 0.1 * math.sin(k) + 0.01 * (k % 7) for k in range(2000)]
"""Resamples about 0.53, in no order."""


@dataclass(frozen=True)
class Level:
    level: float
    sense: str
    tolerance: float = 0.0


def test_quantiles_are_those_of_scipy() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(1)
    for _ in range(300):
        a, b = 10 ** rng.uniform(-0.3, 5, 2)
        p = float(rng.uniform(1e-6, 1 - 1e-6))
        x = beta_quantile(p, a, b)
        assert x == pytest.approx(stats.beta.ppf(p, a, b), rel=1e-9)
        assert beta_probability(x, a, b) == pytest.approx(p, rel=1e-7)
        freedom, high = int(10 ** rng.uniform(0, 5)), float(rng.uniform(0.5, 1 - 1e-9))
        assert student_quantile(high, freedom) == pytest.approx(stats.t.ppf(high, freedom), rel=1e-7, abs=1e-9)
    assert student_quantile(0.5, 3) == pytest.approx(0, abs=1e-7)


def test_shares_of_whole_examples_have_the_interval_of_clopper_and_pearson() -> None:
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(2)
    for of in [1, 2, 7, 359, 100_000]:
        for hits in {0, 1, of // 3, of - 1, of, *rng.integers(0, of + 1, 5).tolist()}:
            for confidence in (0.5, 0.95, 1 - 0.05 / 300):
                right = stats.binomtest(hits, of).proportion_ci(confidence, "exact")
                assert clopper_pearson(hits, of, confidence) == pytest.approx((right.low, right.high), rel=1e-9)
    # 251 of 359, as cpd check says it: 70 % +- 4.9 points.
    low, high = clopper_pearson(251, 359, 0.95)
    assert (round(100 * low, 1), round(100 * high, 1)) == (64.9, 74.6)


def test_resamples_give_the_widest_of_three_intervals() -> None:
    values = np.sort(LARGE)
    reach = math.sqrt(50 / 49) * student_quantile(0.975, 49)
    tail = 0.5 * math.erfc(reach / math.sqrt(2))
    low, high = np.quantile(values, [tail, 1 - tail])
    stats = pytest.importorskip("scipy.stats")
    skewed = (2 * reach**2 + 1) * abs(float(stats.skew(values))) / 6
    for value in (0.2, 0.53, 0.9):
        error = math.sqrt(np.mean((values - value) ** 2))
        longer = skewed if value > reach * error else 0.0  # what may fold is skewed by that alone
        width = max(high - value, value - low, (reach + longer) * error)
        found = bootstrap(LARGE, value, 0.95, 50)
        assert found == pytest.approx((max(0, value - width), value + width))
    assert bootstrap([*LARGE, math.nan, math.inf], 0.53, 0.95, 50) == bootstrap(LARGE, 0.53, 0.95, 50)
    assert bootstrap([v - 1 for v in LARGE], -0.47, 0.95, 50) is not None
    widths = [b - a for a, b in (bootstrap(LARGE, 0.53, c, n) or (0, 0) for c, n in ((0.9, 50), (0.95, 50), (0.95, 5)))]
    assert widths == sorted(widths)
    assert len(set(widths)) == 3
    assert bootstrap(LARGE, 0.53, 0.95, None) == pytest.approx(bootstrap(LARGE, 0.53, 0.95, 10**6), rel=1e-4)


def test_a_tail_of_few_resamples_is_drawn_from_their_deviation_and_never_narrower() -> None:
    values = np.random.default_rng(3).normal(size=400)
    found = bootstrap(values.tolist(), 0.0, 1 - 1e-6, None)
    assert found is not None
    spread = math.sqrt(float(np.mean(values**2)))
    stats = pytest.importorskip("scipy.stats")
    reach = 4.8916 + (2 * 4.8916**2 + 1) * abs(float(stats.skew(values))) / 6
    assert found == pytest.approx((-reach * spread, reach * spread), rel=1e-3)
    heavy = [*[0.0] * 380, *[50.0] * 20]
    tenth = bootstrap(heavy, 0.0, 0.999999, None)
    assert tenth is not None
    assert tenth[1] >= 50


def test_too_few_resamples_say_nothing() -> None:
    assert bootstrap(LARGE[:99], 0.5, 0.95, 50) is None
    assert bootstrap(LARGE[:100], 0.5, 0.95, 1) is None
    assert bootstrap([math.nan] * 2000, 0.5, 0.95, 50) is None
    assert bootstrap([0.25] * 100, 0.25, 0.95, None) == (0.25, 0.25)


def test_components_have_intervals_of_their_own() -> None:
    counted = Evidence(counted=[(7, 10), (0, 3), (1, 0)])
    found = interval([0.7, 0.0, None], counted, 0.95)
    assert found == [list(clopper_pearson(7, 10, 0.95)), list(clopper_pearson(0, 3, 0.95)), None]
    drawn = Evidence(resampled=Series(np.array([[v, 2 * v] for v in LARGE])), size=[50, 8])
    one, other = intervals([0.53, 1.06], drawn, 0.9)
    assert one == bootstrap(LARGE, 0.53, 0.9, 50)
    assert other == bootstrap([2 * v for v in LARGE], 1.06, 0.9, 8)
    assert interval(0.7, None, 0.95) is None
    assert interval([0.7], Evidence(), 0.95) is None
    assert interval([0.7, 0.1], Evidence(counted=[(7, 10)]), 0.95) is None


SURE = [
    (0.95, "<=", 0.0, "satisfied"),
    (0.85, "<=", 0.0, "uncertain"),
    (0.6, "<=", 0.0, "violated"),
    (0.6, "<=", 0.3, "satisfied"),
    (0.6, ">=", 0.0, "satisfied"),
    (0.75, ">=", 0.0, "uncertain"),
    (0.95, ">=", 0.0, "violated"),
    (0.95, ">=", 0.1, "uncertain"),
    (0.8, "==", 0.0, "uncertain"),
    (0.8, "==", 0.2, "satisfied"),
    (0.5, "==", 0.1, "violated"),
    (0.95, "==", 0.01, "violated"),
    (0.95, "==", 0.1, "uncertain"),
]
"""Level, sense, tolerance; 80 of 100 are 0.708 to 0.873."""


@pytest.mark.parametrize(("level", "sense", "tolerance", "says"), SURE)
def test_a_verdict_is_what_the_whole_interval_says(level: float, sense: str, tolerance: float, says: str) -> None:
    assert clopper_pearson(80, 100, 0.95) == pytest.approx((0.7082, 0.8733), abs=1e-4)
    bound, evidence = Level(level, sense, tolerance), Evidence(counted=[(80, 100)])
    assert verdict(0.8, evidence, level, bound, "float32", 0.95) == says
    many = Evidence(counted=[(80, 100)] * 3)
    assert verdict([0.8] * 3, many, level, bound, "float32", 1 - 3 * 0.05) == says  # Bonferroni: each at 0.95


def test_a_vector_is_satisfied_where_all_of_it_is() -> None:
    bound = Level(0.7, ">=")
    for counts, says in (
        ([(80, 100), (90, 100)], "uncertain"),
        ([(85, 100), (90, 100)], "satisfied"),
        ([(50, 100), (90, 100)], "violated"),
    ):
        value: Any = [h / n for h, n in counts]
        assert verdict(value, Evidence(counted=counts), 0.7, bound, "float32", 0.95) == says
    # 80 of 100 is surely above 0.708 by itself; of 20 components, by 0.675 alone.
    assert verdict(0.8, Evidence(counted=[(80, 100)]), 0.7, bound, "float32", 0.95) == "satisfied"
    assert verdict([0.8] * 20, Evidence(counted=[(80, 100)] * 20), 0.7, bound, "float32", 0.95) == "uncertain"
    assert verdict([0.8, None], Evidence(counted=[(80, 100), (0, 0)]), 0.7, bound, "float32", 0.95) is None
    assert verdict(None, Evidence(), 0.7, bound, "float32", 0.95) is None


def test_rounding_is_excused_as_where_values_are_judged() -> None:
    exact = Evidence(resampled=[0.7] * 100)
    for dtype, says in (("float32", "satisfied"), ("float64", "violated")):
        assert verdict(0.7, exact, 0.7 - 1e-8, Level(0.7, "<="), dtype, 0.95) == says


def test_several_verdicts_come_to_one() -> None:
    cases: list[tuple[list[Any], Any]] = [
        (["satisfied", "satisfied"], "satisfied"),
        (["satisfied", "uncertain"], "uncertain"),
        (["satisfied", None], "uncertain"),
        (["uncertain", "violated"], "violated"),
        ([None, "violated"], "violated"),
        ([None, None], None),
        ([], None),
    ]
    for verdicts, says in cases:
        assert together(verdicts) == says
    assert corrected(0.95, 20) == pytest.approx(0.9975)
    assert corrected(0.95, 1) == pytest.approx(0.95)
