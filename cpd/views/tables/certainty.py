"""How surely constraints hold on held-out examples, in words; nothing of it is said of training data.

An interval of a value on the examples that a model was trained on says nothing of fresh ones.
"""

from __future__ import annotations

from cpd.verdict.certainty import setting_verdict
from cpd.verdict.document import Document, SummaryRow, Verdict
from cpd.verdict.gap import CONFIDENCE
from cpd.verdict.judged import judges
from cpd.views.printable import one_line
from cpd.views.tables.lines import Line, best_line, lines

WORDS: dict[Verdict, str] = {"satisfied": "yes", "violated": "no", "uncertain": "unsure"}
"""What the verdicts are called in a table."""


def is_shown(document: Document) -> bool:
    """Whether there are intervals on held-out examples."""
    return judges(document) == "held_out" and any(run.get("verdict") for run in document["runs"])


def verdict_shown(document: Document, row: Line) -> Verdict | None:
    """What is said of a setting: of the best one, that it was chosen is taken into account; None where nothing is.

    Beside settings of which something is known, one that holds and has no interval is not sure.
    """
    if not is_shown(document):
        return None
    chosen = next((entry for entry in _chosen(document) if best_line([row], entry) is row), None)
    known = setting_verdict(row.runs) if chosen is None else chosen.get("best_verdict")
    return known or ("uncertain" if row.all_feasible else "violated")


def sure_sentences(document: Document) -> list[str]:
    """``holds on held-out data with 95 % confidence: 4 of 9 settings``, and whether the best ones do."""
    if not is_shown(document) or "search" in document:
        return []
    rows = lines(document)
    sure = sum(setting_verdict(row.runs) == "satisfied" for row in rows)
    said = f"holds on held-out data with {percent(_confidence(document))} % confidence: {sure} of {len(rows)} settings"
    bests = _chosen(document)
    if not bests or any("levels" in entry for entry in bests):
        return [said]
    words = ", ".join(f"{one_line(e['method'])} {WORDS[e.get('best_verdict') or 'uncertain']}" for e in bests)
    return [f"{said}; the best, chosen among {len(rows)}: {words}"]


def chosen_note(document: Document) -> list[str]:
    """``95 % confidence, 99.75 % of the best: it was chosen``: how its interval is corrected."""
    bests = _chosen(document)
    if not is_shown(document) or not bests:
        return []
    strict = max(entry.get("best_confidence", CONFIDENCE) for entry in bests)
    return [f"{percent(_confidence(document))} % confidence, {percent(strict)} % of the best, for it was chosen"]


def _chosen(document: Document) -> list[SummaryRow]:
    """The methods whose best setting was chosen among several, and of which something is known."""
    return [e for e in document.get("summary", []) if e["settings"] > 1 and e.get("best_verdict") is not None]


def _confidence(document: Document) -> float:
    return document.get("confidence", CONFIDENCE)


def percent(share: float) -> str:
    """``95``, ``99.75``: with as many digits as tell it from 100."""
    rest = 100 - 100 * share
    whole = rest >= 1 and abs(rest - round(rest)) < 1e-9
    digits = 0 if whole else max(2, len(f"{1 / rest:.0f}") + 1)
    shortest = f"{100 * share:.6f}".rstrip("0").rstrip(".")
    return min(shortest, f"{100 * share:.{digits}f}", key=len)
