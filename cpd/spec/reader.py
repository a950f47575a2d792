"""From a YAML file and the command line's words to a validated task."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.registry import REGISTRY, swept, with_defaults
from cpd.spec.bundled import describe
from cpd.spec.grids import Grid, read_grid
from cpd.spec.identity import canonical_json
from cpd.spec.layers import Layers, read_files
from cpd.spec.models import Constraint, Optimizer, ProblemSource, Search, Task, Train
from cpd.spec.overrides import Overrides
from cpd.spec.settings import Setting, SettingGrid, read_methods
from cpd.spec.source import find_source
from cpd.spec.validation import InvalidError, at_least, checked, finite, shown, word

__all__ = ["Overrides", "load_task"]

MOST_SEEDS = 2**63
"""Seeds are below this: torch's generators take no larger ones."""

_SEED = re.compile(r"\s*[0-9]{1,18}\s*")
_SEED_RANGE = re.compile(r"\s*([0-9]{1,18})\s*:\s*([0-9]{1,18})\s*")


def load_task(name: str, overrides: Overrides | None = None) -> Task:
    """Read a task or sweep by bundled name or path, apply the overrides and check everything.

    Nothing is trained and no code of the problem is run.

    Args:
        name: ``rate``, ``sweeps/figure2.yaml`` or a path.
        overrides: The command line's words.

    Raises:
        CpdError: The message names the place, the value, the valid choices and the mend.
    """
    overrides = overrides or Overrides()
    layers = Layers((*overrides.layers(), *read_files(name)))
    return _Spec(layers, overrides).task()


