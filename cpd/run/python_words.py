"""Errors in Python's words: they name arguments, never an option of the command line or the keys of a file."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from cpd.errors import CpdError
from cpd.spec.layers import KEYS
from cpd.spec.yaml import parse_value

_OPTIONS = {
    "--no-store": "keep=False",
    "--fresh": "fresh=True",
    "--scheduler": "address=",
    "--log": "trackers=",
    "--method": "methods=",
    "--target": "target=",
}
_FILE = re.compile(r"\.ya?ml(: |$)")
_TARGET = re.compile(r"--target-([^\s;,]+)(?:\s+(\S+))?")
_OPTION = re.compile(r"--[a-z][a-z-]+")
_SET = re.compile(r"--set '?([\w.\[\]]+)=([^'\s;]+)'?")
_NAMED = re.compile(r"(?:([A-Za-z_]\w*): )?([{\[])")
_PAIR = re.compile(r"\b((?:add|write|or|e\.g\.) )([a-z_]+): ([^\s;,{\[]+)")
_STANDS = {"VALUE", "VALUES", "NAME", "NUMBER", "CLASS", "..."}
"""Words that stand for what the user puts in their place."""

_PHRASES = (
    (re.compile(r" in the YAML( instead)?"), r"\1"),
    (re.compile(r"; or a path to a YAML file"), "; or a path to a YAML file, or problem=..."),
    (re.compile(r"beside the spec"), "in the current folder"),
    (re.compile(r"the spec's folder"), "the current folder"),
    (re.compile(r"write e\.g\. 1,2,7, or 0:5 for 0 to 4"), "write e.g. [1, 2, 7] or range(5)"),
    (re.compile(r"add problem: my_problem.py:MyProblem"), "add problem=MyProblem, a class, an object or its path"),
)


@contextmanager
def speaking(call: str) -> Iterator[None]:
    """Let errors that leave name the arguments of a call.

    Args:
        call: As the user knows it, e.g. ``"cpd.sweep()"``.
    """
    try:
        yield
    except CpdError as error:
        in_file = _FILE.search(error.place or "") is not None  # where the fix goes, in its words
        error.place = _place(error.place, call)
        error.message = _in_python(error.message, False)
        error.hint = None if error.hint is None else _in_python(error.hint, not in_file)
        error.args = (error.message,)
        if error.__cause__ is None and (raised := getattr(error, "traceback", None)):  # in another process
            error.add_note(raised)
        raise


def _place(place: str | None, call: str) -> str | None:
    if place is None or place.startswith("cpd."):
        return place or call
    if place.startswith("--target"):
        return f"{call}: target"
    if place.startswith("--"):
        words = place.split(maxsplit=1)
        named = _option(words[0]).rstrip("=").partition("=")[0]
        return f"{call}: {named}{f'[{words[1]!r}]' if words[1:] and named in ('set', 'levels') else ''}"
    return f"{call}: {place}" if re.fullmatch(r"[a-z_]+(\.\S+)?", place) else place


def _in_python(text: str, hint: bool) -> str:
    text = _SET.sub(lambda m: f'set={{"{m[1]}": {m[2]}}}', text)
    text = _TARGET.sub(lambda m: f'target={{"{m[1]}": {m[2] or "VALUE"}}}', text)
    text = re.sub(r"--target VALUE", "target=VALUE", text)
    text = _OPTION.sub(lambda m: _option(m[0]), text)
    text = re.sub(r"(\w+)= ([A-Z0-9]+\b)", r"\1=\2", text)
    text = re.sub(r"(\w+)=(?=[ ,;]|$)", r"\1", text)
    text = re.sub(r"the key '(\w+)' is missing", r"'\1' is missing", text)
    for pattern, words in _PHRASES:
        text = pattern.sub(words, text)
    return _fragments(_PAIR.sub(_pair, text)) if hint else text


def _option(option: str) -> str:
    return _OPTIONS.get(option) or f"{option.removeprefix('--').replace('-', '_')}="


def _fragments(text: str) -> str:
    """Mappings and lists as a file has them, as Python has them."""
    found, place = "", 0
    while (match := _NAMED.search(text, place)) is not None:
        end = _end(text, match.start(2))
        found += text[place : match.start()] + _fragment(match[1], text[match.start(2) : end])
        place = end
    return found + text[place:]


def _end(text: str, start: int) -> int:
    """Where a bracket closes."""
    depth = 0
    for place in range(start, len(text)):
        depth += (text[place] in "{[") - (text[place] in "}]")
        if not depth:
            return place + 1
    return len(text)


def _fragment(name: str | None, text: str) -> str:
    if text in ("{...}", "[...]"):
        return _assigned(name, text)
    try:
        return _assigned(name, _shown(parse_value(text, "")))
    except CpdError:
        return _assigned(name, text)


def _assigned(name: str | None, value: str) -> str:
    """An argument, or an entry of one."""
    if name is None:
        return value
    return f"{name}={value}" if name in KEYS else f'"{name}": {value}'


def _pair(match: re.Match[str]) -> str:
    return match[1] + _assigned(match[2], _shown(parse_value(match[3], "")))


def _shown(value: object) -> str:
    """A value as it is written in Python; capitals stand for what the user puts there."""
    if isinstance(value, dict):
        if set(value) == {"values"}:
            return _shown(value["values"])
        return "{" + ", ".join(f'"{key}": {_shown(one)}' for key, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_shown, value)) + "]"
    if isinstance(value, str):
        return value if value in _STANDS else '"' + value.replace('"', '\\"') + '"'
    return "VALUE" if value is None else repr(value)
