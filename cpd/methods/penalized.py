"""The penalised approach: a fixed coefficient times the violation."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Nothing changes while training."""


def init(setting: Setting, like: Tensor) -> State:
    """Start with nothing."""
    return State()


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""A weighted sum of violations.

    .. math:: c^\top g(x)

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Empty.
        setting: ``coefficient`` c >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; an equality's signed violation is penalised as it is.

    Returns:
        ``[...]``.

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), equation (2).
    """
    term: Tensor = (setting["coefficient"] * g).sum(-1)
    return term


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    """Change nothing."""
    return state


METHOD = Method(
    name="penalized",
    summary="minimise f + c g with a fixed coefficient c",
    hyperparameters={
        "coefficient": Hyperparameter(per_constraint=True, meaning="c: what a unit of violation costs"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=None,
    moves=lambda setting: False,
)
