"""Hand batches to the workers; what an executor tells of items becomes what happened to runs."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass

from cpd.errors import CpdError, UserCodeRaised
from cpd.executors.queue import Done, Event, Item, Lost, Raised, Retrying, WorkerLost
from cpd.executors.start import Executor
from cpd.run.options import Options
from cpd.run.signals import StopSignals
from cpd.run.trainer import Batch, Trained, Trainer

Outcome = Trained | UserCodeRaised
"""The end of a batch: its runs, or that the user's code raised before the first step of every run."""


@dataclass(frozen=True)
class Dispatch:
    """Workers that are up, and how their news are waited for.

    Attributes:
        waits: Whether others do the work, so that a signal may cut a wait short.
        note: Told once of each thing that belongs to the result.
        say: Told of what is gone when it is said.
        trainer: Knows what becomes of a batch that is tried again, or cannot be trained.
    """

    executor: Executor
    options: Options
    stop: StopSignals
    waits: bool
    note: Callable[[str], None]
    say: Callable[[str], None]
    trainer: Trainer

    def results(self, batches: Sequence[Batch]) -> Iterator[tuple[Batch, Outcome]]:
        """Train batches; yield what comes of each, or of its parts, as it ends.

        Raises:
            CpdError: The problem breaks its contract, whatever the run; or the workers are lost.
            Stopped: The user asked to stop.
        """
        items = [
            Item(batch, float(len(batch.keys))) for batch in (self.trainer.sent(batches) if self.waits else batches)
        ]
        options = self.options
        patience = self.trainer.patience(options.stall_timeout)
        halves = self.trainer.halves
        events = self.executor.results(items, halves, retries=options.retries, stall_timeout=patience)
        try:
            while (event := self._next(events)) is not None:
                match event:
                    case Done(batch, outcome):
                        self.stop.check()
                        if isinstance(outcome, CpdError) and not isinstance(outcome, UserCodeRaised):
                            raise outcome
                        yield batch, self.trainer.arrived(batch, outcome)
                    case Raised(batch, error) | Lost(batch, error):
                        yield batch, self.trainer.failed(batch, error)
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
            self.trainer.forget(event.payload)  # its halves keep their checkpoints in folders of their own
        how = "in halves" if in_parts else "whole"
        self.note(f"a batch of {len(event.payload.keys)} runs: {event.reason}; tried again {how}")
