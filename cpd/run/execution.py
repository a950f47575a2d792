"""From runs to results: minus what is stored, in batches, through an executor, into the store."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any

from cpd.engine.batch import Batch
from cpd.engine.cost import Work, weigh
from cpd.engine.loading import ProblemRaised
from cpd.engine.preparing import check_device
from cpd.engine.pruning import Prune
from cpd.engine.threads import limit_threads
from cpd.engine.train import Trained, forget
from cpd.engine.training import Hooks
from cpd.errors import CpdError, SpecError
from cpd.executors.queue import Done, Event, ExecutorLost, Item, Lost, Raised, Retrying, WorkerLost
from cpd.executors.start import Engine, Where
from cpd.executors.start import engine as executor
from cpd.outcome import Run, RunKey, Status
from cpd.results.result import Result
from cpd.run.options import Listener, Options
from cpd.run.plan import MOST_FUSED, cut, default_fuse, default_jobs
from cpd.run.recording import Kind, Storing
from cpd.run.signals import StopSignals
from cpd.run.tracking import Tracking
from cpd.run.worker import checkpoint_folder, halves, train_batch, train_here, worker_versions
from cpd.spec.models import Task
from cpd.trackers import open_trackers
from cpd.verdict.document import SearchBlock

CLUSTER_BATCHES = 16
"""Batches to cut for where it is not known how many workers a cluster has."""

FEW = 8
"""Runs that are fused without counting the memory that they take."""

_USES = {"sweep": 3, "compare": 3, "bisect": 12}
"""How often a command's program is expected to be used: a search runs it in every round."""


