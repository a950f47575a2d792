"""A setting over its seeds: when it is feasible, when that is luck, and how often its constraints held.

This is the one definition of a feasible setting: the summary, the tables, the sentences, the pictures and the exit code
ask here.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from cpd.outcome import Status
from cpd.verdict.averages import deviation, mean
from cpd.verdict.document import RunRow

Item = TypeVar("Item")

UNSOUND = ("blown_up", "unbounded")
"""Diagnoses of runs whose objective says nothing about a setting, whatever their constraints do."""

SWINGING = "oscillating"
"""The diagnosis of a run whose last step is a matter of luck."""

SELDOM = 0.5
"""A setting that held at a smaller share of its last steps is feasible by luck."""


def grouped(items: Iterable[Item], key: Callable[[Item], object]) -> list[list[Item]]:
    """Items with the same key together, in order of first appearance."""
    groups: dict[str, list[Item]] = {}
    for item in items:
        groups.setdefault(json.dumps(key(item), sort_keys=True), []).append(item)
    return list(groups.values())


def settings_of(rows: Sequence[RunRow]) -> list[list[RunRow]]:
    """The runs of each setting, one per seed: of the same method and hyperparameters, at the same levels."""
    return grouped(rows, lambda row: [row["method"], row["setting"], row["levels"]])


def is_feasible(runs: Sequence[RunRow]) -> bool:
    """Whether a setting is feasible: every one of its runs is, and there is one."""
    return bool(runs) and all(run["feasible"] for run in runs)


def any_feasible(rows: Sequence[RunRow]) -> bool:
    """Whether some setting of a document is feasible."""
    return any(map(is_feasible, settings_of(rows)))


def distinct(runs: Sequence[RunRow]) -> list[RunRow]:
    """The runs of a setting that count as evidence: those that train as another seed's does are counted with it."""
    return [run for run in runs if "same_as_seed" not in run]


def holds_at_last_step_only(run: RunRow) -> bool:
    """Whether a run is feasible because its swing ended on the right side."""
    return run["feasible"] and run["diagnosis"] == SWINGING and not is_chosen(run)


def is_chosen(run: RunRow) -> bool:
    """Whether something else than the last iterate is judged: one that was selected, a mean or a mixture; no luck."""
    return run.get("selected_step") is not None or "mixture" in run or "averaged" in run


def is_luck(runs: Sequence[RunRow]) -> bool:
    """Whether a feasible setting is so at the last step only, as more than half of its runs are.

    One seed's luck is not the setting's.
    """
    counted = distinct(runs)
    return is_feasible(runs) and 2 * sum(map(holds_at_last_step_only, counted)) > len(counted)


def is_sound(runs: Sequence[RunRow]) -> bool:
    """Whether no run blew up, and none has an objective that falls for ever."""
    return not any(run["diagnosis"] in UNSOUND for run in runs)


def is_reliable(runs: Sequence[RunRow]) -> bool:
    """Whether a feasible setting is no luck: it is called so by no diagnosis, and held at half of its last steps."""
    selected = any(map(is_chosen, runs))
    share = held_share(runs)
    return is_sound(runs) and not is_luck(runs) and (selected or share is None or share >= SELDOM)


def held_share(runs: Sequence[RunRow]) -> float | None:
    """At which share of the last steps all constraints held, mean over seeds, at most that of the worst constraint.

    None where it is not known of any run.
    """
    shares = [share for run in distinct(runs) if (share := _held(run)) is not None]
    return mean(shares) if shares else None


def objective_of(run: RunRow) -> float | None:
    """The objective by which settings are compared."""
    return run["objective"]


def mean_objective(runs: Sequence[RunRow]) -> float | None:
    """A feasible setting's mean objective over its seeds; None of any other."""
    known = _objectives(runs)
    return mean(known) if is_feasible(runs) and len(known) == len(distinct(runs)) else None


def noise_of(runs: Sequence[RunRow]) -> float:
    """The standard deviation of a setting's objective between its seeds; 0 for a single one."""
    return deviation(_objectives(runs)) if len(_objectives(runs)) > 1 else 0.0


def _objectives(runs: Sequence[RunRow]) -> list[float]:
    known = (objective_of(run) for run in distinct(runs) if run["status"] == Status.COMPLETED.value)
    return [objective for objective in known if objective is not None]


def _held(run: RunRow) -> float | None:
    shares = [c["feasible_share"] for c in run["constraints"].values()]
    return min((share for share in shares if share is not None), default=None)
