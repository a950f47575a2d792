"""How the runs of a command are trained: as fused programs of the engine, or each by a program of the user's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Protocol

from cpd.executors.start import Where
from cpd.executors.versions import Probe
from cpd.outcome import Run, RunKey
from cpd.run.options import Options
from cpd.run.plan import Work
from cpd.spec.inputs import Inputs
from cpd.spec.models import Task

Kind = Literal["sweep", "bisect", "compare"]
"""The commands that train."""


class Batch(Protocol):
    """Runs that go to a worker together."""

    @property
    def keys(self) -> tuple[RunKey, ...]:
        """The runs; the result keeps their order."""


class Trained(Protocol):
    """A batch that has come to its end: its runs, what the user should know, and the files that were read."""

    runs: list[Run]
    notes: list[str]
    inputs: Inputs

    @property
    def written(self) -> Mapping[str, str]:
        """The names under which weights were written, by the ids with which runs were planned."""

    @property
    def contents(self) -> dict[str, tuple[str, bytes]]:
        """Weights that came home, with those names, likewise."""


class Batches(Protocol):
    """Makes a command's runs into batches."""

    def of(self, keys: tuple[RunKey, ...], /) -> Any:
        """A batch of these runs."""

    def to_the_end(self) -> Any:
        """The same, in which no run is given up."""

    def anew(self) -> Any:
        """The same, of runs that are done again though they are done."""


class KeptModels(Protocol):
    """Which models are kept, and where."""

    @property
    def folder(self) -> str | None:
        """The folder into which workers write; None where nothing is kept."""

    @property
    def whose(self) -> Literal["feasible", "all"]:
        """Whose may be wanted, as far as one run alone can tell."""


class Programs(Protocol):
    """Says which runs may be in one batch."""

    @property
    def share_seeds(self) -> bool:
        """Whether runs of different seeds may be in one batch."""

    def of(self, key: RunKey, /) -> str:
        """What a run has in common with those that may be in one batch with it."""


class Trainer(Protocol):
    """One way to train."""

    @property
    def shares_process(self) -> bool:
        """Whether a worker process trains one batch at a time, however many threads it has."""

    @property
    def elsewhere(self) -> Callable[[Any], Any]:
        """Trains a batch in a worker."""

    @property
    def setup(self) -> Callable[[int], None] | None:
        """Called in each local worker with its number of threads."""

    @property
    def probe(self) -> Probe | None:
        """Versions that must be the same on every worker."""

    def check_devices(self, options: Options) -> None:
        """Raise :class:`~cpd.errors.CpdError` where a device is not there."""

    def batches(
        self, kind: Kind, task: Task, options: Options, checkpoints: Path | None, models: KeptModels, /
    ) -> Batches:
        """What makes the batches; ``checkpoints`` is the folder beside the store, None where nothing is kept."""

    def sent(self, batches: Sequence[Any], /) -> Sequence[Any]:
        """Batches with all that other processes need for them."""

    def programs(self, task: Task, /) -> Programs:
        """What says which runs may be in one batch."""

    def weigh(self, batches: Any, programs: Any, keys: Sequence[RunKey], /) -> Work | None:
        """What a run takes; None where that is not known."""

    def here(
        self, progress: Callable[[int, int, int], None], stop: Callable[[], bool], say: Callable[[str], None]
    ) -> Callable[[Any], Any]:
        """What trains a batch in this process, and tells and asks meanwhile."""

    def where(self, where: Where) -> Where:
        """The compute, where this way of training needs another one."""

    def known_of(self, backend: str) -> str | None:
        """What the user should know of training there, in a line; None for nothing."""

    def patience(self, seconds: float) -> float:
        """Seconds without any result after which to give up, where the user said so many."""

    def halves(self, batch: Any, /) -> tuple[Any, Any] | None:
        """A batch in two parts; None where it cannot be cut."""

    def failed(self, batch: Any, error: str) -> Any:
        """What comes of a batch that could not be trained."""

    def arrived(self, batch: Any, outcome: Any) -> Any:
        """An outcome, once what came with it is at home."""

    def forget(self, batch: Any, /) -> None:
        """Remove what was kept of a batch in case it was killed: its runs are stored."""

    def leave(self) -> None:
        """Give back what this process has for it."""
