"""The JSON Schema of task and sweep files, from the models that check them and the methods that there are."""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Mapping
from typing import Any

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.registry import REGISTRY
from cpd.spec.aims import Aim
from cpd.spec.budget import Budget
from cpd.spec.grids import RANGE_KEYS
from cpd.spec.held_out import SHARE, Split
from cpd.spec.layers import KEYS
from cpd.spec.measuring import Stop
from cpd.spec.models import ACROSS_ELEMENTS, ONE_BY_ONE, OPTIMIZERS, Constraint, Optimizer, Search, Train
from cpd.spec.shared_forms import share_forms
from cpd.spec.training import SCHEDULERS
from cpd.spec.transfer import ENDS
from cpd.spec.validation import Checked

Schema = dict[str, Any]

DRAFT = "http://json-schema.org/draft-07/schema#"
"""The draft that editors' language servers know best."""

GRID = "one value, {values: [...]}, or {min, max, num, scale}"

GRID_TITLE = "a grid"
"""The title of the forms that are grids, where they stand beside the values that they are of."""

TEXTS = {
    "task": "A sweep's task: a path from this file's folder, or a bundled name. All other keys override the task's.",
    "description": "One line; default: the first comment line of the file.",
    "problem": "package.module:Class, or file.py:Class relative to this file; or a plain function, file.py:function.",
    "command": "In place of a problem and its recipe: any program, as words or a list of them, with {placeholders} for "
    "hyperparameters, {method}, {seed}, {folder}, {level.NAME} and {python}; {{ and }} are braces. No shell.",
    "timeout": "Seconds after which a run of a program is ended.",
    "files": "Files that travel with a command to the workers of a cluster, by path from this file's folder.",
    "check_with": "What placeholders stand for in cpd check, e.g. {steps: 2}.",
    "arguments": "Arguments of the problem's class; each may be a grid.",
    "depends": "What the numbers depend on besides imported code: files, by path from this file's folder (* and ** may "
    "be used), and environment variables, as env:NAME. Where one changes, runs train again.",
    "objective": "What the objective is called in the tables.",
    "constraints": "Level, sense and tolerance of every constraint that the problem returns, by name.",
    "train": "The training recipe; each value may be a grid.",
    "seeds": "A whole number, a list of them, 0:5 (half-open) or 1,2,7. All runs of a seed see the same luck.",
    "methods": "The settings of each method to try: a block of hyperparameters, or a list of blocks.",
    "levels": "Constraint levels to sweep, by constraint; others keep their own. One that moves while a run is trained "
    "is {from: 1, to: 0.5, over: 0.5}: from one level to another over a share of the steps.",
    "search": "The search for a penalty coefficient, or another hyperparameter, that brings a constraint's value to a "
    "target.",
    "budget": "Trainings of each method for each seed, whose settings a sampler then chooses between the ends of the "
    "grids.",
    "transfer": "Carry the best setting of each method over from one case of the grids to another: {from: {hidden: 8}, "
    "to: {hidden: 64}}, or true for the first and the last values of arguments.",
    "held_out": "Examples of data() that no run trains on: a share of them, or {share: 0.2, seed: 0, stratify: 1}.",
    "judge": "Which data decide a verdict: default held_out where there are held-out examples.",
}
"""A sentence on each top-level key, by its name."""


def file_schema() -> Schema:
    """The schema of a task or sweep file.

    Returns:
        A schema of draft 7. A file with the key ``task`` is a sweep, which may leave out what its task has.
    """
    parts: dict[str, Schema] = {
        "task": {"type": "string", "minLength": 1},
        "description": {"type": "string", "minLength": 1},
        "problem": {"type": "string", "pattern": "^.+:[A-Za-z_][A-Za-z0-9_]*$"},
        "command": _command(),
        "timeout": {"type": ["number", "null"], "exclusiveMinimum": 0},
        "files": {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}},
        "check_with": {"type": ["object", "null"]},
        "arguments": {"type": ["object", "null"]},
        "depends": {"type": ["array", "null"], "items": {"type": "string", "minLength": 1}},
        "objective": {"type": "string", "minLength": 1},
        "constraints": _by_name(_constraint()),
        "train": _train(),
        "seeds": _seeds(),
        "methods": {"type": "object"},
        "levels": _by_name({"anyOf": [*_levels(), _moving()]}),
        "search": _search(),
        "budget": _budget(),
        "transfer": _transfer(),
        "held_out": {"anyOf": [SHARE, _section(Split), {"type": "null"}]},
        "judge": {"enum": ["training", "held_out", None]},
    }
    assert set(parts) == {"task", *KEYS}, "every key of a file has its schema"
    return {
        "$schema": DRAFT,
        "title": "cpd task or sweep",
        "type": "object",
        "properties": {name: {"description": TEXTS[name], **part} for name, part in parts.items()},
        "additionalProperties": False,
        "if": {"required": ["task"]},
        "then": {"if": {"required": ["command"]}, "then": _free(), "else": _loose()},
        "else": _whole(),
        "definitions": _definitions(),
    }


