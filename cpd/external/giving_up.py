"""When a program is ended before its end: it will not come near its level, or others are ahead of it."""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cpd.external.names import CURVES
from cpd.external.output import Recorded, Unreadable, Values
from cpd.external.values import STEP, measure
from cpd.methods.registry import REGISTRY, with_defaults
from cpd.outcome import RunKey
from cpd.spec.models import Constraint
from cpd.spec.pruning import MARGIN, PACE, START, Prune

STEPS = "steps"
"""The key of a recorded point, or the name of a hyperparameter or argument, that says how many steps there will be."""

MULTIPLIERS = "multipliers"

DUAL = "dual_lr"
"""A hyperparameter of methods whose multipliers move."""

EVERY = 0.5
"""Seconds between two looks at a program's curves."""

LEISURE = 20
"""How many times as long as a look takes the next one waits: curves of a million points take their time."""

LEAST = 4
"""Points before which nothing is said of a pace."""

FAR = "it was far from the level and not on its way there"
BEHIND = "others were ahead of it"


@dataclass(frozen=True)
class Halving:
    """Asynchronous successive halving: at each rung a run goes on only if it is among the best so far.

    Rungs are after ``factor``, ``factor ** 2``, ... recorded points. Of two runs the better one is feasible, or nearer
    to being so, or then has the lower objective. Of n runs that have come to a rung at the same levels the best
    ``n / factor`` go on, the best one always.

    Attributes:
        factor: How many runs there are for one that goes on.
        record: The file in which all runs of a sweep write down how they stood.
    """

    factor: int
    record: str


