"""The trackers that ``--log`` names: made, and told as one."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from cpd.errors import CpdError, closest
from cpd.trackers import Plain, TensorBoard, Tracker

FORM = "tensorboard:DIR or package.module:Class"


class Named(NamedTuple):
    """A tracker by what the user knows it as.

    Attributes:
        is_own: Whether it is an object of the user's program, which prints where that does.
    """

    name: str
    tracker: Tracker
    is_own: bool = False


class Trackers(Tracker):
    """Several trackers as one; one that raises is told nothing more.

    Args:
        named: Each with what the user wrote of it.
        say: Shows one line to the user.
    """

    def __init__(self, named: Sequence[Named], say: Callable[[str], None]) -> None:
        self._named = list(named)
        self._say = say

    @property
    def active(self) -> bool:
        """Whether anyone listens."""
        return bool(self._named)

    def sweep_start(self, sweep: Plain) -> None:
        """Tell all."""
        self._tell("sweep_start", sweep)

    def run_start(self, run: Plain) -> None:
        """Tell all."""
        self._tell("run_start", run)

    def points(self, run: Plain, points: Plain) -> None:
        """Tell all."""
        self._tell("points", run, points)

    def run_end(self, run: Plain) -> None:
        """Tell all."""
        self._tell("run_end", run)

    def sweep_end(self, document: Plain) -> None:
        """Tell all."""
        self._tell("sweep_end", document)

    def _tell(self, what: str, *values: Plain) -> None:
        for named in list(self._named):
            try:
                with nullcontext() if named.is_own else redirect_stdout(sys.stderr):  # a command's stdout is for data
                    getattr(named.tracker, what)(*values)
            except (Exception, SystemExit) as error:
                self._named = [other for other in self._named if other is not named]
                self._say(failure(named.name, what, error))


def failure(name: str, what: str, error: BaseException) -> str:
    """One line on a tracker that raised."""
    first = next(iter(str(error).splitlines()), "")
    said = f"{type(error).__name__}: {first}" if first else type(error).__name__
    return f"{name}: {what} raised {said}; it is told nothing more, the sweep goes on"


def open_trackers(texts: Sequence[str], say: Callable[[str], None], callbacks: Sequence[Tracker] = ()) -> Trackers:
    """Make the trackers that the user asked for.

    Args:
        texts: Each ``tensorboard:DIR`` or ``package.module:Class``; modules in the current folder are found too.
        say: Shows one line to the user, e.g. that a tracker's constructor raised, so that it is left out.
        callbacks: Further ones, which the user's program has made.

    Raises:
        CpdError: Another form, no such module or class, not a :class:`Tracker`, or tensorboard is not installed.
    """
    named = []
    for text in texts:
        make = _maker(text)
        try:
            with redirect_stdout(sys.stderr):
                named.append(Named(f"--log {text}", make()))
        except CpdError:
            raise
        except (Exception, SystemExit) as error:
            say(failure(f"--log {text}", "making it", error))
    own = [Named(f"callbacks: {type(tracker).__name__}", tracker, is_own=True) for tracker in callbacks]
    return Trackers([*named, *own], say)


def _maker(text: str) -> Callable[[], Tracker]:
    head, colon, rest = text.partition(":")
    if head == "tensorboard" and rest:
        return lambda: TensorBoard(rest)
    named = all(part.isidentifier() for part in head.split(".")) and rest.isidentifier()
    if not colon or not named:
        raise CpdError(f"expected {FORM}, got '{text}'", place="--log")
    return _class(text, head, rest)


def _class(text: str, module_name: str, class_name: str) -> type[Tracker]:
    with _current_folder():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            message = f"'{module_name}' cannot be imported: {type(error).__name__}: {error}"
            raise CpdError(
                message, place=f"--log {text}", hint="install it, or put it in the current folder"
            ) from error
    found = getattr(module, class_name, None)
    if found is None:
        trackers = [name for name, value in vars(module).items() if _is_tracker(value) and value is not Tracker]
        hint = closest(class_name, trackers)
        raise CpdError(f"no class '{class_name}' in '{module_name}'", place=f"--log {text}", hint=hint)
    if not _is_tracker(found):
        hint = "derive it from cpd.trackers.Tracker"
        raise CpdError(f"'{class_name}' is not a tracker", place=f"--log {text}", hint=hint)
    tracker: type[Tracker] = found
    return tracker


def _is_tracker(value: Any) -> bool:
    return isinstance(value, type) and issubclass(value, Tracker)


@contextmanager
def _current_folder() -> Iterator[None]:
    """Look for modules in the current folder too, after all other places: the ``cpd`` command does not."""
    folder = str(Path.cwd())
    sys.path.append(folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
