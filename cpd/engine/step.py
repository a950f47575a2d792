"""One training step of R fused runs, equations (8)-(10) of the paper."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.accumulation import Means, gradients_of, means_of, passed
from cpd.engine.ahead import ahead, all_ahead
from cpd.engine.bound import Tensors
from cpd.engine.closures import Value, searched
from cpd.engine.holding import Holding
from cpd.engine.levels import Moving
from cpd.engine.method_groups import MethodGroups, States
from cpd.engine.minibatches import copied
from cpd.engine.optimistic import corrected, earlier_of
from cpd.engine.optimizers import Kept, Moment, scalar_dtype
from cpd.engine.players import of_players
from cpd.engine.recipe import Recipe
from cpd.engine.recorder import Record
from cpd.engine.stacked import Gradients, Models, Stack, Stacked
from cpd.engine.surroundings import Surroundings
from cpd.engine.tree import take
from cpd.engine.velocities import asks_velocities, velocities
from cpd.engine.watched import told, watch
from cpd.engine.weighing import weigher
from cpd.outcome import RunKey


class State(NamedTuple):
    """Everything that a step changes, with the runs first: a tree, see :mod:`cpd.engine.tree`.

    Attributes:
        parameters: Of the models, ``[R, ...]``.
        buffers: Likewise.
        optimizer: What the models' optimizer keeps, by parameter.
        methods: What each group's method remembers.
        recipe: The recipe's numbers by name, ``[R]`` each or one for all, as :attr:`cpd.engine.recipe.Recipe.start`.
        step: Steps that the training has done, for all runs the same.
        active: ``[R]`` bool; a run whose evaluation was not finite is frozen for good.
        steps: ``[R]`` steps done while active.
        late: ``[R, P]``: steps in which each of the parameters, in their order, had no gradient.
        cause: ``[R]``: for a frozen run, which of the objective, the C surrogate and the C strict values was not
            finite first, in this order.
        held: ``[R, names]`` of these, those at which each constraint held, since the last tenth began.
        average: Sums of the parameters whose mean is judged, ``[R, ...]`` in double precision; none where the last are.
        seen: ``([R, names],)``, those at which a value of each constraint was observed, since then; empty where all
            always are.
        earlier: Gradients of the step before, ``[R, ...]``; none where no method goes by them.
    """

    parameters: Tensors
    buffers: Tensors
    optimizer: dict[str, Kept]
    methods: States
    recipe: Tensors
    step: Tensor
    active: Tensor
    steps: Tensor
    late: Tensor
    cause: Tensor
    held: Tensor
    average: Tensors
    seen: tuple[Tensor, ...] = ()
    earlier: Tensors = {}  # noqa: RUF012


class Step:
    """The step of a batch: evaluate once, move the multipliers, then the models.

    Args:
        stack: The architecture and the problem.
        groups: The methods.
        sign: ``[C]``: -1 for ``>=``, else 1.
        levels: ``[R, C]``: those at which runs are judged.
        moving: How levels come there; None where they are there from the start.
        fixed: Tensors of the models that no step changes, ``[R, ...]``.
        recipe: Of the models' optimizer.
        holding: At which values the constraints hold.
        total: Steps of the whole training, ``[1]``: what a problem that takes its progress is told of it.

    Attributes:
        without: Parameters that had no gradient in some step.
        again: Takes generators and Python's state, for a step that evaluates twice; None where it draws no numbers.
    """

    def __init__(
        self,
        stack: Stack,
        groups: MethodGroups,
        sign: Tensor,
        levels: Tensor,
        moving: Moving | None,
        fixed: Tensors,
        recipe: Recipe,
        holding: Holding,
        total: Tensor,
    ) -> None:
        self.stack = stack
        self.groups = groups
        self.sign = sign
        self.levels = levels
        self.moving = moving
        self.fixed = fixed
        self.recipe = recipe
        self.holding = holding
        self.total = total
        self.without: set[str] = set()
        self.again: Callable[[], Surroundings] | None = None

    def start(self, models: Models) -> State:
        """The state before the first step."""
        runs, like = len(self.levels), self.levels
        summed = models.parameters if self.recipe.averages else {}
        held = torch.zeros(runs, len(self.stack.names), dtype=torch.long, device=like.device)
        return State(
            parameters=models.parameters,
            buffers=models.buffers,
            optimizer=self.recipe.initial(models.parameters),
            methods=self.groups.init(like),
            recipe=dict(self.recipe.start),
            step=torch.zeros((), dtype=torch.long, device=like.device),
            active=torch.ones(runs, dtype=torch.bool, device=like.device),
            steps=torch.zeros(runs, dtype=torch.long, device=like.device),
            late=torch.zeros(runs, len(models.parameters), dtype=torch.long, device=like.device),
            cause=torch.zeros(runs, dtype=torch.long, device=like.device),
            held=held,
            average={n: torch.zeros_like(p, dtype=scalar_dtype(p.device)) for n, p in summed.items()},
            seen=(held.clone(),) if self.stack.partial else (),
            earlier=earlier_of(self.groups, models.parameters),
        )

    def alone(self, key: RunKey, row: int) -> Step:
        """The step of one of the runs, as plain PyTorch does it."""
        step = copy.copy(self)
        step.stack, step.fixed, step.levels = self.stack.alone(), take(self.fixed, [row]), self.levels[row : row + 1]
        step.moving = None if self.moving is None else self.moving.of(row)
        step.holding = self.holding.of(row)
        step.groups = MethodGroups(
            [key], self.stack.sizes, self.groups.equality, self.levels, self.groups.clock, self.groups.features
        )
        step.without = set(self.without)
        return step

    def models(self, state: State) -> Models:
        """The models as they stand."""
        return Models(state.parameters, state.buffers, self.fixed)

    def judged(self, state: State) -> Models:
        """The models that are judged: the last ones, or those of the mean of their last parameters."""
        models = self.models(state)
        if not state.average:
            return models
        count = (state.steps - state.recipe["average.start"]).clamp(min=0)
        mean = {n: total / _rows(count.clamp(min=1), total) for n, total in state.average.items()}
        return models._replace(parameters=_where(count > 0, mean, state.parameters))

    @property
    def tensors(self) -> list[Tensor]:
        """All that the step reads besides its state and batch: levels, senses, hyperparameters, what is not trained."""
        settings = [tensor for part in self.groups.parts for tensor in part.tensors]
        own = [self.levels, self.sign, self.groups.equality, *self.holding.tensors, *self.recipe.tensors]
        return [*own, *settings, *(self.moving or ()), *self.fixed.values(), self.total]

    @property
    def structure(self) -> tuple[Any, ...]:
        """What decides which operations a step consists of, shapes of tensors aside."""
        words = [part.structure for part in self.groups.parts]
        sides = [tensor is not None for tensor in (*self.holding, self.moving)]
        recipe = (self.recipe.structure, str(sorted(self.without)), str(sides))
        how = f"{self.stack.fused} {self.stack.rewrites} {self.stack.autocast}"
        return (self.stack.names, str(self.stack.sizes), how, *recipe, str(words))

    def violation(self, values: Tensor, step: Tensor | None = None, observed: Tensor | None = None) -> Tensor:
        """Oriented violation ``[R, C]``: ``value - level``, or ``level - value`` for ``>=``; 0 where not observed.

        The level is that of a step, where so many have been done; by default the one that is judged at.
        """
        levels = self.levels if self.moving is None or step is None else self.moving.at(self.levels, step)
        violation = (values - levels) * self.sign
        return violation if observed is None else torch.where(observed, violation, torch.zeros_like(violation))

    def implied(self, methods: States, values: Tensor) -> Tensor:
        r"""What takes the multipliers' place at surrogate values: :math:`\partial p / \partial g_i`, ``[R, C]``.

        With p what the method adds to the objective: lambda itself, or c, or ``[lambda + c g]+``.
        """
        with torch.enable_grad():
            g = self.violation(values.detach()).requires_grad_()
            added = self.groups.penalty_term(g, methods, methods).sum()
            slope = torch.autograd.grad(added, g, allow_unused=True)[0] if added.requires_grad else None
        return torch.zeros_like(values) if slope is None else slope.detach()

    def evaluate(self, state: State, batch: Any, *, training: bool = True) -> Stacked:
        """Evaluate the models as they stand."""
        progress = None
        if self.stack.calls.takes_progress:
            progress = (state.step.to(self.levels.dtype) / self.total)[0]
        return self.stack.evaluate(self.models(state).trained(), batch, progress, training=training)

    def advance(self, state: State, batch: Any) -> tuple[State, Record]:
        r"""One step; nothing that is given changes.

        .. math::
            \lambda_{t+1} = \mathrm{update}(\lambda_t, g_{strict}(x_t)), \qquad
            x_{t+1} = [x_t - \eta \nabla_x (f(x_t) + \mathrm{penalty\_term}(g(x_t), \lambda_{t+1}))]_X

        The multipliers of a :class:`~cpd.engine.players.Players` move with the strict violation of examples of their
        own, on which the models are evaluated in evaluation mode: no buffer learns from them.

        Source: the paper, equations (8)-(10).
        """
        return ahead(self, state, batch) if all_ahead(self.groups) else self.moved(state, batch)

    def moved(self, state: State, batch: Any, there: State | None = None) -> tuple[State, Record]:
        """One step from a state, by what is found in that state, or in another one that is ``there``."""
        there = state if there is None else there
        batch, own = of_players(batch)
        with torch.enable_grad():
            moving = None if own is None else self.evaluate(there, own, training=False)
            means = None if self.recipe.window == 1 else self._means(there, batch)
            at = self.evaluate(there, batch) if means is None else means.at
            objective, surrogate = at.objective.detach(), at.surrogate.detach()
            moving, strict = (at, at.strict) if moving is None else (moving, _both_finite(at.strict, moving.strict))
            finite = torch.isfinite(torch.cat([objective.unsqueeze(1), surrogate, strict], 1))
            active = state.active & finite.all(1)
            violation = self.violation(moving.strict, state.step)
            methods = self.groups.update(violation, state.methods, active, state.step, moving.observed)

            def added(values: Tensor) -> Tensor:
                violation = self.violation(values, state.step, at.shown)
                return self.groups.penalty_term(violation, there.methods, methods)

            if asks_velocities(self.groups):
                methods = velocities(self, at, methods, state.step, active)
            weighed = weigher(self.groups, there.methods, methods)
            if means is None:
                gradients = at.gradients((weighed(at.objective) + added(at.surrogate)).sum())
            else:
                gradients, at = gradients_of(passed(self.evaluate, there, batch), means, len(batch), added, weighed)
            if watch(self.groups):
                methods = told(self.groups, methods, self.stack, at.parameters, gradients, active)
        with torch.no_grad():
            if there is state:
                state = state._replace(parameters=at.parameters)
            gradients, earlier = corrected(self.groups, gradients, state.earlier, state.step, active)
            if self.recipe.closure is None:
                moved, optimizer, late = self._descend(state, gradients)
            else:
                moved, optimizer, at = self._search(state, batch, at, gradients, (weighed, added))
                late = state.late
            parameters = _where(active, moved, state.parameters)
            new = state._replace(
                parameters=parameters,
                buffers=_where(active, at.buffers, state.buffers),
                optimizer=optimizer,
                methods=methods,
                earlier=earlier,
                step=state.step + 1,
                active=active,
                steps=state.steps + active,
                late=late,
                cause=torch.where(state.active, finite.long().argmin(1), state.cause),
                held=state.held + (self.holding.held(at.strict, at.observed) & active.unsqueeze(1)),
                average=self._averaged(state, parameters, active),
                seen=tuple(seen + self._shown(at, active) for seen in state.seen),
            )
            record = Record(objective, at.recorded, self.groups.multipliers(methods, at.strict))
        return new, record

    def _means(self, state: State, window: Any) -> Means:
        """Means over a window's minibatches; generators and Python's state stand as before."""
        before = None if self.again is None else self.again()
        means = means_of(passed(self.evaluate, state, copied(window)))
        if before is not None:
            before.restore()
        return means

    def _shown(self, at: Stacked, active: Tensor) -> Tensor:
        """Whether a step counts for each constraint: some component of it is observed, ``[R, names or 1]`` bool."""
        counts = active.unsqueeze(1)
        return counts if at.observed is None else self.holding.some(at.observed) & counts

    def _descend(self, state: State, gradients: Gradients) -> tuple[Tensors, dict[str, Kept], Tensor]:
        """The models' parameters after the optimizer's step and the projection, and what the optimizer keeps.

        A parameter without a gradient stays as it is, decay and momentum included, and this is no step of its own.
        """
        t = (state.step + 1).to(scalar_dtype(self.levels.device))
        gradients = self.recipe.clipped(gradients, state.recipe)
        options = self.recipe.options(state.recipe, state.step)
        moved, kept = dict(state.parameters), dict(state.optimizer)
        without = {name for name, gradient in gradients.items() if gradient is None}
        for k, (name, p) in enumerate(state.parameters.items()):
            gradient = gradients[name]
            if gradient is None:
                continue
            own = t - state.late[0, k].to(t.dtype) if name in self.without else t
            at = Moment(p.detach(), gradient, own, options[self.recipe.group_of[name]])
            moved[name], kept[name] = self.recipe.moved(at, state.optimizer[name])
        self.without |= without
        late = state.late
        if without:
            late = late + late.new_tensor([name in without for name in state.parameters])
        return self.stack.project(moved), kept, late

    def _search(
        self, state: State, batch: Any, at: Stacked, gradients: Gradients, parts: Sequence[Callable[[Tensor], Tensor]]
    ) -> tuple[Tensors, dict[str, Kept], Stacked]:
        """The parameters of one run after a step that evaluates several times, its multipliers fixed.

        What is recorded of the step is its first evaluation; buffers are as the last one leaves them.
        """
        left, (weighed, added) = at, parts

        def there(parameters: Tensors) -> Value:
            nonlocal left
            now = self.evaluate(state._replace(parameters=parameters, buffers=left.buffers), batch)
            left = at._replace(buffers=now.buffers)
            total = weighed(now.objective) + added(now.surrogate)
            return Value(total.detach(), now.gradients(total.sum()))

        lr = self.recipe.options(state.recipe, state.step)[0]["lr"].item()
        options = {**(self.recipe.closure or {}), "lr": lr}
        here = Value((weighed(at.objective) + added(at.surrogate)).detach(), gradients)
        moved, kept = searched(state.parameters, state.optimizer, options, here, there)
        return self.stack.project(moved), kept, left

    def _averaged(self, state: State, parameters: Tensors, active: Tensor) -> Tensors:
        """The sums with these parameters, for the runs whose mean has begun."""
        if not state.average:
            return state.average
        begun = active & (state.step >= state.recipe["average.start"])
        sums = {n: total + parameters[n] for n, total in state.average.items()}
        return _where(begun, sums, state.average)

    def gradient_norms(self, state: State, batch: Any) -> Tensor:
        """Norm of the gradient of each constraint's surrogate, by name: ``[R, names]``.

        Of a vector, of the sum of its components with signs as if drawn: gradients that point apart do not cancel. -1
        where the batch shows nothing of a constraint.
        """
        at = self.evaluate(state, batch)
        groups = torch.split((at.surrogate * self._signs(at.surrogate)).sum(0), self._counts)
        norms = []
        for group in groups:
            gradients = at.gradients(group.sum(), retain_graph=True)
            squares = [g.reshape(len(g), -1).square().sum(1) for g in gradients.values() if g is not None]
            norms.append(torch.stack(squares).sum(0).sqrt() if squares else at.objective.detach() * 0)
        found = torch.stack(norms, dim=1).detach()
        return found if at.shown is None else torch.where(self.holding.some(at.shown), found, -1.0)

    def _signs(self, like: Tensor) -> Tensor:
        """1 or -1 for each component, ``[C]``, always the same; 1 for a scalar constraint."""
        drawn = torch.Generator().manual_seed(0)
        signs = [torch.randint(0, 2, (n,), generator=drawn) * 2 - 1 if n > 1 else torch.ones(1) for n in self._counts]
        return torch.cat([s.to(like.dtype) for s in signs]).to(like.device)

    @property
    def _counts(self) -> list[int]:
        return list(self.stack.sizes.values())


def _both_finite(values: Tensor, others: Tensor) -> Tensor:
    """The values, NaN where the others are not finite."""
    return torch.where(others.isfinite(), values, torch.full_like(values, float("nan")))


def _where(active: Tensor, new: Tensors, old: Tensors) -> Tensors:
    """The new tensors of active runs; the others keep theirs, whatever the new ones hold."""
    return {n: torch.where(_rows(active, old[n]), new[n].to(old[n].dtype), old[n].detach()) for n in old}


def _rows(values: Tensor, like: Tensor) -> Tensor:
    return values.view(-1, *[1] * (like.dim() - 1))
