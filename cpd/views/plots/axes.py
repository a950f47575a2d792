"""Panels and their axes: percent for shares, levels labelled at the end, feasible regions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cpd.views.figures.axis import QuantityAxis
from cpd.views.figures.log_axis import power_text
from cpd.views.figures.looks import wrapped
from cpd.views.plots.style import FEASIBLE, SHADE, Key
from cpd.views.plots.ticks import cell
from cpd.views.tables.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis

LETTERS_PER_INCH = 14.5
"""Letters of an axis label that fit into an inch: longer labels go on over several lines."""

BEYOND = Key("beyond the axis", "black", "^", "")
"""What the arrows are."""

MANY = 3
"""From so many columns on, panels have their names above them."""

MOST_LYING = 2
"""Levels on a horizontal axis whose labels are written lengthwise; more stand upright."""

LABEL_HEIGHT, LABEL_WIDTH = 9.0, 9.0
"""Points of an axis that a level's label takes."""


def name_lowest(axes: Sequence[Axes], name: str) -> None:
    """Name the shared horizontal axis under the lowest panel of each column, and number it there alone."""
    lowest = {ax.get_subplotspec().colspan.start: ax for ax in axes}  # type: ignore[union-attr]
    for ax in axes:
        ax.tick_params(labelbottom=ax in lowest.values())
    for ax in lowest.values():
        name_axis(ax, name, vertical=False, spare=0.0)


def name_axis(ax: Axes, *names: str, vertical: bool = True, spare: float = 0.4) -> None:
    """Name an axis, each name on lines of its own, that are no longer than the panel less some inches to spare."""
    inches = cell(ax)[vertical] - spare
    text = "\n".join(line for name in names for line in wrapped(name, int(inches * LETTERS_PER_INCH)))
    (ax.set_ylabel if vertical else ax.set_xlabel)(text)


def name_panel(ax: Axes, *names: str) -> None:
    """Write names above a panel: where panels are small, there is no room beside them."""
    letters = int((cell(ax)[0] - 0.4) * LETTERS_PER_INCH)
    ax.set_title("\n".join(line for name in names for line in wrapped(name, letters, most=2)), loc="left", fontsize=7.5)


def is_small(ax: Axes) -> bool:
    """Whether a panel is one of so many columns that its name stands above it."""
    place = ax.get_subplotspec()
    assert place is not None
    return bool(place.get_gridspec().ncols >= MANY)


def crosses(ax: Axes, x: Sequence[float], color: str) -> None:
    """Put crosses on the horizontal axis where there is no number to show."""
    if x:
        at = ax.get_xaxis_transform()
        ax.plot(x, [0.0] * len(x), "x", color=color, transform=at, clip_on=False, zorder=5, markersize=5)


def inside(ax: Axes, values: Sequence[float], vertical: bool = True) -> list[float]:
    """Values as an axis shows them: those beyond its ends at its ends."""
    low, high = sorted(ax.get_ylim() if vertical else ax.get_xlim())
    return [min(max(value, low), high) for value in values]


def arrows(ax: Axes, x: Sequence[float], y: Sequence[float], color: str, size: float = 4.5) -> bool:
    """Put arrows at the edge where points lie beyond it.

    Returns:
        Whether there are any.
    """
    (left, right), (bottom, top) = sorted(ax.get_xlim()), sorted(ax.get_ylim())
    points = list(zip(x, y, strict=True))
    beyond = {
        "^": [(a, top) for a, b in points if b > top],
        "v": [(a, bottom) for a, b in points if b < bottom],
        ">": [(right, b) for a, b in points if a > right and bottom <= b <= top],
        "<": [(left, b) for a, b in points if a < left and bottom <= b <= top],
    }
    for marker, found in beyond.items():
        if found:
            at = [min(max(a, left), right) for a, _ in found]
            height = [b for _, b in found]
            ax.plot(at, height, marker, color=color, clip_on=False, zorder=6, markersize=size, markeredgewidth=0.4)
    return any(beyond.values())


def percent_ticks(axis: Axis) -> None:
    """Write a share's ticks in percent; the unit is in the axis label."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(100 * value).replace("-", "\N{MINUS SIGN}")))


def log_scale(ax: Axes, ends: tuple[float, float]) -> None:
    """Make the vertical axis logarithmic, its powers of ten written without mathematical markup."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set_yscale("log")
    ax.set_ylim(*ends)
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_text(value, number(value))))
    ax.yaxis.set_minor_formatter(NullFormatter())


def quantity_axis(ax: Axes, found: QuantityAxis, vertical: bool = True, named: bool = True) -> None:
    """Set up an axis for a quantity: limits, unit, levels as labelled lines, the feasible region shaded.

    Args:
        ax: The panel.
        found: What the axis shows, and how far it goes.
        vertical: Whether it is the vertical axis.
        named: Whether it is named: beside the axis, or above a small panel.
    """
    from matplotlib.ticker import MaxNLocator

    axis, quantity = ax.yaxis if vertical else ax.xaxis, found.quantity
    if named and vertical and is_small(ax):
        name_panel(ax, quantity.label)
    elif named:
        name_axis(ax, quantity.label, vertical=vertical)
    if found.logarithmic:
        log_scale(ax, found.ends)
    else:
        (ax.set_ylim if vertical else ax.set_xlim)(*found.ends)
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if quantity.share:
        percent_ticks(axis)
    draw_levels(ax, found, vertical)


def draw_levels(ax: Axes, found: QuantityAxis, vertical: bool = True) -> None:
    """Draw the levels as lines labelled at their end, and the feasible region."""
    across, shade = (ax.axhline, ax.axhspan) if vertical else (ax.axvline, ax.axvspan)
    if found.region is not None:
        shade(*found.region, color=FEASIBLE, alpha=SHADE, linewidth=0, zorder=0)
    for level in found.quantity.levels:
        across(level, color="#333333", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    _label_levels(ax, found, vertical)


def _label_levels(ax: Axes, found: QuantityAxis, vertical: bool) -> None:
    """Label as many levels as there is room for, evenly."""
    length = 72 * (cell(ax)[vertical] - 0.3)
    upright = not vertical and len(found.quantity.levels) > MOST_LYING
    each = LABEL_HEIGHT if vertical else LABEL_WIDTH
    for mark in found.marks(each / length if vertical or upright else 0.0):
        if mark.at is not None:
            _label_level(ax, mark.text, mark.at, vertical, upright)


def _label_level(ax: Axes, text: str, at: float, vertical: bool, upright: bool) -> None:
    if vertical:
        ax.annotate(text, (1, at), (3, 0), ax.get_yaxis_transform(), "offset points", va="center", fontsize=7)
    else:
        ax.annotate(
            text,
            (at, 1),
            (0, 3),
            ax.get_xaxis_transform(),
            "offset points",
            ha="center",
            va="bottom",
            rotation=90 if upright else 0,
            fontsize=7,
        )
