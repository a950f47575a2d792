"""The iterations of a search, as a table and line by line while it goes on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TextIO

from rich.console import Console

from cpd.verdict.document import Document, Iteration, SearchBlock
from cpd.views.printable import one_line
from cpd.views.tables.headline import nearest_iteration
from cpd.views.tables.lines import lines, notes_of, share_decimals
from cpd.views.tables.numbers import distinct, is_share, measured, number
from cpd.views.tables.section import Column, Section
from cpd.views.tables.terminal import fit, joined, print_header, print_line, print_wrapped

PRUNED = "above, below: pruned, a training that was given up on that side of the target."
METRIC, OBJECTIVE = 2, 1
"""Ranks of columns: what is left out first has the highest."""

WIDTH = 10
"""Narrowest column of lines that are printed one by one."""


def search_section(document: Document) -> Section:
    """Lay out a search's iterations as the paper's Table 2 does."""
    search = document["search"]
    iterations: Sequence[Iteration] = search["iterations"]
    percent = share_decimals(document, search["constraint"])
    nearest = nearest_iteration(search) if search["outcome"] == "solved" else None
    metrics = dict.fromkeys(name for i in iterations for name in i["metrics"])
    columns = [
        Column(("iteration",), [str(i["iteration"]) for i in iterations]),
        Column(("coefficient",), distinct([i["coefficient"] for i in iterations])),
        _values(search, percent),
        Column((one_line(document["objective"]),), [measured(i["objective"]) for i in iterations], rank=OBJECTIVE),
        *(_metric(name, [i["metrics"].get(name) for i in iterations]) for name in metrics),
    ]
    marks = ["best" if i is nearest else "" if i["value"] is not None else "bad" for i in iterations]
    given_up = [PRUNED] if any("pruned" in i for i in iterations) else []
    return Section("iterations", columns, marks, notes=[*notes_of(lines(document))[0], *given_up])


def _values(search: SearchBlock, percent: int | None) -> Column:
    """The searched values; of a training that was given up, on which side of the target it was."""
    column = _column(
        search["constraint"], [i["value"] for i in search["iterations"]], percent is not None, percent or 2
    )
    cells = [i.get("pruned", cell) for i, cell in zip(search["iterations"], column.cells, strict=True)]
    return replace(column, cells=cells)


def _column(name: str, values: Sequence[float | None], share: bool, digits: int, rank: int = 0) -> Column:
    header = (one_line(name) + (" %" if share else ""),)
    return Column(header, [_quantity(value, share, digits) for value in values], rank=rank)


def _metric(name: str, values: Sequence[float | None]) -> Column:
    return _column(name, values, is_share(name, values), 2, METRIC)


def _quantity(value: float | None, share: bool, digits: int = 2) -> str:
    return f"{100 * value:.{digits}f}" if share and value is not None else measured(value)


class IterationPrinter:
    """Prints each iteration of a search as it ends, one aligned line each, a header before the first.

    Args:
        stream: Where the lines go, at once.
        constraint: Name of the searched constraint.
        objective: Name of the objective.
        title: A line above the table.
        width: Columns of the terminal; metrics that do not fit are left out. Default: the stream's own.
    """

    def __init__(
        self,
        stream: TextIO,
        constraint: str = "value",
        objective: str = "objective",
        title: str = "",
        width: int | None = None,
    ) -> None:
        self.console = Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
        self.constraint = constraint
        self.objective = objective
        self.title = title
        self._shares: dict[str, bool] = {}
        self._columns: list[Column] = []

    def __call__(self, iteration: Iteration) -> None:
        """Print one entry of a search's ``iterations``."""
        quantities = {self.constraint: iteration["value"], **iteration["metrics"]}
        if not quantities.keys() <= self._shares.keys():
            self._shares = {name: is_share(name, [value]) for name, value in quantities.items()}
            self._columns = self._fitted()
            if self.title:
                print_wrapped(self.title, self.console, "bold")
                print_line("", self.console)
                self.title = ""
            print_header(self._columns, self.console)
        texts = {name: _quantity(quantities.get(name), share) for name, share in self._shares.items()}
        fixed = {"iteration": str(iteration["iteration"]), "coefficient": number(iteration["coefficient"], 7)}
        texts |= {self.constraint: iteration["pruned"]} if "pruned" in iteration else {}
        cells = {**fixed, **texts, self.objective: measured(iteration["objective"])}
        by_header = {self._header(name): text for name, text in cells.items()}
        print_line(joined(self._columns, [by_header[column.name] for column in self._columns]), self.console)
        self.console.file.flush()

    iteration = __call__

    def _fitted(self) -> list[Column]:
        constraint, *metrics = self._shares
        ranks = {"iteration": 0, "coefficient": 0, constraint: 0, self.objective: OBJECTIVE}
        ranks |= dict.fromkeys(metrics, METRIC)
        columns = [Column((self._header(name),), [" " * WIDTH], rank=rank) for name, rank in ranks.items()]
        shown, _ = fit(columns, self.console.width, fold=False)
        return shown

    def _header(self, name: str) -> str:
        return one_line(name) + (" %" if self._shares.get(name) else "")
