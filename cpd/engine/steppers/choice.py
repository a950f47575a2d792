"""Which stepper executes a training."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from cpd.engine.batch import Batch
from cpd.engine.minibatches import Minibatches
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.steppers.captured import Captured, Trace
from cpd.engine.steppers.compiled import Compiled
from cpd.engine.steppers.cuda_graph import Graphed
from cpd.engine.steppers.packaging import compile_seconds, missing_compiler
from cpd.engine.steppers.stepper import Eager, Stepper
from cpd.engine.tracebacks import first_line
from cpd.engine.training import Training
from cpd.errors import CpdError

CAPTURE_FROM = 200
"""Steps from which capturing the step (some tenths of a second) pays."""
PER_OPERATION, PER_NUMBER = 4e-6, 6e-10
"""Seconds that a compiled step saves for each operation of the captured one, and for each number that it gives. Of
large steps numbers do not count: threads share them in the captured step, and the compiled one has one thread."""
LARGE = 50_000
"""Parameters of a model from which the copies that a captured step makes cost more than it saves."""
PRODUCTS = ("mm", "bmm", "addmm", "baddbmm", "convolution", "convolution_backward")
"""Operations that a compiled step hands to the same library as the others: nothing is saved there."""


def program_cache() -> Path:
    """Where compiled programs are kept: ``CPD_CACHE``, else the user's cache folder."""
    named = os.environ.get("CPD_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("cpd") / "programs"


def choose(batch: Batch, training: Training, say: Callable[[str], None] = lambda text: None) -> Stepper:
    """The stepper that the batch asks for, or the best one where it says ``auto``; ``say`` is told of long waits.

    Raises:
        CpdError: The batch names one that cannot be had here.
    """
    step, prepared = training.going.step, training.prepared
    if batch.stepper == "compiled" and not step.levels.is_cuda:
        _refuse_missing(step)
    short = batch.stepper == "auto" and training.steps < CAPTURE_FROM
    if training.chosen == "alone" or batch.stepper == "eager" or not prepared.stack.fused or short:
        return training.written()
    if prepared.stateful or training.chosen == "eager" or step.again is not None:
        return training.written()
    if batch.stepper == "captured":
        return Captured(step, training.shapes)
    in_memory = not prepared.batches.streamed and step.recipe.window == 1
    if not in_memory and batch.stepper == "compiled" and not step.levels.is_cuda:
        say("captured instead of compiled: a compiled step takes a minibatch from data in memory")
        return Captured(step, training.shapes)
    if batch.stepper == "compiled":
        on_gpu = step.levels.is_cuda
        return Graphed(step, shapes=training.shapes) if on_gpu else Compiled(step, program_cache(), say=say)
    compilable = _not_compiled(step) is None and in_memory and prepared.batches.in_program
    return Auto(training, batch.uses, compilable, say)


def _refuse_missing(step: Step) -> None:
    """Refuse to compile where that is not possible, whatever the problem is."""
    reason = _not_compiled(step) or unwritable(program_cache())
    if reason is not None:
        raise CpdError(f"compiled: {reason}", place="--engine", hint="use --engine captured, or auto")


def unwritable(folder: Path) -> str | None:
    """Why no program can be kept in a folder, or None."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return None
    except OSError as error:
        return f"programs cannot be kept in {folder}: {error.strerror}"


def _not_compiled(step: Step) -> str | None:
    """Why a step cannot be compiled on this machine and device, or None."""
    if step.levels.device.type != "cpu":
        return "programs are compiled for the CPU only"
    return missing_compiler()


def _replayed(step: Step, shapes: list[str]) -> Captured:
    """The captured step, as a CUDA graph where there is a GPU."""
    return Graphed(step, shapes=shapes) if step.levels.is_cuda else Captured(step, shapes)


class Auto:
    """Compiled where that saves more in all steps than it costs, else captured, or eager for large models.

    On a GPU a captured step is a CUDA graph, and none is compiled.

    It decides before the first step, from the step and the number of steps alone: a training's numbers must not
    depend on how busy the machine was, or on what was compiled before.
    """

    def __init__(self, training: Training, uses: int, compilable: bool, say: Callable[[str], None]) -> None:
        self.training = training
        self.uses = uses
        self.compilable = compilable
        self.say = say
        self.note: str | None = None
        self._captured = _replayed(training.going.step, training.shapes)
        self._chosen: Stepper | None = None

    @property
    def name(self) -> str:
        """Of what was chosen."""
        return "auto" if self._chosen is None else self._chosen.name

    @property
    def overwrites(self) -> bool:
        """As what was chosen, or may be."""
        return (self._chosen or self._captured).overwrites

    @property
    def history(self) -> int:
        """One until it is decided that the training is compiled."""
        return 1 if self._chosen is None else self._chosen.history

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        if self._chosen is None:
            self._chosen = self._choose(state, batches)
        result = self._chosen(state, batches, n)
        self.note = self.note or self._chosen.note
        return result

    def rebuild(self) -> Callable[[Step], Stepper] | None:
        """What was chosen, for fewer runs."""
        return None if self._chosen is None else self._chosen.rebuild()

    def _choose(self, state: State, batches: Minibatches) -> Stepper:
        chosen = self.training.chosen or self._best(state, batches)
        if chosen == "compiled":
            all_sizes = self._worthwhile(state, batches)
            compiled = Compiled(self.training.going.step, program_cache(), all_sizes=all_sizes, say=self.say)
            if self._prepared(compiled, state, batches):
                self.training.chosen = chosen
                return compiled
            chosen = self._plain(state)
        self.training.chosen = chosen
        return self._captured if chosen == "captured" else Eager(self.training.going.step)

    def foreseen(self, state: State, batches: Minibatches, times: float) -> tuple[str, Trace | None]:
        """What it would decide for so many times the runs; a compiler that is there is taken to work."""
        trace = self._captured.trace(state, batches.sample()) if self.compilable else None
        if trace is not None and trace.draws is not None and self._pays(trace, self.training.steps, times):
            return "compiled", trace
        return self._plain(state), trace

    def _best(self, state: State, batches: Minibatches) -> str:
        return self.foreseen(state, batches, 1.0)[0]

    def _plain(self, state: State) -> str:
        runs = len(state.active)
        return "eager" if sum(p.numel() for p in state.parameters.values()) > LARGE * runs else "captured"

    def _pays(self, trace: Trace, steps: float, times: float = 1.0) -> bool:
        numbers = 0.0 if self.training.prepared.is_large else times
        per_step, once = saved(trace, numbers=numbers), compile_seconds(trace)
        return self.uses * steps * per_step > once

    def _worthwhile(self, state: State, batches: Minibatches) -> bool:
        """Whether the smaller minibatch that ends an epoch is worth a program of its own."""
        trace = self._captured.trace(state, batches.sample())
        return trace is not None and self._pays(trace, self.training.steps / batches.in_epoch)

    def _prepared(self, compiled: Compiled, state: State, batches: Minibatches) -> bool:
        """Compile; a compiler that fails costs a line and the plain step goes on."""
        try:
            compiled.prepare(state, batches)
        except Exception as error:
            self.note = f"not compiled: {first_line(error)}"
            return False
        return True


def saved(trace: Trace, *, numbers: float = 1.0) -> float:
    """Seconds of a captured step that a compiled one saves: estimated from its operations, not measured.

    Args:
        trace: The captured step.
        numbers: How often what operations give counts too; 0 where their start alone does.
    """
    total = 0.0
    for node in trace.graph.graph.nodes:
        given = node.meta.get("val") if node.op == "call_function" else None
        name = str(node.target).removeprefix("aten.").partition(".")[0]
        if isinstance(given, Tensor) and name not in PRODUCTS:
            total += PER_OPERATION + numbers * PER_NUMBER * given.numel()
    return total
