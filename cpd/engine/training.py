"""One fused training under way: spans of steps on R runs, and which of them go on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.audit import Asked, Finding, audit, audited_row
from cpd.engine.counting import out_of_memory
from cpd.engine.holding import holding
from cpd.engine.method_groups import MethodGroups, resolved
from cpd.engine.minibatches import total_steps
from cpd.engine.prepared import Prepared, pads
from cpd.engine.pruning import START, Prune, given_up, margins
from cpd.engine.python_checkpoint import CannotKeep
from cpd.engine.recorder import Record, Recorded, Recorder
from cpd.engine.stacked import Tensors
from cpd.engine.step import State, Step
from cpd.engine.steppers.alone import Alone
from cpd.engine.steppers.stepper import Eager, Stepper
from cpd.engine.surroundings import Surroundings
from cpd.engine.tree import mapped, take
from cpd.engine.trial import first_line
from cpd.errors import CpdError
from cpd.methods.registry import REGISTRY
from cpd.outcome import RunKey
from cpd.spec.models import Constraint, Train

LOOKS = 20
"""Times in a training at which a step is audited and it is looked which runs have ended, or are to be given up."""
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


class Moment(NamedTuple):
    """A look at which a training can start again: it has agreed with one run alone up to there.

    Attributes:
        cohorts: All runs as they stood, those that go on last.
        splits: How often runs had been taken out.
        done: Steps done.
        surroundings: Generators and Python's state.
        order: Where the minibatches stood.
    """

    cohorts: tuple[Cohort, ...]
    splits: int
    done: int
    surroundings: Surroundings
    order: tuple[Tensor, int]


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
        stepper: What executes the steps.
        agreed: The last look at which audits agreed.
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
    notes: list[str] = field(default_factory=list)
    stepper: Stepper = field(init=False)
    agreed: Moment | None = None
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
        points = len(range(0, steps, norm_interval(steps))) + 1
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

        Between two spans the training may be saved, or left: what has been done is in it. The first step of the
        training, one at each look and one after the last are audited: where they differ from those of a run alone, the
        training goes back to the last look that agreed, and on with steps that do not differ.
        """
        if self.done == 0:
            self.prepared.surroundings.restore()
        self.stepper = stepper
        self.agreed = self._moment()
        while self.done < self.steps:
            if self.done and self.done % _every(self.steps, LOOKS) == 0:
                self.stepper = self._look(self.stepper)
                if not self.state.active.any():
                    break
            if self.done % norm_interval(self.steps) == 0:
                self._compare_gradients(self.done // norm_interval(self.steps))
            if self.done == self.recorder.tail_start:
                self._put(state=self.state._replace(held=torch.zeros_like(self.state.held)))
            at_look = self._audits() and self.done % _every(self.steps, LOOKS) == 0
            moment = self._moment() if at_look else None
            found = self._advance(1 if at_look else self._span(self.stepper.history), moment)
            if found is not None:
                self._go_back(found)
            elif moment is not None:
                self.agreed = moment
            if self.done == self.steps:
                self.settle()
            yield self.stepper
        self._compare_gradients(-1)

    def tried(self, stepper: Stepper, steps: int) -> Finding | None:
        """What audits find of the first steps as a stepper makes them."""
        self.prepared.surroundings.restore()
        self.stepper = stepper
        for _ in range(min(steps, self.steps)):
            found = self._advance(1, self._moment())
            if found is not None:
                return found
        return None

    def settle(self) -> None:
        """Audit the training as it stands, for it is to be saved or has ended; go back where it does not agree."""
        if not self._audits():
            return
        before = self._moment()
        made = self._made(1, before)
        self.prepared.batches.put_back()
        before.surroundings.restore()
        if isinstance(made, Finding):
            self._go_back(made)
        else:
            self.agreed = before

    def _audits(self) -> bool:
        """Whether there is something to compare: one run alone is what others are compared with."""
        return self.prepared.stack.fused and self.stepper.name != "alone"

    def _advance(self, n: int, audited: Moment | None) -> Finding | None:
        """Go on by n steps and keep their records; or say what is wrong with them."""
        made = self._made(n, audited)
        if isinstance(made, Finding):
            return made
        state, records = made
        self._put(state=state)
        self.done += n
        self.recorder.keep_many(self.going.tree.recorded, self.done - len(records.objective), records)
        return None

    def _made(self, n: int, audited: Moment | None) -> tuple[State, Record] | Finding:
        """Make n steps; one that is audited is compared."""
        batch = None if audited is None else self.prepared.batches.peek()
        try:
            state, records = self.stepper(self.state, self.prepared.batches, n)
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error) or not self._audits():
                raise
            return Finding(first_line(error), fused=self.stepper.name == "eager")
        if audited is None:
            return state, records
        asked = Asked(self.going.step, self.going.keys, self.state, batch, audited.surroundings)
        row = audited_row(asked, self.done // _every(self.steps, LOOKS))
        if row is None:
            return state, records
        ended = self._surroundings()
        found = audit(asked, row, state, Record(*(value[0] for value in records)))
        ended.restore()
        return (state, records) if found is None else found

    def _go_back(self, found: Finding) -> None:
        """Start again from the last look that agreed, with steps that are replayed less."""
        assert self.agreed is not None, "every span begins with a moment"
        how = "run by run" if found.fused else "as they are written"
        self.notes.append(f"{self.stepper.name} steps from {self.agreed.done:,} on were made again {how}: {found.what}")
        self.chosen = "alone" if found.fused else "eager"
        *self.left, self.going = self.agreed.cohorts
        del self.splits[self.agreed.splits :]
        self.done = self.agreed.done
        self.prepared.batches.restore(*self.agreed.order)
        self.agreed.surroundings.restore()
        self.stepper = self.written()

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
            return Alone(self.going.step, self.going.keys, self._surroundings)
        return Eager(self.going.step)

    def _surroundings(self) -> Surroundings:
        stack = self.prepared.stack
        return Surroundings.now(self.prepared.device, stack.problem, stack.model)

    def _moment(self) -> Moment:
        order = self.prepared.batches.state()
        if self.stepper.overwrites:
            self._put(state=mapped(Tensor.clone, self.state))
        return Moment(tuple(self.cohorts), len(self.splits), self.done, self._surroundings(), order)

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

    def _put(self, **changed: Any) -> None:
        self.going = Cohort(self.going.keys, self.going.step, self.going.tree._replace(**changed))

    def _part(self, rows: list[int]) -> Cohort:
        """The cohort of these rows alone, at the same step."""
        keys = tuple(self.going.keys[r] for r in rows)
        fixed = take(self.going.step.fixed, rows)
        step = _step(self.prepared, keys, fixed, self.constraints, self.recipe)
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
        stops = (norm_interval(self.steps), _every(self.steps, LOOKS))
        to_tail = [left] if (left := self.recorder.tail_start - self.done) > 0 else []
        return min(last + 1 - self.done, *to_tail, *(every - self.done % every for every in stops))

    def _compare_gradients(self, slot: int) -> None:
        """Take the norms of the constraints' gradients, leaving no trace."""
        sample = self.prepared.batches.sample()
        with self.prepared.untouched():
            self.going.tree.norms[:, slot] = self._norms(sample)

    def _norms(self, sample: Any) -> Tensor:
        step, state = self.going.step, self.state
        if self.chosen != "alone":
            try:
                return step.gradient_norms(state, sample)
            except CpdError:
                raise
            except Exception as error:
                if out_of_memory(error) or not self.prepared.stack.fused:
                    raise
        rows = enumerate(self.going.keys)
        return torch.cat([step.alone(key, r).gradient_norms(take(state, [r]), sample) for r, key in rows])


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
