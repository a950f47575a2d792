"""Leave what was entered, whatever goes wrong on the way out."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType

Close = Callable[[BaseException | None], object]
"""Closes something; it is told the first error under way."""


class Closers:
    """Closes what was opened, the last first; each is closed whatever another raises, and the first error is raised.

    An ``ExitStack`` would raise the last: why the workers could not be closed, instead of why a sweep failed.
    """

    def __init__(self) -> None:
        self._closers: list[Close] = []

    def add(self, close: Close) -> None:
        """Call this on leaving, before all that were added earlier."""
        self._closers.append(close)

    def __enter__(self) -> Closers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        first = error
        for close in reversed(self._closers):
            try:
                close(first)
            except BaseException as failure:
                first = failure if first is None else first
        if first is not None and first is not error:
            raise first
