"""The captured step as a CUDA graph: all its kernels are started at once, from memory that stays where it is."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from cpd.engine.counting import out_of_memory
from cpd.engine.generators import RandomState
from cpd.engine.step import Step
from cpd.engine.steppers.captured import Captured, Trace

Work = Callable[[], None]
WARM_UP = 3
"""Times that a step is executed before it is recorded: libraries choose their algorithms, and take their memory."""


class Graphed(Captured):
    """The captured step, recorded once for each size of minibatch and replayed as a whole.

    A recording is compared with the captured step on the first step that it makes; where they differ, or where the
    device refuses to record it, the captured step goes on, with a note.

    Args:
        step: On a CUDA device.
        record: Turns work on memory that stays in place into something that does it again.
        shapes: Of the minibatches so far.
    """

    overwrites = True

    def __init__(
        self, step: Step, record: Callable[[Work], Work] | None = None, shapes: list[str] | None = None
    ) -> None:
        super().__init__(step, shapes)
        self._record = record or partial(cuda_graph, step.levels.device)
        self._replays: dict[int, _Replay | None] = {}

    def rebuild(self) -> Callable[[Step], Graphed]:
        """Recorded anew."""
        return lambda step: Graphed(step, self._record, self.shapes)

    def replay(self, trace: Trace, leaves: list[Any]) -> list[Any]:
        """The step from these arguments; what it returns is overwritten by the next call's."""
        key = id(trace.graph)
        if key not in self._replays:
            self._replays[key] = self._recorded(trace, leaves)
        recorded = self._replays[key]
        return trace.call(leaves) if recorded is None else recorded(leaves)

    def _recorded(self, trace: Trace, leaves: list[Any]) -> _Replay | None:
        if trace.draws is None:
            self.note = "no CUDA graph: the step draws random numbers that depend on more than shapes"
            return None
        random = RandomState.now(self.step.levels.device)
        try:
            replay = _Replay(trace, leaves, self._record)
            random.restore()
            expected = trace.call(leaves)
            random.restore()
            if not _alike(replay(leaves), expected):
                raise RuntimeError("its replay differs from the step")
        except RuntimeError as error:
            if out_of_memory(error):
                raise
            self.note = f"no CUDA graph: {str(error).strip().splitlines()[0]}"
            return None
        finally:
            random.restore()
        return replay


class _Replay:
    """A step that reads and writes the same memory every time: its state stands where the next step finds it."""

    def __init__(self, trace: Trace, leaves: list[Any], record: Callable[[Work], Work]) -> None:
        self.trace = trace
        carried = trace.carried
        # Minibatches are made anew for each step; what they are made of, seen whole, is never written to.
        self.inputs = [*(_own(leaf) for leaf in leaves[:carried]), *leaves[carried:]]
        self.drawn = [torch.empty(d.shape, dtype=d.dtype, device=_device(leaves)) for d in trace.draws or ()]
        self._draw()
        self.record = [_own(value) for value in self._step()[carried:]]
        self._again = record(self._work)

    def __call__(self, leaves: list[Any]) -> list[Any]:
        """The step from these leaves; what it returns is overwritten by the next one."""
        self._place(leaves)
        self._draw()
        self._again()
        return [*self.inputs[: self.trace.carried], *self.record]

    def _work(self) -> None:
        outputs = self._step()
        written = {leaf.untyped_storage().data_ptr() for leaf in self.inputs if isinstance(leaf, Tensor)}
        apart = [o.clone() if isinstance(o, Tensor) and _at(o) in written else o for o in outputs]
        for memory, value in zip([*self.inputs[: self.trace.carried], *self.record], apart, strict=True):
            if isinstance(memory, Tensor):
                memory.copy_(value)

    def _step(self) -> list[Any]:
        return list(self.trace.graph.forward(*self.inputs, *self.trace.constants, *self.drawn))

    def _place(self, leaves: list[Any]) -> None:
        for memory, leaf in zip(self.inputs, leaves, strict=True):
            if isinstance(memory, Tensor) and memory is not leaf:
                memory.copy_(leaf)

    def _draw(self) -> None:
        for memory, draw in zip(self.drawn, self.trace.draws or (), strict=True):
            memory.copy_(draw.now())


def cuda_graph(device: torch.device, work: Work) -> Work:
    """Record work on a CUDA device."""
    with torch.cuda.device(device):
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(WARM_UP):
                work()
        torch.cuda.current_stream().wait_stream(side)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            work()
    return graph.replay


def _alike(found: list[Any], expected: list[Any]) -> bool:
    """Whether they are the same but for rounding."""
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if isinstance(a, Tensor)]
    return all(torch.allclose(a.double(), b.double(), rtol=1e-4, atol=1e-6, equal_nan=True) for a, b in pairs)


def _own(leaf: Any) -> Any:
    return leaf.detach().clone() if isinstance(leaf, Tensor) else leaf


def _at(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _device(leaves: list[Any]) -> torch.device:
    return next(leaf.device for leaf in leaves if isinstance(leaf, Tensor))
