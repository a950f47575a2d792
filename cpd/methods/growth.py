"""How the coefficient of a quadratic penalty grows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cpd.methods.hyperparameter import Hyperparameter
from cpd.methods.method import Setting

if TYPE_CHECKING:
    from torch import Tensor


def _normal(value: Any) -> Any:
    """A mapping that says no more than a number is that number; a check at every step is not said."""
    if not isinstance(value, Mapping):
        return value
    kept = {name: entry for name, entry in value.items() if (name, entry) != ("every", 1)}
    return kept["factor"] if list(kept) == ["factor"] else kept


GROWTH = Hyperparameter(
    default=1.0,
    minimum=1.0,
    meaning="gamma: c grows by it wherever a step finds a violation; or a rule with checks of its own",
    fields={
        "factor": Hyperparameter(minimum=1.0, meaning="c becomes so many times as large"),
        "add": Hyperparameter(meaning="instead of factor: c becomes larger by so much"),
        "unless_reduced_to": Hyperparameter(
            meaning="c stays where the violation is at most this share of what the last check found; so does it at the "
            "first check"
        ),
        "every": Hyperparameter(
            minimum=1, whole=True, words=("epoch",), meaning="steps from one check to the next (1); or epoch"
        ),
        "max": Hyperparameter(exclusive=True, meaning="c does not grow beyond it"),
    },
    one_of=("factor", "add"),
    normal=_normal,
)


def checks(setting: Setting) -> bool:
    """Whether what a check found is remembered up to the next one."""
    return isinstance(setting["growth"], Mapping) and "unless_reduced_to" in setting["growth"]


def nothing_found(like: Tensor) -> Tensor:
    """What stands for the check before the first one: more than any violation, so that the first one only looks."""
    return like.new_full(like.shape, float("inf"))


def moves(setting: Mapping[str, Any]) -> bool:
    """Whether a setting as a spec has it lets the coefficient grow."""
    growth = setting["growth"]
    if not isinstance(growth, Mapping):
        return bool(growth != 1)
    return bool(growth.get("factor", 1) != 1 or growth.get("add", 0) != 0)


def grown(
    coefficient: Tensor, g: Tensor, setting: Setting, equality: Tensor, last: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    r"""The coefficient from the next step on, and what a check has found.

    .. math::
        c_i \leftarrow \min(\gamma c_i \text{ or } c_i + a, \; c_{max})
        \quad \text{where } v_i > 0 \text{ and } v_i > \tau v_i^{last}, \qquad v = [g]_+ \text{ or } |h|

    Args:
        coefficient: c, ``[..., C]``.
        g: Strict violation ``[..., C]``.
        setting: ``growth``: gamma, or by name ``factor`` gamma or ``add`` a, and any of ``unless_reduced_to`` tau,
            ``every`` N and ``max``; there is a check where ``step`` + 1 is a multiple of N.
        equality: ``[C]``.
        last: v at the last check, ``[..., C]``; needed where the rule has ``unless_reduced_to``.

    Source: Nocedal and Wright (2006), Framework 17.1; tau: Birgin and Martinez, Practical Augmented Lagrangian Methods
    (2014), Algorithm 4.1; a bound on c while it is below tau: Conn, Gould and Toint (1991).
    """
    rule = setting["growth"]
    if not isinstance(rule, Mapping):
        violated = (g != 0).where(equality, g > 0)
        return (coefficient * rule).where(violated, coefficient), None
    violation = g.abs().where(equality, g.clamp_min(0))
    grows = violation > 0
    if last is not None:
        grows = grows & (violation > rule["unless_reduced_to"] * last)
        last = violation if "every" not in rule else violation.where(_due(setting), last)
    if "every" in rule:
        grows = grows & _due(setting)
    new = coefficient * rule["factor"] if "factor" in rule else coefficient + rule["add"]
    if "max" in rule:
        new = new.minimum(rule["max"].maximum(coefficient))
    return new.where(grows, coefficient), last


def _due(setting: Setting) -> Tensor:
    due: Tensor = (setting["step"] + 1) % setting["growth"]["every"] == 0
    return due
