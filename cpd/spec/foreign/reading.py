"""Reads a YAML file as the tool that it was written for does, safely, and tells whose it is."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from typing import Any

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from cpd.errors import CpdError
from cpd.spec.yaml import FLOAT, read_text

WANDB, HYDRA = "wandb", "hydra"
MOST_NODES = 100_000
MOST_LEVELS = 100

SEARCHES = ("grid", "random", "bayes", "custom")
_PACKAGE = re.compile(r"^#\s*@package\b", re.MULTILINE)
_SWEEPERS = ("hydra_plugins.", "hydra._internal.")
NEITHER = "give a sweep of Weights & Biases (program, method, parameters) or a config of Hydra (defaults, hydra)"


class _Loader(yaml.SafeLoader):
    """Plain values alone; ``1e-3`` is a number, as those who write it mean."""


_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"(?:{FLOAT.pattern})$"), list("-+.0123456789"))


def read(path: Path, place: str) -> tuple[str, dict[str, Any], str]:
    """Read a file of another tool.

    Args:
        path: The file.
        place: As the user typed it.

    Returns:
        Whose it is, its values, and its text.

    Raises:
        CpdError: It is not YAML that holds one mapping, or of neither tool.
    """
    text = read_text(path, place)
    raw = parse(text, place)
    if not isinstance(raw, dict) or not raw:
        raise CpdError("holds no mapping", place=place, hint=NEITHER)
    values = {str(key): value for key, value in raw.items()}
    return _kind(values, text, place), values, text


def parse(text: str, place: str) -> Any:
    """The values of a YAML text; dates are words.

    Raises:
        CpdError: It is not YAML, or more than plain values.
    """
    try:
        loader = _Loader(text)
        try:
            node = loader.get_single_node()
            if node is None:
                return None
            _counted(node, {}, 0, place)
            return _plain(loader.construct_document(node))
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{place}:{mark.line + 1}:{mark.column + 1}" if mark else place
        said = " ".join(str(error.problem).split())
        raise CpdError(f"not plain YAML: {said}", place=where, hint="fix that line") from None
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        said = " ".join(str(error).split())[:80] or type(error).__name__
        raise CpdError(f"not plain YAML: {said}", place=place, hint="write plain values") from None


def _counted(node: Node, known: dict[int, int], level: int, place: str) -> int:
    """How many values a node stands for where its aliases are written out."""
    if id(node) in known:
        if known[id(node)] < 0:
            raise CpdError("an anchor holds itself", place=place, hint="write the value out")
        return known[id(node)]
    if level > MOST_LEVELS:
        raise CpdError(f"nested deeper than {MOST_LEVELS} levels", place=place, hint="flatten it")
    known[id(node)] = -1
    inner: list[Node] = []
    if isinstance(node, SequenceNode):
        inner = node.value
    elif isinstance(node, MappingNode):
        inner = [one for pair in node.value for one in pair]
    count = 1 + sum(_counted(one, known, level + 1, place) for one in inner)
    if count > MOST_NODES:
        raise CpdError(f"stands for more than {MOST_NODES:,} values", place=place, hint="write fewer aliases")
    known[id(node)] = count
    return count


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, list | tuple | set):
        return [_plain(entry) for entry in value]
    if isinstance(value, date):
        return value.isoformat()
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def _kind(raw: Mapping[str, Any], text: str, place: str) -> str:
    if "constraints" in raw and ("problem" in raw or "command" in raw or "task" in raw):
        raise CpdError("is a task of cpd", place=place, hint="train it: cpd sweep")
    target = raw.get("_target_")
    if isinstance(target, str) and target.startswith(_SWEEPERS):
        return HYDRA
    is_search = raw.get("method") in SEARCHES or "program" in raw or isinstance(raw.get("metric"), dict)
    if isinstance(raw.get("parameters"), dict) and (is_search or _are_parameters(raw["parameters"])):
        return WANDB
    has_defaults = isinstance(raw.get("defaults"), list)
    if has_defaults or isinstance(raw.get("hydra"), dict) or _PACKAGE.search(text):
        return HYDRA
    if any(key.startswith("hydra.") for key in raw) or re.search(r"\$\{[\w.:]+", text) or "_target_:" in text:
        return HYDRA
    raise CpdError("is neither a sweep of W&B nor a config of Hydra", place=place, hint=NEITHER)


def _are_parameters(raw: Mapping[str, Any]) -> bool:
    marks = ("value", "values", "min", "max", "distribution", "parameters")
    return bool(raw) and all(isinstance(one, dict) and any(mark in one for mark in marks) for one in raw.values())
