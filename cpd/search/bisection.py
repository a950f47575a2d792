"""Bisection on a log scale: the paper's search for a penalty coefficient, made to end always."""

from __future__ import annotations

from collections.abc import Callable

from cpd.search.bracket import State
from cpd.search.cuts import cuts
from cpd.search.ending import outcome
from cpd.search.jump import confirming

Strategy = Callable[[State, int], tuple[float, ...]]
"""``(state, count) -> coefficients``: 1 to ``count`` of them, increasing, strictly inside the last bracket."""


def equal_parts(state: State, count: int) -> tuple[float, ...]:
    """Cut the bracket into ``count + 1`` parts of equal width in log c; one cut is bisection.

    ``log10 c_i = log10 low + i / (count + 1) * log10(high / low)``, so a round shrinks the bracket by ``count + 1``.

    Source: the paper, Appendix B.2, with one cut a round.
    """
    return cuts(state.brackets[-1], tuple(i / (count + 1) for i in range(1, count + 1)))


def propose(state: State, strategy: Strategy = equal_parts) -> tuple[float, ...]:
    """Name the coefficients to train next: both ends first, then ``parallel`` inside the bracket, within the budget.

    Before a jump is told, a side of it that few values tell of is trained once or twice more.

    Returns:
        At least one coefficient not trained yet, or none once the search has an outcome.
    """
    if outcome(state) is not None:
        return ()
    low, high = state.ends
    if low is None or high is None:
        return tuple(c for c, end in ((state.low, low), (state.high, high)) if end is None)
    beside = confirming(state)
    if beside is not None:
        return (beside,)
    return strategy(state, min(state.parallel, state.max_trainings - len(state.points)))
