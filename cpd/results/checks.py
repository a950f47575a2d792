"""What a check of a task found, as a list that prints as a table."""

from __future__ import annotations

import io
from collections.abc import Iterable
from typing import Protocol

from cpd.verdict.document import Plain
from cpd.views.tables.render import print_rows


class Finding(Protocol):
    """One thing that was looked at."""

    @property
    def check(self) -> str:
        """What was looked at."""

    @property
    def ok(self) -> bool:
        """Whether it is well."""

    @property
    def found(self) -> str:
        """What was found."""


class Checks(list[Finding]):
    """What a check found, in order; printed, it is the command's table.

    Example:
        >>> Checks([]).ok
        True
    """

    def __init__(self, found: Iterable[Finding]) -> None:
        super().__init__(found)

    @property
    def ok(self) -> bool:
        """Whether all is well."""
        return all(one.ok for one in self)

    @property
    def rows(self) -> list[dict[str, Plain]]:
        """One record for each, as the command prints them."""
        return [{"check": one.check, "result": "ok" if one.ok else "not ok", "found": one.found} for one in self]

    def __str__(self) -> str:
        stream = io.StringIO()
        print_rows(self.rows, "table", "checks", stream)
        return stream.getvalue().rstrip("\n")

    __repr__ = __str__
