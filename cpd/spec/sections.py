"""The sections of a spec, each read into the part of the task that it describes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from cpd.errors import CpdError, closest
from cpd.spec.budget import Budget
from cpd.spec.depends import read_depends
from cpd.spec.grids import Grid, read_grid
from cpd.spec.held_out import Split
from cpd.spec.measuring import Stop
from cpd.spec.merged import Merged
from cpd.spec.models import Constraint, MovingConstraint, Optimizer, ProblemSource, Search, Train
from cpd.spec.source import find_source
from cpd.spec.transfer import Transfer, transfer_of
from cpd.spec.validation import InvalidError, at_least, checked, finite, one_of, shown, word

MOST_SEEDS = 2**63
"""Seeds are below this: torch's generators take no larger ones."""

MOVING = ("from", "to", "over")
"""What is said of a level that moves."""

_SEED = re.compile(r"\s*[+-]?[0-9]{1,40}\s*")
_SEED_RANGE = re.compile(rf"({_SEED.pattern}):({_SEED.pattern})")


def read_problem(spec: Merged) -> ProblemSource:
    """``problem`` and ``arguments``."""
    if "problem" not in spec.raw:
        raise spec.missing("problem", "problem: my_problem.py:MyProblem")
    if isinstance(given := spec.raw["problem"], ProblemSource):  # Python has found it already
        return given.model_copy(update={"arguments": spec.mapping("arguments")})
    target = spec.checked("problem", word)
    return find_source(target, spec.mapping("arguments"), spec.layers.folder("problem"), spec.at("problem"))


def read_dependencies(spec: Merged) -> dict[str, str]:
    """``depends``, from the folder of the file that has it."""
    return read_depends(spec.raw.get("depends"), spec.layers.folder("depends"), spec.at)


def read_constraints(spec: Merged) -> dict[str, Constraint]:
    """``constraints``; there is at least one."""
    raw = spec.mapping("constraints")
    if not raw:
        raise spec.missing("constraints", 'constraints: {NAME: ">= 0.7"}')
    if nameless := [name for name in raw if not str(name).strip()]:
        hint = 'write e.g. {accuracy: ">= 0.7"}'
        raise CpdError(f"a constraint without a name ({shown(nameless[0])})", place=spec.at("constraints"), hint=hint)
    _refuse_new_constraints(spec)
    return {name: checked(Constraint, value, spec.at, f"constraints.{name}") for name, value in raw.items()}


def _refuse_new_constraints(spec: Merged) -> None:
    """An option for a constraint that no file has would otherwise make a new one."""
    files = [layer.raw.get("constraints") for layer in spec.layers.files]
    names = dict.fromkeys(name for raw in files if isinstance(raw, dict) for name in raw)
    for layer in spec.layers.layers:
        if layer.option and isinstance(new := layer.raw.get("constraints"), dict):
            spec.known(next(iter(new)), names, layer.option)


def read_train(spec: Merged) -> Train:
    """``train``, with its optimizer."""
    if "train" not in spec.raw:
        raise spec.missing("train", "train: {steps: 1000, optimizer: {name: SGD, lr: 0.01}}")
    raw = dict(spec.mapping("train"))
    if "optimizer" in raw:
        raw["optimizer"] = _read_optimizer(spec, raw["optimizer"])
    if raw.get("stop") is not None:
        raw["stop"] = checked(Stop, raw["stop"], spec.at, "train.stop")
    several = isinstance(raw.get("schedule"), list)
    return checked(Train, raw, lambda key: spec.at(_written(key, several)), "train")


def _written(key: str, several: bool) -> str:
    """A key as a file has it: a schedule's place in a list in brackets, or none where it is no list."""
    key = re.sub(r"^(train\.schedule\.\d+)\.lasts$", r"\1.for", key)
    return re.sub(r"^train\.schedule\.(\d+)", r"train.schedule[\1]" if several else "train.schedule", key)


def _read_optimizer(spec: Merged, raw: Any) -> Optimizer:
    key = "train.optimizer"
    raw = {"name": raw} if isinstance(raw, str) else raw  # a grid's value: short forms elsewhere are written out
    if not isinstance(raw, dict):
        raise CpdError(f"{shown(raw)} is not a mapping", place=spec.at(key), hint="write {name: SGD, lr: 0.02}")
    options = {name: value for name, value in raw.items() if name != "name"}
    if "lr" in options:
        options["lr"] = spec.fitting(f"{key}.lr", at_least(0), options["lr"])
    named = {"name": raw["name"]} if "name" in raw else {}
    return checked(Optimizer, {**named, "options": options}, spec.at, key)


def read_search(spec: Merged, constraints: Iterable[str]) -> Search | None:
    """``search``, None where there is none."""
    if spec.raw.get("search") is None:
        return None
    search = checked(Search, spec.raw["search"], spec.at, "search")
    if search.constraint is not None:
        spec.known(search.constraint, constraints, "search.constraint")
    for name in search.targets:
        spec.known(name, constraints, f"search.targets.{name}")
    return search


