"""Whether what the user's method returned keeps contract 1: types, shapes and names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor

from cpd.engine.seen import metric
from cpd.errors import CpdError, SpecError
from cpd.problem import Evaluation, Observed
from cpd.shares import Calculable

HINT_FLAT = "reduce or flatten it"


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
        _check_scalar(metric(value), f"metrics['{name}']", place)


def check_senses(problem: Any, model: Any, senses: Mapping[str, str], place: str) -> None:
    """Check the senses of the spec against those that a problem declares, as one of another library's does.

    Raises:
        SpecError: One is another.
    """
    declare = getattr(problem, "declared_senses", None)
    for name, sense in (declare(model) if declare is not None else {}).items():
        if senses.get(name, sense) != sense:
            message = f"{senses[name]} for a violation that {place} wants {sense} 0"
            raise SpecError(message, place=f"constraints.{name}.sense", hint=f'write "{sense} 0"')


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
        hint = "take its value: (...).value" if isinstance(value, Calculable) else "reduce it, e.g. with .mean()"
        raise CpdError(f"{name} must be a scalar tensor, got {got}", place=place, hint=hint)


def _check_value(value: Any, name: str, place: str) -> None:
    has_shape = isinstance(value, Tensor | Calculable | Observed)
    if not has_shape or len(value.shape) > 1 or value.shape.numel() == 0:
        got = f"shape {list(value.shape)}" if has_shape else type(value).__name__
        hint = "sum over all examples: cpd.share(p, of=y, dim=None)" if isinstance(value, Calculable) else HINT_FLAT
        raise CpdError(f"{name} must be a scalar or [k] tensor, got {got}", place=place, hint=hint)