@dataclass
class Session:
    """Trains the runs of one command and stores them as they end.

    Attributes:
        notes: What the user should know.
        pruning: Whether runs may be given up.
        storing: The store's part.
    """

    kind: Kind
    task: Task
    options: Options
    listener: Listener
    notes: list[str] = field(default_factory=list)
    stop: StopSignals = field(default_factory=StopSignals)
    workers: Engine | None = None
    storing: Storing = field(init=False)
    tracking: Tracking = field(init=False)
    pruning: bool = field(init=False)
    _waits: bool = False
    _weighed: list[Work | None] = field(default_factory=list)
    _search: SearchBlock | None = None

    def __post_init__(self) -> None:
        self.pruning = self.options.prune

    def __enter__(self) -> Session:
        for device in self.options.devices:
            check_device(device, "--devices")
        if not self.options.devices and self.options.backend == "local":
            check_device(self.options.device)  # a cluster's workers have their own, or say that they have not
        self._note(*self.task.notes)
        trackers = open_trackers(self.options.trackers, self._note)
        self.tracking = Tracking(trackers, self.kind, self.task, self.options.gap)
        self.storing = Storing(self.kind, self.task, self.options)
        self.stop.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.workers is not None:
            self.workers.close()
        self.tracking.close(self._search)
        self.stop.__exit__(kind, error, trace)
        self.storing.close(error)

    def result(self, runs: list[Run], **search: Any) -> Result:
        """What the command came to."""
        return Result(
            self.task,
            runs,
            self.options.gap,
            found=self.storing.found,
            id=self.storing.sweep,
            notes=self.notes,
            store_error=self.storing.error,
            **search,
        )

    def end(self, exit_status: int, search: SearchBlock | None = None) -> None:
        """Write how it ended, or note why that could not be written."""
        self._search = search
        self.storing.end(exit_status, search)

    def train(self, keys: Sequence[RunKey]) -> list[Run]:
        """Return the finished runs, found or trained, in the order of the keys.

        Raises:
            CpdError: The problem, its data or the device is not usable.
            ProblemRaised: The user's code raised before the first step of every run.
            Stopped: The user asked to stop; what was done is stored.
        """
        done = self.storing.known(keys)
        self.tracking.planned(self.storing.sweep, keys, done)
        groups = self._groups(keys)
        batches = self._batches(groups, done)
        workers = self._workers(keys, len(groups))
        self.listener.planned(len(keys), len(done), len(batches), workers.workers)
        finished = 0
        raised: list[tuple[Batch, ProblemRaised]] = []
        for count, (batch, outcome) in enumerate(self._results(workers, batches), start=1):
            if isinstance(outcome, ProblemRaised):
                raised.append((batch, outcome))
                ended = []
            else:
                self._note(*outcome.notes)
                ended = self._ended(batch, outcome.runs)
            if ended or done or self.options.fail_fast:
                ended = [*ended, *self._failed(raised)]
            done |= {_name(run.key): run for run in ended}
            finished += len(ended)
            self.listener.batch_done(finished, count, workers.workers)
            failed = any(run.status is Status.FAILED for run in ended)
            if self.storing.error is not None or (failed and self.options.fail_fast):
                break
        if raised:
            raise raised[0][1]
        return [done[_name(key)] for key in keys if _name(key) in done]

    def _groups(self, keys: Sequence[RunKey]) -> list[tuple[RunKey, ...]]:
        share = self.task.train.batch_size is None
        # A number for --fuse alone decides, so that the same batches can be had on any number of workers.
        jobs = self._jobs(keys) if self.options.fuse is None else 1
        return cut(keys, jobs=jobs, fuse=self._fuse(keys), share_seeds=share)

    def _fuse(self, keys: Sequence[RunKey]) -> int:
        """Most runs in one program; few runs fit whatever they take."""
        if self.options.fuse is not None or len(keys) <= FEW:
            return self.options.fuse or MOST_FUSED
        work = self._work(keys)
        return MOST_FUSED if work is None else default_fuse(work.memory)

    def _work(self, keys: Sequence[RunKey]) -> Work | None:
        """What a run takes, counted once: all runs of a command have the same model, data and steps.

        Only where this process may train: a problem that kills its process, or whose data is on the workers alone,
        is not touched here.
        """
        here = self.options.backend == "local" and self.options.jobs in (None, 1) and not self.options.devices
        if here and keys and not self._weighed:
            self._weighed.append(weigh(self._batch(tuple(keys[:1]))))
        return self._weighed[0] if self._weighed else None

    def _batches(self, groups: Sequence[tuple[RunKey, ...]], done: dict[str, Run]) -> list[Batch]:
        left = [tuple(key for key in group if _name(key) not in done) for group in groups]
        for group, rest in zip(groups, left, strict=True):
            # Killed between storing it and forgetting it; or another sweep has stored it; or nothing old is wanted.
            if rest != group or self.options.fresh:
                forget(self._batch(group))
        return [self._batch(group) for group in left if group]

    def _jobs(self, keys: Sequence[RunKey]) -> int:
        """Workers to cut for; of a cluster's workers more may come, so its batches are cut as for many."""
        if self.options.devices:
            return len(self.options.devices)
        if self.options.backend != "local":
            return self.options.jobs or CLUSTER_BATCHES
        if self.options.jobs is not None:
            return self.options.jobs
        work = self._work(keys)
        return default_jobs(len(keys), seconds=work.seconds if work else 0.0, device=self.options.device)

    def _workers(self, keys: Sequence[RunKey], groups: int) -> Engine:
        """The workers, started when first needed and kept for all rounds of a search.

        What is stored already does not change their number: a worker's threads depend on it, and with them the last
        bits of a large product.
        """
        if self.workers is None:
            options = self.options
            jobs = min(self._jobs(keys), max(1, groups)) if options.backend == "local" else self._jobs(keys)
            where = Where(options.backend, jobs, options.address, options.devices)
            here = options.backend == "local" and jobs == 1 and not options.devices
            work = partial(train_here, self._hooks()) if here else train_batch
            with self.stop.interruptible():
                self.workers = executor(where, work, setup=limit_threads, probe=worker_versions)
            self._waits = not here
            if self.workers.threads > 1:
                self._note(
                    f"workers have up to {self.workers.threads} threads and train one batch at a time: "
                    "start more workers of one thread each (dask worker --nthreads 1 --nworkers N)"
                )
        return self.workers

    def _hooks(self) -> Hooks:
        return Hooks(progress=self.listener.progress, stop=self.stop.asked, say=self.listener.note)

    def _batch(self, keys: tuple[RunKey, ...]) -> Batch:
        return Batch(
            problem=self.task.problem,
            constraints=self.task.constraints,
            train=self.task.train,
            keys=keys,
            device=self.options.device,
            fuse=self.options.fuse != 1,
            engine=self.options.engine,
            uses=_USES[self.kind],
            prune=self._prune(),
            checkpoint=self._checkpoint_folder(keys),
            checkpoint_every=self.options.checkpoint_every,
        )

    def _checkpoint_folder(self, keys: Sequence[RunKey]) -> str | None:
        """A folder of the batch's own beside the store."""
        root = self.storing.checkpoints
        if root is None or self.options.backend != "local":
            return None
        return checkpoint_folder(root, keys, pruning=self.pruning)

    def _prune(self) -> Prune | None:
        """What is given up: in a sweep what will not be feasible, in a search what will not come near the target."""
        if not self.pruning:
            return None
        search = self.task.search
        return Prune() if self.kind != "bisect" or search is None else Prune(search.constraint, both_sides=True)

    def _results(self, workers: Engine, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Trained | ProblemRaised]]:
        """What comes of each batch, or of its parts, as it ends.

        Raises:
            CpdError: The problem breaks its contract, whatever the run; or the workers are lost.
            Stopped: The user asked to stop.
        """
        items = [Item(batch, float(len(batch.keys))) for batch in batches]
        options = self.options
        events = workers.results(items, halves, retries=options.retries, stall_timeout=options.stall_timeout)
        try:
            while (event := self._next(events)) is not None:
                match event:
                    case Done(batch, outcome):
                        self.stop.check()
                        if isinstance(outcome, SpecError):
                            raise outcome.located(self.task.at) from outcome
                        if isinstance(outcome, CpdError) and not isinstance(outcome, ProblemRaised):
                            raise outcome
                        yield batch, outcome
                    case Raised(batch, error) | Lost(batch, error):
                        yield batch, Trained([Run(key, Status.FAILED, error=error) for key in batch.keys])
                    case Retrying() | WorkerLost():
                        self._tell(event)
        except ExecutorLost as error:
            raise self._lost(error) from error
        finally:
            events.close()

    def _next(self, events: Generator[Event]) -> Event | None:
        """Wait for the next event; a signal cuts the wait short where others do the work."""
        if not self._waits:
            return next(events, None)
        with self.stop.interruptible():
            return next(events, None)

    def _lost(self, error: ExecutorLost) -> ExecutorLost:
        """The same error, with what is kept and how to go on."""
        kept = f"{self.storing.kept} runs are stored" if self.options.keep else "nothing is stored (--no-store)"
        again = f"{kept}{self.storing.again}"
        return type(error)(error.message, place=error.place, hint=f"{error.hint}; {again}" if error.hint else again)

    def _tell(self, event: Retrying | WorkerLost) -> None:
        if isinstance(event, WorkerLost):
            self.listener.note(f"worker {event.worker} is lost, {event.left} left; its batches go elsewhere")
            return
        again = "whole" if len(event.parts) == 1 else "in halves"
        if len(event.parts) > 1:
            forget(event.payload)
        self._note(f"a batch of {len(event.payload.keys)} runs: {event.reason}; tried again {again}")

    def _ended(self, batch: Batch, runs: list[Run]) -> list[Run]:
        """Store runs that have ended, and tell of them."""
        for run in runs:
            if run.status is Status.FAILED:
                self.listener.run_failed(run)
        if self.storing.keep(runs):
            forget(batch)
        self.tracking.ended(runs)
        return runs

    def _failed(self, raised: list[tuple[Batch, ProblemRaised]]) -> list[Run]:
        """Runs whose code raised before their first step, where others did train, are failed runs."""
        runs: list[Run] = []
        while raised:
            batch, error = raised.pop(0)
            runs += self._ended(batch, [Run(key, Status.FAILED, error=error.traceback) for key in batch.keys])
        return runs

    def _note(self, *texts: str) -> None:
        for text in texts:
            if text not in self.notes:
                self.notes.append(text)
                self.listener.note(text)


def _name(key: RunKey) -> str:
    assert key.id is not None, "runs are given their ids before they are trained"
    return key.id
