"""From a YAML file and the command line's words to a validated task."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from cpd.bundled import describe, find
from cpd.errors import CpdError, closest
from cpd.grids import number, parse_values, values_of, without_duplicates, word
from cpd.problem_source import find_source
from cpd.settings import read_methods
from cpd.spec import OPTIMIZERS, Constraint, Optimizer, Registry, Search, Task, Train
from cpd.yaml_loader import load_yaml

KEYS = (
    "task", "description", "problem", "arguments", "objective", "constraints", "train", "seeds", "methods", "levels",
    "search",
)  # fmt: skip
_MERGED = ("arguments", "constraints", "train")
_SENSE = re.compile(r"\s*(<=|>=|==)\s*(\S+)\s*\Z")


@dataclass(frozen=True)
class Overrides:
    """What the command line changes in a spec, in its own words.

    Attributes:
        methods: Only these methods.
        set: ``method.hyperparameter=VALUES`` or ``train.steps=100``, ``arguments.x=1``, ``constraints.g.level=0.5``.
        levels: ``constraint=0.6,0.7``.
        seeds: ``0:5`` (half-open) or ``1,2,7``.
        max_runs: Refuse more runs than this.
    """

    methods: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    seeds: str | None = None
    max_runs: int = 100_000


def load_task(name: str, registry: Registry, overrides: Overrides = Overrides()) -> Task:  # noqa: B008
    """Read a task or sweep by bundled name or path, apply the overrides and check everything.

    Raises:
        CpdError: The message names the place, the value, the valid choices and the mend.
    """
    path, shown = find(name)
    raw, text, folder = _merged(path, shown)
    places: dict[str, str] = {}
    for assignment in overrides.set:
        _assign(raw, assignment, places)
    for level in overrides.levels:
        _assign(raw, f"levels.{level}", places, "--levels")
    if overrides.seeds is not None:
        raw["seeds"] = overrides.seeds
        places["seeds"] = "--seeds"
    return _Reader(raw, shown, registry, places).task(path, text, folder, overrides)


def _merged(path: Path, shown: str) -> tuple[dict[str, Any], str, Path]:
    """The spec's mapping over its task's, the text of both, and the folder that the problem's path starts from."""
    raw, text = load_yaml(path, shown)
    _known(raw, KEYS, shown)
    if "task" not in raw:
        return raw, text, path.parent
    task = raw.pop("task")
    if not isinstance(task, str):
        raise CpdError(f"{task!r} is no path", place=f"{shown}: task", hint="write e.g. task: ../tasks/rate.yaml")
    base_path, base_shown = find(task, path.parent)
    if not base_path.exists():
        raise CpdError(f"no such file '{task}'", place=f"{shown}: task", hint="the path starts at this file's folder")
    base, base_text = load_yaml(base_path, base_shown)
    if "task" in base:
        raise CpdError(f"'{task}' is a sweep itself", place=f"{shown}: task", hint="start from a task")
    _known(base, KEYS, base_shown)
    for key in _MERGED:
        if isinstance(base.get(key), dict) and isinstance(raw.get(key), dict):
            raw[key] = {**base[key], **raw[key]}
    folder = path.parent if "problem" in raw else base_path.parent
    if "description" not in raw and (first := describe(text)):
        raw["description"] = first
    return {**base, **raw}, f"{text}\n# --- {task}\n{base_text}", folder


def _known(raw: Mapping[str, Any], keys: tuple[str, ...], place: str) -> None:
    for key in raw:
        if key not in keys:
            raise CpdError(f"unknown key '{key}'", place=place, hint=closest(key, keys))


def _assign(raw: dict[str, Any], assignment: str, places: dict[str, str], option: str = "--set") -> None:
    """Apply ``a.b.c=VALUE`` to the mapping."""
    dotted, equals, text = assignment.partition("=")
    shown = dotted.removeprefix("levels.") if option == "--levels" else dotted
    place = f"{option} {shown}"
    parts = dotted.split(".")
    if not equals or not text or len(parts) < 2 or not all(parts):
        raise CpdError(f"'{assignment.removeprefix('levels.')}' is no assignment", place=option, hint="write NAME=VALUE")
    top = parts[0]
    ranged = top not in ("train", "arguments", "constraints", "search")
    if top not in (*KEYS, "levels"):
        parts = ["methods", *parts]
    value = parse_values(text, place) if ranged else word(text)
    node = raw
    for part in parts[:-1]:
        child = node.get(part)
        child = dict(child) if isinstance(child, dict) else _opened(child, part)
        node[part] = child
        node = child
    node[parts[-1]] = value
    places[".".join(parts)] = place


