"""Which runs of a task may share a program: those whose recipes and arguments differ in numbers alone."""

from __future__ import annotations

from collections.abc import Iterable

from cpd.methods.multipliers import HELD_OUT
from cpd.methods.registry import by_velocities, looks_ahead
from cpd.outcome import RunKey
from cpd.spec.canonical import canonical_json
from cpd.spec.models import Task
from cpd.spec.recipes import structure, train_of

BATCH_SIZES = frozenset({"train.batch_size", "train.constraint_batch_size"})


class Programs:
    """Names the program that each run of a task may be in.

    Args:
        task: Its grids make the runs differ.

    Attributes:
        share_seeds: Whether runs of different seeds may share a program, where it has one name.
    """

    def __init__(self, task: Task) -> None:
        self._train = task.train
        self._grids = task.grids
        train = task.train
        whole = train.batch_size is None and train.constraint_batch_size is None
        self.share_seeds = whole or not BATCH_SIZES.isdisjoint(task.grids)
        self._known: dict[str, tuple[str, bool]] = {}

    def of(self, key: RunKey) -> str:
        """What a run shares with those that may be in one batch with it; with minibatches in a grid, the seed too."""
        program, minibatches = self._program(key)
        return f"{program} {key.seed}" if minibatches and self.share_seeds else program

    def by_structure(self, keys: Iterable[RunKey]) -> dict[str, list[RunKey]]:
        """Runs by the structure of their programs, whatever their seed."""
        found: dict[str, list[RunKey]] = {}
        for key in keys:
            found.setdefault(self._program(key)[0], []).append(key)
        return found

    def telling(self, keys: Iterable[RunKey] = ()) -> list[str]:
        """The grids that make programs of their own: the others are numbers that a program has one of for each run.

        Of these runs also ``method`` and the hyperparameter, where they do.
        """
        first = {key: values[0] for key, values in self._grids.items()}
        keys = list(keys)
        apart = {
            "method": lambda key: (looks_ahead(key.method), by_velocities(key.method)),
            "multipliers_on": _has_others,
        }
        return [name for name, kind in apart.items() if len({kind(key) for key in keys}) > 1] + [
            key
            for key, values in self._grids.items()
            if len({structure(self._train, {**first, key: value}) for value in values}) > 1
        ]

    def _program(self, key: RunKey) -> tuple[str, bool]:
        """The structure of a run's program, and whether its batches hold parts of the data."""
        dotted = key.dotted
        name = canonical_json(dotted)
        if name not in self._known:
            train = train_of(self._train, dotted)
            minibatches = train.batch_size is not None or train.constraint_batch_size is not None
            self._known[name] = (structure(self._train, dotted), minibatches)
        program, minibatches = self._known[name]
        program = f"{program} with examples of the multipliers" if _has_others(key) else program
        program = f"{program} with each constraint's gradient" if by_velocities(key.method) else program
        return f"{program} a step ahead" if looks_ahead(key.method) else program, minibatches


def _has_others(key: RunKey) -> bool:
    """Whether a run's multipliers move on examples that the model does not learn on."""
    return bool(key.setting.get("multipliers_on") == HELD_OUT)
