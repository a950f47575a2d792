"""The switching gradient: a step either improves the objective or mends a constraint."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.errors import CpdError
from cpd.methods.advice import ADVICE
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Each ``[..., C]``.

    Attributes:
        pull: How much each constraint counts in the step; of equalities with the sign of their violation.
        free: 1 where the step is the objective's, else 0; the same for all constraints that the last step showed.
        turn: When this was decided: constraints that a step does not show keep what was decided before.
    """

    pull: Tensor
    free: Tensor
    turn: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Begin with the objective."""
    zero = like.new_zeros(like.shape)
    return State(zero, like.new_ones(like.shape), zero)


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""In place of the objective, where a constraint is violated: that constraint.

    .. math::
        f(x) \;\text{ where } \max_i g_i \le \epsilon, |h_j| \le \epsilon, \qquad
        c \, g_k(x) \text{ or } c \, |h_k(x)| \;\text{ else}

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Which constraint's step it is, if any.
        setting: ``coefficient`` c, ``[..., 1]`` or ``[..., C]``.
        equality: Not used here.

    Returns:
        ``[...]``: what stands in the objective's place.

    Source: Polyak, "A general method for solving extremal problems" (1967); Lan and Zhou, "Algorithms for Stochastic
    Optimization with Function or Expectation Constraints" (2020), Algorithm 1.
    """
    term: Tensor = (setting["coefficient"] * state.pull * g).sum(-1)
    return term


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Decide whose step it is, from the strict violations.

    .. math:: k = \arg\max_i v_i \;\text{ where } v_k > \epsilon, \qquad v_i = g_i \text{ or } |h_i|

    epsilon is ``switch_above``. ``mend: worst`` mends the constraint that is violated most, and those that are just as
    much; ``mend: all`` the mean of all that are violated more than epsilon. c says how long steps of the constraints
    are beside those of the objective; 1 is the published algorithm, for reinforcement learning known as CRPO. The last
    iterate swings about the level: let the optimizer's lr fall, or judge an average (``train.average``).

    Args:
        g: Strict violation ``[..., C]``.
        state: Before.
        setting: ``switch_above`` epsilon >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``.

    Source: Polyak (1967); Xu, Liang and Lan, "CRPO: A New Approach for Safe Reinforcement Learning with Convergence
    Guarantee" (2021), Algorithm 1.
    """
    violation = g.abs().where(equality, g)
    violated = violation > setting["switch_above"]
    if setting["mend"] == "worst":
        worst = violation.where(violated, violation.new_full(violation.shape, -float("inf"))).amax(-1, keepdim=True)
        violated = violated & (violation == worst)
    pull = violated.to(g.dtype)
    pull = pull / pull.sum(-1, keepdim=True).clamp_min(1)
    free = (~violated.any(-1, keepdim=True)).to(g.dtype).expand_as(g)
    turn = (state.turn.amax(-1, keepdim=True) + 1).expand_as(g)
    return State((pull * g.sign()).where(equality, pull), free, turn)


def weight(state: State) -> Tensor:
    """What the objective is multiplied by, ``[...]``: 1 or 0."""
    latest = state.turn == state.turn.amax(-1, keepdim=True)
    return state.free.where(latest, state.free.new_zeros(state.free.shape)).amax(-1)


def check(setting: Mapping[str, Any], equalities: Sequence[str]) -> None:
    """Refuse equalities that would have to be met exactly for a step to be the objective's.

    Raises:
        CpdError: There are some, and ``switch_above`` is 0.
    """
    above = setting.get("switch_above", 0.0)
    if equalities and min(above if isinstance(above, list) else [above]) <= 0:
        message = f"an equality ({', '.join(equalities)}) is never met exactly, so no step would be the objective's"
        raise CpdError(message, place="switch_above", hint="write a number above 0, such as the tolerance")


METHOD = Method(
    name="switching",
    summary="a step follows the objective where the constraints hold, else the one that is violated most",
    hyperparameters={
        "coefficient": Hyperparameter(
            exclusive=True, per_constraint=True, meaning="c: how long the constraints' steps are beside the objective's"
        ),
        "switch_above": Hyperparameter(
            default=0.0, per_constraint=True, meaning="epsilon: the violation up to which a step is the objective's"
        ),
        "mend": Hyperparameter(
            default="worst", choices=("worst", "all"), meaning="the constraint that is violated most, or all that are"
        ),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=None,
    weight=weight,
    check=check,
    advice={**ADVICE, "damp": "let the optimizer's lr fall (train.schedule), or lower coefficient"},
)
