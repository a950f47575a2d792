"""Verdicts, tables and pictures of numbers as extreme as floats are: all of them end, in numbers that JSON has."""

import contextlib
import io
import json
import math
import random
import warnings
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Curves, Run, RunKey, Series, Status
from cpd.verdict.averages import deviation, mean
from cpd.verdict.document import Document
from cpd.verdict.feasibility import held, holds
from cpd.verdict.judgement import judge
from cpd.verdict.points import matrix
from cpd.views.plots.draw import KINDS, drawing, render
from cpd.views.report.figures import figures
from cpd.views.tables.render import FORMATS, show

LARGEST = 1.7976931348623157e308
FINITE = st.one_of(
    st.sampled_from([LARGEST, -LARGEST, 1e308, -1e308, 1e200, -1e200, 5e-324, -5e-324, 1e-310, 1e-45, 1e39, 0.0, -0.0]),
    st.floats(allow_nan=False, allow_infinity=False),
    st.floats(-1, 1),
)
ANY = st.one_of(FINITE, st.sampled_from([math.nan, math.inf, -math.inf, None]))
SIZE = FINITE.map(abs)
SENSES = st.sampled_from(["<=", ">=", "=="])


EXTREMES: list[float | None] = [
    *(side * size for side in (1, -1) for size in (LARGEST, 1e308, 1e200, 1e39, 1.0, 0.5, 1e-45, 1e-200, 5e-324, 0.0)),
    *(math.nan, math.inf, -math.inf, None),
]
NUMBERS = [number for number in EXTREMES if number is not None and math.isfinite(number)]


class Drawn:
    """A document drawn at random, of extreme numbers for the most part."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.numbers: Sequence[float | None] = EXTREMES if self.random.random() < 0.5 else NUMBERS
        self.bounds = {n: self.bound() for n in ("g", "error_rate")[: self.random.randint(1, 2)]}
        self.widths = {name: self.random.choice([None, None, 1, 3]) for name in self.bounds}

    def number(self) -> float | None:
        ordinary = self.random.gauss(0, 1) * 10 ** self.random.uniform(-5, 5)
        return self.random.choice(self.numbers) if self.random.random() < 0.7 else ordinary

    def size(self) -> float:
        return abs(self.random.choice(NUMBERS))

    def bound(self) -> Any:
        level, sense = self.random.choice(NUMBERS), self.random.choice(["<=", ">=", "=="])
        return SimpleNamespace(level=level, sense=sense, tolerance=self.size())

    def value(self, width: int | None) -> Any:
        if self.random.random() < 0.05:
            return self.random.choice([None, [], [1.0], [0.5, None, 0.5, 0.5]])
        return self.number() if width is None else [self.number() for _ in range(width)]

    def series(self, points: int, width: int | None) -> Any:
        def one() -> Any:
            return self.number() if width is None else [self.number() for _ in range(width)]

        found = [one()] * points if self.random.random() < 0.3 else [one() for _ in range(points)]
        packed = self.random.random() < 0.7
        return Series.of(found) if packed else [p if self.random.random() < 0.9 else self.value(width) for p in found]

    def run(self) -> Run:
        choice = self.random.choice
        points, tail = choice([0, 1, 2, 13, 60]), choice([0, 1, 6, 9, 50])
        outcomes = {
            n: ConstraintOutcome(
                self.value(w), self.value(w), choice([None, self.value(w)]), self.series(tail, w), self.number()
            )
            for n, w in self.widths.items()
            if self.random.random() < 0.95
        }
        recorded = [{n: self.series(points, w) for n, w in self.widths.items()} for _ in range(2)]
        steps = sorted(self.random.sample(range(1000), points))
        curves = Curves(steps, [self.number() for _ in steps], recorded[0], recorded[1])
        method, name = choice([("penalized", "coefficient"), ("lagrangian", "dual_lr")])
        levels = {n: choice([bound.level, 0.5, LARGEST]) for n, bound in self.bounds.items()}
        key = RunKey(method, {name: self.size()}, choice([levels, {}]), self.random.randint(0, 1))
        status = choice([Status.COMPLETED] * 4 + [Status.DIVERGED, Status.FAILED])
        metrics = {"accuracy": self.number(), "x": self.number()}
        return Run(key, status, self.number(), outcomes, metrics, 9, curves=choice([curves, curves, None]))

    def search(self) -> Any:
        tried: list[Any] = [
            {"iteration": k, "coefficient": self.size() or 1.0, "value": self.number(), "objective": 1.0, "metrics": {}}
            for k in range(self.random.randint(0, 4))
        ]
        search = {"constraint": "g", "target": self.random.choice(NUMBERS), "tolerance": self.size(), "trainings": 2}
        return search | {"outcome": self.random.choice(["solved", "unattainable"]), "iterations": tried}


def check(document: Document, found: list[Run]) -> None:
    """Everything that reads a document, to its end, and without a warning of numpy's."""
    json.dumps(document, allow_nan=False)
    for row in document["runs"]:
        values = [c["value"] for c in row["constraints"].values()]
        known = [x is not None for value in values for x in (value if isinstance(value, list) else [value])]
        assert not row["feasible"] or (all(known) and row["objective"] is not None)
    for form in FORMATS:
        show(document, form, io.StringIO())
    curves = [None if run.curves is None else run.curves.plain() for run in found]
    for kind in KINDS:
        with contextlib.suppress(CpdError):  # there is nothing of this kind to draw
            drawing(kind, document, curves)
    json.dumps(figures(document, curves), allow_nan=False)


