"""Where training is by minibatches: values on the judged data in the last tenth, which say how surely it holds."""

from __future__ import annotations

import math
from typing import Any, Protocol

import torch
from torch import Tensor

from cpd.engine.judging import judged
from cpd.engine.measuring import Measuring
from cpd.engine.minibatches import Minibatches
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.tree import take

POINTS = 10
"""Times that models are measured in the last tenth, at least where there are as many steps in it."""
MOST = 200
"""Measures along the way that are used, where there are more."""
IN_AN_EPOCH = 3
"""Fewer in a short training: as many as cost about what it does itself, a measure having no gradient to take."""


class Checked(Protocol):
    """A training under way, see :class:`cpd.engine.training.Training`."""

    prepared: Prepared
    going: Any
    done: int
    measuring: Measuring | None

    @property
    def python(self) -> list[PythonState] | None:
        """What each run keeps in Python, where that is not the same."""


class Checks:
    """When models are measured in the last tenth of a training by minibatches, on held-out data where there are any.

    At the points at which they are measured along the way, where at least ten are there; otherwise at ten evenly
    spaced ones too, at fewer in a training of few epochs.

    Args:
        steps: Of the whole training.
        first: Where its last tenth begins.
        epochs: Of it.
        streamed: Whether examples are read while they are trained on: reading them again takes as long as the first
            time.
        measuring: When models are measured along the way.

    Attributes:
        marks: Steps done at these points, ascending; the last is the end.
    """

    def __init__(self, steps: int, first: int, epochs: float, streamed: bool, measuring: Measuring | None) -> None:
        own = measuring.marks if measuring is not None else []
        marks = {mark for mark in own if mark > first}
        if len(marks) < POINTS:
            count = max(1, min(POINTS, steps - first, int(epochs * (1 if streamed else IN_AN_EPOCH))))
            marks |= {first + math.ceil((steps - first) * (k + 1) / count) for k in range(count)}
        thinned = sorted(marks)
        self.marks = thinned[:: -math.ceil(len(thinned) / MOST)][::-1]
        self._slots = {mark: slot for slot, mark in enumerate(self.marks)}

    @classmethod
    def asked(cls, batches: Minibatches, steps: int, first: int, measuring: Measuring | None) -> Checks | None:
        """None where every step sees all data: then the steps themselves say it."""
        if batches.in_epoch == 1 or (batches.batch_size is None and not batches.streamed):
            return None
        return cls(steps, first, steps / batches.in_epoch, batches.streamed, measuring)

    def due(self, done: int) -> bool:
        """Whether models are measured after so many steps."""
        return done in self._slots

    def left(self, done: int) -> int | None:
        """Steps to the next time; None after the last."""
        return next((mark - done for mark in self.marks if mark > done), None)

    def start(self, like: Tensor) -> Tensor:
        """Nothing measured yet, ``[R, points, C]``; ``like`` is ``[R, C]``."""
        return like.new_full((len(like), len(self.marks), like.shape[1]), float("nan"))

    def take(self, training: Checked) -> None:
        """Measure the models, leaving no trace; a place is written again where the training goes back.

        Nothing where they were measured just now. A model whose measure raises has no value there.
        """
        tree, slot = training.going.tree, self._slots[training.done]
        held_out, measuring = training.prepared.held_out is not None, training.measuring
        known = None if measuring is None else measuring.measured(tree.along, training.done, held_out)
        values = self._values(training) if known is None else known
        if values is not None:
            active = tree.state.active.unsqueeze(1)
            tree.checked[:, slot] = torch.where(active, values.to(tree.checked.dtype), float("nan"))

    def _values(self, training: Checked) -> Tensor | None:
        state, python = training.going.tree.state, training.python
        active = state.active.tolist()
        if not any(active):
            return None
        rows = [r if on else active.index(True) for r, on in enumerate(active)]
        models = training.going.step.models(state)
        models = models if all(active) else take(models, rows)
        held_out = training.prepared.held_out is not None
        at, _ = judged(training.prepared, models, python and [python[r] for r in rows], held_out=held_out)
        return at.recorded
