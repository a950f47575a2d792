"""The recipe of one run: the task's, with the dotted keys of the run's setting put in their places."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Any

from cpd.outcome import is_dotted
from cpd.spec.canonical import canonical_json
from cpd.spec.models import ProblemSource, Train

ROWS: tuple[tuple[str, ...], ...] = (
    ("optimizer", "options"),
    ("groups",),
    ("schedule",),
    ("clip", "norm"),
    ("clip", "value"),
    ("average",),
)
"""Parts of a recipe, as its fields nest, whose numbers may differ from run to run of one program."""

COUNTS = ("ns_steps",)
"""Options whose numbers say how often something is done: they decide a program."""

OPTIONS = "options"
"""The field that holds what a spec writes beside a name: ``{name: SGD, lr: 0.1}``."""

Keys = tuple[str | int, ...]
"""The way to a value through mappings and lists."""


def train_of(train: Train, setting: Mapping[str, Any]) -> Train:
    """The recipe of one run.

    Args:
        train: The task's, or that of the run's batch.
        setting: The run's; its dotted keys ``train.*`` are put in.

    Raises:
        KeyError: A dotted key has no place in the recipe.
    """
    own = _own(setting, "train.")
    if not own:
        return train
    fields = reduce(_put, own.items(), train.model_dump())
    return type(train).model_validate({**fields, "optimizer": _with_options(fields["optimizer"])})


def problem_of(problem: ProblemSource, setting: Mapping[str, Any]) -> ProblemSource:
    """A problem with the arguments of one run: the dotted keys ``arguments.*`` of its setting are put in.

    Raises:
        KeyError: A dotted key has no place in the arguments.
    """
    own = _own(setting, "arguments.")
    return problem.model_copy(update={"arguments": reduce(_put, own.items(), problem.arguments)}) if own else problem


def structure(train: Train, setting: Mapping[str, Any]) -> str:
    """Canonical JSON of what decides the program of a run: runs that differ in it cannot share a batch.

    Args:
        train: The task's recipe.
        setting: The run's.

    Returns:
        The recipe without the numbers that are :data:`ROWS`, and the problem's arguments as far as they are gridded.
    """
    if not any(is_dotted(name) for name in setting):
        return ""
    fields = train_of(train, setting).model_dump()
    return canonical_json([reduce(_without_numbers, ROWS, fields), _own(setting, "arguments.")])


def ways(node: Any, path: str) -> list[Keys]:
    """Every way through mappings and lists that a dotted path may mean: names may hold dots themselves.

    Args:
        node: What the path starts in; options that stand beside a name in a spec may be in a field of their own.
        path: E.g. ``optimizer.lr``, ``groups.*.bias.lr`` or ``schedule[0].T_max``.
    """
    parts: Sequence[tuple[str | int, str]] = ()
    if isinstance(node, dict):
        parts = [(name, name) for name in node]
    elif isinstance(node, list | tuple):
        parts = [(k, f"[{k}]") for k in range(len(node))]
    found: list[Keys] = [(key,) for key, written in parts if path == written]
    for key, written in parts:
        rest = path.removeprefix(written)
        if rest != path and rest.startswith((".", "[")):
            found += [(key, *way) for way in ways(node[key], rest.removeprefix("."))]
    options = node.get(OPTIONS) if isinstance(node, dict) and not found else None
    return [(OPTIONS, *way) for way in ways(options, path)] if options is not None else found


def value_at(node: Any, way: Keys) -> Any:
    """What stands at the end of a way."""
    return reduce(lambda inner, key: inner[key], way, node)


def placed(node: Any, way: Keys, value: Any) -> Any:
    """The same mappings and lists with a value at the end of a way; what is given stays as it is."""
    if not way:
        return value
    key, *rest = way
    inner = placed(node[key], tuple(rest), value)
    if isinstance(node, list | tuple):
        return [inner if k == key else entry for k, entry in enumerate(node)]
    return {**node, key: inner}


def _own(setting: Mapping[str, Any], section: str) -> dict[str, Any]:
    return {name.removeprefix(section): value for name, value in setting.items() if name.startswith(section)}


def _put(node: Any, item: tuple[str, Any]) -> Any:
    path, value = item
    found = ways(node, path)
    if not found:
        raise KeyError(path)
    return placed(node, found[0], value)


def _with_options(optimizer: Any) -> Any:
    """An optimizer as its fields, where a setting has it as a spec writes it."""
    if isinstance(optimizer, str):
        return {"name": optimizer}
    if not isinstance(optimizer, dict) or OPTIONS in optimizer:
        return optimizer
    options = {name: value for name, value in optimizer.items() if name != "name"}
    return {**({"name": optimizer["name"]} if "name" in optimizer else {}), OPTIONS: options}


def _without_numbers(fields: Any, way: tuple[str, ...]) -> Any:
    """The same fields with nothing but the places of the numbers at the end of a way."""
    if not way:
        return _places(fields)
    key, *rest = way
    if not isinstance(fields, dict) or key not in fields:
        return fields
    return {**fields, key: _without_numbers(fields[key], tuple(rest))}


def _places(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: inner if name in COUNTS else _places(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_places(inner) for inner in value]
    return 0 if isinstance(value, int | float) and not isinstance(value, bool) else value  # null is no number
