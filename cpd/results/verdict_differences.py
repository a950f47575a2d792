"""What two sweeps' verdicts differ in."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from cpd.verdict.document import Document, Plain
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.settings import is_feasible, mean_objective, settings_of
from cpd.views.tables.lines import setting_text


class Changed(NamedTuple):
    """One thing that came out otherwise."""

    what: str
    a: Plain
    b: Plain


class Outcome(NamedTuple):
    """A setting, and what came of it."""

    words: str
    feasible: bool
    objective: float | None


def turned(a: Document, b: Document) -> Iterator[Changed]:
    """How many runs, of each method of both how many settings and the best one, then the settings that turned over."""
    yield from _between(_counts(a), _counts(b))
    yield from _between(_search(a), _search(b))
    ours, theirs = _summaries(a), _summaries(b)
    for method in ours:
        yield from _between(ours[method], theirs.get(method, ours[method]))
    yield from _settings(a, b)


def _counts(document: Document) -> dict[str, Any]:
    statuses = [run["status"] for run in document["runs"]]
    return {"runs": len(statuses), **{s: statuses.count(s) for s in ("completed", "diverged", "failed")}} | {
        "judged on": judges(document)
    }


def _search(document: Document) -> dict[str, Any]:
    if "search" not in document:
        return {}
    return {f"search: {name}": document["search"][name] for name in ("target", "outcome", "trainings")}


def _summaries(document: Document) -> dict[str, dict[str, Any]]:
    """Of each method, at each choice of levels, what the summary says."""
    found: dict[str, dict[str, Any]] = {}
    for row in document.get("summary", []):
        levels = f" at {setting_text(dict(row['levels']))}" if "levels" in row else ""
        name, best = f"{row['method']}{levels}", row["best_setting"]
        found.setdefault(row["method"], {}).update(
            {
                f"{name}: feasible": f"{row['feasible_settings']} of {row['settings']}",
                f"{name}: useful": f"{row['useful_settings']} of {row['settings']}",
                f"{name}: best": None if best is None else setting_text(best),
                f"{name}: best {document['objective']}": row["best_objective"],
            }
        )
    return found


def _settings(a: Document, b: Document) -> Iterator[Changed]:
    """Settings of both that are feasible in one of them alone, and the one whose objective changed most."""
    ours, theirs = _outcomes(a), _outcomes(b)
    both = [(ours[key], theirs[key]) for key in ours if key in theirs]
    for one, other in both:
        if one.feasible != other.feasible:
            yield Changed(one.words, *("feasible" if own.feasible else "not feasible" for own in (one, other)))
    moved = [
        (abs(x - y), one.words, x, y)
        for one, other in both
        if (x := one.objective) is not None and (y := other.objective) is not None
    ]
    size, words, *values = max(moved, default=(0.0, "", None, None))
    if size > 0 and a["objective"] == b["objective"]:
        yield Changed(f"{words}: {a['objective']} (the largest change of {len(moved)} settings)", *values)


def _outcomes(document: Document) -> dict[str, Outcome]:
    """What came of each setting at its levels, by the JSON of both; levels that are not swept are left out."""
    rows = judged_rows(document["runs"], judges(document))
    swept = {name for row in rows for name in row["levels"] if len({r["levels"].get(name) for r in rows}) > 1}
    found = {}
    for runs in settings_of(rows):
        own = runs[0]
        levels: dict[str, Plain] = {name: level for name, level in own["levels"].items() if name in swept}
        at = f" at {setting_text(levels)}" if levels else ""
        key = json.dumps([own["method"], own["setting"], levels], sort_keys=True)
        words = f"{own['method']}, {setting_text(own['setting'])}{at}"
        found[key] = Outcome(words, is_feasible(runs), mean_objective(runs))
    return found


def _between(a: Mapping[str, Any], b: Mapping[str, Any]) -> Iterator[Changed]:
    for what in dict.fromkeys([*a, *b]):
        if a.get(what) != b.get(what):
            yield Changed(what, a.get(what), b.get(what))
