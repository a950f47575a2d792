"""Constraint values, objective and metrics against the swept hyperparameter: the paper's Figure 2."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.views.plots.axes import crosses, name_lowest, panels, quantity_axis, quantity_values
from cpd.views.plots.log_axis import LogAxis, draw_log_axis, log_axis
from cpd.views.plots.quantities import Quantity, Spread, drawable, quantities, several_seeds, spread
from cpd.views.plots.settings import Group, groups
from cpd.views.plots.style import Key, look, note, put_legend
from cpd.views.tables.lines import Line, is_best, setting_text

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_SERIES = 16


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
    """

    x: float
    text: str
    values: tuple[Spread, ...]
    feasible: bool
    best: bool
    unfinished: int


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
        series: One line each.
        axis: Of the swept hyperparameters, shared.
        seeds: Over how many each point is a mean.
        notes: What is not shown.
    """

    quantities: list[Quantity]
    series: list[Series]
    axis: LogAxis
    seeds: int
    notes: list[str] = field(default_factory=list)

    @property
    def swept(self) -> str:
        """Name of the horizontal axis: ``coefficient (penalized), dual_lr (lagrangian)``."""
        names = dict.fromkeys(series.swept for series in self.series)
        if len(names) == 1:
            return next(iter(names))
        methods = {name: dict.fromkeys(s.method for s in self.series if s.swept == name) for name in names}
        return ", ".join(f"{name} ({', '.join(own)})" for name, own in methods.items())


def tuning_data(document: Document) -> Tuning:
    """Every setting's numbers over its seeds, one line per method and whatever else tells settings apart.

    Raises:
        CpdError: No hyperparameter has numbers.
    """
    found, left_out = groups(document)
    if not found:
        raise CpdError("no hyperparameter is a number", place="--kind tuning", hint="try --kind front")
    if not can_tune(document):
        raise CpdError("no method has several settings", place="--kind tuning", hint="try --kind front")
    shown = quantities(document)
    notes = [f"{left_out} settings without a single number are not shown"] if left_out else []
    if len(found) > MOST_SERIES:
        notes.append(f"the first {MOST_SERIES} of {len(found)} lines")
    notes += ["where seeds did not finish, over the others"] if _partly(found) else []
    series = [
        Series(g.method, g.label, g.swept, [_setting(document, x, row, shown) for x, row in g.points])
        for g in found[:MOST_SERIES]
    ]
    axis = log_axis([setting.x for line in series for setting in line.settings])
    return Tuning(shown, series, axis, several_seeds(document), notes)


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
    )


def draw_tuning(data: Tuning, figure: Figure) -> None:
    """Draw one panel per quantity over a shared axis; on a logarithmic one 0 stands apart at its left."""
    axes = panels(figure, len(data.quantities))
    for place, (quantity, ax) in enumerate(zip(data.quantities, axes, strict=True)):
        shown = [s.values[place] for line in data.series for s in line.settings]
        quantity_axis(ax, quantity, quantity_values(shown))
        for number, line in enumerate(data.series):
            _draw_series(ax, data, line, place, number)
        _draw_unfinished(ax, data)
        draw_log_axis(ax, data.axis)
    name_lowest(axes, data.swept)
    put_legend(figure, _keys(data))
    note(figure, data.notes, data.seeds)


def _draw_series(ax: Axes, data: Tuning, line: Series, place: int, number: int) -> None:
    style = look(number)
    apart = [s for s in line.settings if s.x <= 0 and data.axis.zero is not None]
    pieces = [[s for s in line.settings if s not in apart], apart]
    for piece in pieces:
        shown = [(data.axis.place(s.x), s, s.values[place]) for s in piece]
        x = [at for at, _, _ in shown]
        y = [float("nan") if v.mean is None else v.mean for _, _, v in shown]
        ax.plot(x, y, color=style.color, linestyle=style.dash, linewidth=1, zorder=2)
        if data.seeds > 1:
            ax.errorbar(
                x, y, [v.deviation for _, _, v in shown], fmt="none", ecolor=style.color, elinewidth=0.8, zorder=2
            )
        for at, (setting, value) in zip(x, [(s, v) for _, s, v in shown], strict=True):
            if value.mean is not None:
                _draw_point(ax, at, value.mean, setting, number)


def _draw_point(ax: Axes, x: float, y: float, setting: Setting, number: int) -> None:
    style = look(number)
    face = style.color if setting.feasible else "white"
    ax.plot([x], [y], style.marker, color=style.color, markerfacecolor=face, markersize=3.5, zorder=3)
    if setting.best:
        ax.plot([x], [y], "o", color="black", markerfacecolor="none", markersize=8, markeredgewidth=0.9, zorder=4)


def _draw_unfinished(ax: Axes, data: Tuning) -> None:
    """A cross on the axis where a run diverged or failed."""
    for number, line in enumerate(data.series):
        crosses(ax, [data.axis.place(s.x) for s in line.settings if s.unfinished], look(number).color)


def _keys(data: Tuning) -> list[Key]:
    settings = [s for line in data.series for s in line.settings]
    keys = [Key(line.label, *look(number)) for number, line in enumerate(data.series)]
    keys += [Key("feasible region", "", "region", "")] if any(q.feasible_region() for q in data.quantities) else []
    open_points = any(not s.feasible and value.mean is not None for s in settings for value in s.values)
    keys += [Key("not feasible", "black", "o", "", filled=False)] if open_points else []
    keys += [Key("best of its method", "black", "ring", "")] if any(s.best for s in settings) else []
    keys += [Key("diverged or failed", "black", "x", "")] if any(s.unfinished for s in settings) else []
    return keys
