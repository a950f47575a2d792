r"""The models' optimizers, element by element on rows: what ``torch.optim`` does, for R runs at once.

Each rule is a pair of pure functions on one stacked parameter ``[R, ...]``. Every number that it reads is a tensor, of
each run ``[R]`` or one for all, so that runs of several recipes are one program, and none is compiled into it.
Everything else about a rule is ``torch.optim``'s own: names of options, defaults, checks, and the order of the
arithmetic, to rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.engine.options import Options
from cpd.errors import SpecError, closest
from cpd.spec.models import Optimizer
from cpd.spec.validation import shown

Kept = dict[str, Tensor]
"""What an optimizer keeps of a parameter, by the names that ``torch.optim`` gives them."""

ENGINE_OPTIONS = ("foreach", "capturable", "differentiable", "fused")
"""Options of ``torch.optim`` that are how a step is executed, which is the engine's to say."""

DECOUPLED = ("Adafactor", "Muon")
"""Optimizers whose decay is taken off the parameter, and that have no option that says so."""


class Moment(NamedTuple):
    """A parameter's step.

    Attributes:
        p: The parameter, ``[R, ...]``.
        g: Its gradient, already turned round where the rule maximises.
        t: Steps done, this one included: a scalar in double precision.
        o: The options.
    """

    p: Tensor
    g: Tensor
    t: Tensor
    o: Options

    def rows(self, value: Tensor) -> Tensor:
        """Numbers ``[R]``, or one for all, as they broadcast against the parameter, in its precision."""
        return self.o.rows(value, self.p)

    def row(self, name: str) -> Tensor:
        """An option's number likewise."""
        return self.o.rows(self.o[name], self.p)

    def rest(self, name: str) -> Tensor:
        """``1 - option`` likewise."""
        return self.rows(self.o.once(f"1 - {name}", lambda: 1 - self.o[name]))

    def bias(self, name: str) -> Tensor:
        """``1 - beta^t``, in double precision."""
        return self.o.once(f"1 - {name}^t", lambda: 1 - self.o[name] ** self.t, self.t)

    def once(self, name: str, make: Callable[[], Tensor]) -> Tensor:
        """What depends on options and the number of steps alone is computed once for all parameters."""
        return self.o.once(name, make, self.t)

    def descend(self, direction: Tensor, step: Tensor | None = None) -> Tensor:
        """``p - step * direction``; the step is ``lr`` by default."""
        return torch.addcmul(self.p, self.rows(self.o["lr"] if step is None else step), direction, value=-1)

    def decayed(self) -> Moment:
        """With ``weight_decay`` times the parameter in the gradient, or taken off the parameter where decoupled."""
        if not self.o.some("weight_decay"):
            return self
        if self.o.word("decoupled_weight_decay"):
            left = self.o.once("decay", lambda: 1 - self.o["lr"] * self.o["weight_decay"])
            return self._replace(p=self.p * self.rows(left))
        return self._replace(g=torch.addcmul(self.g, self.p, self.row("weight_decay")))


class Rule(NamedTuple):
    """One optimizer.

    Attributes:
        init: ``(parameter, options) -> kept`` before the first step.
        update: ``(moment, kept) -> (parameter, kept)``, what is kept in the order in which ``init`` names it: a program
            gives it back by its place.
    """

    init: Callable[[Tensor, Options], Kept]
    update: Callable[[Moment, Kept], tuple[Tensor, Kept]]


