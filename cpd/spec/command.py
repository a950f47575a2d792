"""A command with placeholders: the words of a program and its arguments, filled in for each run. No shell reads them.

``python train.py --coef {coefficient} --seed {seed}``: a name in braces is replaced by what it stands for; ``{{`` and
``}}`` are braces. An option whose value a method does not have is left out for that method: ``--coef {coefficient}``
(both words), ``--coef={coefficient}`` and ``coef={coefficient}``; any other such word is empty there, so that words
keep their places.
"""

from __future__ import annotations

import json
import re
import shlex
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from cpd.spec.validation import InvalidError, is_number, shown

METHOD, SEED, FOLDER, PYTHON = "method", "seed", "folder", "python"
OWN = (METHOD, SEED, FOLDER, PYTHON)
"""Placeholders of cpd's own: the run's method and seed, its folder, and the Python that runs cpd."""

LEVEL = "level."
"""What a placeholder for a constraint's level begins with: ``{level.density}``."""

EXAMPLE = "write e.g. command: python train.py --coef {coefficient} --seed {seed} --out {folder}"

BRACES = "write {{ and }} for braces that are meant as such"

_SHELL = {"|", "||", "&", "&&", ";", ">", ">>", "<", "<<", "2>", "2>&1", "&>"}
_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+")


class Part(NamedTuple):
    """A part of a word: text as it stands, or the name of a placeholder."""

    text: str = ""
    name: str | None = None


def words_of(raw: Any) -> tuple[str, ...]:
    """Split a command as a shell would, or take its words as they are listed.

    Raises:
        InvalidError: It is neither, a quote is not closed, a brace is alone, or it is written for a shell.
    """
    words = _split(raw)
    names_in(words)
    return words


def _split(raw: Any) -> tuple[str, ...]:
    if isinstance(raw, list):
        return tuple(_word(entry) for entry in raw) if raw else _nothing(raw)
    if not isinstance(raw, str) or not raw.strip():
        return _nothing(raw)
    try:
        words = shlex.split(raw.replace("\\\n", " "))
    except ValueError as error:
        raise InvalidError(f"{shown(raw)} cannot be split into words: {str(error).lower()}", "close it") from None
    if shell := [word for word in words if word in _SHELL]:
        hint = "write a list of words that starts one: [bash, -c, 'python a.py | tee log']"
        raise InvalidError(f"'{shell[0]}' is for a shell, and none reads the command", hint)
    return tuple(words)


def _nothing(raw: Any) -> tuple[str, ...]:
    raise InvalidError(f"{shown(raw)} is no command", EXAMPLE)


def _word(entry: Any) -> str:
    if isinstance(entry, str):
        return entry
    if isinstance(entry, bool) or is_number(entry):
        return text_of(entry)
    raise InvalidError(f"{shown(entry)} is not a word", "put it into quotes")


def parts_of(word: str) -> list[Part]:
    """A word in its parts.

    Raises:
        InvalidError: A brace is alone.
    """
    found: list[Part] = []
    for match in _PART.finditer(word):
        piece, name = match[0], match[1]
        if name is not None:
            found.append(Part(name=name))
        elif piece in ("{", "}"):
            raise InvalidError(f"a '{piece}' alone in {shown(word)}", BRACES)
        else:
            found.append(Part(piece[0] if piece in ("{{", "}}") else piece))
    return found


def names_in(words: Iterable[str]) -> dict[str, str]:
    """Every placeholder of a command, with the word that it is first in.

    Raises:
        InvalidError: A brace is alone.
    """
    found: dict[str, str] = {}
    for word in words:
        for part in parts_of(word):
            if part.name is not None:
                found.setdefault(part.name, word)
    return found


def filled(words: Sequence[str], values: Mapping[str, str]) -> list[str]:
    """The words of one run.

    Args:
        words: With placeholders.
        values: What each stands for; those that are missing are of other methods.
    """
    return list(_filled([parts_of(word) for word in words], values))


def _filled(words: Sequence[Sequence[Part]], values: Mapping[str, str]) -> Iterator[str]:
    lacking = [any(part.name is not None and part.name not in values for part in word) for word in words]
    for k, word in enumerate(words):
        if lacking[k]:
            if not (_assigns(word) or (k and _is_option(words[k - 1]))):
                yield ""
        elif not (k + 1 < len(words) and lacking[k + 1] and _is_option(word) and not _assigns(words[k + 1])):
            yield "".join(part.text if part.name is None else values[part.name] for part in word)


def _is_option(word: Sequence[Part]) -> bool:
    """``--coef`` or ``-c``, whose value is the next word."""
    text = word[0].text if len(word) == 1 and word[0].name is None else ""
    return len(text) > 1 and text.startswith("-") and "=" not in text


def _assigns(word: Sequence[Part]) -> bool:
    """``--coef={coefficient}``, ``model.coef={coefficient}`` or ``-c{coefficient}``."""
    text = word[0].text if len(word) > 1 and word[0].name is None else ""
    return text.startswith("-") or text.endswith("=")


def text_of(value: Any) -> str:
    """A value as a program reads it: numbers with all their digits, whole ones without a point, lists as JSON."""
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e16:
        return str(int(value))
    if is_number(value):
        return repr(value)
    return json.dumps(value)


def values_for(
    method: str, setting: Mapping[str, Any], levels: Mapping[str, float], seed: int, folder: str
) -> dict[str, str]:
    """What the placeholders of one run stand for.

    Args:
        method: The run's.
        setting: Its hyperparameters, and the arguments of its task by their own names.
        levels: Of every constraint.
        seed: The run's.
        folder: The run's own.
    """
    own = {METHOD: method, SEED: str(seed), FOLDER: folder, PYTHON: sys.executable}
    at = {f"{LEVEL}{name}": text_of(level) for name, level in levels.items()}
    return {**{name: text_of(value) for name, value in setting.items()}, **at, **own}
