"""Two swept hyperparameters: a cell for each pair of values, coloured by what it gives."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cpd.views.figures.heatmap import BROKEN, Heatmap, Map
from cpd.views.figures.limits import on_log_scale, reached
from cpd.views.figures.log_axis import power_text
from cpd.views.figures.looks import wrapped
from cpd.views.figures.quantities import Quantity
from cpd.views.plots.axes import name_axis, name_panel
from cpd.views.plots.sheet import FEW, MANY, Sheet
from cpd.views.plots.style import Key
from cpd.views.printable import one_line
from cpd.views.tables.numbers import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT, SMALL_HEIGHT = 2.1, 1.75

SEQUENTIAL = "viridis_r"
"""Colours of amounts, the lower the lighter."""

COLORS_OF = {"<=": "BrBG_r", ">=": "BrBG", "==": "PuOr"}
"""Colours of a constraint's values around its level: green is feasible, brown is not; an equality's are white there."""

LETTERS = 14
"""Of a value beside an axis."""

MINUS = "\N{MINUS SIGN}"


def draw_heatmap(data: Heatmap, sheet: Sheet) -> None:
    """Draw one panel per method and quantity, the colours of a quantity the same in all of its panels."""
    each = len(data.maps[0].quantities)
    columns = FEW if each == FEW * FEW else min(each, MANY)
    rows = math.ceil(each / columns)
    cells = sheet.cells(rows * len(data.maps), columns, HEIGHT if columns <= FEW else SMALL_HEIGHT)
    for k, one in enumerate(data.maps):
        own = cells[k * rows * columns : (k + 1) * rows * columns]
        for spare in own[each:]:
            spare.remove()
        for place, ax in enumerate(own[:each]):
            names = [one.label] if len(data.maps) > 1 else []
            name_panel(ax, *names, one.quantities[place].label)
            _draw_cells(ax, data, one, place)
            _draw_marks(ax, one)
            _name(ax, one)
    seeds = [f"means over {data.seeds} seeds"] if data.seeds > 1 else []
    sheet.finish(_keys(data), [*seeds, *data.notes])


def _name(ax: Axes, one: Map) -> None:
    for vertical, hyper in ((False, one.x), (True, one.y)):
        axis = ax.yaxis if vertical else ax.xaxis
        axis.set_ticks(range(len(hyper.texts)), labels=["\n".join(wrapped(t, LETTERS, most=1)) for t in hyper.texts])
        name_axis(ax, one_line(hyper.name), vertical=vertical)
    ax.tick_params(length=1.5)


def _draw_cells(ax: Axes, data: Heatmap, one: Map, place: int) -> None:
    import numpy

    quantity = one.quantities[place]
    table = numpy.full((len(one.y.texts), len(one.x.texts)), numpy.nan)
    for cell in one.cells:
        value = cell.values[place]
        table[cell.y, cell.x] = numpy.nan if value is None else value
    own = [m for m in data.maps if m.quantities[place].levels == quantity.levels]
    cells = [(value, cell) for m in own for cell in m.cells if (value := cell.values[place]) is not None]
    values = [value for value, _ in cells]
    ends = reached(quantity, values, [value for value, cell in cells if cell.useful])
    colors, norm = _colors(quantity, ends)
    mesh = ax.imshow(table, origin="lower", aspect="auto", interpolation="none", cmap=colors, norm=norm)
    ax.set_facecolor("white")
    over, under = any(v > norm.vmax for v in values), any(v < norm.vmin for v in values)
    extend = {(True, True): "both", (True, False): "max", (False, True): "min"}.get((over, under), "neither")
    bar = ax.figure.colorbar(mesh, ax=ax, extend=extend, aspect=14, pad=0.02)
    outline: Any = bar.outline
    outline.set_linewidth(0.4)
    bar.ax.tick_params(length=1.5, labelsize=6.5)
    _number(bar, quantity, norm)


def _colors(quantity: Quantity, ends: Sequence[float]) -> tuple[str, Any]:
    """The colours of a quantity, and how its values are placed on them: the level in the middle of a constraint's."""
    from matplotlib.colors import LogNorm, Normalize, TwoSlopeNorm

    if not quantity.levels:
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        high = high if high > low else low + (abs(low) or 1.0)
        return SEQUENTIAL, (LogNorm if on_log_scale(quantity, ends) else Normalize)(low, high)
    level = quantity.levels[0]
    reach = [abs(value - level) for value in ends]
    far = max([*reach, quantity.tolerance]) or abs(level) or 1.0
    low = max((level - value for value in ends if value < level), default=0.0) or 0.2 * far
    high = max((value - level for value in ends if value > level), default=0.0) or 0.2 * far
    return COLORS_OF[str(quantity.sense)], TwoSlopeNorm(level, level - low, level + high)


def _number(bar: Any, quantity: Quantity, norm: Any) -> None:
    """Number the bar at its ends and, for a constraint, at its level; else as axes are."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullFormatter

    axis = bar.ax.yaxis
    scale = 100 if quantity.share else 1
    axis.set_major_formatter(FuncFormatter(lambda v, _: power_text(v, number(scale * v, 3)).replace("-", MINUS)))
    axis.set_minor_formatter(NullFormatter())
    if quantity.levels:
        axis.set_major_locator(FixedLocator([norm.vmin, norm.vcenter, norm.vmax]))
        bar.ax.axhline(norm.vcenter, color="#333333", linewidth=0.7, linestyle=(0, (2, 1)))
    elif not hasattr(norm, "_scale") or norm.vmax / max(norm.vmin, 1e-300) <= 1e4:
        axis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10], integer=quantity is BROKEN))


def _draw_marks(ax: Axes, one: Map) -> None:
    """Open points are not feasible, crosses did not finish, the ring is the best."""
    place = ax.get_position()
    figure = ax.get_figure(root=True)
    assert figure is not None
    width, height = (72 * figure.get_size_inches() * (place.width, place.height)).tolist()
    size = 0.45 * min(width / len(one.x.texts), height / len(one.y.texts))
    open_size, ring = max(min(size, 3.0), 0.8), max(min(2.2 * size, 8.0), 4.0)
    marks = [
        ([c for c in one.cells if not c.feasible and c.unfinished == 0], "o", "white", "#333333", open_size),
        ([c for c in one.cells if c.unfinished], "X", "black", "white", open_size + 2),
        ([c for c in one.cells if c.best], "o", "none", "white", ring + 1),
        ([c for c in one.cells if c.best], "o", "none", "black", ring),
    ]
    for cells, marker, face, edge, points in marks:
        x, y = [c.x for c in cells], [c.y for c in cells]
        if cells:  # nothing that is not clipped would have a box at the figure's corner
            ax.plot(x, y, marker, mfc=face, mec=edge, markersize=points, markeredgewidth=0.7, zorder=4, clip_on=False)


def _keys(data: Heatmap) -> list[Key]:
    cells = [cell for one in data.maps for cell in one.cells]
    keys = [Key("not feasible", "#333333", "o", "", filled=False)] if any(not c.feasible for c in cells) else []
    keys += [Key("diverged or failed", "black", "X", "")] if any(c.unfinished for c in cells) else []
    keys += [Key("best of its method", "black", "ring", "")] if any(c.best for c in cells) else []
    levels = any(quantity.levels for one in data.maps for quantity in one.quantities)
    return [*keys, *([Key("the level of a constraint", "#333333", "", "--")] if levels else [])]
