"""A search: the constraint's value against the coefficient, the iterations numbered: the paper's Figure 1."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.verdict.searching import searched_name
from cpd.views.plots.axes import crosses, quantity_axis
from cpd.views.plots.labels import place_labels
from cpd.views.plots.log_axis import LogAxis, draw_log_axis, log_axis
from cpd.views.plots.quantities import Quantity, constraint, drawable
from cpd.views.plots.style import COLORS, COLUMN, Key, look, note, put_legend
from cpd.views.printable import one_line
from cpd.views.tables.search_verdict import reported_iteration

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FONT = 7
LOST = COLORS[1]


@dataclass(frozen=True)
class Bisection:
    """All that the picture shows.

    Attributes:
        quantity: The searched constraint, its level at the target and its tolerance the search's.
        axis: Of the coefficient.
        iterations: Number, coefficient and value; the value None where the training gave none.
        spreads: Standard deviation over the seeds of each iteration; None where there is none.
        outcome: A search's, e.g. ``solved``.
        found: Number of the iteration that solved it.
        name: Of the searched hyperparameter.
    """

    quantity: Quantity
    axis: LogAxis
    iterations: list[tuple[int, float, float | None]]
    spreads: list[float | None]
    outcome: str
    found: int | None
    name: str = "coefficient"


def bisection_data(document: Document) -> Bisection:
    """The iterations of a document's search.

    Raises:
        CpdError: There is no search, or it has no iteration.
    """
    search = document.get("search")
    if search is None or not search["iterations"]:
        raise CpdError("there is no search to draw", place="--kind bisection", hint="try --kind tuning")
    iterations = [
        (i["iteration"], drawable(i["coefficient"]) or 0.0, drawable(i["value"])) for i in search["iterations"]
    ]
    target = drawable(search["target"]) or 0.0
    own = constraint(document, search["constraint"])
    quantity = Quantity("constraint", own.name, own.share, "==", drawable(search["tolerance"]) or 0.0, (target,))
    spreads = [drawable(i.get("spread")) for i in search["iterations"]]
    best = reported_iteration(document) if search["outcome"] == "solved" else None
    found = None if best is None else best["iteration"]
    axis = log_axis([c for _, c, _ in iterations], room=0.08)
    return Bisection(quantity, axis, iterations, spreads, search["outcome"], found, one_line(searched_name(search)))


def draw_bisection(data: Bisection, figure: Figure) -> None:
    """Draw the numbered iterations, joined in the order of the search, and the target with its tolerance."""
    figure.set_size_inches(COLUMN, 2.7)
    ax = figure.subplots()
    shown = [(number, data.axis.place(x), y) for number, x, y in data.iterations if y is not None]
    quantity_axis(ax, data.quantity, [y for _, _, y in shown])
    x, y = [at for _, at, _ in shown], [value for _, _, value in shown]
    style = look(0)
    ax.plot(x, y, color="#999999", linewidth=0.6, linestyle=":", zorder=1)
    spreads = [
        spread or 0.0 for (_, _, value), spread in zip(data.iterations, data.spreads, strict=True) if value is not None
    ]
    if any(spreads):
        ax.errorbar(x, y, yerr=spreads, fmt="none", ecolor=style.color, elinewidth=0.6, capsize=1.5, zorder=2)
    ax.plot(x, y, "o", color=style.color, markerfacecolor="white", markersize=4, zorder=3)
    found = [(at, value) for number, at, value in shown if number == data.found]
    for at, value in found:
        ax.plot([at], [value], "o", color=style.color, markersize=4, zorder=4)
    lost = [(number, data.axis.place(c)) for number, c, value in data.iterations if value is None]
    crosses(ax, [at for _, at in lost], LOST)
    draw_log_axis(ax, data.axis)
    ax.set_xlabel(data.name)
    put_legend(figure, _keys(data))
    note(figure, [] if data.outcome == "solved" else [f"outcome: {data.outcome.replace('_', ' ')}"])
    bottom = ax.get_ylim()[0]
    labels = [*shown, *((number, at, bottom) for number, at in lost)]
    place_labels(ax, [(str(number), at, value) for number, at, value in labels], FONT, data.quantity.levels)


def _keys(data: Bisection) -> list[Key]:
    color = look(0).color
    keys = [Key("iteration", color, "o", "", filled=False), Key("target and tolerance", "", "region", "")]
    keys += [Key("solved", color, "o", "")] if data.found is not None else []
    keys += [Key("diverged or failed", LOST, "x", "")] if any(v is None for _, _, v in data.iterations) else []
    return keys
