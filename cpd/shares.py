"""Shares of examples, and numbers that are calculated from them: what they are made of is kept, for intervals."""

from __future__ import annotations

import functools
import math
import numbers
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.errors import CpdError

PLACE = "cpd.share()"

METHODS = {
    "abs", "add", "amax", "amin", "clamp", "clamp_max", "clamp_min", "clip", "detach", "div", "double", "exp",
    "flatten", "float", "log", "logsumexp", "max", "maximum", "mean", "min", "minimum", "mul", "neg", "norm", "pow",
    "prod", "relu", "reshape", "select", "sqrt", "square", "squeeze", "std", "sub", "sum", "to", "unsqueeze", "var",
}  # fmt: skip
"""What is called on a share as on a tensor."""
BY_ELEMENT = {
    "abs", "absolute", "add", "clamp", "clamp_max", "clamp_min", "clip", "detach", "div", "divide", "double", "exp",
    "expm1", "float", "log", "log1p", "maximum", "minimum", "mul", "multiply", "neg", "negative", "pow", "relu",
    "rsub", "sigmoid", "softplus", "sqrt", "square", "sub", "subtract", "tanh", "to", "true_divide", "truediv",
    "truedivide", "type_as",
}  # fmt: skip
"""What gives each component from the same component of its operands."""
ARRANGING = {
    "cat", "concat", "concatenate", "expand", "flatten", "getitem", "hstack", "index_select", "narrow", "reshape",
    "select", "squeeze", "stack", "unsqueeze", "view",
}  # fmt: skip
"""What only says where a component stands."""


class Terms(NamedTuple):
    """The two sums of a share before they are taken.

    Attributes:
        counted: ``p * of``.
        of: Of the same shape.
        dims: The dimensions that are summed over.
    """

    counted: Tensor
    of: Tensor
    dims: tuple[int, ...]

    def by_example(self, examples: Sequence[int]) -> tuple[Tensor, Tensor, bool] | None:
        """Both sums of each example, ``[n, k]``, and whether an example counts once, as a whole.

        Args:
            examples: How many examples the data may have that it is a share of: one number for each stream.

        Returns:
            None where no dimension that is summed over is that of the examples.
        """
        sizes = self.counted.shape
        first = next((dim for dim in sorted(self.dims) if sizes[dim] in examples), None)
        if first is None:
            return None
        within = tuple(dim for dim in self.dims if dim != first)
        summed = [t.sum(within, keepdim=True) if within else t for t in (self.counted, self.of)]
        counted, of = (t.movedim(first, 0).reshape(sizes[first], -1) for t in summed)
        return counted, of, math.prod(sizes[dim] for dim in within) == 1


