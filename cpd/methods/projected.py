"""The projected gradient: the model moves along the nearest direction to the objective's that mends each constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from cpd.methods.advice import ADVICE
from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Method, Setting, Velocities

if TYPE_CHECKING:
    from torch import Tensor


class State(NamedTuple):
    """Each ``[..., C]``.

    Attributes:
        multiplier: Of the program that the step solved last.
        fall: How fast each constraint must fall.
        held: 1 for the constraints that are held to it, else 0.
    """

    multiplier: Tensor
    fall: Tensor
    held: Tensor


def init(setting: Setting, like: Tensor) -> State:
    """Nothing has been solved."""
    zero = like.new_zeros(like.shape)
    return State(zero, zero, zero)


def penalty_term(g: Tensor, state: State, setting: Setting, equality: Tensor) -> Tensor:
    r"""The constraints with the multipliers of the step's quadratic program.

    .. math:: \lambda^\top g(x), \qquad
        v = -\nabla f - \sum_i \lambda_i \nabla g_i = \arg\min_v \tfrac{1}{2} \| v + \nabla f \|^2 \;\text{ where }
        \nabla g_i^\top v \le -\alpha g_i, \; \nabla h_j^\top v = -\alpha h_j

    So the model's optimizer is given -v, the gradient of ``f + lambda g``. The lambda are exact in each step, and have
    no memory: where a step is 0 they are those of the optimum. The gradients are those of the surrogates.

    Args:
        g: Surrogate violation ``[..., C]``.
        state: What the step's program gave.
        setting: Not used here.
        equality: Not used here.

    Returns:
        ``[...]``.

    Source: Muehlebach and Jordan, "On Constraints in First-Order Optimization: A View from Non-Smooth Dynamical
    Systems" (2022); Allibhoy and Cortes, "Control-Barrier-Function-Based Design of Gradient Flows for Constrained
    Nonlinear Programming" (2024).
    """
    term: Tensor = (state.multiplier * g).sum(-1)
    return term


def update(g: Tensor, state: State, setting: Setting, equality: Tensor) -> State:
    r"""Say how fast each constraint must fall, by its strict violation.

    .. math:: \nabla g_i^\top v \le -\alpha g_i

    A constraint that holds may rise, by ``-alpha g`` at most: so runs slow down on their way to a level. That is
    Allibhoy and Cortes's safe gradient flow; with ``hold: violated`` those that hold are left out, as Muehlebach and
    Jordan do, and a step may lead beyond a level. With SGD a linear constraint's violation is multiplied by
    ``1 - lr alpha`` in each step: from ``2 / lr`` on it grows. A step takes a backward pass for each component of the
    constraints, of which there may be 64, and runs of this method are programs of their own. Where no direction mends
    all of them at once, it is the one that misses least, each measured along its own gradient, and multipliers are
    large.

    Args:
        g: Strict violation ``[..., C]``.
        state: Before.
        setting: ``alpha`` > 0, ``[..., 1]`` or ``[..., C]``.
        equality: ``[C]``; they are always held.

    Source: Muehlebach and Jordan (2022); Allibhoy and Cortes (2024).
    """
    every = g.new_ones(g.shape)
    held = every if setting["hold"] == "all" else every.where(equality | (g >= 0), g.new_zeros(g.shape))
    return State(state.multiplier, setting["alpha"] * g, held)


def velocities(state: State) -> Velocities:
    """What the step's program asks of each constraint."""
    return Velocities(state.fall, state.held > 0, state.multiplier)


def solved(multiplier: Tensor, state: State) -> State:
    """Take the multipliers ``[..., C]`` of the step's program."""
    return state._replace(multiplier=multiplier)


def multipliers(state: State) -> Tensor:
    """Those of the last step's program, ``[..., C]``."""
    return state.multiplier


METHOD = Method(
    name="projected",
    summary="the nearest direction to the objective's along which each constraint falls in proportion to its violation",
    hyperparameters={
        "alpha": Hyperparameter(
            exclusive=True,
            per_constraint=True,
            meaning="how fast a violation must fall, beside itself: by 1 - lr alpha in a step of SGD",
        ),
        "hold": Hyperparameter(
            default="all",
            choices=("all", "violated"),
            meaning="the constraints that slow a step down before it reaches their level, or none before it is beyond",
        ),
    },
    init=init,
    penalty_term=penalty_term,
    update=update,
    multipliers=multipliers,
    velocities=velocities,
    solved=solved,
    advice={**ADVICE, "damp": "lower alpha or the optimizer's lr", "hurry": "alpha, the optimizer's lr"},
)
