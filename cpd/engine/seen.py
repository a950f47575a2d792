"""Values of constraints as tensors, and which of them a batch shows: a share of an empty group has no value."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.errors import CpdError
from cpd.problem import Observed
from cpd.shares import Calculable


class Valued(NamedTuple):
    """The value of a constraint.

    Attributes:
        value: A scalar or ``[k]``; 0 where nothing was seen.
        there: Where something was, bool of the same shape; None for everywhere.
        apart: Whether the strict value is observed apart from the surrogate.
    """

    value: Tensor
    there: Tensor | None
    apart: bool = False


def valued(value: Any) -> Valued:
    """What the user's method returned for one constraint, as a tensor."""
    if isinstance(value, Calculable):
        return Valued(value.value, value.there)
    return Valued(*value.spread, value.apart) if isinstance(value, Observed) else Valued(value, None)


def metric(value: Any) -> Tensor:
    """A metric as a tensor; NaN where it is the share of an empty group."""
    number, there, _ = valued(value)
    number = torch.as_tensor(number)
    return number if there is None else torch.where(there, number, torch.full_like(number, float("nan")))


def together(surrogates: Sequence[Valued], strict: Sequence[Valued]) -> dict[str, Tensor]:
    """``{"observed": [C] bool}``: the components that both lists show; empty where all always are.

    Where some are apart these are those that the strict ones show, and ``driving`` those of the surrogates.
    """
    if all(one.there is None for one in (*surrogates, *strict)):
        return {}
    pairs = list(zip(surrogates, strict, strict=True))
    both = [(_there(one), _there(other)) for one, other in pairs]
    if not any(one.apart for one in surrogates):
        return {"observed": torch.cat([(one & other).reshape(-1) for one, other in both])}
    apart = [one.apart for one in surrogates]
    own = [(b if a else b & c, c if a else b & c) for a, (b, c) in zip(apart, both, strict=True)]
    driving, observed = (torch.cat([pair[k].reshape(-1) for pair in own]) for k in (0, 1))
    return {"observed": observed, "driving": driving}


def _there(one: Valued) -> Tensor:
    return torch.ones_like(one.value, dtype=torch.bool) if one.there is None else one.there


def refuse_outside(value: Any, name: str, place: str) -> None:
    """Refuse entries of a vector that it does not have; only where their places can be read: of one run alone.

    Raises:
        CpdError: Some are out of range.
    """
    if not isinstance(value, Observed) or not value.outside.any():
        return
    wrong = int(value.index[value.outside][0])
    message = f"{name} has an entry at place {wrong} of {value.size:,}"
    raise CpdError(message, place=place, hint=f"give an index from 0 to {value.size - 1}, or a larger size")


def unseen(
    observed: Sequence[bool] | None, sizes: dict[str, int], example: str = "example of what is measured"
) -> str | None:
    """Say of which constraints the judged data holds nothing, or None."""
    if observed is None or all(observed):
        return None
    at, said = 0, []
    for name, size in sizes.items():
        missing = [k for k, seen in enumerate(observed[at : at + size]) if not seen]
        if missing:
            said.append(f"{name}{_listed(missing, size)}")
        at += size
    return f"no {example} counts for {', '.join(said)}: there is no value to judge"


def _listed(missing: list[int], size: int) -> str:
    if size == 1:
        return ""
    more = f" and {len(missing) - 1:,} more of its {size:,}" if len(missing) > 1 else ""
    return f"[{missing[0]}]{more}"
