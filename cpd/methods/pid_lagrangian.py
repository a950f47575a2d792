"""PID: a proportional-integral-derivative controller gives the multipliers."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import DUAL_LR, MULTIPLIER_INIT, UPDATE, penalty_term
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import MULTIPLIER_ADVICE, MULTIPLIERS_ON, driven_without

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Multipliers, their integral part, the last violation, and 1 before the first step, else 0; each ``[..., C]``."""

    multiplier: Tensor
    integral: Tensor
    last: Tensor
    first: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Start at ``multiplier_init``, all of it integral."""
    multiplier, zero = setting["multiplier_init"].expand_as(like), like.new_zeros(like.shape)
    return State(multiplier, multiplier, zero, like.new_ones(like.shape))


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""One step of the controller on the strict violation.

    .. math::
        I \leftarrow [I + \eta k_i g]_+, \qquad
        \lambda \leftarrow [I + \eta (k_p g + k_d [g - g_{last}]_+)]_+

    ``dual_lr`` eta multiplies all gains, as for nupi. nupi adds up changes, and projects their sum; here what is added
    up is projected, and the proportional part acts on top of it, at once and without memory: a multiplier falls as
    soon as its constraint holds. The derivative part acts on a violation that grows, never against one that shrinks.
    There is none in the first step, which has no earlier violation. Of equalities nothing is projected.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers, their integral part and the last violation.
        setting: ``dual_lr``, ``kp``, ``ki``, ``kd`` >= 0; tensors ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``.

    Source: Stooke, Achiam and Abbeel, "Responsive Safety in Reinforcement Learning by PID Lagrangian Methods" (2020),
    Algorithm 2; the gain within the integral: OmniSafe, ``PIDLagrangian``.
    """
    eta = setting["dual_lr"]
    integral = project_multiplier(state.integral + eta * setting["ki"] * g, equality)
    change = project_multiplier(g - g.where(state.first > 0, state.last), equality)
    multiplier = project_multiplier(integral + eta * (setting["kp"] * g + setting["kd"] * change), equality)
    return State(multiplier, integral, g, state.first.new_zeros(state.first.shape))


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="pid_lagrangian",
    summary="a PID controller gives the multipliers: its proportional part acts at once, and is not added up",
    hyperparameters={
        "dual_lr": DUAL_LR,
        "kp": Hyperparameter(default=1.0, meaning="proportional gain, on the violation: it damps"),
        "ki": Hyperparameter(default=1.0, meaning="integral gain, on the sum of the violations"),
        "kd": Hyperparameter(default=0.0, meaning="derivative gain, on the growth of the violation"),
        "update": UPDATE,
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
        **driven_without("multiplier"),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    advice={
        **MULTIPLIER_ADVICE,
        "damp": "lower dual_lr, or raise kp, which damps the multiplier",
        "escape": "raise kp, which damps the overshoot that leads there",
    },
)
