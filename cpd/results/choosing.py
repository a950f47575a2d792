"""Which run of a result a user means: the best one, or the best of those that method, setting, levels and seed name."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from cpd.errors import CpdError, closest
from cpd.outcome import is_dotted
from cpd.spec.models import Task
from cpd.spec.yaml import parse_value
from cpd.verdict.choice import Candidate, best_of, candidates_of
from cpd.verdict.document import Document, Plain, RunRow, is_number
from cpd.verdict.feasibility import excess
from cpd.verdict.gap import Gap
from cpd.verdict.judged import judged_rows, judges
from cpd.verdict.searching import runs_reported
from cpd.verdict.settings import grouped, settings_of
from cpd.verdict.summary import grouped_by_method
from cpd.views.printable import one_line
from cpd.views.tables.lines import components
from cpd.views.tables.names import short_names
from cpd.views.tables.numbers import setting_value

Words = Mapping[str, Any] | str | Sequence[str]
"""Names and values: a mapping, ``"coefficient=0.1"``, or several such words."""

SHOWN_DIGITS = 1e-3
"""Tables show four digits: where no value is the typed one, a number typed from them means what is shown so."""

_SEVERAL = re.compile(r",\s*(?=[^,=\s]+\s*=)")


class Judged(Protocol):
    """A result, as far as a run is chosen by it."""

    @property
    def task(self) -> Task:
        """What was asked."""

    @property
    def gap(self) -> Gap:
        """Of usefulness."""

    @property
    def id(self) -> str | None:
        """Of the sweep."""

    @property
    def document(self) -> Document:
        """Contract 3's object."""


@dataclass(frozen=True)
class Wanted:
    """What a user says of the run that is meant; nothing for the best one.

    Attributes:
        method: Its name.
        setting: Hyperparameters, and values of the recipe and of the problem's arguments, as far as they are named.
        levels: Of constraints, likewise.
        seed: Of the run.
        typed: Whether it was typed as options, for errors.
    """

    method: str | None = None
    setting: Mapping[str, Any] = field(default_factory=dict)
    levels: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    typed: bool = False

    @classmethod
    def of(
        cls,
        method: str | None = None,
        setting: Words | None = None,
        levels: Words | None = None,
        seed: int | None = None,
        *,
        typed: bool = False,
    ) -> Wanted:
        """What words and mappings say.

        Raises:
            CpdError: A word is not NAME=VALUE, or the seed is no number.
        """
        names = _names(typed)
        if seed is not None and (isinstance(seed, bool) or _plain(seed) != int(_plain(seed))):
            raise CpdError(f"expected an integer, got {seed!r}", place=names["seed"])
        own = {key: _read(words, names[key]) for key, words in (("setting", setting), ("levels", levels))}
        return cls(method, own["setting"], own["levels"], None if seed is None else int(_plain(seed)), typed)

    @property
    def anything(self) -> bool:
        """Whether nothing is said: the best run is meant."""
        return self == Wanted(typed=self.typed)


def chosen(result: Judged, wanted: Wanted) -> list[int]:
    """Places of the runs that are meant, the one to take first: those of one setting, by seeds as the task has them.

    The setting is the best of those that have a run that is meant, as :mod:`cpd.verdict.choice` compares them; of a
    search what it reports. Where none is feasible, and words name them, it is the run with the least violation.

    Raises:
        CpdError: No run is meant, or the best one is and nothing is feasible.
    """
    document = result.document
    rows = judged_rows(document["runs"], judges(document))
    places = {id(row): place for place, row in enumerate(rows)}
    meant = {id(rows[place]) for place in _meant(document, wanted)}
    best = _found(document, rows, meant) if "search" in document and not wanted.setting else None
    best = best or _best(result, rows, meant)
    if best:
        return [places[id(row)] for row in best if id(row) in meant]
    if wanted.anything:
        hint = "name the run to take, by method, setting and seed"
        raise CpdError(f"no setting of {result.task.name} is feasible", place=_place(result), hint=hint)
    finished = [row for row in rows if id(row) in meant and row["objective"] is not None]
    if not finished:
        raise CpdError("none of the runs that are meant has come to its end", place=_place(result))
    senses = {name: bound["sense"] for name, bound in document["constraints"].items()}
    return [places[id(min(finished, key=lambda row: (_violation(row, senses), row["objective"])))]]


def _place(result: Judged) -> str:
    return result.id or result.task.name


def _found(document: Document, rows: Sequence[RunRow], meant: set[int]) -> Sequence[RunRow]:
    """The runs of the coefficient that a search reports, where one of them is meant."""
    own = runs_reported(document["search"], rows)
    return own if any(id(row) in meant for row in own) else []


