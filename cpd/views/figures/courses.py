"""Courses of runs as rows of panels: the objective, then of each constraint the violation and the multiplier."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from cpd.views.figures.axis import QuantityAxis, quantity_axis
from cpd.views.figures.dynamics import Dynamics, Points
from cpd.views.figures.quantities import Quantity

Kind = Literal["objective", "violation", "multiplier"]

Measured = tuple[list[int], Points]
"""Steps, and what was measured there."""


class Row(NamedTuple):
    """What one panel shows of every course; a line without points is not drawn.

    Attributes:
        of: The constraint, or empty for the objective.
    """

    kind: Kind
    of: str
    quantity: Quantity
    lines: list[Points]
    measured: list[Measured]
    axis: QuantityAxis


def course_rows(data: Dynamics) -> list[Row]:
    """The rows of the objective and of every constraint; of a method without multipliers theirs are empty."""
    rows = [_row(data, "objective", "", data.objective, data.objectives, data.measured())]
    several = len(data.constraints) > 1
    for bound in data.constraints:
        of, name = bound.name, f" of {bound.name}" if several else ""
        multiplier = Quantity("metric", f"multiplier{name}")
        rows.append(_row(data, "violation", of, _violation(bound, name), data.violations(of), data.measured(of)))
        rows.append(_row(data, "multiplier", of, multiplier, data.multipliers(of), []))
    return rows


def _row(data: Dynamics, kind: Kind, of: str, quantity: Quantity, lines: list[Points], measured: list[Measured]) -> Row:
    values = _values([*lines, *(points for _, points in measured)])
    held = [points for course, points in zip(data.courses, lines, strict=True) if course.feasible]
    return Row(kind, of, quantity, lines, measured, quantity_axis(quantity, values, _values(held)))


def _values(found: Sequence[Points]) -> list[float]:
    return [y for points in found for y in points if y is not None]


def _violation(bound: Quantity, name: str) -> Quantity:
    """A violation's axis: 0 is its level, and what is below is feasible, or near it for an equality."""
    sense = "==" if bound.sense == "==" else "<="
    return Quantity("constraint", f"violation{name}", bound.share, sense, bound.tolerance, (0.0,))
