"""A spec as the YAML that says it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from cpd.errors import CpdError
from cpd.files import write
from cpd.spec.layers import KEYS
from cpd.spec.yaml import UNSTORABLE, scalar

ORDER = (
    *(
        "description",
        "problem",
        "command",
        "timeout",
        "files",
        "check_with",
        "arguments",
        "depends",
        "objective",
        "constraints",
        "levels",
        "held_out",
        "judge",
    ),
    *("train", "seeds", "methods", "search", "budget", "transfer"),
)
"""The keys in the order in which they are written."""

assert sorted(ORDER) == sorted(KEYS)

WIDTH = 110
"""A mapping or a list that fits into so many characters is written on one line."""


def as_yaml(raw: Mapping[str, Any], comment: str = "") -> str:
    """Write the keys of a spec so that reading them gives the same.

    Args:
        raw: Plain values by key.
        comment: A first line.

    Raises:
        CpdError: A word holds what no file can.
    """
    parts = [f"# {comment}\n"] if comment else []
    for key in ORDER:
        if key in raw:
            parts.append(_dumped({key: raw[key]}))
    return "".join(parts)


def _dumped(value: Any) -> str:
    try:
        return yaml.dump(
            value, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=float("inf"), default_flow_style=None
        )
    except _UnstorableError as error:
        raise CpdError(f"the word {error} cannot be written", hint="remove its characters that are none") from None


class _UnstorableError(ValueError):
    """A word holds characters that no file holds."""


class _Dumper(yaml.SafeDumper):
    """Writes words in quotes where cpd's reader would take them for something else."""

    _outer = True

    def ignore_aliases(self, data: Any) -> bool:
        """Never write anchors: the reader refuses them."""
        return True

    def represent_word(self, data: str) -> yaml.ScalarNode:
        """A string."""
        if UNSTORABLE.search(data):
            raise _UnstorableError(repr(data))
        return self.represent_scalar("tag:yaml.org,2002:str", data, style=None if _reads_alike(data) else '"')

    def represent_mapping(self, tag: str, mapping: Any, flow_style: bool | None = None) -> yaml.MappingNode:
        """On one line where that is short, and inside."""
        outer, self._outer = self._outer, False
        node = super().represent_mapping(tag, mapping, flow_style=flow_style)
        node.flow_style = len(str(mapping)) < WIDTH and not outer
        return node

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        """Likewise."""
        node = super().represent_sequence(tag, sequence, flow_style=flow_style)
        node.flow_style = True
        return node


def _reads_alike(text: str) -> bool:
    """Whether a word without quotes is that word again, in YAML 1.1 and as cpd reads it."""
    try:
        return scalar(text, "") == text and "\n" not in text
    except CpdError:
        return False


_Dumper.add_representer(str, _Dumper.represent_word)


def write_yaml(path: Path, text: str) -> None:
    """Write a spec into a file, whole or not at all.

    Raises:
        CpdError: It cannot be written.
    """
    if path.suffix not in (".yaml", ".yml"):
        raise CpdError(f"'{path}' is no YAML file's name", hint="end it in .yaml")
    try:
        write(path, text)
    except OSError as error:
        raise CpdError(f"'{path}' cannot be written: {error.strerror or error}", hint="choose another place") from None
