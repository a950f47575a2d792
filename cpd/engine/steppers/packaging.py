"""Compiled programs as files: made once for a step and its shapes, kept on disk, loaded in an instant."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cpd.engine.steppers.captured import Trace
from cpd.engine.steppers.exponentials import share_exponentials
from cpd.engine.steppers.torch_private import compile_package, load_package, quiet_compiler
from cpd.files import locked

PATIENCE = 600.0
"""Seconds to wait for another process that compiles the same program."""
COMPILE, COMPILE_OPERATION = 7.5, 0.0225
"""Seconds that compiling takes, and takes more for each operation of the captured step."""
FEW = 16
"""Numbers of an example below which examples are read column by column."""
HISTORY = 32
"""Steps whose records one call of a program returns."""
FORMAT = 9
"""Raised when what is compiled changes without the graph's text changing."""


_loaded: dict[Path, Callable[[list[Tensor]], list[Tensor]]] = {}


class Layout(NamedTuple):
    """How a program's arguments stand.

    Attributes:
        leaves: Of a state and a batch, as the step takes them; no batch is no tensor.
        carried: How many of them are the state's.
        changing: Which of these a step changes.
        step: Which of these is the number of steps done.
        source: All data.
        size: Examples of a minibatch, which the program takes from ``source``; None where a step sees all of it.
        steps: Steps of one call for which minibatches and random numbers are handed over.
    """

    leaves: list[Any]
    carried: int
    changing: tuple[int, ...]
    step: int
    source: tuple[Tensor, ...]
    size: int | None
    steps: int

    def moved(self, state: Sequence[Tensor], changed: Sequence[Tensor]) -> list[Tensor]:
        """A state's leaves with those that a step changes replaced."""
        whole = list(state)
        for place, tensor in zip(self.changing, changed, strict=True):
            whole[place] = tensor
        return whole

    @property
    def state(self) -> tuple[Tensor, ...]:
        """The state's leaves, as a program takes them: in rows, whatever the step before has made of them."""
        return tuple(leaf.detach().contiguous() for leaf in self.leaves[: self.carried])


def missing_compiler() -> str | None:
    """Why nothing can be compiled on this machine, or None."""
    if any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return None
    return "there is no C++ compiler (g++ or clang++)"


def compile_seconds(trace: Trace) -> float:
    """Seconds that compiling takes on a quiet machine: estimated from the step's operations, not measured."""
    operations = [node for node in trace.graph.graph.nodes if node.op == "call_function"]
    return COMPILE + COMPILE_OPERATION * len(operations)


def package(trace: Trace, layout: Layout, cache: Path, say: Callable[[str], None] = lambda text: None) -> Path:
    """Compile a captured step into a file of the cache, if it is not there yet; ``say`` is told when that begins."""
    path = program_path(trace, layout, cache)
    cache.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Workers that start together need the same program: one compiles, the others wait for it.
        with locked(path.with_suffix(".lock"), PATIENCE):
            if not path.exists():
                seconds = f"about {compile_seconds(trace):.0f} s"
                say(f"compiling the training step, which takes {seconds}; the program is kept for next time")
                _compile(trace, layout, path)
    return path


def program_path(trace: Trace, layout: Layout, cache: Path) -> Path:
    """The file of the cache for this step."""
    return cache / f"{_fingerprint(trace, layout)}.pt2"


def load(path: Path) -> Callable[..., list[Tensor]]:
    """Load a compiled program: ``(until, state, own, fixed) -> tensors``, flat; its file's name says what it is for."""
    if path not in _loaded:
        _loaded[path] = load_package(path)
    run = _loaded[path]
    return lambda until, state, own, fixed: run([until, *(leaf.contiguous() for leaf in state), *own, *fixed])


