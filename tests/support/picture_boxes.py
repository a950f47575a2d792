"""The boxes of a picture's texts and axes, measured: what overlaps, and what is cut."""

from itertools import combinations
from typing import Any

SLACK = 0.5
"""Points that two boxes may share: the boxes of letters are larger than their ink."""

LEAST = 0.28
"""Inches that a panel is wide and high at the least."""


def texts(figure: Any) -> list[Any]:
    """Every text that is drawn: labels of ticks beyond the ends of their axis are not."""
    from matplotlib.text import Text

    beyond = set()
    for ax in figure.axes:
        for axis in (ax.xaxis, ax.yaxis):
            low, high = sorted(axis.get_view_interval())
            ticks = [*axis.get_major_ticks(), *axis.get_minor_ticks()]
            out = [t for t in ticks if not low <= t.get_loc() <= high]
            hidden = [(t.label1, t.label1.get_visible()) for t in ticks] + [(t.label2, False) for t in ticks]
            beyond |= {id(label) for t in out for label in (t.label1, t.label2)}
            beyond |= {id(label) for label, shown in hidden if not shown}
    return [t for t in figure.findobj(Text) if t.get_visible() and t.get_text().strip() and id(t) not in beyond]


def faults(figure: Any) -> list[str]:
    """What is wrong with a figure: texts over texts, over the axes of others, or beyond the edge; axes over axes."""
    figure.draw_without_rendering()
    slack = SLACK * figure.dpi / 72
    boxes = [(t.get_text(), _own_axes(t, figure), _shrunk(_letters(t), slack)) for t in texts(figure)]
    edge = figure.bbox
    found = [f"cut: {a!r}" for a, _, box in boxes if not _within(box, edge)]
    found += [f"texts: {a!r} over {b!r}" for (a, _, one), (b, _, two) in combinations(boxes, 2) if one.overlaps(two)]
    for text, own, box in boxes:
        found += [f"axes: {text!r} over a panel" for ax in figure.axes if ax is not own and ax.bbox.overlaps(box)]
    for one, two in combinations(figure.axes, 2):
        found += ["panels overlap"] if _shrunk(one.bbox, slack).overlaps(two.bbox) else []
    for legend in figure.legends:
        box = _shrunk(legend.get_window_extent(), slack)
        found += ["legend over a panel" for ax in figure.axes if ax.bbox.overlaps(box)]
    inches = [(ax.bbox.width / figure.dpi, ax.bbox.height / figure.dpi) for ax in figure.axes if not _is_bar(ax)]
    return found + [f"a panel of {w:.2f} by {h:.2f} inches" for w, h in inches if min(w, h) < LEAST]


def _letters(text: Any) -> Any:
    """The box of a text without the line that leads from a note to its point."""
    from matplotlib.text import Text

    return Text.get_window_extent(text)


def _is_bar(ax: Any) -> bool:
    return hasattr(ax, "_colorbar")


def _own_axes(text: Any, figure: Any) -> Any:
    """The panel in which a text stands, where it may."""
    return getattr(text, "axes", None) or next((ax for ax in figure.axes if text in ax.findobj(type(text))), None)


def _shrunk(box: Any, by: float) -> Any:
    from matplotlib.transforms import Bbox

    return Bbox.from_extents(box.x0 + by, box.y0 + by, max(box.x1 - by, box.x0 + by), max(box.y1 - by, box.y0 + by))


def _within(box: Any, edge: Any) -> bool:
    return bool(edge.x0 <= box.x0 and edge.y0 <= box.y0 and box.x1 <= edge.x1 and box.y1 <= edge.y1)
