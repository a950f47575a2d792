"""From the values that a program gives to a finished run: strict values, shares as counts, held-out values, curves."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cpd.errors import closest
from cpd.external.output import Unreadable, Values
from cpd.outcome import ConstraintOutcome, Curves, Evidence, HeldOut, Run, RunKey, Series, Status, finite_or_none
from cpd.spec.models import Constraint

HELD_OUT, MODEL, SURROGATE = "held_out", "model", "surrogate"
"""Keys of a result that are no metrics: values on other examples, a file, differentiable values by name."""

STEP, HITS, OF = "step", "hits", "of"
"""Keys of a recorded point, and of a share."""

POINTS = 500
"""Most recorded points that are kept of a run's curves."""

TAIL = 0.9
"""Share of the steps after which the tail begins."""

NOT_FINITE = ("nan", "inf", "infinity", "-inf", "-infinity", "na", "+inf", "+infinity")
"""Words that programs write for numbers that are not finite."""


@dataclass(frozen=True)
class Measured:
    """A value of a result: a number or several, NaN where one is not finite, and the counts of a share."""

    value: float | list[float]
    counted: tuple[tuple[float, float], ...] | None = None

    @property
    def finite(self) -> bool:
        """Whether all of it is."""
        return all(map(math.isfinite, self.value if isinstance(self.value, list) else [self.value]))

    @property
    def outcome(self) -> ConstraintOutcome:
        """The same as an outcome."""
        listed = isinstance(self.value, list)
        number = [finite_or_none(v) for v in self.value] if listed else finite_or_none(self.value)  # type: ignore[union-attr, arg-type]
        sizes = [int(of) for _, of in self.counted or ()]
        evidence = None
        if self.counted is not None:
            evidence = Evidence(self.counted, size=sizes if listed else sizes[0])
        return ConstraintOutcome(value=number, surrogate=number, evidence=evidence)


def finished(
    key: RunKey, objective: str, constraints: Mapping[str, Constraint], values: Values, points: Sequence[Values]
) -> tuple[Run, list[str]]:
    """The run of a program that came to its end, and what the user should know of its result.

    Args:
        key: The run's.
        objective: Its name.
        constraints: Sense and tolerance of each; the levels are the key's.
        values: What the program came to.
        points: What it recorded on the way, by ascending step.

    Raises:
        Unreadable: A value is missing, or is none.
    """
    values = flat(values, objective)
    found = measured(values, objective, constraints)
    curves = curves_of(objective, list(constraints), points)
    broken = [name for name, one in found.items() if not one.finite]
    metrics, left_out = metrics_of(values, objective, constraints)
    held = held_out_of(values, objective, constraints)
    outcomes = {name: _with_tail(found[name].outcome, name, curves) for name in constraints}
    for name, one in surrogates_of(values, constraints).items():
        outcomes[name] = replace(outcomes[name], surrogate=one.outcome.value)
    value = found[objective].value
    run = Run(
        key,
        Status.DIVERGED if broken else Status.COMPLETED,
        objective=finite_or_none(value) if not isinstance(value, list) else None,
        constraints=outcomes,
        metrics=metrics,
        steps=int(points[-1][STEP]) if points else 0,
        error=_why_diverged(broken[0], objective, points) if broken else None,
        curves=curves,
        held_out=held,
    )
    return run, [f"'{name}' of a result is no number, and is left out" for name in left_out]


def flat(values: Values, objective: str) -> Values:
    """A result without groups: ``{objective: ..., constraints: {...}, metrics: {...}}`` as names and values."""
    groups = [values[name] for name in ("constraints", "metrics") if isinstance(values.get(name), Mapping)]
    if not groups:
        return values
    own = {name: value for name, value in values.items() if name not in ("constraints", "metrics", "objective")}
    first = {objective: values["objective"]} if "objective" in values else {}
    return {**first, **{name: value for group in groups for name, value in group.items()}, **own}


