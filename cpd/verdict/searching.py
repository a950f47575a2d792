"""What a search came to: the coefficient that it reports, and the constraints that it did not search."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum
from statistics import stdev
from typing import Any, TypedDict

from cpd.outcome import Number, Run, Status, finite_or_none
from cpd.verdict.document import BoundRow, Iteration, RunRow, SearchBlock
from cpd.verdict.feasibility import Bound, excess, holds
from cpd.verdict.judged import On, judged_run


class Averaged(TypedDict):
    """A part of :class:`~cpd.verdict.document.Iteration`: means over the seeds that completed."""

    value: float | None
    objective: float | None
    metrics: dict[str, float | None]
    spread: float | None


def searched_name(search: SearchBlock) -> str:
    """The name of the hyperparameter that was searched."""
    return search.get("hyperparameter", "").partition(".")[2] or "coefficient"


def tried(iteration: Iteration) -> Any:
    """What an iteration trained: a number, or in a search of several coefficients a list, as settings have it."""
    return next(iter(iteration["setting"].values())) if "setting" in iteration else iteration["coefficient"]


def averaged(runs: Sequence[Run], constraint: str) -> Averaged:
    """Means of what some runs of a coefficient came to; of values that do not exist there are none.

    Args:
        runs: Those that completed, one for each seed.
        constraint: The searched one, a single value.
    """
    values = [v for run in runs if (v := _single(run.constraints[constraint].value)) is not None]
    names = dict.fromkeys(name for run in runs for name in run.metrics)
    return {
        "value": mean_of(values),
        "objective": mean_of([run.objective for run in runs]),
        "metrics": {name: mean_of([run.metrics.get(name) for run in runs]) for name in names},
        "spread": stdev(values) if len(values) > 1 else None,
    }


def mean_of(values: Sequence[float | None]) -> float | None:
    """The mean of numbers, None where there are none or some is missing."""
    known = [v for v in values if v is not None]
    return fsum(v / len(known) for v in known) if known and len(known) == len(values) else None


def searched_again(
    search: SearchBlock, runs: Sequence[Run], bounds: Mapping[str, Bound], dtype: str, on: On
) -> SearchBlock:
    """A finished search with the numbers of the data that decide now.

    Its coefficients are those that were searched; it is solved where one of them meets the target on these data.

    Args:
        search: As it was stored.
        runs: Those that it trained.
        bounds: Of each constraint.
        dtype: Of the values.
        on: The data that decide.
    """
    name, seeds = search["constraint"], len({run.key.seed for run in runs}) or 1
    own_name = searched_name(search)
    iterations = []
    for row in search["iterations"]:
        own = [judged_run(run, on) for run in runs if run.key.setting.get(own_name) == tried(row)]
        done = [run for run in own if run.status is Status.COMPLETED]
        if "pruned" in row or not done:
            iterations.append(row)
            continue
        new: Iteration = {**row, **averaged(done, name), "seeds": len(done)}
        new.pop("violated", None)
        broken = violated(own, bounds, name, dtype)
        iterations.append({**new, "violated": broken} if broken else new)
    again: SearchBlock = {**search, "iterations": iterations}
    best = reported(again, seeds)
    met = best is not None and best["value"] is not None and abs(best["value"] - search["target"]) < search["tolerance"]
    if met and best is not None:
        again["outcome"] = "solved" if is_whole(best, seeds) else "infeasible"
    elif search["outcome"] in ("solved", "infeasible"):
        again["outcome"] = "out_of_budget"
    return again


def _single(value: Number) -> float | None:
    return None if isinstance(value, list) else finite_or_none(value)


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
    several = "targets" in search
    far = [(i.get("distance") if several else _from_target(search, i), i) for i in search["iterations"]]
    known = [(distance, i) for distance, i in far if distance is not None]
    within = [pair for pair in known if pair[0] < (1 if several else search["tolerance"])]
    order = sorted(within or known, key=lambda pair: (bool(within) and not is_whole(pair[1], seeds), pair[0]))
    return order[0][1] if order else None


def _from_target(search: SearchBlock, iteration: Iteration) -> float | None:
    value = iteration["value"]
    return None if value is None else abs(value - search["target"])


def runs_reported(search: SearchBlock, rows: Sequence[RunRow]) -> list[RunRow]:
    """The completed runs of the coefficient that a search reports, of all its runs."""
    best = reported(search, len({row["seed"] for row in rows}) or 1)
    done = [row for row in rows if row["status"] == Status.COMPLETED.value]
    name = searched_name(search)
    return [] if best is None else [row for row in done if row["setting"].get(name) == tried(best)]


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