@pytest.mark.parametrize("first", [0, 40, *(pytest.param(k, marks=pytest.mark.slow) for k in range(80, 2000, 40))])
def test_every_document_is_judged_and_shown(first: int) -> None:
    for seed in range(first, first + 40):
        drawn = Drawn(seed)
        runs = [drawn.run() for _ in range(drawn.random.randint(0, 5))]
        search = drawn.search() if drawn.random.random() < 0.3 else None
        recipe = SimpleNamespace(dtype=drawn.random.choice(["float32", "float64"]))
        task: Any = SimpleNamespace(name="t", objective="f", constraints=drawn.bounds, train=recipe)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            check(judge(task, runs, gap=drawn.size(), search=search, summary=search is None), runs)


def test_a_run_that_runs_away_is_shown_beside_one_that_is_well() -> None:
    """A value that squares to 1e200 and beyond, as gradient descent on ``-x^2`` gives it while it is finite."""
    values = [1.44 ** (t / 2) for t in range(1500)] + [LARGEST] * 500
    kept = list(range(0, 2000, 4))
    curves = Curves(kept, [-values[k] for k in kept], {"size": [values[k] for k in kept]}, {})
    wild = ConstraintOutcome(LARGEST, LARGEST, None, values[-200:])
    keys = [RunKey("penalized", {"coefficient": c}, {"size": 1.0}, 0) for c in (0.0, 5.0)]
    runs = [
        Run(keys[0], Status.COMPLETED, -LARGEST, {"size": wild}, {}, 2000, 0.1, None, curves),
        Run(keys[1], Status.COMPLETED, 0.0, {"size": ConstraintOutcome(0.5, 0.5, None, [0.5] * 200)}),
    ]
    bounds = {"size": SimpleNamespace(level=1.0, sense="<=", tolerance=1e-3)}
    task: Any = SimpleNamespace(name="t", objective="f", constraints=bounds, train=SimpleNamespace(dtype="float64"))
    document = judge(task, runs)
    assert [run["feasible"] for run in document["runs"]] == [False, True]
    assert document["runs"][0]["constraints"]["size"]["violation"] == LARGEST
    assert document["summary"][0]["best_objective"] == 0.0
    check(document, runs)
    plain = [None if run.curves is None else run.curves.plain() for run in runs]
    for kind in ("tuning", "front", "dynamics"):
        assert render(drawing(kind, document, plain), ".png").startswith(b"\x89PNG")


def test_a_violation_that_overflows_is_the_largest_number() -> None:
    bounds = {"g": SimpleNamespace(level=-LARGEST, sense="<=", tolerance=0.0)}
    task: Any = SimpleNamespace(name="t", objective="f", constraints=bounds, train=SimpleNamespace(dtype="float64"))
    key = RunKey("penalized", {}, {}, 0)
    over = Run(key, Status.COMPLETED, 1.0, {"g": ConstraintOutcome(LARGEST, tail=[LARGEST, -LARGEST])})
    row = judge(task, [over])["runs"][0]
    assert (row["feasible"], row["constraints"]["g"]["violation"]) == (False, LARGEST)
    assert row["constraints"]["g"]["feasible_share"] == 0.5


@given(st.lists(ANY, min_size=1), FINITE, SENSES, SIZE, st.sampled_from(["float32", "float64"]))
@settings(deadline=None)
def test_numbers_hold_in_an_array_as_they_do_alone(
    values: list[float | None], level: float, sense: str, tolerance: float, dtype: str
) -> None:
    bound: Any = SimpleNamespace(level=level, sense=sense, tolerance=tolerance)
    found = held(matrix([values])[0], level, bound, dtype)
    assert found.tolist() == [holds(value, level, bound, dtype) for value in values]


@given(st.lists(FINITE, min_size=1))
@example([LARGEST, LARGEST, LARGEST])
@example([LARGEST, -LARGEST])
@example([5e-324, 5e-324, 0.0])
def test_means_and_deviations_stay_within_floats(values: list[float]) -> None:
    assert min(values) <= mean(values) <= max(values)
    assert 0 <= deviation(values) <= LARGEST
    if max(map(abs, values)) < 1e100:
        assert mean(values) == pytest.approx(math.fsum(values) / len(values), rel=1e-12, abs=1e-320)


def test_means_and_deviations_by_hand() -> None:
    assert mean([1e308, 1.5e308]) == 1.25e308
    assert mean([LARGEST, LARGEST, LARGEST]) == LARGEST
    assert mean([0.1, 0.1, 0.1]) == 0.1
    assert deviation([1.0, 3.0]) == pytest.approx(math.sqrt(2))
    assert deviation([2e307, 6e307]) == pytest.approx(math.sqrt(8) * 1e307)
    assert deviation([LARGEST, -LARGEST]) == LARGEST
    assert deviation([7.0]) == 0.0
