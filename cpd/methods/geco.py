"""GECO: multipliers that are multiplied, by a moving average of the violation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cpd.errors import CpdError
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, UPDATE, State, multipliers, penalty_term
from cpd.methods.method import Method, Setting
from cpd.methods.multipliers import DRIVEN, MULTIPLIER_ADVICE, MULTIPLIERS_ON, driven_without

if TYPE_CHECKING:
    from torch import Tensor

LEAST = 1e-30
"""No multiplier is smaller: what was 0 could never grow again."""


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``."""
    return State(setting["multiplier_init"].expand_as(like))


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Exponentiated gradient ascent on the moving average m of the strict violation.

    .. math:: m \leftarrow \beta m + (1 - \beta) g(x), \qquad \lambda \leftarrow \lambda \exp(\eta m)

    beta is ``smooth``, 0.99 here; m is g at the first step. These are the numbers of lagrangian with ``multiplier:
    exp``, ``smooth: 0.99`` and ``multiplier_init: 1``. An equality's multiplier may be below 0, so tasks with
    equalities refuse it.

    Args:
        g: What moves the multipliers, ``[..., C]``: the moving average.
        state: Multipliers.
        setting: ``dual_lr`` eta >= 0, ``[..., 1]`` or ``[..., C]``.
        equality: Not used here.

    Source: Rezende and Viola, Taming VAEs (2018), Algorithm 1.
    """
    return State((state.multiplier * (setting["dual_lr"] * g).exp()).clamp_min(LEAST))


def no_equalities(setting: Mapping[str, Any], equalities: Sequence[str]) -> None:
    """Refuse equalities, for multipliers that are never below 0.

    Raises:
        CpdError: There are some.
    """
    if equalities:
        message = f"its multipliers are above 0, and that of an equality ({', '.join(equalities)}) may not be"
        raise CpdError(message, place="", hint="write two inequalities, or take lagrangian, nupi or pid_lagrangian")


METHOD = Method(
    name="geco",
    summary="multipliers grow and shrink by factors, after a moving average of the violation",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "smooth": replace(DRIVEN["smooth"], default=0.99),
        "update": UPDATE,
        "multiplier_init": Hyperparameter(
            default=1.0, exclusive=True, per_constraint=True, meaning="the multipliers before the first step"
        ),
        "multipliers_on": MULTIPLIERS_ON,
        **driven_without("smooth", "multiplier"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    check=no_equalities,
    advice={**MULTIPLIER_ADVICE, "damp": "lower dual_lr or smooth: an average comes late, and what comes late swings"},
)
