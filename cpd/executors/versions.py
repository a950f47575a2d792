"""Workers of a cluster must run what the parent runs: versions compared before any work is sent."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from cpd.errors import CpdError

Probe = Callable[[], dict[str, str]]


def compare(probe: Probe, answers: Mapping[str, object]) -> None:
    """Check that the probe says the same here and on every worker.

    Args:
        probe: Versions by name.
        answers: What each worker said, or the exception that it got.

    Raises:
        CpdError: A worker has other versions, or cannot import what the probe needs.
    """
    here = probe()
    for worker, there in answers.items():
        if there != here:
            raise CpdError(
                f"the worker {worker} {_difference(here, there)}",
                place="--backend",
                hint="install the same versions on every worker",
            )


def _difference(here: dict[str, str], there: object) -> str:
    if not isinstance(there, dict):
        lines = str(there).strip().splitlines() or [""]  # Ray tells a long story, the error at its end
        return f"cannot be used: {type(there).__name__}: {lines[-1]}"
    return "has " + ", ".join(
        f"{name} {there.get(name, 'missing')} (here {version})"
        for name, version in here.items()
        if there.get(name) != version
    )
