"""The weights that a command keeps: what its workers write or send home, pruned while runs end to what is asked for."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

from cpd.external.job import names_model
from cpd.outcome import Run, RunKey, Status
from cpd.results.kept import BEST, Mode, wanted
from cpd.results.result import Result
from cpd.run.contenders import Contenders
from cpd.run.events import Event, IterationEnded
from cpd.run.options import Options
from cpd.run.recording import Recording
from cpd.run.trainer import Trained
from cpd.spec.inputs import id_with
from cpd.spec.models import Task
from cpd.store.models import Models
from cpd.verdict.searching import searched_name, tried

NUMBERS = 1e-4
"""How far, relatively, the objective of a run that is trained again may be from the one that is stored."""


class Keeping:
    """Keeps the weights of one command's runs; a sink that prunes those of a search as it goes.

    It removes none but files that this command wrote, or one like it that was killed, and of these none that another
    sweep of the store names.

    Args:
        task: Its constraints judge the runs.
        options: Say whose weights are kept; nothing is without a store.
        recording: Has the store.
        searches: Whether the command is a search.
        note: Told what belongs to the result.
    """

    def __init__(
        self, task: Task, options: Options, recording: Recording, searches: bool, note: Callable[[str], None]
    ) -> None:
        self.mode: Mode = (options.keep_models or BEST) if recording.models is not None else "none"
        self.by_name = options.keep_models is not None
        self._recording = recording
        self._note = note
        self._searches = searches
        self._programs = task.program is not None
        self._contenders = Contenders(task)
        self._before: set[str] = set()
        self._mine: set[str] = set()
        self._pruned: set[str] = set()
        self._found: dict[str, Run] = {}
        self._failed = False
        if recording.models is not None and self.mode != "none":
            recording.models.sweep_stale()
            self._before |= recording.models.sizes().keys()
        elif options.keep_models not in (None, "none"):
            note("no weights are kept where nothing is: leave --no-store out")

    @property
    def _models(self) -> Models:
        assert self._recording.models is not None, "where something is kept there is a store"
        return self._recording.models

    @property
    def folder(self) -> str | None:
        """The folder into which workers write; None where nothing is kept."""
        return None if self.mode == "none" else str(self._models.folder)

    @property
    def whose(self) -> Literal["feasible", "all"]:
        """Whose weights may be wanted, as far as one run alone can tell: a search's best need not be feasible."""
        return "all" if self.mode == "all" or (self._searches and self.mode == BEST) else "feasible"

    def begun(self, keys: Sequence[RunKey], found: Mapping[str, Run]) -> None:
        """Runs are about to be trained, all but those found; files of these that a killed command left are taken on."""
        if self.mode == "none":
            return
        self._found |= {run.key.id or "": run for run in found.values()}
        self._contenders.plan(keys)
        self._contenders.add(list(found.values()))
        there = [run.key.id for run in found.values() if run.key.id is not None and run.key.id in self._before]
        self._mine |= self._recording.left_over(there)

    def arrived(self, outcome: Trained) -> None:
        """Take what a batch has written or brought home, before its runs are stored."""
        if self.mode == "none":
            self._drop(outcome)
            outcome.runs = [replace(run, model=None) for run in outcome.runs]
            return
        ids = {planned: id_with(planned, outcome.inputs) for planned in [*outcome.written, *outcome.contents]}
        of_programs = _of_programs(outcome)
        known = [run for run in (*ids.values(), *of_programs) if run in self._before]
        self._mine |= {*ids.values(), *of_programs} - self._recording.finished(known)
        try:
            for run, path in of_programs.items():
                self._models.point(run, path)
            for planned, name in outcome.written.items():
                if ids[planned] != name:  # more files were read after it was written
                    self._rename(name, ids[planned])
            while outcome.contents:
                planned, (name, content) = outcome.contents.popitem()  # one after the other goes out of memory
                self._models.put(name, content)
                if ids[planned] != name:
                    self._rename(name, ids[planned])
        except OSError as error:
            self._failed = True
            folder, why = self._models.folder, error.strerror or error
            self._note(f"weights are not kept, the runs are: {folder} cannot be written ({why})")

    def _drop(self, outcome: Trained) -> None:
        """Remove the models that programs wrote unasked, but not those that another sweep keeps."""
        models = self._recording.models
        own = _of_programs(outcome)
        if models is None or not own:
            return
        for run in own.keys() - models.sizes().keys():
            try:
                models.point(run, own[run])
                models.remove([run])
            except OSError as error:
                self._note(f"weights that are not wanted stay: {error}")

    def narrow(self, runs: Sequence[Run]) -> None:
        """Remove the weights of what cannot be the best any more, now that these runs have ended too."""
        if self.mode != BEST or self._searches or self._programs:
            return
        self._contenders.add(runs)
        self._remove({run for run in self._mine if not self._contenders.may_win(run)}, judged=False)

    def __call__(self, event: Event) -> None:
        """Remove the weights of a search's coefficients that are not the best any more."""
        if isinstance(event, IterationEnded) and self.mode == BEST and not self._programs:
            search = event.document.get("search")
            known = [tried(i) for i in search["iterations"]] if search else []
            name = searched_name(search) if search else ""
            rows = [row for row in event.document["runs"] if row["setting"].get(name) in known]
            names = {row["id"] for row in rows if row["id"] is not None}
            self._remove((names & self._mine) - wanted(event.document, BEST), judged=False)

    def settle(self, result: Result, train: Callable[[Sequence[str]], None]) -> Result:
        """Keep what is asked for, of a command that is done.

        Args:
            result: Its result.
            train: Trains runs that are known again, by their ids, for their weights.

        Returns:
            The result, whose runs have the files of their weights.
        """
        if self.mode == "none":
            return result.with_models({}) if self._programs else result
        keeps = wanted(result.document, self.mode)
        if lacking := self._lacking(keeps, result):
            train(lacking)
        self._remove(self._mine - keeps, judged=True)
        return result.with_models(self._models.named())

    def compare(self, runs: Sequence[Run]) -> None:
        """See that runs that were trained again gave what is stored of them."""
        for again in runs:
            known = self._found.get(again.key.id or "", again).objective
            if again.objective is None:
                self._note(f"run {again.key.id} {again.status} when it was trained again")
            elif known is not None and not math.isclose(known, again.objective, rel_tol=NUMBERS, abs_tol=1e-12):
                self._note(f"run {again.key.id} gives {again.objective:g} trained again, {known:g} is stored")

    def _lacking(self, keeps: Collection[str], result: Result) -> list[str]:
        """Runs whose weights are wanted and not there: found without them, or pruned too early.

        Those of programs are pruned when all is known, and a program may write none: it has named one in its folder.
        """
        there = self._models.sizes()
        single = {run.key.id for run in result.finished if len(run.mixture) < 2 and run.status is Status.COMPLETED}
        names = [run.key.id or "" for run in result.finished if run.key.id in keeps and run.key.id in single]
        found = {run for run in names if run in self._found and self.by_name}
        lacking = [run for run in names if run not in there and run in found | self._pruned]
        if self._programs:
            lacking = [run for run in lacking if run in found and names_model(self._models.work_of(run))]
        return [] if self._failed else lacking

    def _remove(self, runs: set[str], *, judged: bool) -> None:
        """Remove the weights of these runs, but not of those that another sweep names."""
        gone = runs - self._recording.named_elsewhere(runs, judged=judged)
        try:
            self._models.remove(gone)
        except OSError as error:
            self._note(f"weights that are not wanted stay: {error}; cpd gc removes them")
            return
        self._mine -= gone
        self._pruned |= gone

    def _rename(self, old: str, new: str) -> None:
        """Let weights be those of the run by its other id."""
        from cpd.engine import model_file

        tensors, about = model_file.read(self._models.file(old))
        self._models.put(new, model_file.packed(tensors, replace(about, run=new)))
        self._models.remove([old])


def _of_programs(outcome: Trained) -> dict[str, Path]:
    """Where programs have written the models of their runs, by the runs' ids."""
    return {id_with(run.key.id or "", outcome.inputs): Path(run.model) for run in outcome.runs if run.model is not None}
