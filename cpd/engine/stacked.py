"""Many models as one: parameters stacked to ``[R, ...]`` and the user's ``evaluate`` mapped over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from cpd.errors import CpdError, SpecError
from cpd.problem import Evaluation, Problem

Tensors = dict[str, Tensor]
Gradients = dict[str, Tensor | None]


class Models(NamedTuple):
    """The tensors of R models by name, each ``[R, ...]``.

    Attributes:
        parameters: Those that are trained.
        buffers: Those that an evaluation in training mode may change: BatchNorm's statistics, counters.
        fixed: All others: frozen parameters, constant tables.
    """

    parameters: Tensors
    buffers: Tensors
    fixed: Tensors

    @classmethod
    def stacked(cls, models: Sequence[nn.Module]) -> Models:
        """One model per run; what is not trained counts as a buffer until :func:`told_apart` knows better."""
        trained = {n for n, p in models[0].named_parameters() if p.requires_grad}
        tensors = [named_tensors(m) for m in models]
        whole = {n: torch.stack([t[n].detach() for t in tensors]) for n in tensors[0]}
        parameters = {n: t for n, t in whole.items() if n in trained}
        return cls(parameters, {n: t for n, t in whole.items() if n not in trained}, {})

    @classmethod
    def joined(cls, models: Sequence[Models]) -> Models:
        """Models of one architecture, one after the other."""
        parts = ({n: torch.cat([m[k][n] for m in models]) for n in models[0][k]} for k in range(3))
        return cls(*parts)

    def trained(self) -> Models:
        """The same models with parameters that a gradient reaches, also one that user code takes itself."""
        return self._replace(parameters={n: p.detach().requires_grad_() for n, p in self.parameters.items()})

    @property
    def runs(self) -> int:
        """How many models they are."""
        return len(next(iter(self.parameters.values())))

    def told_apart(self, after: Tensors) -> Models:
        """With buffers that an evaluation left as they were among the fixed tensors.

        Where it changed one registered buffer it may change others later, so all of them stay buffers.
        """
        same = {n for n, t in self.buffers.items() if torch.equal(t, after[n])}
        if len(same) < len(self.buffers):
            return self
        return Models(self.parameters, {}, {**self.fixed, **self.buffers})


class Stacked(NamedTuple):
    """What one evaluation of R models gives.

    Attributes:
        objective: ``[R]``.
        surrogate: ``[R, C]``, differentiable.
        strict: ``[R, C]``, detached.
        metrics: Each ``[R]``.
        buffers: The models' buffers as the evaluation left them, ``[R, ...]`` each.
        reached: What gradients are taken for: the stacked parameters, or the parameters of the one model itself.
        parameters: As the evaluation left them: user code may change those of the one model in place.
    """

    objective: Tensor
    surrogate: Tensor
    strict: Tensor
    metrics: Tensors
    buffers: Tensors
    reached: Tensors
    parameters: Tensors

    def gradients(self, total: Tensor, *, retain_graph: bool = False) -> Gradients:
        """Gradient of a sum over the runs for each parameter, ``[R, ...]``; None where it does not depend on it."""
        if not total.requires_grad:
            return dict.fromkeys(self.reached)
        if not all(isinstance(p, nn.Parameter) for p in self.reached.values()):
            found = torch.autograd.grad(
                total, list(self.reached.values()), retain_graph=retain_graph, allow_unused=True
            )
            return dict(zip(self.reached, found, strict=True))
        for p in self.reached.values():
            p.grad = None
        total.backward(retain_graph=retain_graph)  # some of what users write asks for it, and not for autograd.grad
        gradients = {n: None if p.grad is None else p.grad[None] for n, p in self.reached.items()}
        for p in self.reached.values():
            p.grad = None
        return gradients


class _Bound(nn.Module):
    """A problem's methods as a module, so that ``functional_call`` reaches the model's tensors inside them."""

    def __init__(self, problem: Problem, model: nn.Module) -> None:
        super().__init__()
        self.problem = problem
        self.model = model

    def forward(self, method: str, batch: Any) -> tuple[Evaluation, Tensors]:
        """The evaluation, and what is not trained as it stands afterwards, whether changed in place or assigned."""
        result = getattr(self.problem, method)(self.model, batch)
        return result, named_tensors(self.model)


class Stack:
    """R models of one architecture, evaluated together.

    It holds none of their tensors: :class:`Models` does, and an evaluation changes nothing that it is given.

    Args:
        problem: The user's problem.
        model: One of the models: the architecture.
        names: The constraints in the order of the spec.
        fused: Map with ``vmap``; otherwise there is one model, filled with the run's tensors and called as any other.
        target: Where the problem is, for errors: ``file.py:Class``; default: its class.

    Attributes:
        sizes: Components of each constraint, known after the first evaluation.
        without_gradient: Constraints whose value had no gradient in the last evaluation, where it was of one model.
        measures: How the finished models are judged.
        moves: Whether an evaluation changes the parameters of the one model in place.
    """

    def __init__(
        self, problem: Problem, model: nn.Module, names: Sequence[str], fused: bool = True, target: str | None = None
    ) -> None:
        self.problem = problem
        self.model = model
        self.target = target or type(problem).__name__
        self.names = tuple(names)
        self.fused = fused
        self.sizes: dict[str, int] = {}
        self.without_gradient: list[str] = []
        self.moves = False
        self.measures = Measures(fused=fused)
        self._checked: set[str] = set()
        self._bound = _Bound(problem, model)
        self.projects = type(problem).project is not Problem.project

    def alone(self) -> Stack:
        """The same problem and architecture, for one run: plain PyTorch."""
        stack = Stack(self.problem, self.model, self.names, fused=False, target=self.target)
        stack.sizes, stack._checked = self.sizes, self._checked
        stack.measures, stack.moves = Measures(False, self.measures.gradients), self.moves
        return stack

    def evaluate(self, models: Models, batch: Any) -> Stacked:
        """Evaluate every run on ``batch`` in training mode, without metrics."""
        self.model.train()
        return self._apply("evaluate", models, batch, metrics=False)

    def measure(self, models: Models, batch: Any) -> Stacked:
        """Judge every run on ``batch`` in evaluation mode, as :attr:`measures` says; nothing in it has a gradient."""
        self.model.eval()
        models = models.trained() if self.measures.gradients else models
        with torch.set_grad_enabled(self.measures.gradients):
            at = self._apply("measure", models, batch, metrics=True)
        plain = (at.objective.detach(), at.surrogate.detach(), at.strict.detach())
        return Stacked(*plain, {n: m.detach() for n, m in at.metrics.items()}, at.buffers, {}, {})

    def project(self, parameters: Tensors) -> Tensors:
        """Project every run's parameters on the problem's feasible set."""
        if not self.projects:
            return parameters
        if self.fused:
            return vmap(self.problem.project)(parameters)
        projected = self.problem.project({n: p[0] for n, p in parameters.items()})
        return {n: p[None] for n, p in projected.items()}

    def _apply(self, method: str, models: Models, batch: Any, metrics: bool) -> Stacked:
        with default_dtype(next(iter(models.parameters.values())).dtype):
            if self.fused:
                return self._mapped(method, models, batch, metrics)
            return self._plain(method, models, batch, metrics)

    def _mapped(self, method: str, models: Models, batch: Any, metrics: bool) -> Stacked:
        def one(tensors: Tensors) -> tuple[Tensor, Tensor, Tensor, Tensors, Tensors]:
            named = {f"model.{n}": t for n, t in tensors.items()}
            result, after = functional_call(self._bound, named, (method, batch))
            return *self._flatten(result, method, metrics), {n: after[n].detach() for n in models.buffers}

        # Buffers of its own, for the user's code changes them in place.
        tensors = {**models.parameters, **{n: t.clone() for n, t in models.buffers.items()}, **models.fixed}
        return Stacked(*vmap(one, randomness="same")(tensors), models.parameters, models.parameters)

    def _plain(self, method: str, models: Models, batch: Any, metrics: bool) -> Stacked:
        """One model, as a loop of the user's own would call it."""
        own = named_tensors(self.model)
        with torch.no_grad():
            for name, tensor in {**models.parameters, **models.buffers, **models.fixed}.items():
                own[name].copy_(tensor[0])
        result = getattr(self.problem, method)(self.model, batch)
        objective, surrogate, strict, shown = self._flatten(result, method, metrics)
        after = named_tensors(self.model)
        buffers = {n: after[n].detach().clone()[None] for n in models.buffers}
        reached = {n: own[n] for n in models.parameters}
        moved = {n: p.detach().clone()[None] for n, p in reached.items()} if self.moves else models.parameters
        shown = {n: v[None] for n, v in shown.items()}
        return Stacked(objective[None], surrogate[None], strict[None], shown, buffers, reached, moved)

    def _flatten(self, result: Evaluation, method: str, metrics: bool) -> tuple[Tensor, Tensor, Tensor, Tensors]:
        place = f"{self.target}.{method}()"
        if method not in self._checked:
            check_evaluation(result, self.names, place)
            self._checked.add(method)
        strict = result.strict or {}
        objective = result.objective
        values = [result.constraints[n] for n in self.names]
        true = [strict.get(n, result.constraints[n]) for n in self.names]
        self.sizes = {n: max(1, v.numel()) for n, v in zip(self.names, values, strict=True)}
        self.without_gradient = [n for n, v in zip(self.names, values, strict=True) if not v.requires_grad]
        shown = {n: torch.as_tensor(v) for n, v in result.metrics.items()} if metrics else {}
        return (
            objective,
            _row(values, objective),
            _row(true, objective).detach(),
            {n: v.detach().to(objective.dtype) for n, v in shown.items()},
        )


