"""The look of pictures: sizes of papers and of slides, colours that the colour-blind tell apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.artist import Artist

COLUMN, PAGE = 3.25, 6.75
"""Width in inches of a column and of a page of a two-column paper."""

FEASIBLE = "#009E73"
"""Colour of the feasible region, drawn very light."""

SHADE = 0.12

GREY = "#c4c4c4"
"""Colour of the lines that are not among the best."""

RC: Any = {
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "legend.fontsize": 7,
    "axes.linewidth": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "lines.markeredgewidth": 0.9,
    "text.usetex": False,
    "text.parse_math": False,  # names from specs may hold $ and _
    "axes.unicode_minus": True,
    "axes.formatter.use_mathtext": False,
    "svg.fonttype": "none",  # text stays text, to be searched and edited
    "svg.hashsalt": "cpd",  # the same picture is the same file
    "pdf.fonttype": 42,  # TrueType: what publishers ask for
    "savefig.dpi": 300,
}

MOST_PIXELS = 12e6
"""A picture that would have more has fewer dots per inch."""


@dataclass(frozen=True)
class Style:
    """Sizes in inches, in which type of 7 and 8 points is read well.

    Attributes:
        column: Width of a picture of one column of panels.
        page: Width of a picture of several.
        least: Height at the least.
        alone: Panels that stand above each other rather than side by side.
        dots: Per inch, of a .png.
    """

    column: float
    page: float
    least: float
    alone: int
    dots: float

    def resolution(self, width: float, height: float) -> float:
        """Dots per inch of a picture of this size."""
        return min(self.dots, math.sqrt(MOST_PIXELS / (width * height)))


STYLES = {
    "paper": Style(COLUMN, PAGE, least=0.0, alone=4, dots=300),
    "talk": Style(5.6, 5.6, least=3.15, alone=1, dots=1920 / 5.6),
}
"""For the columns of a paper, and for slides of 16 by 9: less on a picture, so that it is read from the last row."""


@dataclass(frozen=True)
class Key:
    """One entry of a legend.

    Attributes:
        marker: A marker, ``ring`` around the best, ``region`` for the feasible one, ``patch`` for a colour,
            or empty for a line alone.
        dash: Of the line; empty for none.
        filled: Whether the marker is.
    """

    label: str
    color: str
    marker: str
    dash: str
    filled: bool = True


def handle(key: Key) -> Artist:
    """What stands before a legend's label."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if key.marker == "region":
        return Patch(facecolor=FEASIBLE, alpha=2 * SHADE, linewidth=0)
    if key.marker == "patch":
        return Patch(facecolor=key.color, linewidth=0)
    if key.marker == "ring":
        return Line2D([], [], linestyle="none", marker="o", color=key.color, markerfacecolor="none", markersize=7)
    face = key.color if key.filled else "white"
    dash: Any = key.dash or "none"
    marker = key.marker or "none"
    return Line2D([], [], color=key.color, linestyle=dash, linewidth=1, marker=marker, markersize=3.5, mfc=face)
