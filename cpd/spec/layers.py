"""A spec as layers: a task, a sweep over it, the command line's words over both; each knows its place."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.registry import REGISTRY
from cpd.spec.bundled import find
from cpd.spec.by_constraint import spread
from cpd.spec.grids import is_grid
from cpd.spec.recipes import placed, value_at, ways
from cpd.spec.validation import is_number, shown
from cpd.spec.yaml import STDIN, load_yaml, scalar

KEYS = (
    "description", "problem", "arguments", "depends", "objective", "constraints", "train", "seeds", "methods", "levels",
    "search", "budget", "transfer", "held_out", "judge", "command", "timeout", "files", "check_with",
)  # fmt: skip
"""Keys that a task may have; a sweep has ``task`` too."""

INSIDE = frozenset({"groups", "schedule", "clip"})
"""Parts of a recipe in which an option of the command line changes one value."""

_SHORT_FORM = re.compile(r"\s*(<=|>=|==)\s*(\S+)\s*")
_INDEX = re.compile(r"\[\d+\]")


@dataclass(frozen=True)
class Layer:
    """Some keys of a spec from one source.

    Attributes:
        place: A file as the user typed it, or an option with its key, e.g. ``--set train.steps``.
        raw: What it says.
        text: As written; empty for an option.
        folder: What its relative paths start from; None for an option.
        option: The dotted key that an option sets; empty for a file.
    """

    place: str
    raw: dict[str, Any]
    text: str = ""
    folder: Path | None = None
    option: str = ""

    def depth(self, key: str) -> int:
        """How many parts of a dotted key are found here; an option answers for its own key and what is below it."""
        parts = _INDEX.sub("", key).split(".")
        if self.option:
            return len(parts) if parts[: self.option.count(".") + 1] == self.option.split(".") else 0
        node: Any = self.raw
        for found, part in enumerate(parts):
            if not isinstance(node, dict) or part not in node:
                return found
            node = node[part]
        return len(parts)


@dataclass(frozen=True)
class Layers:
    """Layers of one spec, those that override before those that they override."""

    layers: tuple[Layer, ...]

    @property
    def files(self) -> list[Layer]:
        """The files: a sweep and its task, or a task alone."""
        return [layer for layer in self.layers if not layer.option]

    def at(self, key: str) -> str:
        """The place of a key in errors: ``"tasks/rate.yaml: train.steps"``, or the option that sets it."""
        best = max(self.layers, key=lambda layer: layer.depth(key))
        best = best if best.depth(key) else self.files[0]
        return best.place if best.option else f"{best.place}: {key}"

    def folder(self, key: str) -> Path:
        """The folder that a path under a key starts from: that of the file that has it."""
        return next((f.folder for f in self.files if f.folder is not None and key in f.raw), Path())

    def merged(self) -> dict[str, Any]:
        """All keys, each from the topmost layer that has it.

        ``arguments``, ``constraints``, ``train``, ``levels`` and ``search`` merge key by key. ``methods`` in a file
        replace those below it; from an option they change one hyperparameter in every block of a method.
        """
        return reduce(_over, reversed(self.layers), {})


def read_files(name: str) -> list[Layer]:
    """Read a task, or a sweep and then its task.

    Raises:
        CpdError: A file cannot be read, is not a mapping or has unknown keys; or a sweep starts from a sweep.
    """
    path, place = (STDIN, "stdin") if name == str(STDIN) else find(name)
    top = _read(path, place)
    if "task" not in top.raw:
        return [top]
    task = top.raw.pop("task")
    key = f"{place}: task"
    if not isinstance(task, str) or not task.strip():
        raise CpdError(f"{shown(task)} is no path", place=key, hint="write e.g. task: ../tasks/rate.yaml")
    below = _read(*_task_file(task, path, place))
    if "task" in below.raw:
        raise CpdError(f"'{task}' is a sweep itself", place=key, hint="start from a task")
    return [top, below]


def _task_file(task: str, path: Path, place: str) -> tuple[Path, str]:
    """The file of a sweep's task, and what to call it: its path from where the user stands."""
    try:
        found, named = find(task, path.parent)
    except CpdError as error:
        raise CpdError(error.message, place=f"{place}: task", hint=error.hint) from None
    if not found.exists():
        hint = "the path starts at this file's folder"
        raise CpdError(f"no such file '{task}'", place=f"{place}: task", hint=hint)
    return found, os.path.normpath(Path(place).parent / named) if named == task else named


def _read(path: Path, place: str) -> Layer:
    raw, text = load_yaml(path, place)
    for key in raw:
        if key not in ("task", *KEYS):
            raise CpdError(f"unknown key '{key}'", place=f"{place}: {key}", hint=closest(key, ("task", *KEYS)))
    return Layer(place, raw, text, path.parent)


def _over(below: dict[str, Any], layer: Layer) -> dict[str, Any]:
    """One layer over what the layers under it come to."""
    if (indexed := _indexed(below, layer)) is not None:
        return indexed
    result = dict(below)
    for key, value in _written_out(layer).items():
        under = result.get(key)
        if not isinstance(under, dict) or not isinstance(value, dict) or (key == "methods" and not layer.option):
            result[key] = value
        elif key == "train":
            result[key] = _train_over(under, value, bool(layer.option))
        elif key == "methods":
            inside = layer.option.count(".") > 2  # methods.NAME.HYPERPARAMETER.KEY
            known = _by_constraint(under, value, list(result.get("constraints") or {})) if inside else under
            result[key] = under | {name: _in_every_block(known.get(name), new, inside) for name, new in value.items()}
        elif key == "constraints" or (layer.option and key in ("arguments", "transfer")):
            result[key] = _deep(under, value)
        elif key == "levels" and layer.option:
            result[key] = under | {name: _part_of_a_level(under.get(name), new) for name, new in value.items()}
        else:
            result[key] = under | value
    return result