@dataclass
class Measures:
    """How finished models are judged: all of them at once where that works, with gradients where ``measure`` takes any.

    Attributes:
        fused: Mapped with ``vmap``; otherwise one after the other.
        gradients: Whether autograd records what ``measure`` does.
    """

    fused: bool = True
    gradients: bool = False


def stacked_rows(rows: Sequence[Stacked]) -> Stacked:
    """Evaluations of one run each, as one of them all."""
    return Stacked(
        objective=torch.cat([row.objective for row in rows]),
        surrogate=torch.cat([row.surrogate for row in rows]),
        strict=torch.cat([row.strict for row in rows]),
        metrics={n: torch.cat([row.metrics[n] for row in rows]) for n in rows[0].metrics},
        buffers={n: torch.cat([row.buffers[n] for row in rows]) for n in rows[0].buffers},
        reached={},
        parameters={},
    )


def named_tensors(model: nn.Module) -> Tensors:
    """All tensors of a model by name, those that are trained and those that are not."""
    return {**dict(model.named_parameters()), **dict(model.named_buffers())}


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Tensors that the user's code makes are of the run's dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _row(values: Sequence[Tensor], like: Tensor) -> Tensor:
    """Concatenate scalars and vectors to ``[C]``."""
    if not values:
        return like.new_zeros(0)
    flat = [v.reshape(-1).to(like.dtype) for v in values]
    return flat[0] if len(flat) == 1 else torch.cat(flat)


