"""The one training loop: R runs fused on stacked parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from cpd.engine.checkpointing import Keeper
from cpd.engine.method_groups import Segments
from cpd.engine.minibatches import total_steps
from cpd.engine.preparing import Prepared, pads
from cpd.engine.pruning import START, Prune, given_up, margins
from cpd.engine.recorder import Recorder
from cpd.engine.stacked import RandomState
from cpd.engine.step import State, Step
from cpd.engine.steppers.captured import Advance
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Train

LOOKS = 20
"""Times in a training at which it is looked which runs have ended: diverged, or to be given up."""
LEAST_COMPACTED = 4
"""Runs of a batch from which those that have ended are taken out of it, once they are half of it."""
NORM_POINTS = 5
"""Points of a training, beside the end, at which constraint gradients are compared."""


@dataclass
class Hooks:
    """What the loop tells and asks the outside.

    Attributes:
        progress: Called now and then with steps done, steps in all and runs in the program.
        stop: Asked after each step; True ends the training with :class:`Interrupted` after a checkpoint.
        say: Told of long waits.
    """

    progress: Callable[[int, int, int], None] | None = None
    stop: Callable[[], bool] | None = None
    say: Callable[[str], None] = lambda text: None


class Interrupted(Exception):
    """The training was asked to stop; what was done is in its checkpoint."""


@dataclass
class Training:
    """One fused training under way.

    Attributes:
        done: Steps done.
        seconds: Time spent, earlier parts of a resumed training included.
        engine: What ``auto`` has decided on, None before.
        prune: Which runs are given up; None for none.
        margin: How far from its level a constraint is far, ``[C]``; infinite where it does not count.
        pruned: ``[R]`` bool.
        left: Trainings of the runs that were taken out, as they stood.
        splits: For each time that runs were taken out, the rows that stayed.
        keys: All runs, those that were taken out included.
    """

    prepared: Prepared
    step: Step
    state: State
    recorder: Recorder
    steps: int
    done: int = 0
    seconds: float = 0.0
    norms: list[Tensor] = field(default_factory=list)
    engine: str | None = None
    prune: Prune | None = None
    margin: Tensor = field(default_factory=lambda: torch.zeros(0))
    pruned: Tensor = field(default_factory=lambda: torch.zeros(0))
    left: list[Training] = field(default_factory=list)
    splits: list[list[int]] = field(default_factory=list)
    keys: tuple[RunKey, ...] = ()

    @classmethod
    def begin(
        cls, prepared: Prepared, constraints: Mapping[str, Constraint], train: Train, prune: Prune | None = None
    ) -> Training:
        """Set up a training at its first step."""
        stack = prepared.stack
        like = next(iter(stack.parameters.values()))
        sizes = stack.sizes
        by_name = [constraints[n] for n in stack.names]
        sign = _spread([-1.0 if c.sense == ">=" else 1.0 for c in by_name], sizes, like)
        equality = _spread([c.sense == "==" for c in by_name], sizes, like).bool()
        levels = torch.stack([_spread([k.levels[n] for n in stack.names], sizes, like) for k in prepared.keys])
        segments = Segments(prepared.keys, sizes, equality, like)
        step = Step(stack, segments, sign, levels, train.optimizer)
        steps = total_steps(train, prepared.data)
        counts = [prune is not None and prune.constraint in (None, n) for n in stack.names]
        margin = margins(_spread([c.tolerance for c in by_name], sizes, like), _spread(counts, sizes, like).bool())
        training = cls(prepared, step, step.start(), Recorder(steps, levels), steps, prune=prune, margin=margin)
        training.pruned = torch.zeros_like(training.state.active)
        training.keys = prepared.keys
        return training

    def run(self, hooks: Hooks, keeper: Keeper, advance: Advance) -> None:
        """Train to the end.

        Raises:
            Interrupted: ``hooks.stop`` said so.
        """
        clock = _Clock(hooks, keeper, self.seconds)
        if self.done == 0:
            self.prepared.random.restore()
        while self.done < self.steps:
            if self.done and self.done % self._look_every == 0:
                advance = self._look(advance)
                if not self.state.active.any():
                    break
            if self.done % self._norm_every == 0:
                self._compare_gradients(self.prepared.batches.sample())
            n = self._span(advance.history)
            self.state, records = advance(self.state, self.prepared.batches, n)
            self.done += n
            self.recorder.keep_many(self.done - len(records.objective), records)
            self.seconds = clock.seconds()
            clock.tell(self)
        self._compare_gradients(self.prepared.batches.sample())

    @property
    def _norm_every(self) -> int:
        return max(1, self.steps // NORM_POINTS)

    @property
    def _look_every(self) -> int:
        return max(1, self.steps // LOOKS)

    def _look(self, advance: Advance) -> Advance:
        """Give up what is to be given up, and take the runs that have ended out of the batch where they are many."""
        if self.prune is not None and self.done >= START * self.steps:
            self._give_up()
        active = self.state.active.tolist()
        stay = [r for r, on in enumerate(active) if on]
        if not stay or len(active) < LEAST_COMPACTED or len(stay) > len(active) / 2:
            return advance
        if len(stay) == 1 and pads(self.prepared.run_size):  # a lone run's last bits are not those of a batch
            stay = sorted([*stay, active.index(False)])
        again = advance.again()
        if again is None:
            return advance
        self.split(stay)
        return again(self.step)

    def _give_up(self) -> None:
        """Freeze the penalised runs that will not come near their level any more."""
        assert self.prune is not None
        kept = self.recorder.kept(self.done)
        equality = self.step.segments.equality
        counts_below = torch.ones_like(equality) if self.prune.both_sides else equality
        left = (self.steps - self.done) / self.recorder.stride
        far = given_up(self.step.violation(kept), left, self.margin, counts_below)
        unmoved = [REGISTRY[key.method].multipliers is None for key in self.prepared.keys]
        new = far & self.state.active & torch.tensor(unmoved, device=far.device)
        self.pruned = self.pruned | new
        self.state = self.state._replace(active=self.state.active & ~new)

    def split(self, stay: list[int]) -> None:
        """Go on with these rows alone; the others are kept as they stand, in ``left``."""
        gone = [r for r in range(len(self.state.active)) if r not in set(stay)]
        self.left.append(self._part(gone))
        part = self._part(stay)
        for name in ("prepared", "step", "state", "recorder", "norms", "pruned"):
            setattr(self, name, getattr(part, name))
        self.splits.append(stay)

    def _part(self, rows: list[int]) -> Training:
        """A training of these rows alone, at the same step."""
        keys = tuple(self.prepared.keys[r] for r in rows)
        stack = self.prepared.stack.part(rows, self.state.parameters)
        step = self.step.part(rows, keys, stack)
        state = self.step.part_of(self.state, rows, stack)
        prepared = replace(self.prepared, keys=keys, stack=stack)
        return replace(
            self,
            prepared=prepared,
            step=step,
            state=state,
            recorder=self.recorder.part(rows),
            norms=[norm[rows] for norm in self.norms],
            pruned=self.pruned[rows],
            left=[],
            splits=[],
            keys=keys,
        )

    def _span(self, history: int) -> int:
        """Steps up to the last recorded one within ``history`` of the next, to a look or a comparison of gradients."""
        first = next(k for k in range(self.done, self.steps) if self.recorder.wants(k))
        last = max(k for k in range(first, min(first + history, self.steps)) if self.recorder.wants(k))
        stops = (self._norm_every, self._look_every)
        return min(last + 1 - self.done, *(every - self.done % every for every in stops))

    def _compare_gradients(self, batch: Any) -> None:
        """Take the norms of the constraints' gradients without touching the generators."""
        random = RandomState.now(self.step.levels.device)
        self.norms.append(self.step.gradient_norms(self.state.parameters, batch).detach())
        random.restore()


