"""How pictures look: sizes of a paper's columns, colours that the colour-blind tell apart, legends outside."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

COLUMN, PAGE = 3.25, 6.75
"""Width in inches of a column and of a page of a two-column paper."""

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
"""Okabe and Ito's colours (2008) without the yellow, which is too light for lines on white."""

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<")
DASHES = ("-", "--", "-.", ":")

FEASIBLE = "#009E73"
"""Colour of the feasible region, drawn very light."""

SHADE = 0.12

LEGEND_ROW, NOTE_ROW = 0.17, 0.12
"""Height in inches that a row of the legend and of the note above the axes adds to a picture."""

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


class Look(NamedTuple):
    """Colour, marker and dashes of a line."""

    color: str
    marker: str
    dash: str


def look(number: int) -> Look:
    """The look of a picture's line by its number; colour and marker differ from one to the next."""
    dash = DASHES[(number // len(COLORS)) % len(DASHES)]
    return Look(COLORS[number % len(COLORS)], MARKERS[number % len(MARKERS)], dash)


@dataclass(frozen=True)
class Key:
    """One entry of a legend.

    Attributes:
        marker: A marker, ``ring`` around the best, ``region`` for the feasible one, or empty for a line alone.
        dash: Of the line; empty for none.
        filled: Whether the marker is.
    """

    label: str
    color: str
    marker: str
    dash: str
    filled: bool = True


def put_legend(figure: Figure, keys: Sequence[Key]) -> None:
    """Put a legend below the axes, in as many columns as fit."""
    longest = max((len(key.label) for key in keys), default=1)
    columns = max(1, min(len(keys), int(figure.get_figwidth() * 72 // (longest * 4.2 + 30))))
    if not keys:
        return
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * math.ceil(len(keys) / columns))
    figure.legend(
        [_handle(key) for key in keys],
        [key.label for key in keys],
        loc="outside lower center",
        ncols=columns,
        frameon=False,
        handlelength=2.2,
        columnspacing=1.2,
        borderpad=0.2,
    )


def _handle(key: Key) -> Artist:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    if key.marker == "region":
        return Patch(facecolor=FEASIBLE, alpha=2 * SHADE, linewidth=0)
    if key.marker == "ring":
        return Line2D([], [], linestyle="none", marker="o", color=key.color, markerfacecolor="none", markersize=7)
    face = key.color if key.filled else "white"
    dash: Any = key.dash or "none"
    marker = key.marker or "none"
    return Line2D([], [], color=key.color, linestyle=dash, linewidth=1, marker=marker, markersize=3.5, mfc=face)


def note(figure: Figure, notes: Sequence[str], seeds: int = 1) -> None:
    """Say above the axes, in small type, what the points are and what is not shown."""
    over_seeds = [f"mean and standard deviation over {seeds} seeds"] if seeds > 1 else []
    text = "; ".join([*over_seeds, *notes])
    if text:
        width = int(figure.get_figwidth() * 23)
        wrapped = textwrap.wrap(text, width)
        figure.set_figheight(figure.get_figheight() + NOTE_ROW * len(wrapped))
        figure.suptitle("\n".join(wrapped), fontsize=6.5, color="#444444")
