"""A document's runs as lines of a table: seeds together, with what varies, what stays the same, and footnotes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cpd.outcome import Number
from cpd.verdict.diagnosis import DIAGNOSES
from cpd.verdict.document import ConstraintRow, Document, Plain, RunRow, Setting, SummaryRow
from cpd.verdict.feasibility import excess
from cpd.views.printable import one_line
from cpd.views.tables.numbers import decimals, is_share, setting_value


@dataclass(frozen=True)
class Line:
    """One row: a setting at given levels, its runs one per seed; what a mapping holds has a name of its own."""

    method: str
    setting: Setting
    levels: Mapping[str, float]
    runs: list[RunRow]

    @property
    def given(self) -> Setting:
        """The setting as the document has it."""
        return self.runs[0]["setting"]

    @property
    def feasible(self) -> int:
        """In how many of its runs the constraints hold."""
        return sum(run["feasible"] for run in self.runs)

    @property
    def finished(self) -> list[RunRow]:
        """Its runs that came to their end: the numbers are over those."""
        return [run for run in self.runs if run["status"] == "completed"]

    @property
    def all_feasible(self) -> bool:
        """Whether the constraints hold in all of its runs."""
        return self.feasible == len(self.runs)

    @property
    def by_luck(self) -> bool:
        """Whether it holds at the last step only: a feasible run that oscillates has not solved anything.

        An iterate that was selected is none that luck left.
        """
        last = [run for run in self.runs if run.get("selected_step") is None]
        return any(run["feasible"] and run["diagnosis"] == "oscillating" for run in last)

    def unfinished(self) -> dict[str, int]:
        """Count the runs that ended otherwise than completed, by status."""
        statuses = [run["status"] for run in self.runs if run["status"] != "completed"]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def lines(document: Document) -> list[Line]:
    """Runs of the same method, setting and levels together, in order of first appearance."""
    together: dict[str, Line] = {}
    opened = _opened(document)
    for run in document["runs"]:
        key = json.dumps([run["method"], run["setting"], run["levels"]], sort_keys=True)
        line = together.setdefault(
            key, Line(run["method"], _flat(run["setting"], opened.get(run["method"], set())), run["levels"], [])
        )
        line.runs.append(run)
    return list(together.values())


def _opened(document: Document) -> dict[str, set[str]]:
    """By method, the hyperparameters that are mappings with the same keys in all of its settings."""
    kinds: dict[str, dict[str, set[str]]] = {}
    for run in document["runs"]:
        for name, value in run["setting"].items():
            kind = json.dumps(list(value)) if isinstance(value, dict) else ""
            kinds.setdefault(run["method"], {}).setdefault(name, set()).add(kind)
    return {m: {n for n, found in own.items() if len(found) == 1 and found != {""}} for m, own in kinds.items()}


def _flat(setting: Setting, opened: set[str]) -> Setting:
    """A setting with ``dual_optimizer.momentum`` for what stands in a mapping, of these hyperparameters."""
    found: dict[str, Plain] = {}
    for name, value in setting.items():
        inner = value if isinstance(value, dict) and name in opened else {}
        found |= {f"{name}.{key}": entry for key, entry in inner.items()} or {name: value}
    return found


def best_line(rows: Sequence[Line], entry: SummaryRow) -> Line | None:
    """The row of a summary's best setting; None where it has none."""
    for row in rows:
        same_levels = entry.get("levels", row.levels) == row.levels
        if same_levels and row.method == entry["method"] and row.given == entry["best_setting"]:
            return row
    return None


def is_best(document: Document, row: Line) -> bool:
    """Whether a row is the best of several settings of its method at its levels."""
    return any(entry["settings"] > 1 and best_line([row], entry) is row for entry in document.get("summary", []))


def varied(rows: Sequence[Line], method: str) -> list[str]:
    """Hyperparameters in which a method's settings differ, all of them if it is one setting beside other methods."""
    settings = [row.setting for row in rows if row.method == method]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    differing = [name for name in names if len({json.dumps(s.get(name)) for s in settings}) > 1]
    alone = not differing and any(row.method != method for row in rows)
    return names if alone else differing


