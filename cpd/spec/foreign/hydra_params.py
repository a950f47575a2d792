"""The search space of one of Hydra's sweepers: its keys, what each is swept over, and what the sweeper wants."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cpd.spec.foreign.distributions import Fixed, Lost
from cpd.spec.foreign.draft import is_number
from cpd.spec.foreign.grids import Span, Values
from cpd.spec.foreign.hydra_sweeps import Found, How, read_sweep, value_of

BASIC = "basic"
OPTUNA = "optuna"
_SWEEPER = re.compile(r"^(?:override\s+)?/?hydra/sweeper$")
_LAUNCHER = re.compile(r"^(?:override\s+)?/?hydra/launcher$")
_TARGETS = re.compile(r"hydra_(?:plugins\.hydra_)?(\w+?)_sweeper")
HANDLED = {
    "_target_", "params", "search_space", "overrides", "ax_config", "optim", "parametrization", "direction",
    "directions", "n_trials", "defaults",
}  # fmt: skip
WHY = {
    "sampler": "cpd trains the settings of a grid, whatever came out before",
    "pruner": "give cpd sweep --prune, or --halving 3, for a program that writes curves",
    "storage": "cpd keeps its runs in a store of its own, .cpd/runs.sqlite",
    "study_name": "cpd keeps its runs in a store of its own, .cpd/runs.sqlite",
    "n_jobs": "give cpd sweep --jobs N",
    "max_batch_size": "give cpd sweep --jobs N",
    "max_failure_rate": "a run that fails is shown as failed, and the others go on",
    "custom_search_space": "it is a function: write what it would try as values",
}


@dataclass
class Sweeper:
    """What a config says of its sweeper.

    Attributes:
        name: ``basic``, ``optuna``, ``ax``, ``nevergrad`` or another one.
        params: What each key is swept over.
        trials: How many settings it tries; None for all.
        objective: Its name, where it has one.
        maximises: Whether it is to be large.
        lost: What could not be carried over, and why.
    """

    name: str
    params: dict[str, Any] = field(default_factory=dict)
    trials: int | None = None
    objective: str | None = None
    maximises: bool = False
    lost: list[tuple[str, str]] = field(default_factory=list)


def defaults_of(raw: Mapping[str, Any]) -> dict[str, str]:
    """The entries of a defaults list by group."""
    entries = raw.get("defaults")
    found: dict[str, str] = {}
    for entry in entries if isinstance(entries, list) else []:
        if isinstance(entry, dict):
            found |= {str(group): "null" if name is None else str(name) for group, name in entry.items()}
        elif isinstance(entry, str):
            found[entry] = ""
    return found


def sweeper_of(raw: Mapping[str, Any]) -> Sweeper:
    """Return what a config says of its sweeper."""
    hydra = raw.get("hydra") if isinstance(raw.get("hydra"), dict) else {}
    assert isinstance(hydra, dict)
    own = hydra.get("sweeper") if isinstance(hydra.get("sweeper"), dict) else {}
    assert isinstance(own, dict)
    defaults = {**defaults_of(raw), **{f"hydra/{group}": name for group, name in defaults_of(hydra).items()}}
    named = [name for group, name in defaults.items() if _SWEEPER.match(group) and name]
    target = _TARGETS.search(str(own.get("_target_", "")))
    sweeper = Sweeper(named[-1] if named else target[1] if target else BASIC)
    launchers = [name for group, name in defaults.items() if _LAUNCHER.match(group) and name not in ("", "basic")]
    if launchers:
        why = "runs are started by cpd: --jobs N on this machine, --backend dask or ray on a cluster"
        sweeper.lost.append((f"hydra/launcher: {launchers[-1]}", why))
    _spaces(sweeper, own)
    _wishes(sweeper, own)
    for key in own:
        if key not in HANDLED and own[key] is not None:
            sweeper.lost.append((f"hydra.sweeper.{key}", WHY.get(key, "cpd has no such key")))
    return sweeper


def _spaces(sweeper: Sweeper, own: Mapping[str, Any]) -> None:
    """All places in which sweepers and their versions keep the search space."""
    ax, optim = own.get("ax_config"), own.get("optim")
    places = [own.get("params"), own.get("search_space"), own.get("overrides"), own.get("parametrization")]
    places += [one.get(key) for one in (ax, optim) if isinstance(one, dict) for key in ("params", "parametrization")]
    for space in places:
        while isinstance(space, dict) and isinstance(space.get("search_space"), dict):
            space = space["search_space"]
        if isinstance(space, dict):
            sweeper.params |= {key: value for key, value in space.items() if key != "max_batch_size"}
        elif isinstance(space, list):
            pairs = [str(one).partition("=") for one in space]
            sweeper.params |= {key: value for key, equals, value in pairs if equals}


def _wishes(sweeper: Sweeper, own: Mapping[str, Any]) -> None:
    """What the sweeper is to make large or small, and with how many trials."""
    directions = own.get("directions") or own.get("direction")
    if isinstance(directions, list) and len(directions) > 1:
        why = "a task has one objective: the first is taken; let others be constraints with a level"
        sweeper.lost.append((f"directions: {', '.join(map(str, directions))}", why))
    first = directions[0] if isinstance(directions, list) and directions else directions
    sweeper.maximises = str(first).lower().endswith("maximize")
    ax, optim = own.get("ax_config"), own.get("optim")
    trials = [own.get("n_trials")]
    if isinstance(ax, dict):
        trials.append(ax.get("max_trials"))
        experiment = ax.get("experiment") if isinstance(ax.get("experiment"), dict) else {}
        assert isinstance(experiment, dict)
        sweeper.objective = experiment.get("objective_name")
        sweeper.maximises |= experiment.get("minimize") is False
        if experiment.get("outcome_constraints") or experiment.get("parameter_constraints"):
            sweeper.lost.append(("ax_config.experiment: constraints", "write them under constraints, one a line"))
        if ax.get("early_stop"):
            sweeper.lost.append(("ax_config.early_stop", "all settings are trained"))
    if isinstance(optim, dict):
        trials.append(optim.get("budget"))
        sweeper.maximises |= optim.get("maximize") is True
    known = [one for one in trials if isinstance(one, int) and not isinstance(one, bool) and one > 0]
    sweeper.trials = known[-1] if known and sweeper.name != BASIC else None


def read_param(value: Any, how: How) -> tuple[Found, list[str]]:
    """Return what a key is swept over, and what to say of it.

    Raises:
        Lost: It is not of any of the forms that sweepers know.
    """
    if isinstance(value, str):
        return read_sweep(value, how), []
    if isinstance(value, dict):
        return _mapping(value)
    if isinstance(value, list) and value:
        own = [value_of(one) if isinstance(one, str) else one for one in value]
        return (Values(tuple(own)) if len(own) > 1 else Fixed(own[0])), []
    return Fixed(value), []


def _mapping(value: Mapping[str, Any]) -> tuple[Found, list[str]]:
    """A search space of Optuna's before Hydra 1.2, of Ax's or of Nevergrad's."""
    listed = value.get("choices", value.get("values"))
    if isinstance(listed, list) and listed:
        return (Values(tuple(listed)) if len(listed) > 1 else Fixed(listed[0])), []
    if "value" in value:
        return Fixed(value["value"]), []
    bounds = value.get("bounds") if isinstance(value.get("bounds"), list) else []
    assert isinstance(bounds, list)
    ends = bounds if len(bounds) == 2 else [value.get("low", value.get("lower")), value.get("high", value.get("upper"))]
    log = bool(value.get("log", value.get("log_scale", False)))
    whole = value.get("type") == "int" or value.get("value_type") == "int" or value.get("integer") is True
    whole |= bool(bounds) and all(isinstance(one, int) for one in ends) and value.get("value_type") != "float"
    if all(map(is_number, ends)) and ends[0] < ends[1]:
        given: Any = value.get("step")
        multiples = given if "low" in value and is_number(given) and given > 0 else None
        return Span(ends[0], ends[1], log and ends[0] > 0, multiples, whole), []
    init: Any = value.get("init")
    step: Any = value.get("step")
    if is_number(init) and is_number(step) and step > 0:
        around = (init / step, init, init * step) if log else (init - step, init, init + step)
        rounded = tuple(float(f"{one:.12g}") for one in around)
        return Values(rounded), ["it has no ends there: its start and a step to both sides here"]
    raise Lost("it says neither values nor two ends")
