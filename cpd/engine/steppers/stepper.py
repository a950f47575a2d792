"""What executes a training's steps: the protocol that every stepper keeps, and the step as it is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from cpd.engine.minibatches import Minibatches
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step


class Stepper(Protocol):
    """A way to execute steps: ``(state, batches, n) -> (state, records)``, n >= 1.

    The records are those of the last ``min(n, history)`` steps, with a leading dimension of steps.
    """

    @property
    def name(self) -> str:
        """``eager``, ``captured``, ``compiled`` or ``alone``."""
        ...

    @property
    def overwrites(self) -> bool:
        """Whether a call writes its results where the last call's stand."""
        ...

    @property
    def history(self) -> int:
        """Steps whose records one call returns, at most."""
        ...

    @property
    def note(self) -> str | None:
        """What the user should know, e.g. why another stepper took over."""
        ...

    def rebuild(self) -> Callable[[Step], Stepper] | None:
        """How to make the same stepper for a step of fewer runs; None where that would cost more than it saves."""
        ...

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        ...


class Eager:
    """The step as it is written, one operation after another."""

    name = "eager"
    overwrites = False
    history = 1
    note: str | None = None

    def __init__(self, step: Step) -> None:
        self.step = step

    def rebuild(self) -> Callable[[Step], Stepper]:
        """Eager."""
        return Eager

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        for _ in range(n):
            state, record = self.step.advance(state, batches.next())
        return state, as_one(record)


def as_one(record: Record) -> Record:
    """One step's record as the records of one step."""
    return Record(*(value.unsqueeze(0) for value in record))
