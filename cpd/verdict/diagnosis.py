"""The reason why a run did not settle, read off its last tenth and its recorded curves."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cpd.methods.registry import advice
from cpd.outcome import Diagnosis, Run, Status
from cpd.verdict.feasibility import Bound, level_of

DIAGNOSES: Mapping[str, str] = {
    "oscillating": (
        "The constraint swings across its level again and again instead of settling, so the last iterate is a matter "
        "of luck: {damp}."
    ),
    "multiplier_diverging": (
        "The multiplier grows without end while the violated constraint no longer moves: the level is probably out of "
        "reach for this model, so relax it, give the model more room, or check that the surrogate can reach it."
    ),
    "budget_exhausted": (
        "The run was still moving when its steps ran out, so its verdict is not final: give it more steps "
        "(train.steps, train.epochs, or a program's own option), or take larger steps ({hurry})."
    ),
    "contradictory_constraints": (
        "Constraints fight: to first order, no change of the model meets them together, though it would meet each "
        "alone: relax or drop one of those that are named."
    ),
    "blown_up": (
        "The objective, a constraint or the parameters grew beyond any sensible size, though they are finite yet, so "
        "nothing here is a result: take smaller steps (the optimizer's lr), or clip the gradient."
    ),
    "unbounded": (
        "The objective falls for ever, and no constraint holds it: bound it, or constrain "
        "what it gains from, and more strongly than now."
    ),
    "objective_moving": (
        "The constraints have settled, and the objective still falls at the end, so its value is not final: give it "
        "more steps (train.steps, train.epochs, or a program's own option), or raise the optimizer's lr."
    ),
    "vanishing_constraint_gradient": (
        "The model sits where the constraint's gradient vanishes, so the multiplier diverges without moving it: start "
        "elsewhere, use a surrogate that does not saturate there, or {escape}."
    ),
}
"""The meaning of each diagnosis and what to do about it, by its name in the document; a method fills the gaps."""

SEVERITY = (
    Diagnosis.BLOWN_UP,
    Diagnosis.UNBOUNDED,
    Diagnosis.CONTRADICTORY_CONSTRAINTS,
    Diagnosis.VANISHING_CONSTRAINT_GRADIENT,
    Diagnosis.MULTIPLIER_DIVERGING,
    Diagnosis.OSCILLATING,
    Diagnosis.BUDGET_EXHAUSTED,
    Diagnosis.OBJECTIVE_MOVING,
)


def sentence(diagnosis: str, method: str | None = None) -> str:
    """What a diagnosis means and what to do about it, with the hyperparameters that a method has.

    Args:
        diagnosis: Its name in the document; an unknown one has no sentence.
        method: Of the run; None, or one that cpd does not know, for words that fit any.
    """
    text = DIAGNOSES.get(diagnosis, "")
    for gap, words in advice(method).items():
        text = text.replace(f"{{{gap}}}", words)
    return text


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
      has vanished, see :func:`cpd.verdict.gradients.vanished`, unless the violation was brought down to there;
      ``multiplier_diverging`` in that case, and where it was violated and moved nowhere over the whole second half of
      the run, while the multiplier grew by 5 % of itself or more, unless the level was reached by another run;
      ``budget_exhausted`` where it was violated over the second half in another way. A violation moves
      where it changes by 5 % of itself, or may do so behind noise, or by less but at a pace that it keeps; the
      components of a vector share a model, and stand still where nine in ten of the violated ones do. While the
      objective still falls, the multiplier is not in command, and nothing can be said of the level.
    - ``oscillating``: at least 3 crossings from beyond the tolerance on one side to beyond it on the other, over the
      tail or (for slow ones) the second half of the run, that repeat, unlike minibatch noise, and do not die out;
      ``budget_exhausted`` where they were dying out. Where training is by minibatches, too noisy for that, a multiplier
      that goes round and round shows them, if the judged data swing by more than the tolerance. A feasible run is
      excused when its constraint held at 90 % of its last steps.
    - ``budget_exhausted``: the violation drifted steadily over the tail by more than the tolerance and beyond noise.
      A feasible inequality is excused when it drifts further inside.
    - ``contradictory_constraints``: no small change of the model meets them together, see
      :func:`cpd.verdict.gradients.fighting`.
    - ``blown_up``, ``unbounded``, ``objective_moving``: see :mod:`cpd.verdict.growth`.

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
    from cpd.verdict.gradients import fighting
    from cpd.verdict.growth import growth, still_falls
    from cpd.verdict.rules import findings
    from cpd.verdict.traces import traces_of

    found = growth(run)
    if fighting(run, constraints, dtype):
        found.add(Diagnosis.CONTRADICTORY_CONSTRAINTS)
    if not found and run.curves is not None and still_falls(run.curves):
        found.add(Diagnosis.OBJECTIVE_MOVING)
    for name, outcome in run.constraints.items():
        if name in constraints:
            own = findings(traces_of(run, name, outcome, constraints[name], dtype))
            if Diagnosis.MULTIPLIER_DIVERGING in own and reached(name, level_of(run.key, name, constraints[name])):
                own = own - {Diagnosis.MULTIPLIER_DIVERGING} | {Diagnosis.BUDGET_EXHAUSTED}
            found |= own
    if run.ended_early or run.error is not None:
        found -= {Diagnosis.BUDGET_EXHAUSTED, Diagnosis.OBJECTIVE_MOVING}
    return next((diagnosis for diagnosis in SEVERITY if diagnosis in found), None)


def fighters(run: Run, constraints: Mapping[str, Bound], dtype: str = "float32") -> list[str]:
    """Name the constraints that contradict each other, ``name[k]`` a component; empty where none do."""
    from cpd.verdict.gradients import fighting

    return fighting(run, constraints, dtype)
