"""A measure of a training under way, and what it means for its runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import torch
from torch import Tensor

from cpd.engine.cohort import Cohort
from cpd.engine.judging import judged
from cpd.engine.measuring import Measuring
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.replay import Replay
from cpd.engine.tree import take
from cpd.errors import last_line


class UnderWay(Protocol):
    """A training under way, see :class:`cpd.engine.training.Training`."""

    prepared: Prepared
    going: Cohort
    done: int
    notes: list[str]
    replay: Replay

    @property
    def python(self) -> list[PythonState] | None:
        """What each run keeps in Python, where that is not the same."""

    def put(self, **changed: Any) -> None:
        """Let the runs that go on stand otherwise."""

    def compare_gradients(self, slot: int, rows: Tensor | None = None) -> None:
        """Take the norms of the constraints' gradients."""


def measure(training: UnderWay, measuring: Measuring) -> None:
    """Measure the models, leaving no trace, and let runs end that have been feasible long enough.

    The models of runs that are not trained any more are not looked at: they may hold what nobody can measure. What a
    run ends with is audited first; where that goes back, the measure has not been.
    """
    step, state, python = training.going.step, training.going.tree.state, training.python
    active = state.active.tolist()
    if not any(active):
        return
    rows = [r if on else active.index(True) for r, on in enumerate(active)]
    models = step.models(state) if all(active) else take(step.models(state), rows)
    own = python and [python[r] for r in rows]
    at, raised = judged(training.prepared, models, own)
    held_out = None
    if measuring.held_out:
        held_out, missing = judged(training.prepared, models, own, held_out=True)
        raised = raised or missing
    _tell(training.notes, raised)
    along, done = training.going.tree.along, training.done
    assert along is not None, "there is a place for what is measured"
    along = measuring.taken(along, step, state, at, done, held_out)
    ended = torch.zeros_like(state.active) if along.streak is None else along.streak.ended & state.active
    if not ended.any():
        training.put(along=along)
        return
    training.replay.settle(ended.tolist().index(True))
    if training.done == done:
        training.compare_gradients(-1, ended)
        now = training.going.tree.state
        training.put(along=along, state=now._replace(active=now.active & ~ended))
        training.replay.settled_here()


def _tell(notes: list[str], raised: Mapping[int, str]) -> None:
    """Say once that a measure raised: it is missing on the curves, and such an iterate is not feasible."""
    said = "measure() raised along the way, and its values are missing there: "
    if raised and not any(note.startswith(said) for note in notes):
        notes.append(said + last_line(next(iter(raised.values()))))
