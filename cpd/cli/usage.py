"""Say what is wrong with the words after ``cpd``, in one line like every other error."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from cpd.cli.suggestions import command_meant, option_meant
from cpd.errors import CpdError, closest

_CHOICES = re.compile(r"is not one of (.+?)\.?$")
_COMMAND = re.compile(r"No such command '(.+?)'")


def usage(error: Any, words: Sequence[str]) -> CpdError:
    """Say a wrong option, argument or command as all errors are said: place, what, hint.

    Typer's own words come with a usage and a box around them, several lines for one mistake; they name the value, but
    neither what would fit best nor where to read on.

    Args:
        error: What typer raised, of click's classes or of its own copies of them: known by name. Its wording differs
            between versions, so it is taken for what it is about alone.
        words: As the user typed them after ``cpd``.
    """
    command = getattr(getattr(error, "ctx", None), "command_path", "cpd")
    place = command.removeprefix("cpd").strip() or None
    see = f"see {command} --help"
    kind = type(error).__name__
    if kind == "NoSuchOption":
        return CpdError("no such option", place=error.option_name, hint=_meant(error, see))
    if kind == "BadOptionUsage":
        takes_none = "not take" in error.message
        return CpdError("takes no value" if takes_none else "needs a value", place=error.option_name, hint=see)
    if kind == "MissingParameter":
        return CpdError(f"{_named(error)} is missing", place=place, hint=see)
    if kind == "BadParameter" and getattr(error, "param", None) is not None:
        return _bad_value(error, words)
    unknown = _COMMAND.search(error.message)
    if unknown:
        return CpdError(f"no command '{unknown[1]}'", hint=command_meant(unknown[1], _commands(error)))
    return CpdError(_sentence(error.message), place=place, hint=see)


def _meant(error: Any, see: str) -> str:
    """The option that was meant, where that can be told, and where to read on."""
    context = getattr(error, "ctx", None)
    meant = context and option_meant(error.option_name, context)
    if not meant:
        return see
    return f"{meant} S{see[1:]}" if meant.endswith("?") else f"{meant}; {see}"


def _bad_value(error: Any, words: Sequence[str]) -> CpdError:
    """A value that is not one of the choices, or not a number that the option takes."""
    place = _option(error)
    value = _typed(words, error.param.opts)
    choices = _CHOICES.search(error.message)
    if choices:
        listed = [word.strip(" '\"") for word in choices[1].split(",")]
        return CpdError(f"'{value}' is not a valid choice", place=place, hint=closest(value, listed))
    least = getattr(error.param, "min", None)
    if least is None:
        least = getattr(getattr(error.param, "type", None), "min", None)
    kind = "an integer" if isinstance(least, int) or "integer" in error.message else "a number"
    bound = "" if least is None else f" >= {least:g}"
    return CpdError(f"expected {kind}{bound}, got '{value}'", place=place)


def _typed(words: Sequence[str], names: Sequence[str]) -> str:
    """The value that the user gave an option."""
    for word, after in zip(words, [*words[1:], ""], strict=True):
        for name in names:
            if word == name:
                return after
            if name.startswith("--") and word.startswith(f"{name}="):
                return word.partition("=")[2]
            if not name.startswith("--") and not word.startswith("--") and word.startswith(name):
                return word.removeprefix(name)
    return ""


def _option(error: Any) -> str:
    return str(error.param.opts[0])


def _named(error: Any) -> str:
    """``the argument TASK`` or ``the option --to``."""
    if getattr(error.param, "param_type_name", "") == "option":
        return f"the option {_option(error)}"
    return f"the argument {error.param.metavar or error.param.name.upper()}"


def _commands(error: Any) -> list[str]:
    return list(getattr(error.ctx.command, "commands", ()))


def _sentence(message: str) -> str:
    """A message of typer's without a capital and a full stop."""
    return message[:1].lower() + message[1:].rstrip(".")
