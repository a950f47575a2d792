"""A batch of runs: all that a worker needs to train them, as plain picklable objects."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from cpd.engine.pruning import Prune
from cpd.outcome import RunKey
from cpd.spec.held_out import Split
from cpd.spec.models import Constraint, ProblemSource, Train


@dataclass(frozen=True)
class Batch:
    """Runs of one task that are trained as one fused program: they differ in no part of a recipe that decides it.

    Attributes:
        problem: With the arguments of all of its runs.
        constraints: By name, in the order of the spec; the levels of a run are in its key.
        train: The recipe; the numbers by which one run's differs are in its key, see :mod:`cpd.spec.recipes`.
        keys: The runs; the result keeps their order.
        device: A torch device, e.g. ``"cpu"`` or ``"cuda:0"``.
        fuse: Whether runs are trained as one program; otherwise one at a time.
        stepper: ``auto``, ``eager``, ``captured`` or ``compiled``.
        uses: How often a compiled step is expected to be used: it is kept, and a sweep is seldom run once.
        prune: Which runs are given up early; None for none.
        searched: The constraint that a search goes by, which must be a single value; None in a sweep.
        loader_workers: Processes that read a Dataset ahead of the steps; None for as many as help.
        held_out: Which part of ``data()`` no run trains on; None for what ``held_out()`` gives.
        judge: Which data decide a verdict, where that is said.
        checkpoint: Folder for checkpoints of this batch, or None to keep none.
        checkpoint_every: Seconds of work that may be lost when the machine dies.
        models: Folder into which the judged weights of runs are written as they end; None to keep none.
        models_of: Whose: of ``feasible`` runs, or of ``all`` that completed.
        models_home: Whether they come home with the runs instead: a cluster's workers do not see the folder.
    """

    problem: ProblemSource
    constraints: dict[str, Constraint]
    train: Train
    keys: tuple[RunKey, ...]
    device: str = "cpu"
    fuse: bool = True
    stepper: str = "auto"
    uses: int = 3
    prune: Prune | None = None
    searched: str | None = None
    loader_workers: int | None = None
    held_out: Split | None = None
    judge: Literal["training", "held_out"] | None = None
    checkpoint: str | None = None
    checkpoint_every: float = 60.0
    models: str | None = None
    models_of: Literal["feasible", "all"] = "all"
    models_home: bool = False

    def with_keys(self, keys: tuple[RunKey, ...]) -> Batch:
        """Return the same batch over other runs."""
        return replace(self, keys=keys)
