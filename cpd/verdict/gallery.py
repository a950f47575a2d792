"""A gallery's rows: what the settings of a method came to in a task, or why it has none there."""

from __future__ import annotations

from typing import TypedDict

from cpd.errors import last_line
from cpd.verdict.document import Document, Plain


class GalleryRow(TypedDict):
    """One method in one task: counts as in a summary, the share of its settings that are useful, and a ``note``.

    A method that does not fit the task has no counts; the note says why. It is None where there is nothing to say.
    """

    task: str
    method: str
    settings: int | None
    feasible_settings: int | None
    useful_settings: int | None
    useful_share: float | None
    useful_decades: float | None
    useful_at_edge: bool | None
    trainings_to_first_useful: int | None
    best_setting: dict[str, Plain] | None
    best_objective: float | None
    note: str | None


def rows_of(document: Document, task: str) -> list[GalleryRow]:
    """The rows of a comparison, one for each method; of swept levels one for each choice of them."""
    return [
        {
            "task": task,
            "method": row["method"],
            "settings": row["settings"],
            "feasible_settings": row["feasible_settings"],
            "useful_settings": row["useful_settings"],
            "useful_share": row["useful_settings"] / row["settings"],
            "useful_decades": row["useful_decades"],
            "useful_at_edge": row.get("useful_at_edge", False) if row["useful_settings"] else None,
            "trainings_to_first_useful": row["trainings_to_first_useful"],
            "best_setting": row["best_setting"],
            "best_objective": row["best_objective"],
            "note": _failed(document, row["method"]),
        }
        for row in document.get("summary", [])
    ]


def unfit(task: str, method: str, note: str) -> GalleryRow:
    """The row of a method that has no settings in a task."""
    return {
        "task": task,
        "method": method,
        "settings": None,
        "feasible_settings": None,
        "useful_settings": None,
        "useful_share": None,
        "useful_decades": None,
        "useful_at_edge": None,
        "trainings_to_first_useful": None,
        "best_setting": None,
        "best_objective": None,
        "note": note,
    }


def _failed(document: Document, method: str) -> str | None:
    """Why all runs of a method failed, where they did."""
    runs = [run for run in document["runs"] if run["method"] == method]
    errors = [run["error"] for run in runs if run["status"] == "failed" and run["error"]]
    return last_line(errors[0]) if errors and len(errors) == len(runs) else None
