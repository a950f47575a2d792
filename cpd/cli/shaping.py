"""The options that shape tables, for commands that train nothing; see :class:`cpd.cli.tables.Shaping`."""

from __future__ import annotations

import functools
import inspect
import typing
from collections.abc import Callable
from typing import Any

from cpd.cli.options import parameters_of, read_options
from cpd.cli.tables import Shaping

__all__ = ["Shaping", "options"]


def options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options that shape its tables; it receives them as ``shaping: Shaping``."""
    own = inspect.signature(command)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        shaping = read_options(Shaping, values)
        shaping.check(values["form"])
        command(**values, shaping=shaping)

    hints = typing.get_type_hints(command, include_extras=True)
    kept = [p.replace(annotation=hints[n]) for n, p in own.parameters.items() if n != "shaping"]
    parameters = [*kept, *parameters_of(Shaping)]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del wrapper.__wrapped__
    return wrapper
