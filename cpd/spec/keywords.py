"""A task in Python's words: the YAML's keys with Python's values, and grids as lists."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, TypedDict

from cpd.errors import CpdError, closest
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.spec.grids import is_grid
from cpd.spec.layers import KEYS, Layer, nested
from cpd.spec.models import ProblemSource
from cpd.spec.overrides import SETTABLE, parts_of
from cpd.spec.plain import plain
from cpd.spec.validation import InvalidError, joined

LISTS = frozenset({"betas", "etas", "step_sizes", "eps", "milestones", "schedulers", "schedule", "groups"})
"""Values of a recipe that may be lists as they stand; any other list is a grid."""

Words = Mapping[str, Any]


class TaskWords(TypedDict, total=False):
    """The keys of a task, as keywords.

    Attributes:
        problem: A class derived from ``cpd.Problem``, an object of one, ``file.py:Class`` or ``package.module:Class``.
        arguments: For the class.
        objective: Its name in the tables.
        constraints: By name ``"<= 1"``, or ``{"level": 1, "sense": "<=", "tolerance": 0.01}``.
        train: The recipe: ``{"steps": 500, "optimizer": {"name": "SGD", "lr": 0.05}}``.
        seeds: One, several or a range.
        methods: By name their hyperparameters, each one value or several; or the names alone of those to train.
        levels: By constraint the levels to try.
        budget: Trainings of each method for each seed, e.g. 20 or ``{"trainings": 20, "sampler": "tpe"}``.
        transfer: ``True``, or ``{"from": {"hidden": 8}, "to": {"hidden": 64}}``: what the best setting of one case
            costs in another.
        held_out: The share of ``data()`` that no run trains on.
        judge: The data that decide: ``training`` or ``held_out``.
        depends: Files and ``env:NAME`` that numbers depend on.
        description: One line.
        command: A program with placeholders in place of a problem: ``"python train.py --coef {coefficient}"``, or a
            list of its words.
        timeout: Seconds that a run of a program or of a plain function may take.
        files: The files that travel with a command to other machines.
        check_with: Values of placeholders for ``cpd.check()``, e.g. ``{"steps": 2}``.
    """

    problem: Any
    arguments: Words
    objective: str
    constraints: Words
    train: Words
    seeds: int | str | Iterable[int]
    methods: Words | Iterable[str]
    levels: Words
    budget: Any
    transfer: Any
    held_out: Any
    judge: str
    depends: Iterable[Any]
    description: str
    command: str | Iterable[str]
    timeout: float
    files: Iterable[str]
    check_with: Words


def keyword_layer(words: Words, place: str) -> Layer:
    """The keys of a task that were given as keywords, as a file would have them.

    Args:
        words: Python's values by key; a problem that is a class or an object has become its source.
        place: The call, for errors.

    Raises:
        CpdError: A value that no file could hold.
    """
    raw = {key: value if isinstance(value, ProblemSource) else _read(key, value, place) for key, value in words.items()}
    return Layer(place, {key: value for key, value in raw.items() if value is not None})


def set_layers(assigned: Any, names: Iterable[str], methods: Iterable[str], place: str) -> list[Layer]:
    """What is set one by one over a task, the last one on top.

    Args:
        assigned: Python's values by dotted key.
        names: Of the constraints that there are: they may hold dots.
        methods: That the task has, which may be a program's own.
        place: The call, for errors.

    Raises:
        CpdError: A key that cannot be set, or a value that no file could hold.
    """
    if not isinstance(assigned, Mapping):
        hint = 'write set={"train.steps": 500}'
        raise CpdError(f"{assigned!r} is no mapping", place=f"{place}: set", hint=hint)
    own = sorted(names, key=len, reverse=True)
    known = {*REGISTRY, *methods}
    return [_assigned(str(key), value, own, known, place) for key, value in assigned.items()][::-1]


def _assigned(key: str, value: Any, names: Sequence[str], methods: Collection[str], place: str) -> Layer:
    where = f"{place}: set[{key!r}]"
    first = key.split(".")[0]
    if first in methods:
        key = f"methods.{key}"
    elif first not in SETTABLE:
        hint = closest(first, (*REGISTRY, *SETTABLE))
        raise CpdError(f"'{first}' is neither a method nor a key that can be set", place=where, hint=hint)
    parts = parts_of(key, names, "{" if isinstance(value, Mapping) else "")
    if not all(parts) or (parts[0] in ("methods", "levels") and len(parts) < 2 + (parts[0] == "methods")):
        hint = f"write {key.removeprefix('methods.')}.NAME"
        raise CpdError(f"'{parts[-1]}' is no single value", place=where, hint=hint)
    try:
        whole = _shaped(parts, plain(value, arrays=parts[0] != "arguments"))
    except InvalidError as error:
        raise CpdError(error.message, place=f"{where}{error.key}", hint=error.hint) from None
    return Layer(where, nested(parts, whole), option=".".join(parts))


def _read(key: str, value: Any, place: str) -> Any:
    if key == "seeds" and isinstance(value, range) and value.step == 1 and len(value) > 1000:
        return f"{value.start}:{value.stop}"
    try:
        return _shaped([key], plain(value, arrays=key != "arguments"))
    except InvalidError as error:
        at = f"{key}{error.key}" if error.key.startswith("[") else joined(key, error.key)
        raise CpdError(error.message, place=f"{place}: {at}", hint=error.hint) from None


def _shaped(parts: Sequence[str], value: Any) -> Any:
    """A plain value with the grids in it as a file writes them."""
    match parts:
        case ["methods"]:
            return _each(value, lambda name, block: _shaped(["methods", name], block))
        case ["methods", name]:
            return [_block(name, one) for one in value] if isinstance(value, list) else _block(name, value)
        case ["methods", name, *inner]:
            return _hyperparameter(_declared(name, inner), value)
        case ["levels"]:
            return _each(value, lambda name, one: _shaped(["levels", name], one))
        case ["levels", _]:
            return _level(value)
        case ["train", *inner]:
            return _recipe(inner, value)
    return value


def _each(value: Any, read: Any) -> Any:
    return {name: read(name, one) for name, one in value.items()} if isinstance(value, dict) else value


def _block(method: str, block: Any) -> Any:
    return _each(block, lambda name, value: _hyperparameter(_declared(method, [name]), value))


def _declared(method: str, keys: Sequence[str]) -> Hyperparameter | None:
    """What a method says of a hyperparameter, or of a key in it; None where it says nothing."""
    found = REGISTRY[method].hyperparameters if method in REGISTRY else {}
    one: Hyperparameter | None = None
    for key in keys:
        one = found.get(key)
        found = one.fields if one is not None else {}
        if one is not None and one.per_constraint and not found:  # below it are constraints
            return one
    return one


def _hyperparameter(one: Hyperparameter | None, value: Any) -> Any:
    """A list is a grid, unless it is a chain of schedules."""
    if one is None:  # of a program, which has hyperparameters of its own
        return {"values": value} if isinstance(value, list) else value
    if isinstance(value, dict) and not is_grid(value):
        return _each(value, lambda name, inner: _hyperparameter(_inner(one, name), inner))
    return {"values": value} if isinstance(value, list) and not one.schedule else value


def _inner(one: Hyperparameter, key: str) -> Hyperparameter | None:
    """What a hyperparameter says of a key in it, which may be a constraint's name."""
    return one.fields.get(key, one if one.per_constraint else None)


def _level(value: Any) -> Any:
    if isinstance(value, dict) and isinstance(to := value.get("to"), list):
        return {**value, "to": {"values": to}}
    return {"values": value} if isinstance(value, list) else value


def _recipe(keys: Sequence[str], value: Any) -> Any:
    """A list in a recipe is a grid, where it is not the value itself."""
    if any(key in ("schedule", *LISTS - {"groups"}) for key in keys):
        return value
    if isinstance(value, dict) and not is_grid(value):
        return _each(value, lambda name, inner: _recipe([*keys, name], inner))
    return {"values": value} if keys and isinstance(value, list) and keys[-1] != "groups" else value


def check_names(words: Iterable[str], valid: Iterable[str], place: str) -> None:
    """Refuse an argument that there is not.

    Raises:
        CpdError: With the one that is probably meant.
    """
    known = list(valid)
    for name in words:
        if name not in known:
            hint = closest(name, known)
            near = hint.partition("?")[0] + "?" if hint.startswith("did") else hint
            raise CpdError(f"no argument '{name}'", place=place, hint=near)


__all__ = ["KEYS", "TaskWords", "check_names", "keyword_layer", "set_layers"]
