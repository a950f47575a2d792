"""cpd: which settings satisfy my constraints, what do they cost, and how much tuning did it take?"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cpd.bridges.cooper import from_cooper
    from cpd.errors import CpdError
    from cpd.external.reporting import log, result
    from cpd.problem import Evaluation, Problem, observed
    from cpd.results.finished import FinishedRun
    from cpd.results.frames import load_runs
    from cpd.results.models import load_model
    from cpd.results.opening import open  # noqa: A004
    from cpd.results.result import Result
    from cpd.run.calls import bisect, check, compare, sweep
    from cpd.run.judging import judge
    from cpd.run.options import Options
    from cpd.run.task import Task
    from cpd.shares import share
    from cpd.spec.overrides import Overrides
    from cpd.trackers import Tracker

    __version__: str

__all__ = [
    "CpdError",
    "Evaluation",
    "FinishedRun",
    "Options",
    "Overrides",
    "Problem",
    "Result",
    "Task",
    "Tracker",
    "__version__",
    "bisect",
    "check",
    "compare",
    "from_cooper",
    "judge",
    "load_model",
    "load_runs",
    "log",
    "observed",
    "open",
    "result",
    "share",
    "sweep",
]

_HOME = {
    "CpdError": "cpd.errors",
    "Evaluation": "cpd.problem",
    "FinishedRun": "cpd.results.finished",
    "Options": "cpd.run.options",
    "Overrides": "cpd.spec.overrides",
    "Problem": "cpd.problem",
    "Result": "cpd.results.result",
    "Task": "cpd.run.task",
    "Tracker": "cpd.trackers",
    "bisect": "cpd.run.calls",
    "check": "cpd.run.calls",
    "compare": "cpd.run.calls",
    "from_cooper": "cpd.bridges.cooper",
    "judge": "cpd.run.judging",
    "load_model": "cpd.results.models",
    "load_runs": "cpd.results.frames",
    "log": "cpd.external.reporting",
    "observed": "cpd.problem",
    "open": "cpd.results.opening",
    "result": "cpd.external.reporting",
    "share": "cpd.shares",
    "sweep": "cpd.run.calls",
}


if not TYPE_CHECKING:  # type checkers know the names above, and no others

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
