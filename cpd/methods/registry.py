"""Every method by name, and what a spec asks of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cpd.methods import (
    augmented_lagrangian,
    entropic,
    exact_penalty,
    extragradient,
    geco,
    lagrangian,
    log_barrier,
    method_of_multipliers,
    multiplier_model,
    nupi,
    optimistic,
    penalized,
    pid_lagrangian,
    projected,
    quadratic_penalty,
    resilient,
    saga,
    switching,
)
from cpd.methods.advice import ADVICE
from cpd.methods.method import Method

REGISTRY: dict[str, Method] = {
    module.METHOD.name: module.METHOD
    for module in (
        *(penalized, quadratic_penalty, lagrangian, nupi, augmented_lagrangian),
        *(exact_penalty, log_barrier, pid_lagrangian, geco, entropic, resilient),
        *(method_of_multipliers, extragradient, switching, multiplier_model, saga, optimistic, projected),
    )
}
"""Every method by the name that a YAML uses."""


def swept(method: str) -> str:
    """The hyperparameter that a method is swept along: its first one."""
    return next(iter(REGISTRY[method].hyperparameters))


def with_defaults(method: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    """A setting with every hyperparameter of its method."""
    return {name: h.default for name, h in REGISTRY[method].hyperparameters.items()} | dict(setting)


def looks_ahead(method: str) -> bool:
    """Whether a step of a method evaluates twice, and is of a program of its own; of none that cpd does not know."""
    return method in REGISTRY and REGISTRY[method].extrapolates


def by_velocities(method: str) -> bool:
    """Whether a step of a method takes the gradient of each constraint; of none that cpd does not know."""
    return method in REGISTRY and REGISTRY[method].velocities is not None


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
