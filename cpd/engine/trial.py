"""The first evaluations of runs that are to train together: nothing of them is used that was not compared."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cpd.engine.agreement import disagreement, shake
from cpd.engine.bound import Tensors, named_tensors
from cpd.engine.counting import Counter, out_of_memory
from cpd.engine.iterators import not_set_back
from cpd.engine.loading import ProblemRaised
from cpd.engine.minibatches import Minibatches
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import batched_names, stuck_names
from cpd.engine.refusals import refusal_of, refused_in_words
from cpd.engine.stacked import Gradients, Measures, Models, Stacked
from cpd.engine.tracebacks import ItemRaised, first_line
from cpd.engine.tree import leaves, take
from cpd.engine.two_players import TwoPlayers
from cpd.errors import CpdError, SpecError
from cpd.problem import Observed

MOST_COMPARED = 2**24
"""Numbers in the data up to which it is seen whether an evaluation changed them in a way that torch does not notice."""
OTHERS = 2
"""Evaluations more in which a generator must have been drawn from: a cluster's own threads draw now and then."""
GRADIENT_WITHIN = 8
"""Minibatches in which some constraint must show a gradient."""
SHOWN = 3
"""Names that a note gives."""


class Trial:
    """Evaluates one run as plain PyTorch, then all of them as one, and compares; nothing is trained.

    Args:
        prepared: What is tried; what is learned is written into it.
        minibatches: Those of the training, from its start.
        target: Where the problem is, for errors.
        notes: What the user should know is added.
    """

    def __init__(self, prepared: Prepared, minibatches: Minibatches, target: str, notes: list[str]) -> None:
        self.prepared = prepared
        self.minibatches = minibatches
        self.target = target
        self.notes = notes
        self.alone = prepared.stack.alone() if prepared.stack.fused else prepared.stack
        self.problem = type(prepared.stack.problem).__name__
        self.moved: str | None = None

    def passed(self) -> bool:
        """Whether the runs can train as one program, or are one.

        Raises:
            CpdError: What the problem returns does not keep the contract; it changes what is not its own; nothing of
                it has a gradient.
            ProblemRaised: The user's code raised.
        """
        passed = self._compared()
        self.prepared.stack.put_back()
        self.prepared.surroundings.restore()
        return passed

    def judging(self) -> None:
        """Find how models are judged where nothing is trained.

        Raises:
            CpdError: What ``measure`` returns does not keep the contract, or it changes the data.
            ProblemRaised: It raises however it is called.
        """
        self._choose_measures()
        self.prepared.stack.put_back()
        self.prepared.surroundings.restore()

    def _compared(self) -> bool:
        first = self.minibatches.next()
        second = None if self.minibatches.batch_size is None else self.minibatches.last()
        with self._telling("evaluate"):
            self._look_around(first)
            right = self._plain(0, first)
            self._check_gradients()
        if not self.prepared.stack.fused:
            self.prepared.counted = 1
            self._choose_measures()
            return True
        refused = self._refused(first, second, right)
        if refused is not None:
            self.notes.append(f"cannot be fused, runs train one at a time: {refused}")
            return False
        self._choose_measures()
        return True

    def _plain(self, row: int, batch: Any, k: int | None = None) -> Tensors:
        """One run alone, from its start; with parameters shaken by rounding where ``k`` is given."""
        self.prepared.surroundings.restore()
        models = take(self.prepared.models, [row])
        if k is not None:
            models = models._replace(parameters=shake(models.parameters, k, self.alone.autocast))
        at = self.alone.evaluate(models.trained(), self.minibatches.copy_of(batch))
        return _numbers(*_with_gradients(at), 0)

    def _look_around(self, batch: Any) -> None:
        """Learn what an evaluation draws and changes, and refuse what must not be changed."""
        prepared = self.prepared
        data = _tensors(prepared.batches.data)
        before = [t.clone() if t.numel() <= MOST_COMPARED else None for t in data]
        versions = [t._version for t in data]
        models = take(prepared.models, [0])
        known = set(named_tensors(self.alone.model))
        prepared.surroundings.restore()
        with prepared.counter:
            at = self.alone.evaluate(models.trained(), self.minibatches.copy_of(batch))
        once = _numbers(*_with_gradients(at), 0)  # at once, for the next evaluation writes into the same model
        changes = self._own_changes(models, batch)
        self._refuse_stuck(changes)
        prepared.draws = "torch" in prepared.surroundings.random.drawn_since()
        unchanged = all(b is None or _same(b, t) for b, t in zip(before, data, strict=True))
        if versions != [t._version for t in data] or not unchanged:
            raise self._changed_data("evaluate")
        self._see_moved(models)
        self._look_at_others(models)
        prepared.models = prepared.models.told_apart(at.buffers)
        added = {n: t.detach().clone() for n, t in named_tensors(self.alone.model).items() if n not in known}
        again = self._plain(0, batch)
        self._refuse_added(added)
        if disagreement(once, again, {}, lambda k: self._plain(0, batch, k), self.alone.autocast) is not None:
            changes.append("depends on what cannot be seen: called again it gives other numbers")
        prepared.stateful = tuple(changes)
        if changes:
            named = ", ".join(changes[:SHOWN]) + (", ..." if len(changes) > SHOWN else "")
            self.notes.append(
                f"evaluate() {named}: steps run as they are written, neither captured nor compiled; faster: state in a "
                "buffer of the model, random numbers of torch"
            )

    def _look_at_others(self, models: Models) -> None:
        """Learn what an evaluation of the multipliers' examples draws, and refuse what it must not change."""
        batches = self.prepared.batches
        if not isinstance(batches, TwoPlayers):
            return
        data = _tensors(batches.multipliers.data)
        versions = [t._version for t in data]
        self.prepared.surroundings.restore()
        self.alone.evaluate(models.trained(), batches.multipliers.sample(), training=False)
        self.prepared.draws |= "torch" in self.prepared.surroundings.random.drawn_since()
        if versions != [t._version for t in data]:
            raise self._changed_data("evaluate")

    def _own_changes(self, models: Models, batch: Any) -> list[str]:
        """What the evaluation that was just made has changed; others of this process may draw from ``random`` too."""
        changes = self.prepared.surroundings.changes()
        for _ in range(OTHERS):
            drawn = [change for change in changes if change.startswith("draws")]
            if not drawn:
                break
            self.prepared.surroundings.restore()
            self.alone.evaluate(models.trained(), self.minibatches.copy_of(batch))
            again = self.prepared.surroundings.changes()
            changes = [change for change in changes if change not in drawn or change in again]
        return changes

    def _refuse_stuck(self, changes: list[str]) -> None:
        """Refuse what no run could start with as a loop of its own would."""
        for name in stuck_names(self.prepared.stack.problem, self.alone.model):
            if f"changes {name}" in changes:
                raise not_set_back(name, f"{self.target}.evaluate()")

    def _refuse_added(self, added: Tensors) -> None:
        """Refuse tensors that an evaluation adds to the model and that the next one changes: no run would own them."""
        now = named_tensors(self.alone.model)
        for name, tensor in added.items():
            if name not in now or not _same(tensor, now[name].detach()):
                raise CpdError(
                    f"adds '{name}' to the model and changes it, which no run has as its own",
                    place=f"{self.target}.evaluate()",
                    hint="register it in the module's __init__",
                )

    def _changed_data(self, method: str) -> CpdError:
        return CpdError(
            "changes the data in place, which all runs and steps share",
            place=f"{self.target}.{method}()",
            hint="change a copy: x = x * 0.9 instead of x.mul_(0.9)",
        )

    def _see_moved(self, models: Models) -> None:
        """Whether an evaluation changes parameters in place: then they are read back from the one model each time."""
        now = named_tensors(self.alone.model)
        moved = [n for n, p in models.parameters.items() if not _same(now[n].detach(), p[0])]
        if moved:
            self.alone.moves = True
            self.moved = moved[0]

    def _check_gradients(self) -> None:
        """Refuse a problem whose constraints nothing can push: steps would be those of another problem."""
        without = set(self.alone.without_gradient)
        for batch in self._further():
            if not without.issuperset(self.alone.names):
                break
            self._plain(0, batch)
            without &= set(self.alone.without_gradient)
        if self.alone.names and without.issuperset(self.alone.names):
            raise SpecError(
                f"no gradient of {', '.join(self.alone.names)} reaches the parameters",
                place=f"{self.target}.evaluate()",
                hint="return a differentiable surrogate in constraints, and the true value in strict",
            )
        for name in sorted(without):
            self.notes.append(f"no gradient of {name} reaches the parameters: nothing pushes it towards its level")

    def _further(self) -> Iterator[Any]:
        if self.minibatches.batch_size is not None:
            for _ in range(min(GRADIENT_WITHIN, self.minibatches.in_epoch)):
                yield self.minibatches.next()

    def _refused(self, first: Any, second: Any, right: Tensors) -> str | None:
        """Why the runs cannot train as one program, or None."""
        if self.moved is not None:
            return f"evaluate() changes the parameter {self.moved} in place; project(parameters) can do that for all"
        refused, again = self._tried(first, second, right)
        if refused is None or not again:
            return refused
        self.prepared.stack.rewrites = True
        rewritten, _ = self._tried(first, second, right)
        return rewritten

    def _tried(self, first: Any, second: Any, right: Tensors) -> tuple[str | None, bool]:
        """Why the runs cannot train as one program, or None; and whether writing operations otherwise may help."""
        again = self.prepared.draws
        try:
            at = self._fused(first, count=True)
            left = batched_names(self.prepared.stack.problem, self.alone.model)
            if left:
                return f"evaluate() keeps tensors of its run in {left[0]}", False
            wrong = self._differs(at, 0, first, right)
            if wrong is None and second is not None:
                wrong = self._differs(self._fused(second), 0, second, self._plain(0, second))
            last = self.prepared.models.runs - 1
            if wrong is None and self.prepared.keys[last].seed != self.prepared.keys[0].seed:
                wrong = self._differs(at, last, first, self._plain(last, first))
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            known = refusal_of(error)
            return refused_in_words(error, first_line(error)), known is not None and known.rewritten
        return (None, False) if wrong is None else (f"{wrong} of one run alone is another", again)

    def _fused(self, batch: Any, count: bool = False) -> tuple[Stacked, Gradients]:
        """All runs as one, from their start, and their gradients."""
        prepared = self.prepared
        prepared.surroundings.restore()
        counter = Counter()
        with counter if count else nullcontext():
            at = prepared.stack.evaluate(prepared.models.trained(), self.minibatches.copy_of(batch))
        if count:
            prepared.counter, prepared.counted = counter, prepared.models.runs
        return _with_gradients(at)

    def _differs(self, at: tuple[Stacked, Gradients], row: int, batch: Any, right: Tensors) -> str | None:
        return disagreement(_numbers(*at, row), right, {}, lambda k: self._plain(row, batch, k), self.alone.autocast)

    def _choose_measures(self) -> None:
        """Find how finished models can be judged: all at once or one by one, with gradients where it takes any.

        Raises:
            ProblemRaised: ``measure`` raises however it is called.
        """
        stack = self.prepared.stack
        models = take(self.prepared.models, [0, 0] if stack.fused else [0])
        raised: list[Exception] = []
        held, given = None, [self.prepared.batches.data, self.prepared.held_out and self.prepared.held_out.data]
        versions = [t._version for t in _tensors(given)]
        for fused, gradients in itertools.product([True, False] if stack.fused else [False], [False, True]):
            stack.measures = Measures(fused, gradients)
            try:
                found = self.prepared.measured(models, most=1)
                held = self._on_held_out(models, found)
                break
            except (CpdError, ItemRaised):
                raise
            except Exception as error:
                if out_of_memory(error):
                    raise
                raised.append(error)
        else:
            where = f"{self.problem}.measure()"
            raise ProblemRaised(where, raised[-1], place=self.target) from raised[-1]
        if versions != [t._version for t in _tensors(given)]:
            raise self._changed_data("measure")
        self.prepared.metrics = tuple(found.metrics)
        if not stack.measures.fused:
            reason = refused_in_words(raised[0], first_line(raised[0])) if stack.fused else None
        else:
            reason = self._measured_otherwise(found) or (held and self._measured_otherwise(held, held_out=True))
        if reason is not None:
            stack.measures = Measures(False, stack.measures.gradients)
            self.notes.append(f"measure() is called for one run at a time: {reason}")

    def _on_held_out(self, models: Models, found: Stacked) -> Stacked | None:
        """What the same models give on held-out examples; None where there are none.

        Raises:
            CpdError: As many values as there are examples: there are others than on the data.
        """
        if self.prepared.held_out is None:
            return None
        held = self.prepared.measured(models, most=1, held_out=True)
        counts = [at.strict.shape[1] for at in (found, held)]
        if counts[0] != counts[1]:
            message = "gives {} values of constraints on the training data and {} on held-out examples".format(*counts)
            hint = "return values that do not grow with the examples, or leave held_out out"
            raise CpdError(message, place=f"{self.target}.measure()", hint=hint)
        for at, batches in ((found, self.prepared.batches), (held, self.prepared.held_out)):
            if at.observed is not None and not at.observed[0].all() and not batches.streamed:
                self._refuse_entries(at.observed[0], next(iter(batches.judged(1)))[1])
        return held

    def _refuse_entries(self, observed: Tensor, batch: Any) -> None:
        """Refuse a vector of which only some entries are there for good: those of examples that are in the other part.

        Raises:
            CpdError: It is one.
        """
        with self.prepared.untouched():
            self.prepared.surroundings.restore()
            returned = self.alone.returned(take(self.prepared.models, [0]), self.minibatches.copy_of(batch))
        sizes = list(self.prepared.stack.sizes.values())
        for name, shown in zip(self.alone.names, torch.split(observed, sizes), strict=True):
            value = (returned.strict or {}).get(name, returned.constraints[name])
            if isinstance(value, Observed) and not shown.all():
                message = f"{name} has entries of examples that are in the other part, {int((~shown).sum()):,} of them"
                hint = "leave held_out out, or constrain values of all examples"
                raise CpdError(message, place=f"{self.target}.measure()", hint=hint)

    def _measured_otherwise(self, found: Stacked, held_out: bool = False) -> str | None:
        """What measuring one run alone gives otherwise."""
        one = take(self.prepared.models, [0])
        alone = replace(self.prepared, stack=self.prepared.stack.alone())

        def numbers(models: Models) -> Tensors:
            with self._telling("measure"):
                return judged_numbers(alone.measured(models, most=1, held_out=held_out), 0)

        def shaken(k: int) -> Tensors:
            return numbers(one._replace(parameters=shake(one.parameters, k)))

        wrong = disagreement(judged_numbers(found, 0), numbers(one), {}, shaken)
        return None if wrong is None else f"{wrong} of one run alone is another"

    @contextmanager
    def _telling(self, method: str) -> Iterator[None]:
        """Say where the user's code raised; what cpd itself raises, and a lack of memory, go on as they are."""
        try:
            yield
        except (CpdError, ItemRaised):
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise ProblemRaised(f"{self.problem}.{method}()", error, place=self.target) from error


def _with_gradients(at: Stacked) -> tuple[Stacked, Gradients]:
    return at, at.gradients((at.objective + at.surrogate.sum(1)).sum())


def _numbers(at: Stacked, gradients: Gradients, row: int) -> Tensors:
    """All that an evaluation gave for one run, gradients included."""
    found = judged_numbers(at, row)
    found |= {f"buffer {n}": t[row] for n, t in at.buffers.items()}
    return found | {f"the gradient for {n}": g[row] for n, g in gradients.items() if g is not None}


def judged_numbers(at: Stacked, row: int) -> Tensors:
    """Objective, values and metrics of one run."""
    found = {"the objective": at.objective, "a constraint's value": at.surrogate, "a strict value": at.strict}
    found |= {f"metric {n}": m for n, m in at.metrics.items()}
    return {n: t.detach()[row] for n, t in found.items()}


def _tensors(data: Any) -> list[Tensor]:
    """The tensors of data in memory."""
    return [leaf for leaf in leaves(data) if isinstance(leaf, Tensor)]


def _same(a: Tensor, b: Tensor) -> bool:
    """Equal to the last bit, NaN included."""
    return a.shape == b.shape and bool(((a == b) | ((a != a) & (b != b))).all())
