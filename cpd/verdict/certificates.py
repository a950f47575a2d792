"""When the residuals of the conditions of Karush, Kuhn and Tucker are small, and what is said of them."""

from __future__ import annotations

from cpd.outcome import Run, Status
from cpd.verdict.document import KktRow

STATIONARITY = 0.01
"""Up to this the gradient of the Lagrangian is small, relative to that of the objective."""
OF_START = 0.01
"""Share of the objective's gradient at the first iterate that the residual is compared with at least."""
DUAL = 1e-6
"""So far below 0 an inequality's multiplier may be, relative to the largest one."""
COMPLEMENTARITY = 0.01
"""What slack times multiplier may come to beyond the tolerances, relative to how far training moved the objective."""


def is_settled(
    stationarity: float | None, dual: float | None, largest: float | None, beyond: float | None, change: float
) -> bool:
    """Whether all residuals but the primal one, which is judged at a tolerance of the reader's choice, are small.

    Args:
        stationarity: Relative to the objective's gradient.
        dual: How far below 0 an inequality's multiplier is.
        largest: Size of the largest multiplier.
        beyond: Sum over the inequalities of ``|lambda| (|g| - tolerance)``, where that is above 0.
        change: How far training moved the objective.
    """
    if stationarity is None or dual is None or largest is None or beyond is None:
        return False
    return stationarity <= STATIONARITY and dual <= DUAL * largest and beyond <= COMPLEMENTARITY * change


def certificate(run: Run, held: bool) -> KktRow | None:
    """A run's residuals as a document has them; None where there are none.

    Args:
        run: A finished run.
        held: Whether its constraints hold on the training data, at the tolerance that is judged by.
    """
    if run.kkt is None or run.status is not Status.COMPLETED:
        return None
    kkt = run.kkt
    return {
        "stationarity": kkt.stationarity,
        "primal": kkt.primal,
        "dual": kkt.dual,
        "complementarity": kkt.complementarity,
        "of": kkt.of,
        "stationary": kkt.settled and held,
    }
