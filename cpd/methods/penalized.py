"""The penalised approach: a fixed coefficient times the violation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.methods.advice import ADVICE
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
        setting: ``coefficient`` c, ``[..., 1]`` or ``[..., C]``: >= 0, or of either sign for equalities.
        equality: ``[C]``; an equality's signed violation is penalised as it is.

    Returns:
        ``[...]``.

    Source: Ramirez, Hashemizadeh and Lacoste-Julien (2025), equation (3).
    """
    term: Tensor = (setting["coefficient"] * g).sum(-1)
    return term


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    """Change nothing."""
    return state


def price(setting: Mapping[str, Any], place: int, violation: float) -> float | None:
    """The coefficient: what the model was charged for a unit of violation."""
    return coefficient_of(setting, place)


def coefficient_of(setting: Mapping[str, Any], place: int) -> float | None:
    """A setting's coefficient of the constraint at a place; None where it has none."""
    c = setting["coefficient"]
    if isinstance(c, list | tuple):
        c = c[place] if place < len(c) else None
    return float(c) if isinstance(c, int | float) else None


METHOD = Method(
    name="penalized",
    summary="minimise f + c g with a fixed coefficient c",
    hyperparameters={
        "coefficient": Hyperparameter(
            per_constraint=True,
            of_equalities=True,
            meaning="c: what a unit of violation costs; of an equality it may be below 0, for a value that is to rise",
        ),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=None,
    moves=lambda setting: False,
    price=price,
    advice={**ADVICE, "damp": "lower the optimizer's lr"},
)
