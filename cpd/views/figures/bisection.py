"""A search: the constraint's value against the coefficient, the iterations numbered: the paper's Figure 1."""

from __future__ import annotations

from dataclasses import dataclass

from cpd.errors import CpdError
from cpd.verdict.document import Document
from cpd.verdict.searching import searched_name
from cpd.views.figures.log_axis import LogAxis, log_axis
from cpd.views.figures.quantities import Quantity, constraint, drawable
from cpd.views.printable import one_line
from cpd.views.tables.search_verdict import reported_iteration


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
