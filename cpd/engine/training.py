"""One fused training under way: spans of steps on R runs, and which of them go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.generators import RandomState
from cpd.engine.holding import holding
from cpd.engine.method_groups import MethodGroups, resolved
from cpd.engine.minibatches import total_steps
from cpd.engine.preparing import Prepared, pads
from cpd.engine.pruning import START, Prune, given_up, margins
from cpd.engine.recorder import Recorded, Recorder
from cpd.engine.stacked import Tensors
from cpd.engine.step import State, Step
from cpd.engine.steppers.stepper import Stepper
from cpd.engine.tree import take
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Train

LOOKS = 20
"""Times in a training at which it is looked which runs have ended: diverged, or to be given up."""
LEAST_COMPACTED = 4
"""Runs of a batch from which those that have ended are taken out of it, once they are half of it."""
NORM_POINTS = 5
"""Points of a training, beside the end, at which constraint gradients are compared."""


class Tree(NamedTuple):
    """All that changes while runs are trained, with the runs first: what is cut, saved and loaded as one.

    Attributes:
        state: What a step changes.
        recorded: The curves and the last tenth.
        norms: Norms of the constraints' gradients, ``[R, points, names]``; NaN where not taken yet.
        pruned: ``[R]`` bool: the runs that were given up.
    """

    state: State
    recorded: Recorded
    norms: Tensor
    pruned: Tensor


@dataclass(frozen=True)
class Cohort:
    """Runs that go through the steps together.

    Attributes:
        keys: The runs.
        step: Their step.
        tree: How they stand.
    """

    keys: tuple[RunKey, ...]
    step: Step
    tree: Tree


@dataclass
class Training:
    """One fused training under way.

    Attributes:
        prepared: What it started from.
        recorder: Which steps are kept.
        steps: Steps of a whole training.
        going: The runs that are trained on.
        left: Runs that were taken out, as they stood.
        splits: For each time that runs were taken out, the rows that stayed.
        done: Steps done.
        seconds: Time spent, earlier parts of a resumed training included.
        chosen: The stepper that ``auto`` has decided on, by name; None before.
        prune: Which runs are given up; None for none.
        margin: How far from its level a constraint is far, ``[C]``; infinite where it does not count.
    """

    prepared: Prepared
    recipe: Train
    constraints: Mapping[str, Constraint]
    recorder: Recorder
    steps: int
    going: Cohort
    left: list[Cohort] = field(default_factory=list)
    splits: list[list[int]] = field(default_factory=list)
    done: int = 0
    seconds: float = 0.0
    chosen: str | None = None
    prune: Prune | None = None
    margin: Tensor = field(default_factory=lambda: torch.zeros(0))

    @classmethod
    def begin(
        cls, prepared: Prepared, constraints: Mapping[str, Constraint], recipe: Train, prune: Prune | None = None
    ) -> Training:
        """Set up a training at its first step."""
        stack, keys = prepared.stack, prepared.keys
        step = _step(prepared, keys, prepared.models.fixed, constraints, recipe)
        steps = total_steps(recipe, prepared.data)
        recorder = Recorder(steps, sum(stack.sizes.values()))
        state, like = step.start(prepared.models), step.levels
        points = len(range(0, steps, _every(steps, NORM_POINTS))) + 1
        norms = like.new_full((len(keys), points, len(stack.names)), float("nan"))
        tree = Tree(state, recorder.start(like), norms, torch.zeros_like(state.active))
        by_name = [constraints[n] for n in stack.names]
        counts = [prune is not None and prune.constraint in (None, n) for n in stack.names]
        margin = margins(
            _spread([c.tolerance for c in by_name], stack.sizes, like), _spread(counts, stack.sizes, like).bool()
        )
        going = Cohort(keys, step, tree)
        return cls(prepared, recipe, constraints, recorder, steps, going, prune=prune, margin=margin)

    @property
    def keys(self) -> tuple[RunKey, ...]:
        """All runs, those that were taken out included."""
        return self.prepared.keys

    @property
    def cohorts(self) -> list[Cohort]:
        """All runs as they stand: those that were taken out, then those that go on."""
        return [*self.left, self.going]

    @property
    def state(self) -> State:
        """What the steps of the runs that go on have come to."""
        return self.going.tree.state

    def spans(self, stepper: Stepper) -> Iterator[Stepper]:
        """Train to the end, some steps at a time; yields, after each span, what executed it.

        Between two spans the training may be saved, or left: what has been done is in it.
        """
        if self.done == 0:
            self.prepared.random.restore()
        while self.done < self.steps:
            if self.done and self.done % _every(self.steps, LOOKS) == 0:
                stepper = self._look(stepper)
                if not self.state.active.any():
                    break
            if self.done % _every(self.steps, NORM_POINTS) == 0:
                self._compare_gradients(self.done // _every(self.steps, NORM_POINTS))
            if self.done == self.recorder.tail_start:
                self._put(state=self.state._replace(held=torch.zeros_like(self.state.held)))
            n = self._span(stepper.history)
            state, records = stepper(self.state, self.prepared.batches, n)
            self._put(state=state)
            self.done += n
            self.recorder.keep_many(self.going.tree.recorded, self.done - len(records.objective), records)
            yield stepper
        self._compare_gradients(-1)

    def split(self, stay: list[int]) -> None:
        """Go on with these rows alone; the others are kept as they stand, in ``left``."""
        gone = [r for r in range(len(self.going.keys)) if r not in set(stay)]
        self.left.append(self._part(gone))
        self.going = self._part(stay)
        self.splits.append(stay)

    def put_back(self, trees: list[Tree]) -> None:
        """Let all cohorts stand as in these trees, in the order of :attr:`cohorts`."""
        *left, self.going = (Cohort(c.keys, c.step, tree) for c, tree in zip(self.cohorts, trees, strict=True))
        self.left = left

    def _put(self, **changed: Any) -> None:
        self.going = Cohort(self.going.keys, self.going.step, self.going.tree._replace(**changed))

    def _part(self, rows: list[int]) -> Cohort:
        """The cohort of these rows alone, at the same step."""
        keys = tuple(self.going.keys[r] for r in rows)
        fixed = take(self.going.step.fixed, rows)
        step = _step(self.prepared, keys, fixed, self.constraints, self.recipe)
        return Cohort(keys, step, take(self.going.tree, rows))

    def _look(self, stepper: Stepper) -> Stepper:
        """Give up what is to be given up, and take the runs that have ended out of the batch where they are many."""
        if self.prune is not None and self.done >= START * self.steps:
            self._give_up(self.prune)
        active = self.state.active.tolist()
        stay = [r for r, on in enumerate(active) if on]
        if not stay or len(active) < LEAST_COMPACTED or len(stay) > len(active) / 2:
            return stepper
        if len(stay) == 1 and pads(self.prepared.run_size):  # a lone run's last bits are not those of a batch
            stay = sorted([*stay, active.index(False)])
        rebuild = stepper.rebuild()
        if rebuild is None:
            return stepper
        self.split(stay)
        return rebuild(self.going.step)

    def _give_up(self, prune: Prune) -> None:
        """Freeze the runs with a fixed penalty that will not come near their level any more."""
        tree, step = self.going.tree, self.going.step
        kept = self.recorder.kept(tree.recorded, self.done)
        equality = step.groups.equality
        counts_below = torch.ones_like(equality) if prune.both_sides else equality
        left = (self.steps - self.done) / self.recorder.stride
        far = given_up(step.violation(kept), left, self.margin, counts_below)
        unmoved = [not REGISTRY[key.method].moves(resolved(key)) for key in self.going.keys]
        new = far & self.state.active & torch.tensor(unmoved, device=far.device)
        self._put(pruned=tree.pruned | new, state=self.state._replace(active=self.state.active & ~new))

    def _span(self, history: int) -> int:
        """Steps up to the last recorded one within ``history`` of the next, to the last tenth or to a look."""
        first = next(k for k in range(self.done, self.steps) if self.recorder.wants(k))
        last = max(k for k in range(first, min(first + history, self.steps)) if self.recorder.wants(k))
        stops = (_every(self.steps, NORM_POINTS), _every(self.steps, LOOKS))
        to_tail = [left] if (left := self.recorder.tail_start - self.done) > 0 else []
        return min(last + 1 - self.done, *to_tail, *(every - self.done % every for every in stops))

    def _compare_gradients(self, slot: int) -> None:
        """Take the norms of the constraints' gradients without touching the generators."""
        random = RandomState.now(self.going.step.levels.device)
        norms = self.going.step.gradient_norms(self.state, self.prepared.batches.sample())
        self.going.tree.norms[:, slot] = norms
        random.restore()


