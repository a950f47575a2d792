"""A step that looks ahead: it moves from where it stands by what it finds one step on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from cpd.engine.method_groups import MethodGroups
from cpd.engine.minibatches import copied
from cpd.engine.recorder import Record
from cpd.methods.registry import looks_ahead
from cpd.outcome import RunKey


def all_ahead(groups: MethodGroups) -> bool:
    """Whether the method of a batch's runs does so: of all, for they are programs of their own."""
    return groups.parts[0].method.extrapolates


def first_ahead(keys: Sequence[RunKey]) -> str | None:
    """The first such method among some runs; None where there is none."""
    return next((key.method for key in keys if looks_ahead(key.method)), None)


class Steps(Protocol):
    """What takes single steps."""

    groups: MethodGroups
    again: Any

    def moved(self, state: Any, batch: Any, there: Any = None) -> tuple[Any, Record]:
        """A step from a state, by what is found in that state or ``there``."""


def ahead(step: Steps, state: Any, batch: Any) -> tuple[Any, Record]:
    r"""One step of the extragradient method.

    .. math:: z_+ = z - \eta F(z), \qquad z \leftarrow z - \eta F(z_+)

    Both evaluations see the same examples and draw the same random numbers. What is recorded is what was found at z,
    with the multipliers after the step; buffers are as the second evaluation leaves them.
    """
    before = None if step.again is None else step.again()
    half, record = step.moved(state, copied(batch))
    if before is not None:
        before.restore()
    there = half._replace(step=state.step)
    new, _ = step.moved(state._replace(active=half.active, cause=half.cause), batch, there)
    multipliers = step.groups.multipliers(new.methods, record.multipliers)
    return new._replace(held=half.held, seen=half.seen), record._replace(multipliers=multipliers)
