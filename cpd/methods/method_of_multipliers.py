"""The classical method of multipliers: the augmented Lagrangian minimised in phases, each as well as its rule says."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods import augmented_lagrangian
from cpd.methods.advice import ADVICE
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.lagrangian import MULTIPLIER_INIT
from cpd.methods.method import Method, Setting, project_multiplier
from cpd.methods.multipliers import MULTIPLIERS_ON

if TYPE_CHECKING:
    from torch import Tensor

FIRST, LATER = 0.1, 0.9
"""The powers of the penalty that the accepted violation goes down by: after a larger penalty, and after success."""


class State(NamedTuple):
    """Each ``[..., C]``, all but the multipliers the same for every constraint.

    Attributes:
        multiplier: lambda.
        penalty: mu.
        accepted: eta, the violation up to which the multipliers move at the end of a phase.
        slope_wanted: omega, the gradient's norm at which a phase ends.
        steps: Of this phase.
        slope: The gradient's norm in the step before.
    """

    multiplier: Tensor
    penalty: Tensor
    accepted: Tensor
    slope_wanted: Tensor
    steps: Tensor
    slope: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Begin the first phase."""
    mu, zero = setting["penalty"].expand_as(like), like.new_zeros(like.shape)
    multiplier, unknown = setting["multiplier_init"].expand_as(like), like.new_full(like.shape, float("inf"))
    return State(multiplier, mu, mu**-FIRST, 1 / mu, zero - 1, unknown)  # the first update comes before any step


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""The augmented part of the objective, with one penalty for all constraints.

    .. math::
        \sum_i \frac{1}{2\mu} ([\lambda_i + \mu g_i]_+^2 - \lambda_i^2)
        + \sum_j (\lambda_j h_j + \frac{\mu}{2} h_j^2)

    Args:
        g: Surrogate violation ``[..., C]``.
        state: Multipliers and penalty.
        setting: Not used here.
        equality: ``[C]``.

    Returns:
        ``[...]``.

    Source: Nocedal and Wright, Numerical Optimization (2006), equations (17.36) and (17.65).
    """
    fixed = augmented_lagrangian.State(state.multiplier, state.penalty, state.penalty)
    return augmented_lagrangian.penalty_term(g, fixed, {"update": "alternating"}, equality)


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""At the end of a phase either move the multipliers or raise the penalty.

    .. math::
        |v| \le \eta: \quad \lambda \leftarrow [\lambda + \mu g(x)]_+, \quad
        \eta \leftarrow \eta \mu^{-0.9}, \quad \omega \leftarrow \omega / \mu

    .. math::
        |v| > \eta: \quad \mu \leftarrow \gamma \mu, \quad \eta \leftarrow \mu^{-0.1}, \quad \omega \leftarrow 1 / \mu

    .. math:: v_i = \max(g_i, -\lambda_i / \mu), \quad v_j = h_j

    A phase ends when the gradient of the augmented Lagrangian, projected as the problem says, has a norm of at most
    omega, or after ``phase`` steps: a stochastic gradient never gets there. It begins with eta ``mu^-0.1`` and omega
    ``1 / mu``, gamma is ``factor``. Once ``|v|`` is at most ``least_violation`` and the gradient at most
    ``least_gradient`` nothing moves any more, which is where the published algorithm stops; eta and omega go no lower
    than these two. The gradient is that of the step before, so that a step evaluates once. v is what is left of an
    inequality when its slack variable is minimised out.

    Gradient descent is stable only while its lr times mu is small, so ``penalty_max`` is 30; the textbook, whose inner
    steps are not of a fixed size, has no bound.

    Args:
        g: Strict violation ``[..., C]``.
        state: Multipliers, penalty and what the phase asks for.
        setting: ``factor`` gamma, ``phase``, ``penalty_max``, ``least_violation`` and ``least_gradient``, tensors
            ``[..., 1]``.
        equality: ``[C]``.

    Source: Nocedal and Wright (2006), Algorithm 17.4 (bound-constrained Lagrangian method, as in LANCELOT).
    """
    mu = state.penalty
    violation = g.where(equality, g.maximum(-state.multiplier / mu)).square().sum(-1, keepdim=True).sqrt()
    steps = state.steps + 1
    done = (violation <= setting["least_violation"]) & (state.slope <= setting["least_gradient"])
    ends = ((state.slope <= state.slope_wanted) | (steps >= setting["phase"])) & ~done
    moves, grows = ends & (violation <= state.accepted), ends & (violation > state.accepted)
    larger = (mu * setting["factor"]).minimum(setting["penalty_max"].maximum(mu))
    moved = project_multiplier(state.multiplier + mu * g, equality)
    accepted = (state.accepted * mu**-LATER).where(moves, (larger**-FIRST).where(grows, state.accepted))
    wanted = (state.slope_wanted / mu).where(moves, (1 / larger).where(grows, state.slope_wanted))
    return State(
        multiplier=moved.where(moves, state.multiplier),
        penalty=larger.where(grows, mu),
        accepted=accepted.maximum(setting["least_violation"]),
        slope_wanted=wanted.maximum(setting["least_gradient"]),
        steps=steps.new_zeros(steps.shape).where(ends, steps),
        slope=state.slope,
    )


def seen(norm: Tensor, state: State) -> State:
    """Remember the norm of a step's gradient, ``[..., 1]``."""
    return state._replace(slope=norm.expand_as(state.slope))


def multipliers(state: State) -> Tensor:
    """The multipliers ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="method_of_multipliers",
    summary="the augmented Lagrangian in phases, as in the textbook: multipliers move by the penalty, or it grows",
    hyperparameters={
        "penalty": Hyperparameter(minimum=1.0, exclusive=True, meaning="mu at the start; the textbook has 10"),
        "factor": Hyperparameter(default=100.0, minimum=1.0, meaning="gamma: mu becomes so many times as large"),
        "phase": Hyperparameter(
            default=100, minimum=1, whole=True, words=("epoch",), meaning="steps of a phase at most, or epoch"
        ),
        "penalty_max": Hyperparameter(default=30.0, exclusive=True, meaning="mu does not grow beyond it"),
        "least_violation": Hyperparameter(default=1e-4, meaning="eta goes no lower, and ends with it"),
        "least_gradient": Hyperparameter(default=1e-4, meaning="omega goes no lower, and ends with it"),
        "multiplier_init": MULTIPLIER_INIT,
        "multipliers_on": MULTIPLIERS_ON,
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    slope=seen,
    advice={
        **ADVICE,
        "damp": "lower penalty, penalty_max or the optimizer's lr, or make phases longer (phase)",
        "hurry": "penalty, a shorter phase, the optimizer's lr",
    },
)
