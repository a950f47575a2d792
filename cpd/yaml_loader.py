"""Strict YAML: one mapping, no surprises, every error with its line."""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from pathlib import Path
from typing import Any

import yaml

from cpd.errors import CpdError

MAX_BYTES = 1_000_000
MAX_DEPTH = 50

_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")
_WORDS = {"true": True, "false": False, "null": None, "~": None, "": None}
_SPECIAL = {".inf": math.inf, "+.inf": math.inf, "-.inf": -math.inf, ".nan": math.nan}


def load_yaml(path: Path, shown: str) -> tuple[dict[str, Any], str]:
    """Read a file that holds one mapping with text keys.

    Numbers are YAML 1.2's: ``1e-3`` is a number, ``010`` is ten, ``1:30`` and dates are text, only ``true`` and
    ``false`` are booleans.

    Args:
        path: The file.
        shown: Its name as the user typed it, used in errors.

    Returns:
        The mapping and the text.

    Raises:
        CpdError: Unreadable, not UTF-8, not one mapping, duplicate keys, tags, anchors, too deep or too large.
    """
    text = _read(path, shown)
    return parse_yaml(text, shown), text


def parse_yaml(text: str, shown: str) -> dict[str, Any]:
    """Parse the text of a spec; see :func:`load_yaml`."""
    try:
        loader = _Loader(text, shown)
        try:
            value = loader.get_single_data()
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CpdError(_syntax(error), place=_at(shown, mark), hint="mend the YAML there") from None
    except yaml.reader.ReaderError as error:
        raise CpdError(
            f"the character {_character(error)!r} is not allowed in YAML", place=shown, hint="remove it"
        ) from None
    except RecursionError:
        raise CpdError(f"nested deeper than {MAX_DEPTH} levels", place=shown, hint="flatten it") from None
    if not isinstance(value, dict):
        kind = "nothing" if value is None else {list: "a list", str: "text"}.get(type(value), "a number or word")
        raise CpdError(f"holds {kind} at the top", place=shown, hint="expected a mapping, e.g. 'task: rate'")
    return value


def _read(path: Path, shown: str) -> str:
    try:
        if path.is_dir():
            raise CpdError("is a folder", place=shown, hint="name a YAML file")
        if path.stat().st_size > MAX_BYTES:
            raise CpdError(f"is larger than {MAX_BYTES // 1000} kB", place=shown, hint="a spec is a few lines")
        raw = path.read_bytes()
    except FileNotFoundError:
        raise CpdError("no such file", place=shown, hint="check the path; cpd tasks lists the bundled ones") from None
    except OSError as error:
        raise CpdError(f"cannot be read: {error.strerror}", place=shown, hint="check its permissions") from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise CpdError(
            f"is not UTF-8: byte 0x{raw[error.start]:02x}", place=f"{shown}:{line}", hint="save it as UTF-8"
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise CpdError("holds a NUL character", place=f"{shown}:{line}", hint="save it as plain text")
    return text


def _character(error: yaml.reader.ReaderError) -> str:
    found = error.character
    return chr(found) if isinstance(found, int) else str(found)


def _syntax(error: yaml.MarkedYAMLError) -> str:
    parts = [p for p in (error.context, error.problem) if p]
    return "is not valid YAML: " + " ".join(" ".join(parts).split())


def _at(shown: str, mark: yaml.Mark | None) -> str:
    return shown if mark is None else f"{shown}:{mark.line + 1}:{mark.column + 1}"


class _Loader(yaml.SafeLoader):
    """PyYAML's safe loader without anchors, tags, merges and duplicate keys, and with YAML 1.2's numbers."""

    def __init__(self, text: str, shown: str) -> None:
        super().__init__(text)
        self.shown = shown
        self.depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Refuse anchors and aliases, tags and deep nesting before anything is built."""
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            self._refuse("anchors and aliases ('&' and '*') are not allowed", event.start_mark, "write the value out")
        tag = getattr(event, "tag", None)
        if tag not in (None, "!"):
            self._refuse(f"the tag '{tag}' is not allowed", event.start_mark, "write a plain value")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            self._refuse(f"nested deeper than {MAX_DEPTH} levels", event.start_mark, "flatten it")
        node = super().compose_node(parent, index)  # type: ignore[arg-type]
        self.depth -= 1
        return node

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        """Build a mapping; each key is text and occurs once."""
        seen: dict[str, yaml.Mark] = {}
        for key_node, _ in node.value:
            key = key_node.value if isinstance(key_node, yaml.ScalarNode) else None
            if key is None or not isinstance(self.construct_object(key_node), str):
                self._refuse("keys must be text", key_node.start_mark, "quote it if it is a name")
            if key == "<<":
                self._refuse("merge keys ('<<') are not allowed", key_node.start_mark, "write the values out")
            if key in seen:
                first = seen[key].line + 1
                self._refuse(f"the key '{key}' was given in line {first} already", key_node.start_mark, "keep one")
            seen[key] = key_node.start_mark
        return super().construct_mapping(node, deep)

    def _refuse(self, message: str, mark: yaml.Mark, hint: str) -> None:
        raise CpdError(message, place=_at(self.shown, mark), hint=hint)


def _scalar(loader: _Loader, node: yaml.ScalarNode) -> Any:
    """A plain scalar as YAML 1.2 reads it."""
    text = node.value
    if node.style is not None:
        return text
    low = text.lower()
    if low in _WORDS:
        return _WORDS[low]
    if low in _SPECIAL:
        return _SPECIAL[low]
    return _number(text)


def _number(text: str) -> Any:
    if not _NUMBER.match(text):
        return text
    return int(text) if re.fullmatch(r"[-+]?\d{1,18}", text) else float(text)


_Loader.yaml_implicit_resolvers = {}
_Loader.add_constructor("tag:yaml.org,2002:str", _scalar)
