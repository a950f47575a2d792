"""The iterations of a search, as a table and line by line while it goes on."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TextIO

from rich.cells import cell_len

from cpd.verdict.document import Document, Iteration, SearchBlock
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.searching import searched_name, tried, worst_value
from cpd.views.printable import one_line
from cpd.views.tables.both import both_columns, judged_header, objective_on, value_on
from cpd.views.tables.certificates import kkt_columns
from cpd.views.tables.headline import MOST_NAMED, title
from cpd.views.tables.lines import Line, lines, row_notes, share_decimals
from cpd.views.tables.numbers import distinct, is_share, measured, number
from cpd.views.tables.search_several import AWAY, is_several, own_columns, several_columns
from cpd.views.tables.search_verdict import reported_iteration, seeds_of
from cpd.views.tables.section import Column, Facts, Section
from cpd.views.tables.shape import DEFAULT, Shape, shaped
from cpd.views.tables.terminal import UNLIMITED, console_on, fit, joined, print_header, print_line, print_wrapped

PRUNED = "above, below: pruned, a training that was given up on that side of the target."
SEEDS = "Values are means over the seeds that completed, ± their standard deviation."
WORST = "Of a constraint that is not searched, the worst value of all seeds and components is shown."
METRIC, OBJECTIVES, OBJECTIVE, BOTH = 5, (4, 4), 2, (3, 1)
"""Ranks of columns: what is left out first has the highest."""

WIDTH, WIDE = 10, 16
"""Narrowest columns of lines that are printed one by one: of numbers, and of those with more than a number."""

DIGITS = 7
"""Fewest digits of a coefficient there."""

Digits = Callable[[Sequence[float]], list[str]]


def search_section(document: Document, shape: Shape = DEFAULT) -> Section:
    """Lay out a search's iterations as the paper's Table 2 does, in the shape that is asked for."""
    return shaped(whole_search(document), shape)


def whole_search(document: Document) -> Section:
    """All iterations and what is known of them, not yet shaped."""
    search = document["search"]
    nearest = reported_iteration(document) if search["outcome"] in ("solved", "infeasible") else None
    best = "best" if search["outcome"] == "solved" else ""
    known = [i.get("distance", i["value"]) is not None for i in search["iterations"]]
    marks = [best if i is nearest else "" if ok else "bad" for i, ok in zip(search["iterations"], known, strict=True)]
    rows = lines(document)
    columns = iteration_columns(document, distinct)
    own = [_line(rows, i, searched_name(search)) for i in search["iterations"]]
    said = row_notes(own, judges(document))
    facts = [_facts(search, *each) for each in zip(search["iterations"], own, said, strict=True)]
    named: tuple[str, ...] = ("iteration", one_line(searched_name(search)))
    further, notes = kkt_columns(own), _notes(document)
    if is_several(document):
        shown = [column.name for column in columns]
        named = ("iteration",)
        further = [*(one for one in own_columns(document, distinct) if one.name not in shown), *further]
    return Section("iterations", columns, marks, notes=notes, facts=facts, further=further, named=named)


def _line(rows: Sequence[Line], iteration: Iteration, searched: str) -> Line:
    """The runs of an iteration; of one that was given up there are none."""
    found = (row for row in rows if row.setting.get(searched) == tried(iteration))
    return next(found, Line("", {searched: tried(iteration)}, {}, []))


def notes_of_iterations(document: Document) -> list[str]:
    """What is said of a search whose iterations were printed one by one, each footnote with those that it concerns."""
    section, found = whole_search(document), dict[str, list[str]]()
    for iteration, facts in zip(document["search"]["iterations"], section.facts, strict=True):
        for note in dict.fromkeys(facts.notes):
            found.setdefault(note, []).append(str(iteration["iteration"]))
    each = [f"iteration{'s' * (len(of) > 1)} {', '.join(of)}: {note}" for note, of in found.items()]
    return [*each, *section.notes]


def _facts(search: SearchBlock, iteration: Iteration, line: Line, notes: Sequence[str]) -> Facts:
    """What an iteration is asked for by; the nearest to the target is the best."""
    value = iteration["value"]
    distance = math.inf if value is None else abs(value - search["target"])
    if "coefficients" in iteration:
        far = iteration.get("distance")
        distance, value = (math.inf, None) if far is None else (far, far)
    return Facts(line.all_feasible, None, value is None and "pruned" not in iteration, (distance,), notes)


def iteration_columns(document: Document, digits: Digits) -> list[Column]:
    """The columns of a search's iterations; two quantities of one name are told apart by their kind.

    Args:
        document: Of a search, which may still go on: its units are those of the values that are known.
        digits: Writes the coefficients.
    """
    search, seeds = document["search"], seeds_of(document)
    if is_several(document):
        return several_columns(document, digits, seeds)
    iterations: Sequence[Iteration] = search["iterations"]
    own = search["constraint"]
    metrics = dict.fromkeys(name for i in iterations for name in i["metrics"])
    searched = one_line(searched_name(search))
    counts, coefficients = [i["iteration"] for i in iterations], [i["coefficient"] for i in iterations]
    columns = [
        Column(("iteration",), list(map(str, counts)), values=counts),
        Column((searched,), digits(coefficients), names=(f"setting.{searched}",), values=coefficients),
        *([Column(("seeds",), [f"{i.get('seeds', '-')}/{seeds}" for i in iterations])] if seeds > 1 else []),
    ]
    taken = [column.name for column in columns]
    aim = _values(document)
    objectives = [i["objective"] for i in iterations]
    cells = list(map(measured, objectives))
    objective = Column((one_line(document["objective"]),), cells, names=("objective",), values=objectives)
    of_aim, of_objective = _on_both(document)
    return [
        *columns,
        _judged(document, _named(aim, "constraint", taken)),
        *of_aim,
        _judged(document, _named(replace(objective, rank=OBJECTIVE), "objective", taken)),
        *of_objective,
        *(_named(_other(document, name), "constraint", taken) for name in document["constraints"] if name != own),
        *(_named(_metric(name, [i["metrics"].get(name) for i in iterations]), "metric", taken) for name in metrics),
    ]


def _judged(document: Document, column: Column) -> Column:
    """The same column, its header with the examples that its numbers are on, where there are two kinds of them."""
    return replace(column, header=(*column.header, *judged_header(document)))


def _on_both(document: Document) -> tuple[list[Column], list[Column]]:
    """The searched values, and the objective, on the other examples, and the gaps."""
    name = document["search"]["constraint"]
    done = [run for run in document["runs"] if run["status"] == "completed"]
    searched = searched_name(document["search"])
    groups = [
        [run for run in done if run["setting"].get(searched) == tried(i)] for i in document["search"]["iterations"]
    ]
    percent = share_decimals(document, name)
    header, objective = (one_line(name) + _unit(percent),), (one_line(document["objective"]),)
    values = both_columns(document, groups, header, value_on(document, name), percent, BOTH)
    return values, both_columns(document, groups, objective, objective_on, ranks=OBJECTIVES)


def _named(column: Column, kind: str, taken: list[str]) -> Column:
    """The same column, its header with its kind where another has that name already."""
    (header,) = column.header
    name = header.removesuffix(" %")
    if name in taken:
        header = f"{name} ({kind}){header[len(name) :]}"
    taken.append(name)
    return replace(column, header=(header,))


def _values(document: Document) -> Column:
    """The searched values; of a training that was given up, on which side of the target it was."""
    search = document["search"]
    percent = share_decimals(document, search["constraint"])
    values = [_quantity(i["value"], percent) + _spread(i.get("spread"), percent) for i in search["iterations"]]
    cells = [i.get("pruned", cell) for i, cell in zip(search["iterations"], values, strict=True)]
    name, numbers = search["constraint"], [i["value"] for i in search["iterations"]]
    return Column((one_line(name) + _unit(percent),), cells, names=_names("constraints", name), values=numbers)


def _other(document: Document, name: str) -> Column:
    """Another constraint's values, the worst of every coefficient, marked where it does not hold."""
    percent, bound = share_decimals(document, name), document["constraints"][name]
    rows = judged_rows(document["runs"], judges(document))
    cells, values, searched = [], [], searched_name(document["search"])
    for i in document["search"]["iterations"]:
        own = [run for run in rows if run["setting"].get(searched) == tried(i)]
        mark = "violated " if name in i.get("violated", []) else ""
        values.append(worst_value(own, name, bound))
        cells.append(mark + _quantity(values[-1], percent))
    header, names = (one_line(name) + _unit(percent),), _names("constraints", name)
    return Column(header, cells, rank=OBJECTIVE, names=names, values=values)