class Calculable:
    """What can be calculated with as with a tensor: see :func:`share`."""

    __array_ufunc__ = None  # numpy's numbers leave it to the operators below
    value: Any
    there: Any

    @property
    def shape(self) -> torch.Size:
        """Of the value."""
        shape: torch.Size = self.value.shape
        return shape

    @property
    def leaves(self) -> tuple[Share | Tensor, ...]:
        """What it is calculated from."""
        raise NotImplementedError

    def formula(self, values: Sequence[Tensor]) -> Tensor:
        """Its value where the leaves have these."""
        raise NotImplementedError

    @classmethod
    def __torch_function__(
        cls, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Combined:
        return combined(function, args, kwargs or {})

    def __getattr__(self, name: str) -> Any:
        if name not in METHODS:
            hint = f"calculate with its value: {PLACE[:-2]}(...).value"
            raise AttributeError(f"{PLACE} has no '{name}'; {hint}")
        return lambda *args, **kwargs: combined(getattr(Tensor, name), (self, *args), kwargs)

    def __add__(self, other: Any) -> Any:
        return _binary(operator.add, self, other)

    def __radd__(self, other: Any) -> Any:
        return _binary(operator.add, other, self)

    def __sub__(self, other: Any) -> Any:
        return _binary(operator.sub, self, other)

    def __rsub__(self, other: Any) -> Any:
        return _binary(operator.sub, other, self)

    def __mul__(self, other: Any) -> Any:
        return _binary(operator.mul, self, other)

    def __rmul__(self, other: Any) -> Any:
        return _binary(operator.mul, other, self)

    def __truediv__(self, other: Any) -> Any:
        return _binary(operator.truediv, self, other)

    def __rtruediv__(self, other: Any) -> Any:
        return _binary(operator.truediv, other, self)

    def __pow__(self, other: Any) -> Any:
        return _binary(operator.pow, self, other)

    def __neg__(self) -> Any:
        return combined(operator.neg, (self,), {})

    def __abs__(self) -> Any:
        return combined(torch.abs, (self,), {})

    def __getitem__(self, at: Any) -> Any:
        return combined(operator.getitem, (self, at), {})


@dataclass(frozen=True, eq=False)
class Share(Calculable):
    """A share of examples, as the two sums that it is made of: see :func:`share`.

    Attributes:
        numerator: ``sum(p * of)``, a scalar or ``[k]``.
        denominator: ``sum(of)``, of the same shape; without ``of`` the number of examples.
        whole: Whether it is of all examples, so that it always has a value.
        terms: Of the sums; None where it is given by its sums alone.
    """

    numerator: Tensor
    denominator: Tensor
    whole: bool = False
    terms: Terms | None = None

    @property
    def shape(self) -> torch.Size:
        """Of the value."""
        return self.numerator.shape

    @property
    def there(self) -> Tensor | None:
        """Whether it has a value, bool of its shape: not where its group is empty. None where it always has."""
        return None if self.whole else self.denominator != 0

    @property
    def value(self) -> Tensor:
        """Numerator over denominator; 0, without a gradient, where the group is empty."""
        there = self.there
        if there is None:
            return self.numerator / self.denominator
        share = self.numerator / torch.where(there, self.denominator, torch.ones_like(self.denominator))
        return torch.where(there, share, torch.zeros_like(share))

    @property
    def leaves(self) -> tuple[Share | Tensor, ...]:
        """Itself."""
        return (self,)

    def formula(self, values: Sequence[Tensor]) -> Tensor:
        """Its own value."""
        return values[0]


class Combined(Calculable):
    """A number that was calculated from shares.

    Args:
        value: A tensor; 0, without a gradient, where a share that it needs is of an empty group.
        there: Whether it has a value, bool of its shape; None where it always has.
        leaves: The shares, and the tensors that are none.
        formula: Gives it from values of the leaves.
    """

    def __init__(
        self,
        value: Tensor,
        there: Tensor | None,
        leaves: tuple[Share | Tensor, ...],
        formula: Callable[[Sequence[Tensor]], Tensor],
    ) -> None:
        self.value, self.there = value, there
        self._leaves, self._formula = leaves, formula

    @property
    def leaves(self) -> tuple[Share | Tensor, ...]:
        """What it is calculated from; a share that is used twice stands there twice."""
        return self._leaves

    def formula(self, values: Sequence[Tensor]) -> Tensor:
        """Its value where the leaves have these."""
        return self._formula(values)


def _binary(function: Callable[..., Any], left: Any, right: Any) -> Any:
    if all(isinstance(one, Calculable | Tensor | numbers.Number) for one in (left, right)):
        return combined(function, (left, right), {})
    return NotImplemented


def combined(function: Callable[..., Any], args: Any, kwargs: Mapping[str, Any]) -> Combined:
    """What a function of tensors gives for shares in their places.

    Where a share is of an empty group, so is what is calculated from it: of a function that works element by element
    in the same component, of any other in all of them.

    Raises:
        CpdError: It changes its operand in place, or gives something else than one tensor.
    """
    name = function.__name__.strip("_")
    inside = function.__name__.endswith("_") and not function.__name__.startswith("__")
    if inside or (function.__name__.startswith("__i") and name[1:] in BY_ELEMENT):
        raise CpdError(f"is put into a tensor by {function.__name__}", place=PLACE, hint="write a = a + cpd.share(...)")
    operands: list[Calculable | Tensor] = []

    def seen(one: Calculable | Tensor) -> Calculable | Tensor:
        operands.append(one)
        return one

    given = _replaced((args, dict(kwargs)), seen)

    def called(values: Sequence[Tensor]) -> Any:
        left = iter(values)
        own, named = _replaced(given, lambda one: next(left))
        return function(*own, **named)

    there = _there(name, operands, called)
    value = called([_filled(one, there, name) for one in operands])
    if not isinstance(value, Tensor):
        hint = "give a tensor of them, such as amax in place of max over a dimension"
        raise CpdError(f"{name} of it is {type(value).__name__}", place=PLACE, hint=hint)
    if there is not None:
        there = there.expand(value.shape)
        value = torch.where(there, value, torch.zeros_like(value))
    leaves = tuple(leaf for one in operands for leaf in _leaves(one))
    return Combined(value, there, leaves, lambda values: called(_values(operands, values)))


def _leaves(operand: Calculable | Tensor) -> tuple[Share | Tensor, ...]:
    return operand.leaves if isinstance(operand, Calculable) else (operand,)


def _values(operands: Sequence[Calculable | Tensor], values: Sequence[Tensor]) -> list[Tensor]:
    """The operands where the leaves of all of them have these values."""
    found, at = [], 0
    for one in operands:
        own = values[at : at + len(_leaves(one))]
        found.append(one.formula(own) if isinstance(one, Calculable) else own[0])
        at += len(own)
    return found


def _replaced(given: Any, new: Callable[[Any], Any]) -> Any:
    """Arguments with something else in the place of each tensor, in order."""
    if isinstance(given, Calculable | Tensor):
        return new(given)
    if isinstance(given, Mapping):
        return {key: _replaced(one, new) for key, one in given.items()}
    if isinstance(given, tuple | list):
        return type(given)([_replaced(one, new) for one in given])
    return given


def _there(name: str, operands: Sequence[Calculable | Tensor], called: Callable[..., Any]) -> Tensor | None:
    """Where all that a value needs is there; None where it always is."""
    found = [one.there if isinstance(one, Calculable) else None for one in operands]
    some = [one for one in found if one is not None]
    if not some:
        return None
    there: Tensor
    if name in ARRANGING:
        pairs = zip(operands, found, strict=True)
        there = called([_everywhere(one) if mask is None else mask for one, mask in pairs])
    else:
        there = functools.reduce(torch.logical_and, some if name in BY_ELEMENT else [one.all() for one in some])
    return there


def _everywhere(one: Calculable | Tensor) -> Tensor:
    """An operand that is always there: a mask of its shape, or the places that it says."""
    value = one.value if isinstance(one, Calculable) else one
    return torch.ones_like(value, dtype=torch.bool) if value.is_floating_point() else value


def _filled(one: Calculable | Tensor, there: Tensor | None, name: str) -> Tensor:
    """An operand's value; 1 where what is calculated from it is not there: its gradient is 0, and never 0 times inf."""
    value: Tensor = one.value if isinstance(one, Calculable) else one
    if there is None or name in ARRANGING or not value.is_floating_point():
        return value
    return torch.where(there, value, torch.ones_like(value))


def share(p: Tensor, of: Tensor | None = None, *, dim: int | tuple[int, ...] | None = 0) -> Share:
    r"""Return the share of a group of examples, which may be empty in a minibatch.

    .. math:: \frac{\sum_i p_i \, \mathrm{of}_i}{\sum_i \mathrm{of}_i}

    Both ``p`` and ``of`` lead with the examples; the one with fewer dimensions gets some of size 1 at its end, and
    the two are broadcast. So ``share(p, of=y)`` of two ``[n]`` is a recall, and ``share(p, of=onehot)`` with a ``[n]``
    and a ``[n, k]`` is k shares, as is ``share(p[:, None], of=onehot)``. A share over an empty group is not observed in
    that step: it has no gradient, its multiplier stays, and it counts neither as held nor as violated. Where a model
    is judged it is an error.

    A share is calculated with as a tensor is, also by torch's functions: ``abs(share(p, of=a) - share(p, of=b))``,
    ``rates.max() - rates.min()`` of k shares, ``torch.stack([...])``. What it is made of is kept on the way, so that
    the verdict can say how sure the value is; where one of the groups is empty, the whole is not observed. Each term is
    taken to be of its example alone.

    Args:
        p: What is counted: probabilities, decisions (bool) or numbers, ``[n]`` or ``[n, ...]``.
        of: The group: members (bool) or weights >= 0; default: every example.
        dim: Dimensions that are summed over: the examples; None for all, so that the result is a scalar.

    Returns:
        A value for ``constraints``, ``strict`` and ``metrics``; a scalar, or ``[k]``.

    Raises:
        CpdError: The shapes do not fit together.

    Example:
        >>> found, positive = torch.tensor([True, False, True, True]), torch.tensor([1, 1, 1, 0])
        >>> cpd.share(found, of=positive).value
        tensor(0.6667)
    """
    dtype = torch.promote_types(p.dtype, torch.get_default_dtype())  # a sum of bool or bfloat16 would lose counts
    if of is None:
        numerator, examples = p.to(dtype), torch.ones((), dtype=dtype, device=p.device).expand(p.shape)
    else:
        dtype = torch.promote_types(of.dtype, dtype)
        numerator, examples = _broadcast(p.to(dtype), of.to(dtype))
        numerator = numerator * examples
    dims = tuple(range(numerator.dim())) if dim is None else dim
    each = numerator
    total = each.sum(dims) if each.dim() else each
    over = (dims,) if isinstance(dims, int) else dims
    terms = Terms(each, examples, tuple(d % each.dim() for d in over)) if each.dim() else None
    if of is None:
        count = each.numel() // max(1, total.numel())
        return Share(total, torch.full_like(total, float(count)).detach(), count > 0, terms)
    return Share(total, examples.sum(dims) if examples.dim() else examples, False, terms)


def _broadcast(p: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
    """Both with all dimensions, the first of which are the same."""
    most = max(p.dim(), of.dim())
    try:
        p, of = torch.broadcast_tensors(*(t.reshape(*t.shape, *[1] * (most - t.dim())) for t in (p, of)))
    except RuntimeError:
        shapes = f"p has shape {list(p.shape)}, of has {list(of.shape)}"
        raise CpdError(shapes, place="cpd.share()", hint="let the first dimension of both be the examples") from None
    return p, of
