"""The verdicts at the head of a report: the one on held-out examples first, then the one on training data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from cpd.verdict.document import Document
from cpd.verdict.judged import judges
from cpd.views.tables.both import DATA, judged_on
from cpd.views.tables.headline import verdict_sentences


class Verdict(NamedTuple):
    """One verdict.

    Attributes:
        on: The data, in words; empty where there is but one verdict.
        sentences: One per method, then what did not complete.
        decides: Whether what the page calls feasible, useful and best is by these data.
    """

    on: str
    sentences: Sequence[str]
    decides: bool


def verdicts_of(document: Document, beside: Document | None = None) -> list[Verdict]:
    """The verdicts of a document.

    Args:
        document: Contract 3's object, by the data that decide.
        beside: The same by the other data, where runs were measured on both.
    """
    if beside is None:
        return [Verdict("", verdict_sentences(document), True)]
    both = sorted([(document, True), (beside, False)], key=lambda pair: judges(pair[0]) != "held_out")
    return [Verdict(_on(own, decides), verdict_sentences(own), decides) for own, decides in both]


def _on(document: Document, decides: bool) -> str:
    """``On 359 held-out examples, which decide``."""
    data = judged_on(document).removeprefix("judged on ") or f"{DATA[judges(document)]} data"
    said = "tables and figures are by these" if decides else "for comparison"
    return f"On {data}: {said}"
