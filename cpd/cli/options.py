"""The options of the training commands, made of the dataclasses that declare them."""

from __future__ import annotations

import functools
import inspect
import shlex
import sys
import typing
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Annotated, Any, Literal, NamedTuple, TypeVar

import typer

from cpd.cli.streams import hush
from cpd.run.options import Options
from cpd.spec.option import Option
from cpd.spec.overrides import Overrides

Form = Literal["table", "json", "csv", "markdown", "latex"]
"""How data is printed."""


def _columns(text: str) -> tuple[str, ...]:
    from cpd.views.tables.certificates import read_columns

    return read_columns(text)


@dataclass(frozen=True)
class Output:
    """How a command shows what it came to."""

    plot: Annotated[str | None, Option("Draw the result into this .png, .svg or .pdf.")] = None
    form: Annotated[Form, Option("How to print the data.", ("--format", "-f"))] = "table"
    quiet: Annotated[bool, Option("No progress and no notes on stderr.", ("--quiet", "-q"))] = False
    columns: Annotated[
        tuple[str, ...],
        Option(
            "Further columns of the tables, with commas between them: kkt, the residuals of optimality.", read=_columns
        ),
    ] = ()


class Shared(NamedTuple):
    """The options that a training command has besides its own."""

    overrides: Overrides
    options: Options
    output: Output


SHARED: tuple[type[Any], ...] = (Overrides, Options, Output)
"""The dataclasses whose fields are options of every training command."""

T = TypeVar("T")


def declared(kind: type[Any]) -> Iterator[tuple[str, Any, Option, Any]]:
    """Name, type, option and default of each field of a dataclass that is an option."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        for option in getattr(hints[field.name], "__metadata__", ()):
            yield field.name, hints[field.name].__origin__, option, field.default


def typed(kind: type[Any], name: str) -> Any:
    """One field's option in typer's words."""
    return next(_typer(option) for field, _, option, _ in declared(kind) if field == name)


def _typer(option: Option) -> Any:
    return typer.Option(*option.names, help=option.help, min=option.least)


Store = Annotated[str | None, typed(Options, "store")]
Format = Annotated[Form, typed(Output, "form")]
Columns = Annotated[str | None, typed(Output, "columns")]


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it receives them as ``shared: Shared``."""
    own = inspect.signature(command)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        shared = Shared(*(_read(kind, values) for kind in SHARED))
        if shared.output.quiet:
            hush()
        if shared.output.plot:
            _check_plot(shared.output.plot)
        typed_in = shlex.join(["cpd", *sys.argv[1:]])
        command(**values, shared=shared._replace(options=replace(shared.options, command_line=typed_in)))

    hints = typing.get_type_hints(command, include_extras=True)
    kept = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[n]) for n, p in own.parameters.items() if n != "shared"]
    parameters = [*kept, *(parameter for kind in SHARED for parameter in _parameters(kind))]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del wrapper.__wrapped__
    return wrapper


def _parameters(kind: type[Any]) -> Iterator[inspect.Parameter]:
    """A dataclass's options as parameters of a command."""
    for name, hint, option, default in declared(kind):
        if option.read is not None:
            hint, default = str | None, None
        elif typing.get_origin(hint) is tuple:
            hint, default = list[str] | None, None
        elif default is True:
            default = False
        annotation = Annotated[hint, _typer(option)]  # type: ignore[valid-type]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def _read(kind: type[T], values: dict[str, Any]) -> T:
    """Take a dataclass's options out of what was typed."""
    given = {}
    for name, hint, option, default in declared(kind):
        value = values.pop(name)
        if option.read is not None:
            given[name] = default if value is None else option.read(value)
        elif typing.get_origin(hint) is tuple:
            given[name] = tuple(value or ())
        else:
            given[name] = not value if default is True else value
    return kind(**given)


def _check_plot(to: str) -> None:
    """See before hours of training what would keep a picture from being drawn after them."""
    from pathlib import Path

    from cpd.views.plots.draw import check_file

    check_file(Path(to), "--plot")
