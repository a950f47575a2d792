"""The exact l1 penalty: a coefficient, fixed or growing, times the violation itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpd.methods.advice import ADVICE
from cpd.methods.growth import GROWTH, moves
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting
from cpd.methods.penalized import coefficient_of
from cpd.methods.quadratic_penalty import CheckedState, State, init
from cpd.methods.quadratic_penalty import update as grow

if TYPE_CHECKING:
    from torch import Tensor


def penalty_term(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> Tensor:
    r"""The coefficient times what is violated.

    .. math:: \sum_i c_i [g_i(x)]_+ + \sum_j c_j |h_j(x)|

    It is exact: from c above the largest size of a multiplier on, its minimum is that of the constrained problem. It
    has a kink there, so that steps of a fixed size swing about the level, by less the smaller they are: let the
    optimizer's lr fall. At a violation of exactly 0 nothing is pushed.

    Args:
        g: Surrogate violation ``[..., C]``.
        state: The coefficient as it stands.
        setting: Not used here.
        equality: ``[C]``.

    Returns:
        ``[...]``.

    Source: Nocedal and Wright, Numerical Optimization (2006), equation (17.22) and Theorem 17.3.
    """
    return (state.coefficient * g.abs().where(equality, g.relu())).sum(-1)


def update(g: Tensor, state: State | CheckedState, setting: Setting, equality: Tensor) -> State | CheckedState:
    r"""Let the coefficient grow, from the next step on, where the constraint is strictly violated.

    .. math:: c_i \leftarrow \gamma c_i \quad \text{where } g_i > 0 \ (h_i \ne 0)

    As for quadratic_penalty, with the same rules for ``growth``.

    Source: Nocedal and Wright (2006), Framework 17.2.
    """
    return grow(g, state, setting, equality)


def price(setting: Mapping[str, Any], place: int, violation: float) -> float | None:
    """The coefficient, while it does not grow: the slope of ``c |g|`` on the side of the violation."""
    c = coefficient_of(setting, place)
    return None if c is None or moves(setting) else -c if violation < 0 else c


METHOD = Method(
    name="exact_penalty",
    summary="minimise f + c [g]+ with a fixed or growing coefficient c: exact from some c on",
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
    advice={**ADVICE, "damp": "let the optimizer's lr fall (train.schedule), or lower coefficient or growth"},
)
