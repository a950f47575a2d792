"""Tell trackers what happens to a command's runs, in the words of contract 3."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from cpd.outcome import Run, RunKey
from cpd.run.events import Event, Planned, RunsEnded, SweepEnded
from cpd.run.trackers import Trackers
from cpd.spec.models import Task
from cpd.verdict.document import Document, SearchBlock
from cpd.verdict.gap import Gap
from cpd.verdict.judgement import judge


class Tracking:
    """A sink that tells the trackers of one command, and knows the runs that they have heard of.

    Args:
        trackers: Who is told; with none, nothing is done.
        command: ``sweep``, ``bisect`` or ``compare``.
        task: Its constraints judge the runs.
        gap: How far above the mark an objective is still useful.
    """

    def __init__(self, trackers: Trackers, command: str, task: Task, gap: Gap) -> None:
        self._trackers = trackers
        self._command = command
        self._task = task
        self._gap = gap
        self._searches = task.search is not None
        self._runs: dict[str | None, Run | None] = {}
        self._begun = False
        self._search: SearchBlock | None = None

    def __call__(self, event: Event) -> None:
        """Tell of runs; of a sweep's end only on leaving, for a sweep that is stopped ends too."""
        match event:
            case Planned(sweep, keys, found) if self._trackers.active:
                self._planned(sweep, keys, found)
            case RunsEnded(runs, planned) if self._begun:
                self._ended(runs, planned or [run.key.id or "" for run in runs])
            case SweepEnded(_, search, models):
                self._search = search
                named = (
                    (name, run, models.get(run.key.id or "")) for name, run in self._runs.items() if run is not None
                )
                self._runs |= {name: replace(run, model=model) for name, run, model in named}

    def close(self, error: BaseException | None = None) -> None:
        """Tell of the sweep's end, with the runs that there are by now in the order of the spec."""
        if self._begun:
            ended = [run for run in self._runs.values() if run is not None]
            self._trackers.sweep_end(self._document(ended, self._search))

    def _planned(self, sweep: str | None, keys: Sequence[RunKey], found: Mapping[str, Run]) -> None:
        """Tell of the sweep, the first time, and of the runs that are about to be handed to workers."""
        left = [key for key in keys if key.id not in found]
        if not self._begun:
            self._begun = True
            self._trackers.sweep_start(self._opening(sweep, len(left)))
        self._runs |= {key.id: found.get(key.id or "") for key in keys}
        for key in left:
            self._trackers.run_start(_named(key))

    def _ended(self, runs: Sequence[Run], planned: Sequence[str]) -> None:
        """Tell of runs under the ids under which they were begun, whatever they read since."""
        for run, name in zip(runs, planned, strict=True):
            begun = replace(run, key=replace(run.key, id=name))
            self._runs[name] = run
            if run.curves is not None:
                self._trackers.points(_named(begun.key), run.curves.plain())
            self._trackers.run_end(self._document([begun], None)["runs"][0])

    def _opening(self, sweep: str | None, left: int) -> dict[str, Any]:
        shape = self._document([], None)
        return {
            "id": sweep,
            "command": self._command,
            "task": shape["task"],
            "objective": shape["objective"],
            "constraints": shape["constraints"],
            "runs": None if self._searches else left,
        }

    def _document(self, runs: Sequence[Run], search: SearchBlock | None) -> Document:
        on = self._task.judge
        return judge(self._task, runs, gap=self._gap, search=search, summary=not self._searches, on=on)


def _named(key: RunKey) -> dict[str, Any]:
    return {
        "id": key.id,
        "method": key.method,
        "setting": dict(key.setting),
        "levels": dict(key.levels),
        "seed": key.seed,
    }
