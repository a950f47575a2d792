"""The augmented Lagrangian method: multipliers and a quadratic penalty."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.advice import MULTIPLIER_HURRY
from cpd.methods.growth import GROWTH, checks, grown, nothing_found
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, UPDATE
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Multipliers, the penalty as it stands, and what it is from the next step on; each ``[..., C]``."""

    multiplier: Tensor
    penalty: Tensor
    grown: Tensor


class CheckedState(NamedTuple):
    """The same, and the violation at the last check of the penalty; each ``[..., C]``."""

    multiplier: Tensor
    penalty: Tensor
    grown: Tensor
    last: Tensor


def init(setting: Setting, like: Tensor) -> State | CheckedState:
    """Start at ``multiplier_init`` and the setting's penalty."""
    multiplier, penalty = setting["multiplier_init"].expand_as(like), setting["penalty"].expand_as(like)
    if checks(setting):
        return CheckedState(multiplier, penalty, penalty, nothing_found(like))
    return State(multiplier, penalty, penalty)


def penalty_term(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> Tensor:
    r"""The augmented part of the objective.

    .. math:: \sum_i \frac{1}{2c} ([\lambda_i + c g_i]_+^2 - \lambda_i^2) + \sum_j (\mu_j h_j + \frac{c}{2} h_j^2)

    Where ``lambda + c g`` > 0 the inequality's term is ``lambda g + c/2 g^2``, which needs no division by c; with c = 0
    it is the Lagrangian's.

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Multipliers and penalty.
        setting: ``update``.
        equality: ``[C]``.

    Returns:
        ``[...]``.

    Source: Nocedal and Wright, Numerical Optimization (2006), equations (17.36) and (17.65).
    """
    multiplier = state.multiplier
    # Simultaneous updates act with the state before the step, whose next penalty is this step's.
    c = state.penalty if setting["update"] == "alternating" else state.grown
    inside = multiplier * g + c * g.square() / 2
    outside = -multiplier.square() / (2 * c.where(c > 0, c.new_ones(c.shape)))
    slack = ~equality & (multiplier + c * g < 0) & (c > 0)
    return outside.where(slack, inside).sum(-1)


def update(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> State | CheckedState:
    r"""Ascend on the strict violation; let the penalty grow, from the next step on, where the constraint is violated.

    .. math:: \lambda \leftarrow [\lambda + \eta g(x)]_+, \qquad c \leftarrow \gamma c \text{ where violated}

    The textbook takes eta = c. Here, as in Cooper, eta is ``dual_lr``, which neither follows from the penalty nor grows
    with it. ``growth`` may be a rule with checks, as for quadratic_penalty; the penalty goes by it, and by the
    violation of the step, also while the multipliers rest.

    Source: Nocedal and Wright (2006), Algorithm 17.4; ``growth`` with ``unless_reduced_to``: Birgin and Martinez,
    Practical Augmented Lagrangian Methods (2014), Algorithm 4.1, after Conn, Gould and Toint (1991).
    """
    return grow(g, move(g, state, setting, equality), setting, equality)


def move(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> State | CheckedState:
    """The multipliers' part of a step."""
    return state._replace(multiplier=project_multiplier(state.multiplier + setting["dual_lr"] * g, equality))


def grow(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> State | CheckedState:
    """The penalty's part of a step."""
    if isinstance(state, State):
        return State(state.multiplier, state.grown, grown(state.grown, g, setting, equality)[0])
    new, last = grown(state.grown, g, setting, equality, state.last)
    assert last is not None
    return CheckedState(state.multiplier, state.grown, new, last)


def multipliers(state: State | CheckedState) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="augmented_lagrangian",
    summary="gradient descent-ascent on f + lambda g + c/2 g^2",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "penalty": Hyperparameter(per_constraint=True, meaning="c at the start"),
        "growth": GROWTH,
        "update": UPDATE,
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    move=move,
    grow=grow,
    check=check,
    advice={
        "damp": "lower dual_lr, or raise penalty, which damps the multiplier",
        "hurry": MULTIPLIER_HURRY,
        "escape": "raise penalty, which damps the overshoot that leads there",
    },
)
