r"""Gradients of finished models on all training data: of the objective, and with what acts on the constraints.

``evaluate`` is called in ``eval()`` mode, for all runs as one, on the minibatches that they were trained with, whose
graphs are dropped one after the other. With n examples in all, of which a minibatch has :math:`n_k`,

.. math:: \nabla v = \sum_k \frac{n_k}{n} \nabla v_k, \qquad
    \nabla \frac{N}{D} = \sum_k \frac{\nabla N_k - v \nabla D_k}{D}

of a mean v over examples, and of a share with its sums N and D. Where the values on all data are not made of those of
the minibatches in this way, all data are evaluated at once, for one run after the other.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.counting import out_of_memory
from cpd.engine.graded import DENOMINATOR, NUMERATOR, STRICT, Graded
from cpd.engine.loading import user_traceback
from cpd.engine.minibatches import count
from cpd.engine.optimizers import scalar_dtype
from cpd.engine.paired import Paired
from cpd.engine.prepared import Prepared
from cpd.engine.python_state import PythonState
from cpd.engine.stacked import Gradients, Models, Stacked
from cpd.engine.tree import leaves, take

ALIKE = 1e-3
"""What two ways to a number may differ by, relative to it: residuals are looked at to a hundredth."""
STEP = 1e-3
"""Of the parameters' norm: how far a step goes that sees what a projection leaves of a gradient."""


class Slopes(NamedTuple):
    """Of R models on all training data.

    Attributes:
        objective: f, ``[R]``.
        of_objective: Norm of the gradient of f, ``[R]``.
        of_lagrangian: Norm of what a projection leaves of that of ``f + factors . values``, ``[R]``.
        separate: Which components have a strict value of their own, ``[C]`` bool.
        strict: Of which of them the gradient is taken, for they have one, ``[C]`` bool.
        values: The surrogates, ``[R, C]``.
    """

    objective: Tensor
    of_objective: Tensor
    of_lagrangian: Tensor
    separate: Tensor
    strict: Tensor
    values: Tensor


class _NotTheirMeanError(Exception):
    """The values on all data are not made of those of minibatches."""


def slopes(
    prepared: Prepared, models: Models, factors: Tensor, python: Sequence[PythonState] | None = None
) -> tuple[Slopes, dict[int, str]]:
    """The slopes of models, leaving no trace; NaN for those whose evaluation raises, and what it raises.

    Args:
        prepared: What they started from.
        models: Those of some runs.
        factors: What multiplies the gradient of each value, ``[R, C]``.
        python: What each of them keeps in Python, where that is not the same.
    """
    whole = isinstance(prepared.batches.each, Paired)
    if prepared.stack.fused and python is None and not (whole and prepared.batches.batch_size is not None):
        try:
            found = _fused(prepared, models, factors)
            if found is not None:
                return found, {}
        except _NotTheirMeanError:
            whole = True
        except Exception as error:  # as one they cannot be evaluated, or their evaluation raises: each says itself
            if out_of_memory(error):
                raise
    return _one_by_one(prepared, models, factors, python, whole)


def _fused(prepared: Prepared, models: Models, factors: Tensor) -> Slopes | None:
    """Those of all models as one; None where one of them alone has others in a first minibatch."""
    first, alone = Graded.of(prepared.stack, True), Graded.of(prepared.stack, False)
    one = _Pass(prepared, alone, take(models, [0]), factors[:1]).slopes(first=True)
    again = _Pass(prepared, first, models, factors).slopes(first=True)
    if not _alike(again.of_objective[:1], one.of_objective) or not _alike(again.of_lagrangian[:1], one.of_lagrangian):
        return None
    return again if prepared.batches.batch_size is None else _Pass(prepared, first, models, factors).slopes()


def _one_by_one(
    prepared: Prepared, models: Models, factors: Tensor, python: Sequence[PythonState] | None, whole: bool
) -> tuple[Slopes, dict[int, str]]:
    alone = Graded.of(prepared.stack, False)
    rows: list[Slopes] = []
    raised: dict[int, str] = {}
    nothing = factors.new_full((1,), float("nan"))
    none = torch.zeros_like(factors[0], dtype=torch.bool)
    missing = Slopes(nothing, nothing, nothing, none, none, factors[:1] * float("nan"))
    for r in range(models.runs):
        own = _Pass(prepared, alone, take(models, [r]), factors[r : r + 1], python[r] if python else None)
        try:
            rows.append(own.slopes(whole=whole))
        except _NotTheirMeanError:
            whole = True
            rows.append(own.slopes(whole=True))
        except Exception as error:
            if out_of_memory(error):
                raise
            rows.append(missing)
            raised[r] = user_traceback(error)
    whose = next((row for r, row in enumerate(rows) if r not in raised), missing)
    together = whose._replace(
        objective=torch.cat([row.objective for row in rows]),
        of_objective=torch.cat([row.of_objective for row in rows]),
        of_lagrangian=torch.cat([row.of_lagrangian for row in rows]),
        values=torch.cat([row.values for row in rows]),
    )
    return together, raised


