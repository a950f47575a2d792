"""The step compiled ahead of time: a loop over steps in one native program, kept on disk."""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from cpd.engine.minibatches import Minibatches
from cpd.engine.program import Captured, Trace, capture, is_first
from cpd.engine.recording import Record
from cpd.engine.step import State, Step
from cpd.file_lock import locked

PATIENCE = 600.0
"""Seconds to wait for another process that compiles the same program."""
HISTORY = 32
"""Steps whose records one call of a program returns."""
FORMAT = 3
"""Raised when what is compiled changes without the graph's text changing."""


class Compiled:
    """Many steps in one call of a native program, for trainings that see the same batch at every step.

    The program holds no numbers of the sweep: levels, hyperparameters and data are its arguments, so one program serves
    every setting. Gives the eager step's numbers to rounding.

    Args:
        step: The step to compile.
        cache: Folder of compiled programs.
    """

    history: int = HISTORY

    def __init__(self, step: Step, cache: Path) -> None:
        self.step = step
        self.cache = cache
        self.note: str | None = None
        self._captured = Captured(step)
        self._trace: Trace | None = None
        self._program: Callable[..., list[Tensor]] | None = None

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        if is_first(state):
            state, record = self._captured(state, batches, 1)
            return (state, record) if n == 1 else self._go_on(state, batches, n - 1)
        return self._go_on(state, batches, n)

    def _go_on(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        program = self.prepare(state, batches)
        trace = self._traced(state, batches)
        leaves = trace.flatten(state, batches.next())
        tensors = tuple(leaf.detach() for leaf in leaves if isinstance(leaf, Tensor))
        carried = sum(isinstance(leaf, Tensor) for leaf in leaves[: trace.carried])
        with torch.no_grad():
            outputs = program(torch.tensor(n), tensors[:carried], (*tensors[carried:], *trace.constants))
        state, record = trace.unflatten(_refill(leaves[: trace.carried], outputs[1:]))
        last = torch.arange(n - min(n, HISTORY), n) % HISTORY
        return state, Record(*(value[last] for value in record))

    def prepare(self, state: State, batches: Minibatches) -> Callable[..., list[Tensor]]:
        """Compile and load the program, unless that was done before."""
        if self._program is None:
            trace = self._traced(state, batches)
            self._program = load(package(trace, trace.flatten(state, batches.sample()), self.cache))
        return self._program

    def is_cached(self, state: State, batches: Minibatches) -> bool:
        """Whether the program was compiled before."""
        trace = self._traced(state, batches)
        return program_path(trace, trace.flatten(state, batches.sample()), self.cache).exists()

    def _traced(self, state: State, batches: Minibatches) -> Trace:
        if self._trace is None:
            self._trace = capture(self.step, state, batches.sample())
        return self._trace


def compilable(step: Step, batches: Minibatches, draws: bool) -> str | None:
    """Why a training cannot be compiled, or None if it can."""
    if batches.batch_size is not None:
        return "minibatches change from step to step"
    if draws:
        return "the problem draws random numbers"
    if not step.stack.fused:
        return "the problem cannot be fused"
    if not any(shutil.which(name) for name in ("g++", "clang++", "c++")):
        return "there is no C++ compiler (g++ or clang++)"
    return None


class _Loop(nn.Module):
    """``n`` steps: a while loop whose body is the captured step."""

    def __init__(self, trace: Trace, whole: list[Any]) -> None:
        super().__init__()
        self.step = trace.graph
        self.whole = whole
        self.carried = trace.carried

    def forward(self, n: Tensor, state: tuple[Tensor, ...], fixed: tuple[Tensor, ...]) -> Any:
        from torch._higher_order_ops.while_loop import while_loop

        record = self._tensors(state, fixed)[len(state) :]
        slots = torch.arange(HISTORY)
        kept = [t.new_zeros(HISTORY, *t.shape) for t in record]
        start = (torch.zeros((), dtype=torch.int64), *state, *kept)

        def unfinished(k: Tensor, *_: Tensor) -> Tensor:
            return k < n

        def body(k: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
            new = self._tensors(rest[: len(state)], fixed)
            here = slots == k % HISTORY
            pairs = zip(rest[len(state) :], new[len(state) :], strict=True)
            kept = [torch.where(here.view(-1, *[1] * t.dim()), t, old) for old, t in pairs]
            return (k + 1, *(t.clone() for t in new[: len(state)]), *kept)

        return while_loop(unfinished, body, start)

    def _tensors(self, state: tuple[Tensor, ...], fixed: tuple[Tensor, ...]) -> list[Tensor]:
        return [t for t in self.step(*_refill(self.whole, [*state, *fixed])) if isinstance(t, Tensor)]


def _refill(whole: list[Any], tensors: list[Tensor]) -> list[Any]:
    """Put tensors where ``whole`` has some, and keep its other leaves; tensors left over follow."""
    rest = iter(tensors)
    return [next(rest) if isinstance(leaf, Tensor) else leaf for leaf in whole] + list(rest)


def package(trace: Trace, leaves: list[Any], cache: Path) -> Path:
    """Compile a captured step into a file of the cache, if it is not there yet."""
    path = program_path(trace, leaves, cache)
    cache.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Workers that start together need the same program: one compiles, the others wait for it.
        with locked(path.with_suffix(".lock"), PATIENCE):
            if not path.exists():
                _compile(trace, leaves, path)
    return path


def _compile(trace: Trace, leaves: list[Any], path: Path) -> None:
    tensors = tuple(leaf.detach() for leaf in leaves if isinstance(leaf, Tensor))
    carried = sum(isinstance(leaf, Tensor) for leaf in leaves[: trace.carried])
    arguments = (torch.tensor(2), tensors[:carried], (*tensors[carried:], *trace.constants))
    with tempfile.TemporaryDirectory(dir=path.parent) as folder, warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        exported = torch.export.export(_Loop(trace, leaves), arguments, strict=False)
        # One thread, whatever this process has: then the program, and its numbers to the bit, are the same for all.
        options = {"cpp.threads": 1}
        made = torch._inductor.aoti_compile_and_package(
            exported, package_path=str(Path(folder) / "program.pt2"), inductor_configs=options
        )
        os.replace(made, path)


def load(path: Path) -> Callable[..., list[Tensor]]:
    """Load a compiled program: ``(n, state, fixed) -> tensors``, all flat.

    The loader is called directly: ``torch._inductor.aoti_load_package`` probes the processor with a compiler first,
    which takes a second, and the file's name already holds what it is for.
    """
    loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    return lambda n, state, fixed: loader.boxed_run([n, *state, *fixed])


def program_path(trace: Trace, leaves: list[Any], cache: Path) -> Path:
    """The file of the cache for this step."""
    return cache / f"{_fingerprint(trace, leaves)}.pt2"


def _fingerprint(trace: Trace, leaves: list[Any]) -> str:
    """Hash of all that the program depends on: the graph's text, shapes, types, versions and the processor."""
    shapes = [
        f"{tuple(t.shape)}{t.stride()}{t.dtype}{t.device}" for t in [*leaves, *trace.constants] if isinstance(t, Tensor)
    ]
    machine = (
        platform.machine(),
        torch.backends.cpu.get_cpu_capability(),
        torch.__version__,
        platform.python_version(),
    )
    text = "\n".join([str(FORMAT), trace.graph.code, *shapes, *machine])
    return hashlib.sha256(text.encode()).hexdigest()[:32]
