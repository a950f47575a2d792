"""Three and more swept hyperparameters: a line for each setting across its values and what they give."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cpd.views.figures.looks import COLORS, wrapped
from cpd.views.figures.parallel import KINDS, LETTERS_PER_INCH, Parallel, Paths
from cpd.views.plots.axes import BEYOND, arrows
from cpd.views.plots.sheet import Sheet
from cpd.views.plots.style import FEASIBLE, SHADE, Key

if TYPE_CHECKING:
    from matplotlib.axes import Axes

HEIGHT = 2.1

PLENTY, CROWD = 60, 2000
"""Settings from which on their lines are thin, and pixels in .svg and .pdf too."""

LOOKS = {
    "not feasible": ("#d9d9d9", 0.5),
    "feasible": ("#8c8c8c", 0.6),
    "useful": (COLORS[0], 0.9),
    "best of its method": (COLORS[1], 2.0),
}
"""Colour and width of their lines."""


def draw_parallel(data: Parallel, sheet: Sheet) -> None:
    """Draw one panel per method, the best settings over the others."""
    axes = sheet.grid(len(data.panels), 1, HEIGHT, wide=True)
    beyond = [_draw_panel(ax, one, len(data.panels) > 1) for ax, one in zip(axes, data.panels, strict=True)]
    seeds = [f"means over {data.seeds} seeds"] if data.seeds > 1 else []
    sheet.finish(_keys(data, any(beyond)), [*seeds, *data.notes])


def _draw_panel(ax: Axes, one: Paths, several: bool) -> bool:
    """Draw a method's settings; whether some lie beyond an axis."""
    from matplotlib.collections import LineCollection

    count = len(one.axes)
    ax.set_xlim(-0.15, count - 1 + 0.35)
    ax.set_ylim(-0.03, 1.03)
    for kind in KINDS:
        color, width = LOOKS[kind]
        own = [path.places for path in one.paths if path.kind == kind]
        width = width / 2 if len(own) > PLENTY else width
        lines = [[(x, _within(y)) for x, y in enumerate(places) if y is not None] for places in own]
        crowd = len(one.paths) > CROWD
        bundle = LineCollection(lines, colors=color, linewidths=width, zorder=2 + KINDS.index(kind), rasterized=crowd)
        ax.add_collection(bundle)
    _draw_uprights(ax, one)
    if several:
        ax.set_title(one.label, loc="left", fontsize=7.5)
    points = [(x, y, p.kind) for p in one.paths for x, y in enumerate(p.places) if y is not None and not 0 <= y <= 1]
    beyond = [arrows(ax, [x], [y], LOOKS[kind][0]) for x, y, kind in dict.fromkeys(_at_ends(points))]
    return any(beyond)


def _at_ends(points: Sequence[tuple[int, float, str]]) -> list[tuple[int, float, str]]:
    """What lies beyond an axis, once for each end and kind: a thousand arrows at one place are one."""
    return [(x, 2.0 if y > 1 else -1.0, kind) for x, y, kind in points]


def _within(place: float) -> float:
    return min(max(place, 0.0), 1.0)


def _draw_uprights(ax: Axes, one: Paths) -> None:
    for x, axis in enumerate(one.axes):
        ax.plot([x, x], [0, 1], color="#333333", linewidth=0.8, zorder=7)
        if axis.region is not None:
            low, high = axis.region
            ax.fill_between([x - 0.06, x + 0.06], low, high, color=FEASIBLE, alpha=2 * SHADE, linewidth=0, zorder=1)
        for place, text in axis.ticks:
            ax.plot([x - 0.015, x + 0.015], [place, place], color="#333333", linewidth=0.6, zorder=7)
            words = ax.annotate(text.replace("-", "\N{MINUS SIGN}"), (x, place), (4, 0), textcoords="offset points")
            words.set(va="center", fontsize=6, zorder=8)
            words.set_bbox({"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.4})
    figure = ax.get_figure(root=True)
    assert figure is not None
    letters = int(figure.get_figwidth() * LETTERS_PER_INCH / len(one.axes))
    names = ["\n".join(wrapped(axis.name, letters)) for axis in one.axes]
    ax.set_xticks(range(len(names)), labels=names)
    ax.set_yticks([])
    ax.tick_params(axis="x", length=0)
    for side in ("left", "bottom"):
        ax.spines[side].set_visible(False)


def _keys(data: Parallel, beyond: bool) -> list[Key]:
    kinds = {path.kind for one in data.panels for path in one.paths}
    keys = [Key(kind, LOOKS[kind][0], "", "-") for kind in reversed(KINDS) if kind in kinds]
    keys += [Key("feasible region", "", "region", "")] if any(a.region for one in data.panels for a in one.axes) else []
    return [*keys, *([BEYOND] if beyond else [])]