class _Pass:
    """One pass over the data with the models of some runs."""

    def __init__(
        self, prepared: Prepared, graded: Graded, models: Models, factors: Tensor, python: PythonState | None = None
    ) -> None:
        self.prepared, self.graded, self.models = prepared, graded, models.trained()
        self.factors = factors.nan_to_num(0, 0, 0)
        self.python = python
        self.strict: Tensor | None = None

    def slopes(self, *, first: bool = False, whole: bool = False) -> Slopes:
        """Those on the first minibatch, on all data at once, or on all data minibatch by minibatch.

        Raises:
            _NotTheirMeanError: All data are to be evaluated at once.
        """
        self.of_objective: Gradients = {}
        self.of_constraints: Gradients = {}
        self.sums: dict[str, Tensor] = {}
        self.parts = 0
        with self.prepared.untouched() as before, torch.enable_grad():
            self._begin(self.python or before.python)
            batches = self.prepared.batches
            if first or whole or batches.batch_size is None or batches.streamed:
                parts = [(1, batches.sample())] if first else batches.judged()
                examples = self._averaged(parts)
            else:
                examples = self._in_parts(self.python or before.python)
        return self._found(examples)

    def _begin(self, python: PythonState) -> None:
        python.restore()
        self.prepared.surroundings.random.restore()

    def _averaged(self, parts: Any) -> float:
        """Of means over examples, and of what is taken for one where examples are read while they are trained on."""
        examples = 0
        for n, batch in parts:
            at = self.graded.graded(self.models, self.prepared.batches.copy_of(batch))
            self._add(at, n, n * self._values(at))
            examples += n
        return float(examples)

    def _in_parts(self, python: PythonState) -> float:
        """Minibatch by minibatch, each share's sums apart."""
        batches = self.prepared.batches.each
        examples = count(batches.data)
        with torch.no_grad():
            all_of_it = self.graded.graded(self.models, batches.data)
        value, denominator = all_of_it.surrogate.detach(), all_of_it.metrics[DENOMINATOR].detach()
        self._begin(python)
        for index in _indices(batches.data, batches.batch_size or examples):
            at = self.graded.graded(self.models, batches.at(index))
            share = torch.tensor(self.graded.counted, device=value.device)
            sums = (at.metrics[NUMERATOR] - value * at.metrics[DENOMINATOR]) * examples / denominator.clamp_min(1e-30)
            self._refuse_strict(at)
            self._add(at, len(index), torch.where(share, sums, len(index) * at.surrogate))
        self._compare(all_of_it, examples)
        return float(examples)

    def _add(self, at: Stacked, n: int, values: Tensor) -> None:
        """Add a minibatch of n examples, with its part of the constraints' values times all of them, ``[R, C]``."""
        acts = bool((self.factors != 0).any()) and values.requires_grad
        own = at.gradients((n * at.objective).sum(), retain_graph=acts)
        self.of_objective = _added(self.of_objective, own)
        if acts:
            self.of_constraints = _added(self.of_constraints, at.gradients((self.factors * values).sum()))
        self.parts += 1
        kind = scalar_dtype(at.objective.device)
        seen = {"objective": n * at.objective, "value": n * at.surrogate}
        seen |= {name: at.metrics[name] for name in (NUMERATOR, DENOMINATOR)}
        for name, value in seen.items():
            value = value.detach().to(kind)
            self.sums[name] = self.sums[name] + value if name in self.sums else value

    def _values(self, at: Stacked) -> Tensor:
        """What is differentiated: the surrogates, and strict values of their own where these have a gradient."""
        if self.strict is None:
            self.strict = self._strict_with_gradient(at)
        return torch.where(self.strict, at.metrics[STRICT], at.surrogate)

    def _strict_with_gradient(self, at: Stacked) -> Tensor:
        separate = torch.tensor(self.graded.separate, dtype=torch.bool, device=at.strict.device)
        found = torch.zeros_like(separate)
        if at.metrics[STRICT].requires_grad:
            for k in separate.nonzero().flatten().tolist():
                gradients = at.gradients(at.metrics[STRICT][:, k].sum(), retain_graph=True)
                found[k] = any(g is not None and bool((g != 0).any()) for g in gradients.values())
        return found

    def _refuse_strict(self, at: Stacked) -> None:
        if self.strict is None:
            self.strict = self._strict_with_gradient(at)
            if self.strict.any():
                raise _NotTheirMeanError

    def _compare(self, all_of_it: Stacked, examples: int) -> None:
        """Whether the minibatches together have the values of all data."""
        values = self._together(examples)
        pairs = [(self.sums["objective"] / examples, all_of_it.objective), (values, all_of_it.surrogate)]
        if not all(_alike(a, b.detach()) for a, b in pairs):
            raise _NotTheirMeanError

    def _found(self, examples: float) -> Slopes:
        like, kind = self.factors, scalar_dtype(self.factors.device)
        own = {n: None if g is None else g.to(kind) / examples for n, g in self.of_objective.items()}
        acting = {n: None if g is None else g.to(kind) / examples for n, g in self.of_constraints.items()}
        both = self._projected(_added(own, acting))
        assert self.strict is not None, "a batch was looked at"
        separate = torch.tensor(self.graded.separate, dtype=torch.bool, device=like.device)
        objective = self.sums["objective"] / examples
        values = self._together(examples) if self.parts > 1 else self.sums["value"] / examples
        return Slopes(objective, _norm(own, like, kind), _norm(both, like, kind), separate, self.strict, values)

    def _together(self, examples: float) -> Tensor:
        """The values of what was looked at: means over the examples, and shares."""
        share = torch.tensor(self.graded.counted, dtype=torch.bool, device=self.factors.device)
        quotient = self.sums[NUMERATOR] / self.sums[DENOMINATOR]
        return torch.where(share, quotient, self.sums["value"] / examples)

    def _projected(self, gradients: Gradients) -> Gradients:
        r"""What a projection leaves of a step along gradients: :math:`(x - [x - t G]_X) / t`."""
        if not self.graded.projects:
            return gradients
        like = self.factors
        x = {n: p.detach() for n, p in self.models.parameters.items()}
        known = {n: torch.zeros_like(x[n]) if g is None else g.to(x[n].dtype) for n, g in gradients.items()}
        size, length = _norm(dict(x), like, like.dtype), _norm(dict(known), like, like.dtype)
        t = STEP * torch.where(size > 0, size, torch.ones_like(size)) / torch.where(length > 0, length, 1.0)
        with torch.no_grad():
            moved = self.graded.project({n: p - _rows(t, p) * known[n] for n, p in x.items()})
        return {n: (p - moved[n]) / _rows(t, p) for n, p in x.items()}