def measured(values: Values, objective: str, constraints: Mapping[str, Constraint]) -> dict[str, Measured]:
    """The objective and every constraint.

    Raises:
        Unreadable: One is missing, or is no number.
    """
    for name in (objective, *constraints):
        if name not in values:
            kind = "the objective" if name == objective else "the constraint"
            raise Unreadable(f"its result lacks {kind} '{name}'; {closest(name, values)}")
    found = {name: measure(values[name], name) for name in (objective, *constraints)}
    if isinstance(found[objective].value, list):
        raise Unreadable(f"the objective '{objective}' of its result is a list")
    return found


def measure(value: Any, name: str) -> Measured:
    """A number, a share, or a list of either.

    Raises:
        Unreadable: It is something else.
    """
    if isinstance(value, Mapping) and isinstance(value.get(HITS), list):
        of = value.get(OF)
        every = of if isinstance(of, list) else [of] * len(value[HITS])
        if len(every) != len(value[HITS]):
            raise Unreadable(f"'{name}' of its result has not as many '{OF}' as '{HITS}'")
        return measure([{HITS: hits, OF: one} for hits, one in zip(value[HITS], every, strict=True)], name)
    if isinstance(value, list):
        if not value:
            raise Unreadable(f"'{name}' of its result is an empty list")
        parts = [measure(part, name) for part in value]
        numbers = [part.value for part in parts if not isinstance(part.value, list)]
        if len(numbers) < len(parts):
            raise Unreadable(f"'{name}' of its result is a list of lists")
        counts = [part.counted[0] for part in parts if part.counted is not None]
        return Measured(numbers, tuple(counts) if len(counts) == len(parts) else None)
    if isinstance(value, Mapping):
        return _share(value, name)
    return Measured(_number(value, name))


def _share(value: Mapping[str, Any], name: str) -> Measured:
    if "value" in value:
        return measure(value["value"], name)
    if set(value) != {HITS, OF}:
        raise Unreadable(f'\'{name}\' of its result is no share: write {{"{HITS}": 270, "{OF}": 300}}')
    hits, of = (_number(value[key], f"{name}.{key}") for key in (HITS, OF))
    if of == 0:
        raise Unreadable(f"'{name}' of its result is a share of no examples")
    if not (math.isfinite(hits) and math.isfinite(of) and 0 <= hits <= of):
        raise Unreadable(f"'{name}' of its result is no share: {hits:g} of {of:g}")
    whole = hits == int(hits) and of == int(of)
    return Measured(hits / of, ((hits, of),) if whole else None)


def _number(value: Any, name: str) -> float:
    """A number, NaN where it is missing or not finite."""
    if value is None or (isinstance(value, str) and value.strip().lower() in NOT_FINITE):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        shown = repr(value) if len(repr(value)) <= 60 else f"{repr(value)[:57]}..."
        raise Unreadable(f"'{name}' of its result is {shown}, and no number")
    found = finite_or_none(value)
    return math.nan if found is None else found


def metrics_of(
    values: Values, objective: str, constraints: Mapping[str, Any]
) -> tuple[dict[str, float | None], list[str]]:
    """All other numbers, and the names of what is none."""
    found: dict[str, float | None] = {}
    left_out = []
    for name, value in values.items():
        if name in (objective, HELD_OUT, MODEL, SURROGATE) or name in constraints:
            continue
        try:
            one = measure(value, name)
        except Unreadable:
            left_out.append(name)
            continue
        if isinstance(one.value, list):
            left_out.append(name)
        else:
            found[name] = finite_or_none(one.value)
    return found, left_out


def surrogates_of(values: Values, constraints: Mapping[str, Constraint]) -> dict[str, Measured]:
    """Differentiable values, of those constraints of which the result has one beside the strict value.

    Raises:
        Unreadable: One is no number.
    """
    own = values.get(SURROGATE)
    own = own if isinstance(own, Mapping) else {}
    return {name: measure(own[name], f"{SURROGATE}.{name}") for name in constraints if name in own}


