"""What to do about a run that did not settle, in words that hold for every method; a method puts its own in place."""

from collections.abc import Mapping

ADVICE: Mapping[str, str] = {
    "damp": "take smaller steps, or damp what swings",
    "hurry": "the optimizer's lr",
    "escape": "damp the overshoot that leads there",
}
"""What fills the gaps in a diagnosis's sentence: against a swing, for faster progress, away from a flat region."""

MULTIPLIER_HURRY = "dual_lr, the optimizer's lr"
"""Of every method that moves multipliers."""
