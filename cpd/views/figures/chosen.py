"""Which constraints a picture shows: those that are named, or else those that are violated most often."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fnmatch import fnmatchcase

from cpd.errors import CpdError, closest
from cpd.outcome import Number
from cpd.verdict.document import Document, RunRow
from cpd.verdict.feasibility import excess
from cpd.verdict.settings import distinct
from cpd.views.printable import one_line
from cpd.views.tables.lines import components

PLACE = "--constraints"

ALL = "all"
"""Every one."""

MOST_SHOWN = 12
"""Constraints that a picture shows where none is named."""


def named(document: Document, words: Sequence[str]) -> list[str]:
    """The constraints that a user's words mean, in the order of the document.

    Args:
        document: Contract 3's object.
        words: Each a name, a pattern such as ``group_*``, several with commas between, or ``all``.

    Raises:
        CpdError: A word means no constraint.
    """
    names = list(document["constraints"])
    found = {name for word in words for part in _parts(word, names) for name in _meant(part, names)}
    if not found:
        raise CpdError("names no constraint", place=PLACE, hint=closest("", map(one_line, names)))
    return [name for name in names if name in found]


def _parts(word: str, names: Sequence[str]) -> list[str]:
    return [word] if word in names else [part.strip() for part in word.split(",") if part.strip()]


def _meant(word: str, names: Sequence[str]) -> list[str]:
    found = [name for name in names if word in (name, one_line(name))]
    found = found or [name for name in names if word == ALL or fnmatchcase(name, word)]
    if not found:
        raise CpdError(f"no constraint '{word}'", place=PLACE, hint=closest(word, map(one_line, names)))
    return found


def telling(document: Document, most: int = MOST_SHOWN) -> list[str]:
    """The constraints that are violated in most runs, in the order of the document; all where they are few.

    Of those that are violated as often, the ones whose largest violation is largest.
    """
    names = list(document["constraints"])
    if len(names) <= most:
        return names
    runs = [run for run in distinct(document["runs"]) if run["status"] == "completed"]
    broken = {name: sum(broken_in(document, run, name) for run in runs) for name in names}
    furthest = {name: max((_furthest(document, run, name) for run in runs), default=-math.inf) for name in names}
    kept = sorted(names, key=lambda name: (-broken[name], -furthest[name], names.index(name)))[:most]
    return [name for name in names if name in kept]


def broken_in(document: Document, run: RunRow, name: str) -> bool:
    """Whether a run that completed violates a constraint by more than its tolerance."""
    if run["feasible"]:
        return False
    bound = document["constraints"][name]
    return _largest(run["constraints"][name]["violation"], bound["sense"]) > (bound["tolerance"] or 0.0)


def _furthest(document: Document, run: RunRow, name: str) -> float:
    """The violation of a run, in tolerances where all constraints have one."""
    bounds = document["constraints"]
    unit = bounds[name]["tolerance"] if all(bound["tolerance"] for bound in bounds.values()) else 1.0
    return _largest(run["constraints"][name]["violation"], bounds[name]["sense"]) / unit


def _largest(violation: Number, sense: str) -> float:
    known = [excess(v, sense) for v in components(violation) if v is not None]
    return max(known) if len(known) == len(components(violation)) and known else float("inf")


def left_out(document: Document, shown: Sequence[str]) -> list[str]:
    """Say how many constraints are not shown."""
    total = len(document["constraints"])
    return [f"{len(shown)} of {total} constraints"] if len(shown) < total else []
