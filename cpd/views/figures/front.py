"""Objective against constraint value, every run a point, with the non-dominated front: the paper's Figure 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.views.figures.chosen import left_out, telling
from cpd.views.figures.quantities import Quantity, constraint, objective
from cpd.views.printable import one_line
from cpd.views.tables.lines import is_best, is_useful, lines, setting_text

Place = tuple[float, float]


@dataclass(frozen=True)
class Trained:
    """One run that completed, as a point: constraint value and objective."""

    x: float
    y: float
    method: str
    text: str
    seed: int
    feasible: bool
    best: bool
    useful: bool = False


@dataclass(frozen=True)
class Panel:
    """One constraint's picture.

    Attributes:
        quantity: The constraint.
        runs: Every run that completed.
        front: The non-dominated ones, ascending in the constraint's value; none for an equality at one level, where
            neither more nor less is better.
    """

    quantity: Quantity
    runs: list[Trained]
    front: list[Place]


@dataclass(frozen=True)
class Front:
    """All that the picture shows; one panel per constraint, ``missing`` runs without numbers.

    ``notes`` say which constraints are not shown.
    """

    objective: Quantity
    methods: list[str]
    panels: list[Panel]
    missing: int
    notes: list[str] = field(default_factory=list)


def front_data(document: Document, constraints: Sequence[str] | None = None) -> Front:
    """Every completed run as a point for each constraint, and the non-dominated ones.

    Args:
        document: Contract 3's object.
        constraints: Those with a panel; default: where there are many, those that are violated most.

    Raises:
        CpdError: No run completed.
    """
    aim = objective(document)
    names = telling(document) if constraints is None else constraints
    shown = [_panel(document, constraint(document, name), aim) for name in names]
    if not any(panel.runs for panel in shown):
        raise CpdError("no run completed, so there is nothing to draw", hint="cpd show names what went wrong")
    methods = list(dict.fromkeys(one_line(run["method"]) for run in document["runs"]))
    return Front(aim, methods, shown, len(document["runs"]) - len(shown[0].runs), left_out(document, names))


def _panel(document: Document, quantity: Quantity, aim: Quantity) -> Panel:
    runs = []
    for row in lines(document):
        best, useful, text = is_best(document, row), is_useful(document, row), setting_text(row.setting)
        for run in row.runs:
            x, y = quantity.of(run), aim.of(run)
            if x is not None and y is not None:
                runs.append(Trained(x, y, one_line(row.method), text, run["seed"], run["feasible"], best, useful))
    compared = quantity.sense != "==" or len(quantity.levels) > 1
    points = [(run.x, run.y) for run in runs] if compared else []
    return Panel(quantity, runs, non_dominated(points, quantity.sense == ">="))


def non_dominated(points: Sequence[Place], more_is_better: bool = False) -> list[Place]:
    """Points that no other point beats in both coordinates, ascending in the first.

    Args:
        points: The second coordinate is to be small; the first too, unless ``more_is_better``.
        more_is_better: Whether the first is to be large.
    """
    direction = -1 if more_is_better else 1
    front: list[Place] = []
    for point in sorted(set(points), key=lambda p: (direction * p[0], p[1])):
        if not front or point[1] < front[-1][1]:
            front.append(point)
    return front[::direction]
