"""Search for the penalty coefficient that meets a target: propose, train, observe, until there is an outcome.

Pure arithmetic on numbers that the caller has measured; it trains nothing and knows no strategy but the one passed in.
"""

from collections.abc import Mapping
from types import MappingProxyType

from cpd.search.bisection import Strategy, equal_parts, propose
from cpd.search.bracket import Bracket, Point, State, observe, start
from cpd.search.ending import Kind, Outcome, outcome
from cpd.search.illinois import regula_falsi

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({"bisection": equal_parts, "illinois": regula_falsi})
"""The strategies by the names that a YAML and the command line use."""

__all__ = [
    "STRATEGIES",
    "Bracket",
    "Kind",
    "Outcome",
    "Point",
    "State",
    "Strategy",
    "equal_parts",
    "observe",
    "outcome",
    "propose",
    "regula_falsi",
    "start",
]
