r"""When the multipliers move, by what and how far: what acts around the update of any method that has some.

With g the strict violation of a step, a method's own update ``U`` sees what is left of it:

.. math::
    \bar g = \text{mean of } g \text{ since the last move}, \qquad
    m \leftarrow \beta m + (1 - \beta) \bar g \;\; (m = \bar g \text{ at the first move}), \qquad
    \lambda \leftarrow \min(U(\lambda, m), \lambda_{max})

at the steps t (0 for the first one) at which they move: from ``start`` times the steps on, where t + 1 is a multiple of
``every``. Up to ``start`` nothing is summed either. What a run does not ask for adds no operation and no leaf.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.dual_rates import Rates, rates
from cpd.engine.tree import leaves, refilled
from cpd.methods.method import Method
from cpd.methods.multipliers import DRIVEN


class Clock(NamedTuple):
    """How long a training is.

    Attributes:
        steps: Of all of it.
        epoch: Of one pass over the data.
    """

    steps: int
    epoch: int

    def every(self, value: Any) -> int:
        """A number of steps, ``epoch`` being one too."""
        return self.epoch if value == "epoch" else int(value)

    def rest(self, start: float) -> int:
        """Steps before a share of all of them is over, as the decimals that it is written in."""
        return math.ceil(Fraction(repr(float(start))) * self.steps)


Column = Callable[[list[Any], str, Tensor], Any]

ONE_STEP = Clock(1, 1)


class Driven(NamedTuple):
    """What a method remembers, and what is remembered around it, by name."""

    method: Any
    own: dict[str, Tensor]


class Dual(NamedTuple):
    """How the multipliers of neighbouring runs are moved; each is None where none of them asks for it.

    Attributes:
        rest: Steps for which they rest, ``[rows, 1]``.
        every: Steps from one move to the next, ``[rows, 1]``.
        smooth: beta, ``[rows, 1]``.
        cap: No multiplier is larger, ``[rows, 1]`` or ``[rows, C]``.
        exp: Whether they are exp(theta), and theta moves.
        rates: Their step-sizes, where these change from step to step.
    """

    rest: Tensor | None
    every: Tensor | None
    smooth: Tensor | None
    cap: Tensor | None
    exp: bool
    rates: Rates | None

    @property
    def tensors(self) -> list[Tensor]:
        """Those that there are."""
        return [value for value in leaves(self) if isinstance(value, Tensor)]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations a move consists of."""
        return tuple(tuple(value.shape) if isinstance(value, Tensor) else value for value in leaves(self))

    def at(self, setting: Mapping[str, Any], step: Tensor) -> Mapping[str, Any]:
        """A setting as a step has it."""
        return setting if self.rates is None else {**setting, "dual_lr": self.rates.at(step)}

    def init(self, state: Any, like: Tensor) -> Driven:
        """Around what a method remembers before the first step; ``like`` is ``[rows, C]``."""
        own: dict[str, Tensor] = {}
        if self.every is not None:
            own |= {"sum": torch.zeros_like(like), "count": torch.zeros_like(like)}
        if self.smooth is not None:
            own |= {"smoothed": torch.zeros_like(like), "first": torch.ones_like(like)}
        if not self.exp and self.cap is None:
            return Driven(state, own)
        multiplier = state.multiplier.expand_as(like)
        if self.exp:  # 0 is the default of a multiplier that starts as it is
            multiplier = torch.where(multiplier > 0, multiplier, torch.ones_like(multiplier))
        if self.cap is not None:
            multiplier = multiplier.clamp(-self.cap, self.cap)
        if self.exp:
            own["theta"] = multiplier.log()
        return Driven(state._replace(multiplier=multiplier), own)

    def update(
        self,
        method: Method,
        g: Tensor,
        state: Driven,
        setting: Mapping[str, Any],
        equality: Tensor,
        observed: Tensor | None = None,
    ) -> Driven:
        """One step of a method, its multipliers driven.

        Args:
            method: Whose.
            g: Strict violation ``[rows, C]``; 0 where not observed.
            state: Before it.
            setting: The method's, with ``step``.
            equality: ``[C]``.
            observed: Which violations were, ``[rows, C]`` bool; None: all.
        """
        own, setting = dict(state.own), self.at(setting, setting["step"])
        ready = None if self.rest is None else (setting["step"] >= self.rest).expand_as(g)
        if observed is not None:
            ready = observed if ready is None else ready & observed
        if self.every is not None:
            g_bar, ready = self._mean(g, own, ready, setting["step"])
        else:
            g_bar = g
        if self.smooth is not None:
            g_bar = self._smoothed(g_bar, own, ready)
        if method.shared and ready is not None:
            g_bar, setting = torch.where(ready, g_bar, torch.zeros_like(g)), {**setting, "observed": ready}
        moved = self._moved(method, g_bar, state.method, own, setting, equality)
        if ready is not None:
            keep = ready.any(-1, keepdim=True) if method.shared else ready
            moved = _where(keep, moved, state.method)
            if self.exp:
                own["theta"] = torch.where(keep, own["theta"], state.own["theta"])
        if method.grow is not None:
            grown = method.grow(g, moved, setting, equality)
            moved = grown if observed is None else _where(observed, grown, moved)
        return Driven(moved, own)

    def _mean(self, g: Tensor, own: dict[str, Tensor], counts: Tensor | None, step: Tensor) -> tuple[Tensor, Tensor]:
        """The mean violation since the last move, and whether they move now; the sums begin anew where they do."""
        assert self.every is not None
        seen = torch.ones_like(g) if counts is None else counts.to(g.dtype)
        total = own["sum"] + (g if counts is None else torch.where(counts, g, torch.zeros_like(g)))
        count = own["count"] + seen
        ready = ((step + 1) % self.every == 0) & (count > 0)
        nothing = torch.zeros_like(g)
        own["sum"], own["count"] = torch.where(ready, nothing, total), torch.where(ready, nothing, count)
        return total / count.clamp_min(1), ready

    def _smoothed(self, g: Tensor, own: dict[str, Tensor], ready: Tensor | None) -> Tensor:
        """The moving average of what the moves would have seen."""
        assert self.smooth is not None
        average = self.smooth * own["smoothed"] + (1 - self.smooth) * g
        average = torch.where(own["first"] > 0, g, average)
        later = torch.zeros_like(g)
        own["smoothed"] = average if ready is None else torch.where(ready, average, own["smoothed"])
        own["first"] = later if ready is None else torch.where(ready, later, own["first"])
        return average

    def _moved(
        self,
        method: Method,
        g: Tensor,
        state: Any,
        own: dict[str, Tensor],
        setting: Mapping[str, Any],
        equality: Tensor,
    ) -> Any:
        """What the method makes of it, within the bounds."""
        move = method.move or method.update
        if not self.exp:
            moved = move(g, state, setting, equality)
            return moved if self.cap is None else moved._replace(multiplier=self._capped(moved.multiplier))
        # Free in sign, as the method lets an equality's be; there are none here.
        moved = move(g, state._replace(multiplier=own["theta"]), setting, ~equality)
        theta = moved.multiplier if self.cap is None else moved.multiplier.minimum(self.cap.log())
        own["theta"] = theta
        multiplier = theta.exp()
        return moved._replace(multiplier=multiplier if self.cap is None else self._capped(multiplier))

    def _capped(self, multiplier: Tensor) -> Tensor:
        assert self.cap is not None
        return multiplier.clamp(-self.cap, self.cap)


