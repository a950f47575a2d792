"""What the user sees while cpd works: progress and messages on stderr, data on stdout."""

from __future__ import annotations

import os
import sys
from types import TracebackType
from typing import TYPE_CHECKING, Any

from cpd.run.options import Listener
from cpd.views.printable import spelled_out

if TYPE_CHECKING:
    from rich.console import Console

    from cpd.outcome import Run
    from cpd.verdict.document import Iteration


def messages() -> Console:
    """The console for progress and messages: stderr."""
    from rich.console import Console

    return Console(stderr=True, highlight=False, soft_wrap=True)


def say(text: str) -> None:
    """One plain line on stderr, with control characters made harmless."""
    print(spelled_out(text), file=sys.stderr)


def failure_line(run: Run) -> str:
    """A failed run and the last line of its error."""
    last = (run.error or "failed").strip().splitlines()[-1]
    setting = ", ".join(f"{n}={v}" for n, v in run.key.setting.items())
    return f"failed: {run.key.method} {setting} seed {run.key.seed}: {last}"


class ConsoleListener(Listener):
    """Shows a sweep under way: one progress line where stderr is a terminal, short messages otherwise.

    Args:
        quiet: Show failures only.
        iterations: Print each iteration of a search to stdout as it ends.

    Attributes:
        title: A line above the iterations.
    """

    def __init__(self, quiet: bool = False, iterations: bool = False) -> None:
        self.quiet = quiet
        self.iterations = iterations
        self.title = ""
        self._searches = False
        self._found = 0
        self._printer: Any = None
        self.shown_notes: set[str] = set()
        self._progress: Any = None
        self._runs_task: Any = None
        self._steps_task: Any = None
        self._live = sys.stderr.isatty() and not quiet and os.environ.get("TERM") != "dumb"

    def __enter__(self) -> ConsoleListener:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if self._searches and self._found and not self.quiet:
            say(f"{self._found} of these trainings found in the store")

    def close(self) -> None:
        """Take the progress line away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None

    def planned(self, total: int, found: int, batches: int, workers: int) -> None:
        """Say how many runs there are and how many the store had."""
        self._found += found
        if found and not self.quiet and not self._searches:
            say(f"{found} of {total} runs found in the store, {total - found} to do")
        if self._live and total > found:
            self._start(total - found, batches, workers)

    def progress(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way in this process."""
        if self._progress is not None:
            if self._steps_task is None:
                self._steps_task = self._progress.add_task("steps", total=steps, unit="")
            self._progress.update(
                self._steps_task, completed=done, total=steps, description="steps", unit=f"{runs} runs fused"
            )

    def batch_done(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""
        if self._progress is not None:
            self._progress.update(self._runs_task, completed=runs, unit=self._unit(batches, workers))

    def run_failed(self, run: Run) -> None:
        """Show a failure when it happens."""
        self._say(failure_line(run))

    def note(self, text: str) -> None:
        """Show a message, each only once."""
        if text not in self.shown_notes and not self.quiet:
            self.shown_notes.add(text)
            self._say(f"note: {text}")

    def search(self, constraint: str, objective: str) -> None:
        """Set up the lines of a search."""
        self._searches = True
        if self.iterations:
            from cpd.views.tables.search import IterationPrinter

            self._printer = IterationPrinter(sys.stdout, constraint, objective, self.title)

    def iteration(self, iteration: Iteration) -> None:
        """Print an iteration of a search as it ends."""
        self.close()
        if self._printer is not None:
            self._printer(iteration)
            sys.stdout.flush()

    def _say(self, text: str) -> None:
        if self._progress is not None:
            self._progress.console.print(spelled_out(text), markup=False)
        else:
            say(text)

    def _unit(self, batches: int, workers: int) -> str:
        left = f"{batches} of {self._batches} batches"
        return f"{left}, {workers} workers" if workers > 1 else left

    def _start(self, runs: int, batches: int, workers: int) -> None:
        if self._progress is not None:
            self._progress.update(self._runs_task, total=runs, completed=0)
            return
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        self._batches = batches
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TextColumn("{task.fields[unit]}"),
            TimeRemainingColumn(),
            console=messages(),
            transient=True,
        )
        self._progress.start()
        self._runs_task = self._progress.add_task("runs", total=runs, unit=self._unit(0, workers))
