"""The errors a user sees: one line saying where, what, and how to fix it."""

import difflib
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

SURE = 0.7
"""Share of letters from which two words are taken for one whatever they begin with."""


class CpdError(Exception):
    """Bad usage or bad input, reported as one line and exit code 2.

    Args:
        message: What is wrong, with the offending value as the user typed it.
        place: Where, as the user knows it, e.g. ``"tasks/rate.yaml: methods.penalized.coefficient"``.
        hint: The fix, e.g. the valid choices.

    Example:
        >>> try:
        ...     cpd.sweep(**line, seeds=[])
        ... except cpd.CpdError as error:
        ...     print(error.place)
        cpd.sweep(): seeds
    """

    exit_code = 2

    def __init__(self, message: str, *, place: str | None = None, hint: str | None = None) -> None:
        self.message = message
        self.place = place
        self.hint = hint
        super().__init__(message)

    def __str__(self) -> str:
        """``place: message; hint`` on one line."""
        line = f"{self.place}: {self.message}" if self.place else self.message
        return f"{line}; {self.hint}" if self.hint else line

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows instead of a traceback: the code of the user's that raised, if any, and the line."""
        own = str(getattr(self, "traceback", "")).rstrip()
        return [*own.splitlines(), f"{type(self).__name__}: {self}"]

    def __reduce__(self) -> tuple[object, ...]:
        """Errors cross process borders, keyword arguments included."""
        return (_rebuild, (type(self), self.message, self.place, self.hint))


class StoreError(CpdError):
    """The store of runs cannot be read or written: exit code 4."""

    exit_code = 4


class DeviceError(CpdError):
    """A device that this machine does not have: exit code 2."""


class SpecError(CpdError):
    """A value of the spec that only its use shows to be wrong; its place is the key alone, e.g. ``"arguments.x"``."""

    def located(self, at: Callable[[str], str]) -> CpdError:
        """The same error at the file or option that has the key."""
        return CpdError(self.message, place=at(self.place or ""), hint=self.hint)


class UserCodeRaised(CpdError):
    """The user's own code raised.

    Attributes:
        traceback: As text.
    """

    traceback: str


def _rebuild(kind: type[CpdError], message: str, place: str | None, hint: str | None) -> CpdError:
    return kind(message, place=place, hint=hint)


def closest(name: str, choices: Iterable[str]) -> str:
    """Name the valid choices, the closest one first if there is one.

    Returns:
        ``"did you mean 'coefficient'? Valid: coefficient, growth"`` or ``"valid: coefficient, growth"``.
    """
    names = [str(choice) for choice in choices]
    near = nearest(str(name), names)
    listed = ", ".join(names) if names else "none"
    return f"did you mean '{near}'? Valid: {listed}" if near else f"valid: {listed}"


def last_line(traceback: str) -> str:
    """What a traceback ends with: the exception and its message."""
    return traceback.strip().splitlines()[-1]


def nearest(name: str, choices: Iterable[str]) -> str | None:
    """The choice that a name is a slip of, if any: most of its letters, and its first one where there are fewer."""
    for near in difflib.get_close_matches(name, list(choices), n=3, cutoff=0.6):
        if name[:1].lower() == near[:1].lower() or difflib.SequenceMatcher(None, near, name).ratio() >= SURE:
            return near
    return None


def install(*packages: str) -> str:
    """The command that installs packages for the Python that runs cpd: cpd itself may be on no index."""
    from importlib.metadata import PackageNotFoundError, distribution
    from shutil import which

    names = shlex.join(packages)
    own = os.path.realpath(os.path.dirname(sys.executable))
    if (first := which("pip")) is not None and os.path.realpath(os.path.dirname(first)) == own:
        return f"pip install {names}"
    python = shlex.quote(sys.executable)
    try:
        distribution("pip")  # not find_spec("pip"), at which setuptools takes its distutils away from torch's compiler
    except PackageNotFoundError:
        return f"uv pip install --python {python} {names}"
    return f"{python} -m pip install {names}"


@contextmanager
def options_as_arguments(call: str) -> Iterator[None]:
    """Errors of the command line's options, as they are told in Python: ``--kind`` is the argument ``kind`` of a call.

    Args:
        call: As the user knows it, e.g. ``"result.plot()"``.
    """
    try:
        yield
    except CpdError as error:
        if error.place is not None and error.place.startswith("--"):
            error.place = f"{call}: {_as_argument(error.place)}"
        error.hint = error.hint and _as_argument(error.hint)
        raise


def _as_argument(text: str) -> str:
    text = text.replace("cpd sweep TASK --keep-models all", 'cpd.sweep(TASK, keep_models="all")')
    text = text.replace("--keep-models all", 'keep_models="all"')
    return re.sub(r"(?<![\w-])--([a-z][a-z-]*)", lambda found: found[1].replace("-", "_"), text)