def asked(setting: Mapping[str, Any]) -> list[str]:
    """What a setting with its defaults asks for: what is in one group asks for the same."""
    return [name for name, one in DRIVEN.items() if name in setting and setting[name] != one.default]


def dual(settings: Sequence[Mapping[str, Any]], clock: Clock, column: Column, like: Tensor, place: str) -> Dual | None:
    """How the multipliers of some runs that ask for the same are moved; None where they ask for nothing.

    Args:
        settings: With their defaults.
        clock: How long the training is.
        column: From the values of a hyperparameter, its name and a tensor that gives dtype and device to ``[rows, 1]``
            or ``[rows, C]``.
        like: A tensor that gives dtype and device.
        place: The method, for errors.

    Raises:
        SpecError: A scheduler refuses its options.
    """
    names = asked(settings[0])
    if not names:
        return None

    def values(name: str) -> list[Any]:
        return [setting[name] for setting in settings]

    def base() -> Tensor:
        found: Tensor = column(values("dual_lr"), "dual_lr", torch.empty(0, dtype=torch.float64))
        return found

    return Dual(
        rest=whole_numbers([clock.rest(v) for v in values("start")], like) if "start" in names else None,
        every=whole_numbers([clock.every(v) for v in values("every")], like) if "every" in names else None,
        smooth=column(values("smooth"), "smooth", like) if "smooth" in names else None,
        cap=column(values("multiplier_max"), "multiplier_max", like) if "multiplier_max" in names else None,
        exp="multiplier" in names,
        rates=None if "dual_schedule" not in names else rates(settings, base(), *clock, like, f"{place}.dual_schedule"),
    )


def whole_numbers(values: list[int], like: Tensor) -> Tensor:
    """One integer of each run, ``[rows, 1]``."""
    return torch.tensor([[value] for value in values], dtype=torch.long, device=like.device)


def _where(keep: Tensor, new: Any, old: Any) -> Any:
    """The leaves of the new state where ``keep`` ``[rows, C]`` or ``[rows, 1]`` says so."""
    pairs = zip(leaves(new), leaves(old), strict=True)
    return refilled(new, [a if a is b else torch.where(keep, a, b) for a, b in pairs])
