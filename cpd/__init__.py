"""cpd: which settings satisfy my constraints, what do they cost, and how much tuning did it take?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpd.errors import CpdError
    from cpd.problem import Evaluation, Problem
    from cpd.runner import Result, bisect, compare, load_runs, sweep

__all__ = ["CpdError", "Evaluation", "Problem", "Result", "__version__", "bisect", "compare", "load_runs", "sweep"]

_HOME = {
    "CpdError": "cpd.errors",
    "Evaluation": "cpd.problem",
    "Problem": "cpd.problem",
    "Result": "cpd.runner",
    "bisect": "cpd.runner",
    "compare": "cpd.runner",
    "load_runs": "cpd.runner",
    "sweep": "cpd.runner",
}


def __getattr__(name: str) -> Any:
    """Load public names when they are first used: ``import cpd`` stays fast without torch."""
    if name == "__version__":
        from importlib.metadata import version

        return version("cpd")
    if name not in _HOME:
        raise AttributeError(f"module 'cpd' has no attribute '{name}'")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
