"""What a search came to, in a sentence."""

from __future__ import annotations

import itertools

from cpd.verdict.document import Document, Iteration, SearchBlock
from cpd.verdict.feasibility import oriented
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.searching import reported, searched_name, tried
from cpd.views.printable import one_line
from cpd.views.tables.lines import share_decimals
from cpd.views.tables.numbers import number
from cpd.views.tables.search_several import is_several, several_verdict


def reported_iteration(document: Document) -> Iteration | None:
    """The iteration that a search reports: the nearest to the target, feasible ones within the tolerance first."""
    return reported(document["search"], seeds_of(document))


def seeds_of(document: Document) -> int:
    """How many seeds were trained of each coefficient."""
    return len({run["seed"] for run in document["runs"]}) or 1


def exact(coefficient: float) -> str:
    """A coefficient as it is typed in to name the same run: with the digits that it takes, at least six."""
    texts = (number(coefficient, digits) for digits in range(6, 17))
    return next((text for text in texts if float(text) == coefficient), repr(coefficient))


def search_verdict(document: Document) -> str:
    """How a search ended, in a sentence: ``solved: for density 50 %, coefficient 0.22 gives 49.51 %, ...``."""
    search = document["search"]
    word, nearest = search["outcome"], reported_iteration(document)
    if is_several(document):
        spoilt = f", but {_spoilt(document, nearest)} there" if word == "infeasible" and nearest else ""
        return several_verdict(document, nearest, f"after {_trainings(document)}", spoilt)
    aim = f"{one_line(search['constraint'])} {_value(document, search['target'])}"
    trained = f"after {_trainings(document)}"
    if nearest is None:
        return f"{word}: {aim} was not reached {trained}."
    if word in ("solved", "infeasible"):
        spoilt = f", but {_spoilt(document, nearest)} there" if word == "infeasible" else ""
        return f"{word}: for {aim}, {_found(document, nearest)}{_agreeing(document)}{spoilt}, {trained}."
    missed = f"{word}: {aim} was not reached {trained}"
    sides = _sides(search) if word == "unattainable" else _ends(search) if word == "not_bracketed" else None
    if sides is None:
        return f"{missed}; {_found(document, nearest)}, the nearest."
    both = f"{_found(document, sides[0])} and {_found(document, sides[1])}"
    return f"{missed}; {both}{_side(search, sides) if word == 'not_bracketed' else ''}."


def _value(document: Document, value: float | None) -> str:
    percent = share_decimals(document, document["search"]["constraint"]) is not None
    scaled = None if value is None else value * (100 if percent else 1)
    return number(scaled, 6) + (" %" if percent else "")


def _found(document: Document, at: Iteration) -> str:
    name = one_line(searched_name(document["search"]))
    return f"{name} {exact(at['coefficient'])} gives {_value(document, at['value'])}"


def _trainings(document: Document) -> str:
    search, seeds = document["search"], seeds_of(document)
    if seeds == 1:
        return f"{search['trainings']} trainings"
    name = one_line(searched_name(search))
    many = "coefficients" if name == "coefficient" else f"values of {name}"
    return f"{search['trainings']} trainings of {len(search['iterations'])} {many}"


def _agreeing(document: Document) -> str:
    """In a search of several seeds, how many of them are within the tolerance themselves."""
    search, best = document["search"], reported_iteration(document)
    if seeds_of(document) == 1 or best is None:
        return ""
    rows = judged_rows(document["runs"], judges(document))
    own = [run for run in rows if run["setting"].get(searched_name(search)) == tried(best)]
    values = [run["constraints"][search["constraint"]]["value"] for run in own if run["status"] == "completed"]
    within = sum(isinstance(v, float) and abs(v - search["target"]) < search["tolerance"] for v in values)
    return f" in the mean of {len(values)} seeds ({within} of them within {_value(document, search['tolerance'])})"


def _spoilt(document: Document, at: Iteration) -> str:
    """Why a coefficient that meets the target is not feasible."""
    broken, seeds = at.get("violated", []), seeds_of(document)
    if not broken:
        return f"{seeds - at.get('seeds', seeds)} of {seeds} seeds did not complete"
    names = " and ".join(map(one_line, broken))
    return f"{names} {'do' if len(broken) > 1 else 'does'} not hold"


def _sides(search: SearchBlock) -> tuple[Iteration, Iteration] | None:
    """The two neighbouring coefficients between which the value passes the target; None where it does not."""
    found = sorted(_distances(search), key=lambda pair: pair[1]["coefficient"])
    passing = [(low, high) for (one, low), (other, high) in itertools.pairwise(found) if one * other < 0]
    return min(passing, key=_ratio, default=None)


def _ratio(sides: tuple[Iteration, Iteration]) -> float:
    """How far apart two coefficients of one sign are."""
    sizes = sorted(abs(side["coefficient"]) for side in sides)
    return sizes[1] / sizes[0]


def _ends(search: SearchBlock) -> tuple[Iteration, Iteration] | None:
    """The smallest and the largest coefficient, None where either has no value."""
    ends = sorted(search["iterations"], key=lambda i: i["coefficient"])
    known = len(ends) > 1 and ends[0]["value"] is not None and ends[-1]["value"] is not None
    return (ends[0], ends[-1]) if known else None


def _side(search: SearchBlock, ends: tuple[Iteration, Iteration]) -> str:
    """On which side of the target both ends are."""
    above = {value > search["target"] for end in ends if (value := end["value"]) is not None}
    return "" if len(above) > 1 else f", both {'above' if above == {True} else 'below'} it"


def _distances(search: SearchBlock) -> list[tuple[float, Iteration]]:
    """Every iteration that has a value, with how far above the target it is."""
    return [
        (oriented(value, search["target"], "=="), i) for i in search["iterations"] if (value := i["value"]) is not None
    ]
