"""The table of settings that were carried over from one case to another, and the same in sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from cpd.verdict.document import Document, Plain, Quartiles, Setting, TransferBlock, TransferRow
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, lines, setting_text, share_decimals, varied
from cpd.views.tables.numbers import distinct, measured, number, setting_value, signed
from cpd.views.tables.section import Column, Section

USEFUL, MOVED, DISTANCE, OWN, OBJECTIVE = 1, 2, 3, 4, 5
"""Ranks of columns: what is left out first has the highest."""

Key = Literal["objective", "cost", "distance"]


def transfer_section(document: Document) -> Section | None:
    """Lay out what was carried over; None where nothing was asked, or nothing was trained."""
    block = document.get("transfer")
    if block is None or not block["methods"]:
        return None
    rows, methods = lines(document), block["methods"]
    name = one_line(document["objective"])
    columns = [
        Column(("method",), [one_line(row["method"]) for row in methods], right=False),
        *_levels(methods),
        Column(("best at", "the source"), [_setting(rows, row, row["setting"]) for row in methods], right=False),
        Column(("feasible", "at the target"), [_feasible(row) for row in methods], right=False),
        Column(("worst violation", "there"), [_violation(document, row) for row in methods], right=False),
        Column((name, "there"), [_cell(row["objective"]) for row in methods], rank=OBJECTIVE),
        Column(("best at", "the target"), [_setting(rows, row, row["best_setting"]) for row in methods], False, OWN),
        Column(("its", name), [measured(row["best_objective"]) for row in methods], rank=OBJECTIVE),
        Column(("cost of", "carrying over"), [_cell(row["cost"]) for row in methods]),
        Column(("above the best", "of all methods"), [_cell(row["distance"]) for row in methods], rank=DISTANCE),
        Column(("best moved", "by decades"), [_moved(row) for row in methods], rank=MOVED),
        Column(("useful ones", "still useful"), [_still(row) for row in methods], rank=USEFUL),
    ]
    marks = ["feasible" if row["useful"] else "" for row in methods]
    return Section("transfer", columns, marks, notes=[_note(block)])


def transfer_sentences(document: Document) -> list[str]:
    """A sentence for each method, without its full stop; none where nothing was asked."""
    block = document.get("transfer")
    if block is None:
        return []
    rows = lines(document)
    return [_sentence(document, rows, row, _way(block)) for row in block["methods"]]


def _sentence(document: Document, rows: Sequence[Line], row: TransferRow, way: str) -> str:
    name = one_line(row["method"])
    if "levels" in row:
        name += f" at {', '.join(f'{one_line(key)} {number(level)}' for key, level in row['levels'].items())}"
    if row["setting"] is None:
        return f"{name}, carried over {way}: nothing feasible to carry over"
    lead = f"{name}, carried over {way}: {_setting(rows, row, row['setting'])}"
    if not row["feasible"]:
        of_seeds = f" for {row['feasible_seeds']} of {row['seeds']} seeds" if row["feasible_seeds"] else ""
        verb = f"feasible{of_seeds} only" if of_seeds else "infeasible"
        best = row["best_setting"]
        own = f"; its own best there {_setting(rows, row, best)}" if best is not None else "; nothing else is either"
        return f"{lead} is {verb}, by {_violation(document, row)}{own}"
    useful = "useful" if row["useful"] else "feasible, not useful"
    cost = row["cost"]["median"]
    return f"{lead} is {useful}, and costs {number(cost)} of {one_line(document['objective'])}"


def _note(block: TransferBlock) -> str:
    """What the table is about."""
    seeds = any(row["seeds"] > 1 for row in block["methods"])
    spread = "; medians over the seeds (and quartiles), one that is infeasible counts as more than any number"
    text = "cost: above the objective of the method's own best setting of the target"
    return f"Source {_values(block['from'])}; target {_values(block['to'])}; {text}{spread if seeds else ''}."


def _way(block: TransferBlock) -> str:
    return f"from {_values(block['from'])} to {_values(block['to'])}"


def _values(values: Setting) -> str:
    return one_line(", ".join(f"{name} {setting_value(value)}" for name, value in values.items()))


def _setting(rows: Sequence[Line], row: TransferRow, setting: dict[str, Plain] | None) -> str:
    """What tells a setting from the others of its method; all of it where nothing does."""
    if setting is None:
        return "none"
    names = [name for name in varied(rows, row["method"]) if name in setting] or list(setting)
    return setting_text({name: setting[name] for name in names})


def _feasible(row: TransferRow) -> str:
    if row["setting"] is None:
        return "-"
    how = "yes, useful" if row["useful"] else "yes" if row["feasible"] else "no"
    return f"{how} ({row['feasible_seeds']} of {row['seeds']} seeds)" if row["seeds"] > 1 else how


def _violation(document: Document, row: TransferRow) -> str:
    """``density +0.98 %``; the constraint is named where there are several."""
    if row["worst"] is None:
        return "-"
    percent = share_decimals(document, row["worst"])
    unit = " %" if percent is not None and row["violation"] is not None else ""
    name = f"{one_line(row['worst'])} " if len(document["constraints"]) > 1 else ""
    return f"{name}{signed(row['violation'], percent)}{unit}"


def _levels(rows: Sequence[TransferRow]) -> list[Column]:
    levels = [row.get("levels", {}) for row in rows]
    names = [name for name in levels[0] if len({own[name] for own in levels}) > 1]
    return [Column((one_line(name), "level"), distinct([own[name] for own in levels])) for name in names]


def _cell(found: Quartiles) -> str:
    """``0.01 (0 to 0.02)``, the median and the quartiles; a dash for none."""
    if not found["each"]:
        return "-"
    median, low, high = (number(found[key]) for key in ("median", "low", "high"))
    return median if median == low == high else f"{median} ({low} to {high})"


def _moved(row: TransferRow) -> str:
    moved = row["moved_decades"]
    return "-" if moved is None else f"{moved + 0.0:+.2f}" if round(moved, 2) else "0"


def _still(row: TransferRow) -> str:
    return f"{row['useful_at_both']} of {row['useful_at_source']}"
