"""One fused training under way: spans of steps on R runs, and which of them go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cpd.engine.ahead import all_ahead
from cpd.engine.along import measure
from cpd.engine.bound import Tensors
from cpd.engine.checks import Checks
from cpd.engine.cohort import Cohort, Tree
from cpd.engine.counting import out_of_memory
from cpd.engine.dual import Clock
from cpd.engine.ending import Ends, ends_of
from cpd.engine.holding import holding
from cpd.engine.levels import moving
from cpd.engine.measuring import Measuring, has_feasible
from cpd.engine.method_groups import MethodGroups, resolved
from cpd.engine.minibatches import total_steps
from cpd.engine.prepared import Prepared, pads
from cpd.engine.pruning import START, Prune, given_up, margins
from cpd.engine.python_checkpoint import CannotKeep
from cpd.engine.python_state import PythonState
from cpd.engine.recipe import Recipe
from cpd.engine.recorder import Recorder
from cpd.engine.replay import Replay
from cpd.engine.step import State, Step
from cpd.engine.steppers.alone import Alone
from cpd.engine.steppers.stepper import Eager, Stepper
from cpd.engine.tree import joined, take
from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Train
from cpd.spec.recipes import train_of

LOOKS = 20
"""Times in a training at which a step is audited and it is looked which runs have ended, or are to be given up."""
LEAST_COMPACTED = 4
"""Runs of a batch from which those that have ended are taken out of it, once they are half of it."""
NORM_POINTS = 5
"""Points of a training, beside the end, at which constraint gradients are compared."""


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
        chosen: The stepper that goes on, by name, where that is decided: by ``auto``, or by an audit; None before.
        notes: What audits found.
        shapes: Of the minibatches for which steps were captured, in words.
        stepper: What executes the steps.
        replay: Audits its steps.
        prune: Which runs are given up; None for none.
        margin: How far from its level a constraint is far, ``[C]``; infinite where it does not count.
        measuring: When models are measured along the way; None for never.
        checks: When they are for how surely constraints hold at the end; None for never.
        ends: What was seen around the last parameters of the runs that went on to the end; None before.
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
    notes: list[str] = field(default_factory=list)
    shapes: list[str] = field(default_factory=list)
    stepper: Stepper = field(init=False)
    replay: Replay = field(init=False)
    prune: Prune | None = None
    margin: Tensor = field(default_factory=lambda: torch.zeros(0))
    measuring: Measuring | None = None
    checks: Checks | None = None
    ends: Ends | None = None

    @classmethod
    def begin(
        cls, prepared: Prepared, constraints: Mapping[str, Constraint], recipe: Train, prune: Prune | None = None
    ) -> Training:
        """Set up a training at its first step."""
        stack, keys = prepared.stack, prepared.keys
        steps = total_steps(recipe, prepared.data)
        recipes = [train_of(recipe, key.setting) for key in keys]
        own = Recipe(recipes, prepared.models.parameters, steps, prepared.batches.in_epoch)
        clock = Clock(steps, prepared.batches.in_epoch)
        step = _step(prepared, keys, prepared.models.fixed, constraints, own, clock)
        recorder = Recorder(steps, sum(stack.sizes.values()))
        state, like = step.start(prepared.models), step.levels
        points = len(range(0, steps, norm_interval(steps))) + 1
        norms = like.new_full((len(keys), points, len(stack.names)), float("nan"))
        in_epoch = prepared.batches.in_epoch
        has_held_out = prepared.held_out is not None
        measuring = Measuring.asked(recipe, steps, in_epoch, recorder.components, prepared.metrics, has_held_out)
        along = None if measuring is None else measuring.start(step, state)
        checks = Checks.asked(prepared.batches, steps, recorder.tail_start, measuring)
        checked = None if checks is None else checks.start(like)
        tree = Tree(state, recorder.start(like), norms, torch.zeros_like(state.active), along, checked)
        by_name = [constraints[n] for n in stack.names]
        counts = [prune is not None and prune.constraint in (None, n) for n in stack.names]
        margin = margins(
            _spread([c.tolerance for c in by_name], stack.sizes, like), _spread(counts, stack.sizes, like).bool()
        )
        going = Cohort(keys, step, tree)
        training = cls(
            prepared, recipe, constraints, recorder, steps, going, prune=prune, margin=margin, measuring=measuring
        )
        training.checks = checks
        training.stepper = training.written()
        return training

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

        Between two spans the training may be saved, or left: what has been done is in it. The first step of the
        training, one at each look and one after the last are audited: where they differ from those of a run alone, the
        training goes back to the last look that agreed, and on with steps that do not differ.
        """
        if self.done == 0:
            self.prepared.surroundings.restore()
        self.stepper = stepper
        replay = self.replay = Replay(self)
        while self.done < self.steps:
            if self._all_ended and replay.confirmed():
                break
            at_look = self.done % look_interval(self.steps) == 0
            if at_look and not replay.confirmed():
                continue
            if self.done and at_look:
                self.stepper = self._look(self.stepper)
                if not self.state.active.any():
                    break
            if self.done % norm_interval(self.steps) == 0:
                self.compare_gradients(self.done // norm_interval(self.steps))
            if self.done == self.recorder.tail_start:
                seen = tuple(map(torch.zeros_like, self.state.seen))
                self.put(state=self.state._replace(held=torch.zeros_like(self.state.held), seen=seen))
            before = self.done
            replay.advance(1 if at_look else self._span(self.stepper.history), audited=at_look)
            if self.done == self.steps:
                replay.settle()
            if self.measuring is not None and self.done > before and self.measuring.due(self.done):
                measure(self, self.measuring)
            if self.checks is not None and self.done > before and self.checks.due(self.done):
                self.checks.take(self)
            yield self.stepper
        self.compare_gradients(-1)
        self.look_around()

    @property
    def python(self) -> list[PythonState] | None:
        """What each of the runs that go on keeps in Python, where that is not the same."""
        return self.stepper.python if isinstance(self.stepper, Alone) else None

    @property
    def _all_ended(self) -> bool:
        """Whether runs may end early, and none goes on."""
        return self.measuring is not None and self.measuring.stop is not None and not self.state.active.any()

    @property
    def look(self) -> int:
        """How many looks there have been."""
        return self.done // look_interval(self.steps)

    def refuse_to_be_kept(self) -> None:
        """Raise where runs that go on alone have come to keep different things in Python.

        Raises:
            CannotKeep: They have.
        """
        if isinstance(self.stepper, Alone) and not self.stepper.alike():
            raise CannotKeep("what differs from run to run")

    def written(self) -> Stepper:
        """The steps as they are written, of all runs or of each alone: what nothing else is needed for."""
        if self.chosen == "alone":
            return Alone(self.going.step, self.going.keys, self.prepared.surroundings_now)
        return Eager(self.going.step)

    def put(self, **changed: Any) -> None:
        """Let the runs that go on stand otherwise: a part of their tree by name."""
        self.going = Cohort(self.going.keys, self.going.step, self.going.tree._replace(**changed))

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
        late = (self.state.late > 0).any(0).tolist()
        self.going.step.without = {name for name, has in zip(self.state.parameters, late, strict=True) if has}

    def compare_gradients(self, slot: int, rows: Tensor | None = None) -> None:
        """Take the norms of the constraints' gradients, leaving no trace; of these rows, ``[R]`` bool, or of all.

        Runs that have ended early keep those of their end.
        """
        sample = self.prepared.batches.sample()
        tree = self.going.tree
        with self.prepared.untouched():
            norms = self._norms(sample)
        if self.measuring is not None and self.measuring.stop is not None:
            rows = ~tree.ended if rows is None else rows
            norms = torch.where(rows.unsqueeze(1), norms, tree.norms[:, slot])
        tree.norms[:, slot] = norms

    def look_around(self) -> None:
        """See what there is around the parameters of the runs that went on to the end, leaving no trace."""
        if not self.state.active.any():
            return
        rows = list(range(self.prepared.models.runs))
        for stay in self.splits:
            rows = [rows[r] for r in stay]
        start = take(self.prepared.models.parameters, rows)
        sample = self.prepared.batches.sample()
        with self.prepared.untouched():
            self.ends = self._of_all(
                lambda step, state, start: ends_of(step, state, start, self.prepared.batches.copy_of(sample)), start
            )

    def _part(self, rows: list[int]) -> Cohort:
        """The cohort of these rows alone, at the same step."""
        keys = tuple(self.going.keys[r] for r in rows)
        fixed = take(self.going.step.fixed, rows)
        whole = self.going.step
        step = _step(self.prepared, keys, fixed, self.constraints, whole.recipe, whole.groups.clock)
        step.without = set(self.going.step.without)
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
        """Freeze the runs with a fixed penalty that will not come near their level any more, and have nothing kept."""
        tree, step = self.going.tree, self.going.step
        if step.moving is not None:  # what is far from a level may be on its way with it
            return
        kept = self.recorder.kept(tree.recorded, self.done)
        equality = step.groups.equality
        counts_below = torch.ones_like(equality) if prune.both_sides else equality
        left = (self.steps - self.done) / self.recorder.stride
        far = given_up(step.violation(kept), left, self.margin, counts_below)
        unmoved = [not REGISTRY[key.method].moves(resolved(key)) for key in self.going.keys]
        new = (
            far
            & self.state.active
            & torch.tensor(unmoved, device=far.device)
            & ~has_feasible(tree.along, step, self.state)
        )
        self.put(pruned=tree.pruned | new, state=self.state._replace(active=self.state.active & ~new))

    def _span(self, history: int) -> int:
        """Steps up to the last recorded one within ``history`` of the next, to the last tenth or to a look."""
        first = next(k for k in range(self.done, self.steps) if self.recorder.wants(k))
        last = max(k for k in range(first, min(first + history, self.steps)) if self.recorder.wants(k))
        stops = (norm_interval(self.steps), look_interval(self.steps))
        to_tail = [left] if (left := self.recorder.tail_start - self.done) > 0 else []
        to_measure = [] if self.measuring is None else [self.measuring.left(self.done)]
        to_check = None if self.checks is None else self.checks.left(self.done)
        to_measure += [] if to_check is None else [to_check]
        return min(last + 1 - self.done, *to_tail, *to_measure, *(every - self.done % every for every in stops))

    def _norms(self, sample: Any) -> Tensor:
        norms: Tensor = self._of_all(lambda step, state, _: step.gradient_norms(state, sample), ())
        return norms

    def _of_all(self, look: Callable[[Step, State, Any], Any], own: Any) -> Any:
        """What a look at the runs gives, of all together or of each alone; ``own`` is a tree of what else they have."""
        step, state = self.going.step, self.state
        if self.chosen != "alone":
            try:
                return look(step, state, own)
            except CpdError:
                raise
            except Exception as error:
                if out_of_memory(error) or not self.prepared.stack.fused:
                    raise
        rows = [look(step.alone(key, r), take(state, [r]), take(own, [r])) for r, key in enumerate(self.going.keys)]
        return joined(rows[0], rows)


def look_interval(steps: int) -> int:
    """Every how many steps there is a look."""
    return _every(steps, LOOKS)


def norm_interval(steps: int) -> int:
    """Every how many steps constraint gradients are compared."""
    return _every(steps, NORM_POINTS)


def _every(steps: int, times: int) -> int:
    """Every how many steps something is done so many times in a training."""
    return max(1, steps // times)


def _step(
    prepared: Prepared,
    keys: tuple[RunKey, ...],
    fixed: Tensors,
    constraints: Mapping[str, Constraint],
    recipe: Recipe,
    clock: Clock,
) -> Step:
    """The step of some runs of a training."""
    stack = prepared.stack
    like = next(iter(prepared.models.parameters.values()))
    by_name = [constraints[n] for n in stack.names]
    sign = _spread([-1.0 if c.sense == ">=" else 1.0 for c in by_name], stack.sizes, like)
    equality = _spread([c.sense == "==" for c in by_name], stack.sizes, like).bool()
    levels = torch.stack([_spread([k.levels[n] for n in stack.names], stack.sizes, like) for k in keys])
    groups = MethodGroups(keys, stack.sizes, equality, like, clock, prepared.features)
    path = moving(keys, constraints, stack.sizes, clock.steps, like)
    total = like.new_tensor([clock.steps])
    held = holding(keys, constraints, stack.sizes, like)
    step = Step(stack, groups, sign, levels, path, fixed, recipe, held, total)
    if (recipe.window > 1 or all_ahead(step.groups)) and (prepared.draws or prepared.stateful):
        step.again = prepared.surroundings_now
    return step


def _spread(values: list[Any], sizes: Mapping[str, int], like: Tensor) -> Tensor:
    """One number per constraint name to one per component, ``[C]``."""
    flat = [float(v) for v, size in zip(values, sizes.values(), strict=True) for _ in range(size)]
    return torch.tensor(flat, dtype=like.dtype, device=like.device)
