"""The quadratic penalty: a coefficient, fixed or growing, times the squared violation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting

if TYPE_CHECKING:
    from torch import Tensor

GROWTH = Hyperparameter(default=1.0, minimum=1.0, meaning="gamma: c grows by it wherever a step finds a violation")


class State(NamedTuple):
    """The coefficient as it stands, and what it is from the next step on; each ``[..., C]``."""

    coefficient: Tensor
    grown: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at the setting's coefficient."""
    coefficient = setting["coefficient"].expand_as(like)
    return State(coefficient, coefficient)


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""Half the coefficient times the squared violation.

    .. math:: \tfrac{1}{2} \sum_i c_i [g_i(x)]_+^2 + \tfrac{1}{2} \sum_j c_j h_j(x)^2

    Args:
        g: Surrogate violation ``[..., C]``.
        state: The coefficient as it stands.
        setting: Not used here.
        equality: ``[C]``.

    Returns:
        ``[...]``.

    Source: Nocedal and Wright, Numerical Optimization (2006), equation (17.5).
    """
    violated = g.where(equality, g.clamp_min(0))
    return (state.coefficient * violated.square()).sum(-1) / 2


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Let the coefficient grow, from the next step on, where the constraint is strictly violated.

    .. math:: c_i \leftarrow \gamma c_i \quad \text{where } g_i > 0 \ (h_i \ne 0)

    There is no choice of ``update``: a step always acts with the coefficient as it was before that step's violation.
    The order is Cooper's, but not its tolerance of 1e-4, nor its return to the first coefficient where an inequality
    holds: an equality is hardly ever met exactly, so its coefficient grows at nearly every step.

    Source: Nocedal and Wright (2006), Framework 17.1.
    """
    return State(state.grown, grown(state.grown, g, setting["growth"], equality))


def grown(coefficient: Tensor, g: Tensor, growth: Tensor, equality: Tensor) -> Tensor:
    """The coefficient times ``growth`` where the strict violation ``g`` ``[..., C]`` says violated."""
    violated = (g != 0).where(equality, g > 0)
    return (coefficient * growth).where(violated, coefficient)


METHOD = Method(
    name="quadratic_penalty",
    summary="minimise f + c/2 [g]+^2 with a fixed or growing coefficient c",
    hyperparameters={
        "coefficient": Hyperparameter(per_constraint=True, meaning="c at the start"),
        "growth": GROWTH,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=None,
    moves=lambda setting: setting["growth"] != 1,
)
