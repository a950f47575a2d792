"""What the diagnoses of a document mean, each in a sentence that also says what to do. Plain words, no imports."""

DIAGNOSES = {
    "oscillating": (
        "The constraint swings across its level again and again instead of settling, so the last iterate is a matter "
        "of luck: lower dual_lr, or damp the multiplier: nupi with a larger kp, augmented_lagrangian with a larger "
        "penalty."
    ),
    "multiplier_diverging": (
        "The multiplier grows without end while the violated constraint no longer moves: the level is probably out of "
        "reach for this model, so relax it, give the model more room, or check that the surrogate can reach it."
    ),
    "budget_exhausted": (
        "The run was still moving when its steps ran out, so its verdict is not final: raise train.steps "
        "(or train.epochs), or take larger steps (dual_lr, the optimizer's lr)."
    ),
    "vanishing_constraint_gradient": (
        "The model sits where the constraint's gradient vanishes, so the multiplier diverges without moving it: start "
        "elsewhere, use a surrogate that does not saturate there, or try nupi or augmented_lagrangian, which damp the "
        "overshoot that leads there."
    ),
}
"""Sentence of each diagnosis, by its name in the document."""
