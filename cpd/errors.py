"""The errors a user sees: one line saying where, what, and how to fix it."""

import difflib
from collections.abc import Callable, Iterable


class CpdError(Exception):
    """Bad usage or bad input, reported as one line and exit code 2.

    Args:
        message: What is wrong, with the offending value as the user typed it.
        place: Where, as the user knows it, e.g. ``"tasks/rate.yaml: methods.penalized.coefficient"``.
        hint: The fix, e.g. the valid choices.
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


def _rebuild(kind: type[CpdError], message: str, place: str | None, hint: str | None) -> CpdError:
    return kind(message, place=place, hint=hint)


def closest(name: str, choices: Iterable[str]) -> str:
    """Name the valid choices, the closest one first if there is one.

    Returns:
        ``"did you mean 'coefficient'? Valid: coefficient, growth"`` or ``"valid: coefficient, growth"``.
    """
    names = [str(choice) for choice in choices]
    near = difflib.get_close_matches(str(name), names, n=1, cutoff=0.6)
    listed = ", ".join(names) if names else "none"
    return f"did you mean '{near[0]}'? Valid: {listed}" if near else f"valid: {listed}"
