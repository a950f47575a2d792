"""Kept models judged on examples that no run has seen: as finished ones are on held-out examples, and nothing else."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from cpd.engine.batch import Batch
from cpd.engine.bound import named_tensors
from cpd.engine.counting import out_of_memory
from cpd.engine.examples import on_device
from cpd.engine.given import check_like, difference, digest_of, read_examples, value_of
from cpd.engine.held_out import Parts, shared_examples
from cpd.engine.importing import enter
from cpd.engine.items import Stream
from cpd.engine.judging import judged
from cpd.engine.loading import ProblemRaised, load_examples, user_traceback
from cpd.engine.minibatches import Minibatches, total_steps
from cpd.engine.on_held_out import Missing, on_held_out
from cpd.engine.prepared import Prepared, pads
from cpd.engine.preparing import Builder, Built
from cpd.engine.shipped import fill
from cpd.engine.stacked import Models, Stack
from cpd.engine.streams import minibatches
from cpd.engine.tree import take
from cpd.engine.trial import Trial
from cpd.engine.windows import Windows
from cpd.errors import CpdError
from cpd.outcome import HeldOut, Run, RunKey
from cpd.problem import Problem
from cpd.spec.models import ProblemSource

ROUNDING = {"float32": 1e-3, "float64": 1e-6}
"""How far a model's objective may be from what it was at the end of its training, relative to it."""


class Asked(NamedTuple):
    """Examples that models are to be judged on.

    Attributes:
        called: What they are called, in words.
        place: What named them, for errors.
        given: Tensors, a Dataset or a function of no arguments.
        file: The file or module that has such under a name, in the place of them.
        problem: The problem that measures; None for that with which the models were trained.
        held_out: Whether its ``held_out()`` gives them, and nothing else.
        redefined: Whether it measures otherwise than that one.
    """

    called: str
    place: str
    given: Any = None
    file: ProblemSource | None = None
    problem: ProblemSource | None = None
    held_out: bool = False
    redefined: bool = False


class Kept(NamedTuple):
    """A finished run, its weights by the names of its module's ``state_dict``, and the file that has them."""

    run: Run
    tensors: Mapping[str, Tensor]
    file: str


