"""What every sampler does: propose points, and be told what came of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from cpd.samplers.space import Point, Told


class Sampler(Protocol):
    """Proposes points; the same where it was made with the same seed and told the same."""

    @property
    def learns(self) -> bool:
        """Whether what it is told changes what it proposes: otherwise it may be asked for all points at once."""

    def propose(self, count: int) -> list[Point]:
        """So many points that it did not propose before, or fewer where there are no more."""

    def observe(self, told: Sequence[Told]) -> None:
        """What came of points that it proposed, in their order."""
