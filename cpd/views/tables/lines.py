"""A document's runs as lines of a table: seeds together, with what varies, what stays the same, and footnotes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cpd.verdict.sentences import DIAGNOSES
from cpd.views.tables.numbers import decimals, is_share, setting_value
from cpd.views.tables.section import clean

Document = Mapping[str, Any]
Run = Mapping[str, Any]


@dataclass(frozen=True)
class Line:
    """One row: a setting at given levels, its runs one per seed."""

    method: str
    setting: Mapping[str, Any]
    levels: Mapping[str, float]
    runs: list[Run]

    @property
    def feasible(self) -> int:
        """In how many of its runs the constraints hold."""
        return sum(run["feasible"] for run in self.runs)

    @property
    def by_luck(self) -> bool:
        """Whether it holds at the last step only: a feasible run that oscillates has not solved anything."""
        return any(run["feasible"] and run["diagnosis"] == "oscillating" for run in self.runs)

    def unfinished(self) -> dict[str, int]:
        """How many runs ended otherwise than completed, by status."""
        statuses = [run["status"] for run in self.runs if run["status"] != "completed"]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def lines(document: Document) -> list[Line]:
    """Runs of the same method, setting and levels together, in order of first appearance."""
    together: dict[str, Line] = {}
    for run in document["runs"]:
        key = json.dumps([run["method"], run["setting"], run["levels"]], sort_keys=True)
        line = together.setdefault(key, Line(run["method"], run["setting"], run["levels"], []))
        line.runs.append(run)
    return list(together.values())


def best_line(rows: Sequence[Line], entry: Mapping[str, Any]) -> Line | None:
    """The row of a summary's best setting; None where it has none."""
    for row in rows:
        same_levels = entry.get("levels", row.levels) == row.levels
        if same_levels and row.method == entry["method"] and row.setting == entry["best_setting"]:
            return row
    return None


def varied(rows: Sequence[Line], method: str) -> list[str]:
    """Hyperparameters in which a method's settings differ, all of them if it is one setting beside other methods."""
    settings = [row.setting for row in rows if row.method == method]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    differing = [name for name in names if len({json.dumps(s.get(name)) for s in settings}) > 1]
    alone = not differing and any(row.method != method for row in rows)
    return names if alone else differing


def constants(rows: Sequence[Line], method: str) -> dict[str, Any]:
    """Hyperparameters that stay the same over a method's settings."""
    shown = varied(rows, method)
    setting = next((row.setting for row in rows if row.method == method), {})
    return {name: value for name, value in setting.items() if name not in shown}


def swept_levels(rows: Sequence[Line]) -> list[str]:
    """Constraints whose level differs between the rows."""
    names = rows[0].levels if rows else {}
    return [name for name in names if len({row.levels[name] for row in rows}) > 1]


def share_decimals(document: Document, name: str) -> int | None:
    """Decimals of the percentage that a constraint's values are shown as; None where it is no share."""
    numbers = [x for run in document["runs"] for x in components(run["constraints"][name]["value"])]
    numbers += [run["levels"][name] for run in document["runs"]]
    return decimals(document["constraints"][name]["tolerance"]) if is_share(name, numbers) else None


def components(value: Any) -> list[float | None]:
    """A scalar's number, or a vector's numbers, as a list."""
    return value if isinstance(value, list) else [value]


def worst_component(outcome: Mapping[str, Any], sense: str) -> dict[str, float | None]:
    """A constraint's numbers, at the component with the largest violation."""
    violations = components(outcome["violation"])
    sizes = [float("-inf") if v is None else abs(v) if sense == "==" else v for v in violations]
    k = sizes.index(max(sizes))
    chosen = {key: components(outcome[key]) for key in ("value", "violation", "multiplier", "feasible_share")}
    return {key: numbers[k] if k < len(numbers) else numbers[0] for key, numbers in chosen.items()}


def varied_setting(rows: Sequence[Line], method: str, setting: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a setting that tells it from the others of its method; all of it where there are no others."""
    names = varied(rows, method) or setting
    return {name: value for name, value in setting.items() if name in names}


def setting_text(setting: Mapping[str, Any]) -> str:
    """``dual_lr 0.01, kp 40``; ``-`` for a setting without hyperparameters."""
    return clean(", ".join(f"{n} {setting_value(v)}" for n, v in setting.items())) or "-"


def notes_of(rows: Sequence[Line]) -> tuple[list[str], list[str]]:
    """Footnotes, each said once, and the numbers of those that concern each row."""
    notes: dict[str, int] = {}
    markers = []
    for row in rows:
        own = dict.fromkeys(note for run in row.runs if (note := _note(run)))
        markers.append(",".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in own))
    return [f"[{k}] {note}" for note, k in notes.items()], markers


def _note(run: Run) -> str | None:
    if run["diagnosis"]:
        return f"{run['diagnosis']}: {DIAGNOSES.get(run['diagnosis'], '')}"
    return f"{run['status']}: {error_line(run['error'])}" if run["error"] else None


def error_line(error: str) -> str:
    """The line of an error that says what went wrong: a traceback's last, else the first."""
    filled = [line for line in error.splitlines() if line.strip()] or [""]
    return clean(filled[-1] if filled[0].startswith("Traceback") else filled[0])
