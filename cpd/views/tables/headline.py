"""A document in words: the lines above the tables, and the verdict in a sentence."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cpd.verdict.document import Document, SummaryRow
from cpd.verdict.gap import GAP, share_of
from cpd.views.printable import one_line
from cpd.views.tables.both import judged_on
from cpd.views.tables.budgets import budget_sentences, budget_words
from cpd.views.tables.certainty import chosen_note, sure_sentences
from cpd.views.tables.iterates import iterate_words
from cpd.views.tables.lines import (
    Line,
    best_line,
    compared,
    constants,
    lines,
    seeds_change_nothing,
    setting_text,
    share_decimals,
    varied_setting,
)
from cpd.views.tables.numbers import decades, measured, number
from cpd.views.tables.search_verdict import search_verdict
from cpd.views.tables.transfer import transfer_sentences
from cpd.views.tables.worst import has_many, most_satisfied, worst_sentence

MOST_NAMED = 4
"""Of many constraints, those that a terminal's title names."""

MOST_SEEDS = 12
"""Seeds that are listed one by one."""


def title(document: Document, most: int | None = None) -> str:
    """``rate: minimise cross_entropy subject to class0_rate >= 70 % (tolerance 0.25 %)``.

    Args:
        document: Contract 3's object.
        most: Of many constraints the first ones are named, so many; default: all.
    """
    rows = lines(document)
    texts = _many_bounds(document, rows, most) if has_many(document) else " and ".join(bounds(document))
    judged = f", {said}" if (said := judged_on(document)) else ""
    aim = f"minimise {one_line(document['objective'])} subject to {texts}"
    return f"{one_line(document['task'])}: {aim}{judged}"


def bounds(document: Document) -> list[str]:
    """Each constraint with its level, or the range of its levels, and its tolerance."""
    rows = lines(document)
    found = (_bound(document, name, rows) for name in document["constraints"])
    return [f"{bound} (tolerance {tolerance})" for bound, tolerance in found]


def subtitle(document: Document) -> str:
    """The line of what all runs share: methods with their constant hyperparameters, seeds, steps."""
    rows = lines(document)
    methods = [_method(rows, method) for method in dict.fromkeys(row.method for row in rows)]
    steps = sorted({run["steps"] for run in document["runs"] if run["status"] == "completed"} - {0})
    budget = [f"{steps[0]} steps" if len(steps) == 1 else f"{steps[0]} to {steps[-1]} steps"] if steps else []
    if "budget" in document:
        return "; ".join([*methods, *_named_seeds(document), *budget, *iterate_words(rows), budget_words(document)])
    said = [*iterate_words(rows), *_useful(document, rows), *chosen_note(document)]
    return "; ".join([*methods, *_seeds(document, rows), *budget, *said])


def verdict_sentence(document: Document) -> str:
    """The document's answer in a sentence or two: which methods satisfy the constraints, how widely, at what cost."""
    return " ".join(verdict_sentences(document))


def verdict_sentences(document: Document) -> list[str]:
    """The sentences of :func:`verdict_sentence`, one per method, then what did not complete."""
    if "search" in document:
        return [search_verdict(document)]
    entries = document.get("summary", [])
    unfinished = [run["status"] for run in document["runs"] if run["status"] != "completed"]
    counts = [f"{unfinished.count(s)} of {len(document['runs'])} runs {s}" for s in dict.fromkeys(unfinished)]
    if not entries:
        feasible = sum(run["feasible"] for run in document["runs"])
        counts.insert(0, f"{feasible} of {len(document['runs'])} runs feasible")
    worst = [text for text in [worst_sentence(document, lines(document))] if text is not None]
    verdicts = budget_sentences(document) if "budget" in document else _summary_verdicts(document, entries)
    carried = transfer_sentences(document)
    return [f"{text}." for text in [*verdicts, *carried, *worst, *sure_sentences(document), *counts]]


def _many_bounds(document: Document, rows: Sequence[Line], most: int | None) -> str:
    """``12 constraints (tolerance 0.001): a <= 0.5, b <= 1, and 10 more``."""
    found = [_bound(document, name, rows) for name in document["constraints"]]
    tolerances = dict.fromkeys(tolerance for _, tolerance in found)
    same = f" (tolerance {next(iter(tolerances))})" if len(tolerances) == 1 else ""
    texts = [bound if same else f"{bound} (tolerance {tolerance})" for bound, tolerance in found]
    more = [f"and {len(texts) - most} more"] if most is not None and len(texts) > most else []
    return f"{len(texts)} constraints{same}: {', '.join([*texts[:most], *more])}"


