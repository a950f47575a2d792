"""At which steps a constraint holds: counted by the steps themselves, all of them, as the verdict would."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from cpd.outcome import RunKey
from cpd.spec.models import Constraint
from cpd.verdict.feasibility import holds

LEAST = 1e-12
"""First step away from a level in search of the last number at which a constraint holds, where it has no tolerance."""


class Holding(NamedTuple):
    """The values at which constraints hold: an interval for each run and component.

    Attributes:
        low: Smallest of them, ``[R, C]``; None where no constraint has one.
        high: Largest of them, likewise.
        members: ``[C, names]``: 1 where a component is one of a constraint's; None where each has but one.
    """

    low: Tensor | None
    high: Tensor | None
    members: Tensor | None

    @property
    def tensors(self) -> list[Tensor]:
        """Those that there are."""
        return [tensor for tensor in self if tensor is not None]

    def of(self, row: int) -> Holding:
        """The interval of one run."""
        low, high = (None if end is None else end[row : row + 1] for end in (self.low, self.high))
        return Holding(low, high, self.members)

    def held(self, values: Tensor, observed: Tensor | None = None) -> Tensor:
        """Whether each constraint holds, every component of it: ``[R, names]`` bool from finite values ``[R, C]``.

        Of the components that are observed, ``[R, C]`` bool, where some are not; where none is, it does not.
        """
        inside = self.inside(values)
        if observed is not None:
            return self._all(inside | ~observed) & self.some(observed)
        return self._all(inside)

    def inside(self, values: Tensor) -> Tensor:
        """Whether each component holds: ``[R, C]`` bool from finite values ``[R, C]``."""
        inside = None if self.high is None else values <= self.high
        if self.low is not None:
            inside = values >= self.low if inside is None else inside & (values >= self.low)
        assert inside is not None
        return inside

    def some(self, components: Tensor) -> Tensor:
        """For each constraint whether it is so of any of its components: ``[R, names]`` bool from ``[R, C]`` bool."""
        return ~self._all(~components)

    def _all(self, inside: Tensor) -> Tensor:
        if self.members is None:
            return inside
        return (inside.logical_not().to(self.members.dtype) @ self.members) == 0


def holding(
    keys: Sequence[RunKey], constraints: Mapping[str, Constraint], sizes: Mapping[str, int], like: Tensor
) -> Holding:
    """The intervals of some runs.

    Args:
        keys: The runs, which have the levels.
        constraints: Senses and tolerances, in the order of the components.
        sizes: Components by name.
        like: A tensor that gives dtype and device.
    """
    names, counts = list(sizes), torch.tensor(list(sizes.values()))
    dtype = str(like.dtype).removeprefix("torch.")
    found: dict[tuple[str, float], tuple[float, float]] = {}
    for name, level in ((n, key.levels[n]) for key in keys for n in names):
        if (name, level) not in found:
            found[name, level] = interval(level, constraints[name], dtype)
    ends = torch.tensor([[found[n, key.levels[n]] for n in names] for key in keys], dtype=torch.float64)
    low, high = (e.to(like.dtype).repeat_interleave(counts, dim=1).to(like.device) for e in ends.unbind(-1))
    members = torch.eye(len(names)).repeat_interleave(counts, dim=0).to(like)
    senses = {constraints[n].sense for n in names}
    return Holding(
        None if senses == {"<="} else low,
        None if senses == {">="} else high,
        None if max(sizes.values()) == 1 else members,
    )


def interval(level: float, bound: Constraint, dtype: str) -> tuple[float, float]:
    """Smallest and largest number of a dtype at which a constraint holds; infinite where there is none.

    Found by asking, so that a count of steps and a verdict agree on every number, rounding included.
    """

    def inside(value: float) -> bool:
        return holds(value, level, bound, dtype)

    with np.errstate(over="ignore"):  # a level that the dtype does not reach is infinite in it
        low = -np.inf if bound.sense == "<=" else _furthest(inside, level, -1.0, bound.tolerance, dtype)
        high = np.inf if bound.sense == ">=" else _furthest(inside, level, 1.0, bound.tolerance, dtype)
    return low, high


def _furthest(inside: Callable[[float], bool], level: float, side: float, step: float, dtype: str) -> float:
    """The last number of a dtype that is inside, from the level on to one side, by bisection."""
    kind = np.dtype(dtype).type
    near = far = float(kind(level))
    if not inside(near):
        return near
    step = max(step, LEAST)
    while inside(far):
        near, far, step = far, float(kind(far + side * step)), 2 * step
    if np.isinf(far):
        far = side * float(np.finfo(kind).max)
        if inside(far):
            return side * np.inf
    while (middle := float(kind(near + (far - near) / 2))) not in (near, far):
        near, far = (middle, far) if inside(middle) else (near, middle)
    return near
