"""Objective against constraint value, every run a point, with the non-dominated front: the paper's Figure 3."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.views.plots.axes import quantity_axis
from cpd.views.plots.quantities import Quantity, constraint, objective
from cpd.views.plots.style import COLUMN, PAGE, Key, look, note, put_legend
from cpd.views.printable import one_line
from cpd.views.tables.lines import is_best, lines, setting_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

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
    """All that the picture shows; one panel per constraint, ``missing`` runs without numbers."""

    objective: Quantity
    methods: list[str]
    panels: list[Panel]
    missing: int


def front_data(document: Document) -> Front:
    """Every completed run as a point for each constraint, and the non-dominated ones.

    Raises:
        CpdError: No run completed.
    """
    aim = objective(document)
    shown = [_panel(document, constraint(document, name), aim) for name in document["constraints"]]
    if not any(panel.runs for panel in shown):
        raise CpdError("no run completed, so there is nothing to draw", hint="cpd show names what went wrong")
    methods = list(dict.fromkeys(one_line(run["method"]) for run in document["runs"]))
    return Front(aim, methods, shown, len(document["runs"]) - len(shown[0].runs))


def _panel(document: Document, quantity: Quantity, aim: Quantity) -> Panel:
    runs = []
    for row in lines(document):
        best, text = is_best(document, row), setting_text(row.setting)
        for run in row.runs:
            x, y = quantity.of(run), aim.of(run)
            if x is not None and y is not None:
                runs.append(Trained(x, y, one_line(row.method), text, run["seed"], run["feasible"], best))
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


def draw_front(data: Front, figure: Figure) -> None:
    """Draw one panel per constraint, the objective upwards."""
    count = len(data.panels)
    columns = min(count, 2)
    rows = -(-count // columns)
    figure.set_size_inches(COLUMN if columns == 1 else PAGE, 0.5 + 2.4 * rows)
    grid = list(figure.subplots(rows, columns, squeeze=False).flat)
    for spare in grid[count:]:
        spare.remove()
    for panel, ax in zip(data.panels, grid, strict=False):
        _draw_panel(ax, data, panel)
    put_legend(figure, _keys(data))
    note(figure, [f"{data.missing} runs without numbers are not shown"] if data.missing else [])


def _draw_panel(ax: Axes, data: Front, panel: Panel) -> None:
    quantity_axis(ax, data.objective, [run.y for run in panel.runs], logarithmic=False)
    quantity_axis(ax, panel.quantity, [run.x for run in panel.runs], vertical=False)
    where = "pre" if panel.quantity.sense == ">=" else "post"
    x, y = [p[0] for p in panel.front], [p[1] for p in panel.front]
    ax.step(x, y, where=where, color="#777777", linewidth=0.8, zorder=1.5)  # type: ignore[arg-type]
    for run in panel.runs:
        style = look(data.methods.index(run.method))
        face = style.color if run.feasible else "white"
        ax.plot(
            [run.x],
            [run.y],
            style.marker,
            color=style.color,
            markerfacecolor=face,
            markersize=4,
            zorder=3 + run.feasible,
        )
        if run.best:
            ax.plot([run.x], [run.y], "o", color="black", markerfacecolor="none", markersize=8.5, zorder=5)


def _keys(data: Front) -> list[Key]:
    runs = [run for panel in data.panels for run in panel.runs]
    keys = [Key(method, *look(number)[:2], "") for number, method in enumerate(data.methods)]
    keys += [Key("non-dominated", "#777777", "", "-")] if any(len(p.front) > 1 for p in data.panels) else []
    keys += [Key("feasible region", "", "region", "")] if any(p.quantity.feasible_region() for p in data.panels) else []
    keys += [Key("not feasible", "black", "o", "", filled=False)] if any(not run.feasible for run in runs) else []
    keys += [Key("best of its method", "black", "ring", "")] if any(run.best for run in runs) else []
    return keys
