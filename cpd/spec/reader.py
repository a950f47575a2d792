"""From a YAML file and the command line's words to a validated task."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any

from cpd.errors import CpdError, closest
from cpd.methods.multipliers import HELD_OUT
from cpd.methods.registry import REGISTRY, swept, with_defaults
from cpd.spec import sections
from cpd.spec.budget import Written
from cpd.spec.bundled import describe
from cpd.spec.free_methods import read_free_methods
from cpd.spec.grids import Grid
from cpd.spec.held_out import HALF
from cpd.spec.identity import canonical_json
from cpd.spec.layers import Layer, Layers, read_files
from cpd.spec.merged import Merged
from cpd.spec.models import Program, Task, Train
from cpd.spec.overrides import Overrides
from cpd.spec.program import check_program, command_source, left_out, no_recipe, read_program
from cpd.spec.recipe_grids import take_grids, values_of
from cpd.spec.recipes import problem_of
from cpd.spec.settings import SettingGrid, check_settings, read_methods
from cpd.spec.validation import word

__all__ = ["Overrides", "load_task"]

Blocks = Mapping[str, Sequence[SettingGrid]]


def load_task(name: str, overrides: Overrides | None = None) -> Task:
    """Read a task or sweep by bundled name or path, apply the overrides and check everything.

    Nothing is trained, no code of the problem is run, and torch is not loaded.

    Args:
        name: ``rate``, ``sweeps/figure2.yaml`` or a path.
        overrides: The command line's words.

    Raises:
        CpdError: The message names the place, the value, the valid choices and how to fix it.
    """
    overrides = overrides or Overrides()
    files = read_files(name)
    own = [layer.raw.get("constraints") for layer in files]
    names = dict.fromkeys(str(n) for constraints in own if isinstance(constraints, dict) for n in constraints)
    return read_layers(Layers((*overrides.layers(names, methods_in(files)), *files)), overrides)


def methods_in(layers: Iterable[Layer]) -> list[str]:
    """The names of the methods that layers have, which may be a program's own."""
    blocks = [layer.raw.get("methods") for layer in layers]
    return list(dict.fromkeys(str(name) for block in blocks if isinstance(block, Mapping) for name in block))


def read_layers(layers: Layers, overrides: Overrides, called: str = "") -> Task:
    """Check every key of a spec, count its runs, and only then build the grids.

    Args:
        layers: The spec.
        overrides: Which methods are asked for, and how many runs there may be.
        called: The task's name; default: that of its file.

    Raises:
        CpdError: As for :func:`load_task`.
    """
    spec, gridded = take_grids(Merged(layers))
    program = read_program(spec)
    if program is not None and not program.is_function:
        problem = command_source(spec, program)
    else:
        problem = sections.read_problem(spec)
        problem = problem.model_copy(update={"depends": problem.depends | sections.read_dependencies(spec)})
    constraints = sections.read_constraints(spec)
    train = no_recipe() if program is not None else sections.read_train(spec)
    search = sections.read_search(spec, constraints)
    budget = sections.read_budget(spec)
    blocks = _methods(spec, list(constraints), overrides, search is not None, program)
    levels = sections.read_levels(spec, constraints)
    constraints = sections.read_moving(spec, constraints)
    seeds = sections.read_seeds(spec)
    recipes = math.prod(grid.count for grid in gridded.values())  # of a search, which has no runs yet, as well
    _count(spec, max(recipes * _runs(blocks, levels, seeds), recipes), overrides.max_runs)
    if budget is not None:
        _count_budget(spec, budget.trainings * len(blocks) * _choices(levels, seeds), overrides.max_runs)
    notes: list[str] = []
    if program is None:
        for name, grids in blocks.items():
            check_settings(name, grids, {n: one.sense for n, one in constraints.items()}, spec.at)
    else:
        check_program(spec, program, list(constraints), search)
        notes += left_out(spec, program)
    values = {key: _recipes(spec, train, key, grid, notes) for key, grid in gridded.items()}
    several = {key: own for key, own in values.items() if len(own) > 1}
    return Task(
        name=called or Path(spec.top.place).stem,
        place=spec.top.place,
        text=_text(spec),
        description=_description(spec),
        problem=problem_of(problem, {key: own[0] for key, own in values.items()}),
        objective=spec.checked("objective", word, default="objective"),
        constraints=constraints,
        train=train if program is not None else _with_multipliers(train, spec.mapping("methods")),
        seeds=_unique(seeds, int, "seeds", notes),
        methods={name: _settings(name, grids, notes, program is None) for name, grids in blocks.items()},
        levels={name: _unique(grid.expand(), float, f"levels.{name}", notes) for name, grid in levels.items()},
        grids=several,
        search=search,
        budget=budget,
        transfer=sections.read_transfer(spec, several),
        written=Written(blocks, gridded),
        program=program,
        held_out=sections.read_held_out(spec),
        judge=sections.read_judge(spec),
        notes=tuple(notes),
        places=_places(spec),
    )