def held_out_of(values: Values, objective: str, constraints: Mapping[str, Constraint]) -> HeldOut | None:
    """The values on examples that were not trained on; None where there are none.

    Raises:
        Unreadable: A value is missing, or is none.
    """
    held = values.get(HELD_OUT)
    if held is None:
        return None
    if not isinstance(held, Mapping):
        raise Unreadable(f"'{HELD_OUT}' of its result is no mapping")
    held = flat(held, objective)
    try:
        found = measured(held, objective, constraints)
    except Unreadable as error:
        raise Unreadable(f"{HELD_OUT}: {error}") from None
    examples = held.get("examples")
    counted = isinstance(examples, int) and not isinstance(examples, bool) and examples > 0
    metrics, _ = metrics_of(
        {n: v for n, v in held.items() if not (counted and n == "examples")}, objective, constraints
    )
    value = found[objective].value
    return HeldOut(
        examples=examples if counted else None,
        objective=None if isinstance(value, list) else finite_or_none(value),
        constraints={name: found[name].outcome for name in constraints},
        metrics=metrics,
    )


def curves_of(objective: str, constraints: Sequence[str], points: Sequence[Values]) -> Curves | None:
    """What was recorded on the way, thinned; None where nothing was."""
    recorded = [point for point in points if any(name in point for name in (objective, *constraints))]
    if not recorded:
        return None
    kept = [recorded[k] for k in _thinned(len(recorded))]
    named = {name: [_point(point.get(name)) for point in kept] for name in (objective, *constraints)}
    multipliers = {n: [_point(_inside(point, n)) for point in kept] for n in constraints}
    return Curves(
        steps=[int(point[STEP]) for point in kept],
        objective=_series(named[objective], scalar=True),
        constraints={name: _series(named[name]) for name in constraints},
        multipliers={n: _series(own) for n, own in multipliers.items() if any(value is not None for value in own)},
    )


def _thinned(count: int) -> Iterator[int]:
    """The places of at most so many of them, evenly, the last one among them."""
    kept = min(count, POINTS)
    return (((k + 1) * count - 1) // kept for k in range(kept))


def _inside(point: Values, name: str) -> Any:
    multipliers = point.get("multipliers")
    return multipliers.get(name) if isinstance(multipliers, Mapping) else None


def _point(value: Any) -> float | list[float | None] | None:
    """A recorded value as far as it is one."""
    try:
        found = measure(value, "")
    except Unreadable:
        return None
    one = found.value
    return [finite_or_none(part) for part in one] if isinstance(one, list) else finite_or_none(one)


def _series(points: Sequence[Any], scalar: bool = False) -> Series:
    """Recorded points, packed; where their lengths differ, those of the last one's."""
    width = next((len(p) if isinstance(p, list) else 0 for p in reversed(points) if p is not None), 0)
    width = 0 if scalar else width
    return Series.of([p if (len(p) if isinstance(p, list) else 0) == width or p is None else None for p in points])


def _with_tail(outcome: ConstraintOutcome, name: str, curves: Curves | None) -> ConstraintOutcome:
    """With what was recorded of the last tenth of the steps."""
    if curves is None:
        return outcome
    start = bisect_left(curves.steps, curves.steps[-1] * TAIL)
    tail = [point for point in curves.constraints[name][start:] if point is not None]
    width = len(outcome.value) if isinstance(outcome.value, list) else 0
    tail = [point for point in tail if (len(point) if isinstance(point, list) else 0) == width]
    return replace(outcome, tail=tail)


def _why_diverged(name: str, objective: str, points: Sequence[Values]) -> str:
    """What was not finite first, and at which step."""
    for point in points:
        for own in point:
            if own != STEP and own in point and not _is_finite(point[own]):
                return f"{own} was not finite at step {point[STEP]:,}"
    return f"{'the objective ' if name == objective else ''}{name} is not finite in the result"


def _is_finite(value: Any) -> bool:
    try:
        return measure(value, "").finite
    except Unreadable:
        return True
