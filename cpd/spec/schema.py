"""The JSON Schema of task and sweep files, from the models that check them and the methods that there are."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.spec.layers import KEYS
from cpd.spec.models import OPTIMIZERS, Constraint, Optimizer, Search, Train
from cpd.spec.validation import Checked

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that editors' language servers know best."""

GRID = "one value, {values: [...]}, or {min, max, num, scale}"

TEXTS = {
    "task": "A sweep's task: a path from this file's folder, or a bundled name. All other keys override the task's.",
    "description": "One line; default: the first comment line of the file.",
    "problem": "package.module:Class, or file.py:Class relative to this file.",
    "arguments": "Arguments of the problem's class.",
    "depends": "What the numbers depend on besides imported code: files, by path from this file's folder (* and ** may "
    "be used), and environment variables, as env:NAME. Where one changes, runs train again.",
    "objective": "What the objective is called in the tables.",
    "constraints": "Level, sense and tolerance of every constraint that the problem returns, by name.",
    "train": "The training recipe.",
    "seeds": "A whole number, a list of them, 0:5 (half-open) or 1,2,7. All runs of a seed see the same luck.",
    "methods": "The settings of each method to try: a block of hyperparameters, or a list of blocks.",
    "levels": "Constraint levels to sweep, by constraint; others keep their own.",
    "search": "The search for a penalty coefficient that brings a constraint's value to a target.",
}
"""What each top-level key is, by its name."""


def file_schema() -> Schema:
    """The schema of a task or sweep file.

    Returns:
        A schema of draft 7. A file with the key ``task`` is a sweep, which may leave out what its task has.
    """
    parts: dict[str, Schema] = {
        "task": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "problem": {"type": "string", "pattern": "^.+:[A-Za-z_][A-Za-z0-9_]*$"},
        "arguments": {"type": ["object", "null"]},
        "depends": {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}},
        "objective": {"type": "string", "minLength": 1},
        "constraints": _by_name(_constraint()),
        "train": _train(),
        "seeds": _seeds(),
        "methods": _methods(),
        "levels": _by_name({"anyOf": [*_grid({"type": "number"})["anyOf"], _listed({"type": "number"})]}),
        "search": _search(),
    }
    assert set(parts) == {"task", *KEYS}, "every key of a file has its schema"
    return {
        "$schema": DRAFT,
        "title": "cpd task or sweep",
        "type": "object",
        "properties": {name: {"description": TEXTS[name], **part} for name, part in parts.items()},
        "additionalProperties": False,
        "if": {"required": ["task"]},
        "else": _whole(),
        "definitions": {name: _block(method.hyperparameters) for name, method in REGISTRY.items()},
    }


def texts(kind: type[Checked]) -> dict[str, str]:
    """What a model's docstring says of each of its fields."""
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    plain = (re.sub(r" \([^)]*\bNone\b[^)]*\)", "", text) for _, text in found)  # a file leaves it out
    return {name: " ".join(text.replace("``", "").split()) for (name, _), text in zip(found, plain, strict=True)}


def _whole() -> Schema:
    """What a task must have, for nothing is below it."""
    whole_constraint = {"if": {"type": "object"}, "then": {"required": ["level", "sense"]}}
    return {
        "required": ["problem", "constraints", "train"],
        "anyOf": [{"required": ["methods"]}, {"required": ["search"]}],
        "properties": {
            "constraints": {"minProperties": 1, "additionalProperties": whole_constraint},
            "train": {"anyOf": [{"required": ["steps"]}, {"required": ["epochs"]}]},
            "search": {"required": ["target"]},
        },
    }