def _opened(value: Any, part: str) -> dict[str, Any]:
    """A short form written out, so that one of its fields can be set."""
    if isinstance(value, str) and (match := _SENSE.match(value)):
        return {"level": word(match[2]), "sense": match[1]}
    if part == "optimizer" and isinstance(value, str):
        return {"name": value}
    return {}


class _Reader:
    """Turns one merged mapping into a task; knows what to call every place."""

    def __init__(self, raw: dict[str, Any], shown: str, registry: Registry, places: Mapping[str, str]) -> None:
        self.raw = raw
        self.shown = shown
        self.registry = registry
        self.places = places

    def place(self, dotted: str) -> str:
        """``file: dotted.key``, or the option that set it."""
        return self.places.get(dotted, f"{self.shown}: {dotted}")

    def task(self, path: Path, text: str, folder: Path, overrides: Overrides) -> Task:
        """Read every key."""
        constraints = self._constraints()
        methods, notes = read_methods(self, self._chosen(overrides), constraints)
        levels = self._levels(constraints)
        seeds = self._seeds()
        self._count(methods, levels, seeds, overrides.max_runs)
        return Task(
            name=path.stem,
            place=self.shown,
            text=text,
            description=str(self.raw.get("description") or describe(text)),
            problem=find_source(self._text("problem"), self._mapping("arguments"), folder, self.place("problem")),
            objective=str(self.raw.get("objective", "objective")),
            constraints=constraints,
            train=self._train(),
            seeds=seeds,
            methods=methods,
            levels=levels,
            search=self._search(constraints),
            notes=tuple(notes),
        )

    def _text(self, key: str) -> str:
        value = self.raw.get(key)
        if not isinstance(value, str) or not value.strip():
            what = "is missing" if value is None else f"is {value!r}"
            raise CpdError(what, place=self.place(key), hint="write e.g. problem: my_problem.py:MyProblem")
        return value

    def _mapping(self, key: str, required: bool = False) -> dict[str, Any]:
        value = self.raw.get(key)
        if value is None and not required:
            return {}
        if not isinstance(value, dict) or (required and not value):
            what = "is missing" if value is None else f"is {value!r}"
            raise CpdError(what, place=self.place(key), hint="expected a mapping, name: value")
        return value

    def _constraints(self) -> dict[str, Constraint]:
        return {name: self._constraint(name, v) for name, v in self._mapping("constraints", required=True).items()}

    def _constraint(self, name: str, value: Any) -> Constraint:
        place = f"constraints.{name}"
        if isinstance(value, str):
            match = _SENSE.match(value)
            if match is None:
                raise CpdError(f"'{value}' is no constraint", place=self.place(place), hint="write e.g. \">= 0.7\"")
            value = {"sense": match[1], "level": word(match[2])}
        if not isinstance(value, dict):
            raise CpdError(
                f"is {value!r}", place=self.place(place), hint='write e.g. {level: 0.7, sense: ">="} or ">= 0.7"'
            )
        for key in ("level", "tolerance"):
            if key in value:
                number(value[key], self.place(f"{place}.{key}"))
        return self.validated(Constraint, value, place)

    def _train(self) -> Train:
        raw = dict(self._mapping("train", required=True))
        optimizer = raw.pop("optimizer", {})
        optimizer = {"name": optimizer} if isinstance(optimizer, str) else optimizer
        if not isinstance(optimizer, dict):
            raise CpdError(f"is {optimizer!r}", place=self.place("train.optimizer"), hint="write {name: SGD, lr: 0.02}")
        if raw.get("batch_size") == "all":
            raw["batch_size"] = None
        for key in raw:
            if key not in Train.model_fields:
                raise CpdError(f"unknown key '{key}'", place=self.place("train"), hint=closest(key, Train.model_fields))
        if (raw.get("steps") is None) == (raw.get("epochs") is None):
            both = "has both steps and epochs" if raw.get("steps") is not None else "has neither steps nor epochs"
            raise CpdError(both, place=self.place("train"), hint="give one of the two")
        return self.validated(Train, {**raw, "optimizer": self._optimizer(optimizer)}, "train")

    def _optimizer(self, raw: dict[str, Any]) -> Optimizer:
        name = raw.get("name", "SGD")
        if name not in OPTIMIZERS:
            why = f"unknown optimizer '{name}'"
            if name in ("LBFGS", "SparseAdam", "Adafactor", "Muon"):
                why = f"{name} does not act element by element, so runs cannot be fused"
            raise CpdError(why, place=self.place("train.optimizer.name"), hint=closest(str(name), OPTIMIZERS))
        options = {k: v for k, v in raw.items() if k != "name"}
        for key, value in options.items():
            if isinstance(value, float):
                number(value, self.place(f"train.optimizer.{key}"))
        if "lr" in options and number(options["lr"], self.place("train.optimizer.lr")) < 0:
            raise CpdError(f"{options['lr']} is negative", place=self.place("train.optimizer.lr"), hint="give 0 or more")
        return Optimizer(name=name, options=options)

    def _levels(self, constraints: Mapping[str, Constraint]) -> dict[str, tuple[float, ...]]:
        levels = {}
        for name, given in self._mapping("levels").items():
            place = self.place(f"levels.{name}")
            if name not in constraints:
                raise CpdError(f"no constraint '{name}'", place=place, hint=closest(name, constraints))
            values = given if isinstance(given, list) and given else values_of(given, place)
            levels[name] = tuple(without_duplicates([number(v, place) for v in values]))
        return levels

    def _seeds(self) -> tuple[int, ...]:
        place, given = self.place("seeds"), self.raw.get("seeds", [0])
        if isinstance(given, str):
            given = self._seed_words(given, place)
        given = [given] if isinstance(given, int) and not isinstance(given, bool) else given
        whole = isinstance(given, list) and all(isinstance(s, int) and not isinstance(s, bool) for s in given)
        if not whole or not given or any(not 0 <= s < 2**63 for s in given):
            raise CpdError(f"{given!r} are no seeds", place=place, hint="write e.g. [1, 2, 7] or 0:5 (half-open)")
        return tuple(without_duplicates(given))

    def _seed_words(self, text: str, place: str) -> list[Any]:
        bounds = text.split(":")
        if len(bounds) == 2 and all(b.strip().isdigit() for b in bounds):
            return list(range(int(bounds[0]), min(int(bounds[1]), int(bounds[0]) + 10**7)))
        return [word(part) for part in text.split(",")]

    def _search(self, constraints: Mapping[str, Constraint]) -> Search | None:
        if self.raw.get("search") is None:
            return None
        search = self.validated(Search, self._mapping("search"), "search")
        if search.constraint is not None and search.constraint not in constraints:
            place = self.place("search.constraint")
            raise CpdError(f"no constraint '{search.constraint}'", place=place, hint=closest(search.constraint, constraints))
        if search.high <= search.low:
            raise CpdError(
                f"{search.high:g} is not above low, {search.low:g}", place=self.place("search.high"), hint="swap them"
            )
        return search

    def _chosen(self, overrides: Overrides) -> dict[str, Any]:
        """The methods' blocks, only those asked for."""
        blocks = self._mapping("methods", required=True)
        for name in overrides.methods:
            if name not in self.registry:
                raise CpdError(f"unknown method '{name}'", place="--method", hint=closest(name, self.registry))
            if name not in blocks:
                swept = next(iter(self.registry[name]))
                raise CpdError(
                    f"{self.shown} has no settings for '{name}'",
                    place="--method",
                    hint=f"give some: --set {name}.{swept}=VALUES; it has: {', '.join(blocks)}",
                )
        return {n: blocks[n] for n in dict.fromkeys(overrides.methods)} if overrides.methods else blocks

    def _count(self, methods: Any, levels: Any, seeds: Any, most: int) -> None:
        count = sum(len(s) for s in methods.values()) * len(seeds)
        for values in levels.values():
            count *= len(values)
        if count > most:
            raise CpdError(f"makes {count:,} runs", place=self.shown, hint=f"at most {most:,}; raise it with --max-runs")

    def validated(self, kind: type[Any], raw: Mapping[str, Any], dotted: str) -> Any:
        """Validate with pydantic and put its first complaint in our words."""
        assert issubclass(kind, BaseModel)
        for key in raw:
            if key not in kind.model_fields:
                hint = closest(str(key), kind.model_fields)
                raise CpdError(f"unknown key '{key}'", place=self.place(dotted), hint=hint)
        try:
            return kind.model_validate(dict(raw))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in (dotted, *first["loc"]))
            if first["type"] == "missing":
                raise CpdError("is missing", place=self.place(where), hint="add it") from None
            given = first["input"]
            raise CpdError(f"{given!r} is not valid", place=self.place(where), hint=_need(first["msg"])) from None


def _need(message: str) -> str:
    """Pydantic's complaint as a mend."""
    return message.replace("Input should be", "it should be").replace("Value error, ", "")
