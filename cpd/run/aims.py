"""Aim a task at several targets at once: each constraint's own, by a coefficient of its own."""

from __future__ import annotations

from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.registry import REGISTRY
from cpd.spec.aims import Aim
from cpd.spec.models import Search, Task
from cpd.spec.searched import Searched


def aimed_at_several(task: Task, search: Search, found: Searched) -> Task:
    """A task with the levels of its constraints at their targets, judged with the search's tolerances.

    Args:
        task: Its constraints have a coefficient each.
        search: Its targets, or none for all constraints to their levels.
        found: The hyperparameter that is searched.

    Raises:
        CpdError: A target of no constraint; ends that do not go together; the hyperparameter has one number for all.
    """
    if task.program is not None:
        hint = "a program's placeholders are searched one at a time: --strategy bisection"
        raise CpdError("searches one coefficient of each constraint", place=task.at("search.strategy"), hint=hint)
    if not REGISTRY[found.method].hyperparameters[found.name].per_constraint:
        known = [f"{m}.{n}" for m, one in REGISTRY.items() for n, h in one.hyperparameters.items() if h.per_constraint]
        message = f"'{found}' has one number for all constraints"
        raise CpdError(message, place=task.at("search.hyperparameter"), hint=closest(str(found), known))
    for name in search.targets:
        if name not in task.constraints:
            raise CpdError(f"no constraint '{name}'", place=f"--target-{name}", hint=closest(name, task.constraints))
    aims = {name: _whole(task, search, name) for name in task.constraints if name in (search.targets or [name])}
    levels = {
        name: one.model_copy(update={"level": aims[name].target, "tolerance": aims[name].tolerance})
        for name, one in task.constraints.items()
        if name in aims
    }
    first, aim = next(iter(aims.items()))
    told = {"targets": aims, "constraint": first, "target": aim.target, "tolerance": aim.tolerance}
    return task.model_copy(
        update={"constraints": task.constraints | levels, "search": search.model_copy(update=told), "levels": {}}
    )


def _whole(task: Task, search: Search, name: str) -> Aim:
    """An aim with all that it leaves to the search and to its constraint."""
    own, constraint = search.targets.get(name, Aim()), task.constraints[name]
    filled: dict[str, Any] = {
        "target": constraint.level if own.target is None else own.target,
        "low": search.low if own.low is None else own.low,
        "high": search.high if own.high is None else own.high,
        "tolerance": search.tolerance if own.tolerance is None else own.tolerance,
    }
    low, high = filled["low"], filled["high"]
    place = task.at(f"search.targets.{name}")
    if low >= high or low < 0 < high:
        hint = "give two different ends, both above 0 or, of an equality, both below it"
        raise CpdError(f"low {low:g} and high {high:g} do not go together", place=place, hint=hint)
    if low < 0 and constraint.sense != "==":
        raise CpdError(f"{low:g} is out of range", place=place, hint=f"write a number above 0: {name} is no equality")
    return Aim(**filled)


def fixed_entry(task: Task, found: Searched, name: str, place: int) -> float:
    """The coefficient of a constraint that is not searched: the one that all settings of the task have.

    Args:
        task: Says it under ``methods``.
        found: The hyperparameter that is searched.
        name: Of the constraint.
        place: Among the constraints.

    Raises:
        CpdError: There is none, or several.
    """
    values = [setting[found.name] for setting in task.methods.get(found.method, ()) if found.name in setting]
    own = list(dict.fromkeys(value[place] if isinstance(value, list) else value for value in values))
    if len(own) != 1:
        message = f"{'no' if not own else len(own)} values for {name}, which is not searched"
        where = task.at(f"methods.{found.method}.{found.name}")
        hint = f"give one: --set {found}.{name}=0; or search it: --target-{name} VALUE"
        raise CpdError(message, place=where, hint=hint)
    return float(own[0])