def constants(rows: Sequence[Line], method: str) -> dict[str, Plain]:
    """Hyperparameters that stay the same over a method's settings."""
    shown = varied(rows, method)
    setting: Setting = next((row.setting for row in rows if row.method == method), {})
    return {name: value for name, value in setting.items() if name not in shown}


def swept_levels(rows: Sequence[Line]) -> list[str]:
    """Constraints whose level differs between the rows."""
    names = rows[0].levels if rows else {}
    return [name for name in names if len({row.levels[name] for row in rows}) > 1]


def share_decimals(document: Document, name: str) -> int | None:
    """Decimals of the percentage that a constraint's values are shown as; None where it is no share."""
    completed = [run for run in document["runs"] if run["status"] == "completed"]
    numbers = [x for run in completed for x in components(run["constraints"][name]["value"])]
    numbers += [run["levels"][name] for run in document["runs"]]
    return decimals(document["constraints"][name]["tolerance"]) if is_share(name, numbers) else None


def components(value: Number) -> list[float | None]:
    """A scalar's number, or a vector's numbers, as a list."""
    return value if isinstance(value, list) else [value]


class Component(NamedTuple):
    """One component of a constraint's numbers."""

    value: float | None
    violation: float | None
    multiplier: float | None
    feasible_share: float | None


def worst_component(outcome: ConstraintRow, sense: str) -> Component:
    """A constraint's numbers, at the component with the largest violation."""
    violations = components(outcome["violation"]) or [None]
    sizes = [-math.inf if v is None else excess(v, sense) for v in violations]
    k = sizes.index(max(sizes))

    def at(value: Number) -> float | None:
        numbers = components(value) or [None]
        return numbers[k] if k < len(numbers) else numbers[0]

    return Component(
        at(outcome["value"]), at(outcome["violation"]), at(outcome["multiplier"]), outcome["feasible_share"]
    )


def varied_setting(rows: Sequence[Line], method: str, setting: Setting) -> dict[str, Plain]:
    """The part of a setting that tells it from the others of its method; all of it where there are no others."""
    setting = next((row.setting for row in rows if row.method == method and row.given == setting), setting)
    names = varied(rows, method) or setting
    return {name: value for name, value in setting.items() if name in names}


def setting_text(setting: Setting) -> str:
    """``dual_lr 0.01, kp 40``; ``-`` for a setting without hyperparameters."""
    return one_line(", ".join(f"{n} {setting_value(v)}" for n, v in setting.items())) or "-"


def notes_of(rows: Sequence[Line]) -> tuple[list[str], list[str]]:
    """Footnotes, each said once, and the numbers of those that concern each row."""
    notes: dict[str, int] = {}
    markers = []
    for row in rows:
        own = dict.fromkeys([*_partly(row), *(note for run in row.runs if (note := _note(run)))])
        markers.append(",".join(f"[{notes.setdefault(note, len(notes) + 1)}]" for note in own))
    return [f"[{k}] {note}" for note, k in notes.items()], markers


def _partly(row: Line) -> list[str]:
    """Over how many seeds the numbers of a row are, where some did not finish."""
    done, of = len(row.finished), len(row.runs)
    return [f"the numbers are over the seeds that finished: {done} of {of}"] if 0 < done < of else []


def _note(run: RunRow) -> str | None:
    if run["diagnosis"]:
        return f"{run['diagnosis']}: {DIAGNOSES.get(run['diagnosis'], '')}"
    return f"{run['status']}: {error_line(run['error'])}" if run["error"] else None


def error_line(error: str) -> str:
    """The line of an error that says what went wrong: a traceback's last, else the first."""
    filled = [line for line in error.splitlines() if line.strip()] or [""]
    return one_line(filled[-1] if filled[0].startswith("Traceback") else filled[0])
