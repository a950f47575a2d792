"""A state of Cooper's as an evaluation: violations are the values, their names those of the constraints."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from cpd.bridges.cooper_tensors import empty
from cpd.errors import CpdError
from cpd.problem import Evaluation, Observed, observed

SENSES = {"INEQUALITY": "<=", "EQUALITY": "=="}


def senses_of(cmp: Any) -> dict[str, str]:
    """The sense of each constraint of a problem."""
    return {name: SENSES[constraint.constraint_type.name] for name, constraint in cmp.named_constraints()}


def evaluation(cmp: Any, state: Any, judged: bool = False) -> Evaluation:
    """Return what a state of Cooper's says.

    Args:
        cmp: The problem, which names the constraints.
        state: Its ``CMPState``.
        judged: Whether it is of a finished model: all values count, whatever moves the multipliers.

    Raises:
        CpdError: It has no loss, or something that has no counterpart in cpd.
    """
    place = f"{type(cmp).__name__}.compute_cmp_state()"
    if not hasattr(state, "observed_constraints"):
        raise CpdError(f"returned {type(state).__name__}", place=place, hint="return a cooper.CMPState")
    if not isinstance(state.loss, Tensor) or state.loss.numel() != 1:
        raise CpdError("the state has no loss", place=place, hint="return cooper.CMPState(loss=..., ...)")
    loss = state.loss.reshape(())
    named = dict(cmp.named_constraints())
    unknown = [one for one in state.observed_constraints if one not in named.values()]
    if unknown:
        hint = "make it an attribute of the problem, where it gets its name: self.NAME = cooper.Constraint(...)"
        raise CpdError("observes a constraint that the problem does not have", place=place, hint=hint)
    values: dict[str, Any] = {}
    strict: dict[str, Any] = {}
    for name, constraint in named.items():
        own = f"{place}: {name}"
        seen = state.observed_constraints.get(constraint)
        if seen is None:
            values[name] = observed(*empty(loss), size=_size(constraint, own))
            continue
        violation = seen.violation if seen.contributes_to_primal_update else seen.violation.detach()
        values[name] = _value(constraint, violation, seen.constraint_features, own)
        places = seen.strict_constraint_features
        if seen.strict_violation is not None:
            places = seen.constraint_features if places is None else places
            strict[name] = _value(constraint, seen.strict_violation, places, own)
        rests = not seen.contributes_to_dual_update and constraint.formulation.expects_multiplier and not judged
        if rests or (places is not None and places is not seen.constraint_features):
            values[name], strict[name] = _apart(values[name], strict.get(name, values[name]), rests)
    return Evaluation(loss, values, strict or None, _metrics(state.misc, loss))


def _apart(surrogate: Any, strict: Any, rests: bool) -> tuple[Observed, Observed]:
    """A surrogate that drives the model and a strict value that moves the multipliers, each for itself.

    Args:
        surrogate: A tensor, or some entries.
        strict: Likewise.
        rests: Whether the multipliers rest: nothing is observed that would move them.
    """
    own, other = (_as_entries(value) for value in (surrogate, strict))
    if rests:
        other = observed(*empty(other.values), size=other.size)
    return replace(own, apart=True), replace(other, apart=True)


def _as_entries(value: Any) -> Observed:
    if isinstance(value, Observed):
        return value
    values = torch.atleast_1d(value)
    return observed(values, torch.arange(len(values), device=values.device), size=len(values))


def _value(constraint: Any, violation: Tensor, features: Tensor | None, place: str) -> Any:
    """A violation as the value of a constraint: all of it, or the entries that features name."""
    if violation.dim() > 1:
        message = f"the violation has shape {list(violation.shape)}"
        raise CpdError(message, place=place, hint="flatten it, with a multiplier for each entry")
    if not any(one.expects_constraint_features for one in _factors(constraint)):
        if constraint.multiplier is not None and (size := _size(constraint, place)) != violation.numel():
            message = f"{size} multipliers for {violation.numel()} violations"
            raise CpdError(message, place=place, hint=f"write num_constraints={violation.numel()}")
        return violation
    if features is None or features.dtype is not torch.long:
        got = "none" if features is None else str(features.dtype).removeprefix("torch.")
        raise CpdError(f"constraint_features are {got}", place=place, hint="give the places of the entries, int64")
    return _entries(torch.atleast_1d(violation), torch.atleast_1d(features), _size(constraint, place))


def _entries(violation: Tensor, places: Tensor, size: int) -> Any:
    """Some entries of a vector; those that are named twice are added, as Cooper's multipliers see them."""
    times = violation.new_zeros(size).index_add(0, places, torch.ones_like(violation))
    return observed(violation * times[places], places, size=size)


def _factors(constraint: Any) -> list[Any]:
    return [one for one in (constraint.multiplier, constraint.penalty_coefficient) if one is not None]


def _size(constraint: Any, place: str) -> int:
    """How many constraints it is: as many as it has multipliers, or else coefficients of a penalty.

    Raises:
        CpdError: Its multipliers are calculated by a module, or it has one coefficient for any number of them.
    """
    weight = getattr(constraint.multiplier, "weight", None)
    if constraint.multiplier is not None and not isinstance(weight, Tensor):
        kind = type(constraint.multiplier).__name__
        hint = "use a DenseMultiplier or an IndexedMultiplier: cpd has a multiplier for each constraint"
        raise CpdError(f"a {kind} computes its multipliers", place=place, hint=hint)
    if weight is None and constraint.penalty_coefficient.value.dim() == 0:
        message, hint = "one penalty coefficient for any number of constraints", "give it one for each of them"
        raise CpdError(message, place=place, hint=hint)
    return int(weight.numel() if weight is not None else constraint.penalty_coefficient.value.numel())


def _metrics(misc: Any, like: Tensor) -> dict[str, Tensor]:
    """The scalars among what a state carries besides."""
    if not isinstance(misc, Mapping):
        return {}
    numbers = {str(n): v for n, v in misc.items() if isinstance(v, Tensor | int | float)}
    tensors = {n: torch.as_tensor(v, device=like.device) for n, v in numbers.items()}
    return {n: t.detach().reshape(()) for n, t in tensors.items() if t.numel() == 1}