class _Clock:
    """Decides when to show progress, to keep a checkpoint and to stop."""

    def __init__(self, hooks: Hooks, keeper: Keeper, before: float) -> None:
        self.hooks = hooks
        self.keeper = keeper
        self.before = before
        self.started = time.monotonic()
        self.shown = 0.0

    def seconds(self) -> float:
        """Time spent on this training, earlier parts included."""
        return self.before + time.monotonic() - self.started

    def tell(self, training: Training) -> None:
        """After a span of steps.

        Raises:
            Interrupted: The hooks said to stop; a checkpoint was kept.
        """
        hooks, now = self.hooks, time.monotonic()
        if hooks.progress and now - self.shown > 0.1:
            hooks.progress(training.done, training.steps, len(training.prepared.keys))
            self.shown = now
        stopping = hooks.stop is not None and hooks.stop()
        if stopping or self.keeper.due():
            self.keeper.save(training)
        if stopping:
            raise Interrupted


def _spread(values: list[Any], sizes: Mapping[str, int], like: Tensor) -> Tensor:
    """One number per constraint name to one per component, ``[C]``."""
    flat = [float(v) for v, size in zip(values, sizes.values(), strict=True) for _ in range(size)]
    return torch.tensor(flat, dtype=like.dtype, device=like.device)
