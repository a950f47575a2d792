"""Variance-reduced multipliers, after SAGA: each goes on by its last seen violation where a step does not show it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, UPDATE, multipliers, penalty_term
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, MULTIPLIER_ADVICE, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Each ``[..., C]``.

    Attributes:
        multiplier: The multipliers.
        last: v, the violation at which each constraint was last seen; 0 before.
        seen: Moves in which it was.
        moves: All of them.
    """

    multiplier: Tensor
    last: Tensor
    seen: Tensor
    moves: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``, with nothing seen."""
    zero = like.new_zeros(like.shape)
    return State(setting["multiplier_init"].expand_as(like), zero, zero, zero)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Ascend along the violations that a step shows, corrected by what is remembered of all.

    .. math:: \lambda_j \leftarrow [\lambda_j + \eta (1_j (g_j(x) - v_j) + p_j v_j)]_+, \qquad
        v_j \leftarrow g_j(x) \text{ where } 1_j = 1

    1_j is 1 where the step shows constraint j (``cpd.observed``, ``cpd.share``), else 0, and p_j the share of the steps
    so far that did. It is SAGA's estimate of the gradient of all C multipliers, times p: the mean is that of
    ``lagrangian``, so dual_lr means the same, and where the violations come to rest its variance goes to 0, while the
    multiplier of ``lagrangian`` stands still between two looks and then jumps. Where each step shows all constraints it
    is ``lagrangian``.

    Args:
        g: Strict violation ``[..., C]``; 0 where not observed.
        state: Before.
        setting: ``dual_lr`` eta; ``observed``, ``[..., C]`` bool, where some are not.
        equality: ``[C]``; multipliers of equalities are free in sign.

    Source: Defazio, Bach and Lacoste-Julien, "SAGA: A Fast Incremental Gradient Method With Support for Non-Strongly
    Convex Composite Objectives" (2014), Algorithm 1; for saddle points Palaniappan and Bach, "Stochastic Variance
    Reduction Methods for Saddle-Point Problems" (2016).
    """
    observed = setting.get("observed")
    shown = g.new_ones(g.shape) if observed is None else observed.to(g.dtype)
    seen, moves = state.seen + shown, state.moves + 1
    direction = shown * g + (seen / moves - shown) * state.last
    multiplier = project_multiplier(state.multiplier + setting["dual_lr"] * direction, equality)
    return State(multiplier, g.where(shown > 0, state.last), seen, moves)


METHOD = Method(
    name="saga",
    summary="gradient descent-ascent whose multipliers remember what a minibatch does not show of the constraints",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "update": UPDATE,
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    shared=True,
    check=check,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr"},
)
