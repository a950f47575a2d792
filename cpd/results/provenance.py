"""Where a result's numbers come from, and how to have them again."""

from __future__ import annotations

from typing import Any

from cpd.spec.models import Task, task_to_json
from cpd.store.records import SweepRecord
from cpd.views.report.page import Provenance


def of_record(record: SweepRecord, ended: str | None = None) -> Provenance:
    """The provenance of a sweep as it was recorded.

    Args:
        record: Written when it began.
        ended: When it ended, where that is known.
    """
    commit = {"git commit": record.git_commit} if record.git_commit else {}
    return {
        **_of_spec(record.text, dict(record.spec), record.options.get("defaults", {})),
        "command_line": record.command_line,
        "repeat_command": _repeat(record.command_line),
        "versions": {**record.versions, **commit},
        "machine": dict(record.machine),
        "started": record.started,
        "ended": ended,
    }


def of_task(task: Task) -> Provenance:
    """The provenance of a result of which no record was kept."""
    return _of_spec(task.text, task_to_json(task), {})


def _of_spec(text: str, spec: dict[str, Any], defaults: dict[str, Any]) -> Provenance:
    spec = {name: value for name, value in spec.items() if name != "text"}
    methods = {
        name: [{**defaults.get(name, {}), **setting} for setting in settings]
        for name, settings in spec.get("methods", {}).items()
    }
    problem = dict(spec.get("problem", {}))
    source = problem.pop("source", None)
    problem.pop("modules", None)
    return {
        "spec_text": text,
        "problem_text": source,
        "canonical": {**spec, "problem": problem, "methods": methods},
    }


def _repeat(command_line: str) -> str:
    """The same command, which trains again what a store has."""
    return f"{command_line} --fresh" if command_line and "--fresh" not in command_line.split() else command_line
