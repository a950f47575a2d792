"""The step compiled ahead of time: a loop over steps in one native program."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor

from cpd.engine.counting import out_of_memory
from cpd.engine.minibatches import Minibatches
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.steppers.captured import Captured, Trace
from cpd.engine.steppers.draws import Draw
from cpd.engine.steppers.packaging import HISTORY, Layout, load, package
from cpd.engine.tracebacks import first_line
from cpd.engine.tree import leaves, named

DRAWN_BYTES = 2**25
"""Random numbers and places of examples that are kept for the steps of one call."""

Size = int | None
"""Examples in a minibatch; None for all data."""


class _Program(NamedTuple):
    """The compiled loop for one size of minibatch, and the memory in which its steps' own arguments are handed over."""

    trace: Trace
    run: Callable[..., list[Tensor]]
    layout: Layout
    examples: Tensor | None
    drawn: list[Tensor]


class Compiled:
    """Many steps in one call of a native program.

    The program holds no numbers of the sweep: levels, hyperparameters and data are its arguments, so one program serves
    every setting. Minibatches and random numbers are the eager step's own, handed over for some steps at a time. Gives
    the eager step's numbers to rounding.

    Args:
        step: The step to compile.
        cache: Folder of compiled programs.
        all_sizes: Whether minibatches of every size (an epoch's last one is smaller) are compiled; otherwise those of
            the usual size alone, and other steps are captured ones.
        say: Told when compiling begins.
    """

    name = "compiled"
    overwrites = False
    history: int = HISTORY

    def __init__(
        self, step: Step, cache: Path, *, all_sizes: bool = True, say: Callable[[str], None] = lambda text: None
    ) -> None:
        self.step = step
        self.cache = cache
        self.note: str | None = None
        self.all_sizes = all_sizes
        self.say = say
        self._captured = Captured(step)
        self._programs: dict[Size, _Program | None] = {}

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        records: list[Record] = []
        left = n
        while left:
            program = self._program(state, batches)
            if program is None:
                state, record = self._captured(state, batches, 1)
                self.note = self.note or self._captured.note
                left -= 1
            else:
                state, record, done = _advance(program, state, batches, left)
                left -= done
            records.append(record)
        return state, _last(records, min(n, HISTORY))

    def rebuild(self) -> None:
        """None: a program is for one number of runs."""

    def prepare(self, state: State, batches: Minibatches) -> None:
        """Compile and load the program for minibatches of the usual size, unless that was done before."""
        size = batches.usual_size
        if self._programs.get(size) is None:
            self._programs[size] = self._load(size, state, batches)

    def _program(self, state: State, batches: Minibatches) -> _Program | None:
        """The program for the next minibatch; None where its step is a captured one."""
        if not batches.in_program:
            self.note = "captured instead of compiled: minibatches are of two data sets"
            return None
        size = batches.next_size
        if size not in self._programs:
            wanted = self.all_sizes or size == batches.usual_size
            self._programs[size] = self._tried(size, state, batches) if wanted else None
        return self._programs[size]

    def _tried(self, size: Size, state: State, batches: Minibatches) -> _Program | None:
        """Compile and load; a compiler that fails, in whichever way, costs a line and not the runs."""
        try:
            return self._load(size, state, batches)
        except Exception as error:
            if out_of_memory(error):
                raise
            self.note = f"captured instead of compiled: {first_line(error)}"
            return None

    def _load(self, size: Size, state: State, batches: Minibatches) -> _Program | None:
        """Compile and load; None, with a note, where there is no trace, or its random numbers cannot be handed over."""
        sample = batches.sample(size)
        trace = self._captured.trace(state, sample)
        if trace is None:
            self.note = self._captured.note
            return None
        if trace.draws is None:
            self.note = "captured instead of compiled: it draws random numbers that depend on more than shapes"
            return None
        arguments = [*leaves(state), *leaves(sample)]
        step = [name for name, _ in named(state)].index("step")
        steps = _steps(size, trace.draws)
        layout = Layout(arguments, trace.carried, trace.changing, step, _source(batches), size, steps)
        device = self.step.levels.device
        examples = None if size is None else torch.zeros(layout.steps, size, dtype=torch.long, device=device)
        drawn = [torch.zeros(layout.steps, *d.shape, dtype=d.dtype, device=device) for d in trace.draws]
        return _Program(trace, load(package(trace, layout, self.cache, self.say)), layout, examples, drawn)


def _advance(program: _Program, state: State, batches: Minibatches, most: int) -> tuple[State, Record, int]:
    """Up to ``most`` steps in one call: the new state, the records of the last ``HISTORY``, and how many they were."""
    trace, layout = program.trace, program.layout
    n = _hand_over(program, batches, most)
    carried = [leaf.detach() for leaf in leaves(state)]
    own = (*([] if program.examples is None else [program.examples]), *program.drawn)
    with torch.no_grad():
        until = carried[layout.step] + n
        outputs = program.run(until, carried, own, (*_source(batches), *trace.constants))
    count = len(layout.changing)
    state, record = trace.folded(state, [*layout.moved(carried, outputs[:count]), *outputs[count:]])
    last = torch.arange(int(until) - min(n, HISTORY), int(until)) % HISTORY
    return state, Record(*(value[last] for value in record)), n


def _hand_over(program: _Program, batches: Minibatches, most: int) -> int:
    """Write the next steps' minibatches and random numbers where the program reads them; how many steps they are."""
    if program.examples is None and not program.drawn:
        return most
    most = min(most, program.layout.steps)
    if program.examples is not None:
        alike = batches.next_alike(most)
        most = len(alike)
        torch.stack(alike, out=program.examples[:most])
    for k in range(most):
        for memory, draw in zip(program.drawn, program.trace.draws or (), strict=True):
            memory[k] = draw.now()
    return most


def _source(batches: Minibatches) -> tuple[Tensor, ...]:
    """All data, from which the program takes its minibatches."""
    return tuple(leaf for leaf in leaves(batches.data) if isinstance(leaf, Tensor))


def _steps(size: Size, draws: list[Draw]) -> int:
    """Steps of one call for which minibatches and random numbers are handed over."""
    bytes_each = sum(draw.size for draw in draws) + 8 * (size or 0)
    return max(1, min(HISTORY, DRAWN_BYTES // max(1, bytes_each)))


def _last(records: list[Record], count: int) -> Record:
    """The records of the last ``count`` steps."""
    if len(records) == 1:
        return records[0]
    return Record(*(torch.cat(parts)[-count:] for parts in zip(*records, strict=True)))
