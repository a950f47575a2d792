"""What a picture is drawn on: panels that wrap, a title above them, a legend and notes below, nothing cut."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from cpd.views.figures.looks import wrapped
from cpd.views.plots.style import Key, Style, handle
from cpd.views.plots.ticks import thin_ticks

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PANEL_HEIGHT, SMALL_HEIGHT, HEADED = 1.35, 1.05, 0.2
"""Height in inches of a panel, of a small one, and of the name above it."""

FEW, MANY = 2, 3
"""Columns of up to eight panels, and of more."""

MOST_OF_FEW = 8

LEGEND_ROW, NOTE_ROW, TITLE_ROW = 0.17, 0.12, 0.17
"""Height in inches that a row of the legend, of the notes and of the title adds to a picture."""

LEGEND_LETTER, LEGEND_HANDLE = 4.2, 30
"""Width in points of a letter of the legend and of what stands before a label."""

NOTE_LETTERS, TITLE_LETTERS = 19, 14
"""Letters of a note and of a title that fit into an inch."""

TRIES = 4
"""How often a picture grows when its words leave no room for its axes."""


class Sheet:
    """A figure to draw on, in a style.

    Args:
        figure: An empty one, with a constrained layout.
        style: Its sizes.
        title: Above everything; empty for none.
    """

    def __init__(self, figure: Figure, style: Style, title: str = "") -> None:
        self.figure = figure
        self.style = style
        self.title = title

    def columns(self, count: int) -> int:
        """In how many columns so many panels stand."""
        if count <= self.style.alone:
            return 1
        if self.style.alone == 1:
            return count if count <= MANY else FEW if count == FEW * FEW else MANY
        return FEW if count <= MOST_OF_FEW else MANY

    def panels(self, count: int) -> list[Axes]:
        """One panel per quantity over a shared horizontal axis, row by row in as many columns as are needed."""
        columns = self.columns(count)
        height = PANEL_HEIGHT if columns <= FEW else SMALL_HEIGHT + HEADED
        return self.grid(count, columns, height, sharex=True)

    def grid(self, count: int, columns: int, height: float, **shared: Any) -> list[Axes]:
        """Panels in so many columns, row by row; the last row need not be full; ``wide=True`` for a page's width."""
        rows = math.ceil(count / columns)
        cells = self.cells(rows, columns, height, **shared)
        for spare in cells[count:]:
            spare.remove()
        return cells[:count]

    def cells(self, rows: int, columns: int, height: float, **shared: Any) -> list[Axes]:
        """A whole grid, row by row."""
        width = self.style.page if shared.pop("wide", columns > 1) else self.style.column
        self.figure.set_size_inches(width, max(0.7 + height * rows, self.style.least - 0.6))
        return list(self.figure.subplots(rows, columns, squeeze=False, **shared).flat)

    def finish(self, keys: Sequence[Key], notes: Sequence[str] = (), seeds: int = 1) -> None:
        """Add the title, the legend, and in small type what the points are and what is not shown; then fit it all."""
        over_seeds = [f"mean and standard deviation over {seeds} seeds"] if seeds > 1 else []
        self._put_title()
        self._put_legend(keys, "; ".join([*over_seeds, *notes]))
        figure = self.figure
        figure.set_figheight(max(figure.get_figheight(), self.style.least))
        self._fit()
        if thin_ticks(figure):
            self._fit()
        figure.set_layout_engine("none")  # what follows has its places, and saving it does not lay it out again

    def _put_title(self) -> None:
        lines = wrapped(self.title, int(self.figure.get_figwidth() * TITLE_LETTERS), most=2) if self.title else []
        if lines:
            self.figure.set_figheight(self.figure.get_figheight() + TITLE_ROW * len(lines))
            self.figure.suptitle("\n".join(lines), fontsize=8.5, fontweight="bold")

    def _put_legend(self, keys: Sequence[Key], note: str) -> None:
        """Put a legend below the axes, in as many columns as fit, the note above it."""
        if not keys and not note:
            return
        figure = self.figure
        room = figure.get_figwidth() * 72
        labels = [wrapped(key.label, int((room - LEGEND_HANDLE) / LEGEND_LETTER)) for key in keys]
        longest = max((len(line) for label in labels for line in label), default=1)
        columns = max(1, min(len(keys), int(room // (longest * LEGEND_LETTER + LEGEND_HANDLE))))
        rows = math.ceil(len(keys) / columns) + sum(len(label) - 1 for label in labels)
        lines = wrapped(note, int(figure.get_figwidth() * NOTE_LETTERS), most=6) if note else []
        figure.set_figheight(figure.get_figheight() + LEGEND_ROW * rows + NOTE_ROW * len(lines))
        legend = figure.legend(
            [handle(key) for key in keys],
            ["\n".join(label) for label in labels],
            loc="outside lower center",
            ncols=columns,
            title="\n".join(lines) or None,
            title_fontsize=6.5,
            frameon=False,
            handlelength=2.2,
            columnspacing=1.2,
            borderpad=0.2,
        )
        legend.get_title().set_color("#444444")
        legend.get_title().set_multialignment("center")

    def _fit(self) -> None:
        """Lay everything out, on a larger sheet where the words leave no room for the axes."""
        for _ in range(TRIES):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                engine = self.figure.get_layout_engine()
                assert engine is not None
                engine.execute(self.figure)
            if not any("constrained_layout" in str(warning.message) for warning in caught):
                return
            self.figure.set_size_inches(*(1.25 * size for size in self.figure.get_size_inches()))
