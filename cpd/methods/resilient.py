"""Resilient constraints: levels that give way, at a cost that is weighed against the objective's."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.errors import CpdError
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, UPDATE
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import MULTIPLIER_ADVICE, MULTIPLIERS_ON, driven_without

if TYPE_CHECKING:
    from torch import Tensor

UNSTABLE = 2.0
"""From this product of step-size and curvature on, gradient descent on a parabola moves away from its minimum."""


class State(NamedTuple):
    """The multipliers, and by how much each level has given way; each ``[..., C]``."""

    multiplier: Tensor
    slack: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``, with the levels as they are."""
    return State(setting["multiplier_init"].expand_as(like), like.new_zeros(like.shape))


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""The multipliers times what is violated beyond the slack.

    .. math:: \lambda^\top (g(x) - u)

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Multipliers and slack u.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``; the slack's own cost depends on no parameter of the model, and is left out.

    Source: Hounie, Ribeiro and Chamon, "Resilient Constrained Learning" (2023).
    """
    return (state.multiplier * (g - state.slack)).sum(-1)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Ascend on what is violated beyond the slack; let the slack weigh its cost against the multiplier.

    .. math::
        \lambda \leftarrow [\lambda + \eta (g(x) - u)]_+, \qquad
        u \leftarrow [u - \eta_u (\alpha u - \lambda)]_+

    It solves the problem ``min f(x) + alpha/2 |u|^2 subject to g(x) <= u``, so at its end the constraint is violated by
    ``lambda / alpha``: the more it costs to hold, the more it gives way. With a large alpha that is little, so choose
    the tolerance with it. An equality's slack is of either sign.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers and slack.
        setting: ``dual_lr`` eta, ``slack_cost`` alpha > 0, ``slack_lr`` eta_u; tensors ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``.

    Source: Hounie, Ribeiro and Chamon (2023), Algorithm 1, with a quadratic cost; the multipliers move first.
    """
    multiplier = project_multiplier(state.multiplier + setting["dual_lr"] * (g - state.slack), equality)
    slope = setting["slack_cost"] * state.slack - multiplier
    return State(multiplier, project_multiplier(state.slack - setting["slack_lr"] * slope, equality))


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


SLACK_COST = Hyperparameter(
    default=1.0, exclusive=True, per_constraint=True, meaning="alpha: slack u costs alpha/2 u^2"
)
SLACK_LR = Hyperparameter(default=0.1, per_constraint=True, meaning="eta_u: how far the slack moves along its slope")


def check(setting: Mapping[str, Any], equalities: Sequence[str]) -> None:
    """Refuse steps with which the slack swings further and further.

    Raises:
        CpdError: ``slack_lr`` times ``slack_cost`` is 2 or more.
    """
    pairs = [setting.get(name, one.default) for name, one in (("slack_lr", SLACK_LR), ("slack_cost", SLACK_COST))]
    count = max(len(value) if isinstance(value, list) else 1 for value in pairs)
    lrs, costs = ([*value] if isinstance(value, list) else [value] * count for value in pairs)
    for lr, cost in zip(lrs, costs, strict=True):
        if lr * cost >= UNSTABLE:
            message = f"with steps of {lr:g} and a slack_cost of {cost:g} the slack swings further and further"
            raise CpdError(message, place="slack_lr", hint=f"write a number below {UNSTABLE / cost:g}")


METHOD = Method(
    name="resilient",
    summary="gradient descent-ascent with levels that give way at a cost: f + alpha/2 u^2 + lambda (g - u)",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "slack_cost": SLACK_COST,
        "slack_lr": SLACK_LR,
        "update": UPDATE,
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **driven_without("multiplier"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    check=check,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr, or slack_cost, with which the level gives way sooner"},
)