class _Loop(nn.Module):
    """Steps until so many are done: a while loop whose body is the captured step, and whose counter is the state's.

    Takes ``until``, the state, the steps' own arguments (examples of each minibatch ``[steps, B]``, each random number
    ``[steps, ...]``), and what stays the same: data and constants. With ``columns`` examples of a few numbers each, all
    seen at every step, stand in memory column by column, in which loops over examples read them fastest.

    Gives what of the state has changed, and the records of the last :data:`HISTORY` steps; that of step k stands at
    ``k % HISTORY``.
    """

    def __init__(self, trace: Trace, layout: Layout, columns: bool) -> None:
        super().__init__()
        self.columns = columns
        self.step = trace.graph
        self.layout = layout
        self.sources = len(layout.source)

    def forward(
        self, until: Tensor, state: tuple[Tensor, ...], own: tuple[Tensor, ...], fixed: tuple[Tensor, ...]
    ) -> Any:
        fixed = tuple(self._by_columns(t) for t in fixed[: self.sources]) + fixed[self.sources :]
        changing, first = self.layout.changing, state[self.layout.step].clone()
        counter, count = changing.index(self.layout.step), len(changing)
        record = self._step(torch.zeros((), dtype=torch.int64), state, own, fixed)[len(state) :]
        kept = [t.new_zeros(HISTORY, *t.shape) for t in record]

        def unfinished(*rest: Tensor) -> Tensor:
            return rest[counter] < until

        def body(*rest: Tensor) -> tuple[Tensor, ...]:
            done = rest[counter]
            # What a loop reads from outside costs time at every step: as little as need be.
            new = self._step(done - first if own else done, self.layout.moved(state, rest[:count]), own, fixed)
            here = torch.arange(HISTORY) == done % HISTORY
            pairs = zip(rest[count:], new[len(state) :], strict=True)
            kept = [torch.where(here.view(-1, *[1] * t.dim()), t, old) for old, t in pairs]
            return tuple(_in_rows(t) for t in (*(new[place] for place in changing), *kept))

        return torch.while_loop(unfinished, body, (*(_in_rows(state[place]) for place in changing), *kept))

    def _by_columns(self, t: Tensor) -> Tensor:
        few = t.dim() == 2 and t.shape[1] < FEW and self.layout.size is None
        return t.t().contiguous().t() if self.columns and few else t

    def _step(
        self, k: Tensor, state: Sequence[Tensor], own: tuple[Tensor, ...], fixed: tuple[Tensor, ...]
    ) -> list[Tensor]:
        source, constants = fixed[: self.sources], fixed[self.sources :]
        now = [each.index_select(0, k.view(1)).squeeze(0) for each in own]
        if self.layout.size is not None:
            examples, *now = now
            source = tuple(t.index_select(0, examples) for t in source)
        leaves = _refill(self.layout.leaves, [*state, *source, *constants, *now])
        return [t for t in self.step(*leaves) if isinstance(t, Tensor)]


def _in_rows(t: Tensor) -> Tensor:
    """A copy that stands row by row: what a loop carries keeps its layout from step to step."""
    return t.clone(memory_format=torch.contiguous_format)


def _refill(whole: Sequence[Any], tensors: Sequence[Tensor]) -> list[Any]:
    rest = iter(tensors)
    return [next(rest) if isinstance(leaf, Tensor) else leaf for leaf in whole] + list(rest)


def _compile(trace: Trace, layout: Layout, path: Path) -> None:
    own = tuple(torch.zeros(layout.steps, *d.shape, dtype=d.dtype) for d in trace.draws or ())
    if layout.size is not None:
        own = (torch.zeros(layout.steps, layout.size, dtype=torch.long), *own)
    arguments = (layout.state[layout.step] + 2, layout.state, own, (*layout.source, *trace.constants))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, quiet_compiler(), torch.no_grad():
        try:
            exported = torch.export.export(_Loop(trace, layout, columns=True), arguments, strict=False)
        except Exception:  # a step that insists on examples in a row
            exported = torch.export.export(_Loop(trace, layout, columns=False), arguments, strict=False)
        # One thread, whatever this process has: then the program, and its numbers to the bit, are the same for all.
        # The wrapper around the kernels is not optimised: half the time to compile for a tenth of the speed.
        options = {
            "cpp.threads": 1,
            "aot_inductor.compile_wrapper_opt_level": "O0",
            "post_grad_custom_pre_pass": share_exponentials,
        }
        os.replace(compile_package(exported, Path(folder) / "program.pt2", options), path)


def _fingerprint(trace: Trace, layout: Layout) -> str:
    """Hash of all that the program depends on: the graph's text, shapes, types, versions and the processor."""
    tensors = [leaf for leaf in [*layout.leaves, *layout.source, *trace.constants] if isinstance(leaf, Tensor)]
    shapes = [f"{tuple(t.shape)}{t.stride()}{t.dtype}{t.device}" for t in tensors]
    draws = [f"{d.shape}{d.dtype}" for d in trace.draws or ()]
    machine = (
        platform.machine(),
        torch.backends.cpu.get_cpu_capability(),
        torch.__version__,
        platform.python_version(),
    )
    text = "\n".join(
        [str(FORMAT), str(layout[1:4]), f"{layout.size} {layout.steps}", trace.graph.code, *shapes, *draws, *machine]
    )
    return hashlib.sha256(text.encode()).hexdigest()[:32]
