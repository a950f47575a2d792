"""Ctrl-C and SIGTERM: finish what must be finished, then stop; a second signal stops at once."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any


class Stopped(BaseException):
    """The user asked to stop; what was done is kept.

    Attributes:
        number: The signal's number.
        kept: What was kept and how to go on, to be told; None where nothing was.
    """

    def __init__(self, number: int) -> None:
        self.number = number
        self.kept: str | None = None
        super().__init__(signal.Signals(number).name)

    @property
    def exit_code(self) -> int:
        """130 for SIGINT, 143 for SIGTERM."""
        return 128 + self.number

    def for_program(self) -> BaseException:
        """What a program that called us, or a notebook, gets instead, once the signals are its own again.

        Ctrl-C is Python's, with what was kept; any other signal goes to whoever had it before.
        """
        if self.number == signal.SIGINT:
            return KeyboardInterrupt(self.kept or "nothing was kept")
        signal.raise_signal(self.number)
        return SystemExit(self.exit_code)


_taken: list[StopSignals] = []


def _give_back_in_child() -> None:
    """A process that the user's code forks ends on SIGTERM, as it would elsewhere: `Pool.terminate()` waits for that.

    SIGINT stays ours there: a Ctrl-C goes to the whole group, and what a batch reads from must outlive its last step.
    """
    for stop in _taken:
        stop.give_back(but=signal.SIGINT)


class StopSignals:
    """Turns SIGINT, SIGTERM and SIGHUP into one polite request while a sweep runs.

    While :meth:`interruptible` is entered the first signal raises :class:`Stopped` there; elsewhere it is noted, for
    whoever asks :meth:`asked` or calls :meth:`check`. A second signal ends the process at once: the store's
    transactions and the checkpoints are whole or absent, whatever happens.

    Args:
        is_command: Whether the process is the command's own; another one gets its second Ctrl-C as Python has it.
    """

    def __init__(self, is_command: bool = True) -> None:
        self._is_command = is_command
        self.number: int | None = None
        self._raises = False
        self._before: dict[int, Any] = {}

    def take(self) -> None:
        """Take the signals, where this is the thread that gets them."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                self._before[number] = signal.signal(number, self._received)
            _taken.append(self)

    def give_back(self, error: BaseException | None = None, but: int | None = None) -> None:
        """Give them back to who had them, but one where that is said."""
        for number, handler in self._before.items():
            if number != but:
                signal.signal(number, handler)
        if but is None and self in _taken:
            _taken.remove(self)

    def asked(self) -> bool:
        """Whether a signal came."""
        return self.number is not None

    def check(self) -> None:
        """Stop here if a signal came.

        Raises:
            Stopped: One did.
        """
        if self.number is not None:
            raise Stopped(self.number)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """A wait that a signal may cut short."""
        self.check()
        self._raises = True
        try:
            yield
        finally:
            self._raises = False

    def _received(self, number: int, frame: FrameType | None) -> None:
        if self.number is not None:
            if number == signal.SIGINT and not self._is_command:
                raise KeyboardInterrupt
            os._exit(128 + number)
        self.number = number
        if self._raises:
            self._raises = False
            raise Stopped(number)


os.register_at_fork(after_in_child=_give_back_in_child)
