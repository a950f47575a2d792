"""From keys to a stack of models ready to train: seeds, dtype, fusable or not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any, NamedTuple

import torch
from torch import nn

from cpd.engine.ahead import first_ahead
from cpd.engine.batch import Batch
from cpd.engine.calling import Calls
from cpd.engine.contract import check_senses
from cpd.engine.counting import out_of_memory
from cpd.engine.features import features_of
from cpd.engine.generators import DATA_SEED, seed_all
from cpd.engine.handing_over import workers_for
from cpd.engine.held_out import Parts, divided
from cpd.engine.items import Stream
from cpd.engine.lazy import is_lazy, materialise
from cpd.engine.loading import (
    ProblemRaised,
    check_batch_size,
    data_notes,
    load_examples,
    load_problem,
    reading,
    user_traceback,
)
from cpd.engine.method_groups import group_name, on_held_out
from cpd.engine.minibatches import Minibatches, total_steps
from cpd.engine.optimistic import first_optimistic
from cpd.engine.paired import Paired
from cpd.engine.prepared import Prepared, Refused, pads
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Models, Stack, default_dtype
from cpd.engine.streams import minibatches
from cpd.engine.surroundings import Surroundings
from cpd.engine.tracebacks import ItemRaised
from cpd.engine.tree import named, take
from cpd.engine.trial import Trial
from cpd.engine.two_players import TwoPlayers
from cpd.engine.velocities import refuse_unprojected
from cpd.engine.windows import Windows
from cpd.errors import CpdError, DeviceError, SpecError
from cpd.methods.registry import by_velocities, looks_ahead
from cpd.outcome import RunKey
from cpd.problem import Problem
from cpd.spec.held_out import HALF
from cpd.spec.models import ONE_BY_ONE

DTYPES = {"float32": torch.float32, "float64": torch.float64}
AUTOCAST = {None: None, "bfloat16": torch.bfloat16}


class Built(NamedTuple):
    """The model of a seed as the problem made it.

    Attributes:
        model: Its tensors do not stay: a run that is evaluated alone is written into them.
        tensors: Its tensors, ``[1, ...]``.
        surroundings: As they stood after it was built.
    """

    model: nn.Module
    tensors: Models
    surroundings: Surroundings

    def shares_a_program(self, other: Built) -> bool:
        """Whether another seed's model differs from it in the numbers of its tensors alone."""
        shapes = [[(n, t.shape, t.dtype) for n, t in named(each.tensors)] for each in (self, other)]
        alike = shapes[0] == shapes[1] and str(self.model) == str(other.model)
        return alike and self.surroundings.python.alike(other.surroundings.python)


