"""Optuna's samplers, asked and told in rounds: its tree-structured Parzen estimator and its Gaussian process."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cpd.errors import CpdError, install
from cpd.samplers.random_points import RandomPoints
from cpd.samplers.space import Interval, Part, Point, Space, Told

if TYPE_CHECKING:
    from optuna import Study, Trial
    from optuna.samplers import BaseSampler

START = 5
"""Points at random before it is asked: those that the random sampler begins with."""

TRIES = 4
"""Times that it is asked for a point that was not proposed before, until one is drawn at random."""

MOST_VIOLATIONS = 8
"""Of more constraints it is told the largest violation alone."""

BLOCK = "block"


def tpe(seed: int) -> BaseSampler:
    """The tree-structured Parzen estimator (Bergstra et al. 2011), with constraints and pending trials (Optuna)."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)


def gp(seed: int) -> BaseSampler:
    """A Gaussian process with expected improvement, times the probability that the constraints hold (Optuna)."""
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, n_startup_trials=1, warn_independent_sampling=False)


def check_installed(word: str, place: str) -> None:
    """See that Optuna is there.

    Raises:
        CpdError: It is not.
    """
    try:
        import optuna  # noqa: F401
    except ImportError:
        message, hint = f"{word} needs Optuna", f"{install('optuna>=5,<6')}, or use random"
        raise CpdError(message, place=place, hint=hint) from None


class OptunaPoints:
    """Proposes what a sampler of Optuna's does, after some points at random.

    A point of a block without parts is proposed at random alone: there is nothing to learn about it.

    Args:
        space: What is drawn from.
        seed: Any text.
        make: Makes the sampler of a seed.
    """

    learns = True

    def __init__(self, space: Space, seed: str, make: Callable[[int], BaseSampler]) -> None:
        self._space = space
        self._blocks = [k for k, block in enumerate(space) if block.parts]
        self._random = RandomPoints(space, seed)
        self._study = _study(make(int.from_bytes(hashlib.sha256(seed.encode()).digest()[:4], "big")))
        self._pending: dict[Point, Trial] = {}
        self._proposed = 0
        self._worst: list[float] = []
        self._furthest: list[float] = []

    def propose(self, count: int) -> list[Point]:
        """So many points, or fewer where there are no more."""
        found: list[Point] = []
        with _quiet():
            while len(found) < count and (point := self._next()) is not None:
                found.append(point)
                self._proposed += 1
        return found

    def observe(self, told: Sequence[Told]) -> None:
        """Tell it objectives and violations; a training that gave none counts as badly as the worst one so far."""
        self._worst = [max([*self._worst, *(one.objective for one in told if one.objective is not None)], default=0.0)]
        self._furthest = [max([*self._furthest, *(max(one.violations) for one in told if one.violations)], default=1.0)]
        with _quiet():
            for one in told:
                if (trial := self._pending.pop(one.point, None)) is not None:
                    self._tell(trial, one)

    def _tell(self, trial: Trial, one: Told) -> None:
        is_known = one.objective is not None and bool(one.violations)
        violations = one.violations if is_known else (max(*self._furthest, 1.0),)
        for k, violation in enumerate(violations if len(violations) <= MOST_VIOLATIONS else (max(violations),)):
            trial.set_constraint(str(k), violation)
        self._study.tell(trial, one.objective if is_known else self._worst[0])

    def _next(self) -> Point | None:
        if self._proposed >= START and self._blocks:
            for _ in range(TRIES):
                trial = self._study.ask()
                if self._random.take(point := self._point(trial)):
                    self._pending[point] = trial
                    return point
                self._study.tell(trial, state=_failed())
        return self._at_random()

    def _at_random(self) -> Point | None:
        """A point of the random sampler's, which Optuna is told of as one of its own."""
        for point in self._random.propose(1):
            if point.block in self._blocks:
                self._study.enqueue_trial(self._parameters(point))
                self._pending[point] = trial = self._study.ask()
                self._point(trial)
            return point
        return None

    def _point(self, trial: Trial) -> Point:
        """The point that a trial means; each part is asked for by name, below its block's."""
        block = self._blocks[0]
        if len(self._blocks) > 1:
            block = self._blocks[trial.suggest_categorical(BLOCK, range(len(self._blocks)))]
        parts = self._space[block].parts
        return Point(block, tuple((name, _suggested(trial, f"{block}:{name}", part)) for name, part in parts.items()))

    def _parameters(self, point: Point) -> dict[str, Any]:
        """A point in the words of its trial."""
        block = {BLOCK: self._blocks.index(point.block)} if len(self._blocks) > 1 else {}
        return {**block, **{f"{point.block}:{name}": value for name, value in point.values}}


def _suggested(trial: Trial, name: str, part: Part) -> float:
    if not isinstance(part, Interval):
        return int(trial.suggest_categorical(name, range(part.count)))
    if part.whole:
        return trial.suggest_int(name, int(part.low), int(part.high), log=part.log)
    return part.proposed(trial.suggest_float(name, part.low, part.high, log=part.log))


def _study(sampler: BaseSampler) -> Study:
    import optuna

    with _quiet():
        return optuna.create_study(sampler=sampler)


def _failed() -> Any:
    from optuna.trial import TrialState

    return TrialState.FAIL


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what Optuna says of itself on the way."""
    import optuna

    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(level)
