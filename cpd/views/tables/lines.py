"""A document's runs as lines of a table: seeds together, with what varies, what stays the same, and footnotes."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from cpd.outcome import Number
from cpd.verdict.choice import is_useful as useful
from cpd.verdict.diagnosis import sentence
from cpd.verdict.document import ConstraintRow, Document, Plain, RunRow, Setting, SummaryRow
from cpd.verdict.feasibility import excess
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.sensitivity import REASONS
from cpd.verdict.settings import distinct, holds_at_last_step_only, is_feasible, is_luck, settings_of
from cpd.verdict.surrogates import SENTENCES
from cpd.views.printable import one_line
from cpd.views.tables.numbers import decimals, is_share, setting_value

MOST_NAMED = 12
"""Seeds that are named one by one."""


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
    def counted(self) -> list[RunRow]:
        """Its runs without those that are the same training as another one."""
        return distinct(self.runs)

    @property
    def feasible(self) -> int:
        """In how many of its runs the constraints hold."""
        return sum(run["feasible"] for run in self.counted)

    @property
    def finished(self) -> list[RunRow]:
        """Its runs that came to their end: the numbers are over those."""
        return [run for run in self.counted if run["status"] == "completed"]

    @property
    def all_feasible(self) -> bool:
        """Whether the setting is feasible."""
        return is_feasible(self.runs)

    @property
    def lucky(self) -> int:
        """In how many of its runs the constraints hold at the last step only: those have not solved anything."""
        return sum(map(holds_at_last_step_only, self.counted))

    @property
    def by_luck(self) -> bool:
        """Whether the setting is feasible at the last step only."""
        return is_luck(self.runs)

    def unfinished(self) -> dict[str, int]:
        """Count the runs that ended otherwise than completed, by status."""
        statuses = [run["status"] for run in self.runs if run["status"] != "completed"]
        return {status: statuses.count(status) for status in dict.fromkeys(statuses)}


def lines(document: Document) -> list[Line]:
    """Runs of the same method, setting and levels together, in order of first appearance."""
    opened = _opened(document)
    return [
        Line(run["method"], _flat(run["setting"], opened.get(run["method"], set())), run["levels"], runs)
        for runs in settings_of(document["runs"])
        for run in runs[:1]
    ]


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
    entry = entry_of(document, row)
    return entry is not None and entry["settings"] > 1 and best_line([row], entry) is row


def entry_of(document: Document, row: Line) -> SummaryRow | None:
    """The summary of a row's method at its levels."""
    entries = (e for e in document.get("summary", []) if e["method"] == row.method)
    return next((e for e in entries if e.get("levels", row.levels) == row.levels), None)


def compared(rows: Sequence[Line]) -> list[Mapping[str, float]]:
    """The choices of levels at which there are several settings: one alone has nothing to be useful beside."""
    counts = Counter(json.dumps(row.levels, sort_keys=True) for row in rows)
    return [json.loads(levels) for levels, count in counts.items() if count > 1]


def is_useful(document: Document, row: Line) -> bool:
    """Whether a row is one of the useful settings."""
    entry = entry_of(document, row)
    return entry is not None and useful(judged_rows(row.runs, judges(document)), entry.get("useful_up_to"))


def varied(rows: Sequence[Line], method: str) -> list[str]:
    """Hyperparameters in which a method's settings differ.

    If it is one setting beside other methods all of them, but those that are the same in every row of the table.
    """
    settings = [row.setting for row in rows if row.method == method]
    names = list(dict.fromkeys(name for setting in settings for name in setting))
    differing = [name for name in names if len({json.dumps(s.get(name)) for s in settings}) > 1]
    alone = not differing and any(row.method != method for row in rows)
    if not alone:
        return differing
    return [n for n in names if any(row.setting.get(n) != settings[0][n] for row in rows)] or names


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
    k = worst_place(outcome, sense)

    def at(value: Number) -> float | None:
        numbers = components(value) or [None]
        return numbers[k] if k < len(numbers) else numbers[0]

    return Component(
        at(outcome["value"]), at(outcome["violation"]), at(outcome["multiplier"]), outcome["feasible_share"]
    )


