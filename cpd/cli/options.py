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

from cpd.cli.completing import COMPLETED
from cpd.cli.help import choices
from cpd.cli.streams import hush
from cpd.cli.tables import Shaping
from cpd.run.options import Options
from cpd.spec.option import OUTPUT, TRAIN, WHERE, Option
from cpd.spec.overrides import Overrides

Form = Literal["table", "json", "csv", "markdown", "latex"]
"""How data is printed."""


@dataclass(frozen=True)
class Output:
    """How a command shows what it came to."""

    plot: Annotated[str | None, Option("Draw the result into this .png, .svg or .pdf.", metavar="FILE")] = None
    form: Annotated[Form, Option("How to print the data.", ("--format", "-f"))] = "table"
    quiet: Annotated[bool, Option("No progress and no notes on stderr.", ("--quiet", "-q"))] = False
    dry_run: Annotated[
        bool,
        Option(
            "Say what would train, how much of it is stored already and how long it would take; train nothing.",
            ("--dry-run",),
            group=TRAIN,
        ),
    ] = False


class Shared(NamedTuple):
    """The options that a training command has besides its own."""

    overrides: Overrides
    options: Options
    output: Output
    shaping: Shaping


SHARED: tuple[type[Any], ...] = (Overrides, Options, Output, Shaping)
"""The dataclasses whose fields are options of every training command."""

GROUPS: dict[type[Any], str] = {Overrides: TRAIN, Options: WHERE, Output: OUTPUT, Shaping: OUTPUT}
"""The group of options that the fields of a dataclass are in, where they name no other."""

T = TypeVar("T")


def declared(kind: type[Any]) -> Iterator[tuple[str, Any, Option, Any]]:
    """Name, type, option and default of each field of a dataclass that is an option."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for field in fields(kind):
        for option in getattr(hints[field.name], "__metadata__", ()):
            yield field.name, hints[field.name].__origin__, option, field.default


def typed(kind: type[Any], name: str) -> Any:
    """One field's option in typer's words."""
    return next(_typer(kind, field, hint, option) for field, hint, option, _ in declared(kind) if field == name)


def _typer(kind: type[Any], name: str, hint: Any, option: Option) -> Any:
    return typer.Option(
        *option.names,
        help=option.help,
        min=option.least,
        metavar=option.metavar or _choices(hint) or None,
        rich_help_panel=option.group or GROUPS[kind],
        autocompletion=COMPLETED.get(name),
    )


def _choices(hint: Any) -> str:
    """The words of a field that takes one of a few, as a help shows them."""
    options = [one for one in typing.get_args(hint) if typing.get_origin(one) is Literal] or [hint]
    return choices(typing.get_args(options[0])) if typing.get_origin(options[0]) is Literal else ""


Store = Annotated[str | None, typed(Options, "store")]
Format = Annotated[Form, typed(Output, "form")]


def training_options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the shared options; it receives them as ``shared: Shared``."""
    own = inspect.signature(command)

    @functools.wraps(command)
    def wrapper(**values: Any) -> None:
        shared = Shared(*(read_options(kind, values) for kind in SHARED))
        shared.shaping.check(shared.output.form)
        if shared.output.quiet:
            hush()
        if shared.output.plot:
            _check_plot(shared.output.plot)
        typed_in = shlex.join(["cpd", *sys.argv[1:]])
        command(**values, shared=shared._replace(options=replace(shared.options, command_line=typed_in)))

    hints = typing.get_type_hints(command, include_extras=True)
    kept = [p.replace(kind=p.KEYWORD_ONLY, annotation=hints[n]) for n, p in own.parameters.items() if n != "shared"]
    parameters = [*kept, *(parameter for kind in SHARED for parameter in parameters_of(kind))]
    wrapper.__signature__ = own.replace(parameters=parameters)  # type: ignore[attr-defined]
    wrapper.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    del wrapper.__wrapped__
    return wrapper


def parameters_of(kind: type[Any]) -> Iterator[inspect.Parameter]:
    """A dataclass's options as parameters of a command."""
    for name, hint, option, default in declared(kind):
        if option.read is not None:
            hint, default = str | None, None
        elif typing.get_origin(hint) is tuple:
            hint, default = list[str] | None, None
        elif default is True:
            default = False
        annotation = Annotated[hint, _typer(kind, name, hint, option)]  # type: ignore[valid-type]
        yield inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


def read_options(kind: type[T], values: dict[str, Any]) -> T:
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
