"""What a level costs: slopes of known functions, the prediction beside them, and why both disagree."""

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from cpd.outcome import ConstraintOutcome, Kkt, Run, RunKey, Status
from cpd.verdict.document import Document, SensitivityRow
from cpd.verdict.judgement import judge
from cpd.verdict.sensitivity import measured_slope, predicted_slope

GOOD = Kkt(1e-6, 0.0, 0.0, 0.0, "strict", True)
LEVELS = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8]


def judged(
    price: Callable[[float], Any],
    cost: Callable[[float], float],
    levels: list[float] = LEVELS,
    sense: str = "<=",
    kkt: Kkt | None = GOOD,
    **other: Any,
) -> Document:
    """Runs at levels that they all meet."""
    bound = SimpleNamespace(level=levels[0], sense=sense, tolerance=1e-3)
    task: Any = SimpleNamespace(
        name="t", objective="f", constraints={"g": bound}, train=SimpleNamespace(dtype="float64")
    )
    runs = []
    for level in levels:
        outcome = ConstraintOutcome(other.get("value", level), level, price(level), [level] * 10)
        key = RunKey("lagrangian", {"dual_lr": 0.1}, {"g": level}, 1)
        runs.append(Run(key, Status.COMPLETED, cost(level), {"g": outcome}, {}, 100, 1.0, kkt=kkt))
    return judge(task, runs)


def slopes(document: Document) -> list[SensitivityRow]:
    return [run["constraints"]["g"]["sensitivity"] for run in document["runs"]]


def concave(level: float) -> float:
    return math.sqrt(1 - level**2)


def price(level: float) -> float:
    return level / math.sqrt(1 - level**2)


def test_eight_levels_of_the_concave_problem_measure_the_slope_to_a_percent() -> None:
    for level, found in zip(LEVELS, slopes(judged(price, concave, sense="==")), strict=True):
        assert found["measured"] == pytest.approx(-price(level), rel=0.01)
        assert found["predicted"] == pytest.approx(-price(level))
        assert (found["agree"], found["why"]) == (True, None)


@pytest.mark.parametrize("power", [1, 2, 3, 4])
def test_polynomials_are_measured_exactly_at_uneven_levels(power: int) -> None:
    levels = [0.0, 0.3, 0.5, 1.1, 1.2, 2.0]
    for at in levels:
        slope = measured_slope(at, levels, [x**power for x in levels])
        assert slope is not None
        assert slope.value == pytest.approx(power * at ** (power - 1), abs=1e-9)


def test_the_slope_between_two_and_the_symmetric_one_of_three() -> None:
    two = measured_slope(1.0, [1.0, 3.0], [0.0, 5.0])
    assert two is not None
    assert (two.value, two.error) == (2.5, None)
    three = measured_slope(1.0, [0.0, 1.0, 2.0], [7.0, 0.0, 1.0])
    assert three is not None
    assert (three.value, three.error) == (-3.0, 4.0)
    assert measured_slope(1.0, [1.0], [2.0]) is None


def test_noise_is_no_slope_of_high_order() -> None:
    noisy = [2 * x + 0.001 * (-1) ** k for k, x in enumerate(LEVELS)]
    for at in LEVELS:
        slope = measured_slope(at, LEVELS, noisy)
        assert slope is not None
        assert slope.value == pytest.approx(2, abs=0.05)


def test_the_prediction_has_the_sign_of_the_sense_and_adds_up_components() -> None:
    assert predicted_slope([1.0, 3.0], "<=") == -2
    assert predicted_slope([1.0, 3.0], "==") == -2
    assert predicted_slope([1.0, 3.0], ">=") == 2
    assert predicted_slope([[0.5, 1.5]], "<=") == -2
    assert predicted_slope([None], "<=") is None
    assert predicted_slope([[1.0, None]], "<=") is None


SURROGATE = Kkt(1e-6, 0.0, 0.0, 0.0, "surrogate", True)
MOVING = Kkt(0.3, 0.0, 0.0, 0.0, "strict", False)


