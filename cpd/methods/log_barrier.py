"""The log-barrier extension: a barrier that is defined, and pushes, on both sides of a level."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

from cpd.methods.advice import ADVICE
from cpd.methods.growth import GROWTH, grown, moves
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """The sharpness as it stands, and what it is from the next step on; each ``[..., C]``."""

    sharpness: Tensor
    grown: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at the setting's sharpness."""
    sharpness = setting["sharpness"].expand_as(like)
    return State(sharpness, sharpness)


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""The barrier: a logarithm well inside, and from there on the line that continues it.

    .. math::
        \sum_i \psi_t(g_i) + \sum_j (\psi_t(h_j) + \psi_t(-h_j)), \qquad
        \psi_t(z) = \begin{cases} -\frac{1}{t} \log(-z) & z \le -1/t^2 \\
        t z - \frac{1}{t} \log \frac{1}{t^2} + \frac{1}{t} & \text{else} \end{cases}

    So a run may start anywhere; the plain barrier is infinite where a constraint does not hold. Its slope takes the
    multiplier's place: ``-1 / (t g)`` inside, t outside. For n inequalities and a convex problem the minimum is
    feasible from some t on, and its objective within n / t of the best. An equality counts as two inequalities.

    Args:
        g: Surrogate violation ``[..., C]``.
        state: The sharpness t as it stands.
        setting: Not used here.
        equality: ``[C]``.

    Returns:
        ``[...]``.

    Source: Kervadec, Dolz, Yuan, Desrosiers, Granger and Ben Ayed, "Constrained Deep Networks: Lagrangian Optimization
    via Log-Barrier Extensions" (2019): the extension, and the bound on its duality gap.
    """
    one_side = _extension(g, state.sharpness)
    return (one_side + _extension(-g, state.sharpness)).where(equality, one_side).sum(-1)


def _extension(z: Tensor, t: Tensor) -> Tensor:
    edge = -1 / t.square()
    inside = z <= edge
    logarithm = -(-z.where(inside, edge)).log() / t  # of the edge where it is not taken: no slope there is infinite
    line = t * z + (2 * t.log() + 1) / t
    return logarithm.where(inside, line)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Let the barrier become sharper, from the next step on.

    .. math:: t \leftarrow \min(\gamma t \text{ or } t + a, \; t_{max})

    Unlike a penalty's it does so whether the constraint holds or not. ``growth: {factor: 1.1, every: epoch}`` is the
    published rule, with a t of 5 at the start. Outside the slope is t, so the sharper the barrier, the smaller the
    steps that it bears: end at a t for which the optimizer's lr is small enough, with ``max``.

    Source: Kervadec et al. (2019): t is multiplied after each epoch.
    """
    return State(state.grown, grown(state.grown, g.new_ones(g.shape), setting, equality)[0])


def price(setting: Mapping[str, Any], place: int, violation: float) -> float | None:
    """The slope of the barrier at a violation, while it does not become sharper; signed for an equality."""
    t = setting["sharpness"]
    if isinstance(t, list | tuple):
        t = t[place] if place < len(t) else None
    if not isinstance(t, int | float) or moves(setting):
        return None
    return -float(t) if violation < 0 else float(t)


METHOD = Method(
    name="log_barrier",
    summary="minimise f plus a barrier of sharpness t that goes on beyond the level as a line",
    hyperparameters={
        "sharpness": Hyperparameter(exclusive=True, per_constraint=True, meaning="t at the start"),
        "growth": replace(
            GROWTH,
            meaning="gamma: t grows by it at each step; or a rule that says how often, and how far",
            fields={name: one for name, one in GROWTH.fields.items() if name != "unless_reduced_to"},
        ),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=None,
    moves=moves,
    price=price,
    advice={**ADVICE, "damp": "lower sharpness, growth or the optimizer's lr"},
)
