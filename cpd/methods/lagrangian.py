"""The Lagrangian method: gradient descent on the model, gradient ascent on the multipliers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.methods.advice import MULTIPLIER_HURRY
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, DUAL_OPTIMIZER, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
DUAL_LR = Hyperparameter(per_constraint=True, meaning="eta: how far a multiplier moves per unit of violation")
UPDATE = Hyperparameter(
    default="alternating",
    choices=("alternating", "simultaneous"),
    meaning="whether the model moves with the new multipliers (alternating) or with the old ones",
)
MULTIPLIER_INIT = Hyperparameter(
    default=0.0, minimum=float("-inf"), per_constraint=True, meaning="the multipliers before the first step"
)


class State(NamedTuple):
    """The multipliers, ``[..., C]``."""

    multiplier: Tensor


class AdamState(NamedTuple):
    """Multipliers, Adam's moments and its step count; each ``[..., C]``."""

    multiplier: Tensor
    first_moment: Tensor
    second_moment: Tensor
    steps: Tensor


class OptimizerState(NamedTuple):
    """Multipliers ``[..., C]``, and what the optimizer that moves them keeps."""

    multiplier: Tensor
    kept: Any


Moved = State | AdamState | OptimizerState


def init(setting: Setting, like: Tensor) -> Moved:
    """Start at ``multiplier_init``."""
    multiplier, zero = setting["multiplier_init"].expand_as(like), like.new_zeros(like.shape)
    optimizer = setting["dual_optimizer"]
    if not isinstance(optimizer, str):
        return OptimizerState(multiplier, optimizer.init(like, setting["dual_lr"]))
    return AdamState(multiplier, zero, zero, zero) if optimizer == "Adam" else State(multiplier)


def penalty_term(g: Tensor, state: Moved, setting: Setting, equality: Tensor) -> Tensor:
    r"""The multipliers times the violations.

    .. math:: \lambda^\top g(x) + \mu^\top h(x)

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Multipliers.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``.

    Source: the paper, equations (2) and (7).
    """
    return (state.multiplier * g).sum(-1)


def update(g: Tensor, state: Moved, setting: Setting, equality: Tensor) -> Moved:
    r"""Projected gradient ascent on the strict violation.

    .. math:: \lambda \leftarrow [\lambda + \eta g(x)]_+, \qquad \mu \leftarrow \mu + \eta h(x)

    With ``dual_optimizer: Adam`` the step is that of ``torch.optim.Adam`` with its default betas and epsilon, with
    ``{name: NAME, OPTION: VALUE}`` that of any optimizer of ``torch.optim`` that acts element by element, whose
    step-size is ``dual_lr``; the multiplier is projected after the step, and what the optimizer keeps is not. With
    ``restart`` the multiplier of an inequality with g < 0 goes back to 0; Adam's moments stay as they are.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers, with what the optimizer that moves them keeps.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: the paper, equations (8) and (9); dual restarts: Gallego-Posada et al., "Controlled Sparsity via Constrained
    Optimization" (2022); Adam: Kingma and Ba (2015), Algorithm 1.
    """
    state = _ascend(g, state, setting["dual_lr"], setting["dual_optimizer"])
    multiplier = project_multiplier(state.multiplier, equality)
    if setting["restart"]:
        multiplier = multiplier.new_zeros(multiplier.shape).where(~equality & (g < 0), multiplier)
    return state._replace(multiplier=multiplier)


def _ascend(g: Tensor, state: Moved, dual_lr: Tensor, optimizer: Any) -> Moved:
    if isinstance(state, State):
        return State(state.multiplier + dual_lr * g)
    if isinstance(state, OptimizerState):
        return OptimizerState(*optimizer.step(state.multiplier, g, state.kept, dual_lr))
    steps = state.steps + 1
    first = BETA1 * state.first_moment + (1 - BETA1) * g
    second = BETA2 * state.second_moment + (1 - BETA2) * g * g
    corrected = first / _bias_correction(BETA1, steps)
    scale = (second / _bias_correction(BETA2, steps)).sqrt() + EPSILON
    return AdamState(state.multiplier + dual_lr * corrected / scale, first, second, steps)


def _bias_correction(beta: float, steps: Tensor) -> Tensor:
    """``1 - beta^steps``; as written it would lose five of float32's seven digits in the first steps."""
    return -(steps * math.log(beta)).expm1()


def multipliers(state: Moved) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="lagrangian",
    summary="gradient descent-ascent on f + lambda g",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "update": UPDATE,
        "dual_optimizer": DUAL_OPTIMIZER,
        "restart": Hyperparameter(
            default=False,
            choices=(False, True),
            meaning="whether an inequality's multiplier goes back to 0 where its constraint holds",
        ),
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    check=check,
    advice={
        "damp": "lower dual_lr, or take a method that damps its multipliers: nupi, augmented_lagrangian",
        "hurry": MULTIPLIER_HURRY,
        "escape": "try nupi or augmented_lagrangian, which damp the overshoot that leads there",
    },
)
