"""Where a constraint's surrogate and its strict value do not agree on whether it holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from cpd.outcome import ConstraintOutcome, Run, Status
from cpd.verdict.feasibility import Bound, finite, holds

OnlyBy = Literal["surrogate", "strict"]

SENTENCES: Mapping[str, str] = {
    "surrogate": (
        "the surrogate holds at the level and the strict value does not: what pushes the model is satisfied, what "
        "is judged is not. Let the strict value move the multipliers (strict in evaluate()), bring the surrogate "
        "nearer to it, or ask more of the surrogate."
    ),
    "strict": (
        "the strict value holds at the level and the surrogate does not: the verdict goes by the strict value, and "
        "what pushes the model asks for more than it."
    ),
}
"""What is said of a constraint that holds by one of both alone."""


def only_by(
    run: Run,
    outcomes: Mapping[str, ConstraintOutcome],
    levels: Mapping[str, float],
    bounds: Mapping[str, Bound],
    dtype: str,
) -> dict[str, OnlyBy]:
    """Of a completed run, the constraints that hold by one of both alone, and by which.

    Args:
        run: A finished run.
        outcomes: Its constraints.
        levels: Those that it was trained at.
        bounds: Sense and tolerance of each.
        dtype: Of its values.
    """
    found: dict[str, OnlyBy] = {}
    if run.status is not Status.COMPLETED:
        return found
    for name, outcome in outcomes.items():
        if outcome.surrogate is None or outcome.value is None:
            continue
        strict, surrogate = (
            holds(finite(value), levels[name], bounds[name], dtype) for value in (outcome.value, outcome.surrogate)
        )
        if strict != surrogate:
            found[name] = "strict" if strict else "surrogate"
    return found