def _metric(name: str, values: Sequence[float | None]) -> Column:
    percent = 2 if is_share(name, values) else None
    cells, names = [_quantity(value, percent) for value in values], _names("metrics", name)
    return Column((one_line(name) + _unit(percent),), cells, rank=METRIC, names=names, values=values)


def _names(kind: str, name: str) -> tuple[str, ...]:
    """What else a quantity's column may be called."""
    return (name, f"{kind}.{name}", *([f"{kind}.{name}.value"] if kind == "constraints" else []))


def _unit(percent: int | None) -> str:
    return "" if percent is None else " %"


def _quantity(value: float | None, percent: int | None) -> str:
    return measured(value) if percent is None or value is None else f"{100 * value:.{percent}f}"


def _spread(deviation: float | None, percent: int | None) -> str:
    if deviation is None:
        return ""
    return f" ± {number(deviation, 2)}" if percent is None else f" ± {100 * deviation:.{percent}f}"


def _notes(document: Document) -> list[str]:
    iterations, seeds = document["search"]["iterations"], seeds_of(document)
    several = [SEEDS] if seeds > 1 else []
    worst = [WORST] if len(document["constraints"]) > 1 else []
    worst = [AWAY] if is_several(document) else worst
    return [*several, *worst, *([PRUNED] if any("pruned" in i for i in iterations) else [])]


