"""Make a command's runs into batches for the engine, each with a place for its checkpoints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from cpd.engine.batch import Batch
from cpd.engine.pruning import Prune
from cpd.outcome import RunKey
from cpd.run.options import Options
from cpd.run.parts import checkpoint_folder
from cpd.run.trainer import Kind as Kind
from cpd.spec.models import Search, Task
from cpd.spec.recipes import problem_of, train_of

USES = {"sweep": 3, "compare": 3, "bisect": 12}
"""How often a command's program is expected to be used: a search runs it in every round."""


@dataclass(frozen=True)
class Batches:
    """The common part of all batches of a command.

    Attributes:
        checkpoints: The folder of all batches' checkpoints; None to keep none.
        pruning: Whether runs may be given up.
        models: The folder of the models that are kept; None to keep none.
        models_of: Whose may be wanted.
    """

    kind: Kind
    task: Task
    options: Options
    checkpoints: Path | None
    pruning: bool
    models: str | None = None
    models_of: Literal["feasible", "all"] = "all"

    def of(self, keys: tuple[RunKey, ...]) -> Batch:
        """A batch of these runs, which are of one program."""
        setting = keys[0].setting
        return Batch(
            problem=problem_of(self.task.problem, setting),
            constraints=self.task.constraints,
            train=train_of(self.task.train, setting),
            keys=keys,
            device=self.options.device,
            fuse=self.options.fuse != 1,
            stepper=self.options.engine,
            uses=USES[self.kind],
            prune=self._prune(),
            searched=self._search.constraint if self._search is not None else None,
            loader_workers=self.options.loader_workers,
            held_out=self.task.held_out,
            judge=self.task.judge,
            checkpoint=self._checkpoint(keys),
            checkpoint_every=self.options.checkpoint_every,
            models=self.models,
            models_of=self.models_of,
            models_home=self.options.backend != "local",
        )

    def anew(self) -> Batches:
        """The same: a batch is trained whenever it is given."""
        return self

    def to_the_end(self) -> Batches:
        """The same, in which no run is given up."""
        return replace(self, pruning=False)

    def _checkpoint(self, keys: tuple[RunKey, ...]) -> str | None:
        """A folder of the batch's own beside the store; a cluster's workers do not see it."""
        if self.checkpoints is None or self.options.backend != "local":
            return None
        return checkpoint_folder(self.checkpoints, keys, pruning=self.pruning)

    def _prune(self) -> Prune | None:
        """The rule for giving up: in a sweep on what will not be feasible, in a search on what will miss the target."""
        if not self.pruning:
            return None
        if self._search is not None and self._search.is_several:
            return None  # of each constraint the value is needed
        return Prune() if self._search is None else Prune(self._search.constraint, both_sides=True)

    @property
    def _search(self) -> Search | None:
        return self.task.search if self.kind == "bisect" else None
