"""Show the user how a command gets on: progress and messages on stderr, a search's iterations on stdout."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from cpd.cli.console import failure_line, say
from cpd.run.events import (
    BatchEnded,
    Event,
    IterationEnded,
    Noted,
    Planned,
    RunsEnded,
    SearchBegun,
    Stepped,
    WorkersReady,
)
from cpd.views.printable import spelled_out

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

    from cpd.verdict.document import Document, Iteration
    from cpd.views.tables.search import IterationPrinter


class ConsoleSink:
    """A sink that shows a command under way: one progress line where stderr is a terminal, short messages otherwise.

    Args:
        quiet: Show failures only.
        iterations: Where each iteration of a search is printed as it ends; None for nowhere.
    """

    def __init__(self, quiet: bool = False, iterations: TextIO | None = None) -> None:
        self.quiet = quiet
        self.iterations = iterations
        self._searches = False
        self._found = 0
        self._plan: Planned | None = None
        self._printer: IterationPrinter | None = None
        self._shown_notes: set[str] = set()
        live = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"
        self._progress = ProgressLine() if live else None

    def __enter__(self) -> ConsoleSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hide()
        if self._searches and self._found and not self.quiet:
            say(f"{self._found} of these trainings found in the store")

    def __call__(self, event: Event) -> None:
        """Show an event, if it is one to be shown."""
        match event:
            case SearchBegun():
                self._search()
            case Planned():
                self._plan = event
            case WorkersReady(batches, workers) if self._plan is not None:
                self._start(self._plan, batches, workers)
            case Stepped(done, steps, runs) if self._progress is not None:
                self._progress.stepped(done, steps, runs)
            case BatchEnded(runs, batches, workers) if self._progress is not None:
                self._progress.ended(runs, batches, workers)
            case RunsEnded():
                for run in event.failed:
                    self._say(failure_line(run))
            case Noted(text):
                self._note(text)
            case IterationEnded(iteration, document):
                self._iteration(iteration, document)

    def _start(self, plan: Planned, batches: int, workers: int) -> None:
        """Say how many runs there are and how many the store had."""
        total, found = len(plan.keys), len(plan.found)
        self._found += found
        if found and not self.quiet and not self._searches:
            say(f"{found} of {total} runs found in the store, {total - found} to do")
        if self._progress is not None and total > found:
            self._progress.start(total - found, batches, workers)

    def _note(self, text: str) -> None:
        """Show a message, each only once."""
        if text not in self._shown_notes and not self.quiet:
            self._shown_notes.add(text)
            self._say(f"note: {text}")

    def _search(self) -> None:
        """Set up the lines of a search."""
        self._searches = True
        if self.iterations is not None:
            from cpd.views.tables.search import IterationPrinter

            self._printer = IterationPrinter(self.iterations)

    def _iteration(self, iteration: Iteration, document: Document) -> None:
        """Print an iteration of a search as it ends."""
        self._hide()
        if self._printer is not None and self.iterations is not None:
            self._printer(document, iteration["iteration"] - 1)
            self.iterations.flush()

    def _hide(self) -> None:
        if self._progress is not None:
            self._progress.stop()

    def _say(self, text: str) -> None:
        if self._progress is None or not self._progress.say(spelled_out(text)):
            say(text)


class ProgressLine:
    """Runs and batches done, and steps of the program under way in this process, as bars that go when they are done."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._runs: TaskID | None = None
        self._steps: TaskID | None = None
        self._batches = 0

    def start(self, runs: int, batches: int, workers: int) -> None:
        """Show the line, or start it anew for another round."""
        if self._progress is not None and self._runs is not None:
            self._progress.update(self._runs, total=runs, completed=0)
            return
        self._batches = batches
        self._steps = None
        self._progress = _bars()
        self._progress.start()
        self._runs = self._progress.add_task("runs", total=runs, unit=self._unit(0, workers))

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way."""
        if self._progress is None:
            return
        if self._steps is None:
            self._steps = self._progress.add_task("steps", total=steps, unit="")
        self._progress.update(self._steps, completed=done, total=steps, description="steps", unit=f"{runs} runs fused")

    def ended(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""
        if self._progress is not None and self._runs is not None:
            self._progress.update(self._runs, completed=runs, unit=self._unit(batches, workers))

    def say(self, text: str) -> bool:
        """Print a line above; whether there was a line to print it above of."""
        if self._progress is not None:
            self._progress.console.print(text, markup=False)
        return self._progress is not None

    def stop(self) -> None:
        """Take the line away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def _unit(self, batches: int, workers: int) -> str:
        left = f"{batches} of {self._batches} batches"
        return f"{left}, {workers} workers" if workers > 1 else left


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TextColumn("{task.fields[unit]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True, highlight=False, soft_wrap=True),
        transient=True,
    )
