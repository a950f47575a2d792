"""The quadratic penalty: a coefficient, fixed or growing, times the squared violation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.methods.advice import ADVICE
from cpd.methods.growth import GROWTH, checks, grown, moves, nothing_found
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting
from cpd.methods.penalized import coefficient_of

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """The coefficient as it stands, and what it is from the next step on; each ``[..., C]``."""

    coefficient: Tensor
    grown: Tensor


class CheckedState(NamedTuple):
    """The same, and the violation at the last check; each ``[..., C]``."""

    coefficient: Tensor
    grown: Tensor
    last: Tensor


def init(setting: Setting, like: Tensor) -> State | CheckedState:
    """Start at the setting's coefficient."""
    coefficient = setting["coefficient"].expand_as(like)
    if checks(setting):
        return CheckedState(coefficient, coefficient, nothing_found(like))
    return State(coefficient, coefficient)


def penalty_term(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> Tensor:
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


def update(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> State | CheckedState:
    r"""Let the coefficient grow, from the next step on, where the constraint is strictly violated.

    .. math:: c_i \leftarrow \gamma c_i \quad \text{where } g_i > 0 \ (h_i \ne 0)

    There is no choice of ``update``: a step always acts with the coefficient as it was before that step's violation.
    The order is Cooper's, but not its tolerance of 1e-4, nor its return to the first coefficient where an inequality
    holds: an equality is hardly ever met exactly, so its coefficient grows at nearly every step.

    ``growth: {factor: 10, unless_reduced_to: 0.25, every: 100, max: 1.0e+16}`` is a rule with checks: every 100 steps,
    at the last of them, c grows where the constraint is violated by more than a quarter of what the last check found,
    up to 1e16. ``{add: 1}`` adds instead. What counts as violation is ``[g]+``, or ``|h|``; the first check finds no
    earlier one, and leaves c as it is. A c that starts above ``max`` stays where it is.

    Source: Nocedal and Wright (2006), Framework 17.1; ``unless_reduced_to``: Birgin and Martinez, Practical Augmented
    Lagrangian Methods (2014), Algorithm 4.1, after Conn, Gould and Toint (1991).
    """
    if isinstance(state, State):
        return State(state.grown, grown(state.grown, g, setting, equality)[0])
    new, last = grown(state.grown, g, setting, equality, state.last)
    assert last is not None
    return CheckedState(state.grown, new, last)


def price(setting: Mapping[str, Any], place: int, violation: float) -> float | None:
    """The slope of ``c/2 g^2``, c times the violation, while c does not grow; signed for an equality."""
    c = coefficient_of(setting, place)
    return None if c is None or moves(setting) else c * violation


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
    moves=moves,
    price=price,
    advice={**ADVICE, "damp": "lower coefficient, growth or the optimizer's lr"},
)