class Anew:
    """Models of runs of one program, and the examples that they are to be judged on.

    Args:
        batch: The runs, as they were trained.
        asked: What to judge them on.

    Attributes:
        digest: Hash of the examples.
        notes: What the user should know.

    Raises:
        CpdError: The problem, its data, the examples or the device are not usable.
        ProblemRaised: What gives the examples, or the problem's own code, raised.
    """

    def __init__(self, batch: Batch, asked: Asked) -> None:
        self.asked = asked
        self.batch = batch
        self.notes: list[str] = []
        self._others: list[tuple[float, float]] = []
        self.builder = _Builder(_batch_of(batch, asked.problem))
        self.examples = on_device(self._read(), self.builder.device, self.builder.dtype)
        if self.builder.constraint_data is not None:
            message = f"{asked.called} gives no examples of constraint_data(), on which the constraints are measured"
            raise CpdError(message, place=asked.place, hint="judge a problem that has no constraint_data()")
        check_like(self.examples, self.builder.data, asked.called, asked.place)
        self.digest = digest_of(self.examples, batch.train.batch_size)
        self._look_for_shared()

    def judge(self, kept: Sequence[Kept]) -> dict[str, HeldOut | str]:
        """The numbers of each model by the id of its run, or why it has none.

        Raises:
            CpdError: What ``measure`` returns does not keep the contract.
            ProblemRaised: It raises however it is called.
        """
        by_seed: dict[int, list[Kept]] = {}
        for one in kept:
            by_seed.setdefault(one.run.key.seed, []).append(one)
        found: dict[str, HeldOut | str] = {}
        for seed, own in by_seed.items():
            found |= self._of_seed(seed, own)
        self._say_others()
        return found

    def _read(self) -> Any:
        asked, builder = self.asked, self.builder
        if not asked.held_out:
            given = asked.given if asked.file is None else value_of(asked.file, asked.place)
            found = read_examples(given, builder.problem, asked.called, asked.place, self.notes)
            enter(builder.batch.problem)
            return found
        if not _holds_out(builder.problem):
            message = f"{builder.batch.problem.target} has no held_out()"
            hint = "write it, or name a function that gives examples: --data FILE.py:NAME"
            raise CpdError(message, place=asked.place, hint=hint)
        if builder.held_out is None:
            hint = "return examples as data() does: tensors, or a Dataset"
            raise CpdError(f"{asked.called} gives no examples", place=asked.place, hint=hint)
        return builder.held_out

    def _seen(self) -> Parts:
        """The examples of the training: of a problem that is nowhere stored, by the one that is given."""
        batch, builder = self.batch, self.builder
        source, how = batch.problem, batch.held_out
        if source.is_live and self.asked.problem is not None:
            source, how = self.asked.problem, None if _holds_out(builder.problem) else how
        return load_examples(source, how, builder.device, builder.dtype).data

    def _look_for_shared(self) -> None:
        """Say how many of the examples the runs have seen before."""
        batch, seen = self.batch, self._seen()
        if shared := shared_examples(seen.training, self.examples):
            self.notes.append(f"{shared:,} of the examples are equal to examples that are trained on")
        moved = batch.train.multipliers_share is not None or any("multipliers_on" in k.setting for k in batch.keys)
        if moved and seen.held_out is not None and (shared := shared_examples(seen.held_out, self.examples)):
            said = "held-out examples of the training, on some of which multipliers moved"
            self.notes.append(f"{shared:,} of the examples are equal to {said}")
        self.trained_on = seen.training

    def _of_seed(self, seed: int, kept: Sequence[Kept]) -> dict[str, HeldOut | str]:
        """Likewise of runs of one seed."""
        try:
            built = self.builder.built(seed)
        except Exception as error:
            if isinstance(error, CpdError) or out_of_memory(error):
                raise
            return {_id(one): user_traceback(error) for one in kept}
        found: dict[str, HeldOut | str] = {}
        models: list[Models] = []
        fit: list[Kept] = []
        start = {name: tensor.detach().clone() for name, tensor in named_tensors(built.model).items()}
        for one in kept:
            try:
                models.append(_filled(built.model, start, one, self.builder.batch.problem))
                fit.append(one)
            except CpdError as error:
                found[_id(one)] = str(error)
        return found | (self._measured(built, fit, Models.joined(models)) if fit else {})

    def _measured(self, built: Built, kept: Sequence[Kept], models: Models) -> dict[str, HeldOut | str]:
        prepared = self._prepared(built, [one.run.key for one in kept], models)
        try:
            found, raised = on_held_out(
                prepared,
                total_steps(self.batch.train, self.trained_on),
                [(torch.ones(prepared.models.runs), prepared.models)],
                missing=Missing(f"example of {self.asked.called}", "give examples of every group"),
            )
        except Exception as error:
            if not out_of_memory(error) or len(kept) < 2:
                raise
            half = len(kept) // 2
            parts = [(kept[:half], range(half)), (kept[half:], range(half, len(kept)))]
            return {k: v for own, rows in parts for k, v in self._measured(built, own, take(models, rows)).items()}
        self._look_again(prepared, kept)
        return {_id(one): raised.get(r) or found[r] for r, one in enumerate(kept)}

    def _prepared(self, built: Built, keys: Sequence[RunKey], models: Models) -> Prepared:
        """Models as they stand where a training has ended, with the examples in the place of held-out ones."""
        batch, seed = self.builder.batch, keys[0].seed
        fused = batch.fuse and not self.builder.searches
        stack = Stack(self.builder.problem, built.model, list(batch.constraints), fused, batch.problem.target)
        trained_by = minibatches(self.trained_on, batch.train.batch_size, seed)
        if batch.train.accumulate > 1:
            trained_by = Windows(trained_by, batch.train.accumulate)
        prepared = Prepared(tuple(keys), False, stack, models, built.surroundings, trained_by, self.trained_on)
        prepared.held_out = self._judged_by()
        self._choose(prepared)
        if fused and len(keys) == 1 and pads(prepared.run_size):
            return replace(prepared, keys=prepared.keys * 2, padded=True, models=take(models, [0, 0]))
        return prepared

    def _judged_by(self) -> Minibatches:
        size = self.batch.train.batch_size if isinstance(self.examples, Stream) else None
        return minibatches(self.examples, size, 0)

    def _choose(self, prepared: Prepared) -> None:
        """Find how the models can be measured, and what that takes.

        Raises:
            CpdError: They cannot, and the examples are of other shapes than those that are trained on.
        """
        try:
            one = self._first_that_works(prepared)
        except ProblemRaised as error:
            said = difference(self.examples, self.trained_on, self.asked.called)
            if said is None:
                raise
            hint = f"give examples of the shape of data()'s ({error.where} raised {error.traceback.splitlines()[-1]})"
            raise CpdError(said, place=self.asked.place, hint=hint) from error
        alone = replace(prepared, stack=prepared.stack.alone())
        with prepared.counter:
            alone.measured(take(prepared.models, [one]), most=1, held_out=True)
        prepared.stack.sizes = alone.stack.sizes  # which it has not where it was never evaluated itself

    def _first_that_works(self, prepared: Prepared) -> int:
        """The first model whose measure does not raise.

        Raises:
            ProblemRaised: That of each does.
        """
        batches, raised = self.builder.batches_of(prepared.keys[0].seed), []
        for row in range(prepared.models.runs):
            tried = replace(prepared, models=take(prepared.models, [row]))
            try:
                Trial(tried, batches, prepared.stack.target, []).judging()
            except ProblemRaised as error:
                raised.append(error)
            else:
                return row
        raise raised[0]

    def _look_again(self, prepared: Prepared, kept: Sequence[Kept]) -> None:
        """Say where a model is not the one that was judged at the end of its training: a file holds no Python state."""
        if prepared.batches.streamed or self.asked.redefined:
            return
        at, raised = judged(prepared, prepared.models)
        now, most = at.objective.tolist(), ROUNDING[self.batch.train.dtype]
        for r, one in enumerate(kept):
            was = one.run.objective
            if was is not None and r not in raised and not math.isclose(now[r], was, rel_tol=most, abs_tol=most):
                self._others.append((now[r], was))

    def _say_others(self) -> None:
        if not self._others:
            return
        count, (now, was) = len(self._others), self._others[0]
        several = "1 kept model has" if count == 1 else f"{count} kept models have"
        self.notes.append(
            f"{several} another objective on the training data than at the end of training ({now:.6g}, and not "
            f"{was:.6g}): the data changed, or it depends on what no file of weights holds, such as buffers that are "
            "not persistent and what evaluate() keeps in Python"
        )


