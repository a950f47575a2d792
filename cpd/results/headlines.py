"""A result in a few numbers, as lists of sweeps show it: how many settings are feasible, and the best one."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cpd.verdict
from cpd.results.result import Result
from cpd.spec.models import Task
from cpd.verdict.choice import Candidate, best_of, candidates_of
from cpd.verdict.document import Document, Plain, RunRow
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.searching import runs_reported
from cpd.verdict.settings import grouped, is_feasible, settings_of
from cpd.verdict.summary import grouped_by_method
from cpd.views.tables.lines import lines, setting_text, varied_setting
from cpd.views.tables.names import readable, short_names


@dataclass(frozen=True)
class Best:
    """The best setting of a sweep at one choice of levels, of all methods.

    Attributes:
        setting: As the document has it.
        varied: The same in words: what tells it from the others of its method.
        seeds: Of its runs.
        runs: Their ids.
        objective: The mean over its seeds on the data that decide; ``worth`` and the following as
            :class:`cpd.verdict.choice.Candidate` has them.
    """

    method: str
    setting: dict[str, Plain]
    varied: str
    levels: dict[str, float]
    seeds: list[int]
    runs: list[str | None]
    objective: float | None
    worth: float | None
    spent: float
    noise: float
    held: float
    sound: bool
    reliable: bool

    @property
    def candidate(self) -> Candidate:
        """What it is compared by, its runs left out."""
        return Candidate(
            runs=(),
            feasible=True,
            objective=self.objective,
            worth=self.worth,
            spent=self.spent,
            noise=self.noise,
            held=self.held,
            sound=self.sound,
            reliable=self.reliable,
        )


@dataclass(frozen=True)
class Headline:
    """A result in a few numbers.

    Attributes:
        objective: Its name.
        constraints: Level, sense and tolerance of each.
        judge: The data that decide.
        code: A hash of the problem's code and of what it depends on: what its numbers mean.
        settings: How many were tried, each at each choice of levels.
        feasible: How many of them are feasible.
        useful: How many are useful; None of a search, which has no mark.
        outcome: Of a search; None of a sweep.
        bests: The best setting at each choice of levels that has a feasible one.
        place: Which of these is the best of all; None where there is none.
    """

    objective: str
    constraints: dict[str, dict[str, Any]]
    judge: str
    code: str
    settings: int
    feasible: int
    useful: int | None
    outcome: str | None = None
    bests: list[Best] = field(default_factory=list)
    place: int | None = None

    @property
    def best(self) -> Best | None:
        """The best setting of all."""
        return None if self.place is None else self.bests[self.place]

    def to_json(self) -> dict[str, Any]:
        """Plain values, of which :func:`from_json` makes it again."""
        return asdict(self)


def from_json(found: Mapping[str, Any]) -> Headline:
    """A headline as it was remembered."""
    return Headline(**{**found, "bests": [Best(**best) for best in found["bests"]]})


@cache
def judged_by() -> str:
    """What stands for the program that judges: a hash of its source, for a headline of another one does not count."""
    found = hashlib.sha256(version("cpd").encode())
    for path in [Path(__file__), *sorted(Path(str(cpd.verdict.__file__)).parent.glob("*.py"))]:
        found.update(path.read_bytes())
    return found.hexdigest()


def headline_of(result: Result) -> Headline:
    """A result in a few numbers, as its document has them."""
    document = result.document
    settings = settings_of(document["runs"])
    bests = [best for best in _bests(result) if best is not None]
    chosen = best_of([best.candidate for best in bests], result.gap)
    return Headline(
        objective=document["objective"],
        constraints={name: dict(bound) for name, bound in document["constraints"].items()},
        judge=judges(document),
        code=_code(result.task),
        settings=len(settings),
        feasible=sum(map(is_feasible, settings)),
        useful=sum(row["useful_settings"] for row in document["summary"]) if "summary" in document else None,
        outcome=document["search"]["outcome"] if "search" in document else None,
        bests=bests,
        place=None if chosen is None else [best.candidate for best in bests].index(chosen),
    )


def _code(task: Task) -> str:
    """The problem's text, those of its modules, what it depends on, and the split of its data."""
    problem = task.problem
    held_out = None if task.held_out is None else task.held_out.model_dump(mode="json")
    parts = [problem.target, problem.source, problem.modules, problem.depends, held_out]
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def _bests(result: Result) -> list[Best | None]:
    """The best feasible setting at each choice of levels; of a search that is solved the one that it reports."""
    document = result.document
    rows = judged_rows(document["runs"], judges(document))
    reported: Sequence[RunRow] = []
    if "search" in document and document["search"]["outcome"] == "solved":
        reported = runs_reported(document["search"], rows)
    words = _Words(document)
    return [_best(result, cell, reported, words) for cell in grouped(rows, lambda row: row["levels"])]


def _best(result: Result, cell: Sequence[RunRow], reported: Sequence[RunRow], words: _Words) -> Best | None:
    candidates = candidates_of(settings_of(cell), result.task.constraints, result.task.train.dtype)
    found = [c for c in candidates if c.feasible and any(row is own for row in reported for own in c.runs)]
    bests = [best_of(own, result.gap) for own in grouped_by_method(found or candidates)]
    best = best_of([one for one in bests if one is not None], result.gap)
    if best is None:
        return None
    return Best(
        method=best.method,
        setting=dict(best.setting),
        varied=words(best),
        levels=dict(best.runs[0]["levels"]),
        seeds=[row["seed"] for row in best.runs],
        runs=[row["id"] for row in best.runs],
        objective=best.objective,
        worth=best.worth,
        spent=best.spent,
        noise=best.noise,
        held=best.held,
        sound=best.sound,
        reliable=best.reliable,
    )


class _Words:
    """What tells a setting from the others of its method, in words and with short names."""

    def __init__(self, document: Document) -> None:
        self._short = short_names(dict.fromkeys(name for run in document["runs"] for name in run["setting"]))
        self._lines = lines(readable(document))

    def __call__(self, best: Candidate) -> str:
        own = {self._short[name]: value for name, value in best.setting.items()}
        return setting_text(varied_setting(self._lines, best.method, own))
