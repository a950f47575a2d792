"""A config of Hydra as a draft: its program, what its sweeper sweeps, its seed."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cpd.spec.foreign.distributions import Fixed, Lost
from cpd.spec.foreign.draft import SEEDS, Draft, Swept, escaped, is_number, seeds_of
from cpd.spec.foreign.grids import Grid, Values, text
from cpd.spec.foreign.hydra_params import BASIC, OPTUNA, Sweeper, defaults_of, read_param, sweeper_of
from cpd.spec.foreign.hydra_project import PROGRAM, Project, configs_in, find_project
from cpd.spec.foreign.hydra_sweeps import How
from cpd.spec.foreign.reading import parse
from cpd.spec.yaml import read_text

METRICS = ("optimized_metric", "optimize_metric", "optimised_metric", "objective_metric")
"""Where configs say which value the program returns."""
_REFERENCE = re.compile(r"\$\{([A-Za-z_][\w.]*)\}")
_ENVIRONMENT = re.compile(r"\$\{\s*(?:oc\.)?env:\s*['\"]?([A-Za-z_]\w*)")
_PLAIN = re.compile(r"[\w./:%+@?*|$-]+(?: [\w./:%+@?*|$-]+)*|\[.*\]|\{.*\}|\$\{.*\}", re.DOTALL)


def hydra_draft(raw: Mapping[str, Any], whole: str, file: Path, folder: Path, program: str | None) -> Draft:
    """Return what a config says.

    Args:
        raw: The config; or that of a sweeper alone.
        whole: Its text.
        file: Where it is.
        folder: Of the task, where the command will run.
        program: As the user names it; None to look for it.
    """
    if isinstance(raw.get("_target_"), str) and "hydra" not in raw:
        raw = {"hydra": {"sweeper": raw}}
    sweeper = sweeper_of(raw)
    project = find_project(file, whole, folder, program)
    draft = Draft(f"{file.stem}: a sweep of a program of Hydra's", f"a config of Hydra, {sweeper.name} sweeper")
    draft.trials, draft.grid = sweeper.trials, sweeper.name == BASIC
    draft.lost += sweeper.lost
    composed = {**_primary(project), **raw}
    _objective(draft, composed, sweeper)
    words = list(_params(draft, composed, sweeper, project))
    words += _own_seed(draft, composed)
    _weights(draft, composed, words)
    draft.words = ["python", escaped(project.program or PROGRAM), *map(escaped, project.words), *words]
    draft.words += _of_hydra(draft, raw)
    _about(draft, raw, project)
    draft.depends = list(_depends(draft, whole, file, folder, project))
    return draft


def _primary(project: Project) -> dict[str, Any]:
    """The config into which a group's is read."""
    if project.primary is None:
        return {}
    found = parse(read_text(project.primary, str(project.primary)), str(project.primary))
    own = found if isinstance(found, dict) else {}
    return {key: value for key, value in own.items() if key not in ("hydra", "defaults")}


def _params(draft: Draft, raw: Mapping[str, Any], sweeper: Sweeper, project: Project) -> Iterator[str]:
    """The words of what is swept, and of what is set to one value."""
    for key, value in sweeper.params.items():
        given = _resolved(value, raw) if isinstance(value, str) else value
        group = key.lstrip("+~").partition("@")[0]
        how = How(
            lambda kept, left, group=group: configs_in(project.root, group, kept, left),  # type: ignore[misc]
            every=sweeper.name == BASIC,
            inclusive=sweeper.name == OPTUNA,
        )
        if key.startswith("~"):
            yield escaped(key)
            continue
        try:
            found, notes = read_param(given, how)
        except Lost as lost:
            draft.lose(key, str(lost))
            continue
        grid = Values((found.value,)) if isinstance(found, Fixed) else found
        if isinstance(found, Fixed) and not (SEEDS.search(key) and not draft.seeds and seeds_of(grid)):
            yield f"{escaped(key)}={escaped(given if isinstance(given, str) else _word(found.value))}"
        else:
            yield f"{escaped(key)}={{{draft.take(key.lstrip('+'), _spelled(grid), notes)}}}"


def _spelled(grid: Grid) -> Grid:
    """Values as Hydra reads them from a command line."""
    if not isinstance(grid, Values):
        return grid
    return Values(tuple(v if is_number(v) or isinstance(v, bool) else _word(v) for v in grid.values))


def _word(value: Any) -> str:
    """A value in Hydra's grammar."""
    if value is None or isinstance(value, bool):
        return text(value)
    if isinstance(value, list):
        return f"[{','.join(map(_word, value))}]"
    if is_number(value):
        return str(value)
    word = str(value)
    return word if _PLAIN.fullmatch(word) else "'" + word.replace("'", "\\'") + "'"


