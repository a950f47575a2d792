"""Figures as small as they can be: lists that stand in several places are written once."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from cpd.views.report.panels import Figure, Pane, Series, plotly_text

SHORTEST = 6
"""Items of a list that is worth a place of its own."""

REFERENCE = "$"
"""The key of a mapping that stands for a list of the pool."""


def packed(figures: Sequence[Figure]) -> dict[str, Any]:
    """Figures for the page's script.

    Returns:
        ``{pool, figures}``, where ``{"$": k}`` in a figure is the pool's list ``k``; titles and captions, which the
        page has itself, are left out.
    """
    bare = [
        {"series": [_line(line) for line in own["series"]], "panels": [_panel(panel) for panel in own["panels"]]}
        for own in figures
    ]
    counts: dict[str, int] = {}
    for text in _lists(bare):
        counts[text] = counts.get(text, 0) + 1
    places = {text: k for k, text in enumerate(text for text, count in counts.items() if count > 1)}
    return {"pool": [json.loads(text) for text in places], "figures": _referring(bare, places)}


def _panel(panel: Pane) -> dict[str, Any]:
    """What drawing needs of a panel."""
    return {name: panel[name] for name in ("height", "x", "y", "data", "layout")}


def _line(line: Series) -> dict[str, str]:
    """What drawing needs of a line; its name as plotly reads texts."""
    return {"name": plotly_text(line["name"]), "color": line["color"], "dash": line["dash"]}


def _is_long(value: Any) -> bool:
    """Whether it is a long list of numbers or texts."""
    return isinstance(value, list) and len(value) >= SHORTEST and not isinstance(value[0], dict | list)


def _lists(value: Any) -> list[str]:
    if _is_long(value):
        return [json.dumps(value)]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for own in inner for text in _lists(own)]


def _referring(value: Any, places: dict[str, int]) -> Any:
    if _is_long(value):
        place = places.get(json.dumps(value))
        return value if place is None else {REFERENCE: place}
    if isinstance(value, dict):
        return {name: _referring(inner, places) for name, inner in value.items()}
    return [_referring(inner, places) for inner in value] if isinstance(value, list) else value