@dataclass
class Watcher:
    """Looks at a run's curves now and then.

    Attributes:
        key: The run.
        objective: Its name.
        constraints: Of each its sense and tolerance.
        steps: How many there will be, where the run's setting says so.
    """

    key: RunKey
    objective: str
    constraints: Mapping[str, Constraint]
    prune: Prune | None = None
    halving: Halving | None = None
    steps: float | None = None
    _size: int = -1
    _next: float = -math.inf
    _recorded: Recorded | None = field(default=None, init=False)
    _rungs: int = 0
    _ended: str | None = field(default=None, init=False)

    def __call__(self, folder: Path) -> str | None:
        """Why a run is to be ended; None to let it go on."""
        now = time.monotonic()
        if (self.prune is None and self.halving is None) or now < self._next:
            return None
        found = self.look(folder)
        after = time.monotonic()
        self._next = after + max(EVERY, LEISURE * (after - now))
        return found

    def look(self, folder: Path) -> str | None:
        """The same at once, where something was recorded since the last look."""
        size = _size(folder / CURVES)
        if size == self._size:
            return None
        self._size = size
        self._recorded = self._recorded or Recorded(folder)
        points = self._recorded.points()
        if self.prune is not None and self._will_miss(points, self.prune):
            return FAR
        if self.halving is not None and self._is_behind(points, self.halving):
            return BEHIND
        return None

    def knows_steps(self, points: Iterable[Values]) -> bool:
        """Whether it is known how many steps there will be."""
        return bool(self.steps) or any(STEPS in point for point in points)

    def _will_miss(self, points: Sequence[Values], prune: Prune) -> bool:
        """The engine's rule, see :func:`cpd.engine.pruning.given_up`, on what the program recorded."""
        if len(points) < LEAST or _moves(self.key, points):
            return False
        steps = _number(points[-1].get(STEPS)) or self.steps
        done = points[-1][STEP]
        if not steps or done < START * steps or done <= 0:
            return False
        left = len(points) * max(0.0, steps - done) / done
        return any(
            _given_up(values, left, MARGIN * self.constraints[name].tolerance, both)
            for name, both in self._counted(prune)
            for values in self._violations(points, name)
        )

    def _counted(self, prune: Prune) -> list[tuple[str, bool]]:
        """The constraints that count, each with whether being far within is to be far too."""
        names = [name for name in self.constraints if prune.constraint in (None, name)]
        return [(name, prune.both_sides or self.constraints[name].sense == "==") for name in names]

    def _violations(self, points: Iterable[Values], name: str) -> list[list[float]]:
        """Oriented violations of each component of a constraint at every point that has them."""
        rows = [row for point in points if (row := self._violation(point, name)) is not None]
        width = len(rows[-1]) if rows else 0
        return [list(column) for column in zip(*(row for row in rows if len(row) == width), strict=True)]

    def _violation(self, point: Values, name: str) -> list[float] | None:
        try:
            value = measure(point[name], name).value
        except (KeyError, Unreadable):
            return None
        level, sense = self.key.levels.get(name, self.constraints[name].level), self.constraints[name].sense
        sign = -1.0 if sense == ">=" else 1.0
        return [sign * (one - level) for one in (value if isinstance(value, list) else [value])]

    def _is_behind(self, points: Sequence[Values], halving: Halving) -> bool:
        while len(points) >= halving.factor ** (self._rungs + 1):
            self._rungs += 1
            point = points[halving.factor**self._rungs - 1]
            others = standing(halving.record, self._rungs, self._levels)
            mine = others.get(str(self.key.id)) or self._score(point)
            _write(halving.record, {"run": self.key.id, "rung": self._rungs, "levels": self._levels, "score": mine})
            ranked = sorted([*(score for run, score in others.items() if run != self.key.id), mine])
            if ranked.index(mine) >= max(1, len(ranked) // halving.factor):
                return True
        return False

    @property
    def _levels(self) -> list[float]:
        return [float(self.key.levels[name]) for name in sorted(self.key.levels)]

    def _score(self, point: Values) -> list[float]:
        """How a run stands: what is feasible comes first, and of two such the lower objective."""
        worst = 0.0
        for name, one in self.constraints.items():
            parts = self._violation(point, name) or [math.inf]
            sizes = [abs(part) if one.sense == "==" else part for part in parts]
            over = max(math.inf if math.isnan(size) else size - one.tolerance for size in sizes)
            worst = max(worst, over / one.tolerance if one.tolerance > 0 else over)
        objective = _number(point.get(self.objective))
        return [_finite(worst), _finite(math.inf if objective is None else objective)]


def _given_up(violations: Sequence[float], left: float, margin: float, both: bool) -> bool:
    span = max(1, len(violations) // 10)
    if len(violations) < 2 * span:
        return False
    now, before = _mean(violations[-span:]), _mean(violations[-2 * span : -span])
    pace = (now - before) / span
    above = now > margin and now + PACE * min(pace, 0.0) * left > margin
    below = now < -margin and now + PACE * max(pace, 0.0) * left < -margin
    return above or (both and below)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _moves(key: RunKey, points: Sequence[Values]) -> bool:
    """Whether a multiplier or a coefficient moves, as far as is known: then a constraint may come back."""
    if DUAL in key.setting or any(MULTIPLIERS in point for point in points):
        return True
    known = REGISTRY.get(key.method)
    if known is None:
        return False
    own = {name: value for name, value in key.hyperparameters.items() if name in known.hyperparameters}
    return known.moves(with_defaults(key.method, own))


def _number(value: Any) -> float | None:
    try:
        found = measure(value, "").value
    except Unreadable:
        return None
    return found if not isinstance(found, list) and math.isfinite(found) else None


def _finite(value: float) -> float:
    """A number that JSON can hold, in the same order."""
    return min(max(value, -1e308), 1e308)


def standing(record: str, rung: int, levels: Sequence[float]) -> dict[str, list[float]]:
    """How the runs stood that have come to a rung at these levels, by id; the first entry of each counts."""
    found: dict[str, list[float]] = {}
    try:
        lines = Path(record).read_bytes().splitlines()
    except OSError:
        return found
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:  # cut off by a power failure
            continue
        if entry["rung"] == rung and entry["levels"] == list(levels):
            found.setdefault(entry["run"], entry["score"])
    return found


def _write(record: str, entry: Mapping[str, Any]) -> None:
    descriptor = os.open(record, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
    try:
        os.write(descriptor, json.dumps(entry).encode() + b"\n")
    finally:
        os.close(descriptor)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