def _indices(data: Any, size: int) -> Iterator[Tensor]:
    """All examples in their order, as many at a time."""
    return iter(torch.arange(count(data), device=leaves(data)[0].device).split(size))


def _alike(a: Tensor, b: Tensor) -> bool:
    """Whether numbers are the same to :data:`ALIKE`; what is not finite is not compared."""
    a, b = a.double().cpu(), b.double().cpu()
    known = a.isfinite() & b.isfinite()
    scale = torch.maximum(a.abs(), b.abs())[known].max().item() if known.any() else 0.0
    return bool(((a - b).abs()[known] <= ALIKE * torch.maximum(a.abs(), b.abs())[known] + 1e-6 * scale).all())


def _added(a: Gradients, b: Gradients) -> Gradients:
    found: Gradients = dict(a)
    for name, gradient in b.items():
        old = found.get(name)
        if gradient is not None:
            found[name] = gradient.detach() if old is None else old + gradient.detach()
        else:
            found.setdefault(name, None)
    return found


def _norm(gradients: Gradients, like: Tensor, kind: torch.dtype) -> Tensor:
    """Over all parameters of a run, ``[R]``."""
    squares = [g.to(kind).reshape(len(g), -1).square().sum(1) for g in gradients.values() if g is not None]
    return torch.stack(squares).sum(0).sqrt() if squares else torch.zeros(len(like), dtype=kind, device=like.device)


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1)).to(like.dtype)