def texts(kind: type[Checked]) -> dict[str, str]:
    """The lines of a model's docstring on its fields, by field."""
    section = (inspect.getdoc(kind) or "").partition("Attributes:\n")[2]
    found = re.findall(r"^ {4}(\w+): (.*(?:\n {5,}.*)*)", section, re.MULTILINE)
    plain = (re.sub(r" \([^)]*\bNone\b[^)]*\)", "", text) for _, text in found)  # a file leaves it out
    return {name: " ".join(text.replace("``", "").split()) for (name, _), text in zip(found, plain, strict=True)}


def _whole() -> Schema:
    """The keys that a task must have, for nothing is below it."""
    whole_constraint = {"if": {"type": "object"}, "then": {"required": ["level", "sense"]}}
    program = {"anyOf": [{"required": ["command"]}, _names_function()]}
    return {
        "required": ["constraints"],
        "oneOf": [{"required": ["problem"]}, {"required": ["command"]}],
        "anyOf": [{"required": ["methods"]}, {"required": ["search"]}],
        "if": program,
        "then": {**_free(), "not": {"anyOf": [{"required": ["train"]}, {"required": ["held_out"]}]}},
        "else": {**_strict(), "required": ["train"]},
        "properties": {
            "constraints": {"minProperties": 1, "additionalProperties": whole_constraint},
            "train": {"anyOf": [{"required": ["steps"]}, {"required": ["epochs"]}]},
            "search": {"anyOf": [{"required": ["target"]}, {"required": ["targets"]}, _several()]},
            "held_out": {"if": {"type": "object"}, "then": {"required": ["share"]}},
        },
    }


def _names_function() -> Schema:
    """By what names are customary of functions: a file alone does not say what is in another."""
    named = {"problem": {"type": "string", "pattern": ":[a-z_][A-Za-z0-9_]*$"}}
    return {"required": ["problem"], "properties": named, "not": {"required": ["train"]}}


def _strict() -> Schema:
    """The methods that cpd has."""
    return {"properties": {"methods": _methods()}}


def _free() -> Schema:
    """A program's own methods, with any hyperparameters."""
    return {"properties": {"methods": {"additionalProperties": _free_block()}}}


def _free_block() -> Schema:
    value = {"type": ["number", "string", "boolean", "array"]}
    block: Schema = {"type": ["object", "null"], "additionalProperties": _grid({"type": "number"}, value)}
    return {"anyOf": [block, _listed(block)]}


def _definitions() -> Schema:
    """The blocks of cpd's own methods, and those in a sweep, which may be of a program: with other hyperparameters."""
    own = {name: _block(method.hyperparameters) for name, method in REGISTRY.items()}
    own = share_forms(own, "form")
    mixed = {
        name: {"properties": {n: {"$ref": f"#/definitions/{name}/properties/{n}"} for n in block["properties"]}}
        for name, block in own.items()
        if name in REGISTRY
    }
    return {**own, **{f"{name} in a sweep": {"type": "object", **block} for name, block in mixed.items()}}


def _loose() -> Schema:
    """Those of a sweep, which does not say whose they are: cpd's own hyperparameters as they are, and others."""
    blocks = {name: {"$ref": f"#/definitions/{name} in a sweep"} for name in REGISTRY}
    own = {name: {"anyOf": [{"type": "null"}, block, _listed(block)]} for name, block in blocks.items()}
    return {"properties": {"methods": {"properties": own, "additionalProperties": _free_block()}}}


def _command() -> Schema:
    word = {"type": ["string", "number", "boolean"]}
    return {"anyOf": [{"type": "string", "minLength": 1}, _listed(word)]}


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


def _levels() -> list[Schema]:
    return [*_grid({"type": "number"})["anyOf"], _listed({"type": "number"})]


def _moving() -> Schema:
    """A level that moves."""
    share = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    return _exactly({"from": {"type": "number"}, "to": {"anyOf": _levels()}, "over": share}, ["from", "over"])


def _train() -> Schema:
    whole = {"type": "integer", "minimum": 1}
    batch = {"anyOf": [whole, {"const": "all"}], "default": "all"}
    own: dict[str, Schema] = {"optimizer": _optimizer(), "groups": _groups(), "schedule": _schedule(), "clip": _clip()}
    along = {"measure_every": _every(whole), "stop": _section(Stop)}
    share = {"type": "number", "exclusiveMinimum": 0, "maximum": 1}
    sizes: dict[str, Schema] = {"steps": whole, "batch_size": batch, "constraint_batch_size": batch}
    section = _section(Train, **sizes, **own, **along, average=share, accumulate={**whole, "default": 1})
    properties = {name: _gridded(part) for name, part in section["properties"].items()}
    return {**section, "properties": properties, "not": {"required": ["steps", "epochs"]}}


def _gridded(part: Schema) -> Schema:
    """A value of the recipe, or a grid of such values."""
    said: Schema = {key: part[key] for key in ("description", "default") if key in part}
    own = {key: value for key, value in part.items() if key not in said}
    items = own["anyOf"] if set(own) == {"anyOf"} else [own]
    numbers = [item for item in items if item.get("type") in ("number", "integer")]
    ranges = [_range({**number, "type": "number"}) for number in numbers]
    values = _exactly({"values": _listed(items[0] if len(items) == 1 else {"anyOf": items})}, ["values"])
    return {**said, "anyOf": [*items, *({"title": GRID_TITLE, **grid} for grid in (values, *ranges))]}


