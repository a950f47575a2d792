"""How long a command still takes, from what it has done: whole batches, and steps of the one under way."""

from __future__ import annotations

import time
from collections.abc import Callable


class Pace:
    """Estimates the seconds that are left.

    The first program may be compiled after its first step, which none of the later ones is: its time counts from its
    second report on, and as soon as two batches have ended, from the end of the first.

    Args:
        clock: Tells the seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self.start(0)

    def start(self, total: int) -> None:
        """So many runs are to be done, none of them yet."""
        self._total = total
        self._ended = 0
        self._within = 0.0  # runs of the batch under way whose programs have ended
        self._program = 0.0  # runs of the program under way
        self._current = 0.0  # of the program under way, in runs
        self._reports = 0  # of the program under way
        self._moved = self._took = 0.0
        self._began = self._last = self._clock()
        self._first_end: tuple[float, int] | None = None

    def stepped(self, done: int, steps: int, runs: int) -> None:
        """Steps of the program under way."""
        now, current = self._clock(), runs * done / max(1, steps)
        if current < self._current:
            self._within += self._program
            self._reports = 0
        elif self._reports > 1:
            self._moved += current - self._current
            self._took += now - self._last
        self._program, self._current, self._last = float(runs), current, now
        self._reports += 1

    def ended(self, runs: int) -> None:
        """So many runs have ended."""
        now = self._clock()
        if self._first_end is None and runs:
            self._first_end = (now, runs)
        self._ended, self._within, self._current, self._reports, self._last = runs, 0.0, 0.0, 0, now

    def left(self) -> float | None:
        """Seconds; None where nothing tells."""
        rate = self._rate()
        if rate is None or not self._total:
            return None
        todo = max(0.0, self._total - min(self._total, self._done))
        return max(0.0, todo / rate - (self._clock() - self._last))

    @property
    def _done(self) -> float:
        return self._ended + self._within + self._current

    def _rate(self) -> float | None:
        """Runs a second."""
        if self._first_end is not None:
            when, many = self._first_end
            if self._ended > many and self._last > when:
                return (self._done - many) / (self._last - when)
        if self._moved > 0 and self._took > 0:
            return self._moved / self._took
        taken = self._last - self._began
        return self._ended / taken if self._ended and taken > 0 else None


def clock(seconds: float) -> str:
    """``0:01:05``; days as hours."""
    whole = round(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"
