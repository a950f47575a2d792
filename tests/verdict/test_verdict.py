"""Verdicts by hand: feasibility up to rounding, the summary's counts and widths, diagnoses on simulated dynamics."""

import json
import math
import random
import struct
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from cpd.methods.registry import REGISTRY
from cpd.outcome import ConstraintOutcome, Curves, Diagnosis, Run, RunKey, Series, Status
from cpd.verdict.diagnosis import DIAGNOSES, diagnose, sentence
from cpd.verdict.document import RunRow, SummaryRow
from cpd.verdict.gap import GAP, Gap
from cpd.verdict.judgement import judge
from cpd.verdict.summary import decades

KEYS = [
    "id", "method", "setting", "levels", "seed", "status", "feasible", "objective", "constraints", "metrics", "steps",
    "seconds", "diagnosis", "error", "model", "selected_step", "held_out", "examples", "kkt",
]  # fmt: skip
SUMMARY_KEYS = [
    "method", "settings", "feasible_settings", "feasible_decades", "useful_settings", "useful_decades", "best_setting",
    "best_objective", "trainings_to_first_useful", "mark", "useful_up_to", "feasible_at_edge", "useful_at_edge",
]  # fmt: skip


def task(level: float = 0.5, sense: str = "<=", tolerance: float = 0.001, dtype: str = "float32") -> Any:
    constraint = SimpleNamespace(level=level, sense=sense, tolerance=tolerance)
    return SimpleNamespace(
        name="toy", objective="loss", constraints={"g": constraint}, train=SimpleNamespace(dtype=dtype)
    )


def run(
    value: Any = 0.4,
    objective: float | None = 1.0,
    *,
    method: str = "penalized",
    setting: dict[str, Any] | None = None,
    level: float = 0.5,
    seed: int = 0,
    status: Status = Status.COMPLETED,
    tail: Sequence[Any] = (),
) -> Run:
    key = RunKey(method, setting if setting is not None else {"coefficient": 1.0}, {"g": level}, seed)
    return Run(key, status, objective, {"g": ConstraintOutcome(value, value, None, list(tail))}, {"x": 2.0}, 100, 0.5)


def row(task: Any, *args: Any, **kwargs: Any) -> RunRow:
    return judge(task, [run(*args, **kwargs)])["runs"][0]


def float32(x: float) -> float:
    return float(struct.unpack("f", struct.pack("f", x))[0])


def summary(task: Any, runs: list[Run], gap: Gap = GAP) -> list[SummaryRow]:
    return judge(task, runs, gap=gap)["summary"]


# The document


def test_document_is_contract_3_to_the_letter() -> None:
    judged = judge(task(), [run(0.4, 1.0, tail=[0.4, 0.6])])
    assert judged == {
        "task": "toy",
        "objective": "loss",
        "constraints": {"g": {"level": 0.5, "sense": "<=", "tolerance": 0.001}},
        "runs": [
            {
                "id": None,
                "method": "penalized",
                "setting": {"coefficient": 1.0},
                "levels": {"g": 0.5},
                "seed": 0,
                "status": "completed",
                "feasible": True,
                "objective": 1.0,
                "constraints": {
                    "g": {
                        "value": 0.4,
                        "surrogate": 0.4,
                        "violation": pytest.approx(-0.1),
                        "multiplier": None,
                        "feasible_share": 0.5,
                        "interval": None,
                        "verdict": None,
                    }
                },
                "metrics": {"x": 2.0},
                "steps": 100,
                "seconds": 0.5,
                "diagnosis": None,
                "error": None,
                "model": None,
                "selected_step": None,
                "held_out": None,
                "examples": None,
                "kkt": None,
            }
        ],
        "summary": [
            {
                "method": "penalized",
                "settings": 1,
                "feasible_settings": 1,
                "feasible_decades": 0.0,
                "useful_settings": 1,
                "useful_decades": 0.0,
                "best_setting": {"coefficient": 1.0},
                "best_objective": 1.0,
                "trainings_to_first_useful": 1,
                "mark": 1.0,
                "useful_up_to": pytest.approx(1.0),
                "feasible_at_edge": False,
                "useful_at_edge": False,
            }
        ],
        "gap": "5%",
        "judge": "training",
        "confidence": 0.95,
    }
    assert list(judged) == ["task", "objective", "constraints", "runs", "summary", "gap", "judge", "confidence"]
    assert list(judged["runs"][0]) == KEYS
    assert list(judged["summary"][0]) == SUMMARY_KEYS


def test_search_takes_the_place_of_the_summary_and_is_finite() -> None:
    search: Any = {
        "constraint": "g",
        "iterations": [{"coefficient": 1.0, "value": math.nan, "metrics": {"x": math.inf}}],
    }
    judged = judge(task(), [run()], search=search, summary=False)
    assert list(judged) == ["task", "objective", "constraints", "runs", "search", "judge", "confidence"]
    assert judged["search"]["iterations"] == [{"coefficient": 1.0, "value": None, "metrics": {"x": None}}]