class IterationPrinter:
    """Prints the iterations of a search as they end, one aligned line each, a header before the first.

    Args:
        stream: Where the lines go, at once.
        width: Columns of the terminal; metrics that do not fit are left out. Default: the stream's own.
        wide: Whether all columns are shown instead.
    """

    def __init__(self, stream: TextIO, width: int | None = None, wide: bool = False) -> None:
        self.console = console_on(stream, width)
        self._width = UNLIMITED if wide else self.console.width
        self._headers: list[str] = []
        self._shown: list[tuple[int, Column]] = []
        self._searched = ""

    def __call__(self, document: Document, number: int) -> None:
        """Print an iteration; the header anew where a value shows that a quantity is no share after all.

        Args:
            document: The search so far.
            number: Place of the iteration among those of the search, from 0.
        """
        columns = iteration_columns(document, _told_apart)
        self._searched = one_line(searched_name(document["search"]))
        headers = [column.name for column in columns]
        if not self._headers:
            print_wrapped(title(document, MOST_NAMED), self.console, "bold")
            print_line("", self.console)
        if headers != self._headers or self._outgrown(columns, number):
            self._headers, self._shown = headers, self._fitted(columns)
            print_header([column for _, column in self._shown], self.console)
        texts = [columns[k].cells[number] for k, _ in self._shown]
        print_line(joined([column for _, column in self._shown], texts), self.console)
        self.console.file.flush()

    def _outgrown(self, columns: Sequence[Column], number: int) -> bool:
        """Whether a text is wider than its column; a coefficient, which gets its digits one by one, may be."""
        others = ((k, column) for k, column in self._shown if columns[k].name != self._searched)
        return any(cell_len(columns[k].cells[number]) > column.width for k, column in others)

    def _fitted(self, columns: Sequence[Column]) -> list[tuple[int, Column]]:
        """The columns that fit, wide enough for the lines to come, each with its place among all."""
        blanks = [Column(column.header, [" " * _width(column)], rank=column.rank) for column in columns]
        shown, _ = fit(blanks, self._width, fold=False)
        return [(k, column) for k, column in enumerate(blanks) if any(column is other for other in shown)]


def _width(column: Column) -> int:
    wide = any(" " in cell for cell in column.cells)
    return max([WIDE if wide else WIDTH, *map(cell_len, column.cells)])


def _told_apart(coefficients: Sequence[float]) -> list[str]:
    """Coefficients with as many digits, at least seven, as tell them apart."""
    texts = ([number(c, digits) for c in coefficients] for digits in range(DIGITS, 18))
    different = len(set(coefficients))
    return next((found for found in texts if len(set(found)) == different), [repr(c) for c in coefficients])
