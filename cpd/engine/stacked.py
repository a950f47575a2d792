"""Many models as one: parameters stacked to ``[R, ...]`` and the user's ``evaluate`` mapped over them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from cpd.engine.bound import Bound, Tensors, named_tensors
from cpd.engine.calling import Calls, progress_of
from cpd.engine.casting import Casting
from cpd.engine.contract import check_evaluation
from cpd.engine.evidence import Plan, examples_of, terms_of
from cpd.engine.rewriting import Rewriting
from cpd.engine.seen import metric, refuse_outside, together, valued
from cpd.errors import CpdError
from cpd.problem import Evaluation, Observed, Problem
from cpd.shares import Calculable

Gradients = dict[str, Tensor | None]
Sizes = tuple[int, ...]


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
        same = {n for n, t in self.buffers.items() if t.dtype == after[n].dtype and torch.equal(t, after[n])}
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
        observed: ``[R, C]`` bool: which values the batch shows, the others are 0; None where every value always is.
        terms: Of the shares that strict values are made of, ``[R, n, k]`` each; None where they are not kept.
        driving: Which surrogates the batch shows, where strict values are observed apart from them; else None.
    """

    objective: Tensor
    surrogate: Tensor
    strict: Tensor
    metrics: Tensors
    buffers: Tensors
    reached: Tensors
    parameters: Tensors
    observed: Tensor | None = None
    terms: Tensors | None = None
    driving: Tensor | None = None

    @property
    def shown(self) -> Tensor | None:
        """Which surrogates the batch shows, ``[R, C]`` bool; None where it shows all."""
        return self.observed if self.driving is None else self.driving

    @property
    def recorded(self) -> Tensor:
        """The strict values ``[R, C]``, NaN where not observed."""
        if self.observed is None:
            return self.strict
        return torch.where(self.observed, self.strict, torch.full_like(self.strict, float("nan")))

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