def sgd(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    r"""``v = m v + (1 - d) g`` (``v = g`` at first), ``p - lr v``, or ``p - lr (g + m v)`` with Nesterov's momentum."""
    at = at.decayed()
    if not at.o.some("momentum"):
        return at.descend(at.g), kept
    dampened = at.o.some("dampening")
    scaled = kept["momentum_buffer"] * at.row("momentum")
    moved = torch.addcmul(scaled, at.g, at.rest("dampening")) if dampened else scaled + at.g
    buffer = torch.where(at.t == 1, at.g, moved) if dampened else moved
    direction = torch.addcmul(at.g, buffer, at.row("momentum")) if at.o.word("nesterov") else buffer
    return _with_momentum(at, kept, {}, direction, at.g, buffer)


def adam(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    r"""``p - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)``.

    Source: Kingma and Ba (2015), Algorithm 1; decoupled: Loshchilov and Hutter (2019), Algorithm 2.
    """
    at = at.decayed()
    first, second = _moments(at, kept)
    new = {"exp_avg": first, "exp_avg_sq": second}
    if at.o.word("amsgrad"):
        second = new["max_exp_avg_sq"] = torch.maximum(kept["max_exp_avg_sq"], second)
    root = at.once("root", lambda: at.bias("betas.1").sqrt())
    scale = second.sqrt() / at.rows(root) + at.row("eps")
    return at.descend(first / scale, at.once("step", lambda: at.o["lr"] / at.bias("betas.0"))), new


def adamax(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """``u = max(b2 u, |g| + eps)``, ``p - lr / (1 - b1^t) m / u``. Source: Kingma and Ba (2015), Algorithm 2."""
    at = at.decayed()
    first = torch.lerp(kept["exp_avg"], at.g, at.rest("betas.0"))
    largest = torch.maximum(kept["exp_inf"] * at.row("betas.1"), at.g.abs() + at.row("eps"))
    step = at.once("step", lambda: at.o["lr"] / at.bias("betas.0"))
    return at.descend(first / largest, step), {"exp_avg": first, "exp_inf": largest}


def nadam(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """Adam with Nesterov's momentum. Source: Dozat (2016)."""
    at = at.decayed()
    lr, beta1, decay = at.o["lr"], at.o["betas.0"], at.o["momentum_decay"]
    first, second = _moments(at, kept)
    scale = (second / at.rows(at.bias("betas.1"))).sqrt() + at.row("eps")
    now, after = (beta1 * (1 - 0.5 * 0.96 ** (t * decay)) for t in (at.t, at.t + 1))
    product = kept["mu_product"] * now
    moved = at.descend(at.g / scale, lr * (1 - now) / (1 - product))
    moved = at._replace(p=moved).descend(first / scale, lr * after / (1 - product * after))
    return moved, {"exp_avg": first, "exp_avg_sq": second, "mu_product": product}


def radam(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """Adam whose adaptive step waits until its variance is known. Source: Liu et al. (2020), Algorithm 2."""
    at = at.decayed()
    beta2 = at.o["betas.1"]
    first, second = _moments(at, kept)
    correction = at.bias("betas.1")
    most = 2 / (1 - beta2) - 1
    length = most - 2 * at.t * beta2**at.t / correction
    rectified = (((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length)).sqrt()
    adaptive = at.rows(correction.sqrt()) / (second.sqrt() + at.row("eps"))
    factor = torch.where(at.rows(length > 5) > 0, at.rows(rectified) * adaptive, 1.0)
    direction = (first / at.rows(at.bias("betas.0"))) * factor
    return at.descend(direction.to(at.p.dtype)), {"exp_avg": first, "exp_avg_sq": second}


def rmsprop(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """``v = a v + (1 - a) g^2``, ``p - lr g / (sqrt(v) + eps)``. Source: Tieleman and Hinton (2012), Lecture 6.5."""
    at = at.decayed()
    rest = at.rest("alpha")
    new = {"square_avg": torch.addcmul(kept["square_avg"] * at.row("alpha"), at.g * rest, at.g)}
    variance = new["square_avg"]
    if at.o.word("centered"):
        mean = new["grad_avg"] = torch.lerp(kept["grad_avg"], at.g, rest)
        variance = torch.addcmul(variance, mean, mean, value=-1)
    direction = at.g / (variance.sqrt() + at.row("eps"))
    if not at.o.some("momentum"):
        return at.descend(direction), new
    buffer = kept["momentum_buffer"] * at.row("momentum") + direction
    return _with_momentum(at, kept, new, buffer, direction, buffer)


def adagrad(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """``s = s + g^2``, ``p - lr g / (sqrt(s) + eps)``. Source: Duchi, Hazan and Singer (2011)."""
    at = at.decayed()
    total = torch.addcmul(kept["sum"], at.g, at.g)
    step = at.once("step", lambda: at.o["lr"] / (1 + (at.t - 1) * at.o["lr_decay"]))
    return at.descend(at.g / (total.sqrt() + at.row("eps")), step), {"sum": total}


def adadelta(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """``p - lr g sqrt(u + eps) / sqrt(v + eps)``. Source: Zeiler (2012), Algorithm 1."""
    at = at.decayed()
    rho, rest, eps = at.row("rho"), at.rest("rho"), at.row("eps")
    square = torch.addcmul(kept["square_avg"] * rho, at.g * rest, at.g)
    delta = (kept["acc_delta"] + eps).sqrt() / (square + eps).sqrt() * at.g
    moved = torch.addcmul(kept["acc_delta"] * rho, delta * rest, delta)
    return at.descend(delta), {"square_avg": square, "acc_delta": moved}


def asgd(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """``p (1 - lambd eta) - eta g`` with a falling eta. The mean that ``torch.optim`` keeps too moves no parameter.

    Source: Polyak and Juditsky (1992).
    """
    at = at.decayed()
    lambd, eta = at.o["lambd"], kept["eta"]
    moved = at._replace(p=at.p * at.rows(1 - lambd * eta)).descend(at.g, eta)
    return moved, {"eta": at.o["lr"] / (1 + lambd * at.o["lr"] * at.t) ** at.o["alpha"]}


def rprop(at: Moment, kept: Kept) -> tuple[Tensor, Kept]:
    """Steps that grow while the gradient keeps its sign. Source: Riedmiller and Braun (1993)."""
    shrink, grow = at.row("etas.0"), at.row("etas.1")
    agrees = at.g * kept["prev"]
    size = kept["step_size"]
    size = torch.where(agrees > 0, size * grow, torch.where(agrees < 0, size * shrink, size))
    size = size.clamp(at.row("step_sizes.0"), at.row("step_sizes.1"))
    gradient = torch.where(agrees < 0, 0.0, at.g)
    return torch.addcmul(at.p, gradient.sign(), size, value=-1), {"prev": gradient, "step_size": size}


def _with_momentum(
    at: Moment, kept: Kept, new: Kept, direction: Tensor, plain: Tensor, buffer: Tensor
) -> tuple[Tensor, Kept]:
    """Descend; a run whose momentum is 0 goes the plain direction and leaves its buffer alone."""
    if not at.o.every("momentum"):
        there = at.row("momentum") != 0
        direction, buffer = torch.where(there, direction, plain), torch.where(there, buffer, kept["momentum_buffer"])
    return at.descend(direction), {**new, "momentum_buffer": buffer}


def _moments(at: Moment, kept: Kept) -> tuple[Tensor, Tensor]:
    first = torch.lerp(kept["exp_avg"], at.g, at.rest("betas.0"))
    return first, torch.addcmul(kept["exp_avg_sq"] * at.row("betas.1"), at.g * at.rest("betas.1"), at.g)


def _zeros(*names: str) -> Callable[[Tensor, Options], Kept]:
    return lambda p, o: {name: torch.zeros_like(p) for name in names}


def _where(**needed: str) -> Callable[[Tensor, Options], Kept]:
    """Zeros for what these options need, by the name of what is kept."""
    return lambda p, o: {name: torch.zeros_like(p) for name, option in needed.items() if o.some(option)}


def _both(*inits: Callable[[Tensor, Options], Kept]) -> Callable[[Tensor, Options], Kept]:
    return lambda p, o: {name: zero for init in inits for name, zero in init(p, o).items()}


def _filled(p: Tensor, o: Options, name: str) -> Tensor:
    """Of a parameter's shape, with an option's number."""
    return o.rows(o[name], p).expand_as(p).clone()


def _product(p: Tensor, o: Options) -> Kept:
    return {"mu_product": torch.ones_like(o["betas.0"] * o["momentum_decay"])}


_ADAM = Rule(_both(_zeros("exp_avg", "exp_avg_sq"), _where(max_exp_avg_sq="amsgrad")), adam)

RULES: Mapping[str, Rule] = {
    "SGD": Rule(_where(momentum_buffer="momentum"), sgd),
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "Adamax": Rule(_zeros("exp_avg", "exp_inf"), adamax),
    "NAdam": Rule(
        _both(
            _zeros("exp_avg", "exp_avg_sq"),
            _product,
        ),
        nadam,
    ),
    "RAdam": Rule(_zeros("exp_avg", "exp_avg_sq"), radam),
    "RMSprop": Rule(_both(_zeros("square_avg"), _where(grad_avg="centered", momentum_buffer="momentum")), rmsprop),
    "Adagrad": Rule(lambda p, o: {"sum": _filled(p, o, "initial_accumulator_value")}, adagrad),
    "Adadelta": Rule(_zeros("square_avg", "acc_delta"), adadelta),
    "ASGD": Rule(lambda p, o: {"eta": o["lr"].clone()}, asgd),
    "Rprop": Rule(lambda p, o: {"prev": torch.zeros_like(p), "step_size": _filled(p, o, "lr")}, rprop),
}
"""Every optimizer that a recipe may name."""


def full_options(recipe: Optimizer, place: str = "train.optimizer") -> dict[str, Any]:
    """A recipe's options with ``torch.optim``'s defaults.

    Raises:
        SpecError: An option that the optimizer does not take, or a value that it refuses.
    """
    kind = getattr(torch.optim, recipe.name)
    known = [n for n in inspect.signature(kind.__init__).parameters if n not in ("self", "params")]
    valid = [n for n in known if n not in ENGINE_OPTIONS]
    for name, value in recipe.options.items():
        if name not in valid:
            message = f"{recipe.name} takes no option '{name}'"
            raise SpecError(message, place=f"{place}.{name}", hint=closest(name, valid))
        _check_kind(value, inspect.signature(kind.__init__).parameters[name].default, f"{place}.{name}")
    try:
        defaults: dict[str, Any] = kind([torch.zeros(1, 1)], **recipe.options).defaults
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{name}: {value}" for name, value in recipe.options.items())
        message = f"{recipe.name} refuses {{{given}}}: {error}"
        hint = f"fix the value; {recipe.name} takes {', '.join(valid)}"
        raise SpecError(message, place=place, hint=hint) from error
    return {"decoupled_weight_decay": recipe.name in DECOUPLED, "weight_decay": 0.0, **defaults}


def _check_kind(value: Any, default: Any, place: str) -> None:
    """Refuse what torch would take for something else: 1 for true, true for 1, three numbers for a pair."""
    if isinstance(default, bool) and not isinstance(value, bool):
        raise SpecError(f"{shown(value)} is neither true nor false", place=place, hint="write true or false")
    if isinstance(value, bool) and isinstance(default, int | float) and not isinstance(default, bool):
        raise SpecError(f"{shown(value)} is not a number", place=place, hint=f"write a number like {default}")
    if isinstance(default, tuple):
        fits = isinstance(value, list | tuple) and len(value) == len(default)
        if not fits or (isinstance(value, list | tuple) and any(isinstance(each, bool) for each in value)):
            hint = f"write {len(default)} numbers: {shown(list(default))}"
            raise SpecError(f"{shown(value)} does not fit", place=place, hint=hint)


def scalar_dtype(device: torch.device) -> torch.dtype:
    """What step-sizes and counters are computed in: double precision where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
