"""nuPI: a proportional-integral controller moves the multipliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.advice import MULTIPLIER_HURRY
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, UPDATE, penalty_term
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import DRIVEN, MULTIPLIERS_ON, check

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Multipliers, the smoothed error xi, and 1 before the first step, else 0; each ``[..., C]``."""

    multiplier: Tensor
    smoothed: Tensor
    first: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``; the first step sets the smoothed error."""
    return State(setting["multiplier_init"].expand_as(like), like.new_zeros(like.shape), like.new_ones(like.shape))


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""One step of the controller on the strict violation e.

    .. math::
        \xi_t = \nu \xi_{t-1} + (1 - \nu) e_t, \qquad
        \lambda_{t+1} = [\lambda_t + \eta (k_i e_t + k_p (\xi_t - \xi_{t-1}))]_+

    ``dual_lr`` eta multiplies both gains, so eta 0.3 and kp 40 are an effective gain of 12; other codes fold eta in.
    The published versions differ in the first step, named by ``init``:

    - ``released`` (Cooper's default as it runs; the paper's tables were made with it): the first step leaves the kp
      term out, and xi_0 = 0.
    - ``documented`` (the same default as Cooper's documentation has it): xi_{-1} = e_0, so that xi_0 = e_0 and the kp
      term of the first step is 0 too.
    - ``zeros`` (Cooper's other choice): xi_{-1} = 0, and the first step is like any other: kp (1 - nu) e_0.

    With kp = ki and nu = 0 it is optimistic gradient ascent, ``lambda + eta k (2 e_t - e_{t-1})``.

    Args:
        g: Strict violation e ``[..., C]``.
        state: Multipliers and smoothed error.
        setting: ``dual_lr``, ``kp`` >= 0, ``ki`` >= 0, ``nu`` in (-1, 1); tensors ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``.

    Source: Sohrabi, Ramirez, Zhang, Lacoste-Julien and Gallego-Posada, "On PI Controllers for Updating Lagrange
    Multipliers in Constrained Optimization" (2024); the first steps: Cooper 1.0.1, ``nuPI``.
    """
    nu, first = setting["nu"], state.first > 0
    smoothed = nu * state.smoothed + (1 - nu) * g
    if setting["init"] != "zeros":
        start = g if setting["init"] == "documented" else g.new_zeros(g.shape)
        smoothed = start.where(first, smoothed)
        state = state._replace(smoothed=start.where(first, state.smoothed))
    change = smoothed - state.smoothed
    step = setting["ki"] * g + setting["kp"] * change
    multiplier = project_multiplier(state.multiplier + setting["dual_lr"] * step, equality)
    return State(multiplier, smoothed, state.first.new_zeros(state.first.shape))


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="nupi",
    summary="a PI controller moves the multipliers: damped gradient descent-ascent",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "kp": Hyperparameter(default=0.0, meaning="proportional gain, on the change of the violation: it damps"),
        "ki": Hyperparameter(default=1.0, meaning="integral gain, on the violation itself"),
        "nu": Hyperparameter(
            default=0.0, minimum=-1.0, exclusive=True, meaning="how much of the smoothed violation a step keeps"
        ),
        "update": UPDATE,
        "init": Hyperparameter(
            default="released",
            choices=("released", "documented", "zeros"),
            meaning="which of the published first steps is taken",
        ),
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **DRIVEN,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    check=check,
    advice={
        "damp": "lower dual_lr, or raise kp, which damps the multiplier",
        "hurry": MULTIPLIER_HURRY,
        "escape": "raise kp, which damps the overshoot that leads there",
    },
)
