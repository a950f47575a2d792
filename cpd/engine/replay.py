"""Audited replay of a training: steps are used only as long as they agree with those of one run alone."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from torch import Tensor

from cpd.engine.audit import Asked, Finding, audit, audited_row
from cpd.engine.cohort import Cohort
from cpd.engine.counting import out_of_memory
from cpd.engine.prepared import Prepared
from cpd.engine.recorder import Record, Recorder
from cpd.engine.step import State
from cpd.engine.steppers.stepper import Stepper
from cpd.engine.surroundings import Surroundings
from cpd.engine.tracebacks import ItemRaised, first_line
from cpd.engine.tree import mapped
from cpd.errors import CpdError


class Audited(Protocol):
    """A training under way, see :class:`cpd.engine.training.Training`."""

    prepared: Prepared
    recorder: Recorder
    stepper: Stepper
    going: Cohort
    left: list[Cohort]
    splits: list[list[int]]
    done: int
    chosen: str | None
    notes: list[str]

    @property
    def state(self) -> State:
        """Of the runs that go on."""

    @property
    def cohorts(self) -> list[Cohort]:
        """All runs."""

    @property
    def look(self) -> int:
        """How many looks there have been."""

    def put(self, **changed: Any) -> None:
        """Let the runs that go on stand otherwise."""

    def written(self) -> Stepper:
        """Steps as they are written."""


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


class Replay:
    """Makes a training's steps, and compares some of them.

    Where one differs, the training goes back to the last look that agreed, and on with steps as they are written, or
    run by run; a note says so.

    Args:
        training: What is trained; its stepper is what executes the steps.
    """

    def __init__(self, training: Audited) -> None:
        self.training = training
        self.agreed = self._moment()

    @property
    def compares(self) -> bool:
        """Whether there is something to compare: one run alone is what others are compared with."""
        return self.training.prepared.stack.fused and self.training.stepper.name != "alone"

    def advance(self, n: int, *, audited: bool) -> None:
        """Make n steps and keep their records; an audited one is compared, and is one."""
        training = self.training
        moment = self._moment() if audited and self.compares else None
        made = self._made(n, moment)
        if isinstance(made, Finding):
            self._go_back(made)
            return
        state, records = made
        training.put(state=state)
        training.done += n
        training.recorder.keep_many(training.going.tree.recorded, training.done - len(records.objective), records)
        self.agreed = moment or self.agreed

    def settle(self, row: int | None = None) -> None:
        """Audit the training as it stands, for it, or a run, is to be saved or has ended; go back where it differs."""
        if not self.compares or not self.confirmed():
            return
        before = self._moment()
        made = self._made(1, before, row)
        self.training.prepared.batches.put_back()
        before.surroundings.restore()
        if isinstance(made, Finding):
            self._go_back(made)
        else:
            self.agreed = before

    def settled_here(self) -> None:
        """What was settled has been changed since: the training would start again from how it stands now."""
        self.agreed = self._moment()

    def tried(self, stepper: Stepper, steps: int) -> Finding | None:
        """What audits find of the next steps as a stepper makes them."""
        self.training.stepper = stepper
        for _ in range(steps):
            made = self._made(1, self._moment())
            if isinstance(made, Finding):
                return made
            self.training.put(state=made[0])
        return None

    def confirmed(self) -> bool:
        """Whether a run that has diverged since the last look does so alone; the training has gone back where not.

        The steps up to there are made again, and the two are compared that led to what was not finite.
        """
        training = self.training
        at = self.agreed
        if not self.compares or training.done == at.done:
            return True
        before = at.cohorts[-1].tree.state.active.tolist()
        now, steps = training.state.active.tolist(), training.state.steps.tolist()
        ended = training.going.tree.ended.tolist()
        lost = [row for row, on in enumerate(now) if before[row] and not on and not ended[row]]
        if not lost:
            return True
        row = min(lost, key=lambda r: steps[r])
        here = self._moment()
        self._stand_at(at)
        found = self._made_again(steps[row] - training.done, row)
        if found is not None:
            self._go_back(found)
            return False
        self._stand_at(here)
        return True

    def _made_again(self, n: int, row: int) -> Finding | None:
        """Go on by n steps and one, keeping no records; the last two are compared, of this run."""
        spans = [(n - 1, False)] if n > 1 else []
        for many, audited in [*spans, *[(1, True)] * min(n + 1, 2)]:
            made = self._made(many, self._moment() if audited else None, row)
            if isinstance(made, Finding):
                return made
            self.training.put(state=made[0])
        return None

    def _made(self, n: int, audited: Moment | None, row: int | None = None) -> tuple[State, Record] | Finding:
        """Make n steps; one that is audited is compared, of this run or of the look's."""
        training = self.training
        batches = training.prepared.batches
        batch = None if audited is None else batches.peek()
        before = training.state
        try:
            state, records = training.stepper(before, batches, n)
        except (CpdError, ItemRaised):
            raise
        except Exception as error:
            if out_of_memory(error) or not self.compares:
                raise
            return Finding(first_line(error), fused=training.stepper.name == "eager")
        if audited is None:
            return state, records
        going = training.going
        asked = Asked(going.step, going.keys, before, lambda: batches.copy_of(batch), audited.surroundings)
        row = audited_row(asked, training.look) if row is None else row
        if row is None:
            return state, records
        ended = training.prepared.surroundings_now()
        found = audit(asked, row, state, Record(*(value[0] for value in records)))
        ended.restore()
        return (state, records) if found is None else found

    def _go_back(self, found: Finding) -> None:
        """Start again from the last look that agreed, with steps that are replayed less."""
        training = self.training
        how = "run by run" if found.fused else "as they are written"
        training.notes.append(
            f"{training.stepper.name} steps from {self.agreed.done:,} on were made again {how}: {found.what}"
        )
        training.chosen = "alone" if found.fused else "eager"
        self._stand_at(self.agreed)
        training.stepper = training.written()

    def _stand_at(self, moment: Moment) -> None:
        training = self.training
        *training.left, training.going = moment.cohorts
        del training.splits[moment.splits :]
        training.done = moment.done
        training.prepared.batches.restore(*moment.order)
        moment.surroundings.restore()

    def _moment(self) -> Moment:
        training = self.training
        if training.stepper.overwrites:
            training.put(state=mapped(Tensor.clone, training.state))
        order = training.prepared.batches.state()
        surroundings = training.prepared.surroundings_now()
        return Moment(tuple(training.cohorts), len(training.splits), training.done, surroundings, order)
