"""Aim a task at a target: what ``bisect`` searches for."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.registry import REGISTRY
from cpd.run.aims import aimed_at_several
from cpd.spec.aims import STRATEGIES
from cpd.spec.models import Search, Task
from cpd.spec.searched import DEFAULT, Searched, searched, searched_of
from cpd.spec.validation import At, checked

SEVERAL = STRATEGIES[2:]
"""Strategies that search one coefficient of each constraint."""


def with_target(task: Task, words: Mapping[str, Any]) -> Task:
    """A task with the command line's ``--target`` and the like over its own search.

    Args:
        task: With or without a search of its own.
        words: ``target`` (``VALUE`` or ``NAME=VALUE``) and other fields of a search; None where not given.

    Raises:
        CpdError: There is no target, or a number that a search cannot use; the place is the option.
    """
    given = {name: value for name, value in words.items() if value is not None}
    options = {f"search.{name}": f"--{name.replace('_', '-')}" for name in given}
    ends = next((options[key] for key in ("search.high", "search.low") if key in options), None)
    own = task.search.model_dump(exclude_unset=True) if task.search else {}
    fields = {**own, **_targets(given.pop("target", ()), given, own, options), **given}
    if "target" not in fields and not {"targets"} & fields.keys() and fields.get("strategy") not in SEVERAL:
        raise CpdError("no target", place="--target", hint=f"write --target-{next(iter(task.constraints))} VALUE")

    def at(key: str) -> str:
        """The option that was given; for ends that do not go together, the one of them that was."""
        of_an_end = ends if key in ("search", "search.low", "search.high") else None
        return options.get(key) or of_an_end or task.at(key)

    return aimed(task, checked(Search, fields, at, "search"), at)


def _targets(
    words: str | float | Sequence[str], given: Mapping[str, Any], own: Mapping[str, Any], options: dict[str, str]
) -> dict[str, Any]:
    """What ``--target`` says, given once or several times, over the task's own; errors name it as it was typed."""
    pairs = [word.rpartition("=")[::2] for word in ([str(words)] if isinstance(words, str | float) else words)]
    places = {name: f"--target-{name}" if name else "--target" for name, _ in pairs}
    values = {name: _number(text, places[name]) for name, text in pairs if text}
    several = given.get("strategy", own.get("strategy")) in SEVERAL
    if not pairs or (len(values) <= 1 and not several):
        name, value = next(iter(values.items()), ("", None))
        options |= {"search.target": places[name]} if name else {}
        return ({"constraint": name} if name else {}) | ({} if value is None else {"target": value})
    options |= {f"search.targets.{name}": place for name, place in places.items()}
    if "" in values:
        hint = "of several constraints each is named: --target-NAME VALUE"
        raise CpdError("a target of no constraint", place="--target", hint=hint)
    over = {name: {**own.get("targets", {}).get(name, {}), "target": value} for name, value in values.items()}
    return {"targets": {**own.get("targets", {}), **over}, **({} if several else {"strategy": SEVERAL[0]})}


def aimed(task: Task, search: Search, at: At | None = None) -> Task:
    """A task with its constraint's level at the target, judged with the search's tolerance.

    Raises:
        CpdError: The task has several constraints and none is named, or not the one that is; or it has several recipes.
    """
    search = _of_hyperparameter(task, search)
    if search.is_several:
        _refuse_grids(task)
        return aimed_at_several(task, search, searched_of(search))
    if search.hyperparameter is None:
        _refuse_below_0(task, search, at or task.at)
    _refuse_grids(task)
    names = list(task.constraints)
    name = search.constraint or (names[0] if len(names) == 1 else None)
    if name is None:
        raise CpdError(
            f"{task.name} has {len(names)} constraints", place="--target", hint=f"write --target-{names[0]} VALUE"
        )
    if name not in task.constraints:
        raise CpdError(f"no constraint '{name}'", place=f"--target-{name}", hint=closest(name, names))
    level = task.constraints[name].model_copy(update={"level": search.target, "tolerance": search.tolerance})
    search = search.model_copy(update={"constraint": name})
    return task.model_copy(update={"constraints": {**task.constraints, name: level}, "search": search, "levels": {}})


def _refuse_grids(task: Task) -> None:
    for key, values in task.grids.items():
        hint = f"keep one of them: --set {shlex.quote(f'{key}={word(values[0])}')}"
        raise CpdError(f"has {len(values)} values, and a search trains with one", place=task.at(key), hint=hint)


def _of_hyperparameter(task: Task, search: Search) -> Search:
    """A search that names its hyperparameter, where that is not the penalty coefficient.

    Raises:
        CpdError: It could be several, or there is none of that name; or the method has others with several values.
    """
    methods = {name: dict.fromkeys(n for one in settings for n in one) for name, settings in task.methods.items()}
    found = searched(search, methods if task.program is not None or search.hyperparameter is not None else {})
    names = [f"{method}.{name}" for method, own in methods.items() for name in own]
    place = task.at("search.hyperparameter")
    if found is None:
        written = search.hyperparameter
        message = "which hyperparameter?" if written is None else f"no hyperparameter '{written}'"
        raise CpdError(message, place=place, hint=f"write METHOD.NAME; {closest(written or '', names)}")
    if task.program is None and (found.method not in REGISTRY or not _has_numbers(found)):
        known = [f"{m}.{n}" for m, one in REGISTRY.items() for n in one.hyperparameters if _has_numbers(Searched(m, n))]
        raise CpdError(f"no hyperparameter '{found}' that is a number", place=place, hint=closest(str(found), known))
    if task.program is not None or found != DEFAULT:
        fixed_setting(task, found)
    return search.model_copy(update={"hyperparameter": None if found == DEFAULT else str(found)})


def _has_numbers(one: Searched) -> bool:
    known = REGISTRY[one.method].hyperparameters.get(one.name)
    return known is not None and not known.choices and not known.schedule


def fixed_setting(task: Task, searched: Searched) -> dict[str, Any]:
    """The other hyperparameters of the method that is searched, each with its one value.

    Raises:
        CpdError: One has several.
    """
    others: dict[str, Any] = {}
    for setting in task.methods.get(searched.method, ()):
        for name, value in setting.items():
            if name != searched.name and others.setdefault(name, value) != value:
                place = task.at(f"methods.{searched.method}.{name}")
                hint = f"keep one of them: --set {searched.method}.{name}={shlex.quote(word(others[name]))}"
                raise CpdError("has several values, and a search trains with one", place=place, hint=hint)
    return others


def _refuse_below_0(task: Task, search: Search, at: At) -> None:
    """Refuse coefficients below 0 where some constraint is an inequality: they push it away from feasibility."""
    other = next((name for name, one in task.constraints.items() if one.sense != "=="), None)
    if search.low < 0 and other is not None:
        hint = f"write a number above 0: {other} is no equality"
        raise CpdError(f"{search.low:g} is out of range", place=at("search.low"), hint=hint)


def word(value: Any) -> str:
    """A value as ``--set`` takes it: quotes keep a word from being read as something else."""
    from cpd.spec.overrides import grid_words

    plain = value if isinstance(value, str) else json.dumps(value)
    reads_alike = not isinstance(value, str) or grid_words(plain, "--set") == value
    return plain if reads_alike else json.dumps(value)


def _number(text: str, place: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise CpdError(f"'{text}' is not a number", place=place, hint="give a number, e.g. 0.5") from None
