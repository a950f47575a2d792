"""Panels and their axes: percent for shares, levels labelled at the end, feasible regions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from cpd.views.plots.log_axis import power_text
from cpd.views.plots.quantities import Quantity, Spread
from cpd.views.plots.style import COLUMN, FEASIBLE, PAGE, SHADE, wrapped
from cpd.views.tables.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

PANEL_HEIGHT = 1.35

LETTERS_PER_INCH = 14.5
"""Letters of an axis label that fit into an inch: longer labels go on over several lines."""

WIDE = 1e4
"""From this ratio of its largest to its smallest value on, a quantity has a logarithmic axis."""

MOST_LYING = 2
"""Levels on a horizontal axis whose labels are written lengthwise; more stand upright."""

ROOM_VERTICAL, ROOM_UPRIGHT = 0.13, 0.05
"""Share of an axis that a level's label takes."""

MOST_STACKED = 4
"""Panels above each other in one column before there are two columns."""


def panels(figure: Figure, count: int) -> list[Axes]:
    """One panel per quantity over a shared horizontal axis, a column wide, or a page wide where there are many."""
    columns = 1 if count <= MOST_STACKED else 2
    rows = math.ceil(count / columns)
    figure.set_size_inches(COLUMN if columns == 1 else PAGE, 0.7 + PANEL_HEIGHT * rows)
    grid = figure.subplots(rows, columns, sharex=True, squeeze=False)
    for spare in list(grid.T.flat)[count:]:
        spare.remove()
    return list(grid.T.flat)[:count]


def name_lowest(axes: Sequence[Axes], name: str) -> None:
    """Name the shared horizontal axis under the lowest panel of each column, and number it there alone."""
    lowest = {ax.get_subplotspec().colspan.start: ax for ax in axes}  # type: ignore[union-attr]
    for ax in axes:
        ax.tick_params(labelbottom=ax in lowest.values())
    for ax in lowest.values():
        name_axis(ax, name, vertical=False, spare=0.0)


def name_axis(ax: Axes, *names: str, vertical: bool = True, spare: float = 0.4) -> None:
    """Name an axis, each name on lines of its own, that are no longer than the panel less some inches to spare."""
    place = ax.get_subplotspec()
    figure = ax.get_figure(root=True)
    assert place is not None
    assert figure is not None
    grid = place.get_gridspec()
    inches = figure.get_figheight() / grid.nrows if vertical else figure.get_figwidth() / grid.ncols
    text = "\n".join(line for name in names for line in wrapped(name, int((inches - spare) * LETTERS_PER_INCH)))
    (ax.set_ylabel if vertical else ax.set_xlabel)(text)


def crosses(ax: Axes, x: Sequence[float], color: str) -> None:
    """Put crosses on the horizontal axis where there is no number to show."""
    if x:
        at = ax.get_xaxis_transform()
        ax.plot(x, [0.0] * len(x), "x", color=color, transform=at, clip_on=False, zorder=5, markersize=5)


def quantity_values(spreads: Iterable[Spread]) -> list[float]:
    """The ends of every error bar: what an axis must reach."""
    return [end for s in spreads if s.mean is not None for end in (s.mean - s.deviation, s.mean + s.deviation)]


def limits(quantity: Quantity, values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values and levels, with a margin; a share's stay near 0 and 1."""
    reached = [*values, *quantity.levels] or [0.0, 1.0]
    low, high = min(reached), max(reached)
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin, high + margin
    is_share = quantity.share and min(reached) >= 0
    return (max(low, -0.04), min(high, 1.04)) if is_share else (low, high)


def on_log_scale(quantity: Quantity, values: Sequence[float]) -> bool:
    """Whether an objective or a metric spans so much that only a logarithmic axis shows it."""
    return not quantity.levels and bool(values) and min(values) > 0 and max(values) / min(values) > WIDE


def percent_ticks(axis: Axis) -> None:
    """Write a share's ticks in percent; the unit is in the axis label."""
    from matplotlib.ticker import FuncFormatter

    axis.set_major_formatter(FuncFormatter(lambda value, _: number(100 * value).replace("-", "\N{MINUS SIGN}")))


def log_scale(ax: Axes) -> None:
    """Make the vertical axis logarithmic, its powers of ten written without mathematical markup."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    ax.set_yscale("log")
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: power_text(value, number(value))))
    ax.yaxis.set_minor_formatter(NullFormatter())


def quantity_axis(
    ax: Axes, quantity: Quantity, values: Sequence[float], vertical: bool = True, logarithmic: bool = True
) -> None:
    """Set up an axis for a quantity: limits, unit, levels as labelled lines, the feasible region shaded."""
    from matplotlib.ticker import MaxNLocator

    axis = ax.yaxis if vertical else ax.xaxis
    name_axis(ax, quantity.label, vertical=vertical)
    if vertical and logarithmic and on_log_scale(quantity, values):
        log_scale(ax)
    else:
        (ax.set_ylim if vertical else ax.set_xlim)(*limits(quantity, values))
        axis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    if quantity.share:
        percent_ticks(axis)
    draw_levels(ax, quantity, vertical)


def draw_levels(ax: Axes, quantity: Quantity, vertical: bool = True) -> None:
    """Draw the levels as lines labelled at their end, and the feasible region."""
    across, shade = (ax.axhline, ax.axhspan) if vertical else (ax.axvline, ax.axvspan)
    low, high = ax.get_ylim() if vertical else ax.get_xlim()
    region = quantity.feasible_region()
    if region is not None:
        shade(max(region[0], low), min(region[1], high), color=FEASIBLE, alpha=SHADE, linewidth=0, zorder=0)
    for level in quantity.levels:
        across(level, color="#333333", linewidth=0.7, linestyle=(0, (4, 2)), zorder=1)
    upright = not vertical and len(quantity.levels) > MOST_LYING
    room = (ROOM_VERTICAL if vertical else ROOM_UPRIGHT) * (high - low) if vertical or upright else 0.0
    for level, at in zip(quantity.levels, spread_out(quantity.levels, room), strict=True):
        _label_level(ax, quantity.level_text(level), at, vertical, upright)


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


def spread_out(places: Sequence[float], room: float) -> list[float]:
    """Move ascending places apart until each has room, as little as that takes: labels that do not overlap."""
    moved = list(places)
    clusters = [[place] for place in moved]
    while True:
        centers = [sum(c) / len(c) for c in clusters]
        for k in range(len(clusters) - 1):
            if centers[k + 1] - centers[k] < room * (len(clusters[k]) + len(clusters[k + 1])) / 2 * (1 - 1e-9):
                clusters[k : k + 2] = [clusters[k] + clusters[k + 1]]
                break
        else:
            return [
                c + room * (i - (len(own) - 1) / 2)
                for c, own in zip(centers, clusters, strict=True)
                for i in range(len(own))
            ]
