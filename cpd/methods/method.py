"""The shape of a method: a named tuple of pure functions on tensors ``[..., C]``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from cpd.methods.advice import ADVICE
from cpd.methods.hyperparameter import Hyperparameter

if TYPE_CHECKING:
    from torch import Tensor

Setting = Mapping[str, Any]
"""Numbers as tensors that broadcast against ``[..., C]`` (``[R, 1]`` or ``[R, C]``); words and booleans as they are.

A mapping holds such values by name; an optimizer with options is a :class:`MultiplierOptimizer`. In a step, ``step`` is
its number, a scalar tensor, 0 for the first one.
"""

State = Any
"""A named tuple of tensors ``[..., C]``; first-step special cases live in it as tensors, not in Python ``if``."""


class MultiplierOptimizer(Protocol):
    """An optimizer that moves the multipliers, made outside of the methods: these do not know torch."""

    def init(self, like: Tensor, dual_lr: Tensor) -> Any:
        """What it keeps before the first step, a tree of tensors; ``like`` is ``[..., C]``."""

    def step(self, multiplier: Tensor, g: Tensor, kept: Any, dual_lr: Tensor) -> tuple[Tensor, Any]:
        """The multipliers ``[..., C]`` after a step of ascent along the violation ``g``, and what it keeps."""


class Velocities(NamedTuple):
    """What a step asks of each constraint, each ``[..., C]``.

    Attributes:
        fall: How fast its violation must at least fall along the step; of equalities, how fast exactly.
        held: Bool: whether the step is held to that.
        last: The multipliers of the step before, to begin with.
    """

    fall: Tensor
    held: Tensor
    last: Tensor


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
        move: The part of ``update`` that moves multipliers, and all that goes with them; None where that is all of it.
        grow: The other part: ``update`` is ``move`` and then ``grow`` on the same violation.
        slope: ``(norm, state) -> state``: told after each step the norm ``[..., 1]`` of the gradient of the objective
            and the penalty term together, projected as the problem projects; None where the method does not ask, and
            then nothing is computed.
        weight: ``state -> [...]``, 1 or 0: whether the objective counts in a step; None where it always does.
        shared: Whether a step that shows some constraints alone moves what it remembers of the others too: then the
            violation of those is 0, and ``observed`` in the setting says which are shown, ``[..., C]`` bool. Leaves of
            its state need not be ``[..., C]``.
        optimistic: Whether the model moves along twice its gradient less that of the step before, see
            :mod:`cpd.engine.optimistic`.
        extrapolates: Whether a step looks ahead, and moves from where it stands by what it finds there, see
            :mod:`cpd.engine.ahead`.
        velocities: ``state -> Velocities``: what the direction of a step must do to each constraint, see
            :mod:`cpd.engine.velocities`; None where the model moves along the gradient of what is added. Its runs are
            programs of their own.
        solved: ``(multiplier, state) -> state``: told the multipliers ``[..., C]`` that give this direction.
        check: From a setting as a spec has it, only what is given, and the names of the equality constraints: raises a
            :class:`~cpd.errors.CpdError`, whose place is the hyperparameter, where it makes no sense.
        price: From a setting with its defaults, the place of a constraint among the names and its violation: what a
            unit of violation cost the model in the end, of a method without multipliers; None where that is not known.
        advice: What to do about a diagnosis with this method's own hyperparameters, by the name of a gap in the
            diagnosis's sentence, see :mod:`cpd.methods.advice`.
    """

    name: str
    summary: str
    hyperparameters: Mapping[str, Hyperparameter]
    init: Callable[[Setting, Tensor], State]
    penalty_term: Callable[[Tensor, State, Setting, Tensor], Tensor]
    update: Callable[[Tensor, State, Setting, Tensor], State]
    multipliers: Callable[[State], Tensor] | None
    moves: Callable[[Mapping[str, Any]], bool] = lambda setting: True
    move: Callable[[Tensor, State, Setting, Tensor], State] | None = None
    grow: Callable[[Tensor, State, Setting, Tensor], State] | None = None
    slope: Callable[[Tensor, State], State] | None = None
    weight: Callable[[State], Tensor] | None = None
    shared: bool = False
    optimistic: bool = False
    extrapolates: bool = False
    velocities: Callable[[State], Velocities] | None = None
    solved: Callable[[Tensor, State], State] | None = None
    check: Callable[[Mapping[str, Any], Sequence[str]], None] = lambda setting, equalities: None
    price: Callable[[Mapping[str, Any], int, float], float | None] = lambda setting, place, violation: None
    advice: Mapping[str, str] = ADVICE


def project_multiplier(multiplier: Tensor, equality: Tensor) -> Tensor:
    """Keep inequality multipliers at zero or above, equality multipliers free: ``[lambda]_+``."""
    return multiplier.where(equality, multiplier.clamp_min(0))
