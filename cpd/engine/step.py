"""One training step of R fused runs, equations (8)-(10) of the paper."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from cpd.engine.method_groups import Segments
from cpd.engine.recorder import Record
from cpd.engine.stacked import Stack, Tensors
from cpd.errors import SpecError, closest
from cpd.outcome import RunKey
from cpd.spec.models import Optimizer

ENGINE_OPTIONS = ("foreach", "capturable", "differentiable", "fused")
"""Options of ``torch.optim`` that are how a step is executed, which is the engine's to say."""


class State(NamedTuple):
    """Everything that a step changes.

    Attributes:
        parameters: Stacked, ``[R, ...]``.
        optimizer: What ``torch.optim`` keeps, by parameter.
        dual: The state of each segment's method.
        active: ``[R]`` bool; a run whose evaluation was not finite is frozen for good.
        steps: ``[R]`` steps done while active.
    """

    parameters: Tensors
    optimizer: dict[str, dict[str, Any]]
    dual: tuple[Any, ...]
    active: Tensor
    steps: Tensor


class Step:
    """The step of a batch: evaluate once, move the multipliers, then the models.

    Args:
        stack: The stacked models.
        segments: The methods.
        sign: ``[C]``: -1 for ``>=``, else 1.
        levels: ``[R, C]``.
        optimizer: Recipe of the models' optimizer.
    """

    def __init__(self, stack: Stack, segments: Segments, sign: Tensor, levels: Tensor, optimizer: Optimizer) -> None:
        self.stack = stack
        self.segments = segments
        self.sign = sign
        self.levels = levels
        self.recipe = optimizer

    def start(self) -> State:
        """The state before the first step; the optimizer keeps nothing yet."""
        runs, like = len(self.levels), self.levels
        return State(
            self.stack.parameters,
            {},
            self.segments.init(like),
            torch.ones(runs, dtype=torch.bool, device=like.device),
            torch.zeros(runs, dtype=torch.long, device=like.device),
        )

    def optimizer(self, state: State, **options: Any) -> torch.optim.Optimizer:
        """A ``torch.optim`` optimizer over the stacked parameters that goes on from the state."""
        optimizer = build_optimizer(self.recipe, list(state.parameters.values()), **options)
        for name, kept in state.optimizer.items():
            optimizer.state[state.parameters[name]] = dict(kept)
        return optimizer

    def part(self, rows: list[int], keys: Sequence[RunKey], stack: Stack) -> Step:
        """The step of these runs alone."""
        segments = Segments(keys, stack.sizes, self.segments.equality, self.levels)
        return Step(stack, segments, self.sign, self.levels[rows], self.recipe)

    def part_of(self, state: State, rows: list[int], stack: Stack) -> State:
        """What a state holds of these runs."""
        kept = {n: {k: _rows(v, rows) for k, v in s.items()} for n, s in state.optimizer.items()}
        dual = []
        for part, own in zip(self.segments.parts, state.dual, strict=True):
            local = [r - part.rows.start for r in rows if part.rows.start <= r < part.rows.stop]
            if local:
                dual.append(pytree.tree_map(lambda t, local=local: t[local], own))
        return State(stack.parameters, kept, tuple(dual), state.active[rows], state.steps[rows])

    @property
    def tensors(self) -> list[Tensor]:
        """All that the step reads besides its state and batch: levels, senses, hyperparameters, what is not trained."""
        settings = [v for part in self.segments.parts for v in part.setting.values() if isinstance(v, Tensor)]
        return [self.levels, self.sign, self.segments.equality, *settings, *self.stack.fixed.values()]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations a step consists of, shapes of tensors aside."""
        words = [
            (part.method.name, part.rows, part.alternating, [(n, _word(v)) for n, v in part.setting.items()])
            for part in self.segments.parts
        ]
        return (self.stack.names, str(self.stack.sizes), self.stack.fused, self.recipe.model_dump_json(), str(words))

    def violation(self, values: Tensor) -> Tensor:
        """Oriented violation ``[R, C]``: ``value - level``, or ``level - value`` for ``>=``."""
        return (values - self.levels) * self.sign

    def advance(self, state: State, batch: Any, optimizer: torch.optim.Optimizer) -> tuple[State, Record]:
        r"""One step.

        .. math::
            \lambda_{t+1} = \mathrm{update}(\lambda_t, g_{strict}(x_t)), \qquad
            x_{t+1} = [x_t - \eta \nabla_x (f(x_t) + \mathrm{penalty\_term}(g(x_t), \lambda_{t+1}))]_X

        The optimizer works on the parameters in place. Source: the paper, equations (8)-(10).
        """
        at = self.stack.evaluate(state.parameters, batch)
        objective, surrogate = at.objective.detach(), at.surrogate.detach()
        finite = torch.isfinite(objective) & torch.isfinite(surrogate + at.strict).all(1)
        active = state.active & finite
        dual = self.segments.update(self.violation(at.strict), state.dual, active)
        term = self.segments.penalty_term(self.violation(at.surrogate), state.dual, dual)
        parameters = list(state.parameters.values())
        gradients = torch.autograd.grad((at.objective + term).sum(), parameters, allow_unused=True)
        with torch.no_grad():
            self._descend(state, gradients, active, optimizer)
        kept = {n: optimizer.state[p] for n, p in state.parameters.items()}
        record = Record(objective, at.strict, self.segments.multipliers(dual, at.strict))
        return State(state.parameters, kept, dual, active, state.steps + active), record

    def _descend(self, state: State, gradients: Any, active: Tensor, optimizer: torch.optim.Optimizer) -> None:
        before = {n: p.clone() for n, p in state.parameters.items()}
        for parameter, gradient in zip(state.parameters.values(), gradients, strict=True):
            parameter.grad = torch.zeros_like(parameter) if gradient is None else gradient
        optimizer.step()
        after = self.stack.project(state.parameters)
        for name, parameter in state.parameters.items():
            keep = active.view(-1, *[1] * (parameter.dim() - 1))
            parameter.copy_(torch.where(keep, after[name], before[name]))
            parameter.grad = None

    def gradient_norms(self, parameters: Tensors, batch: Any) -> Tensor:
        """Norm of each component's surrogate gradient, grouped by constraint name: ``[R, names]``."""
        parameters = {n: p.detach().requires_grad_() for n, p in parameters.items()}
        at = self.stack.evaluate(parameters, batch)
        groups = torch.split(at.surrogate.sum(0), list(self.stack.sizes.values()))
        norms = []
        for group in groups:
            gradients = torch.autograd.grad(
                group.sum(), list(parameters.values()), retain_graph=True, allow_unused=True
            )
            squares = [g.reshape(len(g), -1).square().sum(1) for g in gradients if g is not None]
            norms.append(torch.stack(squares).sum(0).sqrt() if squares else at.objective.detach() * 0)
        return torch.stack(norms, dim=1)


