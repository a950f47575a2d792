"""A search: the constraint's value against the coefficient, the iterations numbered: the paper's Figure 1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cpd.views.figures.bisection import Bisection
from cpd.views.figures.looks import COLORS, look
from cpd.views.figures.panel_axes import bisection_axis
from cpd.views.plots.axes import BEYOND, arrows, crosses, inside, quantity_axis
from cpd.views.plots.labels import place_labels
from cpd.views.plots.log_axis import draw_log_axis
from cpd.views.plots.sheet import Sheet
from cpd.views.plots.style import Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FONT = 7

HEIGHT = 2.0

LOST = COLORS[1]


def draw_bisection(data: Bisection, sheet: Sheet) -> None:
    """Draw the numbered iterations, joined in the order of the search, and the target with its tolerance."""
    [ax] = sheet.grid(1, 1, HEIGHT)
    shown = [(number, data.axis.place(x), y) for number, x, y in data.iterations if y is not None]
    quantity_axis(ax, bisection_axis(data))
    draw_log_axis(ax, data.axis)
    beyond = _draw_iterations(ax, data, shown)
    lost = [(number, data.axis.place(c)) for number, c, value in data.iterations if value is None]
    crosses(ax, [at for _, at in lost], LOST)
    ax.set_xlabel(data.name)
    sheet.finish(
        _keys(data, beyond), [] if data.outcome == "solved" else [f"outcome: {data.outcome.replace('_', ' ')}"]
    )
    bottom = ax.get_ylim()[0]
    labels = [(number, at, inside(ax, [value])[0]) for number, at, value in shown]
    labels += [(number, at, bottom) for number, at in lost]
    place_labels(ax, [(str(number), at, value) for number, at, value in labels], FONT, data.quantity.levels)


def _draw_iterations(ax: Axes, data: Bisection, shown: Sequence[tuple[int, float, float]]) -> bool:
    """Draw the points and their spreads; whether some lie beyond the axis."""
    x, values = [at for _, at, _ in shown], [value for _, _, value in shown]
    y, style = inside(ax, values), look(0)
    ax.plot(x, y, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
    spreads = [
        spread or 0.0 for (_, _, value), spread in zip(data.iterations, data.spreads, strict=True) if value is not None
    ]
    if any(spreads):
        ax.errorbar(x, y, yerr=spreads, fmt="none", ecolor=style.color, elinewidth=0.6, capsize=1.5, zorder=2)
    within = [(at, value) for at, value, height in zip(x, values, y, strict=True) if value == height]
    face = "white"
    ax.plot([a for a, _ in within], [b for _, b in within], "o", color=style.color, mfc=face, markersize=4, zorder=3)
    found = [(at, value) for number, at, value in shown if number == data.found]
    ax.plot([a for a, _ in found], [b for _, b in found], "o", color=style.color, markersize=4, zorder=4)
    return arrows(ax, x, values, style.color)


def _keys(data: Bisection, beyond: bool) -> list[Key]:
    color = look(0).color
    keys = [Key("iteration", color, "o", "", filled=False), Key("target and tolerance", "", "region", "")]
    keys += [Key("solved", color, "o", "")] if data.found is not None else []
    keys += [Key("diverged or failed", LOST, "x", "")] if any(v is None for _, _, v in data.iterations) else []
    keys += [BEYOND] if beyond else []
    return keys
