"""The shape of a method: a named tuple of pure functions on tensors ``[..., C]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter

if TYPE_CHECKING:
    from torch import Tensor

Setting = Mapping[str, Any]
"""Numbers as tensors that broadcast against ``[..., C]`` (``[R, 1]`` or ``[R, C]``); words and booleans as they are."""

State = Any
"""A named tuple of tensors ``[..., C]``; first-step special cases live in it as tensors, not in Python ``if``."""


class Method(NamedTuple):
    """How constraints enter training.

    Attributes:
        name: As written in the YAML.
        summary: One line for listings.
        hyperparameters: By name; the first one is the swept one.
        init: ``(setting, like) -> state``; ``like`` is ``[..., C]`` and gives shape, dtype and device.
        penalty_term: ``(g, state, setting, equality) -> [...]``: what is added to the objective, differentiable in the
            surrogate violation ``g`` ``[..., C]``. ``equality`` is a bool tensor ``[C]``. State carries no gradient.
        update: ``(g, state, setting, equality) -> state`` from the strict violation.
        multipliers: ``state -> [..., C]``, or None for a method without multipliers.
        moves: From a setting as a spec has it, defaults included: whether a coefficient or a multiplier moves while a
            run is trained, so that a constraint which is far from its level may still come back.
    """

    name: str
    summary: str
    hyperparameters: Mapping[str, Hyperparameter]
    init: Callable[[Setting, Tensor], State]
    penalty_term: Callable[[Tensor, State, Setting, Tensor], Tensor]
    update: Callable[[Tensor, State, Setting, Tensor], State]
    multipliers: Callable[[State], Tensor] | None
    moves: Callable[[Mapping[str, Any]], bool] = lambda setting: True


def project_multiplier(multiplier: Tensor, equality: Tensor) -> Tensor:
    """Keep inequality multipliers at zero or above, equality multipliers free: ``[lambda]_+``."""
    return multiplier.where(equality, multiplier.clamp_min(0))
