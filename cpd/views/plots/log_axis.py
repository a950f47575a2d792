"""A horizontal logarithmic axis with a place apart for 0: hyperparameters are swept over decades, and 0 is tried.

Where some are negative, it is a linear axis.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from cpd.views.figures.log_axis import LogAxis, power_text
from cpd.views.plots.ticks import cell

if TYPE_CHECKING:
    from matplotlib.axes import Axes

DECADES_PER_INCH = 2.4
"""With more, an axis has no ticks between powers of ten."""


def draw_log_axis(ax: Axes, axis: LogAxis) -> None:
    """Set up a horizontal logarithmic axis, broken between 0 and the rest, or a linear one."""
    from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter

    if axis.linear:
        ax.set_xlim(axis.low, axis.high)
        ax.set_xticks(axis.ticks, [label.replace("-", "\N{MINUS SIGN}") for label in axis.labels])
        return
    ax.set_xscale("log")
    ax.set_xlim(axis.low, axis.high)
    ax.set_xticks(axis.ticks, [power_text(tick, label) for tick, label in zip(axis.ticks, axis.labels, strict=True)])
    ax.xaxis.set_minor_formatter(NullFormatter())
    wide = math.log10(axis.high / axis.low) > DECADES_PER_INCH * cell(ax)[0]
    minor = LogLocator(subs=(1.0,) if wide else tuple(range(2, 10)), numticks=99).tick_values(axis.low, axis.high)
    ax.xaxis.set_minor_locator(FixedLocator([tick for tick in minor if tick >= (axis.broken or 0)]))
    if axis.broken is not None:
        transform = ax.get_xaxis_transform()
        ax.plot(
            [axis.broken],
            [0],
            marker=[(-1, -2), (1, 2)],
            transform=transform,
            color="black",
            clip_on=False,
            markersize=6,
            markeredgewidth=0.7,
            zorder=6,
        )
        ax.axvline(axis.broken, color="#999999", linewidth=0.5, linestyle=(0, (1, 3)), zorder=0)
