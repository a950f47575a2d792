"""How far an axis goes, and where its labels stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from cpd.views.figures.quantities import Quantity, Spread
from cpd.views.figures.reach import WIDE, near


def quantity_values(spreads: Iterable[Spread]) -> list[float]:
    """The ends of every error bar: what an axis must reach."""
    return [end for s in spreads if s.mean is not None for end in (s.mean - s.deviation, s.mean + s.deviation)]


def limits(quantity: Quantity, values: Sequence[float]) -> tuple[float, float]:
    """Ends of an axis that shows all values and levels, with a margin; a share's stay near 0 and 1."""
    reached = [*values, *quantity.levels] or [0.0, 1.0]
    low, high = min(reached), max(reached)
    margin = 0.08 * (high - low) or 0.5 * abs(high) or 1.0
    low, high = low - margin, high + margin
    is_share = quantity.share and min(reached) >= 0
    return (max(low, -0.04), min(high, 1.04)) if is_share else (low, high)


def on_log_scale(quantity: Quantity, values: Sequence[float]) -> bool:
    """Whether an objective or a metric spans so much that only a logarithmic axis shows it."""
    return not quantity.levels and bool(values) and min(values) > 0 and max(values) / min(values) > WIDE


def reached(quantity: Quantity, values: Sequence[float], trusted: Sequence[float] = ()) -> list[float]:
    """The values that set an axis's ends: all of a share's, else all but those that blew up."""
    return list(values) if quantity.share else near(values, trusted, quantity.levels)


def spread_out(places: Sequence[float], room: float) -> list[float]:
    """Move ascending places apart until each has room, as little as that takes: labels that do not overlap."""
    moved = list(places)
    clusters = [[place] for place in moved]
    while True:
        centers = [sum(c) / len(c) for c in clusters]
        for k in range(len(clusters) - 1):
            if centers[k + 1] - centers[k] < room * (len(clusters[k]) + len(clusters[k + 1])) / 2 * (1 - 1e-9):
                clusters[k : k + 2] = [clusters[k] + clusters[k + 1]]
                break
        else:
            return [
                c + room * (i - (len(own) - 1) / 2)
                for c, own in zip(centers, clusters, strict=True)
                for i in range(len(own))
            ]
