"""Entropic multipliers: a softmax of summed violations, whose total is bounded."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.geco import no_equalities
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, UPDATE
from cpd.methods.method import Method, Setting
from cpd.methods.multipliers import MULTIPLIER_ADVICE, MULTIPLIERS_ON, driven_without

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Summed violations theta, and what the multipliers sum up to at most; each ``[..., C]``."""

    theta: Tensor
    radius: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start with equal multipliers, that of the objective's place included."""
    return State(like.new_zeros(like.shape), setting["radius"].expand_as(like))


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""The multipliers times the violations, the multipliers being a softmax.

    .. math:: \lambda^\top g(x), \qquad \lambda_i = B \frac{\exp \theta_i}{1 + \sum_k \exp \theta_k}

    Args:
        g: Surrogate violation ``[..., C]``.
        state: theta and B.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``.

    Source: Agarwal, Beygelzimer, Dudik, Langford and Wallach, "A Reductions Approach to Fair Classification" (2018),
    Algorithm 1.
    """
    return (multipliers(state) * g).sum(-1)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Ascend in theta: entropic mirror ascent in the multipliers.

    .. math:: \theta \leftarrow \theta + \eta g(x)

    The multipliers sum up to less than B, the ``radius``, and share it: B must be above the sum of the multipliers at
    the solution. theta starts at 0, so each is B / (C + 1) at first. An equality's multiplier may be below 0, so tasks
    with equalities refuse it. This is the external-regret game; the swap-regret one of TFCO's proxy-Lagrangian, with
    a matrix for each run, is not here.

    Source: Agarwal et al. (2018), Algorithm 1; Kivinen and Warmuth, "Exponentiated Gradient versus Gradient Descent for
    Linear Predictors" (1997); Cotter, Jiang and Sridharan, "Two-Player Games for Efficient Non-Convex Constrained
    Optimization" (2019).
    """
    return State(state.theta + setting["dual_lr"] * g, state.radius)


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    if state.theta.shape[-1] == 0:
        return state.theta
    largest = state.theta.amax(-1, keepdim=True).clamp_min(0)  # so that no exponential overflows
    shares = (state.theta - largest).exp()
    return state.radius * shares / ((-largest).exp() + shares.sum(-1, keepdim=True))


METHOD = Method(
    name="entropic",
    summary="multipliers are a softmax of the summed violations, and their sum is bounded",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "radius": Hyperparameter(
            default=10.0, exclusive=True, meaning="B: the multipliers sum up to less; more than they need at a solution"
        ),
        "update": UPDATE,
        "multipliers_on": MULTIPLIERS_ON,
        **driven_without("multiplier", "multiplier_max"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    check=no_equalities,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr or radius"},
)
