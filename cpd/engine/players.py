"""What the model and the multipliers see of a step's examples, where that is not the same."""

from __future__ import annotations

from typing import Any, NamedTuple


class Players(NamedTuple):
    """Examples of both.

    Attributes:
        model: Those that the model learns on: a minibatch, or a window of some.
        multipliers: Those on which the multipliers move.
    """

    model: Any
    multipliers: Any


def of_players(batch: Any) -> Players:
    """What both see of a step's batch; the multipliers see none of their own where they move on the model's."""
    return batch if isinstance(batch, Players) else Players(batch, None)
