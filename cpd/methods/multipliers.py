"""When the multipliers of a method move, by what, and how far: hyperparameters of every method that has some.

The methods' own equations know nothing of them: they act around any method's ``update``, see :mod:`cpd.engine.dual`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpd.errors import CpdError
from cpd.methods.advice import ADVICE, MULTIPLIER_HURRY
from cpd.methods.hyperparameter import Hyperparameter

DRIVEN: Mapping[str, Hyperparameter] = {
    "start": Hyperparameter(default=0.0, below=1.0, meaning="share of the steps for which the multipliers rest"),
    "every": Hyperparameter(
        default=1,
        minimum=1,
        whole=True,
        words=("epoch",),
        meaning="steps from one move of the multipliers to the next, or epoch; they move with the mean violation since "
        "the last move",
    ),
    "smooth": Hyperparameter(
        default=0.0,
        below=1.0,
        meaning="beta: how much of the moving average of the violation, which moves the multipliers, a move keeps",
    ),
    "multiplier": Hyperparameter(
        default="plain",
        choices=("plain", "exp"),
        meaning="exp: inequalities' multipliers are exp(theta), and theta moves",
    ),
    "multiplier_max": Hyperparameter(
        default="none",
        exclusive=True,
        words=("none",),
        per_constraint=True,
        meaning="no multiplier is larger, nor an equality's smaller than minus this",
    ),
    "dual_schedule": Hyperparameter(
        default="none",
        words=("none",),
        schedule=True,
        meaning="how dual_lr changes from step to step of the training, written as train.schedule",
    ),
}
"""By name; with its default each adds nothing to a step."""

MULTIPLIER_ADVICE: Mapping[str, str] = {**ADVICE, "hurry": MULTIPLIER_HURRY}
"""Of a method that moves multipliers by ``dual_lr``, for it to put its own in place."""

HELD_OUT = "held_out"

MULTIPLIERS_ON = Hyperparameter(
    default="training",
    choices=("training", HELD_OUT),
    meaning="the examples whose strict violation moves the multipliers: those that the model learns on, or others",
)
"""Cotter et al., "Training Well-Generalizing Classifiers for Fairness Metrics and Other Data-Dependent Constraints"
(2019)."""

OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam", "ASGD", "Rprop")
"""Optimizers of ``torch.optim`` that may move multipliers: they act element by element."""

WORDS = ("SGD", "Adam")
"""Those that the method itself knows, by the name alone."""


def _normal(value: Any) -> Any:
    """An optimizer as a mapping with its options; by its name alone where the method knows it so."""
    if isinstance(value, str):
        return value if value in WORDS else {"name": value}
    value = {"name": "SGD", **value}
    return value["name"] if list(value) == ["name"] and value["name"] in WORDS else value


DUAL_OPTIMIZER = Hyperparameter(
    default="SGD",
    choices=WORDS,
    words=tuple(name for name in OPTIMIZERS if name not in WORDS),
    meaning="what moves the multipliers, by its name in torch.optim, or {name: SGD, momentum: 0.7} with its options; "
    "SGD is the plain equation",
    fields={"name": Hyperparameter(default="SGD", choices=OPTIMIZERS, meaning="its name in torch.optim")},
    others=True,
    refused={"lr": "its step-size is dual_lr", "maximize": "multipliers always ascend"},
    normal=_normal,
)


def driven_without(*names: str) -> dict[str, Hyperparameter]:
    """:data:`DRIVEN` without those that a method's own equation leaves no room for."""
    return {name: one for name, one in DRIVEN.items() if name not in names}


def check(setting: Mapping[str, Any], equalities: Sequence[str]) -> None:
    """Refuse exponentiated multipliers where they cannot be.

    Args:
        setting: The hyperparameters that are given.
        equalities: Names of the equality constraints.

    Raises:
        CpdError: An equality's multiplier may have either sign, a multiplier starts at 0 or below, or goes back to 0.
    """
    if setting.get("multiplier") != "exp":
        return
    if equalities:
        message = f"exp(theta) is above 0, and the multiplier of an equality ({', '.join(equalities)}) may not be"
        raise CpdError(message, place="multiplier", hint="write multiplier: plain, or two inequalities")
    given = setting.get("multiplier_init", 1.0)
    if any(x <= 0 for x in (given if isinstance(given, list) else [given])):
        message = f"no exp(theta) is {given}"
        raise CpdError(message, place="multiplier_init", hint="write a number above 0, or leave it out for 1")
    if setting.get("restart"):
        hint = "write restart: false, or multiplier: plain"
        raise CpdError("no exp(theta) goes back to 0", place="restart", hint=hint)