class Stack:
    """R models of one architecture, evaluated together.

    It holds none of their tensors: :class:`Models` does, and an evaluation changes nothing that it is given.

    Args:
        problem: The user's problem.
        model: One of the models: the architecture.
        names: The constraints in the order of the spec.
        fused: Map with ``vmap``; otherwise there is one model, filled with the run's tensors and called as any other.
        target: Where the problem is, for errors: ``file.py:Class``; default: its class.
        autocast: In which precision operations of a step are done where torch deems that safe; None for the
            parameters' own.

    Attributes:
        sizes: Components of each constraint, known after the first evaluation.
        without_gradient: Constraints whose value had no gradient in the last evaluation, where it was of one model.
        measures: How the finished models are judged.
        moves: Whether an evaluation changes the parameters of the one model in place.
        partial: Whether an evaluation may show but some of the values: some constraint is a share, or observed.
        shares: Whether some strict value of a measure is made of shares.
        plans: How such values are calculated from the terms that were kept last, by name.
        calls: How the problem's methods are called.
        rewrites: Whether operations that ``vmap`` refuses are written otherwise where that is known how.
    """

    def __init__(
        self,
        problem: Problem,
        model: nn.Module,
        names: Sequence[str],
        fused: bool = True,
        target: str | None = None,
        autocast: torch.dtype | None = None,
    ) -> None:
        self.problem = problem
        self.model = model
        self.target = target or type(problem).__name__
        self.names = tuple(names)
        self.fused = fused
        self.sizes: dict[str, int] = {}
        self.without_gradient: list[str] = []
        self.autocast = autocast
        self.moves = False
        self.partial = False
        self.shares = False
        self.plans: dict[str, Plan] = {}
        self.rewrites = False
        self.measures = Measures(fused=fused)
        self.calls = Calls(problem)
        self._checked: set[str] = set()
        self._bound = Bound(self.calls, model)
        self.projects = type(problem).project is not Problem.project

    def alone(self) -> Stack:
        """The same problem and architecture, for one run: plain PyTorch."""
        stack = Stack(self.problem, self.model, self.names, False, self.target, self.autocast)
        stack.sizes, stack._checked, stack._bound = self.sizes, self._checked, self._bound
        stack.measures, stack.moves = Measures(False, self.measures.gradients), self.moves
        stack.partial, stack.shares, stack.plans = self.partial, self.shares, self.plans
        return stack

    def evaluate(self, models: Models, batch: Any, progress: Tensor | None = None, *, training: bool = True) -> Stacked:
        """Evaluate every run on ``batch`` in training mode, or in evaluation mode, without metrics.

        Args:
            models: Of the runs.
            batch: The minibatch.
            progress: The share of the training that is done, a scalar, where the problem takes it; default: 0.
            training: The models' mode.
        """
        self.model.train(training)
        if self.autocast is None:
            return self._apply("evaluate", models, batch, progress)
        like = next(iter(models.parameters.values()))
        with torch.autocast(like.device.type, self.autocast, cache_enabled=False):
            at = self._apply("evaluate", models, batch, progress)
        objective, surrogate, strict = (t.to(like.dtype) for t in (at.objective, at.surrogate, at.strict))
        return at._replace(objective=objective, surrogate=surrogate, strict=strict)

    def put_back(self) -> None:
        """Let the one model have its own buffers, where evaluations have assigned others."""
        self._bound.put_back()

    def measure(self, models: Models, batch: Any, *, keep: bool = False) -> Stacked:
        """Judge every run on ``batch`` in evaluation mode, as :attr:`measures` says; nothing in it has a gradient.

        Args:
            models: Of the runs.
            batch: All examples, or some of them.
            keep: Whether the terms of shares are kept.
        """
        self.model.eval()
        models = models.trained() if self.measures.gradients else models
        with torch.set_grad_enabled(self.measures.gradients):
            at = self._apply("measure", models, batch, keep=examples_of(batch) if keep else ())
        plain = (at.objective.detach(), at.surrogate.detach(), at.strict.detach())
        return Stacked(
            *plain, {n: m.detach() for n, m in at.metrics.items()}, at.buffers, {}, {}, at.observed, at.terms
        )

    def returned(self, models: Models, batch: Any) -> Evaluation:
        """What the user's method returns where one model is judged, as it is."""
        self.model.eval()
        like = next(iter(models.parameters.values()))
        with torch.set_grad_enabled(self.measures.gradients), default_dtype(like.dtype):
            self._filled(models)
            return self.calls("measure", self.model, batch, {"progress": progress_of("measure", like)})

    def project(self, parameters: Tensors) -> Tensors:
        """Project every run's parameters on the problem's feasible set."""
        if not self.projects:
            return parameters
        if self.fused:
            return vmap(self.problem.project)(parameters)
        projected = self.problem.project({n: p[0] for n, p in parameters.items()})
        return {n: p[None] for n, p in projected.items()}

    def _apply(
        self,
        method: str,
        models: Models,
        batch: Any,
        progress: Tensor | None = None,
        *,
        keep: Sizes = (),
    ) -> Stacked:
        like = next(iter(models.parameters.values()))
        offered = {}
        if "progress" in self.calls.taken[method].values():
            offered["progress"] = progress_of(method, like) if progress is None else progress
        with default_dtype(like.dtype):
            if self.fused:
                return self._mapped(method, models, batch, offered, keep)
            return self._plain(method, models, batch, offered, keep)

    def _mapped(self, method: str, models: Models, batch: Any, offered: Mapping[str, Any], keep: Sizes) -> Stacked:
        lower = self.autocast if method == "evaluate" else None
        cast: Any = nullcontext() if lower is None else Casting(lower)

        def one(tensors: Tensors) -> tuple[Tensor, Tensor, Tensor, Tensors, Tensors, Tensors, Tensors]:
            named = self._bound.everywhere(tensors)
            with cast, Rewriting(_of_the_run(tensors)) if self.rewrites else nullcontext():
                result, after = functional_call(self._bound, named, (method, batch, offered), tie_weights=False)
                objective, surrogate, strict, shown, seen = self._flatten(result, method)
                terms = self._terms(result, keep)
            kept = self._kept(models.buffers if method == "evaluate" else {}, after)
            return objective, surrogate, strict, shown, kept, seen, terms

        # Buffers of its own, for the user's code changes them in place.
        tensors = {**models.parameters, **{n: t.clone() for n, t in models.buffers.items()}, **models.fixed}
        objective, surrogate, strict, shown, buffers, seen, terms = vmap(one, randomness="same")(tensors)
        own = models.parameters
        observed, driving = seen.get("observed"), seen.get("driving")
        return Stacked(objective, surrogate, strict, shown, buffers, own, own, observed, terms or None, driving)

    def _plain(self, method: str, models: Models, batch: Any, offered: Mapping[str, Any], keep: Sizes) -> Stacked:
        """One model, as a loop of the user's own would call it."""
        own = self._filled(models)
        result = self.calls(method, self.model, batch, offered)
        objective, surrogate, strict, shown, seen = self._flatten(result, method)
        terms = {n: t[None] for n, t in self._terms(result, keep).items()} or None
        for name, value in [*result.constraints.items(), *(result.strict or {}).items()]:
            refuse_outside(value, name, f"{self.target}.{method}()")
        after = named_tensors(self.model)
        kept = self._kept(models.buffers if method == "evaluate" else {}, after)
        buffers = {n: t.clone()[None] for n, t in kept.items()}
        reached = {n: own[n] for n in models.parameters}
        moved = {n: p.detach().clone()[None] for n, p in reached.items()} if self.moves else models.parameters
        shown = {n: v[None] for n, v in shown.items()}
        observed, driving = (seen[name][None] if name in seen else None for name in ("observed", "driving"))
        values = (objective[None], surrogate[None], strict[None])
        return Stacked(*values, shown, buffers, reached, moved, observed, terms, driving)

    def _filled(self, models: Models) -> Tensors:
        """The tensors of the one model, which has now the numbers of one run."""
        self._bound.put_back()
        own = named_tensors(self.model)
        with torch.no_grad():
            for name, tensor in {**models.parameters, **models.buffers, **models.fixed}.items():
                own[name].copy_(tensor[0])
        return own

    def _kept(self, buffers: Tensors, after: Tensors) -> Tensors:
        """One run's buffers after an evaluation.

        Raises:
            CpdError: One has another shape, or a type that is not cast to its own: runs have them for good.
        """
        for name, before in buffers.items():
            now = after.get(name)
            if now is None or now.shape != before.shape[1:] or not torch.can_cast(now.dtype, before.dtype):
                was = f"{list(before.shape[1:])} {str(before.dtype).removeprefix('torch.')}"
                made = f"{list(now.shape)} {str(now.dtype).removeprefix('torch.')}" if now is not None else "nothing"
                hint = "register it in the shape and type that it will have, and write into its parts"
                raise CpdError(
                    f"makes {made} of the buffer '{name}', which is {was}", place=f"{self.target}.evaluate()", hint=hint
                )
        return {name: after[name].detach() for name in buffers}

    def _terms(self, result: Evaluation, examples: Sizes) -> Tensors:
        """The terms of strict values that are shares of so many examples; none where they are not to be kept."""
        if not examples:
            return {}
        strict = {**result.constraints, **(result.strict or {})}
        self.plans.clear()
        terms: Tensors = {}
        for number, name in enumerate(self.names):
            found = terms_of(strict[name], number, examples)
            if found is not None:
                self.plans[name] = found[0]
                terms |= found[1]
        return terms

    def _flatten(self, result: Evaluation, method: str) -> tuple[Tensor, Tensor, Tensor, Tensors, Tensors]:
        place = f"{self.target}.{method}()"
        if method not in self._checked:
            check_evaluation(result, self.names, place)
            self._checked.add(method)
        strict = result.strict or {}
        objective = result.objective
        given = (*result.constraints.values(), *strict.values())
        self.partial |= method == "evaluate" and any(isinstance(v, Calculable | Observed) for v in given)
        self.shares |= any(isinstance(v, Calculable) for v in given)
        values = {n: valued(result.constraints[n]) for n in self.names}
        true = {n: valued(strict[n]) if n in strict else value for n, value in values.items()}
        self.sizes = {n: max(1, v.value.numel()) for n, v in values.items()}
        self.without_gradient = [n for n, v in values.items() if not v.value.requires_grad]
        shown = {n: metric(v) for n, v in result.metrics.items()} if method == "measure" else {}
        return (
            objective,
            _row([v.value for v in values.values()], objective),
            _row([v.value for v in true.values()], objective).detach(),
            {n: v.detach().to(objective.dtype) for n, v in shown.items()},
            together(list(values.values()), list(true.values())),
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


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Tensors that the user's code makes are of the run's dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _of_the_run(tensors: Tensors) -> Tensor:
    """A scalar of the run that is mapped over."""
    return next(iter(tensors.values())).detach().reshape(-1)[0]


def _row(values: Sequence[Tensor], like: Tensor) -> Tensor:
    """Concatenate scalars and vectors to ``[C]``."""
    if not values:
        return like.new_zeros(0)
    flat = [v.reshape(-1).to(like.dtype) for v in values]
    return flat[0] if len(flat) == 1 else torch.cat(flat)