def _rows(value: Any, rows: list[int]) -> Any:
    """What an optimizer keeps of some runs; its step counter, a scalar, is the same for all."""
    return value[rows] if isinstance(value, Tensor) and value.dim() else value


def _word(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else value


def build_optimizer(recipe: Optimizer, parameters: list[Tensor], **options: Any) -> torch.optim.Optimizer:
    """Build the ``torch.optim`` optimizer of a recipe.

    Raises:
        SpecError: An option that the optimizer does not take, or a value that it refuses.
    """
    kind = getattr(torch.optim, recipe.name)
    known = [n for n in inspect.signature(kind.__init__).parameters if n not in ("self", "params")]
    valid = [n for n in known if n not in ENGINE_OPTIONS]
    for name in recipe.options:
        if name not in valid:
            message = f"{recipe.name} takes no option '{name}'"
            raise SpecError(message, place=f"train.optimizer.{name}", hint=closest(name, valid))
    try:
        return kind(parameters, **{**recipe.options, **{n: v for n, v in options.items() if n in known}})
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{name}: {value}" for name, value in recipe.options.items())
        message = f"{recipe.name} refuses {{{given}}}: {error}"
        hint = f"mend the value; {recipe.name} takes {', '.join(valid)}"
        raise SpecError(message, place="train.optimizer", hint=hint) from error
