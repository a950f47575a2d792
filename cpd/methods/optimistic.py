"""Optimistic gradient descent-ascent: the model and the multipliers move by what is new in their gradients, twice."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, multipliers, penalty_term
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, MULTIPLIER_ADVICE, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Multipliers, the violation of the step before, and 1 before the first step, then 0; each ``[..., C]``."""

    multiplier: Tensor
    last: Tensor
    first: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``."""
    zero = like.new_zeros(like.shape)
    return State(setting["multiplier_init"].expand_as(like), zero, like.new_ones(like.shape))


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""A step of gradient descent-ascent that expects the next one's gradient to change as this one's did.

    .. math::
        \lambda_{t+1} = [\lambda_t + \eta (2 g(x_t) - g(x_{t-1}))]_+, \qquad
        x_{t+1} = P(x_t - \alpha (2 \nabla_x L(x_t, \lambda_t) - \nabla_x L(x_{t-1}, \lambda_{t-1})))

    and a plain one first. It does nearly what ``extragradient`` does, at one evaluation a step. The model's optimizer
    is given the corrected gradient: with SGD the step is the printed one, with Adam the moments are of the corrected
    gradient, and not, as in optimistic Adam, the step corrected. In the multipliers alone it is
    ``nupi: {kp: 1, ki: 1, init: documented}``.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers, and what the step before saw.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: Popov, "A modification of the Arrow-Hurwicz method for search of saddle points" (1980); Daskalakis, Ilyas,
    Syrgkanis and Zeng, "Training GANs with Optimism" (2018).
    """
    direction = (2 * g - state.last).where(state.first == 0, g)
    multiplier = project_multiplier(state.multiplier + setting["dual_lr"] * direction, equality)
    return State(multiplier, g, g.new_zeros(g.shape))


METHOD = Method(
    name="optimistic",
    summary="gradient descent-ascent that counts what is new in each gradient twice, in the model and the multipliers",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "update": Hyperparameter(
            default="simultaneous",
            choices=("simultaneous", "alternating"),
            meaning="whether the model moves with the old multipliers (simultaneous) or with the new ones",
        ),
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    optimistic=True,
    check=check,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr or the optimizer's lr"},
)
