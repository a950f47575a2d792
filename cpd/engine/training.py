"""The one training loop: R runs fused on stacked parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cpd.engine.building import Prepared
from cpd.engine.keeping import Keeper
from cpd.engine.minibatches import total_steps
from cpd.engine.program import Advance
from cpd.engine.recording import Recorder
from cpd.engine.segments import Segments
from cpd.engine.stacking import RandomState
from cpd.engine.step import State, Step
from cpd.spec import Constraint, Train

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

    @classmethod
    def begin(cls, prepared: Prepared, constraints: Mapping[str, Constraint], train: Train) -> Training:
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
        return cls(prepared, step, step.start(), Recorder(steps, levels), steps)

    def run(self, hooks: Hooks, keeper: Keeper, advance: Advance) -> None:
        """Train to the end.

        Raises:
            Interrupted: ``hooks.stop`` said so.
        """
        clock = _Clock(hooks, keeper, self.seconds)
        if self.done == 0:
            self.prepared.random.restore()
        while self.done < self.steps:
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

    def _span(self, history: int) -> int:
        """Steps up to the last recorded one that is within ``history`` of the next, or to a comparison of gradients."""
        first = next(k for k in range(self.done, self.steps) if self.recorder.wants(k))
        last = max(k for k in range(first, min(first + history, self.steps)) if self.recorder.wants(k))
        return min(last + 1 - self.done, self._norm_every - self.done % self._norm_every)

    def _compare_gradients(self, batch: Any) -> None:
        """Take the norms of the constraints' gradients without touching the generators."""
        random = RandomState.now(self.step.levels.device)
        self.norms.append(self.step.gradient_norms(self.state.parameters, batch).detach())
        random.restore()

    def checkpoint(self) -> tuple[dict[str, Tensor], dict[str, Any]]:
        """Everything that a training needs to go on bit by bit: tensors by name, and plain numbers."""
        random = RandomState.now(self.step.levels.device)
        order, taken = self.prepared.batches.state()
        tensors = {f"state.{k}": leaf.detach() for k, leaf in enumerate(self._leaves()) if isinstance(leaf, Tensor)}
        tensors |= {f"recorder.{n}": b for n, b in self.recorder.buffers.items()}
        tensors |= {f"norms.{k}": n for k, n in enumerate(self.norms)}
        tensors |= {"random.cpu": random.cpu, "order": order}
        if random.cuda is not None:
            tensors["random.cuda"] = random.cuda
        kept = {n: sorted(s) for n, s in self.state.optimizer.items()}
        return tensors, {
            "done": self.done,
            "seconds": self.seconds,
            "taken": taken,
            "optimizer": kept,
            "engine": self.engine,
        }

    def resume(self, tensors: dict[str, Tensor], meta: dict[str, Any]) -> None:
        """Go on where :meth:`checkpoint` was taken."""
        device = self.step.levels.device
        kept = {n: dict.fromkeys(names) for n, names in meta["optimizer"].items()}
        self.state = self.state._replace(optimizer=kept)
        leaves = [tensors.get(f"state.{k}") for k in range(len(self._leaves()))]
        self.state = _filled(self.state, leaves, device)
        self.recorder.buffers = {n: tensors[f"recorder.{n}"].to(device) for n in self.recorder.buffers}
        self.norms = [tensors[f"norms.{k}"].to(device) for k in range(sum(n.startswith("norms.") for n in tensors))]
        RandomState(device, tensors["random.cpu"], tensors.get("random.cuda")).restore()
        self.prepared.batches.restore(tensors["order"], meta["taken"])
        self.done, self.seconds, self.engine = meta["done"], meta["seconds"], meta["engine"]

    def _leaves(self) -> list[Any]:
        state = self.state
        kept = [kept[n] for kept in state.optimizer.values() for n in sorted(kept)]
        dual = [leaf for part in state.dual for leaf in part]
        return [*state.parameters.values(), *kept, *dual, state.active, state.steps]


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


def _filled(state: State, leaves: list[Any], device: torch.device) -> State:
    """Put saved leaves, in the order of ``Training._leaves``, back into a state of the same shape."""
    rest = iter(leaves)
    with torch.no_grad():
        for parameter in state.parameters.values():
            parameter.copy_(next(rest))
    optimizer = {n: {key: _placed(next(rest), device) for key in sorted(kept)} for n, kept in state.optimizer.items()}
    dual = tuple(type(part)(*(next(rest).to(leaf.device) for leaf in part)) for part in state.dual)
    active, steps = (next(rest).to(old.device) for old in (state.active, state.steps))
    return State(state.parameters, optimizer, dual, active, steps)


def _placed(leaf: Any, device: torch.device) -> Any:
    """Optimizers keep their step counter, a scalar, on the CPU."""
    return leaf.to(device) if isinstance(leaf, Tensor) and leaf.dim() else leaf


def _spread(values: list[Any], sizes: Mapping[str, int], like: Tensor) -> Tensor:
    """One number per constraint name to one per component, ``[C]``."""
    flat = [float(v) for v, size in zip(values, sizes.values(), strict=True) for _ in range(size)]
    return torch.tensor(flat, dtype=like.dtype, device=like.device)
