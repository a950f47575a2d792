"""Transfer: the setting that is best in one case of a sweep, tried in another, e.g. a small model's on a large one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cpd.errors import CpdError, closest
from cpd.spec.canonical import canonical_json
from cpd.spec.validation import At, Checked, shown

ENDS = ("from", "to")
"""The two cases, as a file calls them."""

ALL = "all"
"""The word for every grid of the arguments, from its first value to its last one."""

EXAMPLE = "write {from: {hidden: 8}, to: {hidden: 64}}, or true for the first and the last values of arguments"

Values = Mapping[str, Sequence[Any]]
"""The values of the grids over ``train`` and ``arguments`` that have several, by dotted key."""


class Transfer(Checked):
    """Which case settings are carried over from, and to: of the same grids one value each, by dotted key.

    Attributes:
        source: Where the best setting of each method is taken from.
        target: Where it is tried.
    """

    source: dict[str, Any]
    target: dict[str, Any]


def transfer_of(raw: Any, grids: Values, at: At) -> Transfer:
    """The two cases that are meant.

    Args:
        raw: ``True``, or by ``from`` and ``to`` the values of grids, by their names.
        grids: That have several values.
        at: From a dotted key to its place in errors.

    Raises:
        CpdError: They name no value of a grid.
    """
    if raw is True:
        own = {key: values for key, values in grids.items() if key.startswith("arguments.")}
        if not own:
            hint = "write arguments: {hidden: {values: [8, 64]}}, or from and to"
            raise CpdError("no argument has several values", place=at("transfer"), hint=hint)
        return Transfer(
            source={key: values[0] for key, values in own.items()},
            target={key: values[-1] for key, values in own.items()},
        )
    if not isinstance(raw, dict) or not raw:
        raise CpdError(f"{shown(raw)} names no two cases", place=at("transfer"), hint=EXAMPLE)
    if unknown := [key for key in raw if key not in ENDS]:
        hint = closest(str(unknown[0]), ENDS)
        raise CpdError(f"unknown key '{unknown[0]}'", place=at(f"transfer.{unknown[0]}"), hint=hint)
    if missing := [end for end in ENDS if raw.get(end) is None]:
        raise CpdError(f"no '{missing[0]}'", place=at("transfer"), hint=EXAMPLE)
    source, target = (_case(end, raw[end], grids, at) for end in ENDS)
    if odd := sorted(source.keys() ^ target.keys()):
        raise CpdError(f"'{odd[0]}' is in one of the cases only", place=at("transfer"), hint=EXAMPLE)
    if all(canonical_json(source[key]) == canonical_json(target[key]) for key in source):
        raise CpdError("both cases are the same", place=at("transfer"), hint=EXAMPLE)
    return Transfer(source=source, target=target)


def _case(end: str, raw: Any, grids: Values, at: At) -> dict[str, Any]:
    """One value of each grid that a case names."""
    key = f"transfer.{end}"
    if not isinstance(raw, dict) or not raw:
        raise CpdError(f"{shown(raw)} names no values", place=at(key), hint=EXAMPLE)
    found = {}
    for name, value in raw.items():
        grid = _grid(str(name), grids, at(f"{key}.{name}"))
        texts = [canonical_json(known) for known in grids[grid]]
        if grid in found:
            raise CpdError(f"'{grid}' is given twice", place=at(f"{key}.{name}"), hint="write it once")
        if canonical_json(value) not in texts:
            hint = f"valid: {', '.join(shown(known) for known in grids[grid])}"
            raise CpdError(f"{shown(value)} is no value of '{grid}'", place=at(f"{key}.{name}"), hint=hint)
        found[grid] = grids[grid][texts.index(canonical_json(value))]
    return found


def _grid(name: str, grids: Values, place: str) -> str:
    """The dotted key of the grid that a name means: the whole of it, or its end where no other ends so."""
    found = [key for key in grids if key == name] or [key for key in grids if key.endswith(f".{name}")]
    if len(found) == 1:
        return found[0]
    if found:
        raise CpdError(f"'{name}' may be {' or '.join(found)}", place=place, hint="write all of it")
    hint = closest(name, grids) if grids else "write arguments: {hidden: {values: [8, 64]}}"
    raise CpdError(f"'{name}' has no grid of several values", place=place, hint=hint)


def words_of(text: str, place: str) -> Any:
    """Read ``--transfer``: ``all``, or ``hidden=8:64,examples=100:1000``, as a file would write it.

    Raises:
        CpdError: Neither of these.
    """
    from cpd.spec.yaml import parse_value

    if text.strip() == ALL:
        return True
    found: dict[str, dict[str, Any]] = {end: {} for end in ENDS}
    for word in text.split(","):
        name, _, ends = word.partition("=")
        values = [part.strip() for part in ends.split(":")]
        if not name.strip() or len(values) != len(ENDS) or not all(values):
            hint = "write NAME=FROM:TO with commas between, or all"
            raise CpdError(f"'{word.strip()}' names no two values of a grid", place=place, hint=hint)
        if name.strip() in found["from"]:
            raise CpdError(f"'{name.strip()}' is given twice", place=place, hint="write NAME=FROM:TO once for each")
        for end, value in zip(ENDS, values, strict=True):
            found[end][name.strip()] = parse_value(value, place)
    return found
