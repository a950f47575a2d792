"""One training step of R fused runs, equations (8)-(10) of the paper."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.holding import Holding
from cpd.engine.method_groups import MethodGroups, States
from cpd.engine.optimizers import RULES, Kept, Moment, full_options, initial, scalar_dtype
from cpd.engine.recorder import Record
from cpd.engine.stacked import Models, Stack, Tensors
from cpd.spec.models import Optimizer


class State(NamedTuple):
    """Everything that a step changes, with the runs first: a tree, see :mod:`cpd.engine.tree`.

    Attributes:
        parameters: Of the models, ``[R, ...]``.
        buffers: Likewise.
        optimizer: What the models' optimizer keeps, by parameter.
        methods: What each group's method remembers.
        recipe: The recipe's values that may change from step to step, ``[R]`` each: ``lr``.
        step: Steps that the training has done, for all runs the same.
        active: ``[R]`` bool; a run whose evaluation was not finite is frozen for good.
        steps: ``[R]`` steps done while active.
        held: ``[R, names]`` of these, those at which each constraint held, since the last tenth began.
    """

    parameters: Tensors
    buffers: Tensors
    optimizer: dict[str, Kept]
    methods: States
    recipe: Tensors
    step: Tensor
    active: Tensor
    steps: Tensor
    held: Tensor


class Step:
    """The step of a batch: evaluate once, move the multipliers, then the models.

    Args:
        stack: The architecture and the problem.
        groups: The methods.
        sign: ``[C]``: -1 for ``>=``, else 1.
        levels: ``[R, C]``.
        fixed: Tensors of the models that no step changes, ``[R, ...]``.
        optimizer: Recipe of the models' optimizer.
        holding: At which values the constraints hold.

    Raises:
        SpecError: The optimizer refuses its options.
    """

    def __init__(
        self,
        stack: Stack,
        groups: MethodGroups,
        sign: Tensor,
        levels: Tensor,
        fixed: Tensors,
        optimizer: Optimizer,
        holding: Holding,
    ) -> None:
        self.stack = stack
        self.groups = groups
        self.sign = sign
        self.levels = levels
        self.fixed = fixed
        self.recipe = optimizer
        self.holding = holding
        self.options = full_options(optimizer)
        self.rule = RULES[optimizer.name]

    def start(self, models: Models) -> State:
        """The state before the first step."""
        runs, like = len(self.levels), self.levels
        lr = like.new_full((runs,), self.options["lr"], dtype=scalar_dtype(like.device))
        return State(
            parameters=models.parameters,
            buffers=models.buffers,
            optimizer=initial(self.recipe, models.parameters, lr),
            methods=self.groups.init(like),
            recipe={"lr": lr},
            step=torch.zeros((), dtype=torch.long, device=like.device),
            active=torch.ones(runs, dtype=torch.bool, device=like.device),
            steps=torch.zeros(runs, dtype=torch.long, device=like.device),
            held=torch.zeros(runs, len(self.stack.names), dtype=torch.long, device=like.device),
        )

    def models(self, state: State) -> Models:
        """The models as they stand."""
        return Models(state.parameters, state.buffers, self.fixed)

    @property
    def tensors(self) -> list[Tensor]:
        """All that the step reads besides its state and batch: levels, senses, hyperparameters, what is not trained."""
        settings = [v for part in self.groups.parts for v in part.setting.values() if isinstance(v, Tensor)]
        return [self.levels, self.sign, self.groups.equality, *self.holding.tensors, *settings, *self.fixed.values()]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations a step consists of, shapes of tensors aside."""
        words = [
            (part.method.name, part.rows, part.alternating, [(n, _word(v)) for n, v in part.setting.items()])
            for part in self.groups.parts
        ]
        sides = [tensor is not None for tensor in self.holding]
        recipe = self.recipe.model_dump_json()
        return (self.stack.names, str(self.stack.sizes), self.stack.fused, recipe, str(sides), str(words))

    def violation(self, values: Tensor) -> Tensor:
        """Oriented violation ``[R, C]``: ``value - level``, or ``level - value`` for ``>=``."""
        return (values - self.levels) * self.sign

    def advance(self, state: State, batch: Any) -> tuple[State, Record]:
        r"""One step; nothing that is given changes.

        .. math::
            \lambda_{t+1} = \mathrm{update}(\lambda_t, g_{strict}(x_t)), \qquad
            x_{t+1} = [x_t - \eta \nabla_x (f(x_t) + \mathrm{penalty\_term}(g(x_t), \lambda_{t+1}))]_X

        Source: the paper, equations (8)-(10).
        """
        with torch.enable_grad():
            models = self.models(state).trained()
            at = self.stack.evaluate(models, batch)
            objective, surrogate = at.objective.detach(), at.surrogate.detach()
            finite = torch.isfinite(objective) & torch.isfinite(surrogate + at.strict).all(1)
            active = state.active & finite
            methods = self.groups.update(self.violation(at.strict), state.methods, active)
            term = self.groups.penalty_term(self.violation(at.surrogate), state.methods, methods)
            total = (at.objective + term).sum()
            gradients = torch.autograd.grad(total, list(models.parameters.values()), allow_unused=True)
        with torch.no_grad():
            moved, optimizer = self._descend(state, gradients)
            new = state._replace(
                parameters=_where(active, moved, state.parameters),
                buffers=_where(active, at.buffers, state.buffers),
                optimizer=optimizer,
                methods=methods,
                step=state.step + 1,
                active=active,
                steps=state.steps + active,
                held=state.held + (self.holding.held(at.strict) & active.unsqueeze(1)),
            )
            record = Record(objective, at.strict, self.groups.multipliers(methods, at.strict))
        return new, record

    def _descend(self, state: State, gradients: Sequence[Tensor | None]) -> tuple[Tensors, dict[str, Kept]]:
        """The models' parameters after the optimizer's step and the projection, and what the optimizer keeps."""
        lr = state.recipe["lr"]
        t = (state.step + 1).to(lr.dtype)
        moved, kept = {}, {}
        for (name, p), gradient in zip(state.parameters.items(), gradients, strict=True):
            g = torch.zeros_like(p) if gradient is None else -gradient if self.options["maximize"] else gradient
            at = Moment(p.detach(), g, lr, t)
            moved[name], kept[name] = self.rule.update(at, state.optimizer[name], self.options)
        return self.stack.project(moved), kept

    def gradient_norms(self, state: State, batch: Any) -> Tensor:
        """Norm of each component's surrogate gradient, grouped by constraint name: ``[R, names]``."""
        models = self.models(state).trained()
        at = self.stack.evaluate(models, batch)
        groups = torch.split(at.surrogate.sum(0), list(self.stack.sizes.values()))
        norms = []
        for group in groups:
            gradients = torch.autograd.grad(
                group.sum(), list(models.parameters.values()), retain_graph=True, allow_unused=True
            )
            squares = [g.reshape(len(g), -1).square().sum(1) for g in gradients if g is not None]
            norms.append(torch.stack(squares).sum(0).sqrt() if squares else at.objective.detach() * 0)
        return torch.stack(norms, dim=1).detach()


def _where(active: Tensor, new: Tensors, old: Tensors) -> Tensors:
    """The new tensors of active runs; the others keep theirs, whatever the new ones hold."""
    return {
        n: torch.where(active.view(-1, *[1] * (old[n].dim() - 1)), new[n].to(old[n].dtype), old[n].detach())
        for n in old
    }


def _word(value: Any) -> Any:
    return tuple(value.shape) if isinstance(value, Tensor) else value
