"""What two sweeps differ in: what was asked, by which code on which data, and what came of it."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from cpd.results.result import Result
from cpd.results.verdict_differences import turned
from cpd.store.records import StoredSweep
from cpd.verdict.document import Plain
from cpd.views.tables.lines import setting_text
from cpd.views.tables.numbers import number, setting_value

PARTS = ("asked", "settings", "code", "data", "versions", "machine", "verdict")
"""The parts of a difference, in order."""

ASKED, SETTINGS, CODE, DATA, VERSIONS, MACHINE, VERDICT = PARTS

MOST_SETTINGS = 6
"""Settings that a cell names."""

SHORT = 12
"""Letters of a hash that are shown."""

ELSEWHERE = ("name", "place", "text", "description", "notes", "places", "methods", "problem", "grids")
"""Keys of a spec that say nothing of what is trained, or have a part of their own."""


@dataclass(frozen=True)
class Difference:
    """One thing in which two sweeps differ.

    Attributes:
        part: Of what.
        what: Which thing, e.g. ``train.steps``.
        a: Of the first sweep; None where that has none.
        b: Of the second.
    """

    part: str
    what: str
    a: Plain
    b: Plain


class Side(NamedTuple):
    """One of the sweeps."""

    sweep: StoredSweep
    result: Result
    files: Mapping[str, str]


def differences(a: Side, b: Side) -> list[Difference]:
    """All that two sweeps differ in, part by part."""
    return [
        *_between(ASKED, _asked(a), _asked(b)),
        *_settings(a, b),
        *_code(a, b),
        *_between(DATA, _short(a.files), _short(b.files)),
        *_between(VERSIONS, _versions(a), _versions(b)),
        *_between(MACHINE, dict(a.sweep.record.machine), dict(b.sweep.record.machine)),
        *(Difference(VERDICT, *one) for one in turned(a.result.document, b.result.document)),
    ]


def code_change(a: Side, b: Side) -> list[str]:
    """The lines of code that differ, of the problem and of the modules that it imports, as ``diff -u`` has them."""
    lines: list[str] = []
    ours, theirs = _texts(a), _texts(b)
    for name in dict.fromkeys([*ours, *theirs]):
        old, new = (texts.get(name, "").splitlines() for texts in (ours, theirs))
        lines += difflib.unified_diff(old, new, f"A {name}", f"B {name}", lineterm="", n=1)
    return lines


def _between(part: str, a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Difference]:
    for what in dict.fromkeys([*a, *b]):
        if a.get(what) != b.get(what):
            yield Difference(part, what, a.get(what), b.get(what))


def _asked(side: Side) -> dict[str, Any]:
    """Everything that was asked but the settings and the code: dotted keys and their values."""
    record, spec = side.sweep.record, dict(side.sweep.record.spec)
    problem = spec.get("problem") or {}
    found = {"task": record.task, "command": record.command}
    found |= dict(_leaves("", {name: value for name, value in spec.items() if name not in ELSEWHERE}))
    found |= dict(_leaves("arguments", problem.get("arguments", {})))
    found |= {f"{name} (swept)": values for name, values in (spec.get("grids") or {}).items()}
    return found | {name: record.options[name] for name in ("gap", "confidence") if name in record.options}


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """The values of nested mappings by dotted keys; what is empty is as if it were not there."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), inner)
    elif value not in (None, []):
        yield path, value


def _settings(a: Side, b: Side) -> Iterator[Difference]:
    """Of each method, the settings that one of them alone has."""
    ours, theirs = _by_method(a), _by_method(b)
    for method in dict.fromkeys([*ours, *theirs]):
        own, other = ours.get(method, {}), theirs.get(method, {})
        only = [[s for key, s in one.items() if key not in two] for one, two in ((own, other), (other, own))]
        if any(only):
            varied = _varied([*own.values(), *other.values()])
            yield Difference(SETTINGS, f"{method}: here alone", *(_listed(settings, varied) for settings in only))