def _holds_out(problem: Problem) -> bool:
    return getattr(problem.held_out, "__func__", None) is not Problem.held_out


class _Builder(Builder):
    """Builds the problem of a batch and its models, and trains none."""

    def built(self, seed: int) -> Built:
        """The model of a seed."""
        return self._built(seed)

    def batches_of(self, seed: int) -> Minibatches:
        """The minibatches of a training."""
        return self._minibatches(seed)


def _batch_of(batch: Batch, problem: ProblemSource | None) -> Batch:
    """The batch of the problem that models are measured by."""
    if problem is None:
        return replace(batch, judge=None)
    train = batch.train.model_copy(update={"multipliers_share": None})
    return replace(batch, problem=problem, train=train, keys=(), held_out=None, judge=None)


def _filled(model: nn.Module, start: Mapping[str, Tensor], one: Kept, problem: ProblemSource) -> Models:
    """The tensors of a model with kept weights; what no file has is as the model was made.

    Raises:
        CpdError: They are another model's.
    """
    with torch.no_grad():
        for name, tensor in named_tensors(model).items():
            tensor.copy_(start[name])
    fill(model, one.tensors, one.file, problem)
    return Models.stacked([model])


def _id(one: Kept) -> str:
    assert one.run.key.id is not None, "what is kept has an id"
    return one.run.key.id
