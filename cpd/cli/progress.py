"""Show the user how a command gets on: progress and messages on stderr, a search's iterations on stdout."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from cpd.cli.streams import closed
from cpd.run.watching import Watcher
from cpd.views.progress import ProgressLine, on_terminal

if TYPE_CHECKING:
    from cpd.verdict.document import Document, Iteration
    from cpd.views.tables.search import IterationPrinter


class ConsoleSink(Watcher):
    """A sink that shows a command under way: one progress line where stderr is a terminal, short messages otherwise.

    Args:
        quiet: Show failures only.
        iterations: Where each iteration of a search is printed as it ends; None for nowhere.
        wide: Whether with all columns, however wide the terminal is.
    """

    is_command = True

    def __init__(self, quiet: bool = False, iterations: TextIO | None = None, wide: bool = False) -> None:
        super().__init__(ProgressLine() if on_terminal() and not quiet else None, quiet)
        self.iterations = iterations
        self.wide = wide
        self._printer: IterationPrinter | None = None

    def __enter__(self) -> ConsoleSink:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(error)

    def _search(self) -> None:
        """Set up the lines of a search."""
        super()._search()
        if self.iterations is not None:
            from cpd.views.tables.search import IterationPrinter

            self._printer = IterationPrinter(self.iterations, wide=self.wide)

    def _iteration(self, iteration: Iteration, document: Document) -> None:
        """Print an iteration of a search as it ends."""
        self._hide()
        if self._printer is None or self.iterations is None:
            return
        try:
            self._printer(document, iteration["iteration"] - 1)
            self.iterations.flush()
        except (BrokenPipeError, SystemExit) as error:  # rich would end the process
            if not closed(error):
                raise
            self.iterations = None  # whoever read has seen enough; the search goes on into the store