def worst_place(outcome: ConstraintRow, sense: str) -> int:
    """The component with the largest violation."""
    violations = components(outcome["violation"]) or [None]
    sizes = [-math.inf if v is None else excess(v, sense) for v in violations]
    return sizes.index(max(sizes))


def varied_setting(rows: Sequence[Line], method: str, setting: Setting) -> dict[str, Plain]:
    """The part of a setting that tells it from the others of its method; all of it where there are no others."""
    setting = next((row.setting for row in rows if row.method == method and row.given == setting), setting)
    names = varied(rows, method) or setting
    return {name: value for name, value in setting.items() if name in names}


def setting_text(setting: Setting) -> str:
    """``dual_lr 0.01, kp 40``; ``-`` for a setting without hyperparameters."""
    return one_line(", ".join(f"{n} {setting_value(v)}" for n, v in setting.items())) or "-"


def row_notes(rows: Sequence[Line], on: str) -> list[list[str]]:
    """The footnotes of each row; ``on`` says on which data verdicts are."""
    found = []
    all_same = seeds_change_nothing(rows)
    for row in rows:
        same = [] if all_same else _same(row)  # where that is so of all rows, it is said above the table
        found.append([*_partly(row), *same, *(note for run in row.runs for note in _notes(run, on))])
    return found


def _partly(row: Line) -> list[str]:
    """Over how many seeds the numbers of a row are, where some did not finish."""
    done, of = len(row.finished), len(row.counted)
    return [f"the numbers are over the seeds that finished: {done} of {of}"] if 0 < done < of else []


def seeds_change_nothing(rows: Sequence[Line]) -> bool:
    """Whether all seeds of every setting are one training."""
    return any(len(row.runs) > 1 for row in rows) and all(len(row.counted) == 1 for row in rows)


def _same(row: Line) -> list[str]:
    """Which seeds changed nothing."""
    firsts = dict.fromkeys(run["same_as_seed"] for run in row.runs if "same_as_seed" in run)
    return [f"trains with seed {first} as with {_others(row, first)}: counted as one" for first in firsts]


def _others(row: Line, first: int) -> str:
    seeds = [str(run["seed"]) for run in row.runs if run.get("same_as_seed") == first]
    return (
        f"seed{'s' if len(seeds) > 1 else ''} {', '.join(seeds)}" if len(seeds) < MOST_NAMED else f"{len(seeds)} more"
    )


def _notes(run: RunRow, on: str) -> list[str]:
    """All that is to be said of a run; what concerns its training beside another verdict says that it does."""
    where = " on training data" if on != "training" else ""
    only = [f"{one_line(n)}{where}: {SENTENCES[by]}" for n, by in run.get("holds_only_by", {}).items()]
    return [*([note] if (note := _note(run)) else []), *only, *_disagreeing(run)]


def _disagreeing(run: RunRow) -> list[str]:
    """Why a multiplier is not what its level costs."""
    found = [(one_line(n), c["sensitivity"]["why"]) for n, c in run["constraints"].items() if "sensitivity" in c]
    return [f"{name}: {REASONS[why]}" for name, why in found if why is not None]


def _note(run: RunRow) -> str | None:
    if run["diagnosis"]:
        which = f" ({', '.join(run['fighting'])})" if run.get("fighting") else ""
        return f"{run['diagnosis']}{which}: {sentence(run['diagnosis'], run['method'])}"
    return f"{run['status']}: {error_line(run['error'])}" if run["error"] else None


def error_line(error: str) -> str:
    """The line of an error that says what went wrong: a traceback's last, else the first."""
    filled = [line for line in error.splitlines() if line.strip()] or [""]
    return one_line(filled[-1] if filled[0].startswith("Traceback") else filled[0])
