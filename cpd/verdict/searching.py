"""What a search came to: the coefficient that it reports, and the constraints that it did not search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cpd.outcome import Number, Run, Status
from cpd.verdict.document import BoundRow, Iteration, RunRow, SearchBlock
from cpd.verdict.feasibility import Bound, excess, holds


def violated(runs: Sequence[Run], bounds: Mapping[str, Bound], searched: str, dtype: str) -> list[str]:
    """Names of the constraints, all but the searched one, that do not hold for every completed run."""
    finished = [run for run in runs if run.status is Status.COMPLETED]

    def holding(name: str) -> bool:
        values = [(run.constraints[name].value, run.key.levels.get(name, bounds[name].level)) for run in finished]
        return all(holds(value, level, bounds[name], dtype) for value, level in values)

    return [name for name in bounds if name != searched and not holding(name)]


def reported(search: SearchBlock, seeds: int) -> Iteration | None:
    """The iteration whose value is nearest to the target, the earliest of equals.

    Of several within the tolerance, one at which every constraint holds and every seed completed comes first.

    Args:
        search: A search's block.
        seeds: How many seeds were trained of each coefficient.
    """
    known = [(abs(value - search["target"]), i) for i in search["iterations"] if (value := i["value"]) is not None]
    within = [pair for pair in known if pair[0] < search["tolerance"]]
    order = sorted(within or known, key=lambda pair: (bool(within) and not is_whole(pair[1], seeds), pair[0]))
    return order[0][1] if order else None


def is_whole(iteration: Iteration, seeds: int) -> bool:
    """Whether every other constraint holds and every seed completed."""
    return not iteration.get("violated") and iteration.get("seeds", seeds) == seeds


def worst_value(rows: Sequence[RunRow], name: str, bound: BoundRow) -> float | None:
    """The value of a constraint, of all components and completed runs, that is furthest on the wrong side."""
    done = [row["constraints"][name] for row in rows if row["status"] == "completed"]
    pairs = [pair for row in done for pair in zip(_parts(row["value"]), _parts(row["violation"]), strict=True)]
    known = [(value, violation) for value, violation in pairs if value is not None and violation is not None]
    return max(known, key=lambda pair: excess(pair[1], bound["sense"]), default=(None, None))[0]


def _parts(value: Number) -> list[float | None]:
    return value if isinstance(value, list) else [value]
