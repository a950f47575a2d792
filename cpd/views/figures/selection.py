"""Runs chosen by a user's words: the start of an id, or what the runs have in common."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from cpd.errors import CpdError, closest
from cpd.verdict.document import Document, Plain, RunRow, Setting, is_number
from cpd.views.printable import one_line
from cpd.views.tables.names import readable
from cpd.views.tables.numbers import setting_value

PLACE = "--runs"
MOST_CHOSEN = 14
"""Lines that a picture holds before colours and dashes repeat."""

SHOWN_DIGITS = 1e-3
"""Tables show four digits: a number typed from them means the run that is shown so."""


def select(document: Document, words: Sequence[str], kind: str = "dynamics") -> list[int]:
    """Places in the document of the runs that any of the words means.

    Args:
        document: Contract 3's object.
        words: Each the start of an id, or ``NAME=VALUE`` pairs that must all hold, e.g. ``method=nupi,seed=1``: the
            method, seed, status or diagnosis, a hyperparameter, or a constraint's level.
        kind: Of the picture.

    Raises:
        CpdError: A word means no run, all of them together mean too many, or this kind shows every run.
    """
    if kind != "dynamics":
        raise CpdError(f"'{kind}' shows every run", place=PLACE, hint="only --kind dynamics takes chosen runs")
    both = zip(document["runs"], readable(document)["runs"], strict=True)
    facts = [dict([*_facts(run), *_facts(short)]) for run, short in both]
    places = sorted({place for word in words for place in _meant(word, document, facts)})
    if len(places) > MOST_CHOSEN:
        hint = "say more of them, e.g. method=nupi,seed=1"
        raise CpdError(f"{len(places)} runs are meant, a picture holds {MOST_CHOSEN}", place=PLACE, hint=hint)
    return places


def _facts(run: RunRow) -> Iterator[tuple[str, Plain]]:
    """Names and values that a run can be chosen by; of two with one name the later counts."""
    yield from reversed(list(run["levels"].items()))
    yield from reversed(list(run["setting"].items()))
    yield from (("diagnosis", run["diagnosis"]), ("status", run["status"]))
    yield from (("seed", run["seed"]), ("method", run["method"]))


def _meant(word: str, document: Document, facts: Sequence[Setting]) -> list[int]:
    if "=" not in word:
        return _by_id(word, document)
    wanted = [tuple(part.strip() for part in pair.partition("=")[::2]) for pair in word.split(",")]
    names = dict.fromkeys(name for own in facts for name in own)
    for name, value in wanted:
        if name not in names:
            raise CpdError(f"no run has '{name}'", place=f"{PLACE} {word}", hint=closest(name, map(one_line, names)))
        if not any(_is(own.get(name), value) for own in facts):
            there = dict.fromkeys(one_line(setting_value(own[name])) for own in facts if name in own)
            raise CpdError(f"no run has {name} '{value}'", place=f"{PLACE} {word}", hint=closest(value, there))
    found = [place for place, own in enumerate(facts) if all(_is(own.get(name), value) for name, value in wanted)]
    if not found:
        raise CpdError("no run has all of these", place=f"{PLACE} {word}", hint="give fewer of them")
    return found


def _by_id(word: str, document: Document) -> list[int]:
    """Ids carry a version, ``c1:``, that need not be typed."""
    ids = [run["id"] or "" for run in document["runs"]]
    found = [
        k for k, own in enumerate(ids) if word and (own.startswith(word) or own.partition(":")[2].startswith(word))
    ]
    if not found:
        hint = "cpd show --format csv lists the ids; or choose by what runs have in common, e.g. method=nupi,seed=1"
        raise CpdError(f"no run's id starts with '{word}'", place=PLACE, hint=hint)
    return found


def _is(value: Plain, text: str) -> bool:
    """Whether a run's value is the typed one."""
    if is_number(value):
        try:
            return math.isclose(value, float(text), rel_tol=SHOWN_DIGITS)
        except ValueError:
            return False
    return value is not None and text in (str(value), setting_value(value))
