"""Who watches a command from Python: the bar, and the user's own trackers."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cpd.errors import CpdError
from cpd.run.events import (
    BatchEnded,
    Event,
    IterationEnded,
    Noted,
    Planned,
    RunsEnded,
    SearchBegun,
    Sink,
    Stepped,
    TaskRead,
    WorkersReady,
)
from cpd.spec.models import Task
from cpd.trackers import Tracker
from cpd.verdict.document import Document, Iteration
from cpd.verdict.searching import searched_name
from cpd.views.messages import failure_line, say
from cpd.views.printable import one_line
from cpd.views.progress import Shown, in_notebook, on_terminal, shown_here
from cpd.views.tables.numbers import number


class Watcher:
    """A sink that shows a command under way: how far it is, notes, and runs that fail.

    Args:
        shown: Shows how far it is; None where messages alone are shown.
        quiet: Show failures only.
    """

    is_command = False
    """Whether the process is this command's own: a signal that stops the command ends it."""

    def __init__(self, shown: Shown | None, quiet: bool = False) -> None:
        self.quiet = quiet
        self._shown = shown
        self._searches = False
        self._found = 0
        self._plan: Planned | None = None
        self._notes: set[str] = set()

    def __call__(self, event: Event) -> None:
        """Show an event, if it is one to be shown."""
        match event:
            case TaskRead(task) if "torch" not in sys.modules and not self.quiet:
                self._read(task)
            case SearchBegun():
                self._search()
            case Planned():
                self._plan = event
            case WorkersReady(batches, workers) if self._plan is not None:
                self._start(self._plan, batches, workers)
            case Stepped(done, steps, runs) if self._shown is not None:
                self._shown.stepped(done, steps, runs)
            case BatchEnded(runs, batches, workers) if self._shown is not None:
                self._shown.ended(runs, batches, workers)
            case RunsEnded():
                for run in event.failed:
                    self._say(failure_line(run))
            case Noted(text):
                self._note(text)
            case IterationEnded(iteration, document):
                self._iteration(iteration, document)

    def close(self, error: BaseException | None = None) -> None:
        """Take away what shows how far it is."""
        self._hide()
        if self._searches and self._found and not self.quiet:
            self._say(f"{self._found} of these trainings found in the store")

    def _read(self, task: Task) -> None:
        """Say what is to come while torch is loaded, which takes seconds."""
        if self._shown is None:
            return
        if not in_notebook():  # somebody waits at a terminal
            self._say(announced(task))
        self._shown.loading()

    def _start(self, plan: Planned, batches: int, workers: int) -> None:
        """Say how many runs there are and how many the store had."""
        total, found = len(plan.keys), len(plan.found)
        self._found += found
        if found and not self.quiet and not self._searches:
            self._say(f"{found} of {total} runs found in the store, {total - found} to do")
        if self._shown is not None and total > found:
            self._shown.start(total - found, batches, workers)

    def _note(self, text: str) -> None:
        """Show a message, each only once."""
        if text not in self._notes and not self.quiet:
            self._notes.add(text)
            self._say(f"note: {text}")

    def _search(self) -> None:
        """A search begins."""
        self._searches = True

    def _iteration(self, iteration: Iteration, document: Document) -> None:
        """Say a line about an iteration of a search."""
        name = one_line(document["search"]["constraint"])
        searched = one_line(searched_name(document["search"]))
        found = f"{searched} {number(iteration['coefficient'], 6)}, {name} {number(iteration['value'])}"
        if "worst" in iteration:
            far = number(iteration.get("distance"), 3)
            found = f"worst {one_line(iteration['worst'])}, {far} tolerances from its target"
        if not self.quiet:
            self._say(f"iteration {iteration['iteration']}: {found}")

    def _hide(self) -> None:
        if self._shown is not None:
            self._shown.stop()

    def _say(self, text: str) -> None:
        (say if self._shown is None else self._shown.say)(text)


