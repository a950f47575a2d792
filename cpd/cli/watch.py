"""``cpd watch``: a sweep seen live in another terminal, from the store alone."""

import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from cpd.cli.console import failure_line, say
from cpd.cli.options import Store
from cpd.cli.stored import SweepArgument
from cpd.views.printable import spelled_out

if TYPE_CHECKING:
    from rich.console import Console

    from cpd.store.records import StoredSweep

app = typer.Typer()

SHARE_READING = 5
"""A look that took long is followed by a pause at least this many times as long: a large sweep is read less often."""

FAILURES_SHOWN = 8
"""The newest failures that a terminal shows; plain lines show all."""


class View(NamedTuple):
    """A sweep at one moment.

    Attributes:
        heading: What runs, and since when.
        progress: Runs done of those planned, by status.
        verdicts: The current best of each method.
        failures: One line each, in the sweep's order.
        ending: When it ended, or that it has not.
        done: Share of the planned runs that are done, 0 to 1.
        ended: Whether nothing more will come.
    """

    heading: str
    progress: str
    verdicts: list[str]
    failures: list[str]
    ending: str
    done: float
    ended: bool

    def lines(self, most: int | None = None) -> list[str]:
        """All of it as lines, with at most so many failures."""
        shown = self.failures if most is None else self.failures[-most:]
        more = len(self.failures) - len(shown)
        failures = [f"{more} earlier failures", *shown] if more else shown
        return [self.heading, self.progress, *self.verdicts, *failures, self.ending]


@app.command(short_help="See a sweep live, from another terminal.")
def watch(
    sweep: SweepArgument = "last",
    *,
    once: Annotated[bool, typer.Option("--once", help="Print the present state and leave.")] = False,
    every: Annotated[float, typer.Option(help="Seconds between two looks at the store.", min=0.1)] = 1.0,
    store: Store = None,
) -> None:
    """See a sweep live, from another terminal: progress, the best so far of each method, failures.

    It reads the store only, until the sweep has ended or Ctrl-C.

    Example: cpd watch --every 5
    """
    if not once:
        _wait(store, every)
    views = _looks(sweep, store, every)
    if once:
        print("\n".join(next(views).lines()))
        return
    from rich.console import Console

    console = Console(highlight=False, markup=False, emoji=False)
    (_draw if console.is_terminal else _print)(views, console)


def view(found: "StoredSweep", running: bool) -> View:
    """See what a stored sweep comes to at this moment; ``running`` is whether somebody works on it."""
    from cpd.results import history
    from cpd.views.tables.headline import verdict_sentences
    from cpd.views.tables.names import readable

    info, result = found.info, history.result(found)
    done = info.completed + info.diverged + info.failed
    unended = "runs still" if running else "was stopped before its end"
    return View(
        heading=f"{info.id}: {_asked(found)}, started {_moment(info.started)}",
        progress=_progress(found, done),
        verdicts=verdict_sentences(readable(result.document)) if result.finished else [],
        failures=[spelled_out(failure_line(run)).replace("\n", " ") for run in result.failures],
        ending=f"ended {_moment(info.ended)}" if info.ended else unended,
        done=done / info.runs if info.runs else 0.0,
        ended=info.ended is not None or not running,
    )


def _asked(found: "StoredSweep") -> str:
    line = found.record.command_line or f"{found.info.command} {found.info.task}"
    return spelled_out(" ".join(line.split()))


def _moment(written: str) -> str:
    """``2026-01-31T14:25:30.123+00:00`` as ``2026-01-31 14:25:30 UTC``."""
    return f"{written[:10]} {written[11:19]} UTC"


def _progress(found: "StoredSweep", done: int) -> str:
    info = found.info
    planned = f"{done} of {info.runs} runs done" if info.ended or not found.record.spec.get("search") else ""
    counts = f"{info.completed} completed, {info.diverged} diverged, {info.failed} failed"
    known = f"; {found.found} were in the store" if found.found else ""
    return f"{planned or f'{done} runs done so far'}: {counts}{known}"


def _wait(store: str | None, every: float) -> None:
    """Wait for the first sweep of a store that has none yet, or is not there yet."""
    from cpd.store.store import default_path, open_store

    path = default_path() if store is None else Path(store)
    said = False
    while not (path.exists() and path.stat().st_size and _any_sweep(open_store(path, "read"))):
        if not said:
            say(f"no sweep in {path} yet: waiting for one (Ctrl-C to leave)")
            said = True
        time.sleep(every)


def _any_sweep(opened: Any) -> bool:
    with opened:
        return bool(opened.sweeps())


def _looks(sweep: str, store: str | None, every: float) -> Iterator[View]:
    """The sweep now, and again whenever it has changed, until it has ended."""
    from cpd.store.store import open_store

    known: Any = None
    with open_store(store, "read") as opened:
        name = opened.resolve(sweep)
    while True:
        before = time.monotonic()
        with open_store(store, "read") as opened:
            running = opened.is_running(name)  # asked first: who ends in between is seen to have ended
            now = (opened.info(name), running)
            found = opened.load(name, curves=True) if now != known else None  # the diagnoses look at curves
        if found is not None:
            known = (found.info, running)
            seen = view(found, running)
            yield seen
            if seen.ended:
                return
        time.sleep(max(every, SHARE_READING * (time.monotonic() - before)))


def _print(views: Iterator[View], console: "Console") -> None:
    """Print what is new, line by line."""
    printed: list[str] = []
    for seen in views:
        lines = seen.lines()
        for line in lines:
            if line not in printed:
                print(line)
        sys.stdout.flush()
        printed = lines


def _draw(views: Iterator[View], console: "Console") -> None:
    """Draw each view over the one before."""
    from rich.console import Group
    from rich.live import Live
    from rich.padding import Padding
    from rich.progress_bar import ProgressBar
    from rich.text import Text

    with Live(console=console, auto_refresh=False) as live:
        for seen in views:
            heading, progress, *others = map(Text, seen.lines(FAILURES_SHOWN))
            bar = ProgressBar(total=1.0, completed=seen.done, width=min(60, console.width))
            live.update(Group(heading, Padding(bar), progress, *others), refresh=True)  # padding ends its line
