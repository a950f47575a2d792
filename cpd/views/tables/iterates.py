"""Which iterate of each run was judged, in words: said only where it is not the last one."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.verdict.document import RunRow
from cpd.views.tables.lines import Line
from cpd.views.tables.numbers import number
from cpd.views.tables.section import Column

RANK = 6
"""How soon the column is left out: of all first."""

LAST = "last"


def mixture_text(run: RunRow) -> str | None:
    """``0.25 at 120, 0.75 at 400``: the shares of a run's iterates."""
    return ", ".join(f"{one['share']!r} at {one['step']}" for one in run.get("mixture", ())) or None


def iterate_columns(rows: Sequence[Line]) -> list[Column]:
    """A column of what was judged in each row, where the rows differ in it."""
    cells = [_cell(row.finished) for row in rows]
    differ = len({cell for cell in cells if cell != "-"}) > 1
    return [Column(("iterate",), cells, right=False, rank=RANK)] if differ else []


def iterate_words(rows: Sequence[Line]) -> list[str]:
    """What was judged, for the line above the table: nothing where it is the last iterate, or not the same in all."""
    runs = [run for row in rows for run in row.finished]
    if len({_kind(run) for run in runs}) != 1 or _kind(runs[0]) == LAST:
        return []
    return [f"judged: {_cell(runs)}"]


def _cell(runs: Sequence[RunRow]) -> str:
    kinds = list(dict.fromkeys(map(_kind, runs)))
    if not kinds:
        return "-"
    if len(kinds) > 1:
        return ", ".join(kinds)
    first = runs[0]
    if steps := [step for run in runs if (step := run.get("selected_step")) is not None]:
        best = "best feasible" if all(run["feasible"] for run in runs) else "best"
        return f"{best} at {_range(steps)}"
    if "mixture" in first:
        return f"mixture of {_range([len(run['mixture']) for run in runs])}"
    return "mean of last " + _shares(runs) if "averaged" in first else LAST


def _kind(run: RunRow) -> str:
    if run.get("selected_step") is not None:
        return "best"
    return "mixture" if "mixture" in run else "mean" if "averaged" in run else LAST


def _shares(runs: Sequence[RunRow]) -> str:
    ends = sorted({share for run in runs if (share := run.get("averaged")) is not None})
    return " to ".join(number(100 * end) for end in dict.fromkeys([ends[0], ends[-1]])) + " %"


def _range(numbers: Sequence[int]) -> str:
    ends = sorted({min(numbers), max(numbers)})
    return " to ".join(f"{end:,}" for end in ends)
