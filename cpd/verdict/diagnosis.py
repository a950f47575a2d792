"""The reason why a run did not settle, read off its last tenth and its recorded curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cpd.outcome import Diagnosis, Run, Status
from cpd.verdict.feasibility import Bound, level_of

DIAGNOSES: Mapping[str, str] = {
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
"""The meaning of each diagnosis and what to do about it, by its name in the document."""

SEVERITY = (
    Diagnosis.VANISHING_CONSTRAINT_GRADIENT,
    Diagnosis.MULTIPLIER_DIVERGING,
    Diagnosis.OSCILLATING,
    Diagnosis.BUDGET_EXHAUSTED,
)


def diagnose(
    run: Run,
    constraints: Mapping[str, Bound],
    *,
    dtype: str = "float32",
    reached: Callable[[str, float], bool] = lambda name, level: False,
) -> Diagnosis | None:
    """Say why a run did not settle, or None where it did (at a feasible point or not).

    Component by component of every constraint, the first rule that applies; the gravest finding of all is returned.
    The objective's offset and scale play no part.

    - *pressed*: violated all through the last tenth, while its multiplier moved outwards. Then
      ``vanishing_constraint_gradient`` where the violation moved nowhere in the tail and the constraint's gradient
      fell below 1e-3 of its largest; ``multiplier_diverging`` where it was violated and moved nowhere over the whole
      second half of the run, while the multiplier grew by 5 % of itself or more, unless the level was reached by
      another run; ``budget_exhausted`` where it was violated over the second half in another way. A violation moves
      where it changes by 5 % of itself, or may do so behind noise, or by less but at a pace that it keeps; the
      components of a vector share a model, and stand still where nine in ten of the violated ones do. While the
      objective still falls, the multiplier is not in command, and nothing can be said of the level.
    - ``oscillating``: at least 3 crossings from beyond the tolerance on one side to beyond it on the other, over the
      tail or (for slow ones) the second half of the run, that repeat, unlike minibatch noise, and do not die out;
      ``budget_exhausted`` where they were dying out. A feasible run is excused when its constraint held at 90 % of
      its last steps.
    - ``budget_exhausted``: the violation drifted steadily over the tail by more than the tolerance and beyond noise.
      A feasible inequality is excused when it drifts further inside.

    Runs that diverged or failed have their own status and no diagnosis; nor has a run without a recorded tail. The
    budget is not exhausted of a run that ended early, or that diverged after the iterate that is judged.

    Args:
        run: A finished run.
        constraints: Sense and tolerance of each; the levels are the run's own.
        dtype: Of the values.
        reached: Whether some run reached a level of a constraint: that level is not out of reach.
    """
    if run.status is not Status.COMPLETED:
        return None
    from cpd.verdict.rules import findings
    from cpd.verdict.traces import traces_of

    found: set[Diagnosis] = set()
    for name, outcome in run.constraints.items():
        if name in constraints:
            own = findings(traces_of(run, name, outcome, constraints[name], dtype))
            if Diagnosis.MULTIPLIER_DIVERGING in own and reached(name, level_of(run.key, name, constraints[name])):
                own = own - {Diagnosis.MULTIPLIER_DIVERGING} | {Diagnosis.BUDGET_EXHAUSTED}
            found |= own
    if run.ended_early or run.error is not None:
        found.discard(Diagnosis.BUDGET_EXHAUSTED)
    return next((diagnosis for diagnosis in SEVERITY if diagnosis in found), None)