class _Spec:
    """A merged spec on its way to a task."""

    def __init__(self, layers: Layers, overrides: Overrides) -> None:
        self.layers = layers
        self.overrides = overrides
        self.raw = layers.merged()
        self.notes: list[str] = []

    def task(self) -> Task:
        """Check every key, count the runs, and only then build the grids."""
        problem = self._problem()
        constraints = self._constraints()
        train = self._train()
        search = self._search(constraints)
        blocks = self._methods(constraints, optional=search is not None)
        levels = self._levels(constraints)
        seeds = self._seeds()
        self._count(blocks, levels, seeds)
        top = self.layers.files[0]
        return Task(
            name=Path(top.place).stem,
            place=top.place,
            text=self._text(),
            description=self._description(),
            problem=problem,
            objective=self._checked("objective", word, "objective"),
            constraints=constraints,
            train=train,
            seeds=self._unique("seeds", seeds, int),
            methods={name: self._settings(name, grids) for name, grids in blocks.items()},
            levels={name: self._unique(f"levels.{name}", grid.expand(), float) for name, grid in levels.items()},
            search=search,
            notes=tuple(self.notes),
            places=self._places(top.place),
        )

    def _places(self, top: str) -> dict[str, str]:
        """Keys that are somewhere else than in the top file, of those that only their use shows to be wrong."""
        optimizer = (self.raw.get("train") or {}).get("optimizer") or {}
        keys = [
            "problem",
            *("arguments", *(f"arguments.{name}" for name in self._mapping("arguments"))),
            *("constraints", *(f"constraints.{name}" for name in self._mapping("constraints"))),
            *("train.optimizer", *(f"train.optimizer.{name}" for name in optimizer)),
        ]
        return {key: at for key in keys if (at := self.layers.at(key)) != f"{top}: {key}"}

    def _text(self) -> str:
        """The files as written, the task's after the sweep's."""
        top, *below = self.layers.files
        return "\n".join([top.text, *(f"# --- {layer.place}\n{layer.text}" for layer in below)])

    def _description(self) -> str:
        first = next((text for layer in self.layers.files if (text := describe(layer.text))), "")
        return self._checked("description", word, first) if "description" in self.raw else first

    def _problem(self) -> ProblemSource:
        if "problem" not in self.raw:
            raise self._missing("problem", "problem: my_problem.py:MyProblem")
        target = self._checked("problem", word, None)
        folder = self.layers.folder("problem")
        return find_source(target, self._mapping("arguments"), folder, self.layers.at("problem"))

    def _constraints(self) -> dict[str, Constraint]:
        raw = self._mapping("constraints")
        if not raw:
            raise self._missing("constraints", 'constraints: {NAME: ">= 0.7"}')
        self._refuse_new_constraints()
        return {name: checked(Constraint, value, self.layers.at, f"constraints.{name}") for name, value in raw.items()}

    def _train(self) -> Train:
        if "train" not in self.raw:
            raise self._missing("train", "train: {steps: 1000, optimizer: {name: SGD, lr: 0.01}}")
        raw = dict(self._mapping("train"))
        if "optimizer" in raw:
            raw["optimizer"] = self._optimizer(raw["optimizer"])
        return checked(Train, raw, self.layers.at, "train")

    def _optimizer(self, raw: Any) -> Optimizer:
        at, key = self.layers.at, "train.optimizer"
        if not isinstance(raw, dict):
            raise CpdError(f"{shown(raw)} is not a mapping", place=at(key), hint="write {name: SGD, lr: 0.02}")
        options = {name: value for name, value in raw.items() if name != "name"}
        if "lr" in options:
            options["lr"] = self._fitting(f"{key}.lr", at_least(0), options["lr"])
        named = {"name": raw["name"]} if "name" in raw else {}
        return checked(Optimizer, {**named, "options": options}, at, key)

    def _search(self, constraints: Iterable[str]) -> Search | None:
        if self.raw.get("search") is None:
            return None
        search = checked(Search, self.raw["search"], self.layers.at, "search")
        if search.constraint is not None:
            self._known(search.constraint, constraints, "search.constraint")
        return search

    def _methods(self, constraints: Iterable[str], optional: bool) -> dict[str, list[SettingGrid]]:
        """The methods' blocks, only those asked for."""
        raw = self._mapping("methods")
        asked = dict.fromkeys(self.overrides.methods)
        for name in asked:
            if name not in REGISTRY:
                raise CpdError(f"unknown method '{name}'", hint=closest(name, REGISTRY))
            if name not in raw:
                hint = f"give some: --set {name}.{swept(name)}=VALUES; it has: {', '.join(raw) or 'none'}"
                raise CpdError(f"no settings for '{name}'", place=f"{self.layers.files[0].place}: methods", hint=hint)
        if not raw and not optional:
            raise self._missing("methods", "methods: {penalized: {coefficient: {values: [0.1, 1]}}}")
        chosen = {name: raw[name] for name in asked} if asked else raw
        return read_methods(chosen, list(constraints), self.layers.at)

    def _settings(self, method: str, grids: list[SettingGrid]) -> tuple[Setting, ...]:
        settings = (setting for grid in grids for setting in grid.expand())
        identity = lambda setting: canonical_json(with_defaults(method, setting))  # noqa: E731
        return self._unique(f"methods.{method}", settings, identity)

    def _levels(self, constraints: Iterable[str]) -> dict[str, Grid]:
        levels = {}
        for name, raw in self._mapping("levels").items():
            key = f"levels.{name}"
            self._known(name, constraints, key)
            grid = {"values": raw} if isinstance(raw, list) else raw
            levels[name] = self._fitting(key, lambda value: read_grid(value, finite), grid)
        return levels

    def _seeds(self) -> Sequence[int]:
        return self._fitting("seeds", _read_seeds, self.raw.get("seeds", [0]))

    def _count(self, blocks: dict[str, list[SettingGrid]], levels: dict[str, Grid], seeds: Sequence[int]) -> None:
        settings = sum(grid.count for grids in blocks.values() for grid in grids)
        count = settings * len(seeds) * math.prod(grid.count for grid in levels.values())
        if count > self.overrides.max_runs:
            hint = f"at most {self.overrides.max_runs:,}; make its grids shorter, or raise --max-runs"
            raise CpdError(f"makes {count:,} runs", place=self.layers.files[0].place, hint=hint)

    def _unique(self, key: str, values: Iterable[Any], identity: Callable[[Any], Any]) -> tuple[Any, ...]:
        """Drop what repeats an earlier one, with a note."""
        kept: dict[Any, Any] = {}
        total = 0
        for value in values:
            kept.setdefault(identity(value), value)
            total += 1
        if len(kept) < total:
            self.notes.append(f"{key}: {total - len(kept)} of {total} left out as duplicates")
        return tuple(kept.values())

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self.raw.get(key)
        if value is None:
            return {}
        if not isinstance(value, dict):
            raise CpdError(f"{shown(value)} is not a mapping", place=self.layers.at(key), hint="write {NAME: VALUE}")
        return value

    def _checked(self, key: str, check: Callable[[Any], Any], default: Any) -> Any:
        return self._fitting(key, check, self.raw.get(key, default))

    def _fitting(self, key: str, check: Callable[[Any], Any], value: Any) -> Any:
        try:
            return check(value)
        except InvalidError as error:
            raise error.at(self.layers.at, key) from None

    def _known(self, name: str, constraints: Iterable[str], key: str) -> None:
        if name not in constraints:
            raise CpdError(f"no constraint '{name}'", place=self.layers.at(key), hint=closest(name, constraints))

    def _refuse_new_constraints(self) -> None:
        """An option for a constraint that no file has would otherwise make a new one."""
        files = [layer.raw.get("constraints") for layer in self.layers.files]
        names = dict.fromkeys(name for raw in files if isinstance(raw, dict) for name in raw)
        for layer in self.layers.layers:
            top, *below = layer.option.split(".")
            if top == "constraints" and below:
                self._known(below[0], names, layer.option)

    def _missing(self, key: str, example: str) -> CpdError:
        return CpdError(f"the key '{key}' is missing", place=self.layers.files[0].place, hint=f"add {example}")


def _read_seeds(raw: Any) -> Sequence[int]:
    """A whole number, a list of them, ``0:5`` (half-open) or ``1,2,7``."""
    values = _seed_words(raw) if isinstance(raw, str) else raw if isinstance(raw, list) else [raw]
    if not values or not (isinstance(values, range) or all(map(_is_seed, values))):
        raise InvalidError(f"{shown(raw)} gives no seeds", "write e.g. 1,2,7, or 0:5 for 0 to 4")
    return values


def _seed_words(text: str) -> Sequence[Any]:
    """Seeds as a range where they are given as one: it is counted before it is built."""
    if ends := _SEED_RANGE.fullmatch(text):
        return range(int(ends[1]), int(ends[2]))
    return [int(part) if _SEED.fullmatch(part) else part for part in text.split(",")]


def _is_seed(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < MOST_SEEDS
