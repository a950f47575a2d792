"""Plotly figures of one or more panels above or beside each other, built as plain dicts."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from typing import Any, TypedDict

from cpd.outcome import finite_or_none
from cpd.views.plots.axes import limits, on_log_scale
from cpd.views.plots.log_axis import LogAxis
from cpd.views.plots.quantities import Quantity
from cpd.views.plots.style import FEASIBLE, look, wrapped
from cpd.views.tables.numbers import measured, number

PANEL_HEIGHT = 190
DIGITS = 6
TITLE_WIDTH = 24
"""Letters of an axis title on one line: a panel is no taller."""

LONG_TITLE_WIDTH = 48
"""Letters of a line below a horizontal axis that all panels share: as many as a telephone is wide."""

DASH_NAMES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
INK, GRID = "#333333", "#e6e6e6"


class Figure(TypedDict):
    """A figure and its words; ``data`` and ``layout`` are plotly's."""

    kind: str
    title: str
    caption: str
    data: list[dict[str, Any]]
    layout: dict[str, Any]


class Panels:
    """A plotly figure under way.

    Args:
        count: Of panels.
        x: Layout of the horizontal axis.
        height: Of the whole figure in pixels; default: by the number of panels.
        shared: Whether panels stand above each other over one horizontal axis, or else side by side.
    """

    def __init__(self, count: int, x: dict[str, Any], height: int | None = None, shared: bool = True) -> None:
        self.count = count
        self.shared = shared
        self.height = height or 130 + PANEL_HEIGHT * count
        self.data: list[dict[str, Any]] = []
        self.layout: dict[str, Any] = {"shapes": [], "annotations": []}
        self._named: set[str] = set()
        for place in range(count):
            across = {**_plain_axis(), **x, "anchor": self._y(place)}
            upright = {**_plain_axis(), "anchor": self._x(place)}
            if shared:
                upright["domain"] = _share(count - 1 - place, count)
                across["anchor"] = self._y(count - 1)
            else:
                across["domain"] = _share(place, count)
            self.layout[_axis_key(self._x(place))] = across
            self.layout[_axis_key(self._y(place))] = upright

    def _x(self, place: int) -> str:
        return "x" if self.shared or place == 0 else f"x{place + 1}"

    def _y(self, place: int) -> str:
        return "y" if place == 0 else f"y{place + 1}"

    def quantity(self, place: int, quantity: Quantity, values: Sequence[float], logarithmic: bool = True) -> None:
        """Set up a panel's vertical axis: name and unit, percent, levels as labelled lines, the feasible region."""
        axis = self.layout[_axis_key(self._y(place))]
        if logarithmic and on_log_scale(quantity, values):
            axis |= {"type": "log"}
        else:
            axis |= {"range": list(limits(quantity, values))}
        axis |= _named(quantity.label, quantity.share)
        self._levels(place, quantity, upright=True)

    def quantity_across(self, place: int, quantity: Quantity, values: Sequence[float]) -> None:
        """Likewise for its horizontal axis."""
        self.layout[_axis_key(self._x(place))] |= {"range": list(limits(quantity, values))}
        self.across(place, quantity.label, quantity.share)
        self._levels(place, quantity, upright=False)

    def across(self, place: int, name: str, share: bool) -> None:
        """Name a panel's horizontal axis."""
        self.layout[_axis_key(self._x(place))] |= _named(name, share)

    def add(self, place: int, number: int, name: str, trace: dict[str, Any]) -> None:
        """Add a line or points in the look of their number; lines of a name are shown and hidden together."""
        style = look(number)
        line = {"color": style.color, "width": 1.5, "dash": DASH_NAMES[style.dash], **trace.get("line", {})}
        edge = {"width": 1.5, "color": line["color"]}
        marker = {"color": line["color"], "line": edge, "opacity": 1, **trace.get("marker", {})}
        first = name not in self._named
        self._named.add(name)
        hovered = {"hoverinfo": "text"} if "text" in trace else {}
        common = {"type": "scatter", "name": plotly_text(name), "legendgroup": plotly_text(name), "showlegend": first}
        axes = {"xaxis": self._x(place), "yaxis": self._y(place)}
        self.data.append({**common, **axes, **hovered, **trace, "line": line, "marker": marker})

    def note(self, place: int, text: str, x: float, y: float) -> None:
        """Write a text above a point of a panel with a logarithmic horizontal axis."""
        at = {"x": math.log10(x), "y": y, "xref": self._x(place), "yref": self._y(place)}
        self.layout["annotations"].append({"text": plotly_text(text), "showarrow": False, "yshift": 13, **at})

    def _levels(self, place: int, quantity: Quantity, upright: bool) -> None:
        region = quantity.feasible_region()
        if region is not None:
            axis = self.layout[_axis_key(self._y(place) if upright else self._x(place))]
            low, high = max(region[0], axis["range"][0]), min(region[1], axis["range"][1])
            ends = self._across_panel(place, low, high, upright)
            fill = {"fillcolor": FEASIBLE, "opacity": 0.12, "line": {"width": 0}, "layer": "below"}
            self.layout["shapes"].append({"type": "rect", **ends, **fill})
        for level in quantity.levels:
            ends = self._across_panel(place, level, level, upright)
            line = {"color": INK, "width": 1, "dash": "dash"}
            self.layout["shapes"].append({"type": "line", **ends, "line": line, "layer": "below"})
            self.layout["annotations"].append(self._level_text(place, quantity, level, upright))

    def _across_panel(self, place: int, low: float, high: float, upright: bool) -> dict[str, Any]:
        x, y = self._x(place), self._y(place)
        if upright:
            return {"xref": f"{x} domain", "x0": 0, "x1": 1, "yref": y, "y0": low, "y1": high}
        return {"yref": f"{y} domain", "y0": 0, "y1": 1, "xref": x, "x0": low, "x1": high}

    def _level_text(self, place: int, quantity: Quantity, level: float, upright: bool) -> dict[str, Any]:
        text = {"text": plotly_text(quantity.level_text(level)), "showarrow": False, "font": {"size": 11}}
        x, y = self._x(place), self._y(place)
        if upright:
            return {**text, "xref": f"{x} domain", "x": 1.01, "xanchor": "left", "yref": y, "y": level}
        turned = {"textangle": -90} if len(quantity.levels) > 2 else {}
        return {**text, **turned, "yref": f"{y} domain", "y": 1.01, "yanchor": "bottom", "xref": x, "x": level}

    def figure(self, kind: str, title: str, caption: str) -> Figure:
        """The finished figure with its words."""
        whole = {
            "height": self.height,
            "margin": {"l": 80, "r": 90, "t": 40, "b": 60},
            "legend": {"orientation": "h", "x": 0, "y": 0, "yanchor": "bottom", "yref": "container"},
            "font": {"family": "system-ui, sans-serif", "size": 13, "color": INK},
            "paper_bgcolor": "white",
            "plot_bgcolor": "white",
            "hovermode": "closest",
        }
        layout = {**whole, **self.layout}
        return {"kind": kind, "title": title, "caption": caption.strip(), "data": self.data, "layout": layout}


