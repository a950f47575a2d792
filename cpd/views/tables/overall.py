"""The best setting of each task, a line for each, fitted to a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cpd.views.tables.section import ALWAYS, Column, Section
from cpd.views.tables.sweeps import EXTRA, Flexible, fitted, words_column


@dataclass(frozen=True)
class BestLine:
    """The best setting of a task.

    Attributes:
        subject: The constraints at their levels.
        objective: What it is called.
        best: Its value.
        doubt: Why one should not rely on it.
        command: Takes its model out; empty where that is not kept.
    """

    task: str
    subject: str
    objective: str
    best: str
    setting: str
    sweep: str
    age: str
    doubt: str
    command: str


def overall_section(lines: Sequence[BestLine], width: int | None = None, dots: str = "…") -> Section:
    """Lay the lines out.

    Args:
        lines: At least one.
        width: Of the terminal; None for everything.
        dots: What stands for letters that are cut.
    """
    columns = [
        words_column("task", [line.task for line in lines], ALWAYS, readable=8),
        words_column("subject to", [line.subject for line in lines], EXTRA),
        words_column("objective", [line.objective for line in lines], EXTRA + 1),
        Flexible(Column(("best",), [line.best for line in lines])),
        words_column("setting", [line.setting for line in lines], 1, readable=28),
        words_column("", [line.doubt for line in lines], 3),
        words_column("sweep", [line.sweep for line in lines], ALWAYS, least=None),
        Flexible(Column(("age",), [line.age for line in lines], rank=2)),
    ]
    found = [own for own in columns if any(own.column.cells)]
    found = found if width is None else fitted(found, width, dots)
    return Section("best", [own.column for own in found], ["feasible"] * len(lines))


def commands(lines: Sequence[BestLine]) -> list[str]:
    """How to take the models out, a line for each."""
    return [line.command for line in lines if line.command]


def not_kept(lines: Sequence[BestLine]) -> list[str]:
    """Of which tasks there is no model."""
    tasks = list(dict.fromkeys(line.task for line in lines if not line.command))
    return [f"no weights are kept of {', '.join(tasks)}: train with --keep-models best"] if tasks else []
