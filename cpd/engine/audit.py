"""Audited replay: a training's steps are compared, now and then, with those of one run alone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.agreement import disagreement, shake
from cpd.engine.bound import named_tensors
from cpd.engine.counting import out_of_memory
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.surroundings import Surroundings
from cpd.engine.tracebacks import first_line
from cpd.engine.tree import row_of, take
from cpd.errors import CpdError
from cpd.outcome import RunKey


class Asked(NamedTuple):
    """One step that is audited.

    Attributes:
        step: Of the runs that go through it.
        keys: Those.
        state: Before it.
        batch: Gives its minibatch, a copy each time.
        surroundings: Before it.
    """

    step: Step
    keys: tuple[RunKey, ...]
    state: State
    batch: Callable[[], Any]
    surroundings: Surroundings

    @property
    def place(self) -> str:
        """Where the user's code is."""
        return f"{self.step.stack.target}.evaluate()"


@dataclass(frozen=True)
class Finding:
    """What an audit found to differ.

    Attributes:
        what: In words.
        fused: Whether the runs differ because they are fused; otherwise because the step was replayed.
    """

    what: str
    fused: bool


def audited_row(asked: Asked, look: int) -> int | None:
    """Which run is compared at a look: each look another one that goes on; None where none does."""
    active = asked.state.active.tolist()
    rows = (range(part.rows.start, part.rows.stop) for part in asked.step.groups.parts)
    groups = [own for each in rows if (own := [row for row in each if active[row]])]
    if not groups:
        return None
    own = groups[look % len(groups)]
    return own[look // len(groups) % len(own)]


def audit(asked: Asked, row: int, new: State, record: Record) -> Finding | None:
    """Compare a step that was made with that of one run alone, and say what differs beyond rounding.

    Args:
        asked: The step.
        row: The run.
        new: The state after the step as it was made.
        record: Its record, ``[R]`` and ``[R, C]``.

    Raises:
        CpdError: An evaluation changes what none of the first ones did.
    """
    try:
        right = _alone(asked, row)
    except CpdError:
        raise
    except Exception as error:
        if out_of_memory(error):
            raise
        return Finding(f"one run alone raises {type(error).__name__}: {first_line(error)}", fused=True)
    before = _leaves(asked.state, row)

    def differs(made: State, recorded: Record) -> str | None:
        coarse = asked.step.stack.autocast
        return disagreement(_numbers(made, recorded, row), right, before, lambda k: _alone(asked, row, k), coarse)

    what = differs(new, record)
    if what is None:
        return None
    asked.surroundings.restore()
    try:
        eager = differs(*asked.step.advance(asked.state, asked.batch()))
    except Exception as error:
        if out_of_memory(error):
            raise
        return Finding(first_line(error), fused=True)
    return Finding(
        f"{what} differs from that of one run alone" if eager else f"{what} differs", fused=eager is not None
    )


def _alone(asked: Asked, row: int, k: int | None = None) -> dict[str, Tensor]:
    """The step of one run as plain PyTorch does it."""
    asked.surroundings.restore()
    step = asked.step.alone(asked.keys[row], row)
    state = take(asked.state, [row])
    if k is not None:
        state = state._replace(parameters=shake(state.parameters, k, step.stack.autocast))
    new, record = step.advance(state, asked.batch())
    _refuse_changed(step, asked)
    return _numbers(new, record, 0)


def _refuse_changed(step: Step, asked: Asked) -> None:
    """Refuse a change of what no evaluation had changed at first, and no step keeps therefore."""
    now = named_tensors(step.stack.model)
    for name, fixed in step.fixed.items():
        left = now.get(name)
        if left is None or left.dtype != fixed.dtype or not torch.equal(left.nan_to_num(), fixed[0].nan_to_num()):
            raise CpdError(
                f"changes the model's '{name}', which its first evaluation left alone",
                place=asked.place,
                hint="change it from the first evaluation on, if only by adding 0",
            )


def _numbers(state: State, record: Record, row: int) -> dict[str, Tensor]:
    found = {f"the recorded {n}": value[row] for n, value in record._asdict().items()}
    return _leaves(state, row) | found


def _leaves(state: State, row: int) -> dict[str, Tensor]:
    """What the state holds of one run, by name."""
    return {name.replace("/", " "): leaf.detach() for name, leaf in row_of(state, row)}
