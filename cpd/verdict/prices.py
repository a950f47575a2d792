"""What the tolerance that a run spent was worth to its objective: its violation times what a unit of it costs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from statistics import median
from typing import NamedTuple

from cpd.methods.registry import price
from cpd.outcome import Number
from cpd.verdict.averages import clamped, mean
from cpd.verdict.document import RunRow
from cpd.verdict.feasibility import EPSILON, ROUNDING, Bound, excess
from cpd.verdict.settings import distinct


class Spent(NamedTuple):
    """A violation within the tolerance, beyond rounding: of one component of a constraint; signed for an equality."""

    name: str
    place: int
    component: int
    violation: float


def spending(run: RunRow, bounds: Mapping[str, Bound], dtype: str) -> Iterator[Spent]:
    """Where a run is on the wrong side of a level by more than rounding."""
    own = str(run["setting"].get("train.dtype", dtype))
    for place, (name, row) in enumerate(run["constraints"].items()):
        level, sense = run["levels"][name], bounds[name].sense
        for component, (value, violation) in enumerate(
            zip(listed(row["value"]), listed(row["violation"]), strict=True)
        ):
            if value is not None and violation is not None:
                slack = ROUNDING * EPSILON.get(own, EPSILON["float32"]) * max(abs(value), abs(level))
                if excess(violation, sense) > slack:
                    yield Spent(name, place, component, violation)


def share_spent(runs: Sequence[RunRow], bounds: Mapping[str, Bound], dtype: str) -> float:
    """The largest share of a tolerance that a setting spent, of all its seeds, constraints and components; else 0."""
    shares = [
        excess(spent.violation, bounds[spent.name].sense) / bounds[spent.name].tolerance
        for run in runs
        for spent in spending(run, bounds, dtype)
        if bounds[spent.name].tolerance > 0
    ]
    return max(shares, default=0.0)


Worth = Callable[[Sequence[RunRow]], float | None]
"""From a setting's runs to what their spent tolerance was worth, mean over seeds; None where nobody knows a price."""


def worth_among(shown: Sequence[RunRow], bounds: Mapping[str, Bound], dtype: str) -> Worth:
    r"""Say what spent tolerance was worth.

    .. math:: \sum_j \max(\lambda_j, \bar\lambda_j) [g_j]_+

    with a run's own multiplier, or else what its method charged for a unit of violation; or the median of the
    multipliers shown where that is larger, for a multiplier that had no time to grow is no price. Of an equality the
    signed products count, where they are above 0.

    Args:
        shown: Feasible runs at the same levels.
        bounds: Sense and tolerance of each constraint.
        dtype: Of runs that have none of their own.
    """

    @cache
    def usual(name: str, component: int) -> float | None:
        known = [m for run in shown if (m := _multiplier(run, name, component)) is not None]
        return median(known) if known else None

    def of_run(run: RunRow) -> float | None:
        total = 0.0
        for spent in spending(run, bounds, dtype):
            prices = [p for p in (_own(run, spent), usual(spent.name, spent.component)) if p is not None]
            if not prices:
                return None
            total = clamped(total + max(0.0, *(clamped(p * spent.violation) for p in prices)))
        return total

    def of_setting(runs: Sequence[RunRow]) -> float | None:
        found = [of_run(run) for run in distinct(runs)]
        known = [worth for worth in found if worth is not None]
        return mean(known) if known and len(known) == len(found) else None

    return of_setting


def _own(run: RunRow, spent: Spent) -> float | None:
    multiplier = _multiplier(run, spent.name, spent.component)
    return price(run["method"], run["setting"], spent.place, spent.violation) if multiplier is None else multiplier


def _multiplier(run: RunRow, name: str, component: int) -> float | None:
    numbers = listed(run["constraints"][name]["multiplier"])
    return numbers[component] if component < len(numbers) else numbers[0] if len(numbers) == 1 else None


def listed(value: Number) -> list[float | None]:
    """A scalar's number, or a vector's numbers, as a list."""
    return value if isinstance(value, list) else [value]
