"""The extragradient method: each step looks ahead, and moves as seen from there."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, State, multipliers, penalty_term
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, MULTIPLIER_ADVICE, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``."""
    return State(setting["multiplier_init"].expand_as(like))


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Gradient descent-ascent from where a step stands, by what it finds one step ahead.

    .. math::
        \lambda_+ = [\lambda + \eta g(x)]_+, \quad x_+ = P(x - \alpha \nabla_x L(x, \lambda)), \qquad
        \lambda \leftarrow [\lambda + \eta g(x_+)]_+, \quad x \leftarrow P(x - \alpha \nabla_x L(x_+, \lambda_+))

    The model looks ahead and moves by its own optimizer, which remembers the second gradient alone: with Adam the step
    is Adam's, from x, with the gradient at x+. A step evaluates twice, on the same examples with the same random
    numbers, and costs twice as much; runs of this method are programs of their own.

    Args:
        g: Strict violation ``[..., C]``, at x or at x+.
        state: Multipliers.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: Korpelevich, "The extragradient method for finding saddle points and other problems" (1976); for stochastic
    games Gidel, Berard, Vignoud, Vincent and Lacoste-Julien (2019), Algorithm 2.
    """
    return State(project_multiplier(state.multiplier + setting["dual_lr"] * g, equality))


METHOD = Method(
    name="extragradient",
    summary="gradient descent-ascent that looks one step ahead, in the model and in the multipliers",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "update": Hyperparameter(
            default="simultaneous",
            choices=("simultaneous",),
            meaning="both move at once, in the step ahead as in the one that counts",
        ),
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    extrapolates=True,
    check=check,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr or the optimizer's lr"},
)
