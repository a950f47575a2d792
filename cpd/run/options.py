"""Where and how runs are trained and kept, and who is told."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cpd.errors import CpdError
from cpd.outcome import Run
from cpd.verdict.document import Iteration
from cpd.verdict.summary import GAP


@dataclass(frozen=True)
class Options:
    """Where and how to run.

    Attributes:
        device: A torch device.
        devices: One worker on each of these instead.
        jobs: Worker processes; None to choose.
        backend: ``local``, ``dask`` or ``ray``.
        address: Of the cluster.
        engine: ``auto``, ``eager``, ``captured`` or ``compiled``.
        fuse: Most runs in one program; None to choose, 1 for none.
        store: The store's file; None for the default place.
        keep: Whether to store anything.
        fresh: Train again what the store has.
        checkpoint_every: Seconds of work that may be lost when the machine dies.
        prune: Give up penalised runs that are far on the wrong side and not on their way back.
        retries: Times a batch is tried again after its worker died.
        stall_timeout: Seconds without any result after which to give up.
        fail_fast: Stop at the first failed run.
        gap: How far above the best feasible objective a setting is still useful.
        trackers: ``tensorboard:DIR`` or ``package.module:Class``.
        command_line: As the user typed it.
    """

    device: str = "cpu"
    devices: tuple[str, ...] = ()
    jobs: int | None = None
    backend: str = "local"
    address: str | None = None
    engine: str = "auto"
    fuse: int | None = None
    store: str | Path | None = None
    keep: bool = True
    fresh: bool = False
    checkpoint_every: float = 60.0
    prune: bool = False
    retries: int = 1
    stall_timeout: float = 600.0
    fail_fast: bool = False
    gap: float = GAP
    trackers: tuple[str, ...] = ()
    command_line: str = ""


def read_fuse(text: str) -> int | None:
    """Read ``--fuse``: a number, ``auto`` (None) or ``off`` (1)."""
    if text == "auto":
        return None
    if text == "off":
        return 1
    if not text.isdigit() or int(text) < 1:
        raise CpdError(f"'{text}' is no number of runs", place="--fuse", hint="write a number, auto or off")
    return int(text)


class Listener:
    """Told what happens while runs are trained; this one keeps it to itself."""

    def planned(self, total: int, found: int, batches: int, workers: int) -> None:
        """So many runs, of which the store had so many."""

    def progress(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way in this process."""

    def batch_done(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""

    def run_failed(self, run: Run) -> None:
        """A run failed."""

    def note(self, text: str) -> None:
        """Something worth knowing."""

    def search(self, constraint: str, objective: str) -> None:
        """A search begins."""

    def iteration(self, iteration: Iteration) -> None:
        """An iteration of a search has ended."""
