"""Columns that are asked for by ``kkt``: residuals of the conditions of optimality."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.verdict.document import KktRow
from cpd.views.tables.lines import Line
from cpd.views.tables.numbers import number
from cpd.views.tables.section import Column

DIGITS = 3


def kkt_columns(rows: Sequence[Line]) -> list[Column]:
    """The residuals, each the largest of a row's seeds, and whether all of them are small."""
    found = [[run["kkt"] for run in row.finished if run.get("kkt")] for row in rows]
    known: list[list[KktRow]] = [[kkt for kkt in own if kkt is not None] for own in found]
    surrogate = any(kkt["of"] == "surrogate" for own in known for kkt in own)
    whose = "of surrogate" if surrogate else "residual"
    keys = {"stationarity": (whose,), "primal": (), "dual": (), "complementarity": ()}
    columns = []
    for key, head in keys.items():
        values = [_largest([kkt[key] for kkt in own]) for own in known]  # type: ignore[literal-required]
        header = ("slackness",) if key == "complementarity" else (key, *head)
        columns.append(Column(header, [number(v, DIGITS) for v in values], names=("kkt", f"kkt.{key}"), values=values))
    stationary = [_stationary(row, own) for row, own in zip(rows, known, strict=True)]
    return [*columns, Column(("stationary",), stationary, right=False, names=("kkt", "kkt.stationary"))]


def _stationary(row: Line, known: Sequence[KktRow]) -> str:
    if not known:
        return "-"
    count = sum(kkt["stationary"] for kkt in known)
    return f"{count}/{len(row.runs)}" if len(row.runs) > 1 else "yes" if count else "no"


def _largest(residuals: Sequence[float | None]) -> float | None:
    known = [residual for residual in residuals if residual is not None]
    return max(known) if known and len(known) == len(residuals) else None
