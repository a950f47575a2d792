"""The axes of each kind of figure: which numbers they reach, and which of these are useful runs'."""

from __future__ import annotations

from cpd.views.figures.axis import QuantityAxis, quantity_axis
from cpd.views.figures.bisection import Bisection
from cpd.views.figures.front import Front, Panel
from cpd.views.figures.limits import quantity_values
from cpd.views.figures.sensitivity import LevelPanel, Levels
from cpd.views.figures.tuning import Tuning


def tuning_axis(data: Tuning, place: int) -> QuantityAxis:
    """The vertical axis of a quantity, over every line and its error bars."""
    every = [setting for line in (*data.series, *data.others) for setting in line.settings]
    useful = [setting for setting in every if setting.useful]
    values, trusted = (quantity_values(s.values[place] for s in some) for some in (every, useful))
    return quantity_axis(data.quantities[place], values, trusted)


def front_axes(data: Front, panel: Panel) -> tuple[QuantityAxis, QuantityAxis]:
    """The objective's axis upwards, and the constraint's across."""
    useful = [run for run in panel.runs if run.useful]
    upright = quantity_axis(data.objective, [r.y for r in panel.runs], [r.y for r in useful], logarithmic=False)
    across = quantity_axis(panel.quantity, [r.x for r in panel.runs], [r.x for r in useful], logarithmic=False)
    return upright, across


def levels_axis(data: Levels, panel: LevelPanel) -> QuantityAxis:
    """The objective's axis, over the points with their error bars and the ends of the slopes."""
    ends = [y for own in (*panel.tangents, *panel.measured) for _, heights in own for y in heights]
    points = quantity_values(s.objective for line in panel.found for s in line.solved)
    return quantity_axis(data.objective, [*ends, *points], points)


def bisection_axis(data: Bisection) -> QuantityAxis:
    """The axis of the searched constraint."""
    return quantity_axis(data.quantity, [y for _, _, y in data.iterations if y is not None], data.quantity.levels)
