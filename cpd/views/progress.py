"""How far a command is: bars in a terminal and in a notebook, lines elsewhere."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Any, Protocol

from cpd.views.messages import say
from cpd.views.pace import Pace, clock
from cpd.views.printable import spelled_out

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_EVERY = 0.2
"""Seconds between two pictures of the bars in a notebook."""

SAID_EVERY = 5.0
"""Seconds between two lines where there are no bars."""


class Shown(Protocol):
    """Shows how far a command is."""

    def loading(self) -> None:
        """Runs are about to be planned: what trains them is loaded."""

    def start(self, runs: int, batches: int, workers: int) -> None:
        """So many runs are to be trained; of a search, in another round."""

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way, and how many runs are fused in it."""

    def ended(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""

    def say(self, text: str) -> None:
        """Show a line of words."""

    def stop(self) -> None:
        """Take it away; it may be started again."""


def in_notebook() -> bool:
    """Whether this process is a notebook's: what it displays is seen there."""
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython is not None else None
    return getattr(shell, "kernel", None) is not None


def on_terminal() -> bool:
    """Whether stderr is a terminal that can move its cursor."""
    return sys.stderr is not None and sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def shown_here() -> Shown:
    """What shows how far a command is, in the place where this process is."""
    return NotebookBars() if in_notebook() else ProgressLine() if on_terminal() else PlainLines()


class ProgressLine:
    """Runs and batches done, and steps of the program under way in this process, as bars that go when they are done."""

    def __init__(self) -> None:
        self._progress: Progress | None = None
        self._runs: TaskID | None = None
        self._steps: TaskID | None = None
        self._loading: TaskID | None = None
        self._batches = 0
        self._pace = Pace()

    def loading(self) -> None:
        """Show that something is under way."""
        if self._progress is None:
            self._progress = self._begun()
            self._loading = self._progress.add_task("loading torch", total=None, unit="", left=None)

    def start(self, runs: int, batches: int, workers: int) -> None:
        """Show the line, or start it anew for another round."""
        self._batches = batches
        self._pace.start(runs)
        if self._progress is not None and self._runs is not None:
            self._progress.update(self._runs, total=runs, completed=0, unit=self._unit(0, workers))
            return
        self._progress = self._progress or self._begun()
        if self._loading is not None:
            self._progress.remove_task(self._loading)
        self._loading = self._steps = None
        self._runs = self._progress.add_task("runs", total=runs, unit=self._unit(0, workers), left=self._pace.left)

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way."""
        self._pace.stepped(done, steps, runs)
        if self._progress is None:
            return
        if self._steps is None:
            self._steps = self._progress.add_task("steps", total=steps, unit="", left=None)
        self._progress.update(self._steps, completed=done, total=steps, unit=f"{runs} runs fused")

    def ended(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""
        self._pace.ended(runs)
        if self._progress is not None and self._runs is not None:
            self._progress.update(self._runs, completed=runs, unit=self._unit(batches, workers))

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        if self._progress is None:
            say(text)
        else:
            self._progress.console.print(spelled_out(text), markup=False)

    def stop(self) -> None:
        """Take the line away."""
        if self._progress is not None:
            self._ended(self._progress)
        self._progress = self._runs = self._steps = self._loading = None

    def _begun(self) -> Progress:
        progress = _bars()
        progress.start()
        return progress

    def _ended(self, progress: Progress) -> None:
        progress.stop()

    def _unit(self, batches: int, workers: int) -> str:
        left = f"{batches} of {self._batches} batches"
        return f"{left}, {workers} workers" if workers > 1 else left


class NotebookBars(ProgressLine):
    """The same bars in a notebook, as rich shows them there; nothing of them is left in it when they are done."""

    def __init__(self) -> None:
        super().__init__()
        self._handle: Any = None
        self._last = 0.0

    def start(self, runs: int, batches: int, workers: int) -> None:
        """Show the bars, or start them anew for another round."""
        super().start(runs, batches, workers)
        self._show(now=True)

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way."""
        super().stepped(done, steps, runs)
        self._show()

    def ended(self, runs: int, batches: int, workers: int) -> None:
        """Runs and batches finished so far."""
        super().ended(runs, batches, workers)
        self._show()

    def say(self, text: str) -> None:
        """Print a line, as a cell does."""
        print(spelled_out(text))

    def _begun(self) -> Progress:
        return _bars(auto_refresh=False)

    def _ended(self, progress: Progress) -> None:
        if self._handle is not None:
            self._handle.update({"text/plain": ""}, raw=True)
            self._handle = None

    def _show(self, now: bool = False) -> None:
        if self._progress is None or (not now and time.monotonic() - self._last < SHOWN_EVERY):
            return
        from IPython.display import display

        self._last = time.monotonic()
        if self._handle is None:
            self._handle = display(self._progress, display_id=True)
        else:
            self._handle.update(self._progress)


class PlainLines:
    """A line now and then, for a file or a pipe."""

    def __init__(self) -> None:
        self._total = 0
        self._last = time.monotonic()

    def loading(self) -> None:
        """There is nothing to show of it."""

    def start(self, runs: int, batches: int, workers: int) -> None:
        """So many runs are to be trained."""
        self._total = runs

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps are not told: what ends is."""

    def ended(self, runs: int, batches: int, workers: int) -> None:
        """Runs finished so far: all of them, or some after a while."""
        if runs >= self._total > 1 or time.monotonic() - self._last > SAID_EVERY:
            self._last = time.monotonic()
            say(f"{runs} of {self._total} runs done")

    def say(self, text: str) -> None:
        """Print a line."""
        say(text)

    def stop(self) -> None:
        """Nothing is to be taken away."""


def _bars(auto_refresh: bool = True) -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, SpinnerColumn, Task, TextColumn
    from rich.text import Text

    class Times(ProgressColumn):
        """Seconds since the start and, of all runs, those that are left."""

        max_refresh = 0.5

        def render(self, task: Task) -> Text:
            """Both where they are known."""
            since = clock(task.elapsed or 0.0)
            left = task.fields["left"]() if task.fields["left"] else None
            return Text(since if left is None else f"{since}, {clock(left)} left")

    class Count(MofNCompleteColumn):
        """How many of how many, where that is known."""

        def render(self, task: Task) -> Text:
            """Nothing of what is only under way."""
            return Text("") if task.total is None else super().render(task)

    console = Console(stderr=True, highlight=False, soft_wrap=True)
    return Progress(
        SpinnerColumn("line"),
        TextColumn("{task.description}"),
        BarColumn(bar_width=max(6, min(24, console.width - 62))),
        Count(),
        Times(),
        TextColumn("{task.fields[unit]}"),
        console=console,
        auto_refresh=auto_refresh,
        transient=True,
    )
