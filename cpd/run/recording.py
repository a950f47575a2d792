"""A command's store: the runs that it finds there, and those that it adds as they end."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

from cpd.errors import CpdError, StoreError
from cpd.methods.registry import with_defaults
from cpd.outcome import Run, RunKey, Status
from cpd.results.headlines import judged_by
from cpd.results.kept import BEST, OPTION, named_by
from cpd.run.events import Event, RunsEnded, SweepEnded
from cpd.run.options import Options
from cpd.run.provenance import git_commit, machine, versions
from cpd.run.signals import Stopped
from cpd.run.trainer import Kind
from cpd.spec.inputs import unchanged
from cpd.spec.models import Task, task_to_json
from cpd.spec.packages import imported_packages
from cpd.store import headlines
from cpd.store.models import Models
from cpd.store.records import Shown, SweepRecord
from cpd.store.store import Store, open_store
from cpd.verdict.gap import CONFIDENCE


class Recording:
    """A sink that stores the runs of one command; with ``--no-store`` it finds and keeps nothing.

    Attributes:
        sweep: The sweep's id, None where nothing is kept.
        record: What the store has of it.
        found: Runs that the store had.
        kept: Runs stored.
        error: Why it stopped storing midway; what was trained is in the results all the same.

    Raises:
        StoreError: The store cannot be opened or written.
    """

    def __init__(self, kind: Kind, task: Task, options: Options) -> None:
        self.sweep: str | None = None
        self.record: SweepRecord | None = None
        self.found = 0
        self.kept = 0
        self.error: StoreError | None = None
        self._fresh = options.fresh
        self._unchanged = partial(unchanged, folder=task.problem.folder, elsewhere=options.backend != "local")
        self._store: Store | None = None
        if options.keep:
            self._store = open_store(options.store, "write")
            try:
                self.record = _record(kind, task, options)
                self.sweep = self._store.begin_sweep(self.record)
            except BaseException:
                self._store.close()
                raise

    @property
    def checkpoints(self) -> Path | None:
        """The folder of checkpoints beside the store."""
        if self._store is None:
            return None
        return self._store.path.parent / f"{self._store.path.stem}-checkpoints"

    @property
    def place(self) -> Path | None:
        """Where the store is, whatever folder the process works in."""
        return None if self._store is None else self._store.place

    @property
    def models(self) -> Models | None:
        """The weights that are kept beside the store."""
        return None if self._store is None else self._store.models

    @property
    def resume_hint(self) -> str:
        """Say what the same command does next time, after what is stored."""
        return "; --fresh would train it again" if self._fresh else ": run the same command again to go on"

    def known(self, keys: Sequence[RunKey]) -> dict[str, Run]:
        """The finished runs among these, which the sweep shows from now on."""
        if self._store is None or self.sweep is None:
            return {}
        ids = [key.id for key in keys if key.id is not None]
        try:
            known = {} if self._fresh else self._store.known(ids, self._unchanged)
            self._store.link(self.sweep, [known[name].key.id or name if name in known else name for name in ids])
        except StoreError as error:
            if not (self.kept or self.found):
                raise
            self.error = error  # in a later round of a search: what is known is printed before leaving
            return {}
        found = {key.id: _shown(known[key.id], key) for key in keys if key.id in known}
        self.found += len(found)
        return found

    def finished(self, runs: Collection[str]) -> set[str]:
        """Those of these runs that the store has, and need no training; all where it cannot be read.

        Whoever asks leaves these as they are; why a store cannot be read is said where it is to be written.
        """
        try:
            return self._store.finished(list(runs)) if self._store is not None and runs else set()
        except StoreError:
            return set(runs)

    def left_over(self, runs: Collection[str]) -> set[str]:
        """Those of these runs that no other sweeps show but such as ask the same and were stopped before their end."""
        try:
            others = self._elsewhere(runs)
        except StoreError:
            return set()
        return {run for run, sweeps in others.items() if all(sweep.was_stopped and sweep.alike for sweep in sweeps)}

    def named_elsewhere(self, runs: Collection[str], *, judged: bool) -> set[str]:
        """Those of these runs whose weights another sweep keeps, or may: all where the store cannot be read.

        Sweeps that ask the same come to the same, and are not asked.

        Args:
            runs: By their ids.
            judged: Whether to judge sweeps that are over; otherwise all that they show counts.
        """
        try:
            unlike = [(run, s) for run, sweeps in self._elsewhere(runs).items() for s in sweeps if not s.alike]
            named = {run for run, sweep in unlike if sweep.running or not judged}
            for sweep in {sweep.sweep for run, sweep in unlike if run not in named}:
                assert self._store is not None, "it showed these"
                named |= named_by(self._store, sweep) & set(runs)
        except CpdError:  # also where another sweep is damaged, or of another version
            return set(runs)
        return named

    def _elsewhere(self, runs: Collection[str]) -> dict[str, list[Shown]]:
        if self._store is None or self.sweep is None or not runs:
            return {}
        return self._store.shown_elsewhere(self.sweep, list(runs))

    def __call__(self, event: Event) -> None:
        """Store runs that have ended, and how the command did; why that could not be done is in ``error``."""
        if self._store is None or self.sweep is None:
            return
        try:
            match event:
                case RunsEnded():
                    self._keep(self._store, self.sweep, event)
                case SweepEnded(exit_status, search) if self.error is None:
                    self._store.end_sweep(self.sweep, exit_status, search)
                    self._remember(self._store, self.sweep, event)
        except StoreError as error:
            self.error = error

    def _keep(self, store: Store, sweep: str, event: RunsEnded) -> None:
        """Store runs, all but those that were given up."""
        results = [run for run in event.runs if run.status is not Status.PRUNED]
        planned = {run.key.id: name for run, name in zip(event.runs, event.planned, strict=False)}
        store.add_runs(sweep, results, fresh=self._fresh, planned=planned, inputs=event.inputs)
        self.kept += len(results)

    def _remember(self, store: Store, sweep: str, event: SweepEnded) -> None:
        """Keep what the verdicts come to; where that fails nothing is lost: it is made anew when it is asked for."""
        if event.headline is not None:
            with suppress(StoreError):
                headlines.keep(store, {sweep: event.headline.to_json()}, judged_by())

    def close(self, error: BaseException | None) -> None:
        """Leave the store.

        A sweep that ended on a mistake before its first run leaves no trace; after it, it has ended, with the exit code
        of the mistake.
        """
        if self._store is None or self.sweep is None:
            return
        if isinstance(error, Stopped):
            error.kept = f"what was done is stored{self.resume_hint}"
        try:
            if isinstance(error, CpdError) and not isinstance(error, StoreError):
                with suppress(StoreError):  # the error under way is the one to tell
                    if self.kept:
                        self._store.end_sweep(self.sweep, error.exit_code)
                    else:
                        self._store.remove(self.sweep)
        finally:
            self._store.close()


def _shown(run: Run, key: RunKey) -> Run:
    """A run as this sweep writes its settings: the store may have it from a spec that wrote out a default."""
    return replace(run, key=replace(key, id=run.key.id))


def _record(kind: Kind, task: Task, options: Options) -> SweepRecord:
    return SweepRecord(
        command=kind,
        task=task.name,
        text=task.text,
        spec=task_to_json(task),
        command_line=options.command_line,
        versions={**imported_packages(task), **versions()},
        git_commit=git_commit(),
        machine=machine(options.device),
        options={
            **({} if options.confidence == CONFIDENCE else {"confidence": options.confidence}),
            **({} if options.keep_models in (None, BEST) else {OPTION: options.keep_models}),
            "gap": str(options.gap),  # as text: a bare number is a share, of an earlier version
            "defaults": {name: with_defaults(name, {}) for name in task.methods if task.program is None},
        },
    )
