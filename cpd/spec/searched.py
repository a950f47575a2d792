"""The hyperparameter that a search is for."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from cpd.errors import SpecError
from cpd.methods.registry import SEARCHED
from cpd.spec.models import Search


class Searched(NamedTuple):
    """A method and the name of one of its hyperparameters."""

    method: str
    name: str

    def __str__(self) -> str:
        return f"{self.method}.{self.name}"


DEFAULT = Searched(*SEARCHED)


def searched(search: Search, methods: Mapping[str, Iterable[str]]) -> Searched | None:
    """The hyperparameter that a search is for.

    Args:
        search: Says so as ``METHOD.NAME``, or as a name that one method alone has; or leaves it to the methods.
        methods: The hyperparameters of each method that the task has.

    Returns:
        Where the search does not say, the penalty coefficient if there is one, or the only hyperparameter that there
        is; None where several could be meant.
    """
    pairs = [Searched(method, name) for method, names in methods.items() for name in names]
    written = search.hyperparameter
    if written is None:
        if not pairs or DEFAULT in pairs:
            return DEFAULT
        return pairs[0] if len(pairs) == 1 else None
    own = [pair for pair in pairs if written in (str(pair), pair.name)]
    if len(own) == 1:
        return own[0]
    method, dot, name = written.partition(".")
    return Searched(method, name) if dot and not own else None


def searched_of(search: Search | None) -> Searched:
    """The hyperparameter of a search that was aimed; the penalty coefficient where it names none."""
    written = search.hyperparameter if search is not None else None
    return DEFAULT if written is None else Searched(*written.split(".", 1))


def not_searchable(constraint: str, parts: int) -> SpecError:
    """Why a constraint cannot be brought to a target: a vector has no single value."""
    return SpecError(
        f"'{constraint}' is a vector of {parts} values",
        place="search.constraint",
        hint="search a constraint with a single value, e.g. their largest as a constraint of its own",
    )