def _best(result: Judged, rows: Sequence[RunRow], meant: set[int]) -> Sequence[RunRow]:
    """The runs of the best setting that has one that is meant: of each method at the same levels, then of all."""
    bests: list[Candidate] = []
    for cell in grouped(rows, lambda row: row["levels"]):
        candidates = candidates_of(settings_of(cell), result.task.constraints, result.task.train.dtype)
        own = [one for one in candidates if any(id(row) in meant for row in one.runs)]
        of_methods = [best_of(each, result.gap) for each in grouped_by_method(own)]
        best = best_of([one for one in of_methods if one is not None], result.gap)
        bests += [] if best is None else [best]
    found = best_of(bests, result.gap)
    return [] if found is None else found.runs


def _violation(row: RunRow, senses: Mapping[str, str]) -> float:
    """Sum of the violations above 0; infinite where one is not known."""
    found = ((x, senses[name]) for name, c in row["constraints"].items() for x in components(c["violation"]))
    return sum(math.inf if x is None else max(0.0, excess(x, sense)) for x, sense in found)


def _meant(document: Document, wanted: Wanted) -> list[int]:
    """Places of the runs of which all holds that is said.

    Raises:
        CpdError: Of none; the message names what no run has.
    """
    places, rows = _names(wanted.typed), document["runs"]
    found = list(range(len(rows)))
    methods = [{"method": row["method"]} for row in rows]
    if wanted.method is not None:
        found = _narrowed(found, methods, "method", wanted.method, places["method"])
    short = short_names(dict.fromkeys(name for row in rows for name in row["setting"]))
    settings = [dict(_facts(row, short)) for row in rows]
    for name, value in wanted.setting.items():
        method, _, own = name.partition(".")
        if own and {"method": method} in methods:  # as --set has it when a sweep is trained
            found, name = _narrowed(found, methods, "method", method, places["method"]), own
        found = _narrowed(found, settings, name, value, places["setting"])
    for name, value in wanted.levels.items():
        found = _narrowed(found, [dict(row["levels"]) for row in rows], name, value, places["levels"])
    if wanted.seed is not None:
        found = _narrowed(found, [{"seed": row["seed"]} for row in rows], "seed", wanted.seed, places["seed"])
    return found


def _narrowed(
    found: Sequence[int], facts: Sequence[Mapping[str, Plain]], name: str, value: Any, place: str
) -> list[int]:
    """Those of the runs that have this value: the very one, or where none has it what is shown so."""
    having = [k for k in found if name in facts[k]]
    if not having:
        names = dict.fromkeys(one_line(each) for k in found for each in facts[k])
        raise CpdError(f"no run has '{one_line(name)}'", place=place, hint=closest(name, names))
    for relative in (1e-12, SHOWN_DIGITS):
        if same := [k for k in having if _is(facts[k][name], value, relative)]:
            return same
    there = dict.fromkeys(one_line(setting_value(facts[k][name], 6)) for k in having)
    shown = one_line(setting_value(value, 6))
    said = f"no run has {name} {shown}" if name != place.removeprefix("--") else f"no run has the {name} '{shown}'"
    raise CpdError(said, place=place, hint=closest(shown, list(there)[:20]))


def _facts(row: RunRow, short: Mapping[str, str]) -> Iterator[tuple[str, Plain]]:
    """A setting's values by all the names that they have: those of a mapping one by one, dotted keys in short too."""
    for name, value in row["setting"].items():
        inner = {f"{name}.{key}": entry for key, entry in value.items()} if isinstance(value, dict) else {}
        yield from {**inner, name: value}.items()
        if is_dotted(name):
            yield name.partition(".")[2], value
            yield short[name], value


def _is(value: Plain, wanted: Any, relative: float) -> bool:
    """Whether a run's value is the one that is wanted, numbers to so much."""
    if is_number(value) and is_number(wanted):
        return math.isclose(value, wanted, rel_tol=relative)
    if isinstance(value, list) and isinstance(wanted, list):
        return len(value) == len(wanted) and all(_is(a, b, relative) for a, b in zip(value, wanted, strict=True))
    if isinstance(value, dict) and isinstance(wanted, dict):
        return value.keys() == wanted.keys() and all(_is(value[key], wanted[key], relative) for key in value)
    same_kind = isinstance(value, bool) == isinstance(wanted, bool)
    return same_kind and (value == wanted or str(wanted) in (str(value), setting_value(value)))


def _read(words: Words | None, place: str) -> dict[str, Any]:
    if words is None:
        return {}
    if isinstance(words, Mapping):
        return {str(name): _plain(value) for name, value in words.items()}
    pairs = [pair for word in ([words] if isinstance(words, str) else words) for pair in _SEVERAL.split(word)]
    found = {}
    for pair in pairs:
        name, equals, text = (part.strip() for part in pair.partition("="))
        if not name or not equals or not text:
            raise CpdError(f"expected NAME=VALUE, got '{pair}'", place=place)
        found[name] = parse_value(text, place)
    return found


def _plain(value: Any) -> Any:
    """Numbers of NumPy and torch as Python's."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    item = getattr(value, "tolist", None)
    return item() if callable(item) else value


def _names(typed: bool) -> dict[str, str]:
    options = {"method": "--method", "setting": "--set", "levels": "--level", "seed": "--seed"}
    return options if typed else {name: name for name in options}