def _every(whole: Schema) -> Schema:
    """Steps, or a number of epochs in words."""
    words = {"type": "string", "pattern": r"^\s*([0-9.eE+-]+\s*)?(epoch|step)s?\s*$"}
    return {"anyOf": [whole, words]}


def _search() -> Schema:
    trainings = {"type": "integer", "minimum": 2, "default": Search.model_fields["max_trainings"].default}
    aim = {"anyOf": [{"type": ["number", "null"]}, _section(Aim)]}
    targets = {"type": "object", "additionalProperties": aim}
    return {**_section(Search, max_trainings=trainings, targets=targets), "type": ["object", "null"]}


def _several() -> Schema:
    """A search for a coefficient of each constraint."""
    return {"required": ["strategy"], "properties": {"strategy": {"enum": ["coordinates", "simplex"]}}}


def _budget() -> Schema:
    """A number of trainings, or the whole of it."""
    whole = {"type": "integer", "minimum": 1}
    parallel = {**whole, "default": Budget.model_fields["parallel"].default}
    return {"anyOf": [whole, _section(Budget, trainings=whole, parallel=parallel), {"type": "null"}]}


def _transfer() -> Schema:
    """Both cases by name, or a truth."""
    case = {"type": "object", "minProperties": 1}
    cases = {"type": "object", "properties": dict.fromkeys(ENDS, case), "required": [*ENDS]}
    return {"anyOf": [{**cases, "additionalProperties": False}, {"type": ["boolean", "null"]}]}


def _optimizer() -> Schema:
    name = {"enum": [*OPTIMIZERS, *ACROSS_ELEMENTS, *ONE_BY_ONE], "default": Optimizer().name}
    options = {
        "type": "object",
        "properties": {"name": _gridded(name), "lr": _gridded({"type": "number", "minimum": 0})},
        "additionalProperties": True,
    }
    return {"anyOf": [name, options]}


def _groups() -> Schema:
    rate = {"type": "number", "minimum": 0}
    options = {"type": "object", "properties": {"lr": rate}, "additionalProperties": True}
    return {"anyOf": [{"type": "object", "additionalProperties": options}, {"type": "null"}]}


def _schedule() -> Schema:
    one = {
        "type": "object",
        "properties": {
            "name": {"enum": list(SCHEDULERS)},
            "every": {"enum": ["step", "epoch"], "default": "step"},
            "for": {"type": "number", "exclusiveMinimum": 0},
        },
        "required": ["name"],
        "additionalProperties": True,
    }
    return {"anyOf": [one, _listed(one), {"type": "null"}]}


def _clip() -> Schema:
    most = {"type": "number", "exclusiveMinimum": 0}
    kind = {"anyOf": [most, {"const": "inf"}], "default": 2}
    properties = {"norm": most, "value": most, "type": kind}
    clip = {"type": "object", "properties": properties, "additionalProperties": False}
    return {"anyOf": [clip, {"type": "null"}]}


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
    if one.schedule:
        return [{"enum": list(one.words)}, _schedule()]
    words = [{"enum": [*one.choices, *one.words]}] if one.choices or one.words else []
    mapping = [_fields(one)] if one.fields else []
    if one.choices:
        return [*words, *mapping]
    free = one.minimum == -math.inf or one.of_equalities
    bound = {} if free else {"exclusiveMinimum" if one.exclusive else "minimum": one.minimum}
    below = {} if one.below == math.inf else {"exclusiveMaximum": one.below}
    number: Schema = {"type": "integer" if one.whole else "number", **bound, **below}
    return [number, *(_per_constraint(one, number) if one.per_constraint else []), *words, *mapping]


def _per_constraint(one: Hyperparameter, number: Schema) -> list[Schema]:
    """A value for each constraint: a list in their order, or a mapping by name, each a value or a grid."""
    entry = _grid(number, *([{"enum": ["none"]}] if "none" in one.words else []))
    own = {"propertyNames": {"enum": ["values", *RANGE_KEYS, *one.fields]}}
    named = {"type": "object", "not": own, "minProperties": 1, "additionalProperties": entry}
    return [_listed(entry), named]


def _fields(one: Hyperparameter) -> Schema:
    """A mapping, each of whose values may be a grid."""
    inner = {name: {"description": f.meaning, **_grid(*_items(f))} for name, f in one.fields.items()}
    refused = {name: {"not": {}, "description": why} for name, why in one.refused.items()}
    either = {"oneOf": [{"required": [name]} for name in one.one_of]} if one.one_of else {}
    return {"type": "object", "properties": inner | refused, "additionalProperties": one.others, **either}


def _grid(*items: Schema) -> Schema:
    """One value, values, or a range of numbers."""
    item = items[0] if len(items) == 1 else {"anyOf": list(items)}
    ranged = [_range(items[0])] if items[0].get("type") in ("number", "integer") else []
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