@pytest.mark.parametrize(
    ("kkt", "why"), [(SURROGATE, "surrogate"), (MOVING, "not settled"), (GOOD, "not convex"), (None, "unknown")]
)
def test_a_price_that_is_none_says_why(kkt: Kkt | None, why: str) -> None:
    document = judged(lambda level: 2.0, lambda level: 0.7 * level, sense=">=", kkt=kkt)
    assert {(found["agree"], found["why"]) for found in slopes(document)} == {(False, why)}
    assert all(found["measured"] == pytest.approx(0.7) for found in slopes(document))


def test_objectives_that_differ_by_rounding_are_no_price() -> None:
    slack = {0.1: 0.5873001, 0.2: 0.5872998, 0.3: 0.5873005}
    found = slopes(judged(lambda level: 0.0, lambda level: slack[level], list(slack), ">=", SURROGATE))
    assert [(one["agree"], one["why"]) for one in found] == [(True, None)] * 3
    small = slopes(judged(lambda level: 0.0, lambda level: 0.5873 + 0.01 * level, list(slack), ">=", SURROGATE))
    assert [one["agree"] for one in small] == [False] * 3


def test_two_levels_far_apart_agree_with_the_mean_of_their_prices() -> None:
    found = slopes(judged(price, concave, [0.1, 0.5], "=="))
    assert [one["agree"] for one in found] == [True, True]


def test_only_feasible_runs_and_swept_levels_are_measured() -> None:
    document = judged(price, concave, sense="==", value=0.3)
    known = [found["measured"] for found in slopes(document)]
    assert known == [None] * 8, "of one feasible run there is no difference"
    one = judged(price, concave, [0.3])
    assert "sensitivity" not in one["runs"][0]["constraints"]["g"]


def test_what_the_surrogate_says_otherwise_is_named() -> None:
    bound = SimpleNamespace(level=0.7, sense=">=", tolerance=1e-3)
    task: Any = SimpleNamespace(
        name="t", objective="f", constraints={"g": bound}, train=SimpleNamespace(dtype="float64")
    )

    def only(value: Any, surrogate: Any, status: Status = Status.COMPLETED) -> Any:
        run = Run(RunKey("m", {}, {"g": 0.7}, 1), status, 1.0, {"g": ConstraintOutcome(value, surrogate)})
        return judge(task, [run])["runs"][0].get("holds_only_by")

    assert only(0.6575, 0.7) == {"g": "surrogate"}
    assert only(0.7, 0.6) == {"g": "strict"}
    assert only(0.6995, 0.8) is None, "within the tolerance both hold"
    assert only([0.9, 0.6], [0.9, 0.7]) == {"g": "surrogate"}
    assert only(0.1, 0.2) is None
    assert only(0.6, 0.9, Status.DIVERGED) is None
    assert only(0.9, None) is None


@pytest.mark.parametrize(
    ("changed", "stationary"),
    [({}, True), ({"settled": False}, False), ({"value": 0.9}, False)],
)
def test_a_run_is_stationary_where_all_residuals_are_small(changed: dict[str, Any], stationary: bool) -> None:
    bound = SimpleNamespace(level=0.5, sense="<=", tolerance=1e-3)
    task: Any = SimpleNamespace(
        name="t", objective="f", constraints={"g": bound}, train=SimpleNamespace(dtype="float64")
    )
    value = changed.pop("value", 0.5)
    kkt = Kkt(**{**vars(GOOD), **changed})
    run = Run(RunKey("m", {}, {"g": 0.5}, 1), Status.COMPLETED, 1.0, {"g": ConstraintOutcome(value, value)}, kkt=kkt)
    row = judge(task, [run])["runs"][0]
    assert row.get("kkt") == {
        "stationarity": 1e-6, "primal": 0.0, "dual": 0.0, "complementarity": 0.0, "of": "strict",
        "stationary": stationary,
    }  # fmt: skip
