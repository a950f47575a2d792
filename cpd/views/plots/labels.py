"""Labels beside points that overlap neither points nor each other."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Place = tuple[float, float]
Box = tuple[float, float, float, float]

DIRECTIONS = 16
DISTANCES = (1.0, 1.7, 2.4, 3.2, 4.2, 5.4, 6.8)
"""Tried in this order, in units of the closest distance."""


def free_places(
    points: Sequence[Place],
    sizes: Sequence[tuple[float, float]],
    room: Box,
    radius: float,
    avoided: Sequence[Box] = (),
) -> list[Place]:
    """Choose the centre of each point's label: as near as there is a free place, upwards first.

    Args:
        points: Centres of the points.
        sizes: Width and height of each label.
        room: Left, bottom, right and top that labels stay within.
        radius: Of a point, which labels keep away from.
        avoided: What else they keep away from.
    """
    taken: list[Box] = [*avoided, *((x - radius, y - radius, x + radius, y + radius) for x, y in points)]
    chosen = []
    for point, size in zip(points, sizes, strict=True):
        candidates = _candidates(point, size, radius)
        boxes = [_box(candidate, size) for candidate in candidates]
        costs = [sum(_overlap(box, other) for other in taken) + 9 * _outside(box, room) for box in boxes]
        best = costs.index(min(costs))
        chosen.append(candidates[best])
        taken.append(boxes[best])
    return chosen


def _candidates(point: Place, size: tuple[float, float], radius: float) -> list[Place]:
    angles = [math.pi / 2 + (-1) ** k * math.ceil(k / 2) * 2 * math.pi / DIRECTIONS for k in range(DIRECTIONS)]
    reach = (radius + size[0] / 2 + 1, radius + size[1] / 2 + 1)
    return [
        (point[0] + far * reach[0] * math.cos(angle), point[1] + far * reach[1] * math.sin(angle))
        for far in DISTANCES
        for angle in angles
    ]


def _box(center: Place, size: tuple[float, float]) -> Box:
    return (center[0] - size[0] / 2, center[1] - size[1] / 2, center[0] + size[0] / 2, center[1] + size[1] / 2)


def _overlap(one: Box, other: Box) -> float:
    """Area that two boxes share."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    return width * height if width > 0 and height > 0 else 0.0


def _outside(box: Box, room: Box) -> float:
    """Area of a box outside of the room."""
    return (box[2] - box[0]) * (box[3] - box[1]) - _overlap(box, room)


def place_labels(
    ax: Axes, labels: Sequence[tuple[str, float, float]], size: float, lines: Sequence[float] = ()
) -> None:
    """Write labels beside points, with a thin line to the point where one is far.

    The layout must be final: call it last.

    Args:
        ax: The axes.
        labels: Text, and the point in data coordinates.
        size: Of the type, in points.
        lines: Heights of horizontal lines that labels keep away from.
    """
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    scale = figure.dpi / 72
    points = [tuple(ax.transData.transform((x, y)) / scale) for _, x, y in labels]
    sizes = [(0.62 * size * len(text), 0.9 * size) for text, _, _ in labels]
    box = ax.get_window_extent()
    room = (box.x0 / scale, box.y0 / scale, box.x1 / scale, box.y1 / scale)
    heights = [ax.transData.transform((labels[0][1], y))[1] / scale for y in lines if labels]
    avoided = [(room[0], height - 1, room[2], height + 1) for height in heights]
    places = free_places(points, sizes, room, 3, avoided)
    for (text, x, y), point, at in zip(labels, points, places, strict=True):
        offset = (at[0] - point[0], at[1] - point[1])
        _write_label(ax, text, (x, y), offset, size)


def _write_label(ax: Axes, text: str, point: Place, offset: Place, size: float) -> None:
    far = math.hypot(*offset) > 1.5 * size
    arrow = {"arrowstyle": "-", "linewidth": 0.4, "color": "#666666", "shrinkA": 3, "shrinkB": 2} if far else None
    ax.annotate(
        text,
        point,
        offset,
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=size,
        arrowprops=arrow,
        zorder=7,
    ).set_in_layout(False)