def test_rows_keep_the_order_of_the_runs() -> None:
    judged = judge(task(), [run(seed=s, setting={"coefficient": c}) for c in (3, 1) for s in (1, 0)])
    assert [(r["setting"]["coefficient"], r["seed"]) for r in judged["runs"]] == [(3, 1), (3, 0), (1, 1), (1, 0)]


# Feasibility


@pytest.mark.parametrize(
    ("sense", "value", "violation", "feasible"),
    [
        ("<=", 0.75, 0.25, False),
        ("<=", 0.25, -0.25, True),
        (">=", 0.75, -0.25, True),
        (">=", 0.25, 0.25, False),
        ("==", 0.75, 0.25, False),
        ("==", 0.25, -0.25, False),
        ("==", 0.5, 0.0, True),
        ("==", 0.4995, -0.0005, True),
        ("<=", 0.5005, 0.0005, True),
        ("<=", 0.502, 0.002, False),
    ],
)
def test_violation_is_oriented_by_the_sense(sense: str, value: float, violation: float, feasible: bool) -> None:
    judged = row(task(sense=sense), value)
    assert judged["constraints"]["g"]["violation"] == pytest.approx(violation, abs=1e-12)
    assert judged["feasible"] is feasible


@pytest.mark.parametrize(("count", "feasible"), [(280, True), (279, True), (278, False)])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_one_point_of_400_is_within_a_tolerance_of_one_point(count: int, feasible: bool, dtype: str) -> None:
    value = float32(count / 400) if dtype == "float32" else count / 400
    judge = task(0.7, ">=", 0.0025, dtype)
    assert row(judge, value, level=0.7, tail=[value])["feasible"] is feasible
    assert row(judge, value, level=0.7, tail=[value])["constraints"]["g"]["feasible_share"] == float(feasible)


def test_float32_rounding_is_not_excused_in_float64() -> None:
    value = float32(279 / 400)
    assert row(task(0.7, ">=", 0.0025, "float32"), value, level=0.7)["feasible"]
    assert not row(task(0.7, ">=", 0.0025, "float64"), value, level=0.7)["feasible"]


def test_the_runs_own_level_counts_and_the_current_tolerance() -> None:
    assert row(task(0.5), 0.55, level=0.6)["feasible"]
    assert not row(task(0.5), 0.55)["feasible"]
    assert row(task(0.5, tolerance=0.1), 0.55, tail=[0.55, 0.65])["constraints"]["g"]["feasible_share"] == 0.5


@pytest.mark.parametrize(("tolerance", "share"), [(0.001, 0.25), (0.0, 0.5), (0.2, 1.0)])
def test_a_count_of_all_steps_stands_for_the_recorded_ones_at_its_own_tolerance(tolerance: float, share: float) -> None:
    counted = ConstraintOutcome(0.4, 0.4, None, [0.4, 0.6], held=0.25, tolerance=0.001)
    (judged,) = judge(task(tolerance=tolerance), [replace(run(), constraints={"g": counted})])["runs"]
    assert judged["constraints"]["g"]["feasible_share"] == share


def test_a_vector_constraint_holds_where_every_component_does() -> None:
    judged = row(task(), [0.4, 0.6], tail=[[0.4, 0.4], [0.4, 0.6], [0.6, 0.4], [0.1, 0.2]])
    assert judged["constraints"]["g"]["violation"] == pytest.approx([-0.1, 0.1])
    assert judged["constraints"]["g"]["value"] == [0.4, 0.6]
    assert judged["constraints"]["g"]["feasible_share"] == 0.5
    assert not judged["feasible"]
    assert row(task(), [0.4, 0.5])["feasible"]


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None])
def test_nothing_that_is_not_finite_is_feasible(bad: float | None) -> None:
    assert row(task(), bad)["constraints"]["g"] == {
        "value": None, "surrogate": None, "violation": None, "multiplier": None, "feasible_share": None,
        "interval": None, "verdict": None,
    }  # fmt: skip
    assert not row(task(), bad)["feasible"]
    assert not row(task(), 0.4, bad)["feasible"]
    assert row(task(), 0.4, bad)["objective"] is None
    vector = row(task(), [0.4, bad])
    assert vector["constraints"]["g"]["value"] == [0.4, None]
    assert not vector["feasible"]
    json.dumps(judge(task(), [run(bad, bad), run([0.4, bad], tail=[[0.4, bad]])]), allow_nan=False)


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
def test_only_completed_runs_are_feasible_or_have_an_objective(status: Status) -> None:
    judged = judge(task(), [run(0.4, 1.0, status=status)])
    assert judged["runs"][0]["feasible"] is False
    assert judged["runs"][0]["objective"] is None
    assert judged["summary"][0]["best_setting"] is None


