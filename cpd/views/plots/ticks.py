"""Labels of ticks that would overlap are thinned: every second, third and so on stays."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

GAP = 2.0
"""Points between two labels."""


def thin_ticks(figure: Figure) -> bool:
    """Leave out labels of ticks that overlap; the figure is laid out.

    Returns:
        Whether there were any.
    """
    done: set[int] = set()
    thinned = []
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            if id(axis.major) not in done and (shown := _labels(axis)):
                done.add(id(axis.major))  # panels that share an axis share its ticks
                thinned.append(_thin(axis, shown, axis is ax.xaxis, figure.dpi / 72 * GAP))
    return any(thinned)


def cell(ax: Axes) -> tuple[float, float]:
    """Width and height in inches of a panel with its words."""
    place = ax.get_subplotspec()
    figure = ax.get_figure(root=True)
    assert place is not None
    assert figure is not None
    grid = place.get_gridspec()
    return figure.get_figwidth() / grid.ncols, figure.get_figheight() / grid.nrows


def _thin(axis: Axis, shown: Sequence[tuple[float, str, Any]], across: bool, gap: float) -> bool:
    stride = next((k for k in range(1, len(shown) + 1) if _apart([box for _, _, box in shown[::k]], across, gap)), 1)
    if stride > 1:
        axis.set_ticks([place for place, _, _ in shown[::stride]], labels=[text for _, text, _ in shown[::stride]])
    return stride > 1


def _labels(axis: Axis) -> list[tuple[float, str, Any]]:
    low, high = sorted(axis.get_view_interval())
    margin = 1e-9 * (high - low)
    found = []
    for tick in axis.get_major_ticks():
        label = tick.label1
        if label.get_visible() and label.get_text() and low - margin <= tick.get_loc() <= high + margin:
            found.append((float(tick.get_loc()), label.get_text(), label.get_window_extent()))
    return found


def _apart(boxes: Sequence[Any], across: bool, gap: float) -> bool:
    ends = sorted((b.x0, b.x1) if across else (b.y0, b.y1) for b in boxes)
    return all(after[0] - before[1] >= gap for before, after in pairwise(ends))
