"""The words that a spec and ``--set`` know, for what completes and suggests them."""

from __future__ import annotations

from cpd.methods.registry import REGISTRY


def methods() -> list[str]:
    """The methods that cpd has."""
    return list(REGISTRY)


def hyperparameters() -> dict[str, list[str]]:
    """The hyperparameters of each method."""
    return {name: list(method.hyperparameters) for name, method in REGISTRY.items()}


def recipe() -> list[str]:
    """The parts of a recipe."""
    from cpd.spec.models import Train

    return list(Train.model_fields)
