"""Figures of one or more panels as plain dicts: each panel is a figure of plotly's own, which a page wraps as it likes.

Colours are names of the page's variables, ``--ink``: the page puts in those of its theme.
"""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, TypedDict

from cpd.outcome import finite_or_none
from cpd.views.figures.axis import QuantityAxis
from cpd.views.figures.log_axis import LogAxis, power_text
from cpd.views.figures.looks import look
from cpd.views.figures.quantities import Quantity
from cpd.views.report.theme import SERIES

HEIGHTS = (340, 280, 236)
"""Pixels of each panel where there are one, two, or more: as many as two or three of them are wide."""

TOP, BOTTOM, LEFT = 12, 34, 46
"""Pixels around a panel; what tick labels take more at the left, plotly adds."""

LABEL, LETTER = 13, 6.6
"""Height in pixels of a level's label, and width of its letters."""

MOST_RIGHT = 96

NARROWEST = 200
"""Width in pixels of what is left for a panel on a telephone."""

DIGITS = 6

DASH_NAMES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
SYMBOLS = ("circle", "square", "triangle-up", "diamond", "triangle-down", "cross", "x", "triangle-left")

ARROWS = {
    (1, 0): "triangle-up",
    (-1, 0): "triangle-down",
    (0, 1): "triangle-right",
    (0, -1): "triangle-left",
    (1, 1): "triangle-ne",
    (1, -1): "triangle-nw",
    (-1, 1): "triangle-se",
    (-1, -1): "triangle-sw",
}
"""Symbols of points beyond the axes, by the sides on which they lie: upwards, and across."""


class Series(TypedDict):
    """One line of the legend, shown and hidden in all panels together; ``symbol`` is empty for a line alone."""

    name: str
    color: str
    dash: str
    symbol: str


class Measure(TypedDict):
    """What one axis measures, as hovering says it."""

    name: str
    share: bool


class Pane(TypedDict):
    """One panel; ``data`` and ``layout`` are plotly's but for colours, and what hovering says."""

    title: str
    across: str
    height: int
    x: Measure | None
    y: Measure
    data: list[dict[str, Any]]
    layout: dict[str, Any]


class Figure(TypedDict):
    """A figure and its words."""

    kind: str
    title: str
    caption: str
    series: list[Series]
    panels: list[Pane]


class Panel:
    """A panel under way.

    Args:
        axis: The vertical one.
        across: Name of the horizontal axis.
        x: Layout of it, or the axis itself.
        height: In pixels.
    """

    def __init__(
        self, axis: QuantityAxis, across: str, x: dict[str, Any] | QuantityAxis, height: int = HEIGHTS[-1]
    ) -> None:
        self.title, self.across = axis.quantity.label, across
        self.height = height
        self.x: Measure | None = None
        self.data: list[dict[str, Any]] = []
        self.beyond = False
        self._axis = axis
        self._side: QuantityAxis | None = None
        self._shapes: list[dict[str, Any]] = []
        self._notes: list[dict[str, Any]] = []
        self._right, self._top = 14, TOP
        self._axes = {"yaxis": {**_plain_axis(), **_scale(axis)}}
        self._levels(axis, upright=True)
        if isinstance(x, QuantityAxis):
            self._side, self.x = x, _measure(x.quantity)
            self.across, self.title = x.quantity.label, f"{axis.quantity.label} against {x.quantity.label}"
            self._levels(x, upright=False)
        self._axes["xaxis"] = {**_plain_axis(), **(_scale(x) if isinstance(x, QuantityAxis) else x)}

    def add(self, series: int, trace: dict[str, Any]) -> None:
        """Add a line, or points with what hovering says of them, that belong to a line of the legend.

        Points that blew up stand at the edge as arrows.
        """
        if "markers" in trace["mode"]:
            trace = self._at_edges(series, trace)
        self.data.append({"type": "scatter", "series": series, **trace})

    def _at_edges(self, series: int, trace: dict[str, Any]) -> dict[str, Any]:
        across = self._side
        sides = [self._axis.side(y) for y in trace["y"]]
        aside = [0 if across is None else across.side(x) for x in trace["x"]]
        if not any(sides) and not any(aside):
            return trace
        self.beyond = True
        y = [None if at is None else self._axis.inside(at) for at in trace["y"]]
        x = trace["x"] if across is None else [across.inside(at) for at in trace["x"]]
        arrows = [(x[k], y[k], ARROWS[sides[k], aside[k]]) for k in range(len(x)) if sides[k] or aside[k]]
        at: dict[str, Any] = {"x": [a for a, _, _ in arrows], "y": [b for _, b, _ in arrows]}
        marker = {"symbol": [symbol for _, _, symbol in arrows], "size": 9}
        shown = {"type": "scatter", "series": series, **at, "mode": "markers", "marker": marker, "cliponaxis": False}
        self.data.append(shown)
        return {**trace, "x": x, "y": y, "said": {"x": trace["x"], "y": trace["y"]}}

    def note(self, text: str, x: float, y: float) -> None:
        """Write a text above a point; ``x`` as its axis counts it, a power of ten on a logarithmic one."""
        at = {"x": x, "y": y, "xref": "x", "yref": "y"}
        self._notes.append({"text": plotly_text(text), "showarrow": False, "yshift": 13, **at})

    def _levels(self, axis: QuantityAxis, upright: bool) -> None:
        """Levels as lines with labels, and the feasible region."""
        if axis.region is not None:
            fill = {"fillcolor": "--region", "opacity": 0.13, "line": {"width": 0}, "layer": "below"}
            self._shapes.append({"type": "rect", **_across_panel(*axis.region, upright), **fill})
        lying = not upright and len(axis.quantity.levels) <= 2  # labels of more would meet each other
        pixels = (self.height - TOP - BOTTOM) if upright else NARROWEST
        marks = axis.marks(0.0 if lying else min(LABEL / pixels, 0.5)) if axis.quantity.levels else []
        line = {"color": "--ink", "width": 1, "dash": "dash"}
        for mark in marks:
            self._shapes.append({"type": "line", **_across_panel(mark.level, mark.level, upright), "line": line})
            if mark.at is not None:
                self._notes.append(_level_text(mark.text, mark.at, upright, lying))
        longest = max((len(mark.text) for mark in marks), default=0) * LETTER
        if marks and upright:
            self._right = int(min(longest + 12, MOST_RIGHT))
        elif marks:
            self._top = TOP + int(LABEL if lying else min(longest, MOST_RIGHT))

    def finished(self) -> Pane:
        """The panel as data."""
        layout = {
            **self._axes,
            "shapes": self._shapes,
            "annotations": self._notes,
            "margin": {"l": LEFT, "r": self._right, "t": self._top, "b": BOTTOM},
        }
        height = self.height + self._top - TOP
        return {
            "title": self.title,
            "across": self.across,
            "height": height,
            "x": self.x,
            "y": _measure(self._axis.quantity),
            "data": self.data,
            "layout": layout,
        }


