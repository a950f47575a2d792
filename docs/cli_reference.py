"""The reference page of the commands, made of the commands themselves: :mod:`make_reference` puts it on its page."""

from __future__ import annotations

import inspect
import types
import typing
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, Literal

import typer

from cpd.cli.help import METAVARS
from cpd.cli.main import app

TRAINING = ("sweep", "compare", "bisect", "gallery")
"""The commands that share the options of training."""
HEADING = "Options of training"


def page() -> str:
    """Every command: what it does, an example, its arguments and options; the shared ones once."""
    parts = [part(name, command) for name, command in commands()]
    named = "`, `".join(TRAINING)
    shared = [f"## {HEADING}\n", f"`{named}` have these beside their own.\n", *tables(shared_options().values())]
    return "\n".join([*parts, *shared])


@cache
def commands() -> tuple[tuple[str, Any], ...]:
    """The commands by name, in the order of the help; those that are hidden are left out."""
    group: Any = typer.main.get_command(app)
    return tuple((name, command) for name, command in group.commands.items() if not command.hidden)


@cache
def shared_options() -> dict[str, Any]:
    """The options that all commands have alike which train, by their names."""
    of = [{key(one): one for one in command.params} for name, command in commands() if name in TRAINING]
    return {name: one for name, one in of[0].items() if all(name in other for other in of[1:])}


def key(one: Any) -> str:
    """What makes two options one: names and text."""
    return f"{one.opts} {one.help}"


def part(name: str, command: Any) -> str:
    """One command's part of the page."""
    text, _, example = inspect.cleandoc(command.help or "").partition("Example:")
    hidden = shared_options() if name in TRAINING else {}
    own = [one for one in command.params if key(one) not in hidden and one.name != "help" and not one.hidden]
    parts = [f"## cpd {name}\n", f"{text.strip()}\n"]
    parts += [f"```text\n{' '.join(example.split())}\n```\n"] if example else []
    parts += tables(own, command)
    parts += [f"Further: [{HEADING.lower()}](#{HEADING.lower().replace(' ', '-')}).\n"] if hidden else []
    return "\n".join(parts)


def tables(given: Iterable[Any], command: Any = None) -> Iterator[str]:
    """A table of arguments, and one of options for each group of the help."""
    of = command or dict(commands())[TRAINING[0]]
    rows: dict[str, list[tuple[str, str, str]]] = {}
    for one in given:
        group = "argument" if one.param_type_name == "argument" else one.rich_help_panel or "option"
        rows.setdefault(group, []).append((words(one, of), default(one), one.help or ""))
    for group, found in rows.items():
        named = any(default for _, default, _ in found)
        lines = [(group, "default", "what it is"), ("---",) * 3, *found]
        shown = lines if named else [(name, what) for name, _, what in lines]
        yield "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in shown)


def words(one: Any, command: Any) -> str:
    """How it is written: ``--seeds SEEDS``, ``--judge training|held_out``, ``TASK``."""
    value = taken(one, command)
    if one.param_type_name == "argument":
        return f"`{value}`"
    names = ", ".join(f"`{name}`" for name in sorted(one.opts, key=len, reverse=True))
    return f"{names} `{value}`" if value else names


def taken(one: Any, command: Any) -> str:
    """What is given after its name."""
    choices = literals(annotation(one, command))
    if getattr(one, "is_flag", False):
        return ""
    return one.metavar or METAVARS.get(one.name) or "|".join(choices) or max(one.opts, key=len).strip("-").upper()


def annotation(one: Any, command: Any) -> Any:
    """The type that the command's function declares."""
    declared = inspect.signature(command.callback, eval_str=True).parameters.get(one.name)
    return declared.annotation if declared else None


def literals(declared: Any) -> list[str]:
    """The words that a type allows, where it lists them."""
    if typing.get_origin(declared) is Literal:
        return [str(word) for word in typing.get_args(declared)]
    wrapped = typing.get_origin(declared) in (typing.Annotated, typing.Union, types.UnionType)
    inner = typing.get_args(declared) if wrapped else ()
    return next((found for each in inner if (found := literals(each))), [])


def default(one: Any) -> str:
    """Its default, where it is a plain value that the text does not say."""
    value = one.default
    plain = isinstance(value, str | int | float) and not isinstance(value, bool)
    return f"`{value}`" if plain and "[default" not in (one.help or "") else ""
