"""Hand batches to the workers; what an executor tells of items becomes what happened to runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace

from cpd.engine.batch import Batch
from cpd.engine.live import carried, given_key
from cpd.engine.loading import ProblemRaised
from cpd.engine.train import Trained, forget
from cpd.errors import CpdError
from cpd.executors.queue import Done, Event, Item, Lost, Raised, Retrying, WorkerLost
from cpd.executors.start import Executor
from cpd.outcome import Run, Status
from cpd.run.options import Options
from cpd.run.signals import StopSignals
from cpd.run.worker import halves

Outcome = Trained | ProblemRaised
"""The end of a batch: its runs, or that the user's code raised before the first step of every run."""


@dataclass(frozen=True)
class Dispatch:
    """Workers that are up, and how their news are waited for.

    Attributes:
        waits: Whether others do the work, so that a signal may cut a wait short.
        note: Told once of each thing that belongs to the result.
        say: Told of what is gone when it is said.
    """

    executor: Executor
    options: Options
    stop: StopSignals
    waits: bool
    note: Callable[[str], None]
    say: Callable[[str], None]

    def results(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Outcome]]:
        """Train batches; yield what comes of each, or of its parts, as it ends.

        Raises:
            CpdError: The problem breaks its contract, whatever the run; or the workers are lost.
            Stopped: The user asked to stop.
        """
        items = [Item(batch, float(len(batch.keys))) for batch in (sent(batches) if self.waits else batches)]
        options = self.options
        events = self.executor.results(items, halves, retries=options.retries, stall_timeout=options.stall_timeout)
        try:
            while (event := self._next(events)) is not None:
                match event:
                    case Done(batch, outcome):
                        self.stop.check()
                        if isinstance(outcome, CpdError) and not isinstance(outcome, ProblemRaised):
                            raise outcome
                        yield batch, outcome
                    case Raised(batch, error) | Lost(batch, error):
                        yield batch, Trained([Run(key, Status.FAILED, error=error) for key in batch.keys])
                    case WorkerLost(worker, left):
                        self.say(f"worker {worker} is lost, {left} left; its batches go elsewhere")
                    case Retrying():
                        self._retrying(event)
        finally:
            events.close()

    def _next(self, events: Generator[Event]) -> Event | None:
        with self.stop.interruptible() if self.waits else nullcontext():
            return next(events, None)

    def _retrying(self, event: Retrying) -> None:
        in_parts = len(event.parts) > 1
        if in_parts:
            forget(event.payload)  # its halves keep their checkpoints in folders of their own
        how = "in halves" if in_parts else "whole"
        self.note(f"a batch of {len(event.payload.keys)} runs: {event.reason}; tried again {how}")


def sent(batches: Sequence[Batch]) -> list[Batch]:
    """Batches with all that other processes need for them; what is pickled is so once for all."""
    known: dict[str, bytes | None] = {}
    found = []
    for batch in batches:
        key = given_key(batch.problem)
        if key not in known:
            known[key] = carried(batch.problem).pickled
        own = known[key]
        problem = batch.problem if own is None else batch.problem.model_copy(update={"pickled": own})
        found.append(replace(batch, problem=problem))
    return found
