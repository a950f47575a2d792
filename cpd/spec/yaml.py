"""Reads YAML as a person means it: strict, with YAML 1.2's numbers, every error with its line and column."""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, ScalarNode, SequenceNode

from cpd.errors import CpdError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50
MAX_DIGITS = 300

INTEGER = re.compile(r"[-+]?[0-9]+")
BASED_INTEGER = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
UNPRINTABLE = yaml.reader.Reader.NON_PRINTABLE
UNSTORABLE = re.compile("[\0\ud800-\udfff]")
"""Characters that only an escape in double quotes can bring into a string."""

STDIN = Path("-")
"""A spec that is piped in; its relative paths start from the current folder."""

WORDS = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: value for value in (True, False) for word in (str(value).lower(), str(value), str(value).upper())
}


def load_yaml(path: Path, place: str) -> tuple[dict[str, Any], str]:
    """Read a file that holds one mapping; see :func:`parse_yaml`.

    Args:
        path: The file, at most 1 MB of UTF-8, with or without a byte order mark; :data:`STDIN` is what is piped in.
        place: The file as the user typed it, for errors.

    Returns:
        The mapping and the text.

    Raises:
        CpdError: There is no such file, it is not text of that kind, or not one mapping.
    """
    text = read_text(path, place)
    return parse_yaml(text, place), text


