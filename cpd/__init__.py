"""cpd: which settings satisfy my constraints, what do they cost, and how much tuning did it take?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpd.errors import CpdError
    from cpd.problem import Evaluation, Problem, observed
    from cpd.results.frames import load_runs
    from cpd.results.result import Result
    from cpd.run.commands import bisect, compare, sweep
    from cpd.run.options import Options
    from cpd.shares import share
    from cpd.spec.overrides import Overrides

__all__ = [
    "CpdError",
    "Evaluation",
    "Options",
    "Overrides",
    "Problem",
    "Result",
    "__version__",
    "bisect",
    "compare",
    "load_runs",
    "observed",
    "share",
    "sweep",
]

_HOME = {
    "CpdError": "cpd.errors",
    "Evaluation": "cpd.problem",
    "Problem": "cpd.problem",
    "Result": "cpd.results.result",
    "bisect": "cpd.run.commands",
    "compare": "cpd.run.commands",
    "load_runs": "cpd.results.frames",
    "observed": "cpd.problem",
    "share": "cpd.shares",
    "Options": "cpd.run.options",
    "Overrides": "cpd.spec.overrides",
    "sweep": "cpd.run.commands",
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