def _indexed(below: dict[str, Any], layer: Layer) -> dict[str, Any] | None:
    """With an entry of a list set by an option, ``train.optimizer.betas[0]``; None where it means no such entry."""
    ends = ways(below, layer.option) if "[" in layer.option else []
    if len(ends) != 1 or not any(isinstance(key, int) for key in ends[0]):
        return None
    (own,) = ways(layer.raw, layer.option)
    set_to: dict[str, Any] = placed(below, ends[0], value_at(layer.raw, own))
    return set_to


def _written_out(layer: Layer) -> dict[str, Any]:
    """A layer without short forms: of constraints, a budget, and of the optimizer's name alone, or of several."""
    raw = dict(layer.raw)
    if isinstance(constraints := raw.get("constraints"), dict):
        raw["constraints"] = {name: _constraint(layer, name, value) for name, value in constraints.items()}
    if is_number(share := raw.get("held_out")):
        raw["held_out"] = {"share": share}
    if is_number(trainings := raw.get("budget")):
        raw["budget"] = {"trainings": trainings}
    if isinstance(train := raw.get("train"), dict) and _is_name(train.get("optimizer")):
        raw["train"] = train | {"optimizer": {"name": train["optimizer"]}}
    return raw


def _is_name(optimizer: Any) -> bool:
    """Whether it is written as a name alone, or as a grid of names."""
    names = optimizer["values"] if is_grid(optimizer) and "values" in optimizer else [optimizer]
    return isinstance(names, list) and all(isinstance(name, str) for name in names) and bool(names)


def _constraint(layer: Layer, name: str, value: Any) -> Any:
    """``">= 0.7"`` as a mapping; anything else as it is."""
    if not isinstance(value, str):
        return value
    match = _SHORT_FORM.fullmatch(value)
    place = layer.place if layer.option else f"{layer.place}: constraints.{name}"
    level = scalar(match[2], place) if match else None
    if match is None or isinstance(level, bool) or not isinstance(level, int | float):
        raise CpdError(f"{shown(value)} is no constraint", place=place, hint='write e.g. ">= 0.7", with <=, >= or ==')
    return {"sense": match[1], "level": level}


def _train_over(below: dict[str, Any], value: dict[str, Any], option: bool) -> dict[str, Any]:
    """A recipe over another: steps and epochs replace each other, and so do optimizers, with their options."""
    replaced = {"steps", "epochs"} if "steps" in value or "epochs" in value else set()
    kept = {key: entry for key, entry in below.items() if key not in replaced}
    new, old = value.get("optimizer"), kept.get("optimizer")
    named = isinstance(new, dict) and (is_grid(new) or ("name" in new and (is_grid(old) or not option)))
    if isinstance(new, dict) and isinstance(old, dict) and not named:
        value = value | {"optimizer": old | new}
    inside = {key: _set_inside(kept.get(key), value[key]) for key in INSIDE & value.keys()} if option else {}
    return kept | value | inside


def _set_inside(old: Any, new: Any) -> Any:
    """What an option changes in a part of a recipe: a name, and how a gradient is clipped, begin it anew."""
    if not isinstance(old, dict) or not isinstance(new, dict) or is_grid(new) or {"name", "norm", "value"} & new.keys():
        return new
    return _deep(old, new)


def _in_every_block(blocks: Any, new: Any, inside: bool) -> Any:
    """A hyperparameter, or a key inside one, set in every block of a method; blocks that it makes equal become one."""
    if isinstance(blocks, list):
        changed = [_in_every_block(block, new, inside) for block in blocks]
        return [block for k, block in enumerate(changed) if block not in changed[:k]]
    if not isinstance(blocks, dict):
        return new
    return blocks | ({name: _inside(blocks.get(name), value) for name, value in new.items()} if inside else new)


def _by_constraint(methods: dict[str, Any], new: dict[str, Any], constraints: Sequence[str]) -> dict[str, Any]:
    """Blocks in which what an option sets for one constraint is known by constraint."""
    own = [name for name in new if name in REGISTRY and isinstance(new[name], dict)]
    return methods | {n: spread(methods.get(n), new[n], constraints, REGISTRY[n].hyperparameters) for n in own}


def _part_of_a_level(below: Any, new: Any) -> Any:
    """What an option says of a level that moves, over the rest of it; any other level in its place."""
    part = isinstance(new, dict) and isinstance(below, dict) and {"from", "to", "over"} & new.keys()
    return below | new if part else new


def _inside(below: Any, new: Any) -> Any:
    """A mapping with one key set; a name alone stands for a mapping."""
    named = {"name": below} if isinstance(below, str) else below
    return named | new if isinstance(named, dict) and isinstance(new, dict) else new


def _deep(below: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """A mapping over another, and so on inside."""
    both = {key: (below.get(key), entry) for key, entry in value.items()}
    return below | {
        key: _deep(old, new) if isinstance(old, dict) and isinstance(new, dict) and not is_grid(new) else new
        for key, (old, new) in both.items()
    }


def nested(key: Sequence[str], value: Any) -> dict[str, Any]:
    """``(["train", "steps"], 5)`` -> ``{"train": {"steps": 5}}``."""
    return {key[0]: nested(key[1:], value) if len(key) > 1 else value}