def _plain_axis() -> dict[str, Any]:
    return {
        "linecolor": INK,
        "gridcolor": GRID,
        "zeroline": False,
        "ticks": "outside",
        "automargin": True,
        "exponentformat": "power",
    }


def _named(name: str, share: bool) -> dict[str, Any]:
    """An axis title with its unit in the ticks; names may hold what plotly reads as HTML."""
    text = plotly_text(*wrapped(name, TITLE_WIDTH))
    percent = {"tickformat": ".4~p"} if share else {}
    return {"title": {"text": text, "standoff": 8}, **percent}


def _share(place: int, count: int) -> list[float]:
    """A panel's share of the figure, with a gap to its neighbours."""
    gap = 0.06 if count > 1 else 0.0
    size = (1 - gap * (count - 1)) / count
    start = place * (size + gap)
    return [start, min(start + size, 1.0)]


def _axis_key(name: str) -> str:
    return f"{name[0]}axis{name[1:]}"


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


def log_layout(axis: LogAxis, name: str) -> dict[str, Any]:
    """A logarithmic plotly axis with a labelled place for 0, or a linear one."""
    ends = (axis.low, axis.high)
    return {
        "type": "linear" if axis.linear else "log",
        "range": list(ends if axis.linear else map(math.log10, ends)),
        "tickvals": list(axis.ticks),
        "ticktext": list(axis.labels),
        "title": {"text": plotly_text(*wrapped(name, LONG_TITLE_WIDTH))},
    }


def plotly_text(*lines: str) -> str:
    """Lines of text for plotly, which reads a part of HTML in them."""
    return "<br>".join(html.escape(line) for line in lines)


def amount(value: float | None, quantity: Quantity) -> str:
    """A quantity's number as a reader sees it, with its unit."""
    return f"{number(100 * value, 6)} %" if quantity.share and value is not None else measured(value, 6)
