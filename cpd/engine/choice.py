"""Which engine executes a training's steps."""

from __future__ import annotations

import os
import time
from pathlib import Path

from cpd.engine.batch import Batch
from cpd.engine.compiled import Compiled, compilable
from cpd.engine.minibatches import Minibatches
from cpd.engine.program import Advance, Captured, Eager
from cpd.engine.recording import Record
from cpd.engine.step import State
from cpd.engine.training import Training

CAPTURE_FROM = 200
"""Steps from which capturing the step (some tenths of a second) pays."""
TRIAL_STEPS = 100
"""Steps after which ``auto`` weighs the measured step time against the cost of compiling."""
COMPILE_SECONDS = 25.0
"""What compiling costs."""
SPEED_UP = 5.0
"""How much faster a compiled step is, on the low side."""


def program_cache() -> Path:
    """Where compiled programs are kept: ``CPD_CACHE``, else the user's cache folder."""
    named = os.environ.get("CPD_CACHE")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_cache_path("cpd") / "programs"


def choose(batch: Batch, training: Training) -> Advance:
    """The engine that the batch asks for, or the best one where it says ``auto``."""
    step, fused = training.step, training.prepared.stack.fused
    if batch.engine == "eager" or not fused or (batch.engine == "auto" and training.steps < CAPTURE_FROM):
        return Eager(step)
    if batch.engine == "captured":
        return Captured(step)
    reason = compilable(step, training.prepared.batches, training.prepared.draws)
    if reason is not None:
        captured = Captured(step)
        if batch.engine == "compiled":
            captured.note = f"captured instead of compiled: {reason}"
        return captured
    compiled = Compiled(step, program_cache())
    return compiled if batch.engine == "compiled" else Auto(training, compiled, batch.uses)


class Auto:
    """Compiled at once where the program is in the cache, else captured, else compiled later if that saves time.

    It decides at the first step and after ``TRIAL_STEPS``, nowhere else, so that a resumed training meets the decision
    where the uninterrupted one did.
    """

    def __init__(self, training: Training, compiled: Compiled, uses: int) -> None:
        self.training = training
        self.captured = Captured(training.step)
        self.compiled = compiled
        self.uses = uses
        self.note: str | None = None
        self._decided = False
        self._uses_compiled = False
        self._seconds = 0.0

    @property
    def history(self) -> int:
        """One until it is decided that the training is compiled."""
        return self.compiled.history if self._uses_compiled else 1

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        done = self.training.done
        if not self._decided and done > 0:
            self._decide(state, batches, done)
        if self._uses_compiled:
            return self.compiled(state, batches, n)
        started = time.perf_counter()
        result = self.captured(state, batches, n)
        self._seconds += time.perf_counter() - started
        self.note = self.captured.note
        return result

    def _decide(self, state: State, batches: Minibatches, done: int) -> None:
        if self.captured.note is not None:
            self._decided = True
        elif self.training.engine is not None:
            self._decided, self._uses_compiled = True, self.training.engine == "compiled"
        elif self.compiled.is_cached(state, batches) or (done >= TRIAL_STEPS and self._pays(done)):
            self._decided, self._uses_compiled = True, self._try_compiling(state, batches)
        else:
            self._decided = done >= TRIAL_STEPS
        if self._decided:
            self.training.engine = "compiled" if self._uses_compiled else "captured"

    def _pays(self, done: int) -> bool:
        remaining = self._seconds / done * (self.training.steps - done)
        return self.uses * remaining * (1 - 1 / SPEED_UP) > COMPILE_SECONDS

    def _try_compiling(self, state: State, batches: Minibatches) -> bool:
        """Compile; a compiler that fails costs a line and the captured step goes on."""
        try:
            self.compiled.prepare(state, batches)
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            self.captured.note = self.note = f"captured instead of compiled: {first}"
            return False
        return True
