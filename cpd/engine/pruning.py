"""When a run with a fixed penalty is given up: its constraint is far from the level and not on its way there."""

from __future__ import annotations

import torch
from torch import Tensor

from cpd.spec.pruning import MARGIN, PACE
from cpd.spec.pruning import START as START
from cpd.spec.pruning import Prune as Prune


def given_up(violations: Tensor, left: float, margin: Tensor, counts_below: Tensor) -> Tensor:
    r"""Which runs will not come near the level any more, as far as their recent pace tells.

    .. math:: v > m \text{ and } v + 2 \min(\dot v, 0) \, t > m, \qquad \text{or the same for } -v

    v is the mean violation over the last tenth of the recorded points, v' its change a point against the tenth before,
    t the points left.

    Args:
        violations: Recorded so far, ``[points, R, C]``, oldest first.
        left: Points that the training has left.
        margin: m, ``[C]``: :data:`MARGIN` tolerances; infinite for a constraint that does not count.
        counts_below: ``[C]`` bool: whether ``-v`` counts.

    Returns:
        ``[R]`` bool.
    """
    span = max(1, len(violations) // 10)
    now = violations[-span:].nanmean(0)  # NaN where nothing was observed
    pace = (now - violations[-2 * span : -span].nanmean(0)) / span
    above = (now > margin) & (now + PACE * pace.clamp(max=0) * left > margin)
    below = (now < -margin) & (now + PACE * pace.clamp(min=0) * left < -margin)
    return (above | (below & counts_below)).any(-1)


def margins(tolerances: Tensor, counts: Tensor) -> Tensor:
    """``[C]``: how far is far; infinite where a constraint does not count."""
    return torch.where(counts, MARGIN * tolerances, torch.full_like(tolerances, float("inf")))