def check_evaluation(result: Any, names: Sequence[str], place: str) -> None:
    """Check that what the user's method returned keeps contract 1.

    Raises:
        SpecError: The spec has a constraint that is not returned, or the other way round.
        CpdError: Wrong types or shapes.
    """
    if not isinstance(result, Evaluation):
        raise CpdError(f"returned {type(result).__name__}", place=place, hint="return cpd.Evaluation(objective, ...)")
    _check_scalar(result.objective, "objective", place)
    for part in ("constraints", "strict", "metrics"):
        _check_mapping(getattr(result, part), part, place)
    _check_names(list(result.constraints), names, place)
    for name, value in result.constraints.items():
        _check_value(value, f"constraints['{name}']", place)
    for name, value in (result.strict or {}).items():
        if name not in names:
            raise CpdError(
                f"strict names '{name}', which is no constraint", place=place, hint=f"valid: {', '.join(names)}"
            )
        _check_value(value, f"strict['{name}']", place)
        expected = tuple(result.constraints[name].shape)
        if tuple(value.shape) != expected:
            raise CpdError(
                f"strict['{name}'] has shape {list(value.shape)}, constraints['{name}'] has {list(expected)}",
                place=place,
                hint="give both the same shape",
            )
    for name, value in result.metrics.items():
        _check_scalar(torch.as_tensor(value), f"metrics['{name}']", place)


def _check_mapping(value: Any, part: str, place: str) -> None:
    if not isinstance(value, Mapping) and not (part == "strict" and value is None):
        message = f"{part} must be a dict of tensors by name, got {type(value).__name__}"
        raise CpdError(message, place=place, hint=f"write {part}={{'NAME': VALUE}}")


def _check_names(returned: Sequence[Any], names: Sequence[str], place: str) -> None:
    """Check that the problem's constraints are those of the spec."""
    if missing := [n for n in names if n not in returned]:
        message = f"{place} does not return '{missing[0]}'"
        hint = f"return it there or remove it here; it returns: {', '.join(map(str, returned)) or 'none'}"
        raise SpecError(message, place=f"constraints.{missing[0]}", hint=hint)
    if extra := [n for n in returned if n not in names]:
        message = f"{place} returns '{extra[0]}', which is not among them"
        hint = f'add {extra[0]}: {{level: VALUE, sense: "<="}}; they are: {", ".join(names)}'
        raise SpecError(message, place="constraints", hint=hint)


def _check_scalar(value: Any, name: str, place: str) -> None:
    if not isinstance(value, Tensor) or value.dim() != 0:
        got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise CpdError(f"{name} must be a scalar tensor, got {got}", place=place, hint="reduce it, e.g. with .mean()")


def _check_value(value: Any, name: str, place: str) -> None:
    if not isinstance(value, Tensor) or value.dim() > 1 or value.numel() == 0:
        got = f"shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise CpdError(f"{name} must be a scalar or [k] tensor, got {got}", place=place, hint="reduce or flatten it")
