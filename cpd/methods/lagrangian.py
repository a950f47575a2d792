"""The Lagrangian method: gradient descent on the model, gradient ascent on the multipliers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting, project_multiplier

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


def init(setting: Setting, like: Tensor) -> State | AdamState:
    """Start at ``multiplier_init``."""
    multiplier, zero = setting["multiplier_init"].expand_as(like), like.new_zeros(like.shape)
    return AdamState(multiplier, zero, zero, zero) if setting["dual_optimizer"] == "Adam" else State(multiplier)


def penalty_term(g: Tensor, state: State | AdamState, setting: Setting, equality: Tensor) -> Tensor:
    r"""The multipliers times the violations.

    .. math:: \lambda^\top g(x) + \mu^\top h(x)

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Multipliers.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``.

    Source: the paper, equation (5).
    """
    return (state.multiplier * g).sum(-1)


def update(g: Tensor, state: State | AdamState, setting: Setting, equality: Tensor) -> State | AdamState:
    r"""Projected gradient ascent on the strict violation.

    .. math:: \lambda \leftarrow [\lambda + \eta g(x)]_+, \qquad \mu \leftarrow \mu + \eta h(x)

    With ``dual_optimizer: Adam`` the step is that of ``torch.optim.Adam`` with its default betas and epsilon. With
    ``restart`` the multiplier of an inequality with g < 0 goes back to 0; Adam's moments stay as they are.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers, with Adam's moments where it is Adam that moves them.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: the paper, equations (8) and (9); dual restarts: Gallego-Posada et al., "Controlled Sparsity via Constrained
    Optimization" (2022); Adam: Kingma and Ba (2015), Algorithm 1.
    """
    state = _ascend(g, state, setting["dual_lr"])
    multiplier = project_multiplier(state.multiplier, equality)
    if setting["restart"]:
        multiplier = multiplier.new_zeros(multiplier.shape).where(~equality & (g < 0), multiplier)
    return state._replace(multiplier=multiplier)


def _ascend(g: Tensor, state: State | AdamState, dual_lr: Tensor) -> State | AdamState:
    if isinstance(state, State):
        return State(state.multiplier + dual_lr * g)
    steps = state.steps + 1
    first = BETA1 * state.first_moment + (1 - BETA1) * g
    second = BETA2 * state.second_moment + (1 - BETA2) * g * g
    corrected = first / _bias_correction(BETA1, steps)
    scale = (second / _bias_correction(BETA2, steps)).sqrt() + EPSILON
    return AdamState(state.multiplier + dual_lr * corrected / scale, first, second, steps)


def _bias_correction(beta: float, steps: Tensor) -> Tensor:
    """``1 - beta^steps``; as written it would lose five of float32's seven digits in the first steps."""
    return -(steps * math.log(beta)).expm1()


def multipliers(state: State | AdamState) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="lagrangian",
    summary="gradient descent-ascent on f + lambda g",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "update": UPDATE,
        "dual_optimizer": Hyperparameter(
            default="SGD",
            choices=("SGD", "Adam"),
            meaning="what moves the multipliers; SGD is the plain equation",
        ),
        "restart": Hyperparameter(
            default=False,
            choices=(False, True),
            meaning="whether an inequality's multiplier goes back to 0 where its constraint holds",
        ),
        "multiplier_init": MULTIPLIER_INIT,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
)