def height_of(panels: int) -> int:
    """Pixels that each of so many panels is tall."""
    return HEIGHTS[min(panels, len(HEIGHTS)) - 1]


def figure(kind: str, title: str, caption: str, series: Sequence[Series], panels: Sequence[Panel]) -> Figure:
    """A finished figure."""
    if any(panel.beyond for panel in panels):
        caption = f"{caption.strip()} Arrows stand for values beyond the axis."
    shown = [panel.finished() for panel in panels]
    return {"kind": kind, "title": title, "caption": caption.strip(), "series": list(series), "panels": shown}


def line_of(number: int, name: str, points: bool = True) -> Series:
    """The look of a figure's line by its number, the same as in pictures but for the shade."""
    symbol = SYMBOLS[number % len(SYMBOLS)] if points else ""
    return {"name": name, "color": f"--c{number % SERIES}", "dash": DASH_NAMES[look(number).dash], "symbol": symbol}


def _measure(quantity: Quantity) -> Measure:
    return {"name": plotly_text(quantity.name), "share": quantity.share}


def _plain_axis() -> dict[str, Any]:
    return {
        "linecolor": "--ink",
        "tickcolor": "--ink",
        "gridcolor": "--grid",
        "zeroline": False,
        "ticks": "outside",
        "ticklen": 4,
        "automargin": True,
        "exponentformat": "power",
        "tickangle": 0,
        "nticks": 6,
    }


def _scale(axis: QuantityAxis) -> dict[str, Any]:
    percent = {"tickformat": ".4~p"} if axis.quantity.share else {}
    if axis.logarithmic:
        return {**percent, "type": "log", "range": [math.log10(end) for end in axis.ends]}
    return {**percent, "range": list(axis.ends)}


def _across_panel(low: float, high: float, upright: bool) -> dict[str, Any]:
    if upright:
        return {"xref": "x domain", "x0": 0, "x1": 1, "yref": "y", "y0": low, "y1": high, "layer": "below"}
    return {"yref": "y domain", "y0": 0, "y1": 1, "xref": "x", "x0": low, "x1": high, "layer": "below"}


def _level_text(text: str, at: float, upright: bool, lying: bool) -> dict[str, Any]:
    words = {"text": plotly_text(text), "showarrow": False, "font": {"size": 11}}
    if upright:
        return {**words, "xref": "x domain", "x": 1, "xshift": 4, "xanchor": "left", "yref": "y", "y": at}
    turned = {} if lying else {"textangle": -90}
    return {**words, **turned, "yref": "y domain", "y": 1, "yshift": 2, "yanchor": "bottom", "xref": "x", "x": at}


def rounded(value: Any) -> Any:
    """Numbers at six significant digits, in dicts and lists too; what is not finite becomes None."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        known = finite_or_none(value)
        return None if known is None else float(f"{known:.{DIGITS}g}")
    return value


def log_layout(axis: LogAxis) -> dict[str, Any]:
    """A logarithmic plotly axis with a labelled place for 0, or a linear one."""
    ends = (axis.low, axis.high)
    texts = [power_text(tick, label) for tick, label in zip(axis.ticks, axis.labels, strict=True)]
    return {
        "type": "linear" if axis.linear else "log",
        "range": list(ends if axis.linear else map(math.log10, ends)),
        "tickvals": list(axis.ticks),
        "ticktext": list(axis.labels) if axis.linear else texts,
    }


def plotly_text(*lines: str) -> str:
    """Lines of text for plotly, which reads a part of HTML in them."""
    return "<br>".join(html.escape(line) for line in lines)
