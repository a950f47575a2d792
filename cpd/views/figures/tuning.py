"""Constraint values, objective and metrics against the swept hyperparameter: the paper's Figure 2."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.views.figures.chosen import left_out, telling
from cpd.views.figures.log_axis import LogAxis, log_axis
from cpd.views.figures.looks import COLORS
from cpd.views.figures.quantities import Quantity, Spread, drawable, quantities, several_seeds, spread
from cpd.views.figures.settings import Group, groups
from cpd.views.tables.lines import Line, is_best, is_useful, setting_text

MOST_SERIES = len(COLORS)
"""Lines in a colour of their own; the others are grey."""

MOST_METRICS = 8


@dataclass(frozen=True)
class Setting:
    """One setting over its seeds.

    Attributes:
        x: Value of the swept hyperparameter.
        text: All its hyperparameters.
        values: One per quantity.
        feasible: For every seed.
        best: Of its method, at its levels.
        unfinished: Runs that diverged or failed.
        useful: Whether it is one of the useful settings.
        objective: The mean.
    """

    x: float
    text: str
    values: tuple[Spread, ...]
    feasible: bool
    best: bool
    unfinished: int
    useful: bool = False
    objective: float | None = None


@dataclass(frozen=True)
class Series:
    """One line of the picture."""

    method: str
    label: str
    swept: str
    settings: list[Setting]


@dataclass(frozen=True)
class Tuning:
    """All that the picture shows.

    Attributes:
        quantities: One panel each.
        series: One line each: where there are many, the best of each method.
        axis: Of the swept hyperparameters, shared.
        seeds: Over how many each point is a mean.
        notes: What is not shown.
        others: The lines that are not among the best.
    """

    quantities: list[Quantity]
    series: list[Series]
    axis: LogAxis
    seeds: int
    notes: list[str] = field(default_factory=list)
    others: list[Series] = field(default_factory=list)

    @property
    def swept(self) -> str:
        """Name of the horizontal axis: ``coefficient (penalized), dual_lr (lagrangian)``."""
        names = dict.fromkeys(series.swept for series in self.series)
        if len(names) == 1:
            return next(iter(names))
        methods = {name: dict.fromkeys(s.method for s in self.series if s.swept == name) for name in names}
        return ", ".join(f"{name} ({', '.join(own)})" for name, own in methods.items())


def tuning_data(document: Document, constraints: Sequence[str] | None = None) -> Tuning:
    """Every setting's numbers over its seeds, one line per method and whatever else tells settings apart.

    Args:
        document: Contract 3's object.
        constraints: Those with a panel; default: where there are many, those that are violated most.

    Raises:
        CpdError: No hyperparameter has numbers.
    """
    found, unplaced = groups(document)
    if not found:
        raise CpdError("no hyperparameter is a number", place="--kind tuning", hint="try --kind front")
    if not can_tune(document):
        raise CpdError("no method has several settings", place="--kind tuning", hint="try --kind front")
    names = telling(document) if constraints is None else constraints
    shown = quantities(document, names)
    metrics = [quantity for quantity in shown if quantity.kind == "metric"]
    shown = [quantity for quantity in shown if quantity not in metrics[MOST_METRICS:]]
    series = [
        Series(g.method, g.label, g.swept, [_setting(document, x, row, shown) for x, row in g.points]) for g in found
    ]
    kept = best_lines(series)
    notes = left_out(document, names)
    notes += [f"{MOST_METRICS} of {len(metrics)} metrics"] if len(metrics) > MOST_METRICS else []
    notes += [f"{unplaced} settings without a single number are not shown"] if unplaced else []
    notes += [f"the best {len(kept)} of {len(found)} lines"] if len(kept) < len(found) else []
    notes += ["where seeds did not finish, over the others"] if _partly(found) else []
    axis = log_axis([setting.x for line in series for setting in line.settings])
    best = set(map(id, kept))
    others = [line for line in series if id(line) not in best]
    return Tuning(shown, kept, axis, several_seeds(document), notes, others)


def best_lines(series: Sequence[Series], most: int = MOST_SERIES) -> list[Series]:
    """The best lines of each method in turn, as many as have a colour; in the order they were given."""
    methods: dict[str, list[Series]] = {}
    for line in sorted(series, key=_rank):
        methods.setdefault(line.method, []).append(line)
    places = [(place, k, line) for k, own in enumerate(methods.values()) for place, line in enumerate(own)]
    kept = [id(line) for _, _, line in sorted(places, key=lambda found: found[:2])[:most]]
    return [line for line in series if id(line) in kept]


def _rank(line: Series) -> tuple[bool, float, int, int]:
    """The line of the best setting first, then by the lowest useful objective, then by how much is feasible."""
    count = sum(setting.feasible for setting in line.settings)
    useful = [s.objective for s in line.settings if s.useful and s.objective is not None]
    return not any(s.best for s in line.settings), min(useful, default=math.inf), -len(useful), -count


def _partly(found: Sequence[Group]) -> bool:
    """Whether some seeds of a setting finished and others did not."""
    return any(0 < len(row.finished) < len(row.counted) for group in found for _, row in group.points)


def can_tune(document: Document) -> bool:
    """Whether some method has settings that differ in a number."""
    return any(len({x for x, _ in group.points}) > 1 for group in groups(document)[0])


def _setting(document: Document, x: float, row: Line, shown: list[Quantity]) -> Setting:
    return Setting(
        x=drawable(x) or 0.0,
        text=setting_text(row.setting),
        values=tuple(spread(quantity.of(run) for run in row.runs) for quantity in shown),
        feasible=row.all_feasible,
        best=is_best(document, row),
        unfinished=sum(row.unfinished().values()),
        useful=is_useful(document, row),
        objective=next(spread(q.of(run) for run in row.runs).mean for q in shown if q.kind == "objective"),
    )