def _varied(settings: Sequence[Mapping[str, Any]]) -> list[str]:
    """The hyperparameters in which settings differ; all where they do not."""
    names = dict.fromkeys(name for setting in settings for name in setting)
    differing = [name for name in names if len({json.dumps(s.get(name)) for s in settings}) > 1]
    return differing or list(names)


def _by_method(side: Side) -> dict[str, dict[str, dict[str, Any]]]:
    """The settings of each method, defaults filled in, by their JSON."""
    record = side.sweep.record
    defaults = record.options.get("defaults", {})
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for method, settings in (record.spec.get("methods") or {}).items():
        own = {json.dumps({**defaults.get(method, {}), **s}, sort_keys=True): s for s in settings}
        found[method] = own
    return found


def _listed(settings: Sequence[Mapping[str, Any]], varied: Sequence[str]) -> str | None:
    """``20 settings: dual_lr 0, 0.0001, 0.001 and 17 more``."""
    if not settings:
        return None
    if len(varied) == 1:
        texts = [setting_value(setting.get(varied[0])) for setting in settings]
        start = f"{varied[0]} "
    else:
        texts, start = [setting_text({n: s[n] for n in varied if n in s}) for s in settings], ""
    shown = (", " if start else "; ").join(texts[:MOST_SETTINGS])
    more = f" and {len(settings) - MOST_SETTINGS} more" if len(settings) > MOST_SETTINGS else ""
    return f"{len(settings)} setting{'s' if len(settings) > 1 else ''}: {start}{shown}{more}"


def _code(a: Side, b: Side) -> Iterator[Difference]:
    """Of each text of code, how many lines differ; and what the task depends on."""
    targets = [(side.sweep.record.spec.get("problem") or {}).get("target") for side in (a, b)]
    if targets[0] != targets[1]:
        yield Difference(CODE, "problem", *targets)
    ours, theirs = _texts(a), _texts(b)
    for name in dict.fromkeys([*ours, *theirs]):
        if ours.get(name) != theirs.get(name):
            old, new = (None if t is None else t.splitlines() for t in (ours.get(name), theirs.get(name)))
            yield Difference(CODE, name, *_counted(old, new))
    depends = [(side.sweep.record.spec.get("problem") or {}).get("depends") or {} for side in (a, b)]
    yield from _between(CODE, _short(depends[0]), _short(depends[1]))
    commits = [side.sweep.record.git_commit for side in (a, b)]
    if commits[0] != commits[1]:
        yield Difference(CODE, "git commit", *(commit and commit[:SHORT] for commit in commits))


def _counted(old: Sequence[str] | None, new: Sequence[str] | None) -> tuple[str | None, str | None]:
    """How many lines one text has that the other has not."""
    if old is None or new is None:
        return (None if old is None else f"{len(old)} lines", None if new is None else f"{len(new)} lines")
    changed = [line[:1] for line in difflib.ndiff(old, new)]
    words = [f"{changed.count(mark)} of {len(text)} lines" for mark, text in (("-", old), ("+", new))]
    return words[0], words[1]


def _texts(side: Side) -> dict[str, str]:
    problem = side.sweep.record.spec.get("problem") or {}
    own = {str(problem.get("target", "problem")).partition(":")[0]: problem.get("source") or ""}
    return {**own, **(problem.get("modules") or {})}


def _versions(side: Side) -> dict[str, Any]:
    return dict(side.sweep.record.versions)


def _short(hashes: Mapping[str, str]) -> dict[str, str]:
    return {name: str(content)[:SHORT] or "(absent)" for name, content in hashes.items()}


def words_of(value: Plain) -> str:
    """A value as a table has it."""
    if value is None:
        return "-"
    if isinstance(value, float):
        return number(value, 6)
    return value if isinstance(value, str) else json.dumps(value)
