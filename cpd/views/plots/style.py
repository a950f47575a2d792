"""The look of pictures: sizes of a paper's columns, colours that the colour-blind tell apart, legends outside."""

from __future__ import annotations

import math
import re
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

LEGEND_LETTER, LEGEND_HANDLE = 4.2, 30
"""Width in points of a letter of the legend and of what stands before a label."""

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


def wrapped(text: str, letters: int, most: int = 3) -> list[str]:
    """Break a text into lines at spaces; a word that is longer than a line after its underscores, or anywhere.

    Args:
        text: The text.
        letters: Of a line.
        most: Lines; of a text that takes more, the last one has its end, where units stand, after an ellipsis.
    """
    letters = max(letters, 2)
    lines = [""]
    for word in text.split():
        parts = [word] if len(word) <= letters else re.findall(rf"[^_]{{1,{letters - 1}}}_?|_", word)
        for k, part in enumerate(parts):
            space = " " if k == 0 and lines[-1] else ""
            if len(lines[-1] + space + part) <= letters:
                lines[-1] += space + part
            else:
                lines.append(part)
    return lines if len(lines) <= most else [*lines[: most - 1], "…" + lines[-1][1 - letters :]]


def put_legend(figure: Figure, keys: Sequence[Key]) -> None:
    """Put a legend below the axes, in as many columns as fit."""
    if not keys:
        return
    room = figure.get_figwidth() * 72
    labels = [wrapped(key.label, int((room - LEGEND_HANDLE) / LEGEND_LETTER)) for key in keys]
    longest = max(len(line) for label in labels for line in label)
    columns = max(1, min(len(keys), int(room // (longest * LEGEND_LETTER + LEGEND_HANDLE))))
    rows = math.ceil(len(keys) / columns) + sum(len(label) - 1 for label in labels)
    figure.set_figheight(figure.get_figheight() + LEGEND_ROW * rows)
    figure.legend(
        [_handle(key) for key in keys],
        ["\n".join(label) for label in labels],
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
        lines = wrapped(text, int(figure.get_figwidth() * 19), most=6)
        figure.set_figheight(figure.get_figheight() + NOTE_ROW * len(lines))
        figure.suptitle("\n".join(lines), fontsize=6.5, color="#444444")