def announced(task: Task) -> str:
    """What is to be trained, in a line."""
    train, trains = task.train, task.program is None
    each = f"{train.steps:,} steps" if train.steps is not None else f"{train.epochs:g} epochs"
    if task.search is not None:
        most = f"at most {task.search.max_trainings} coefficients{f', {each} each' * trains}"
        if task.search.is_several:
            many = len(task.search.targets)
            return one_line(f"{task.name}: search for one coefficient of each of {many} constraints, {most}")
        return one_line(f"{task.name}: search for {task.search.constraint} {number(task.search.target)}, {most}")
    if task.budget is not None:
        trainings = f"{task.budget.trainings:,} {'training' if task.budget.trainings == 1 else 'trainings'}"
        counts = f"{trainings}{f' of {each}' * trains} for each method and seed, chosen by {task.budget.sampler}"
        return one_line(f"{task.name}: {', '.join(task.methods)}; {counts}")
    axes = (task.seeds, *task.levels.values(), *task.grids.values())
    runs = {name: len(settings) * math.prod(map(len, axes)) for name, settings in task.methods.items()}
    of_each = ", ".join(f"{count:,} {name}" for name, count in runs.items())
    total = sum(runs.values())
    return one_line(f"{task.name}: {total:,} {'run' if total == 1 else 'runs'}{f' of {each}' * trains}: {of_each}")


@dataclass(frozen=True)
class Listening:
    """Everybody who listens to a command, as one sink.

    Attributes:
        sinks: Told in their order.
        watcher: The one of them that shows how far it is.
        callbacks: Trackers that are told what ``--log``'s are.
        is_command: Whether the process is the command's own, and no user's program or notebook.
    """

    sinks: tuple[Sink, ...]
    watcher: Watcher | None = None
    callbacks: tuple[Tracker, ...] = ()
    is_command: bool = False

    def __call__(self, event: Event, /) -> None:
        """Tell all."""
        for sink in self.sinks:
            sink(event)

    def warn(self, text: str) -> None:
        """Say a line that must be seen, where notes are not shown."""
        if self.watcher is None and not self.is_command:
            say(text)

    def close(self, error: BaseException | None = None) -> None:
        """Take away what shows how far it is."""
        if self.watcher is not None:
            self.watcher.close(error)


def listening(
    progress: bool | None = None, callbacks: Sequence[Tracker] | Tracker = (), listener: Sink | None = None
) -> Listening:
    """Everybody who listens to a command that is called from Python.

    Args:
        progress: Whether to show how far it is, notes and failures: bars in a terminal and in a notebook, lines
            elsewhere. Default: in a terminal and in a notebook, where there is no listener.
        callbacks: Trackers.
        listener: Told of every event.

    Raises:
        CpdError: A callback that is no tracker, or ``progress`` that is neither true nor false.
    """
    told = _trackers(callbacks)
    if isinstance(listener, Listening):
        return listener
    if progress not in (None, True, False):
        raise CpdError(f"expected True, False or None, got {progress!r}", place="progress")
    shows = (listener is None and (in_notebook() or on_terminal())) if progress is None else bool(progress)
    watcher = Watcher(shown_here()) if shows else None
    sinks = tuple(sink for sink in (listener, watcher) if sink is not None)
    return Listening(sinks, watcher, told, getattr(listener, "is_command", False))


def _trackers(callbacks: Any) -> tuple[Tracker, ...]:
    """The callbacks, one or several, as trackers."""
    if isinstance(callbacks, Tracker):
        return (callbacks,)
    if isinstance(callbacks, type) or not hasattr(callbacks, "__iter__"):
        callbacks = [callbacks]
    found = tuple(callbacks)
    for one in found:
        if isinstance(one, type) and issubclass(one, Tracker):
            hint = f"make an object of it: {one.__name__}()"
            raise CpdError(f"'{one.__name__}' is a class", place="callbacks", hint=hint)
        if not isinstance(one, Tracker):
            name = getattr(one, "__name__", type(one).__name__)
            hint = "derive a class from cpd.Tracker and give an object of it"
            raise CpdError(f"'{name}' is not a tracker", place="callbacks", hint=hint)
    return found
