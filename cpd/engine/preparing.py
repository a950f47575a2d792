"""From keys to a stack of models ready to train: seeds, dtype, fusable or not."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import nn

from cpd.engine.batch import Batch
from cpd.engine.counting import Counter, out_of_memory
from cpd.engine.generators import RandomState
from cpd.engine.loading import ProblemRaised, data_notes, load_data, load_problem, reading, user_traceback
from cpd.engine.method_groups import group_name
from cpd.engine.minibatches import Minibatches
from cpd.engine.stacked import Models, Stack
from cpd.engine.tree import take
from cpd.errors import CpdError, DeviceError
from cpd.outcome import RunKey
from cpd.problem import Problem

LARGE_STEP = 20_000_000
"""Operations of products in an evaluation from which arithmetic bounds the step: threads are worth waiting for."""

DTYPES = {"float32": torch.float32, "float64": torch.float64}


@dataclass
class Prepared:
    """Runs that train together, and what they start from.

    Attributes:
        keys: The runs, those of one method group side by side; a lone run that is padded to two stands there twice.
        padded: Whether it was.
        models: The tensors of their models.
        random: The generators as they stood after the models were built.
        draws: Whether a step draws random numbers.
        counter: What an evaluation took.
        counted: Of how many runs.
    """

    keys: tuple[RunKey, ...]
    padded: bool
    stack: Stack
    models: Models
    random: RandomState
    batches: Minibatches
    data: Any
    draws: bool = False
    counter: Counter = field(default_factory=Counter)
    counted: int = 1

    @property
    def run_size(self) -> int:
        """Operations of products in an evaluation of one run."""
        return self.counter.operations // self.counted

    @property
    def is_large(self) -> bool:
        """Whether arithmetic bounds a step of all its runs."""
        return self.run_size * self.models.runs >= LARGE_STEP


@dataclass
class Refused:
    """A run that cannot start, and why."""

    key: RunKey
    error: str


class Builder:
    """Builds the models of a batch.

    Raises:
        CpdError: The problem, its data or the device are not usable.
    """

    def __init__(self, batch: Batch) -> None:
        self.batch = batch
        self.device = check_device(batch.device)
        self.dtype = DTYPES[batch.train.dtype]
        self.problem: Problem = load_problem(batch.problem)
        self.data = load_data(batch.problem, self.device, self.dtype)
        self.notes: list[str] = data_notes(batch.problem)

    def groups(self) -> Iterable[Prepared | Refused]:
        """The runs of the batch, cut into groups that can train as one program, one group at a time.

        Runs of different seeds share a program where nothing random happens in a step. A problem that ``vmap``
        refuses gives a group per run.

        Raises:
            ProblemRaised: No run has a model, or the problem's code raises when it is first called.
        """
        keys = sorted(self.batch.keys, key=lambda k: (str(group_name(k)), k.seed))
        by_seed: dict[int, list[RunKey]] = {}
        for key in keys:
            by_seed.setdefault(key.seed, []).append(key)
        models: dict[int, tuple[nn.Module, RandomState]] = {}
        refused: list[Refused] = []
        for seed, own in by_seed.items():
            try:
                models[seed] = self._model(seed)
            except Exception as error:
                if isinstance(error, CpdError) or out_of_memory(error):
                    raise
                refused += (Refused(key, user_traceback(error)) for key in own)
        alive = [key for key in keys if key.seed in models]
        if not alive:
            where = f"{type(self.problem).__name__}.model()"
            raise ProblemRaised(where, refused[0].error, place=self.batch.problem.target)
        yield from refused
        together = self.batch.train.batch_size is None or self.data is None
        if together and len(models) > 1:
            prepared = self._prepare(alive, models)
            if prepared is not None and not prepared.draws:
                yield prepared
                return
        for seed, own in by_seed.items():
            if seed in models:
                yield from self._seed_group(own, {seed: models[seed]})

    def _seed_group(self, keys: list[RunKey], models: dict[int, tuple[nn.Module, RandomState]]) -> Iterable[Prepared]:
        prepared = self._prepare(keys, models)
        if prepared is not None:
            yield prepared
            return
        for key in keys:
            yield self._prepare([key], models, fused=False)  # type: ignore[misc]

    def _model(self, seed: int) -> tuple[nn.Module, RandomState]:
        torch.manual_seed(seed)
        with reading(self.batch.problem):
            model = self.problem.model()
        if not isinstance(model, nn.Module):
            raise CpdError(
                f"returned {type(model).__name__}",
                place=f"{self.batch.problem.target}.model()",
                hint="return a torch.nn.Module",
            )
        if not any(p.requires_grad for p in model.parameters()):
            raise CpdError(
                f"returned a {type(model).__name__} without trainable parameters",
                place=f"{self.batch.problem.target}.model()",
                hint="give it parameters with requires_grad=True",
            )
        state = RandomState.now(self.device)
        return model.to(self.device, self.dtype), state

    def _prepare(
        self, keys: Sequence[RunKey], models: dict[int, tuple[nn.Module, RandomState]], fused: bool | None = None
    ) -> Prepared | None:
        """Stack the models of these runs; None where they cannot be fused and ``fused`` is not False."""
        fused = self.batch.fuse if fused is None else fused
        if not fused and len(keys) > 1:
            return None
        own_models = [models[k.seed][0] for k in keys]
        stack = Stack(self.problem, own_models[0], list(self.batch.constraints), fused, self.batch.problem.target)
        random = models[keys[0].seed][1]
        batches = Minibatches(self.data, self.batch.train.batch_size, keys[0].seed)
        prepared = Prepared(tuple(keys), False, stack, Models.stacked(own_models), random, batches, self.data)
        if not self._first_evaluation(prepared):
            return None
        if fused and len(keys) == 1 and pads(prepared.run_size):
            return replace(prepared, keys=prepared.keys * 2, padded=True, models=take(prepared.models, [0, 0]))
        return prepared

    def _first_evaluation(self, prepared: Prepared) -> bool:
        """Call the user's code once before training, leaving the generators as they were.

        A ``measure`` of the problem's own is called too: what is wrong with it should not show after the training.

        Returns:
            False where ``vmap`` refuses.

        Raises:
            CpdError: What the problem returns does not keep the contract.
            ProblemRaised: The user's code raised, fused or not.
        """
        own_measure = type(self.problem).measure is not Problem.measure
        calls = [self._evaluate, self._measure] if own_measure else [self._evaluate]
        return all(self._first_call(call, prepared) for call in calls)

    def _first_call(self, call: Callable[[Prepared], None], prepared: Prepared) -> bool:
        where = f"{type(self.problem).__name__}.{call.__name__.removeprefix('_')}()"
        if not prepared.stack.fused:
            with self._telling(where):
                call(prepared)
            return True
        try:
            call(prepared)
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            self._call_alone(call, prepared, where)
            first = str(error).strip().splitlines()
            self.notes.append(
                f"cannot be fused, runs train one at a time: {first[0] if first else type(error).__name__}"
            )
            return False
        return True

    def _evaluate(self, prepared: Prepared) -> None:
        batch = Minibatches(self.data, self.batch.train.batch_size, prepared.keys[0].seed).next()
        prepared.random.restore()
        prepared.counted = prepared.models.runs
        with prepared.counter:
            at = prepared.stack.evaluate(prepared.models.trained(), batch)
        prepared.models = prepared.models.told_apart(at.buffers)
        prepared.draws = not RandomState.now(self.device).same(prepared.random)

    def _measure(self, prepared: Prepared) -> None:
        prepared.random.restore()
        prepared.stack.measure(prepared.models, self.data)

    def _call_alone(self, call: Callable[[Prepared], None], prepared: Prepared, where: str) -> None:
        """Raise the user's own error where the problem fails without ``vmap`` too."""
        stack = prepared.stack
        prepared.stack = Stack(self.problem, stack.bound.model, stack.names, fused=False, target=stack.target)
        prepared.models = take(prepared.models, [0])
        with self._telling(where):
            call(prepared)

    @contextmanager
    def _telling(self, where: str) -> Iterator[None]:
        """Say where the user's code raised; what cpd itself raises, and a lack of memory, go on as they are."""
        try:
            yield
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            raise ProblemRaised(where, error, place=self.batch.problem.target) from error


def pads(run_size: int) -> bool:
    """Whether a lone run is padded to two, for the last bits of a batch's: not where that would take twice as long."""
    return run_size < LARGE_STEP


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
