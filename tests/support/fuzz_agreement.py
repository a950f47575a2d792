"""Whether a run of cpd's is the plain loop's to rounding, and what rounding comes to."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from fuzz_cases import Case
from fuzz_plain import train_plainly

from cpd.outcome import Run, RunKey, Status

ROUNDINGS = 30
"""Roundings of a number, per step, that two orders of the same arithmetic may be apart."""
SHAKEN = 4
"""Roundings by which initial weights are moved to see how much of it a training makes."""
SHAKES = 4
"""Trainings that see it."""
TIMES = 30
"""How many times what these come to is allowed: a shake is smaller than what an engine rounds otherwise."""
BLOWN_UP = 1e30
"""Size of an objective from which a run is lost, whether it is still finite or not."""
VACUOUS = 0.05
"""A bound, relative to the number, from which an agreement says little."""


class Reference:
    """The plain run of a key, and how far rounding may take another from it."""

    def __init__(self, case: Case, key: RunKey) -> None:
        self.case, self.key = case, key
        self.plain = train_plainly(case, key)
        self.eps = float(torch.finfo(getattr(torch, case.train.dtype)).eps)
        self._bounds: dict[str, Any] | None = None
        self.vacuous = False

    def difference(self, run: Run) -> str | None:
        """What of a run is not the plain one's; None where all is."""
        if self.plain.diverged or run.status is Status.DIVERGED:
            return self._ending(run)
        ours, theirs = flat(run), {**self.plain.numbers, **self.plain.curves}
        worst = None
        for name in [*self.plain.curves, *self.plain.numbers]:
            said = self._apart(name, ours.get(name), theirs[name])
            worst = worst or said
        return worst

    def _ending(self, run: Run) -> str | None:
        if self.plain.diverged and run.status is Status.DIVERGED and self.plain.steps == run.steps:
            return None
        if not self.plain.diverged and np.abs(self.plain.curves["curve objective"][-1]) > BLOWN_UP:
            return None  # at the edge of what the dtype holds
        plainly = f"diverges at step {self.plain.steps}" if self.plain.diverged else "completes"
        return f"the plain loop {plainly}, this is {run.status} after {run.steps} steps"

    def _apart(self, name: str, ours: Any, theirs: Any) -> str | None:
        if ours is None or np.shape(ours) != np.shape(theirs):
            return f"{name} has shape {None if ours is None else np.shape(ours)}, plainly {np.shape(theirs)}"
        gap = np.abs(ours - theirs)
        scale = max(float(np.abs(theirs).max(initial=0)), 1e-3)
        base = ROUNDINGS * self.eps * max(1, self.case.train.steps or 1) * scale
        if (gap <= base).all():
            return None
        bound = base + TIMES * self.bounds[name]
        self.vacuous = self.vacuous or bool((bound > VACUOUS * scale).any())
        if (gap <= bound).all():
            return None
        if name in self.plain.numbers:
            return f"{name} is {np.ravel(ours)[gap.argmax()]:.9g}, plainly {np.ravel(theirs)[gap.argmax()]:.9g}"
        at = int(np.argwhere(~(gap <= bound))[0][0])
        return f"{name} at step {at} is {np.ravel(ours[at])[0]:.9g}, plainly {np.ravel(theirs[at])[0]:.9g}"

    @property
    def bounds(self) -> dict[str, Any]:
        """How far shaken trainings come from the plain one; along a curve the farthest so far."""
        if self._bounds is None:
            whole = {**self.plain.numbers, **self.plain.curves}
            self._bounds = {name: np.zeros(np.shape(value)) for name, value in whole.items()}
            for k in range(SHAKES):
                shaken = train_plainly(self.case, self.key, SHAKEN * self.eps, k)
                for name, value in {**shaken.numbers, **shaken.curves}.items():
                    if name in whole and np.shape(value) == np.shape(whole[name]):
                        self._bounds[name] = np.maximum(self._bounds[name], np.abs(value - whole[name]))
            for name in self.plain.curves:
                self._bounds[name] = np.maximum.accumulate(self._bounds[name], axis=0)
        return self._bounds


def flat(run: Run) -> dict[str, Any]:
    """A run's numbers by the names that the plain loop gives them."""
    found: dict[str, Any] = {"objective": run.objective}
    for name, c in run.constraints.items():
        found |= {f"surrogate {name}": c.surrogate, f"strict {name}": c.value, f"multiplier {name}": c.multiplier}
    found |= {f"metric {name}": value for name, value in run.metrics.items()}
    if run.curves is not None:
        found["curve objective"] = run.curves.objective
        found |= {f"curve strict {n}": v for n, v in run.curves.constraints.items()}
        found |= {f"curve multiplier {n}": v for n, v in run.curves.multipliers.items()}
    return {n: _array(v) for n, v in found.items() if v is not None}


def _array(value: Any) -> Any:
    return np.array(list(value) if not isinstance(value, float | int) else value, dtype=np.float64)
