"""Everything that happens in a command, as values: the console, the store and the trackers are told the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from cpd.outcome import Run, RunKey, Status

if TYPE_CHECKING:
    from cpd.results.headlines import Headline
    from cpd.spec.inputs import Inputs
    from cpd.spec.models import Task
    from cpd.verdict.document import Document, Iteration, SearchBlock


@dataclass(frozen=True)
class TaskRead:
    """A task is read and checked; what trains it is loaded next."""

    task: Task


@dataclass(frozen=True)
class SearchBegun:
    """A search begins; its sweep is made of rounds, each planned when it comes."""

    task: Task


@dataclass(frozen=True)
class Planned:
    """Runs are about to be handed to workers, all but those found in the store.

    Attributes:
        sweep: The sweep's id in the store; None where nothing is kept.
        found: By the ids of the keys; a run that read files has an id of its own.
    """

    sweep: str | None
    keys: Sequence[RunKey]
    found: Mapping[str, Run]


@dataclass(frozen=True)
class WorkersReady:
    """Workers are up, and so many batches are to be trained."""

    batches: int
    workers: int


@dataclass(frozen=True)
class Stepped:
    """Steps of the program under way in this process, and how many runs are fused in it."""

    done: int
    steps: int
    runs: int


@dataclass(frozen=True)
class RunsEnded:
    """Runs have ended, well or not.

    Attributes:
        planned: The ids under which they were planned, in the same order; they differ where files were read.
        inputs: The files that were read.
    """

    runs: Sequence[Run]
    planned: Sequence[str] = ()
    inputs: Inputs = field(default_factory=dict)

    @property
    def failed(self) -> list[Run]:
        """Those that failed."""
        return [run for run in self.runs if run.status is Status.FAILED]


@dataclass(frozen=True)
class BatchEnded:
    """A batch has ended: so many runs and batches have by now."""

    runs: int
    batches: int
    workers: int


@dataclass(frozen=True)
class Noted:
    """Something worth knowing."""

    text: str


@dataclass(frozen=True)
class IterationEnded:
    """A line of a search: its number, coefficient, value, objective and metrics.

    Attributes:
        document: The search so far, with all that the line's round has brought.
    """

    iteration: Iteration
    document: Document


@dataclass(frozen=True)
class SweepEnded:
    """Everything was done; a sweep that is stopped or fails ends without this.

    Attributes:
        models: The files of the weights that are kept, by the ids of the runs.
        headline: What its verdicts come to.
    """

    exit_status: int
    search: SearchBlock | None
    models: Mapping[str, str] = field(default_factory=dict, compare=False)
    headline: Headline | None = field(default=None, compare=False)


Event = (
    TaskRead
    | SearchBegun
    | Planned
    | WorkersReady
    | Stepped
    | RunsEnded
    | BatchEnded
    | Noted
    | IterationEnded
    | SweepEnded
)


class Sink(Protocol):
    """Told of every event, in order, from one process and one thread; it takes up those that concern it."""

    def __call__(self, event: Event, /) -> None:
        """Take an event."""


def nobody(event: Event, /) -> None:
    """Keep it to oneself."""


@dataclass(frozen=True)
class Sinks:
    """Several sinks as one, told in their order."""

    sinks: tuple[Sink, ...]

    def __call__(self, event: Event, /) -> None:
        """Tell all."""
        for sink in self.sinks:
            sink(event)
