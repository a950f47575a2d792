"""A model of the multipliers: for many constraints, whose multipliers are calculated from features of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, UPDATE
from cpd.methods.method import Method, Setting
from cpd.methods.multipliers import MULTIPLIER_ADVICE, MULTIPLIERS_ON, driven_without

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """What the model gives, ``[..., C]``, and its parameters w, ``[..., K]``."""

    multiplier: Tensor
    weight: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Parameters of 0; until the first move there are no multipliers."""
    return State(like.new_zeros(like.shape), like.new_zeros(*like.shape[:-1], len(setting["features"])))


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""What the model gives times the violations.

    .. math:: \sum_j \lambda_j g_j(x), \qquad
        \lambda_j = \log(1 + e^{\theta_j}), \quad \theta = \theta_0 + \Phi^\top w; \qquad \mu = \Phi^\top w

    Args:
        g: Surrogate violation ``[..., C]``.
        state: What the model gives.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``.

    Source: Narasimhan, Cotter, Zhou, Wang and Guo, "Approximate Heavily-Constrained Learning with Lagrange Multiplier
    Models" (2020); theirs is any model, this one is linear in the features, then softplus.
    """
    return (state.multiplier * g).sum(-1)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Gradient ascent of the Lagrangian in the parameters of the model.

    .. math:: w \leftarrow w + \eta \sum_j \phi_j \sigma(\theta_j) g_j(x), \qquad
        \sigma(\theta) = 1 / (1 + e^{-\theta}), \text{ and } 1 \text{ for equalities}

    The features phi_j of constraint j, K numbers, are what the problem's ``constraint_features()`` gives, with a
    constant; without that, the first ``features`` cosines of its place in its vector, so that neighbours have similar
    multipliers. They are made orthonormal over the constraints of each name: eta means what it means for free
    multipliers, and scales of features mean nothing. Constraints under one name share a model; a scalar one has a
    multiplier of its own, and so has each entry of a vector that is no longer than ``features``. Constraints that a
    minibatch does not show have multipliers all the same, which move with those of the others.

    K parameters cannot give any C multipliers: what the method ends at satisfies the constraints on average over the
    features, weighted by sigma, not each of them.

    Args:
        g: Strict violation ``[..., C]``; 0 where not observed.
        state: Parameters, and what they give.
        setting: ``dual_lr`` eta; ``multiplier_init``, what inequalities' theta_0 gives; ``features`` Phi ``[K, C]``.
        equality: ``[C]``; multipliers of equalities are free in sign, and 0 at first.

    Source: Narasimhan et al. (2020).
    """
    features, first = setting["features"], setting["multiplier_init"]
    start = first + first.neg().expm1().neg().log()  # of which the softplus is the first multiplier
    slope = (start + _free(state.weight, features)).sigmoid()
    drive = setting["dual_lr"] * slope.where(~equality, g.new_ones(())) * g
    weight = state.weight + (features * drive.unsqueeze(-2)).sum(-1)
    free = _free(weight, features)
    theta = start + free
    # Without an exponential of its own, for which libraries wake threads: 1 - sigma(-|theta|) is exact where that is.
    softplus = theta.clamp_min(0) - theta.abs().neg().sigmoid().neg().log1p()
    return State(softplus.where(~equality, free), weight)


def _free(weight: Tensor, features: Tensor) -> Tensor:
    """``[..., C]``; row by row, so that a run's numbers do not depend on its neighbours, as a matrix product's may."""
    return (weight.unsqueeze(-1) * features).sum(-2)


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="multiplier_model",
    summary="a small model gives the multipliers of many constraints from features of them",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "features": Hyperparameter(
            default=8,
            minimum=1,
            whole=True,
            of_constraints=True,
            meaning="cosines of a constraint's place in its vector, where the problem gives no constraint_features()",
        ),
        "multiplier_init": Hyperparameter(
            default=0.1, exclusive=True, meaning="inequalities' multipliers from which the first step moves"
        ),
        "update": UPDATE,
        "multipliers_on": MULTIPLIERS_ON,
        **driven_without("multiplier", "multiplier_max"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    shared=True,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr"},
)
