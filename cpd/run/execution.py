"""From runs to results: minus what is stored, in batches, through an executor, into the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from cpd.errors import CpdError, SpecError, UserCodeRaised
from cpd.executors.queue import ExecutorLost
from cpd.executors.start import start
from cpd.outcome import Run, RunKey, Status
from cpd.results.headlines import headline_of
from cpd.results.result import Result
from cpd.run.closing import Closers
from cpd.run.dispatch import Dispatch, Outcome
from cpd.run.events import BatchEnded, Noted, Planned, RunsEnded, Sink, Sinks, Stepped, SweepEnded, WorkersReady
from cpd.run.keeping import Keeping
from cpd.run.options import Options
from cpd.run.plan import Plan, Work, plan
from cpd.run.recording import Recording
from cpd.run.signals import Stopped, StopSignals
from cpd.run.trackers import open_trackers
from cpd.run.tracking import Tracking
from cpd.run.trainer import Batch, Batches, Kind, Programs, Trainer
from cpd.run.trainers import trainer_of
from cpd.run.watching import listening
from cpd.spec.inputs import Inputs, id_with
from cpd.spec.models import Task

Raised = list[tuple[Batch, UserCodeRaised]]
"""Batches whose code raised before their first step, which others may or may not do too."""


class Notes:
    """Notes that belong to the result, each told once, when it is known."""

    def __init__(self, tell: Sink) -> None:
        self.texts: list[str] = []
        self._tell = tell

    def add(self, *texts: str) -> None:
        """Add what is new."""
        for text in texts:
            if text not in self.texts:
                self.texts.append(text)
                self._tell(Noted(text))


@contextmanager
def session(kind: Kind, task: Task, options: Options, listener: Sink) -> Iterator[Session]:
    """Open what a command needs to train: the store, the signals, the trackers; give all back at the end.

    Raises:
        CpdError: A device, a tracker or the store is not usable.
        Stopped: The user asked the command to stop.
        KeyboardInterrupt: The same of a program that called us.
    """
    trainer = trainer_of(task)
    trainer.check_devices(options)
    told = listening(listener=listener)
    notes = Notes(told)
    notes.add(*task.notes)

    def warn(text: str) -> None:
        notes.add(text)
        told.warn(text)

    trackers = open_trackers(options.trackers, warn, told.callbacks)
    try:
        with Closers() as closers:
            closers.add(told.close)
            closers.add(lambda error: trainer.leave())
            recording = Recording(kind, task, options)
            closers.add(recording.close)
            stop = StopSignals(told.is_command)
            stop.take()
            closers.add(stop.give_back)
            tracking = Tracking(trackers, kind, task, options.gap)
            closers.add(tracking.close)
            keeping = Keeping(task, options, recording, kind == "bisect", notes.add)
            tell = Sinks((told, recording, tracking, keeping))
            batches = trainer.batches(kind, task, options, recording.checkpoints, keeping)
            programs = trainer.programs(task)
            yield Session(task, options, tell, notes, closers, stop, recording, batches, programs, keeping, trainer)
    except Stopped as stopped:
        if told.is_command:
            raise
        raise stopped.for_program() from None


@dataclass
class Session:
    """Trains the runs of one command, round by round; made by :func:`session`."""

    task: Task
    options: Options
    tell: Sink
    notes: Notes
    closers: Closers
    stop: StopSignals
    recording: Recording
    batches: Batches
    programs: Programs
    keeping: Keeping
    trainer: Trainer
    _keys: dict[str, RunKey] = field(default_factory=dict)
    _several: bool = False
    _dispatch: Dispatch | None = None
    _counted: list[Work | None] = field(default_factory=list)

    def train(self, keys: Sequence[RunKey]) -> list[Run]:
        """Return the finished runs, found or trained, in the order of the keys.

        Raises:
            CpdError: The problem, its data or the device is not usable.
            ProblemRaised: The user's code raised before the first step of every run.
            Stopped: The user asked to stop; what was done is stored.
        """
        found = self.recording.known(keys)
        self.keeping.begun(keys, found)
        self.tell(Planned(self.recording.sweep, keys, found))
        share, program = self.programs.share_seeds, self.programs.of
        chosen = plan(keys, self.options, partial(self._work, keys), found, share_seeds=share, program=program)
        for group in chosen.forget:
            self.trainer.forget(self.batches.of(group))
        batches = [self.batches.of(group) for group in chosen.train]
        done = found | self._trained(batches, self._workers(chosen), any_found=bool(found))
        self._keys |= {_name(done[_name(key)].key): key for key in keys if _name(key) in done}
        return [done[_name(key)] for key in keys if _name(key) in done]

    def train_to_the_end(self) -> None:
        """Give no run up from now on."""
        self.batches = self.batches.to_the_end()

    def say(self, text: str) -> None:
        """Tell what is worth knowing now, and not with the result."""
        self.tell(Noted(text))

    def result(self, runs: list[Run], **search: Any) -> Result:
        """Make the result, written down as complete, or with why it could not be."""
        record = self.recording
        about = {"found": record.found, "id": record.sweep, "record": record.record, "store": record.place}
        parts = {**about, "notes": self.notes.texts, **search}
        result = Result(
            self.task, runs, self.options.gap, store_error=record.error, confidence=self.options.confidence, **parts
        )
        result = self.keeping.settle(result, self._train_again)
        models = {run.key.id or "": run.model for run in result.finished if run.model is not None}
        headline = headline_of(result) if record.sweep is not None else None
        self.tell(SweepEnded(result.exit_code, result.search, models, headline))
        return result if record.error is result.store_error else replace(result, store_error=record.error)

    def _work(self, keys: Sequence[RunKey]) -> Work | None:
        """Count what a run takes, once: those of a program have the same model, data and steps."""
        if not self._counted:
            self._counted.append(self.trainer.weigh(self.batches, self.programs, keys))
        return self._counted[0]

    def _trained(self, batches: Sequence[Batch], workers: Dispatch, any_found: bool) -> dict[str, Run]:
        """Train until all is done or nothing more can be; return the runs by id."""
        done: dict[str, Run] = {}
        raised: Raised = []
        count, self._several = workers.executor.workers, len(batches) > 1
        self.tell(WorkersReady(len(batches), count))
        for number, (batch, outcome) in enumerate(self._results(workers, batches), start=1):
            ended = self._taken(batch, outcome, raised)
            if ended or done or any_found or self.options.fail_fast:
                ended |= self._failed(raised)
            done |= ended
            self.tell(BatchEnded(len(done), number, workers.executor.workers))
            failed = any(run.status is Status.FAILED for run in ended.values())
            if self.recording.error is not None or (failed and self.options.fail_fast):
                break
        if raised:
            raise raised[0][1]
        return done

    def _results(self, workers: Dispatch, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Outcome]]:
        """The same, with what a user needs to know of an error beside what went wrong."""
        try:
            yield from workers.results(batches)
        except SpecError as error:
            raise error.located(self.task.at) from error
        except ExecutorLost as error:
            raise self._lost(error) from error

    def _taken(self, batch: Batch, outcome: Outcome, raised: Raised) -> dict[str, Run]:
        if isinstance(outcome, UserCodeRaised):
            raised.append((batch, outcome))
            return {}
        self.notes.add(*outcome.notes)
        self.keeping.arrived(outcome)
        return self._ended(batch, outcome.runs, outcome.inputs)

    def _train_again(self, runs: Sequence[str]) -> None:
        """Train runs that are stored again, for their weights alone."""
        self.notes.add(f"trained again for their weights, which are not there: {len(runs)} of {len(self._keys)} runs")
        keys = [self._keys[run] for run in runs]
        share, program = self.programs.share_seeds, self.programs.of
        chosen = plan(keys, self.options, partial(self._work, keys), (), share_seeds=share, program=program)
        again = self.batches.anew()
        batches = [again.of(group) for group in chosen.train]
        try:
            for batch, outcome in self._results(self._workers(chosen), batches):
                self.trainer.forget(batch)
                if isinstance(outcome, UserCodeRaised):
                    raise outcome
                self.notes.add(*outcome.notes)
                self.keeping.arrived(outcome)
                self.keeping.compare([_identified(run, outcome.inputs) for run in outcome.runs])
        except CpdError as error:  # all runs are stored: no reason not to show them
            self.notes.add(f"no weights came of it: {error}")

    def _failed(self, raised: Raised) -> dict[str, Run]:
        """Runs whose code raised before their first step, where others did train, are failed runs."""
        runs: dict[str, Run] = {}
        while raised:
            batch, error = raised.pop(0)
            runs |= self._ended(batch, [Run(key, Status.FAILED, error=error.traceback) for key in batch.keys], {})
        return runs

    def _ended(self, batch: Batch, runs: list[Run], inputs: Inputs) -> dict[str, Run]:
        """Tell of runs that have ended; once they are stored, their checkpoints are of no use.

        Returns:
            The runs with the ids that they have by what they read, by those under which they were planned.
        """
        planned = [_name(run.key) for run in runs]
        ended = [_identified(run, inputs) for run in runs]
        if self._several:
            self.keeping.narrow(ended)  # first: what is not wanted makes room for the runs on a full disk
        self.tell(RunsEnded(ended, planned, inputs))
        if self.recording.error is None:
            self.trainer.forget(batch)
        return dict(zip(planned, ended, strict=True))

    def _workers(self, chosen: Plan) -> Dispatch:
        """The workers, started when first needed and kept for all rounds of a search."""
        if self._dispatch is None:
            trainer, where = self.trainer, self.trainer.where(chosen.where)
            here = where.is_this_process
            work = trainer.here(self._stepped, self.stop.asked, self.say) if here else trainer.elsewhere
            with self.stop.interruptible():
                executor = start(where, work, setup=trainer.setup, probe=trainer.probe)
                self.closers.add(lambda error: executor.close())
            if (known := trainer.known_of(where.backend)) is not None:
                self.say(known)
            self._dispatch = Dispatch(executor, self.options, self.stop, not here, self.notes.add, self.say, trainer)
            if executor.threads > 1 and trainer.shares_process:
                self.notes.add(
                    f"workers have up to {executor.threads} threads and train one batch at a time: "
                    "start more workers of one thread each (dask worker --nthreads 1 --nworkers N)"
                )
        return self._dispatch

    def _stepped(self, done: int, steps: int, runs: int) -> None:
        self.tell(Stepped(done, steps, runs))

    def _lost(self, error: ExecutorLost) -> ExecutorLost:
        """The same error, with what is kept and how to go on."""
        kept = f"{self.recording.kept} runs are stored" if self.options.keep else "nothing is stored (--no-store)"
        hint = f"{kept}{self.recording.resume_hint}"
        return type(error)(error.message, place=error.place, hint=f"{error.hint}; {hint}" if error.hint else hint)


def _identified(run: Run, inputs: Inputs) -> Run:
    return replace(run, key=replace(run.key, id=id_with(_name(run.key), inputs))) if inputs else run


def _name(key: RunKey) -> str:
    assert key.id is not None, "runs are given their ids before they are trained"
    return key.id