def _section(kind: type[Checked], **replaced: Schema) -> Schema:
    """A model's fields, none of them required: a sweep names only what it changes."""
    generated = kind.model_json_schema()["properties"] | replaced
    said = texts(kind)
    properties = {name: _field(name, part, said) for name, part in generated.items()}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _field(name: str, part: Schema, said: Mapping[str, str]) -> Schema:
    kept = {key: value for key, value in part.items() if key != "title" and not (key == "default" and value is None)}
    options = [option for option in kept.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1 and "type" in options[0]:
        kept = options[0] | {key: value for key, value in kept.items() if key != "anyOf"}
    return {"description": said[name], **kept} if name in said else kept


def _constraint() -> Schema:
    short = {"type": "string", "pattern": r"^\s*(<=|>=|==)\s*\S+\s*$", "description": 'For example ">= 0.7".'}
    return {"anyOf": [short, _section(Constraint)]}


def _train() -> Schema:
    whole = {"type": "integer", "minimum": 1}
    batch = {"anyOf": [whole, {"const": "all"}], "default": "all"}
    section = _section(Train, steps=whole, batch_size=batch, optimizer=_optimizer())
    return {**section, "not": {"required": ["steps", "epochs"]}}


def _search() -> Schema:
    trainings = {"type": "integer", "minimum": 2, "default": Search.model_fields["max_trainings"].default}
    return {**_section(Search, max_trainings=trainings), "type": ["object", "null"]}


def _optimizer() -> Schema:
    name = {"enum": list(OPTIMIZERS), "default": Optimizer().name}
    options = {
        "type": "object",
        "properties": {"name": name, "lr": {"type": "number", "minimum": 0}},
        "additionalProperties": True,
    }
    return {"anyOf": [name, options]}


def _seeds() -> Schema:
    seed = {"type": "integer", "minimum": 0}
    words = {"type": "string", "pattern": r"^\s*\d+\s*(:\s*\d+\s*|(,\s*\d+\s*)*)$"}
    return {"anyOf": [seed, _listed(seed), words], "default": [0]}


def _methods() -> Schema:
    blocks = {name: {"$ref": f"#/definitions/{name}"} for name in REGISTRY}
    return {
        "type": "object",
        "properties": {
            name: {"description": REGISTRY[name].summary, "anyOf": [block, _listed(block)]}
            for name, block in blocks.items()
        },
        "additionalProperties": False,
    }


def _block(hyperparameters: Mapping[str, Hyperparameter]) -> Schema:
    properties = {}
    for name, one in hyperparameters.items():
        default = {} if one.default is None else {"default": one.default}
        properties[name] = {"description": f"{one.meaning}: {GRID}", **default, **_grid(*_items(one))}
    return {
        "type": "object",
        "properties": properties,
        "required": [name for name, one in hyperparameters.items() if one.default is None],
        "additionalProperties": False,
    }


def _items(one: Hyperparameter) -> list[Schema]:
    """The kinds of value that a hyperparameter takes."""
    if one.choices:
        return [{"enum": list(one.choices)}]
    bound = {} if one.minimum == -math.inf else {"exclusiveMinimum" if one.exclusive else "minimum": one.minimum}
    number: Schema = {"type": "number", **bound}
    return [number, _listed(number)] if one.per_constraint else [number]


def _grid(*items: Schema) -> Schema:
    """One value, values, or a range of numbers."""
    item = items[0] if len(items) == 1 else {"anyOf": list(items)}
    ranged = [_range(items[0])] if items[0].get("type") == "number" else []
    return {"anyOf": [*items, _exactly({"values": _listed(item)}, ["values"]), *ranged]}


def _range(number: Schema) -> Schema:
    scale = {"enum": ["log", "linear"], "default": "linear"}
    keys = {"min": number, "max": number, "num": {"type": "integer", "minimum": 1}, "scale": scale}
    above_0 = {
        "if": {"properties": {"scale": {"const": "log"}}, "required": ["scale"]},
        "then": {"properties": {"min": {"exclusiveMinimum": 0}}},
    }
    return _exactly(keys, ["min", "max", "num"]) | above_0


def _exactly(properties: Schema, required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}


def _by_name(part: Schema) -> Schema:
    return {"type": ["object", "null"], "additionalProperties": part}


def _listed(item: Schema) -> Schema:
    return {"type": "array", "items": item, "minItems": 1}
