"""Every method by name, and what a spec asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpd.methods import augmented_lagrangian, lagrangian, nupi, penalized, quadratic_penalty
from cpd.methods.advice import ADVICE
from cpd.methods.method import Method

REGISTRY: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (penalized, quadratic_penalty, lagrangian, nupi, augmented_lagrangian)
}
"""Every method by the name that a YAML uses."""


def swept(method: str) -> str:
    """The hyperparameter that a method is swept along: its first one."""
    return next(iter(REGISTRY[method].hyperparameters))


def with_defaults(method: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    """A setting with every hyperparameter of its method."""
    return {name: h.default for name, h in REGISTRY[method].hyperparameters.items()} | dict(setting)


def price(method: str, setting: Mapping[str, Any], place: int, violation: float) -> float | None:
    """What a unit of a violation cost the model, of a method without multipliers; None where that is not known."""
    known = REGISTRY.get(method)
    return known.price(with_defaults(method, setting), place, violation) if known else None


def advice(method: str | None) -> Mapping[str, str]:
    """A method's own words about what to do, see :data:`cpd.methods.advice.ADVICE`."""
    known = REGISTRY.get(method or "")
    return known.advice if known else ADVICE


CONSTRAINED = ("nupi", "augmented_lagrangian", "lagrangian")
"""Methods that reach a level which no coefficient gives, the first that a task has settings for to be advised."""

SEARCHED = ("penalized", "coefficient")
"""The method and the hyperparameter that a search is for where it does not say: the weight of a penalty."""