class Builder:
    """Builds the models of a batch.

    Raises:
        CpdError: The problem, its data or the device are not usable.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.device = check_device(batch.device)
        self.dtype = DTYPES[batch.train.dtype]
        seed_all(DATA_SEED)
        self.problem: Problem = load_problem(batch.problem)
        seed_all(DATA_SEED)
        examples = load_examples(batch.problem, batch.held_out, self.device, self.dtype)
        self.data, self.held_out = examples.data
        self.constraint_data, self.held_out_constraints = examples.constraint_data
        if batch.judge == "held_out" and self.held_out is None:
            message, hint = (
                "there are no held-out examples",
                "add held_out: 0.2, or write held_out(self) in the problem",
            )
            raise SpecError(message, place="judge", hint=hint)
        self.moving = self._divide()
        Calls(self.problem).refuse_unpaired(self.constraint_data, batch.problem.target)
        if self.constraint_data is None and batch.train.constraint_batch_size is not None:
            message, hint = "the problem has no constraint_data()", "leave it out, or write that method"
            raise SpecError(message, place="train.constraint_batch_size", hint=hint)
        self.features = features_of(self.problem, batch.keys, batch.problem.target)
        self.start = _first_state(self.problem)
        self.notes: list[str] = data_notes(batch.problem)
        self.searches = batch.train.optimizer.name in ONE_BY_ONE
        if self.searches and batch.fuse:
            said = f"{batch.train.optimizer.name} evaluates several times a step"
            self.notes.append(f"{said}: runs train one at a time")
        if self.searches and (method := first_ahead(batch.keys)) is not None:
            message = f"it looks a step ahead, which {batch.train.optimizer.name} does by itself"
            raise SpecError(message, place=f"methods.{method}", hint="take another optimizer, or another method")
        if self.searches and (method := first_optimistic(batch.keys)) is not None:
            message = f"it corrects one gradient a step, and {batch.train.optimizer.name} takes several"
            raise SpecError(message, place=f"methods.{method}", hint="take another optimizer, or another method")
        refuse_unprojected(batch.keys, batch.train.optimizer.name if self.searches else None, batch.train.accumulate)
        check_batch_size(batch.problem, batch.train.batch_size)
        self.workers = self._stream(self.data) if isinstance(self.data, Stream) else 0

    def _divide(self) -> Parts | None:
        """Keep those of the held-out examples that models are judged on; those on which multipliers move, if any do.

        Raises:
            SpecError: There are none.
        """
        share = self.batch.train.multipliers_share
        asked = next((f"methods.{key.method}.multipliers_on" for key in self.batch.keys if on_held_out(key)), None)
        if asked is None and share is None:
            return None
        if self.held_out is None:
            message, hint = (
                "there are no held-out examples",
                "add held_out: 0.4, or write held_out(self) in the problem",
            )
            raise SpecError(message, place=asked or "train.multipliers_share", hint=hint)
        held = Parts(self.held_out, self.held_out_constraints)
        judged, moving = divided(held, HALF if share is None else share, self.batch.held_out)
        self.held_out, self.held_out_constraints = judged
        return moving

    def _stream(self, stream: Stream) -> int:
        """Learn how a stream is read, and by how many processes."""
        train = self.batch.train
        if stream.too_large and train.batch_size is None and not stream.batched:
            message = f"is all, and the Dataset of {stream.place} {stream.too_large}"
            raise SpecError(message, place="train.batch_size", hint="write batch_size: NUMBER")
        self.data = replace(stream, most=min(stream.most, total_steps(train, stream) * train.accumulate))
        size = stream.size(train.batch_size) or stream.examples or 1
        workers, note = workers_for(stream, size, self.batch.loader_workers)
        self.notes += [note] if note else []
        return workers

    def groups(self) -> Iterable[Prepared | Refused]:
        """The runs of the batch, cut into groups that can train as one program, one group at a time.

        Runs of different seeds share a program where nothing random happens in a step and their models differ in
        numbers alone. A problem that ``vmap`` refuses gives a group per run.

        Raises:
            ProblemRaised: No run has a model, or the problem's code raises when it is first called.
        """
        keys = sorted(self.batch.keys, key=lambda k: (str(group_name(k)), k.seed))
        by_seed: dict[int, list[RunKey]] = {}
        for key in keys:
            by_seed.setdefault(key.seed, []).append(key)
        models: dict[int, Built] = {}
        refused: list[Refused] = []
        for seed, own in by_seed.items():
            try:
                models[seed] = self._built(seed)
            except Exception as error:
                if isinstance(error, CpdError) or out_of_memory(error):
                    raise
                refused += (Refused(key, user_traceback(error)) for key in own)
        if not models:
            where = f"{type(self.problem).__name__}.model()"
            raise ProblemRaised(where, refused[0].error, place=self.batch.problem.target)
        yield from refused
        together = self._minibatches(0).batch_size is None
        for seeds in _sharing(models) if together else [[seed] for seed in models]:
            for kind in dict.fromkeys(map(_kind, sorted(keys, key=_kind))):
                own = [key for key in keys if key.seed in seeds and _kind(key) == kind]
                there = {key.seed for key in own}
                if own:
                    yield from self._seeds_group(own, {seed: models[seed] for seed in seeds if seed in there})

    def _seeds_group(self, keys: list[RunKey], models: dict[int, Built]) -> Iterable[Prepared]:
        prepared = self._prepare(keys, models)
        if prepared is not None and (len(models) == 1 or not (prepared.draws or prepared.stateful)):
            yield prepared
        elif len(models) > 1:
            for seed, built in models.items():
                yield from self._seeds_group([key for key in keys if key.seed == seed], {seed: built})
        else:
            for key in keys:
                yield self._prepare([key], models, fused=False)  # type: ignore[misc]

    def model(self, seed: int) -> nn.Module:
        """The model that the runs of a seed begin with."""
        return self._built(seed).model

    def _built(self, seed: int) -> Built:
        self.start.restore()
        seed_all(seed)
        with reading(self.batch.problem):
            model: Any = self.problem.model()
        place = f"{self.batch.problem.target}.model()"
        if not isinstance(model, nn.Module):
            message = f"returned {type(model).__name__}"
            raise CpdError(message, place=place, hint="return a torch.nn.Module")
        senses = {name: str(constraint.sense) for name, constraint in self.batch.constraints.items()}
        check_senses(self.problem, model, senses, self.batch.problem.target)
        model = placed(model, self.device, self.dtype)
        if is_lazy(model):
            self._materialise(model)
        if not any(p.requires_grad for p in model.parameters()):
            message = f"returned a {type(model).__name__} without trainable parameters"
            raise CpdError(message, place=place, hint="give it parameters with requires_grad=True")
        strange = next((n for n, p in model.named_parameters() if p.requires_grad and p.is_complex()), None)
        if strange is not None:
            hint = "keep real and imaginary part as two parameters, and use torch.complex(a, b) of them"
            raise CpdError(f"returned the complex parameter '{strange}'", place=place, hint=hint)
        surroundings = Surroundings.now(self.device, self.problem, model)
        return Built(model, Models.stacked([model]), surroundings)

    def _materialise(self, model: nn.Module) -> None:
        """Let a lazy model take its shapes, and its first numbers, from a minibatch, as it would at its first step."""
        batch = self._sample()
        model.train()
        python, calls = PythonState(self.problem, model), Calls(self.problem)
        first = {"progress": torch.zeros((), dtype=self.dtype, device=self.device)}
        try:
            with default_dtype(self.dtype):
                alike = materialise(model, lambda: calls("evaluate", model, batch, first), self.device)
        except Exception as error:
            if isinstance(error, CpdError) or out_of_memory(error):
                raise
            where = f"{type(self.problem).__name__}.evaluate()"
            raise ProblemRaised(where, error, place=self.batch.problem.target) from error
        python.restore()
        if not alike:
            self.notes.append("random numbers are drawn before a lazy module takes its shape: a loop draws others")

    def _sample(self) -> Any:
        try:
            return self._minibatches(0).sample()
        except ItemRaised as error:
            raise ProblemRaised(error.what, error.text, place=self.batch.problem.target) from error

    def _minibatches(self, seed: int, workers: int = 0) -> Minibatches:
        batches = minibatches(self.data, self.batch.train.batch_size, seed, workers)
        if self.constraint_data is None:
            return batches
        return Paired.of(batches, self.constraint_data, self.batch.train.constraint_batch_size, seed)

    def _held_out(self) -> Minibatches | None:
        if self.held_out is None:
            return None
        found = minibatches(self.held_out, self.batch.train.batch_size, 0, self.workers)
        return found if self.constraint_data is None else Paired.of(found, self.held_out_constraints, None, 0)

    def _prepare(self, keys: Sequence[RunKey], models: dict[int, Built], fused: bool | None = None) -> Prepared | None:
        """Stack the models of these runs; None where they cannot be fused and ``fused`` is not False."""
        fused = self.batch.fuse and not self.searches if fused is None else fused
        if not fused and len(keys) > 1:
            return None
        first = models[keys[0].seed]
        autocast = AUTOCAST[self.batch.train.autocast]
        stack = Stack(
            self.problem, first.model, list(self.batch.constraints), fused, self.batch.problem.target, autocast
        )
        tensors = Models.joined([models[k.seed].tensors for k in keys])
        batches = self._minibatches(keys[0].seed, self.workers)
        if self.batch.train.accumulate > 1:
            batches = Windows(batches, self.batch.train.accumulate)
        if on_held_out(keys[0]):
            assert self.moving is not None, "it was asked for"
            sizes = (self.batch.train.batch_size, self.batch.train.constraint_batch_size)
            batches = TwoPlayers.of(batches, *self.moving, sizes, keys[0].seed)
        prepared = Prepared(tuple(keys), False, stack, tensors, first.surroundings, batches, self.data)
        prepared.held_out, prepared.features = self._held_out(), self.features
        trial = Trial(prepared, self._minibatches(keys[0].seed), self.batch.problem.target, self.notes)
        with ExitStack() as closers:
            closers.callback(batches.close)
            batches.begin()
            try:
                if not trial.passed():
                    return None
            except ItemRaised as error:
                raise ProblemRaised(error.what, error.text, place=self.batch.problem.target) from error
            closers.pop_all()
        if fused and len(keys) == 1 and pads(prepared.run_size):
            return replace(prepared, keys=prepared.keys * 2, padded=True, models=take(prepared.models, [0, 0]))
        return prepared


def _kind(key: RunKey) -> tuple[bool, bool, bool]:
    """What two runs must share to be in one program: how often, on what, and for which gradients a step evaluates."""
    return on_held_out(key), looks_ahead(key.method), by_velocities(key.method)


def placed(model: nn.Module, device: torch.device, dtype: torch.dtype) -> nn.Module:
    """A model on the device, its floating numbers of the dtype; complex ones stay complex."""
    if not any(t.is_complex() for t in [*model.parameters(), *model.buffers()]):
        return model.to(device, dtype)
    kinds = {True: dtype.to_complex(), False: dtype}

    def place(t: torch.Tensor) -> torch.Tensor:
        return t.to(device, kinds[t.is_complex()]) if t.is_complex() or t.is_floating_point() else t.to(device)

    placed: nn.Module = model._apply(place)
    return placed


def _sharing(models: Mapping[int, Built]) -> list[list[int]]:
    """Seeds whose models may share a program, together."""
    found: list[list[int]] = []
    for seed, built in models.items():
        for seeds in found:
            if models[seeds[0]].shares_a_program(built):
                seeds.append(seed)
                break
        else:
            found.append([seed])
    return found


_first: dict[int, PythonState] = {}


def _first_state(problem: Problem) -> PythonState:
    """What the problem kept in Python when its data had been read: every run starts from it."""
    if id(problem) not in _first:  # a problem stays as long as its process
        _first[id(problem)] = PythonState(problem)
    return _first[id(problem)]


def check_device(name: str, option: str = "--device") -> torch.device:
    """Return the device, or say which ones there are.

    Args:
        name: As torch names it.
        option: What gave it, for errors.

    Raises:
        DeviceError: Unknown or not on this machine.
    """
    available = ["cpu", *(f"cuda:{k}" for k in range(torch.cuda.device_count()))]
    if torch.backends.mps.is_available():
        available.append("mps")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"unknown device '{name}'", place=option, hint=f"valid: {', '.join(available)}") from None
    there = device.type == "cpu" or any(a == name or a.split(":")[0] == name for a in available)
    if not there:
        raise DeviceError(f"no device '{name}' here", place=option, hint=f"available: {', '.join(available)}")
    return device