def test_a_failed_run_shows_every_constraint_as_null() -> None:
    key = RunKey("penalized", {}, {"g": 0.5}, 0)
    failed = judge(task(), [Run(key, Status.FAILED, error="boom")])["runs"][0]
    assert failed["constraints"]["g"]["value"] is None
    assert failed["error"] == "boom"


TINY = [(10.0**-k, dtype) for k in (7, 8, 30, 37) for dtype in ("float32", "float64")]


@pytest.mark.parametrize(("level", "dtype"), TINY)
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_small_value_is_held_against_a_small_level(level: float, dtype: str, sign: float) -> None:
    judge, level = task(sign * level, "<=" if sign > 0 else ">=", 0.0, dtype), sign * level
    assert not row(judge, 20 * level, level=level)["feasible"]
    assert not row(judge, 1.001 * level, level=level, tail=[1.001 * level])["feasible"]
    assert row(judge, level * (1 + 2**-24 if dtype == "float32" else 1), level=level)["feasible"]
    assert row(judge, 0.9 * level, level=level)["feasible"]


@pytest.mark.parametrize("sense", ["<=", ">=", "=="])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_tolerance_of_0_at_the_level_0_means_what_it_says(sense: str, dtype: str) -> None:
    side = -1.0 if sense == ">=" else 1.0
    judge = task(0.0, sense, 0.0, dtype)
    for value, feasible in [(0.0, True), (-0.0, True), (1e-9, False), (1e-45, False), (5e-324, False)]:
        judged = row(judge, side * value, level=0.0, tail=[side * value])
        assert (judged["feasible"], judged["constraints"]["g"]["feasible_share"]) == (feasible, float(feasible))


@pytest.mark.parametrize("tolerance", [1e-12, 1e-8, 1e-3, 1.0, 1e6])
def test_a_tolerance_is_rounded_to_its_own_size(tolerance: float) -> None:
    judge = task(0.0, "<=", tolerance, "float64")
    assert row(judge, tolerance * (1 + 4e-16), level=0.0)["feasible"]
    assert not row(judge, tolerance * (1 + 1e-13), level=0.0)["feasible"]


def test_a_level_below_the_dtypes_normal_numbers_is_rounded_to_its_spacing() -> None:
    level = 1.2345e-42
    assert row(task(level, "==", 0.0), float32(level), level=level)["feasible"]
    assert not row(task(level, "==", 0.0), float32(level) + 2.0**-149, level=level)["feasible"]


# The summary


def sweep(coefficients: Sequence[float], feasible: Sequence[bool], **kwargs: Any) -> list[Run]:
    return [
        run(0.4 if ok else 0.9, setting={"coefficient": c}, **kwargs)
        for c, ok in zip(coefficients, feasible, strict=True)
    ]


@pytest.mark.parametrize(
    ("coefficients", "feasible", "expected"),
    [
        ([0.1, 1, 10], [False, False, False], None),
        ([0.1, 1, 10], [False, True, False], 0.0),
        ([0.1, 1, 10], [False, True, True], 1.0),
        ([0.1, 1, 10, 100], [True, False, True, True], 1.0),
        ([1e-4, 1e-3, 1e-2, 1, 10], [True, True, True, False, True], 2.0),
        ([1, 2, 3, 100, 1e4], [True, True, True, False, True], math.log10(3)),
        ([0, 1e-3, 1e-1], [True, True, True], 2.0),
        ([0, 1e-3, 1e-1], [True, True, False], 0.0),
        ([0, 1], [True, False], 0.0),
        ([10, 0.1, 1], [True, True, False], 0.0),
        ([10, 0.1, 1], [True, False, True], 1.0),
    ],
)
def test_decades_span_the_longest_stretch_of_neighbours(
    coefficients: list[float], feasible: list[bool], expected: float | None
) -> None:
    width = summary(task(), sweep(coefficients, feasible))[0]["feasible_decades"]
    assert width == (None if expected is None else pytest.approx(expected))


def test_decades_follow_the_swept_hyperparameter_with_the_others_fixed() -> None:
    grid = [{"penalty": p, "dual_lr": d} for p in (1, 2) for d in (0.1, 1, 10)]
    assert decades(grid, [True, True, False, False, True, True]) == pytest.approx(1)
    assert decades(grid, [True, False, True, False, True, False]) == 0
    assert decades(grid, [False, False, False, True, True, True]) == pytest.approx(2)


def test_decades_of_one_grid_for_each_constraint_are_along_one_of_them() -> None:
    grid: list[Any] = [{"coefficient": [a, b]} for a in (1, 10) for b in (1, 100, 1e4)]
    assert decades(grid, [True, False, False, True, False, False]) == pytest.approx(1)
    assert decades(grid, [False, True, True, False, False, True]) == pytest.approx(2)
    assert decades(grid, [True, False, True, False, False, False]) == 0
    both: list[Any] = [{"coefficient": [a, a]} for a in (1, 10)]
    assert decades(both, [True, True]) == 0  # neither alone
    mixed: list[Any] = [{"coefficient": c} for c in (1, 10, [1, 1], [1, 1000])]
    assert decades(mixed, [True, True, False, False]) == pytest.approx(1)
    assert decades(mixed, [False, False, True, True]) == pytest.approx(3)


