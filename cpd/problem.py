"""Contracts 1 and 4: what a user writes in Python, for ONE model."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from cpd.errors import CpdError
from cpd.shares import Share as Share
from cpd.shares import share as share

THIRD = 2
"""The place of the first parameter of ``evaluate`` after the model and the batch."""
OFFERED = ("progress", "constraint_batch")
"""What ``evaluate`` may take beside them, by name."""


@dataclass(frozen=True, eq=False)
class Observed:
    """Some entries of a vector constraint: see :func:`observed`.

    Attributes:
        values: ``[k]``.
        index: Where they belong, ``[k]``, int64.
        size: n, entries of the vector.
        apart: Whether surrogate and strict value show entries of their own: the one drives the model, the other moves
            the multipliers. Elsewhere only entries that both show count.
    """

    values: Tensor
    index: Tensor
    size: int
    apart: bool = False

    @property
    def shape(self) -> torch.Size:
        """Of the whole vector."""
        return torch.Size([self.size])

    @property
    def outside(self) -> Tensor:
        """Which of the values belong nowhere, ``[k]`` bool."""
        return (self.index < 0) | (self.index >= self.size)

    @property
    def spread(self) -> tuple[Tensor, Tensor]:
        """The vector ``[n]``, 0 where nothing was seen, and where something was, bool; NaN for what belongs nowhere."""
        outside = self.outside
        place = self.index.clamp(0, self.size - 1)
        values = torch.where(outside, torch.full_like(self.values, math.nan), self.values)
        # Each run adds to zeros of its own: where vmap expands those of all, torch's compiler adds the runs together.
        both = torch.stack([values, torch.ones_like(values)])
        total, count = both.new_zeros(2, self.size).index_add(1, place, both)
        there = count > 0
        return total / torch.where(there, count, torch.ones_like(count)), there


def observed(values: Tensor, index: Tensor, size: int) -> Observed:
    r"""Return those entries of a vector constraint that a minibatch shows.

    .. math:: v_j = \mathrm{mean}_{i: \mathrm{index}_i = j} \mathrm{values}_i

    The other entries are not observed in that step: their multipliers stay, they have no gradient, and they count
    neither as held nor as violated. For one constraint per example put ``torch.arange(n)`` into ``data()``; the batch
    then holds the ``index``.

    Args:
        values: ``[k]``, differentiable.
        index: Where they belong, ``[k]`` whole numbers from 0 up to ``size - 1``; entries named twice are averaged.
        size: n: how many constraints the vector has.

    Returns:
        A value for ``constraints`` and ``strict``, of n entries.

    Raises:
        CpdError: The index is not of whole numbers, or not one for each value.

    Example:
        >>> losses, index = torch.tensor([0.5, 0.1]), torch.tensor([3, 0])
        >>> cpd.observed(losses, index, size=1797).shape
        torch.Size([1797])
    """
    place = "cpd.observed()"
    if index.dtype.is_floating_point or index.dtype.is_complex or index.dtype is torch.bool:
        kind = str(index.dtype).removeprefix("torch.")
        raise CpdError(f"index is of {kind}", place=place, hint="give whole numbers, such as torch.arange(n) in data()")
    values, index = torch.atleast_1d(values), torch.atleast_1d(index)
    if values.dim() != 1 or values.shape != index.shape:
        shapes = f"values has shape {list(values.shape)}, index has {list(index.shape)}"
        raise CpdError(shapes, place=place, hint="give one whole number for each value")
    if not isinstance(size, int) or size < 1:
        raise CpdError(f"size is {size!r}", place=place, hint="give the number of constraints, an integer >= 1")
    floats = values if values.dtype.is_floating_point else values.to(torch.get_default_dtype())
    return Observed(floats, index.long(), size)


Values = Mapping[str, Any]
"""By name a tensor, or what :func:`share` or :func:`observed` gives: not a union, which nobody could calculate with."""


@dataclass(frozen=True)
class Evaluation:
    """Objective and constraint values of one model on one batch.

    Args:
        objective: Scalar f to minimise, differentiable.
        constraints: Measured values by name, each a scalar or ``[k]`` (k constraints under one name), or what
            :func:`share` and :func:`observed` give. Values, not violations: level, sense and tolerance live in the
            YAML. Differentiable (the surrogate).
        strict: True values by name where they differ from the surrogate; same shapes. They drive the multipliers and
            the verdict and need no gradient.
        metrics: Scalars to report, by name.

    Example:
        >>> x = torch.tensor(0.4)
        >>> cpd.Evaluation(objective=x**2, constraints={"x": x}, metrics={"double": 2 * x}).metrics
        {'double': tensor(0.8000)}
    """

    objective: Tensor
    constraints: Values
    strict: Values | None = None
    metrics: Values = field(default_factory=dict)


class Problem:
    """A training problem with constraints, written for one model; cpd trains many copies of it at once.

    Arguments of ``__init__`` come from ``arguments`` in the YAML.

    Attributes:
        collate: Optional, a method or a function: makes a batch of a list of items, where these are not stacked as they
            are (texts of several lengths, which it pads). Items are those of the Dataset or list that ``data()`` gives.

    Example:
        >>> class Median(cpd.Problem):
        ...     def __init__(self, n: int = 100):
        ...         self.n = n
        ...     def data(self):
        ...         return torch.arange(float(self.n)) / self.n
        ...     def held_out(self):
        ...         return torch.arange(float(self.n)) / self.n + 0.005
        ...     def model(self):
        ...         return torch.nn.Linear(1, 1, bias=False)
        ...     def evaluate(self, model, batch):
        ...         (x,) = batch
        ...         weight = model.weight.squeeze()
        ...         below = torch.sigmoid(50 * (weight - x))
        ...         return cpd.Evaluation(weight**2, {"below": cpd.share(below)}, {"below": cpd.share(weight > x)})
        ...     def measure(self, model, batch):
        ...         return self.evaluate(model, batch)
        ...     def project(self, parameters):
        ...         return {name: value.clamp(0, 1) for name, value in parameters.items()}
        ...     def constraint_data(self):
        ...         return None
        ...     def constraint_features(self):
        ...         return {"below": [[1.0]]}
        >>> methods = {"lagrangian": {"dual_lr": 1}}
        >>> cpd.check(problem=Median, constraints={"below": ">= 0.5"}, train={"steps": 10}, methods=methods).ok
        True
    """

    collate: Any = None

    def data(self) -> Any:
        """Return all training data: tensors that lead with the examples, in tuples, lists and dicts; or a Dataset.

        One whose items differ each time (a random transform), or that does not fit into memory, is read anew each
        epoch. None stands for no data.
        """
        return None

    def held_out(self) -> Any:
        """Return examples, like :meth:`data`'s, that no run trains on, and on which every run is judged; default: None.

        A share of :meth:`data` is held out by ``held_out: 0.2`` in the YAML instead.
        """
        return None

    def constraint_data(self) -> Any:
        """Return a second stream of examples, for the constraints alone, like :meth:`data`'s; default: None.

        Its minibatches, of ``train.constraint_batch_size`` examples, are what ``evaluate`` gets as
        ``constraint_batch``; where a finished model is judged, all of it.
        """
        return None

    def constraint_features(self) -> Mapping[str, Any]:
        """Return features of vector constraints, ``{name: numbers [k, d]}``, d for each of k components; default: none.

        The method ``multiplier_model`` calculates multipliers from them; constraints that are missing here have
        features of their place.
        """
        return {}

    def model(self) -> torch.nn.Module:
        """Return a fresh model; torch's generator is seeded with the run's seed before the call."""
        raise NotImplementedError(f"{type(self).__name__}.model() is not written")

    def evaluate(self, model: torch.nn.Module, batch: Any) -> Evaluation:
        """Evaluate objective and constraints of ``model`` on ``batch``: differentiable, no side effects.

        Args:
            model: What :meth:`model` returned, with one run's parameters.
            batch: Of the shape of :meth:`data`'s: its tuples, lists and dicts; None when it is None.

        A third parameter without a default, or one named ``progress``, gets the share of the training that is done: a
        scalar from 0 to 1 of the run's dtype; 1 where a finished model is judged. A parameter named
        ``constraint_batch`` gets examples of :meth:`constraint_data`.
        """
        raise NotImplementedError(f"{type(self).__name__}.evaluate() is not written")

    def measure(self, model: torch.nn.Module, batch: Any) -> Evaluation:
        """Judge a finished model (in ``eval()`` mode, on all data). Default: :meth:`evaluate`."""
        done = {name: torch.ones(()) for name, what in takes(self.evaluate).items() if what == "progress"}
        return self.evaluate(model, batch, **done)

    def project(self, parameters: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the parameters projected on the feasible set, ``[x]_X``, after each step. Default: as they are."""
        return parameters


def takes(method: Callable[..., Any]) -> dict[str, str]:
    """Return what a method of a problem takes beside the model and the batch: ``{parameter: what it gets}``.

    It gets the ``progress`` under that name, or as a third parameter without a default; the ``constraint_batch`` under
    that name.
    """
    found = {}
    for place, one in enumerate(inspect.signature(method).parameters.values()):
        if one.name in OFFERED and one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY):
            found[one.name] = one.name
        elif place == THIRD and one.kind is one.POSITIONAL_OR_KEYWORD and one.default is one.empty:
            found[one.name] = "progress"
    return found