def read_budget(spec: Merged) -> Budget | None:
    """``budget``, None where there is none."""
    raw = spec.raw.get("budget")
    if raw is None:
        return None
    if isinstance(raw, dict) and raw.get("trainings") is None and set(raw) <= set(Budget.model_fields):
        given = next(iter(raw), None)
        place = spec.at("budget" if given is None else f"budget.{given}")
        hint = "add --budget 20" if place.startswith("--") else "add trainings: 20"
        raise CpdError("how many trainings?", place=place, hint=hint)
    return checked(Budget, raw, spec.at, "budget")


def read_transfer(spec: Merged, grids: Mapping[str, Sequence[Any]]) -> Transfer | None:
    """``transfer``, None where there is none.

    Args:
        spec: The spec.
        grids: That have several values.

    Raises:
        CpdError: It names no value of a grid, or a search or a budget has no settings to carry over.
    """
    raw = spec.raw.get("transfer")
    if raw is None or raw is False:
        return None
    for key in ("search", "budget"):
        if spec.raw.get(key) is not None:
            hint = f"leave out transfer or {key}"
            raise CpdError(f"a {key} does not try each setting in both cases", place=spec.at("transfer"), hint=hint)
    return transfer_of(raw, grids, spec.at)


def read_held_out(spec: Merged) -> Split | None:
    """``held_out``, None where there is none."""
    if spec.raw.get("held_out") is None:
        return None
    raw = spec.raw["held_out"]
    if not isinstance(raw, dict):
        hint = "write 0.2, or {share: 0.2, seed: 0, stratify: 1}"
        raise CpdError(f"{shown(raw)} is no share of the examples", place=spec.at("held_out"), hint=hint)
    return checked(Split, raw, spec.at, "held_out")


def read_judge(spec: Merged) -> str | None:
    """``judge``, None where nothing is said."""
    if spec.raw.get("judge") is None:
        return None
    judged: str = spec.checked("judge", one_of("training", "held_out"))
    return judged


def read_levels(spec: Merged, constraints: Iterable[str]) -> dict[str, Grid]:
    """``levels``, a grid for each constraint that has some; a list is one too, and a level that moves has one in it."""
    levels = {}
    for name, raw in spec.mapping("levels").items():
        key = f"levels.{name}"
        spec.known(name, constraints, key)
        if moves(raw) and "to" not in raw:  # to its own level
            continue
        key, raw = (f"{key}.to", raw["to"]) if moves(raw) else (key, raw)
        grid = {"values": raw} if isinstance(raw, list) else raw
        levels[name] = spec.fitting(key, lambda value: read_grid(value, finite), grid)
    return levels


def read_moving(spec: Merged, constraints: Mapping[str, Constraint]) -> dict[str, Constraint]:
    """The constraints, those of which ``levels`` says that their level moves as such."""
    found = dict(constraints)
    for name, raw in spec.mapping("levels").items():
        if not moves(raw):
            continue
        if unknown := [key for key in raw if key not in MOVING]:
            place = spec.at(f"levels.{name}.{unknown[0]}")
            raise CpdError(f"unknown key '{unknown[0]}'", place=place, hint=closest(str(unknown[0]), MOVING))
        if missing := [key for key in ("from", "over") if key not in raw]:
            hint = "write {from: 1, to: 0.5, over: 0.5}"
            raise CpdError(f"the key '{missing[0]}' is missing", place=spec.at(f"levels.{name}"), hint=hint)
        start = spec.fitting(f"levels.{name}.from", finite, raw["from"])
        own = {**constraints[name].model_dump(), "start": start, "over": raw["over"]}
        found[name] = checked(MovingConstraint, own, spec.at, f"levels.{name}")
    return found


def moves(raw: Any) -> bool:
    """Whether what ``levels`` gives a constraint is a level that moves."""
    return isinstance(raw, dict) and bool({"from", "to", "over"} & raw.keys())


def read_seeds(spec: Merged) -> Sequence[int]:
    """``seeds``, a range where they are given as one: they are counted before they are built."""
    return spec.checked("seeds", _seeds, default=[0])


def _seeds(raw: Any) -> Sequence[int]:
    """An integer, a list of them, ``0:5`` (half-open) or ``1,2,7``."""
    values: Sequence[Any] = _seed_words(raw) if isinstance(raw, str) else raw if isinstance(raw, list) else [raw]
    whole = isinstance(values, range) or all(isinstance(v, int) and not isinstance(v, bool) for v in values)
    if not values or not whole:
        raise InvalidError(f"{shown(raw)} gives no seeds", "write e.g. 1,2,7, or 0:5 for 0 to 4")
    ends = (values[0], values[-1]) if isinstance(values, range) else values
    if beyond := [seed for seed in ends if not 0 <= seed < MOST_SEEDS]:
        raise InvalidError(f"seed {shown(beyond[0])} is out of range", f"seeds are from 0 to {MOST_SEEDS - 1}")
    if isinstance(values, range) and values.stop - values.start >= MOST_SEEDS:
        raise InvalidError(f"{shown(raw)} gives more seeds than can be counted", "give fewer of them")
    return values


def _seed_words(text: str) -> Sequence[Any]:
    if ends := _SEED_RANGE.fullmatch(text):
        return range(int(ends[1]), int(ends[2]))
    return [int(part) if _SEED.fullmatch(part) else part for part in text.split(",")]