def read_text(path: Path, place: str) -> str:
    """Read a file's text: at most 1 MB of UTF-8, with or without a byte order mark.

    Raises:
        CpdError: There is no such file, or it is not text of that kind.
    """
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise CpdError("no such file", place=place, hint="check the path; cpd tasks lists the bundled ones") from None
    except IsADirectoryError:
        raise CpdError("is a folder", place=place, hint="name a YAML file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise CpdError(f"cannot be read: {reason}", place=place, hint="check the path and its permissions") from None
    if len(content) > MAX_BYTES:
        raise CpdError("is larger than 1 MB", place=place, hint="write long grids as {min, max, num, scale}")
    return _decoded(content, place)


def parse_yaml(text: str, place: str) -> dict[str, Any]:
    """Parse one YAML document that must be a mapping.

    Anchors, aliases, merge keys, tags, duplicate keys, keys that are no words and numbers that are not finite are
    refused; ``1e-3`` is a number; ``yes``, ``no``, ``1:30`` and dates stay strings.

    Args:
        text: The document.
        place: The file as the user typed it, for errors.

    Raises:
        CpdError: With the place ``file:line:column``, or ``file: key`` for a number that is not finite.
    """
    node = _Reader(text, place).document()
    if node is None or node.value == "":
        raise CpdError("is empty, a mapping was expected", place=place, hint=_MAPPING_HINT)
    if not isinstance(node, MappingNode):
        found = "a list" if isinstance(node, SequenceNode) else f"'{_short(node.value)}'"
        raise CpdError(f"a mapping was expected, not {found}", place=_at(place, node.start_mark), hint=_MAPPING_HINT)
    built: dict[str, Any] = _built(node, place, "")
    return built


def parse_value(text: str, place: str) -> Any:
    """Parse a value as it would stand behind a key: ``0.1``, ``[1, 2]``, ``{min: 1, max: 2, num: 3}`` or a word.

    Raises:
        CpdError: It is not valid YAML; the place is ``place`` alone, for a word on the command line has no lines.
    """
    if not text.lstrip().startswith(("[", "{", "'", '"')):
        return scalar(text.strip(), place)
    try:
        node = _Reader(text, place).document()
        return _built(node, place, "") if node else None
    except CpdError as error:
        raise CpdError(error.message, place=place, hint=error.hint) from None


def scalar(text: str, place: str) -> Any:
    """Return what a plain YAML 1.2 scalar means.

    Raises:
        CpdError: A number that is not finite.
    """
    if text in WORDS:
        return WORDS[text]
    is_integer, is_based = INTEGER.fullmatch(text), BASED_INTEGER.fullmatch(text)
    if (is_integer or is_based) and len(text) <= MAX_DIGITS:
        return int(text, 0 if is_based else 10)
    if FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    if not (is_based or FLOAT.fullmatch(text) or NOT_FINITE.fullmatch(text)):
        return text
    raise CpdError(f"{_short(text)} is not a finite number", place=place, hint="write a number like 0.5 or 1e-3")


_STANDARD = "tag:yaml.org,2002:"
_MAPPING_HINT = "write keys and values, e.g. problem: package.module:Class"


class _Reader(yaml.SafeLoader):
    """Composes nodes and refuses what a spec has no use for. Never CSafeLoader: deep nesting crashes it."""

    get_event: Callable[[], Any]
    peek_event: Callable[[], Any]

    def __init__(self, text: str, place: str) -> None:
        self.place = place
        self.levels = 0
        text = text.removeprefix("\ufeff")
        wrong = UNPRINTABLE.search(text)
        if wrong:
            raise CpdError(
                f"the character U+{ord(wrong[0]):04X} is not allowed",
                place=_at_offset(place, text, wrong.start()),
                hint="remove it",
            )
        super().__init__(text)

    def document(self) -> Node | None:
        """Compose the one document; None where there is none.

        Raises:
            CpdError: Not valid, or not allowed, at ``file:line:column``.
        """
        try:
            self.get_event()
            node = None if self.check_event(yaml.StreamEndEvent) else self.compose_document()
            if not self.check_event(yaml.StreamEndEvent):
                raise self._refused(self.peek_event(), "a second document starts", "keep one, remove the line '---'")
        except yaml.MarkedYAMLError as error:
            raise _syntax_error(error, self.place) from None
        except (ValueError, OverflowError):
            # PyYAML hands a number that is out of range, as in "\UFFFFFFFF" or %YAML 1.99..., straight to Python.
            place = _at(self.place, self.get_mark())
            raise CpdError("a number is out of range", place=place, hint="check the escapes in quotes") from None
        return node

    def compose_node(self, parent: Node | None, index: Any) -> Node | None:
        """Compose a node, refusing anchors, aliases, tags and endless nesting before PyYAML acts on them."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or event.anchor is not None:
            sign = "*" if isinstance(event, yaml.AliasEvent) else "&"
            message = f"anchors and aliases ({sign}{_short(event.anchor)}) are not allowed"
            raise self._refused(event, message, "write the value out")
        if event.tag is not None:
            raise self._refused(
                event, f"tags ({_short(event.tag.replace(_STANDARD, '!!'))}) are not allowed", "write a plain value"
            )
        if self.levels == MAX_DEPTH:
            raise self._refused(event, f"nested deeper than {MAX_DEPTH} levels", "flatten it")
        self.levels += 1
        node = super().compose_node(parent, index)
        self.levels -= 1
        return node

    def resolve(self, kind: Any, value: Any, implicit: Any) -> str:
        """Leave YAML 1.1's rules out: :func:`scalar` says what a plain scalar means."""
        return ""

    def _refused(self, event: Any, message: str, hint: str) -> CpdError:
        return CpdError(message, place=_at(self.place, event.start_mark), hint=hint)


def _built(node: Node, place: str, key: str) -> Any:
    """The value of a node; ``key`` is its dotted path."""
    if isinstance(node, ScalarNode):
        return _built_scalar(node, place, key)
    if isinstance(node, SequenceNode):
        return [_built(child, place, key) for child in node.value]
    values: dict[str, Any] = {}
    first_lines: dict[str, int] = {}
    for name_node, value_node in node.value:
        name = _name(name_node, place)
        line = name_node.start_mark.line + 1
        if name in values:
            message = f"the key '{_short(name)}' is on line {first_lines[name]} and again on line {line}"
            raise CpdError(message, place=_at(place, name_node.start_mark), hint="keep one of them")
        first_lines[name] = line
        values[name] = _built(value_node, place, f"{key}.{name}" if key else name)
    return values


def _built_scalar(node: ScalarNode, place: str, key: str) -> Any:
    if node.style is None:
        return scalar(node.value, f"{place}: {key}" if key else place)
    wrong = UNSTORABLE.search(node.value)
    if wrong:
        message = f"the character U+{ord(wrong[0]):04X} is not allowed"
        raise CpdError(message, place=_at(place, node.start_mark), hint="remove its escape")
    return node.value


def _name(node: Node, place: str) -> str:
    where = _at(place, node.start_mark)
    if not isinstance(node, ScalarNode):
        raise CpdError("a key must be a word, not a list or mapping", place=where, hint="write name: value")
    if node.value == "<<" and node.style is None:
        raise CpdError("merge keys (<<) are not allowed", place=where, hint="write the keys out")
    name = _built_scalar(node, place, "")
    if not isinstance(name, str):
        found = f"not {_short(node.value)}" if node.value else "but there is none"
        raise CpdError(f"a key must be a word, {found}", place=where, hint="put it in quotes if it is a name")
    return name


def _syntax_error(error: yaml.MarkedYAMLError, place: str) -> CpdError:
    mark = error.problem_mark or error.context_mark
    problem = " ".join(str(error.problem).split())
    hint = "check indentation, brackets and quotes from there upwards"
    if "'\\t'" in problem:
        hint = "indent with spaces, not tabs"
    context = f"{error.context}, " if error.context else ""
    return CpdError(f"not valid YAML: {context}{problem}", place=_at(place, mark) if mark else place, hint=hint)


def _decoded(content: bytes, place: str) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise CpdError("is UTF-16, not UTF-8", place=f"{place}:1:1", hint="save the file as UTF-8")
    content = content.removeprefix(b"\xef\xbb\xbf")
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        before = content[: error.start].decode("utf-8")
        message = f"byte 0x{content[error.start]:02x} is not UTF-8"
        raise CpdError(message, place=_at_offset(place, before, len(before)), hint="save the file as UTF-8") from None


def _at(place: str, mark: Any) -> str:
    return f"{place}:{mark.line + 1}:{mark.column + 1}"


def _at_offset(place: str, text: str, offset: int) -> str:
    before = text[:offset]
    return f"{place}:{before.count(chr(10)) + 1}:{offset - before.rfind(chr(10))}"


def _short(text: str) -> str:
    """A text from the file on one line, cut where it is long."""
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."