def _with_multipliers(train: Train, methods: Mapping[str, Any]) -> Train:
    """A recipe that says how many held-out examples are the multipliers' where some method moves them there.

    All runs of the task are then judged on the others, also those of the methods that are not trained now.
    """
    blocks = (block for own in methods.values() for block in (own if isinstance(own, list) else [own]))
    values = [block.get("multipliers_on") for block in blocks if isinstance(block, dict)]
    grids = [value.get("values") if isinstance(value, dict) else value for value in values]
    if train.multipliers_share is not None or not any(
        HELD_OUT in (grid if isinstance(grid, list) else [grid]) for grid in grids
    ):
        return train
    return train.model_copy(update={"multipliers_share": HALF})


def _methods(
    spec: Merged, constraints: Sequence[str], overrides: Overrides, optional: bool, program: Program | None
) -> Blocks:
    """The methods' blocks, only those asked for."""
    raw = spec.mapping("methods")
    asked = dict.fromkeys(overrides.methods)
    for name in asked:
        if name not in REGISTRY and (program is None or name not in raw):
            raise CpdError(f"unknown method '{name}'", hint=closest(name, REGISTRY if program is None else raw))
        if name not in raw:
            first = "HYPERPARAMETER" if program is not None else swept(name)
            hint = f"give some: --set {name}.{first}=VALUES; it has: {', '.join(raw) or 'none'}"
            raise CpdError(f"no settings for '{name}'", place=f"{spec.top.place}: methods", hint=hint)
    if not raw and not optional:
        raise spec.missing("methods", "methods: {penalized: {coefficient: {values: [0.1, 1]}}}")
    chosen = {name: raw[name] for name in asked} if asked else raw
    return read_methods(chosen, constraints, spec.at) if program is None else read_free_methods(chosen, spec.at)


def _runs(blocks: Blocks, levels: Mapping[str, Grid], seeds: Sequence[int]) -> int:
    settings = sum(grid.count for grids in blocks.values() for grid in grids)
    return settings * _choices(levels, seeds)


def _choices(levels: Mapping[str, Grid], seeds: Sequence[int]) -> int:
    """Seeds and choices of levels, of which each setting is trained at every one."""
    return len(seeds) * math.prod(grid.count for grid in levels.values())


def _count_budget(spec: Merged, runs: int, most: int) -> None:
    if runs > most:
        hint = f"at most {most:,}; give a smaller budget, or raise --max-runs"
        raise CpdError(f"makes {runs:,} runs", place=spec.at("budget.trainings"), hint=hint)


def _count(spec: Merged, runs: int, most: int) -> None:
    if runs > most:
        hint = f"at most {most:,}; make its grids shorter, or raise --max-runs"
        raise CpdError(f"makes {runs:,} runs", place=spec.top.place, hint=hint)


def _settings(
    method: str, grids: Sequence[SettingGrid], notes: list[str], has_defaults: bool
) -> tuple[dict[str, Any], ...]:
    settings = (setting for grid in grids for setting in grid.expand())
    whole = partial(with_defaults, method) if has_defaults else dict
    return _unique(settings, lambda one: canonical_json(whole(one)), f"methods.{method}", notes)


def _recipes(spec: Merged, train: Train, key: str, grid: Grid, notes: list[str]) -> tuple[Any, ...]:
    """The values of a grid over the recipe or the arguments."""
    return tuple(value for value, _ in _unique(values_of(spec, train, key, grid), itemgetter(1), key, notes))


def _unique(values: Iterable[Any], identity: Callable[[Any], Any], key: str, notes: list[str]) -> tuple[Any, ...]:
    """Drop what repeats an earlier one, with a note."""
    kept: dict[Any, Any] = {}
    total = 0
    for value in values:
        kept.setdefault(identity(value), value)
        total += 1
    if len(kept) < total:
        notes.append(f"{key}: {total - len(kept)} of {total} left out as duplicates")
    return tuple(kept.values())


def _text(spec: Merged) -> str:
    """The files as written, the task's after the sweep's."""
    top, *below = spec.layers.files
    return "\n".join([top.text, *(f"# --- {layer.place}\n{layer.text}" for layer in below)])


def _description(spec: Merged) -> str:
    first = next((text for layer in spec.layers.files if (text := describe(layer.text))), "")
    return spec.checked("description", word) if "description" in spec.raw else first


def _places(spec: Merged) -> dict[str, str]:
    """Keys that are somewhere else than in the top file, of those that only their use shows to be wrong."""
    train = spec.raw.get("train") or {}
    optimizer, groups, schedule = (train.get(part) or {} for part in ("optimizer", "groups", "schedule"))
    schedule = schedule if isinstance(schedule, dict) else {}
    keys = [
        "problem",
        *("judge", "held_out", "held_out.share", "held_out.stratify"),
        *("arguments", *(f"arguments.{name}" for name in spec.mapping("arguments"))),
        *("constraints", *(f"constraints.{name}" for name in spec.mapping("constraints"))),
        *("train.optimizer", *(f"train.optimizer.{name}" for name in optimizer)),
        *("train.schedule", *(f"train.schedule.{name}" for name in schedule)),
        *("train.groups", *(f"train.groups.{pattern}" for pattern in groups)),
        *(f"train.groups.{pattern}.{name}" for pattern, options in groups.items() for name in options),
    ]
    return {key: at for key in keys if (at := spec.at(key)) != f"{spec.top.place}: {key}"}