def _resolved(value: str, raw: Mapping[str, Any]) -> str:
    """A text with what it refers to in the same config; what is elsewhere stays, for Hydra to resolve."""

    def own(match: re.Match[str]) -> str:
        found: Any = raw
        for part in match[1].split("."):
            found = found.get(part) if isinstance(found, Mapping) else None
        plain = isinstance(found, str | int | float) and "${" not in str(found)
        return _word(found) if plain and not isinstance(found, str) else str(found) if plain else match[0]

    return _REFERENCE.sub(own, value)


def _leaves(raw: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in raw.items():
        if not prefix and key in ("hydra", "defaults"):
            continue
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _own_seed(draft: Draft, raw: Mapping[str, Any]) -> list[str]:
    """The word for a seed that the config has and nothing sweeps."""
    if draft.seeds:
        return []
    leaves = sorted((one for one in _leaves(raw) if SEEDS.search(one[0])), key=lambda one: one[0].count("."))
    for key, value in leaves:
        if value is None or seeds_of(Values((value,))):
            draft.seeds = [0 if value is None else value]
            draft.of_seeds.append(f"{key} is the config's; more of them show how much is luck: seeds: [0, 1, 2].")
            return [f"{escaped(key)}={{seed}}"]
    return []


def _weights(draft: Draft, raw: Mapping[str, Any], words: list[str]) -> None:
    """Weights of the config that nothing sweeps: the first is a hyperparameter where there is no other at all."""
    taken = {one.key for one in draft.swept}
    found = [(key, value) for key, value in _leaves(raw) if is_number(value) and key not in taken]
    found = [(key, value) for key, value in found if Swept(key, key, Values((value,))).is_weight]
    if not found or any(one.is_weight for one in draft.swept):
        return
    key, value = found[0]
    if draft.swept:
        draft.about.append(
            f"{key}, {value} in the config, has the name of a weight: to sweep it, add {key}={{COEF}} and its values."
        )
        return
    note = f"{key} is {value} in the config: write the values to try, or {{min: 0.001, max: 10, num: 5, scale: log}}"
    words.append(f"{escaped(key)}={{{draft.take(key, Values((value,)), [note])}}}")


def _of_hydra(draft: Draft, raw: Mapping[str, Any]) -> list[str]:
    """Words for Hydra itself: its outputs go to the run's folder, and it makes one run."""
    hydra = raw.get("hydra")
    mode = str(hydra.get("mode", "")) if isinstance(hydra, Mapping) else ""
    words = ["hydra.run.dir={folder}"]
    if mode.upper().endswith("MULTIRUN"):
        draft.about.append("hydra.mode is MULTIRUN in the config, for Hydra's own sweeps; here each run is one.")
        words.append("hydra.mode=RUN")
    return words


def _objective(draft: Draft, raw: Mapping[str, Any], sweeper: Sweeper) -> None:
    named = next((str(raw[key]) for key in METRICS if isinstance(raw.get(key), str)), sweeper.objective)
    named = str(named).strip() or None if named is not None else None
    draft.objective = named
    if named is None:
        draft.of_objective.append("Hydra's sweepers take what the function returns, which has no name: give it one.")
    if sweeper.maximises:
        what = named or "what is returned"
        draft.objective = f"minus_{re.sub(r'[^0-9A-Za-z]+', '_', named or 'objective').strip('_')}"
        draft.of_objective.append(
            f"{what} is maximised there, and cpd minimises: let the program write {draft.objective}, its negative. "
            "Where it has to reach a level, it may be a constraint instead."
        )


def _about(draft: Draft, raw: Mapping[str, Any], project: Project) -> None:
    groups = [f"{group}: {name}" for group, name in defaults_of(raw).items() if name and "hydra/" not in group]
    if groups:
        draft.about.append(f"Hydra goes on composing the config of its defaults ({', '.join(groups)}).")
    if project.program is None:
        draft.about.append(f"FILL IN the program, which the config does not name: {PROGRAM} stands for it.")


def _depends(draft: Draft, whole: str, file: Path, folder: Path, project: Project) -> Iterator[str]:
    """The files that runs depend on: the program, the configs, variables of the environment that these name."""
    if project.program is not None and (folder / project.program).is_file():
        yield project.program
    here = folder.resolve()
    root = file.parent if project.root is None or project.program is None else project.root
    # A folder that holds the task too holds much that no run depends on: this file alone stands for it.
    alone = here.is_relative_to(root.resolve()) or project.program is None or file.suffix != ".yaml"
    own = Path(os.path.relpath((file if alone else root).resolve(), here)).as_posix()
    yield own if alone else f"{own}/**/*.yaml"
    yield from (f"env:{name}" for name in dict.fromkeys(_ENVIRONMENT.findall(whole)))
