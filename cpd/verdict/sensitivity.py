r"""What a unit of a constraint's level costs: as the multiplier predicts it, and as neighbouring levels measure it.

The Lagrangian is :math:`f + \lambda (v - b)` at a level b, or :math:`f + \lambda (b - v)` for ``>=``, so at a solution
that moves with the level

.. math:: \frac{dF}{db} = -\lambda \quad (\le, =), \qquad \frac{dF}{db} = \lambda \quad (\ge)

The measured one is the slope at b of the polynomial through the objectives at the levels nearest to it: two, three
(the symmetric difference, where they lie to either side), four ..., as many as change the last estimate least.

Source: Nocedal and Wright, Numerical Optimization (2006), Section 12.8; the choice of the order: Ridders, "Accurate
computation of F'(x) and F'(x)F''(x)" (1982).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from cpd.outcome import Number, finite_or_none
from cpd.verdict.averages import mean
from cpd.verdict.document import BoundRow, RunRow, SensitivityRow

MOST_POINTS = 9
"""Levels that a slope is drawn through at most."""
AGREES = 0.05
"""Two slopes agree that differ by no more than this share of the larger one, and what is known of their errors."""
ROUNDING = 64 * 2.0**-23
"""Of an objective, relative to its size: where no constraint acts, neighbouring levels end that near each other."""

REASONS: Mapping[str, str] = {
    "surrogate": (
        "the multiplier is the price of the surrogate's level; what a unit of the strict value's level costs is the "
        "measured slope."
    ),
    "not settled": (
        "the multiplier does not predict what the levels cost, for the run or one at a neighbouring level has not "
        "settled: only at a solution is it a price."
    ),
    "not convex": (
        "the multiplier does not predict what the levels cost, though the runs have settled: the problem is not "
        "convex, and neighbouring levels end at different solutions, or at a kink."
    ),
    "unknown": (
        "the multiplier does not predict what the levels cost, and whether the runs have settled is not known: they "
        "have no residuals."
    ),
}
"""Why a multiplier and the measured slope disagree."""


class Slope(NamedTuple):
    """A slope, and how much its last correction was; None where it is the difference of two levels alone."""

    value: float
    error: float | None


def add_sensitivities(rows: Sequence[RunRow], bounds: Mapping[str, BoundRow]) -> None:
    """Write both slopes into the constraints of which several levels are shown, for each run.

    Args:
        rows: The runs of a document; those of one method, setting and seed, and the same other levels, are compared.
        bounds: Sense of each constraint.
    """
    for name, bound in bounds.items():
        if len({row["levels"][name] for row in rows}) < 2:
            continue
        lines: dict[str, list[RunRow]] = {}
        for row in rows:
            others = {n: level for n, level in row["levels"].items() if n != name}
            line = json.dumps([row["method"], row["setting"], row["seed"], others], sort_keys=True)
            lines.setdefault(line, []).append(row)
        for own in lines.values():
            for row in own:
                row["constraints"][name]["sensitivity"] = _sensitivity(row, own, name, bound["sense"])


def predicted_slope(multipliers: Sequence[Number], sense: str) -> float | None:
    """``dF/dlevel`` as the mean of some runs' multipliers has it; None where one is missing.

    A vector's components share their level: their multipliers add up.
    """
    totals = [_total(multiplier) for multiplier in multipliers]
    known = [total for total in totals if total is not None]
    if not known or len(known) < len(totals):
        return None
    return mean(known) if sense == ">=" else 0.0 - mean(known)


def measured_slope(at: float, levels: Sequence[float], objectives: Sequence[float]) -> Slope | None:
    """The slope of the objective at a level, of which it is known too; None where no other level is.

    Args:
        at: One of the levels.
        levels: Each one once.
        objectives: There.
    """
    scale = max(map(abs, levels)) or 1.0
    near = sorted(zip(levels, objectives, strict=True), key=lambda p: (round(abs(p[0] - at) / scale, 9), p[0]))
    slopes = [_polynomial_slope(at, near[:count]) for count in range(2, min(len(near), MOST_POINTS) + 1)]
    if not slopes or not all(map(math.isfinite, slopes)):
        return None
    changes = [abs(b - a) for a, b in pairwise(slopes)]
    if not changes:
        return Slope(slopes[0], None)
    best = changes.index(min(changes))
    return Slope(slopes[best + 1], changes[best])


def _sensitivity(row: RunRow, line: Sequence[RunRow], name: str, sense: str) -> SensitivityRow:
    own = row["constraints"][name]
    completed = row["status"] == "completed"
    predicted = predicted_slope([own["multiplier"]], sense) if completed else None
    solved = _solved(line, name)
    level = row["levels"][name]
    slope = measured_slope(level, list(solved), [objective(r) for r in solved.values()]) if level in solved else None
    found: SensitivityRow = {
        "predicted": predicted,
        "measured": None if slope is None else slope.value,
        "error": None if slope is None else slope.error,
        "agree": None,
        "why": None,
    }
    if predicted is not None and slope is not None:
        beside = sorted(solved.values(), key=lambda other: abs(other["levels"][name] - level))[:3]
        others = [predicted_slope([other["constraints"][name]["multiplier"]], sense) for other in beside[1:]]
        found["agree"] = _agree(predicted, slope, beside, name, [p for p in others if p is not None])
        found["why"] = None if found["agree"] else _why(row, beside)
    return found


def objective(row: RunRow) -> float:
    """Of a run that has one."""
    value = row["objective"]
    assert value is not None, "a feasible run has an objective"
    return value


def _solved(line: Sequence[RunRow], name: str) -> dict[float, RunRow]:
    """The feasible runs of a line by their level, the first of equals: no other objective is the price of its level."""
    found: dict[float, RunRow] = {}
    for row in line:
        if row["feasible"] and row["objective"] is not None:
            found.setdefault(row["levels"][name], row)
    return found


def _agree(predicted: float, slope: Slope, beside: Sequence[RunRow], name: str, others: Sequence[float]) -> bool:
    """Whether both slopes are the same, up to what is known of the measured one's error.

    A violation, either way, is an error of the level. The difference of two levels alone is the slope half-way between
    them: there the prediction is the mean of both.
    """
    off = max(_size(row["constraints"][name]["violation"], row["constraints"][name]["multiplier"]) for row in beside)
    least = min(abs(row["levels"][name] - beside[0]["levels"][name]) for row in beside[1:])
    half = abs(others[0] - predicted) / 2 if others else 0.0
    known = (half if slope.error is None else slope.error) + 2 * abs(predicted) * off / least
    known += ROUNDING * max(abs(objective(row)) for row in beside) / least
    larger = max(abs(predicted), abs(slope.value))
    return abs(predicted - slope.value) <= AGREES * larger + known


def _size(violation: Number, multiplier: Number) -> float:
    """The largest violation of a component on which something pulls."""
    both = zip(_listed(violation), _listed(multiplier), strict=False)
    return max((abs(v) for v, m in both if v is not None and m), default=0.0)


def _why(row: RunRow, beside: Sequence[RunRow]) -> str:
    kkt = row.get("kkt")
    if kkt is not None and kkt["of"] == "surrogate":
        return "surrogate"
    found = [(other["diagnosis"], other.get("kkt")) for other in (row, *beside)]
    if any(diagnosis or (kkt is not None and not kkt["stationary"]) for diagnosis, kkt in found):
        return "not settled"
    return "unknown" if any(kkt is None for _, kkt in found) else "not convex"


def _polynomial_slope(at: float, points: Sequence[tuple[float, float]]) -> float:
    """The derivative at its first point of the polynomial through points (x, y): divided differences, by Newton."""
    xs = [x for x, _ in points]
    table = [y for _, y in points]
    slope, product = 0.0, 1.0
    for order in range(1, len(points)):
        table = [(b - a) / (xs[k + order] - xs[k]) for k, (a, b) in enumerate(pairwise(table))]
        slope += table[0] * product
        product *= at - xs[order]
    return slope


def _total(multiplier: Number) -> float | None:
    parts = _listed(multiplier)
    known = [part for part in parts if part is not None]
    return finite_or_none(len(known) * mean(known)) if known and len(known) == len(parts) else None


def _listed(value: Number) -> list[float | None]:
    return list(value) if isinstance(value, list) else [value]
