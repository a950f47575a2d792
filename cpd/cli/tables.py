"""What of the tables a command shows, as it is asked for on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cpd.errors import CpdError
from cpd.spec.option import Option

if TYPE_CHECKING:
    from cpd.views.tables.shape import Order, Shape

Only = Literal["feasible", "useful", "failed"]

DATA = ("json", "csv")
"""Formats that have all rows and all columns."""


def _orders(text: str) -> tuple[Order, ...]:
    """Read ``--sort COLUMN,-COLUMN``."""
    from cpd.views.tables.shape import Order

    names = _names(text, "--sort")
    for name in names:
        if not name.lstrip("-").strip():
            raise CpdError(f"'{text}' names no column", place="--sort", hint="write COLUMN, or -COLUMN for falling")
    return tuple(Order(name.removeprefix("-").strip(), name.startswith("-")) for name in names)


def _top(text: str) -> int:
    """Read ``--top N``, or ``all``."""
    from cpd.views.tables.shape import ALL

    if text.strip().lower() == "all":
        return ALL
    if not text.strip().isdecimal() or int(text) < 1:
        raise CpdError(f"expected an integer >= 1, or all, got '{text}'", place="--top")
    return int(text)


def _columns(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_names(text, "--columns")))


def _constraints(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(_names(text, "--constraints", "constraint")))


def _names(text: str, option: str, kind: str = "column") -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    if not names:
        raise CpdError(f"'{text}' names no {kind}", place=option, hint="write names with commas between them")
    return names


@dataclass(frozen=True)
class Shaping:
    """Which rows and columns of the tables a command shows."""

    sort: Annotated[
        tuple[Any, ...],
        Option("Sort rows by COLUMN[,-COLUMN], with - the largest first [default: as the grid].", read=_orders),
    ] = ()
    top: Annotated[
        int | None,
        Option("Rows of a method, the best or first ones, or all [default: 30 in a terminal, else all].", read=_top),
    ] = None
    columns: Annotated[
        tuple[str, ...],
        Option(
            "Columns, with commas between them; kkt alone adds the residuals of optimality [default: what fits].",
            read=_columns,
        ),
    ] = ()
    only: Annotated[Only | None, Option("Rows that are feasible, useful, or failed.")] = None
    constraints: Annotated[
        tuple[str, ...],
        Option(
            "The list of these constraints at the best settings, worst first, in place of the rows: names or patterns "
            "with commas between, 'group_*', or all.",
            metavar="NAMES",
            read=_constraints,
        ),
    ] = ()
    wide: Annotated[bool, Option("All columns, however wide the terminal is.", ("--wide",))] = False
    pager: Annotated[
        bool | None,
        Option("Show long tables in a terminal through CPD_PAGER, PAGER or less.", ("--pager/--no-pager",)),
    ] = None

    @property
    def shape(self) -> Shape:
        """What is asked of a table."""
        from cpd.views.tables.shape import Shape

        return Shape(self.sort, self.top, self.columns, self.only, self.wide, constraints=self.constraints)

    def check_search(self) -> None:
        """See before a search that it can be shown so.

        Raises:
            CpdError: It asks for useful rows.
        """
        if self.only == "useful":
            raise CpdError("a search calls no training useful", place="--only", hint="valid: feasible, failed")

    def check_beside(self) -> None:
        """See that several sweeps can be shown so, side by side.

        Raises:
            CpdError: It asks for the list of constraints, which is one sweep's.
        """
        if self.constraints:
            hint = "name one sweep, or leave it out"
            raise CpdError("lists the constraints of one sweep", place="--constraints", hint=hint)

    def check(self, form: str) -> None:
        """See that a format is one that is shaped.

        Raises:
            CpdError: It is data, which has all.
        """
        given = {"--sort": self.sort, "--top": self.top is not None, "--columns": set(self.columns) - {"kkt"}}
        for option, value in {**given, "--only": self.only, "--constraints": self.constraints}.items():
            if form in DATA and value:
                message = f"shapes tables for reading, and {form} has every row and column"
                raise CpdError(message, place=option, hint="leave it out, or use --format table, markdown or latex")
