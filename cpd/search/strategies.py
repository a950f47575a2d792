"""The strategies of a search, by the names that a YAML and the command line use."""

from collections.abc import Mapping
from types import MappingProxyType

from cpd.search.bisection import Strategy, equal_parts
from cpd.search.illinois import regula_falsi

STRATEGIES: Mapping[str, Strategy] = MappingProxyType({"bisection": equal_parts, "illinois": regula_falsi})
