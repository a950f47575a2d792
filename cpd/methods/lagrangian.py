"""The Lagrangian method: gradient descent on the model, gradient ascent on the multipliers."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting, project_multiplier

BETA1, BETA2, EPSILON = 0.9, 0.999, 1e-8
UPDATE = Hyperparameter(default="alternating", choices=("alternating", "simultaneous"))
MULTIPLIER_INIT = Hyperparameter(default=0.0, minimum=float("-inf"), per_constraint=True)


class State(NamedTuple):
    """Multipliers and, for Adam, moments and step count; each ``[..., C]``."""

    multiplier: Tensor
    first_moment: Tensor
    second_moment: Tensor
    steps: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``."""
    zero = torch.zeros_like(like)
    return State(setting["multiplier_init"].expand_as(like), zero, zero, zero)


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
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


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Projected gradient ascent on the strict violation.

    .. math:: \lambda \leftarrow [\lambda + \eta g(x)]_+, \qquad \mu \leftarrow \mu + \eta h(x)

    With ``dual_optimizer: Adam`` the step is Adam's. With ``restart`` the multiplier of a strictly satisfied inequality
    goes back to 0.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: the paper, equations (8) and (9); restarts: Gallego-Posada et al. (2022), section 4.1.
    """
    state = _ascend(g, state, setting)
    multiplier = project_multiplier(state.multiplier, equality)
    if setting["restart"]:
        multiplier = torch.where(~equality & (g < 0), torch.zeros_like(multiplier), multiplier)
    return state._replace(multiplier=multiplier)


def _ascend(g: Tensor, state: State, setting: Setting) -> State:
    if setting["dual_optimizer"] == "SGD":
        return state._replace(multiplier=state.multiplier + setting["dual_lr"] * g)
    steps = state.steps + 1
    first = BETA1 * state.first_moment + (1 - BETA1) * g
    second = BETA2 * state.second_moment + (1 - BETA2) * g * g
    corrected = first / (1 - BETA1**steps)
    scale = (second / (1 - BETA2**steps)).sqrt() + EPSILON
    return State(state.multiplier + setting["dual_lr"] * corrected / scale, first, second, steps)


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="lagrangian",
    summary="gradient descent-ascent on f + lambda g",
    hyperparameters={
        "dual_lr": Hyperparameter(per_constraint=True),
        "update": UPDATE,
        "dual_optimizer": Hyperparameter(default="SGD", choices=("SGD", "Adam")),
        "restart": Hyperparameter(default=False, choices=(False, True)),
        "multiplier_init": MULTIPLIER_INIT,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
)