LR, HIDDEN = "train.optimizer.lr", "arguments.hidden"


def test_decades_are_along_the_methods_hyperparameter_at_one_recipe() -> None:
    grid = [{"coefficient": c, LR: lr, HIDDEN: 8} for lr in (1e-3, 1) for c in (1, 10, 1000)]
    assert decades(grid, [True, True, False, False, True, True]) == pytest.approx(2)
    assert decades(grid, [True, False, False, True, False, False]) == 0
    rates = [{"coefficient": 1, LR: lr, HIDDEN: h} for lr in (1e-3, 1e-2, 1) for h in (8, 16)]
    assert decades(rates, [True] * 6) == 0
    assert decades(rates, [False] * 6) is None


def test_a_setting_with_its_recipe_is_the_unit_of_a_summary() -> None:
    settings = [{"coefficient": c, LR: lr} for lr in (0.1, 0.01) for c in (1.0, 10.0)]
    numbers = [(0.9, 0.1), (0.4, 3.0), (0.9, 0.1), (0.4, 2.0)]
    runs = [
        run(value, objective, setting=setting, seed=seed)
        for setting, (value, objective) in zip(settings, numbers, strict=True)
        for seed in (0, 1)
    ]
    assert summary(task(), runs) == [
        {
            "method": "penalized",
            "settings": 4,
            "feasible_settings": 2,
            "feasible_decades": 0.0,
            "useful_settings": 1,
            "useful_decades": 0.0,
            "best_setting": {"coefficient": 10.0, LR: 0.01},
            "best_objective": 2.0,
            "trainings_to_first_useful": 8,
            "mark": 2.0,
            "useful_up_to": pytest.approx(2.05),
            "feasible_at_edge": True,
            "useful_at_edge": True,
        }
    ]


def test_each_run_is_judged_in_its_own_dtype() -> None:
    value = float32(0.3)  # above 0.3 by the rounding of single precision
    rows = [row(task(0.3, "<=", 0.0, own), value, level=0.3, setting={"train.dtype": d}) for own, d in DTYPES]
    assert [one["feasible"] for one in rows] == [d == "float32" for _, d in DTYPES]
    assert row(task(0.3, "<=", 0.0), value, level=0.3)["feasible"]


DTYPES = [(own, d) for own in ("float32", "float64") for d in ("float32", "float64")]


def test_decades_without_a_number_that_varies_are_zero() -> None:
    assert (
        decades([{"update": "alternating", "dual_lr": 1}, {"update": "simultaneous", "dual_lr": 1}], [True, True]) == 0
    )
    assert decades([{"coefficient": [1, 2]}, {"coefficient": [2, 4]}], [True, False]) == 0
    assert decades([{}], [True]) == 0


def test_a_setting_is_feasible_when_every_seed_is() -> None:
    runs = [
        run(value, objective, setting={"coefficient": c}, seed=seed)
        for c, values in [(1, (0.4, 0.6)), (2, (0.4, 0.5))]
        for seed, (value, objective) in enumerate(zip(values, (1.0, 3.0), strict=True))
    ]
    [line] = summary(task(), runs)
    assert (line["settings"], line["feasible_settings"]) == (2, 1)
    assert line["best_setting"] == {"coefficient": 2}
    assert line["best_objective"] == 2.0
    assert line["trainings_to_first_useful"] == 4


def test_useful_is_judged_against_the_best_of_all_methods() -> None:
    runs = [
        run(0.4, 1.009, method="a", setting={"coefficient": 1}),
        run(0.4, 1.011, method="a", setting={"coefficient": 2}),
        run(0.9, 0.5, method="a", setting={"coefficient": 3}),
        run(0.4, 1.2, method="b", setting={"dual_lr": 1}),
        run(0.4, 1.0, method="b", setting={"dual_lr": 10}),
    ]
    first, second = summary(task(), runs)
    assert (first["feasible_settings"], first["useful_settings"]) == (2, 1)
    assert first["best_objective"] == 1.009
    assert first["trainings_to_first_useful"] == 1
    assert (second["useful_settings"], second["best_setting"]) == (1, {"dual_lr": 10})
    assert second["trainings_to_first_useful"] == 2
    assert summary(task(), runs, gap="100%")[1]["useful_settings"] == 2
    assert summary(task(), runs, gap=0.011)[0]["useful_settings"] == 2
    assert summary(task(), runs, gap=0.0)[0]["useful_settings"] == 0