def _every(steps: int, times: int) -> int:
    """Every how many steps something is done so many times in a training."""
    return max(1, steps // times)


def _step(
    prepared: Prepared,
    keys: tuple[RunKey, ...],
    fixed: Tensors,
    constraints: Mapping[str, Constraint],
    recipe: Train,
) -> Step:
    """The step of some runs of a training."""
    stack = prepared.stack
    like = next(iter(prepared.models.parameters.values()))
    by_name = [constraints[n] for n in stack.names]
    sign = _spread([-1.0 if c.sense == ">=" else 1.0 for c in by_name], stack.sizes, like)
    equality = _spread([c.sense == "==" for c in by_name], stack.sizes, like).bool()
    levels = torch.stack([_spread([k.levels[n] for n in stack.names], stack.sizes, like) for k in keys])
    groups = MethodGroups(keys, stack.sizes, equality, like)
    return Step(stack, groups, sign, levels, fixed, recipe.optimizer, holding(keys, constraints, stack.sizes, like))


def _spread(values: list[Any], sizes: Mapping[str, int], like: Tensor) -> Tensor:
    """One number per constraint name to one per component, ``[C]``."""
    flat = [float(v) for v, size in zip(values, sizes.values(), strict=True) for _ in range(size)]
    return torch.tensor(flat, dtype=like.dtype, device=like.device)
