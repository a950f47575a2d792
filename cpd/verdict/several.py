"""What a search of several coefficients came to: how far each constraint is from met, and where all are nearest."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from cpd.outcome import Run, Status
from cpd.search.several import Aim
from cpd.verdict.document import Iteration, SearchBlock
from cpd.verdict.feasibility import Bound
from cpd.verdict.judged import On, judged_run
from cpd.verdict.searching import averaged, is_whole, reported, searched_name, tried, violated


def measured_again(
    row: Iteration, own: Sequence[Run], names: Sequence[str], bounds: Mapping[str, Bound], dtype: str
) -> Iteration:
    """An iteration with the numbers of its runs, the values of every constraint that is searched.

    Args:
        row: Which coefficients were trained.
        own: Its runs, every seed's.
        names: Of the constraints that are searched.
        bounds: Of all constraints.
        dtype: Of the values.
    """
    good = [run for run in own if run.status is Status.COMPLETED]
    means = {name: averaged(good, name) for name in names}
    first = next(iter(means.values()))
    values = {name: mean["value"] for name, mean in means.items()}
    spreads = {name: mean["spread"] for name, mean in means.items()}
    new: Iteration = {
        **row,
        "objective": first["objective"],
        "metrics": first["metrics"],
        "seeds": len(good),
        "values": values,
        "spreads": spreads,
    }
    new.pop("violated", None)
    broken = [name for name in violated(own, bounds, "", dtype) if name not in values]
    return {**new, "violated": broken} if broken else new


def settled(search: SearchBlock, seeds: int, senses: Mapping[str, str]) -> SearchBlock:
    """A search with the distances of its iterations, told along the constraint that is furthest where it is nearest.

    Args:
        search: Of several coefficients.
        seeds: How many seeds were trained of each.
        senses: Of each constraint.
    """
    rows = [_measured(search, row, senses) for row in search["iterations"]]
    found: SearchBlock = {**search, "iterations": rows}
    best = reported(found, seeds)
    if best is not None and "worst" in best:
        name = best["worst"]
        found |= {"constraint": name, "target": search["targets"][name], "tolerance": search["tolerances"][name]}
    found["iterations"] = [told_of(row, found["constraint"]) for row in rows]
    if found["outcome"] == "solved" and best is not None and not is_whole(best, seeds):
        found["outcome"] = "infeasible"
    return found


def several_again(
    search: SearchBlock, runs: Sequence[Run], bounds: Mapping[str, Bound], dtype: str, on: On
) -> SearchBlock:
    """A finished search of several coefficients with the numbers of the data that decide now.

    Args:
        search: As it was stored.
        runs: Those that it trained.
        bounds: Of each constraint.
        dtype: Of the values.
        on: The data that decide.
    """
    name, seeds = searched_name(search), len({run.key.seed for run in runs}) or 1
    iterations = []
    for row in search["iterations"]:
        own = [judged_run(run, on) for run in runs if run.key.setting.get(name) == tried(row)]
        done = any(run.status is Status.COMPLETED for run in own)
        iterations.append(measured_again(row, own, list(search["targets"]), bounds, dtype) if done else row)
    senses = {name: bound.sense for name, bound in bounds.items()}
    ended = "out_of_budget" if search["outcome"] in ("solved", "infeasible") else search["outcome"]
    again = settled({**search, "iterations": iterations, "outcome": ended}, seeds, senses)
    best = reported(again, seeds)
    is_met = best is not None and (far := best.get("distance")) is not None and far < 1
    return settled({**again, "outcome": "solved"}, seeds, senses) if is_met else again


def told_of(row: Iteration, name: str) -> Iteration:
    """An iteration whose coefficient, value and spread are those of one of its constraints."""
    coefficient, value, spread = row["coefficients"][name], row["values"][name], row["spreads"][name]
    return {**row, "coefficient": coefficient, "value": value, "spread": spread}


def _measured(search: SearchBlock, row: Iteration, senses: Mapping[str, str]) -> Iteration:
    distances = {name: _distance(search, row, name, senses[name]) for name in search["targets"]}
    worst = max(distances, key=lambda name: distances[name])
    far = distances[worst]
    finite = {name: distance if math.isfinite(distance) else None for name, distance in distances.items()}
    return {**row, "worst": worst, "distance": far if math.isfinite(far) else None, "distances": finite}


def _distance(search: SearchBlock, row: Iteration, name: str, sense: str) -> float:
    value, coefficient, low = row["values"][name], row["coefficients"][name], search["lows"][name]
    aim = Aim(search["targets"][name], abs(low), math.inf, search["tolerances"][name], sense, low < 0)
    return math.inf if value is None else aim.distance(abs(coefficient), value)
