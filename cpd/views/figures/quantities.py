"""Quantities that an axis shows: a constraint's value, the objective or a metric of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from cpd.outcome import finite_or_none
from cpd.verdict.averages import deviation, mean
from cpd.verdict.document import Document, RunRow
from cpd.verdict.judged import judges
from cpd.verdict.settings import distinct, settings_of
from cpd.views.printable import one_line
from cpd.views.tables.lines import components, worst_component
from cpd.views.tables.numbers import is_share, number

LARGEST = 1e100
"""Axes reach as far; their arithmetic overflows beyond."""


def drawable(value: float | None) -> float | None:
    """A number as axes take it: no larger than 1e100, 0 below 1e-100, and None where it is not finite."""
    known = finite_or_none(value)
    if known is None:
        return None
    return 0.0 if abs(known) < 1 / LARGEST else max(-LARGEST, min(known, LARGEST))


@dataclass(frozen=True)
class Quantity:
    """One number of a run.

    Attributes:
        name: As the task names it.
        share: Whether it is a share, shown in percent.
        sense: ``<=``, ``>=`` or ``==`` for a constraint, else None.
        tolerance: Of a constraint.
        levels: The levels of a constraint, ascending; one unless levels are swept.
        parts: Components of a vector constraint, of which the most violated one is shown.
        named_again: Whether a quantity of another kind has the same name, so that a label says which this is.
        held_out: Whether it is measured on held-out examples.
    """

    kind: Literal["constraint", "objective", "metric"]
    name: str
    share: bool = False
    sense: str | None = None
    tolerance: float = 0.0
    levels: tuple[float, ...] = ()
    parts: int = 1
    named_again: bool = False
    held_out: bool = False

    def of(self, run: RunRow) -> float | None:
        """The number of a run that completed; None where it has none."""
        if run["status"] != "completed":
            return None
        if self.kind == "constraint":
            return drawable(worst_component(run["constraints"][self.name], str(self.sense)).value)
        return drawable(run["objective"] if self.kind == "objective" else run["metrics"].get(self.name))

    @property
    def label(self) -> str:
        """The axis label: the name with its unit."""
        parts = f", worst of {self.parts}" if self.parts > 1 else ""
        kind = f" ({self.kind})" if self.named_again else ""
        held_out = ", held-out" if self.held_out else ""
        return one_line(self.name) + kind + parts + held_out + (" (%)" if self.share else "")

    def level_text(self, level: float) -> str:
        """``≥ 70 %``, as a level's line is labelled."""
        sign = {"<=": "≤", ">=": "≥", "==": "="}[str(self.sense)]
        return f"{sign} {number(100 * level)} %" if self.share else f"{sign} {number(level)}"

    def feasible_region(self) -> tuple[float, float] | None:
        """Ends of the feasible region, infinite where it has none; None where levels are swept or there is none.

        The tolerance belongs to it: a point drawn in the region is feasible.
        """
        if len(self.levels) != 1:
            return None
        low, high = self.levels[0] - self.tolerance, self.levels[0] + self.tolerance
        return {"<=": (float("-inf"), high), ">=": (low, float("inf")), "==": (low, high)}[str(self.sense)]


def quantities(document: Document, constraints: Sequence[str] | None = None) -> list[Quantity]:
    """Every constraint, or those that are named, the objective, and every metric that some run has."""
    metrics = dict.fromkeys(name for run in document["runs"] for name in run["metrics"])
    bounds = [constraint(document, name) for name in constraints or document["constraints"]]
    on = judges(document) == "held_out"
    others = [Quantity("objective", document["objective"], held_out=on)]
    others += [Quantity("metric", name, held_out=on) for name in metrics]
    found = [*bounds, *(_with_share(quantity, document) for quantity in others)]
    names = [quantity.name for quantity in found]
    return [replace(quantity, named_again=names.count(quantity.name) > 1) for quantity in found]


def constraint(document: Document, name: str) -> Quantity:
    """A constraint's value as a quantity."""
    bound = document["constraints"][name]
    values = [run["constraints"][name]["value"] for run in document["runs"] if run["status"] == "completed"]
    levels = {run["levels"][name] for run in document["runs"]} or {bound["level"]}
    parts = max((len(value) for value in values if isinstance(value, list)), default=1)
    numbers = [part for value in values for part in components(value)]
    share = is_share(name, [*numbers, *levels])
    shown = tuple(sorted(drawable(level) or 0.0 for level in levels))
    on, tolerance = judges(document) == "held_out", drawable(bound["tolerance"]) or 0.0
    return Quantity("constraint", name, share, bound["sense"], tolerance, shown, parts, held_out=on)


def level_label(document: Document, name: str, level: float) -> str:
    """``class0_rate ≥ 70 %``: what tells a line from others where levels are swept."""
    quantity = constraint(document, name)
    return f"{one_line(name)} {quantity.level_text(level)}"


def objective(document: Document) -> Quantity:
    """The objective as a quantity."""
    on = judges(document) == "held_out"
    return _with_share(Quantity("objective", document["objective"], held_out=on), document)


def _with_share(quantity: Quantity, document: Document) -> Quantity:
    return replace(quantity, share=is_share(quantity.name, [quantity.of(run) for run in document["runs"]]))


@dataclass(frozen=True)
class Spread:
    """A number over seeds.

    Attributes:
        mean: Over the runs that have it; None where none has.
        deviation: Sample standard deviation; 0 for a single run.
        count: How many runs have it.
    """

    mean: float | None
    deviation: float = 0.0
    count: int = 0


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and sample standard deviation of the numbers that are there."""
    found = [value for value in values if value is not None]
    return Spread(mean(found), deviation(found), len(found)) if found else Spread(None)


def several_seeds(document: Document) -> int:
    """The most seeds that count as evidence of one setting: at equal budgets each may have settings of its own."""
    settings = settings_of(distinct(document["runs"]))
    return max((len({run["seed"] for run in runs}) for runs in settings), default=0)