def test_swept_levels_are_summarised_apart() -> None:
    runs = [run(0.4, 1.0, level=0.5), run(0.05, 9.0, level=0.1), run(0.4, 0.1, level=0.2)]
    lines = summary(task(), runs)
    assert [line["levels"] for line in lines] == [{"g": 0.5}, {"g": 0.1}, {"g": 0.2}]
    assert [line["useful_settings"] for line in lines] == [1, 1, 0]
    assert [line["mark"] for line in lines] == [1.0, 9.0, None]
    assert list(lines[0]) == ["method", "levels", *SUMMARY_KEYS[1:]]


# Diagnoses


def recorded(
    steps: Sequence[tuple[float, float, float, float]], level: float = 0.5, multiplier: bool = True, method: str = "any"
) -> Run:
    """A run from (value, objective, multiplier, gradient norm) at every step, recorded as the engine does."""
    kept = list(range(0, len(steps), max(1, len(steps) // 500)))
    value, objective, final, gradient = steps[-1]
    largest = max(step[3] for step in steps)
    outcome = ConstraintOutcome(
        value, value, final if multiplier else None, [s[0] for s in steps[-len(steps) // 10 :]], gradient / largest
    )
    curves = Curves(
        kept,
        [steps[k][1] for k in kept],
        {"g": [steps[k][0] for k in kept]},
        {"g": [steps[k][2] for k in kept]} if multiplier else {},
    )
    key = RunKey(method, {}, {"g": level}, 0)
    return Run(key, Status.COMPLETED, objective, {"g": outcome}, {}, len(steps), 0.0, None, curves)


def descent_ascent(dual_lr: float, equality: bool = False, penalty: float = 0.0) -> Run:
    """Simultaneous gradient descent-ascent on f = cos(x)(1 + y^2), g = sin(x)(1 + y^2) with level 0.5.

    With ``penalty`` the augmented Lagrangian's multiplier, lambda + penalty * violation, moves the model.
    """
    x = y = 0.5
    multiplier, steps = 0.0, []
    for _ in range(10_000):
        angle = min(max(x, 1e-3), math.pi / 2 - 1e-3)
        inside = float(angle == x)
        radius = 1 + y * y
        f, g = math.cos(angle) * radius, math.sin(angle) * radius
        weight = multiplier + penalty * (g - 0.5)
        slope = inside * math.cos(angle) * radius
        steps.append((g, f, multiplier, math.hypot(slope, 2 * y * math.sin(angle))))
        step_x = -inside * math.sin(angle) * radius + weight * slope
        step_y = 2 * y * (math.cos(angle) + weight * math.sin(angle))
        x, y = x - 0.01 * step_x, y - 0.01 * step_y
        multiplier += dual_lr * (g - 0.5)
        multiplier = multiplier if equality else max(0.0, multiplier)
    return recorded(steps)


def found(run: Run, sense: str = "<=", tolerance: float = 0.001) -> Diagnosis | None:
    return diagnose(run, task(sense=sense, tolerance=tolerance).constraints)


def test_plain_ascent_oscillates_for_ever_at_a_large_dual_step() -> None:
    assert found(descent_ascent(0.3)) is Diagnosis.OSCILLATING


@pytest.mark.parametrize("dual_lr", [0.003, 0.03])
@pytest.mark.parametrize("sense", ["<=", "=="])
def test_plain_ascent_sticks_where_the_constraints_gradient_vanishes(dual_lr: float, sense: str) -> None:
    stuck = descent_ascent(dual_lr, equality=sense == "==")
    assert stuck.constraints["g"].gradient_norm == pytest.approx(0, abs=1e-12)
    assert found(stuck, sense) is Diagnosis.VANISHING_CONSTRAINT_GRADIENT


def test_a_damped_run_that_settles_has_no_diagnosis() -> None:
    settled = descent_ascent(0.3, equality=True, penalty=5.0)
    assert settled.constraints["g"].value == pytest.approx(0.5, abs=1e-6)
    assert found(settled, "==") is None


def test_an_unattainable_level_makes_the_multiplier_diverge() -> None:
    steps = [(0.9, 1.0 + 0.1 * math.exp(-t / 50), 0.01 * 0.4 * t, 1.0) for t in range(2000)]
    assert found(recorded(steps)) is Diagnosis.MULTIPLIER_DIVERGING
    assert found(recorded(steps, multiplier=False)) is None


def slow(value: Callable[[int], float], objective: Callable[[int], float] = lambda t: 0.0, rate: float = 1e-5) -> Run:
    """2,000 steps with a multiplier that grows with the violation of 0.5."""
    steps, multiplier = [], 0.0
    for t in range(2000):
        multiplier += rate * (value(t) - 0.5)
        steps.append((value(t), objective(t), multiplier, 1.0))
    return recorded(steps)


@pytest.mark.parametrize(
    "value",
    [
        lambda t: 3.5 - 1e-6 * t,
        lambda t: 0.5 + 3 * math.exp(-1e-5 * t),
        lambda t: 3.5 - 1e-9 * t * t,
        lambda t: 3.5 + 1e-6 * t,
        lambda t: 1.5 + 0.5 * math.exp(-t / 1000),
        lambda t: 1.5 + 0.1 * math.sin(t / 400),
        lambda t: 7.0 - 1e-5 * t + random.Random(t).gauss(0, 1.0),
    ],
    ids=["linear", "exponential", "accelerating", "away", "a share of itself", "turning", "behind noise"],
)
def test_slow_but_steady_is_no_level_out_of_reach(value: Callable[[int], float]) -> None:
    assert found(slow(value)) is Diagnosis.BUDGET_EXHAUSTED


@pytest.mark.parametrize(
    "value",
    [
        lambda t: 1.5,
        lambda t: 1.5 + 0.1 * math.exp(-t / 300),
        lambda t: 1.5 + 1 / (t + 20),
        lambda t: 1.5 - 0.005 * math.log(t + 20),
        lambda t: 1.5 + random.Random(t).gauss(0, 0.02),
    ],
    ids=["still", "exponential", "hyperbolic", "logarithmic", "noise"],
)
@pytest.mark.parametrize("rate", [1e-5, 10.0])
def test_a_violation_that_no_longer_moves_is(value: Callable[[int], float], rate: float) -> None:
    assert found(slow(value, rate=rate)) is Diagnosis.MULTIPLIER_DIVERGING


def test_the_second_half_counts_and_not_the_tail_alone() -> None:
    moved = slow(lambda t: max(1.5 - t / 4000, 1.1))
    assert len(set(moved.constraints["g"].tail)) == 1
    assert found(moved) is Diagnosis.BUDGET_EXHAUSTED


def test_a_multiplier_that_hardly_grew_tells_nothing() -> None:
    steps = [(0.9, 0.0, 100 + 1e-4 * t, 1.0) for t in range(2000)]
    assert found(recorded(steps)) is Diagnosis.BUDGET_EXHAUSTED


def test_while_the_objective_falls_a_count_may_yet_change() -> None:
    falling = slow(lambda t: 0.7, lambda t: 1 / (t + 50))
    assert found(falling) is Diagnosis.BUDGET_EXHAUSTED
    pushed = slow(lambda t: 0.7, lambda t: 1 + math.log(t + 50))
    assert found(pushed) is Diagnosis.MULTIPLIER_DIVERGING


@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
@pytest.mark.parametrize("shift", [-1e3, 0.0, 1e3])
def test_offset_and_scale_of_the_objective_change_no_diagnosis(scale: float, shift: float) -> None:
    objective = lambda t: scale * (math.exp(-t / 50) + shift)  # noqa: E731
    assert found(slow(lambda t: 0.9, objective)) is Diagnosis.MULTIPLIER_DIVERGING
    assert found(slow(lambda t: 0.9 - 1e-6 * t, objective)) is Diagnosis.BUDGET_EXHAUSTED
    assert found(slow(lambda t: 0.9, lambda t: scale * (1 / (t + 50) + shift))) is Diagnosis.BUDGET_EXHAUSTED


def vector(values: Sequence[Callable[[int], float]]) -> Run:
    """Components side by side, as one run."""
    alone = [slow(value) for value in values]
    parts = [run.constraints["g"] for run in alone]
    curves = [run.curves for run in alone]
    tail = [list(point) for point in zip(*(part.tail for part in parts), strict=True)]
    last = [part.value for part in parts]
    assert all(curve is not None for curve in curves)
    joined = Curves(
        curves[0].steps,  # type: ignore[union-attr]
        curves[0].objective,  # type: ignore[union-attr]
        {"g": [list(point) for point in zip(*(c.constraints["g"] for c in curves if c), strict=True)]},
        {"g": [list(point) for point in zip(*(c.multipliers["g"] for c in curves if c), strict=True)]},
    )
    outcome = ConstraintOutcome(last, last, None, tail, 1.0)  # type: ignore[arg-type]
    return Run(alone[0].key, Status.COMPLETED, 0.0, {"g": outcome}, {}, 2000, 0.0, None, joined)


def test_five_thousand_components_are_judged_at_once() -> None:
    drawn = np.random.default_rng(0)
    tails, points = drawn.normal(1.0, 0.01, (50, 5000)), drawn.normal(1.0, 0.01, (500, 5000))
    outcome = ConstraintOutcome(tails[-1].tolist(), tails[-1].tolist(), points[-1].tolist(), Series(tails), 1.0)
    curves = Curves(list(range(0, 5000, 10)), [0.0] * 500, {"g": Series(points)}, {"g": Series(points.cumsum(0))})
    many = Run(RunKey("any", {}, {"g": 0.5}, 0), Status.COMPLETED, 1.0, {"g": outcome}, {}, 5000, 0.0, None, curves)
    start = time.process_time()
    judged = judge(task(), [many])["runs"][0]
    assert time.process_time() - start < 2
    assert judged["diagnosis"] == "multiplier_diverging"
    assert judged["constraints"]["g"]["feasible_share"] == 0.0


def test_a_model_whose_components_mostly_move_is_not_at_rest() -> None:
    still, moving = (lambda t: 1.5), (lambda t: 1.5 - 2e-4 * t)
    assert found(vector([still, moving, moving, moving])) is Diagnosis.BUDGET_EXHAUSTED
    assert found(vector([still, still, lambda t: 0.4])) is Diagnosis.MULTIPLIER_DIVERGING
    assert found(vector([still] * 19 + [moving])) is Diagnosis.MULTIPLIER_DIVERGING


def test_a_level_that_some_run_reached_is_not_out_of_reach() -> None:
    stuck = slow(lambda t: 1.5)
    assert judge(task(), [stuck])["runs"][0]["diagnosis"] == "multiplier_diverging"
    for other in [run(0.4), run(0.5005), run(0.1, level=0.2), run(0.4, level=0.2), run(0.9, tail=[0.9, 0.4])]:
        assert judge(task(), [stuck, other])["runs"][0]["diagnosis"] == "budget_exhausted"
        assert judge(task(), [other, stuck])["runs"][1]["diagnosis"] == "budget_exhausted"
    for other in [run(0.6), run(0.6, level=0.7), run(0.4, status=Status.DIVERGED), run(0.9, tail=[0.6], level=0.7)]:
        assert judge(task(), [stuck, other])["runs"][0]["diagnosis"] == "multiplier_diverging"


@pytest.mark.parametrize(("sense", "reached"), [("<=", False), (">=", True), ("==", False)])
def test_what_counts_as_reached_depends_on_the_sense(sense: str, reached: bool) -> None:
    stuck = slow(lambda t: 0.1 if sense == ">=" else 1.5)
    multipliers = {"g": [1e-3 * k for k in range(len(stuck.curves.steps))]}  # type: ignore[union-attr]
    stuck = replace(stuck, curves=replace(stuck.curves, multipliers=multipliers))  # type: ignore[type-var]
    judged = judge(task(sense=sense), [stuck, run(0.9)])
    assert judged["runs"][0]["diagnosis"] == ("budget_exhausted" if reached else "multiplier_diverging")


@pytest.mark.parametrize("multiplier", [True, False])
def test_a_violation_that_still_falls_exhausted_the_budget(multiplier: bool) -> None:
    steps = [(0.9 - 1e-4 * t, 1.0, 1e-4 * t, 1.0) for t in range(2000)]
    assert found(recorded(steps, multiplier=multiplier)) is Diagnosis.BUDGET_EXHAUSTED


def test_a_feasible_run_may_drift_inwards_but_not_outwards() -> None:
    inwards = [(0.4 - 1e-4 * t, 1.0, 0.0, 1.0) for t in range(1000)]
    outwards = [(0.2 + 1e-4 * t, 1.0, 0.0, 1.0) for t in range(1000)]
    assert found(recorded(inwards)) is None
    assert found(recorded(outwards)) is Diagnosis.BUDGET_EXHAUSTED


def noisy(centre: float, drift: float = 0.0) -> Run:
    noise = random.Random(0)
    return recorded([(centre + drift * t + noise.gauss(0, 0.05), 1.0, 1.0, 1.0) for t in range(5000)])


@pytest.mark.parametrize("centre", [0.48, 0.5, 0.55])
def test_minibatch_noise_around_the_level_is_no_diagnosis(centre: float) -> None:
    assert found(noisy(centre)) is None


def wave(period: float, amplitude: Callable[[int], float] = lambda t: 0.1, offset: float = 0.0) -> Run:
    steps = [(0.5 + offset + amplitude(t) * math.cos(2 * math.pi * t / period), 1.0, 1.0, 1.0) for t in range(5000)]
    return recorded(steps)


@pytest.mark.parametrize("period", [2, 3, 4, 5, 37, 150, 800])
def test_swings_of_any_period_are_oscillation(period: int) -> None:
    assert found(wave(period)) is Diagnosis.OSCILLATING


def test_swings_within_the_tolerance_or_on_one_side_are_none() -> None:
    assert found(wave(37, lambda t: 0.0009)) is None
    assert found(wave(37, offset=-0.2)) is None


def test_swings_that_were_dying_out_need_more_steps() -> None:
    assert found(wave(100, lambda t: 200 * math.exp(-t / 500))) is Diagnosis.BUDGET_EXHAUSTED


def test_swings_that_last_after_a_wild_transient_are_oscillation() -> None:
    assert found(wave(37, lambda t: 0.1 + 50 * math.exp(-t / 300))) is Diagnosis.OSCILLATING


def test_a_feasible_run_is_excused_where_the_constraint_mostly_held() -> None:
    mostly = [(0.6 if t % 20 == 10 else 0.45, 1.0, 1.0, 1.0) for t in range(5000)]
    assert found(recorded(mostly)) is None
    lottery = [(0.6 if t % 2 == 0 else 0.45, 1.0, 1.0, 1.0) for t in range(5000)]
    assert found(recorded(lottery)) is Diagnosis.OSCILLATING


def test_the_gravest_diagnosis_of_a_vector_is_reported() -> None:
    swinging, settled = wave(37), wave(37, lambda t: 0.0)
    both = [[a, b] for a, b in zip(settled.constraints["g"].tail, swinging.constraints["g"].tail, strict=True)]
    outcome = ConstraintOutcome(both[-1], both[-1], [0.0, 1.0], both)
    assert found(Run(RunKey("any", {}, {"g": 0.5}, 0), Status.COMPLETED, 1.0, {"g": outcome})) is Diagnosis.OSCILLATING


@pytest.mark.parametrize("status", [Status.DIVERGED, Status.FAILED])
def test_only_completed_runs_are_diagnosed(status: Status) -> None:
    run = wave(37)
    assert found(Run(run.key, status, 1.0, run.constraints, curves=run.curves)) is None


@pytest.mark.parametrize("tail", [[], [0.6], [0.6, None, 0.4, 0.6, 0.4, 0.6, 0.4]])
def test_a_tail_that_says_nothing_gives_no_diagnosis(tail: list[float | None]) -> None:
    assert found(run(0.6, tail=tail)) is None


def gappy(run: Run, seen: Callable[[int], bool]) -> Run:
    """The same run of which minibatches showed the constraint at some of the points alone."""
    outcome, curves = run.constraints["g"], run.curves
    assert curves is not None

    def cut(points: Sequence[Any]) -> list[Any]:
        return [point if seen(k) else None for k, point in enumerate(points)]

    holed = Curves(curves.steps, curves.objective, {"g": cut(curves.constraints["g"])}, curves.multipliers)
    return replace(run, constraints={"g": replace(outcome, tail=cut(outcome.tail))}, curves=holed)


@pytest.mark.parametrize("seen", [lambda k: k % 3 != 1, lambda k: random.Random(k).random() < 0.6])
def test_a_diagnosis_looks_at_the_steps_that_showed_the_constraint(seen: Callable[[int], bool]) -> None:
    assert found(gappy(descent_ascent(0.3), seen)) is Diagnosis.OSCILLATING
    assert found(gappy(descent_ascent(0.03), seen)) is Diagnosis.VANISHING_CONSTRAINT_GRADIENT
    assert found(gappy(descent_ascent(0.3, equality=True, penalty=5.0), seen), "==") is None
    assert found(gappy(slow(lambda t: 1.5, rate=10.0), seen)) is Diagnosis.MULTIPLIER_DIVERGING
    assert found(gappy(slow(lambda t: 3.5 - 1e-6 * t), seen)) is Diagnosis.BUDGET_EXHAUSTED
    noise = [(0.5 + random.Random(t).gauss(0, 0.1), 1.0, 1.0, 1.0) for t in range(5000)]
    assert found(gappy(recorded(noise), seen)) is found(recorded(noise))


def test_a_vector_of_which_each_point_shows_a_tenth_is_judged_by_what_it_shows() -> None:
    drawn = np.random.default_rng(0)
    tails, points = drawn.normal(1.0, 0.001, (1000, 50)), drawn.normal(1.0, 0.001, (500, 50))
    for table in (tails, points):
        table[drawn.random(table.shape) > 0.1] = np.nan
    outcome = ConstraintOutcome([1.0] * 50, [1.0] * 50, [1.0] * 50, Series(tails), 1.0)
    multipliers = np.arange(500.0)[:, None] * np.ones(50)
    curves = Curves(list(range(0, 5000, 10)), [0.0] * 500, {"g": Series(points)}, {"g": Series(multipliers)})
    many = Run(RunKey("any", {}, {"g": 0.5}, 0), Status.COMPLETED, 1.0, {"g": outcome}, {}, 5000, 0.0, None, curves)
    assert found(many) is Diagnosis.MULTIPLIER_DIVERGING
    never = replace(outcome, tail=Series(np.where(np.arange(50) < 49, tails, np.nan)))
    assert found(replace(many, constraints={"g": never})) is Diagnosis.MULTIPLIER_DIVERGING


def test_steps_that_show_nothing_of_a_constraint_are_not_counted() -> None:
    tail = [[0.4, None], [None, None], [None, 0.6], [0.4, 0.4]]
    assert row(task(), [0.4, 0.4], tail=tail)["constraints"]["g"]["feasible_share"] == pytest.approx(2 / 3)
    assert row(task(), 0.4, tail=[None, None])["constraints"]["g"]["feasible_share"] is None


def test_every_diagnosis_has_a_sentence_and_the_document_its_name() -> None:
    assert set(DIAGNOSES) == set(Diagnosis)
    assert not any("{" in sentence(name, method) for name in DIAGNOSES for method in [None, *REGISTRY])
    assert "multiplier diverges" in DIAGNOSES[Diagnosis.VANISHING_CONSTRAINT_GRADIENT]
    assert judge(task(), [wave(37)])["runs"][0]["diagnosis"] == "oscillating"
