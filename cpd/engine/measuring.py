"""Values along the way: when models are measured, what is kept of it, which iterate is judged, which runs end for it.

Models are measured on all training data, as finished ones are. On examples that no run trains on they are measured
beside that, which is recorded as curves of their own and decides nothing: it would not be held out then.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from cpd.engine.bound import Tensors
from cpd.engine.candidates import Candidates, Mixture, mixed_models, mixture_of, no_candidates, places, with_iterate
from cpd.engine.mixtures import refuse_without_scipy
from cpd.engine.optimizers import scalar_dtype
from cpd.engine.recorder import POINTS, irregular
from cpd.engine.stacked import Models, Stacked
from cpd.engine.step import State, Step
from cpd.engine.tree import leaves, refilled
from cpd.spec.measuring import Stop, epochs_of
from cpd.spec.models import Train

Part = TypeVar("Part")

LEAST_POINTS = 50
"""Measures that are kept of the longest vector constraints."""
HELD_OUT = "held_out "
"""What the names of curves on held-out examples begin with."""
TIMES = 20
"""Measures in a training without minibatches, where something needs them and no number is given."""


class Kept(NamedTuple):
    """The iterate of each run that would be judged if training ended now.

    Attributes:
        step: Steps done there, ``[R]``; 0 where there is none yet.
        feasible: ``[R]`` bool.
        violation: Sum of the violations above 0 of all components, of an equality on both sides, ``[R]``.
        numbers: As measured there: ``objective [R]``, ``surrogate``, ``strict``, ``multiplier`` and ``implied``, what
            takes a multiplier's place, ``[R, C]``, and ``metrics [R, M]``.
        models: Parameters and buffers, by name; none of the last iterate, which the training has.
    """

    step: Tensor
    feasible: Tensor
    violation: Tensor
    numbers: Tensors
    models: dict[str, Tensors]


class Streak(NamedTuple):
    """How long each run has been feasible without getting better.

    Attributes:
        length: Measures in a row, ``[R]``.
        since: The objective at the first of them, ``[R]``.
        lowest: Of the objectives that were measured, ``[R]``.
        highest: Likewise.
        ended: ``[R]`` bool: the runs that have ended for it.
    """

    length: Tensor
    since: Tensor
    lowest: Tensor
    highest: Tensor
    ended: Tensor


class Along(NamedTuple):
    """All that measures have come to, with the runs first.

    Attributes:
        curves: ``objective [R, points]``, ``surrogate`` and ``strict [R, points, C]``, ``metrics [R, points, M]``;
            NaN where a run had ended or its measure raised; on held-out examples likewise, as ``held_out objective``.
        kept: None where the last iterate is judged and no run ends early.
        streak: None where no run ends early.
        candidates: None where no mixture is judged.
    """

    curves: Tensors
    kept: Kept | None = None
    streak: Streak | None = None
    candidates: Candidates | None = None


class Measuring:
    """When models are measured, and what follows.

    Args:
        recipe: Says how often, which iterate is judged and when a run ends.
        steps: Of the whole training.
        in_epoch: Steps in an epoch.
        components: C, of all constraints.
        metrics: Their names, in order.
        held_out: Whether there are held-out examples.

    Attributes:
        every: Steps from one measure to the next; the last step is always measured.
        marks: Steps done at the measures that stand on the curves, at most some hundred; all count for what follows.
    """

    def __init__(
        self, recipe: Train, steps: int, in_epoch: int, components: int, metrics: Sequence[str], held_out: bool = False
    ) -> None:
        self.held_out = held_out
        self.every = _every(recipe, steps, in_epoch)
        self.steps = steps
        self.components = components
        self.metrics = tuple(metrics)
        self.best = recipe.select == "best_feasible"
        self.mixes = recipe.select == "mixture"
        if self.mixes:
            refuse_without_scipy()
        self.stop: Stop | None = recipe.stop
        self.count = count = math.ceil(steps / self.every)
        numbers = irregular(count, math.ceil(count / _points(components)))
        self.marks = [min((k + 1) * self.every, steps) for k in numbers]
        self._slots = {step: slot for slot, step in enumerate(self.marks)}

    @classmethod
    def asked(
        cls, recipe: Train, steps: int, in_epoch: int, components: int, metrics: Sequence[str], held_out: bool = False
    ) -> Measuring | None:
        """What a recipe asks for; None where it needs no measures."""
        if recipe.measure_every is None and recipe.select == "last" and recipe.stop is None:
            return None
        return cls(recipe, steps, in_epoch, components, metrics, held_out)

    def due(self, done: int) -> bool:
        """Whether models are measured after so many steps."""
        return done % self.every == 0 or done == self.steps

    def left(self, done: int) -> int:
        """Steps to the next measure."""
        return min(self.every - done % self.every, self.steps - done)

    def measured(self, along: Along | None, done: int, held_out: bool = False) -> Tensor | None:
        """Strict values measured after so many steps, ``[R, C]``; None where none are on the curves."""
        slot = self._slots.get(done)
        curve = None if along is None else along.curves.get(HELD_OUT * held_out + "strict")
        return None if curve is None or slot is None else curve[:, slot]

    def start(self, step: Step, state: State) -> Along:
        """Nothing measured yet."""
        like, points = step.levels, len(self.marks)
        of_all, of_metrics = (self.components,), (len(self.metrics),)
        shapes: dict[str, tuple[int, ...]] = {"objective": (), "surrogate": of_all, "strict": of_all}
        shapes["metrics"] = of_metrics
        both = {**shapes, **({HELD_OUT + name: shape for name, shape in shapes.items()} if self.held_out else {})}
        curves = {name: like.new_full((len(like), points, *shape), float("nan")) for name, shape in both.items()}
        if not self.best and not self.mixes and self.stop is None:
            return Along(curves)
        kind = scalar_dtype(like.device)
        nothing = like.new_full((len(like),), float("nan"), dtype=kind)
        none = torch.zeros_like(state.steps)
        numbers = {n: like.new_full((len(like), *s), float("nan"), dtype=kind) for n, s in shapes.items()}
        numbers["multiplier"] = torch.full_like(numbers["strict"], float("nan"))
        numbers["implied"] = numbers["multiplier"].clone()
        if self.mixes:
            return Along(curves, candidates=no_candidates(numbers, state, self.count))
        models = {"parameters": state.parameters, "buffers": state.buffers} if self.best else {}
        kept = Kept(none, torch.zeros_like(state.active), nothing, numbers, models)
        if self.stop is None:
            return Along(curves, kept)
        lowest, highest = torch.full_like(nothing, torch.inf), torch.full_like(nothing, -torch.inf)
        return Along(curves, kept, Streak(none, nothing, lowest, highest, torch.zeros_like(state.active)))

    def taken(
        self, along: Along, step: Step, state: State, at: Stacked, done: int, held_out: Stacked | None = None
    ) -> Along:
        """What is known after a measure.

        The curves change in place, at a place that is written again where the training goes back; nothing else does.

        Args:
            along: What was known.
            step: Of the runs.
            state: Theirs; those that are not active keep what they had.
            at: Their numbers.
            done: Steps done.
            held_out: Their numbers on held-out examples.
        """
        numbers = self._numbers(step, state, at)
        if (slot := self._slots.get(done)) is not None:
            others = {} if held_out is None else self._numbers(step, state, held_out)
            shown = {**numbers, **{HELD_OUT + name: value for name, value in others.items()}}
            for name, curve in along.curves.items():
                value = shown[name].to(curve.dtype)
                on = state.active.view(-1, *[1] * (value.dim() - 1))
                curve[:, slot] = torch.where(on, value, torch.full_like(value, float("nan")))
        finite = torch.isfinite(at.objective) & torch.isfinite(at.recorded).all(1)
        if along.candidates is not None:
            usable = state.active & finite
            return along._replace(candidates=with_iterate(along.candidates, step, state, numbers, usable, done))
        if along.kept is None:
            return along
        feasible = finite & step.holding.held(at.strict).all(1)
        violation = _violation(step, at.recorded)
        new = Kept(torch.full_like(along.kept.step, done), feasible, violation, numbers, self._models(state))
        better = state.active & (_better(new, along.kept, finite) if self.best else torch.ones_like(finite))
        kept = _chosen(better, new, along.kept)
        if along.streak is None or self.stop is None:
            return along._replace(kept=kept)
        return along._replace(kept=kept, streak=self._streak(self.stop, along.streak, new, state.active, done))

    def _streak(self, stop: Stop, old: Streak, new: Kept, active: Tensor, done: int) -> Streak:
        r"""How long each run has been feasible without getting better, this measure included.

        .. math:: f < f_{since} - \mathrm{gap} \, (f_{highest} - f_{lowest})

        of the objective f begins anew at 1, and so does a first feasible measure; an infeasible one is 0.
        """
        f = new.numbers["objective"]
        known = torch.isfinite(f)
        lowest = torch.where(known, torch.minimum(f, old.lowest), old.lowest)
        highest = torch.where(known, torch.maximum(f, old.highest), old.highest)
        fell = old.since / 2 - f / 2 > stop.gap * (highest / 2 - lowest / 2)  # the whole difference may overflow
        anew = (old.length == 0) | fell
        length = torch.where(new.feasible, torch.where(anew, 1, old.length + 1), 0)
        ended = length >= stop.feasible_for if done < self.steps else torch.zeros_like(old.ended)
        now = Streak(length, torch.where(anew, f, old.since), lowest, highest, ended)
        return _chosen(active, now, old)

    def _numbers(self, step: Step, state: State, at: Stacked) -> Tensors:
        kind = scalar_dtype(step.levels.device)
        missing = torch.full_like(at.objective, float("nan"))
        metrics = [at.metrics.get(name, missing) for name in self.metrics]
        found = {
            "objective": at.objective,
            "surrogate": at.surrogate,
            "strict": at.recorded,
            "metrics": torch.stack(metrics, 1) if metrics else at.objective.new_zeros(len(at.objective), 0),
            "multiplier": step.groups.multipliers(state.methods, at.strict),
        }
        if self.best or self.stop is not None:
            found["implied"] = step.implied(state.methods, at.surrogate)
        return {name: value.to(kind) for name, value in found.items()}

    def _models(self, state: State) -> dict[str, Tensors]:
        return {"parameters": state.parameters, "buffers": state.buffers} if self.best else {}


def models_kept(recipe: Train, steps: int, in_epoch: int) -> int:
    """How many iterates of a run are in memory beside the one that is trained."""
    if recipe.select == "mixture":
        return places(math.ceil(steps / _every(recipe, steps, in_epoch)))
    return int(recipe.select == "best_feasible")


def mixture(along: Along | None, step: Step) -> Mixture | None:
    """The mixtures that are judged; None where iterates are."""
    return None if along is None or along.candidates is None else mixture_of(along.candidates, step)


def judged_at_kept(along: Along | None, state: State, mixed: Mixture | None = None) -> Tensor:
    """Which runs are judged at the iterate that was kept, or a mixture, ``[R]`` bool; the others at their last one.

    A run that diverges after a feasible measure is: what was kept of it is finite. One that was never feasible is not.
    """
    if mixed is not None:
        return (mixed.shares > 0).any(1) & (state.active | mixed.feasible)
    if along is None or along.kept is None:
        return torch.zeros_like(state.active)
    ended = torch.zeros_like(state.active) if along.streak is None else along.streak.ended
    if not along.kept.models:
        return ended
    return ended | ((along.kept.step > 0) & (state.active | along.kept.feasible))


def has_feasible(along: Along | None, step: Step, state: State) -> Tensor:
    """Which runs are sure to be judged at a feasible iterate, or mixture, whatever comes, ``[R]`` bool."""
    if (mixed := mixture(along, step)) is not None:
        return mixed.feasible
    if along is None or along.kept is None or not along.kept.models:
        return torch.zeros_like(state.active)
    return along.kept.feasible


def is_mixture(along: Along | None) -> bool:
    """Whether mixtures of iterates are judged, which are no model of their own."""
    return along is not None and along.candidates is not None


def judged_models(step: Step, state: State, along: Along | None) -> Models:
    """The models that are judged, each at its own iterate."""
    models = step.models(state)
    if along is None or along.kept is None or not along.kept.models:
        return models
    own = {"parameters": models.parameters, "buffers": models.buffers}
    return models._replace(**_chosen(judged_at_kept(along, state), along.kept.models, own))


def judged_parts(step: Step, state: State, along: Along | None) -> list[tuple[Tensor, Models]]:
    """The models that are judged with their shares ``[R]``: several of a mixture, else one with share 1."""
    if along is not None and along.candidates is not None:
        return mixed_models(along.candidates, mixture_of(along.candidates, step), step.models(state))
    models = step.judged(state) if along is None or along.kept is None else judged_models(step, state, along)
    return [(torch.ones_like(state.active, dtype=scalar_dtype(state.active.device)), models)]


def _better(new: Kept, old: Kept, finite: Tensor) -> Tensor:
    """Feasible before infeasible, then the lower objective, or the least violation; of equals the earlier."""
    lower = torch.where(
        new.feasible, new.numbers["objective"] < old.numbers["objective"], new.violation < old.violation
    )
    first = old.step == 0
    return finite & (first | (new.feasible & ~old.feasible) | ((new.feasible == old.feasible) & lower))


def _violation(step: Step, strict: Tensor) -> Tensor:
    """Sum of the violations above 0, of an equality on both sides, ``[R]``."""
    found = step.violation(strict).to(scalar_dtype(strict.device))
    return torch.where(step.groups.equality, found.abs(), found.clamp_min(0)).sum(1)


def _chosen(which: Tensor, new: Part, old: Part) -> Part:
    """The new leaves of these runs, the old ones of the others."""
    pairs = zip(leaves(new), leaves(old), strict=True)
    return refilled(old, [torch.where(which.view(-1, *[1] * (b.dim() - 1)), a.to(b.dtype), b) for a, b in pairs])


def _every(recipe: Train, steps: int, in_epoch: int) -> int:
    """Steps from one measure to the next; an epoch, or a twentieth of the steps without minibatches, by default."""
    if isinstance(recipe.measure_every, int):
        return recipe.measure_every
    if recipe.measure_every is not None:
        return max(1, round(epochs_of(recipe.measure_every) * in_epoch))
    return in_epoch if in_epoch > 1 else max(1, steps // TIMES)


def _points(components: int) -> int:
    """As many as the curves of single steps have, fewer for long vector constraints."""
    return max(LEAST_POINTS, 4 * POINTS // max(4, components))