def _bound(document: Document, name: str, rows: Sequence[Line]) -> tuple[str, str]:
    """A constraint with its level, and its tolerance."""
    entry, percent = document["constraints"][name], share_decimals(document, name)
    scale, unit = (100, " %") if percent is not None else (1, "")
    levels = [row.levels[name] for row in rows] or [entry["level"]]
    ends = [number(level * scale, 6) for level in dict.fromkeys([min(levels), max(levels)])]
    tolerance = number(entry["tolerance"] * scale)
    return f"{one_line(name)} {entry['sense']} {' to '.join(ends)}{unit}", f"{tolerance}{unit}"


def _method(rows: Sequence[Line], method: str) -> str:
    same = constants(rows, method)
    return f"{one_line(method)} with {setting_text(same)}" if same else one_line(method)


def _useful(document: Document, rows: Sequence[Line]) -> list[str]:
    """Up to which objective a setting is useful, and how far above the mark that is."""
    entries = document.get("summary", [])
    limits = dict.fromkeys((e.get("mark"), e.get("useful_up_to")) for e in entries if e.get("mark") is not None)
    if not limits or not compared(rows):
        return []
    name = one_line(document["objective"])
    share = share_of(document.get("gap", GAP))
    gap = (
        number(float(document.get("gap", GAP))) if share is None else f"{number(100 * share)} % of the feasible spread"
    )
    gap += ", or the noise between seeds" if any(len(row.counted) > 1 for row in rows) else ""
    if len(limits) > 1:
        return [f"useful: {name} up to the mark at the same levels + {gap}"]
    mark, up_to = next(iter(limits))
    return [f"useful: {name} up to {measured(up_to)}, the mark {measured(mark)} + {gap}"]


def _seeds(document: Document, rows: Sequence[Line]) -> list[str]:
    named = _named_seeds(document)
    if len({run["seed"] for run in document["runs"]}) < 2:
        return named
    if seeds_change_nothing(rows):
        return [f"{named[0]} that change nothing: counted as one"]
    return [f"{named[0]}: mean ± standard deviation, worst violation"]


def _named_seeds(document: Document) -> list[str]:
    """The seeds of all runs."""
    seeds = sorted({run["seed"] for run in document["runs"]})
    if len(seeds) < 2:
        return [f"seed {seed}" for seed in seeds]
    dense = len(seeds) > 2 and seeds[-1] - seeds[0] == len(seeds) - 1
    few = seeds if len(seeds) <= MOST_SEEDS else [*seeds[: MOST_SEEDS - 1], "...", seeds[-1]]
    listed = f"{seeds[0]} to {seeds[-1]}" if dense else ", ".join(map(str, few))
    return [f"{len(seeds)} seeds ({listed})"]


def _summary_verdicts(document: Document, entries: Sequence[SummaryRow]) -> list[str]:
    methods = dict.fromkeys(entry["method"] for entry in entries)
    return [_method_verdict(document, m, [e for e in entries if e["method"] == m]) for m in methods]


def _method_verdict(document: Document, method: str, entries: Sequence[SummaryRow]) -> str:
    if len(entries) > 1:
        solved = sum(entry["useful_settings"] > 0 for entry in entries)
        return f"{one_line(method)}: a useful setting at {solved} of {len(entries)} choices of levels"
    entry = entries[0]
    counted = f"{one_line(method)}: {entry['feasible_settings']} of {entry['settings']} settings feasible"
    if not entry["feasible_settings"]:
        return counted + most_satisfied([row for row in lines(document) if row.method == method])
    setting = varied_setting(lines(document), method, entry["best_setting"] or {})
    best = f"best {setting_text(setting)} with {one_line(document['objective'])}"
    best += f" {measured(entry['best_objective'])}{_doubt(document, entry)}"
    lucky = sum(row.by_luck for row in lines(document) if row.method == method)
    if lucky == entry["feasible_settings"]:
        return f"{counted}, and at the last step only: oscillating, none is solved; {best}"
    counted += f" ({lucky} of them at the last step only)" if lucky else ""
    useful = f"{entry['useful_settings']} useful" if entry["useful_settings"] else "none useful"
    if entry["useful_settings"] > 1:
        useful += f" over {decades(entry['useful_decades'], entry.get('useful_at_edge', False))} decades"
    return f"{counted}, {useful}, {best}"


def _doubt(document: Document, entry: SummaryRow) -> str:
    """In how many of the last tenth of the steps the best setting held its constraints, unless in all of them."""
    line = best_line(lines(document), entry)
    runs = line.runs if line else []
    shares = [c["feasible_share"] for run in runs for c in run["constraints"].values()]
    held = min((x for x in shares if x is not None), default=1.0)
    return "" if held == 1 else f" (held in {math.floor(100 * held)} % of the last steps)"
