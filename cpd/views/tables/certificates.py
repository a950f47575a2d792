"""Columns that are asked for by name: residuals of the conditions of optimality."""

from __future__ import annotations

from collections.abc import Sequence

from cpd.errors import CpdError, closest
from cpd.verdict.document import KktRow
from cpd.views.tables.lines import Line
from cpd.views.tables.numbers import number
from cpd.views.tables.section import Column

FURTHER = ("kkt",)
"""What ``--columns`` may name."""

DIGITS = 3


def read_columns(text: str) -> tuple[str, ...]:
    """Read ``--columns``: names with commas between them.

    Raises:
        CpdError: One of them is no name of further columns.
    """
    names = tuple(dict.fromkeys(name.strip() for name in text.split(",") if name.strip()))
    for name in names:
        if name not in FURTHER:
            raise CpdError(f"'{name}' is no further column", place="--columns", hint=closest(name, FURTHER))
    return names


def kkt_columns(rows: Sequence[Line]) -> list[Column]:
    """The residuals, each the largest of a row's seeds, and whether all of them are small."""
    found = [[run["kkt"] for run in row.finished if run.get("kkt")] for row in rows]
    known: list[list[KktRow]] = [[kkt for kkt in own if kkt is not None] for own in found]
    surrogate = any(kkt["of"] == "surrogate" for own in known for kkt in own)
    whose = "of surrogate" if surrogate else "residual"
    return [
        Column(("stationarity", whose), [_largest([kkt["stationarity"] for kkt in own]) for own in known]),
        Column(("primal",), [_largest([kkt["primal"] for kkt in own]) for own in known]),
        Column(("dual",), [_largest([kkt["dual"] for kkt in own]) for own in known]),
        Column(("slackness",), [_largest([kkt["complementarity"] for kkt in own]) for own in known]),
        Column(("stationary",), [_stationary(row, own) for row, own in zip(rows, known, strict=True)], right=False),
    ]


def _stationary(row: Line, known: Sequence[KktRow]) -> str:
    if not known:
        return "-"
    count = sum(kkt["stationary"] for kkt in known)
    return f"{count}/{len(row.runs)}" if len(row.runs) > 1 else "yes" if count else "no"


def _largest(residuals: Sequence[float | None]) -> str:
    known = [residual for residual in residuals if residual is not None]
    return number(max(known), DIGITS) if known and len(known) == len(residuals) else "-"
