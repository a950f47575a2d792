r"""The models' optimizers, element by element on rows: what ``torch.optim`` does, for R runs at once.

Each rule is a pair of pure functions on one stacked parameter ``[R, ...]``. What changes from run to run, or from step
to step, is a tensor: ``lr`` is ``[R]``, so that runs of several step-sizes are one program, and none is compiled into
it. Everything else about a rule is ``torch.optim``'s own: names of options, defaults, checks, and the order of the
arithmetic, to rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from cpd.errors import SpecError, closest
from cpd.spec.models import Optimizer

Kept = dict[str, Tensor]
"""What an optimizer keeps of a parameter, by the names that ``torch.optim`` gives them."""

Options = Mapping[str, Any]

ENGINE_OPTIONS = ("foreach", "capturable", "differentiable", "fused")
"""Options of ``torch.optim`` that are how a step is executed, which is the engine's to say."""


class Moment(NamedTuple):
    """A parameter's step.

    Attributes:
        p: The parameter, ``[R, ...]``.
        g: Its gradient, already turned round where the rule maximises.
        lr: Step-size of each run, ``[R]`` in double precision.
        t: Steps done, this one included: a scalar in double precision.
    """

    p: Tensor
    g: Tensor
    lr: Tensor
    t: Tensor

    def rows(self, value: Tensor) -> Tensor:
        """Numbers ``[R]``, or one for all, as they broadcast against the parameter, in its precision."""
        return value.to(self.p.dtype).view(-1, *[1] * (self.p.dim() - 1))

    def descend(self, direction: Tensor, step: Tensor | None = None) -> Tensor:
        """``p - step * direction``; the step is ``lr`` by default."""
        return torch.addcmul(self.p, self.rows(self.lr if step is None else step), direction, value=-1)

    def decayed(self, o: Options) -> Moment:
        """With ``weight_decay`` times the parameter in the gradient, or taken off the parameter where decoupled."""
        if not o["weight_decay"]:
            return self
        if o.get("decoupled_weight_decay"):
            return self._replace(p=self.p * self.rows(1 - self.lr * o["weight_decay"]))
        return self._replace(g=self.g.add(self.p, alpha=o["weight_decay"]))


class Rule(NamedTuple):
    """One optimizer.

    Attributes:
        init: ``(parameter, lr, options) -> kept`` before the first step.
        update: ``(moment, kept, options) -> (parameter, kept)``, what is kept in the order in which ``init`` names it:
            a program gives it back by its place.
    """

    init: Callable[[Tensor, Tensor, Options], Kept]
    update: Callable[[Moment, Kept, Options], tuple[Tensor, Kept]]


def sgd(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    r"""``v = m v + (1 - d) g`` (``v = g`` at first), ``p - lr v``, or ``p - lr (g + m v)`` with Nesterov's momentum."""
    at = at.decayed(o)
    if not o["momentum"]:
        return at.descend(at.g), kept
    moved = (kept["momentum_buffer"] * o["momentum"]).add(at.g, alpha=1 - o["dampening"])
    buffer = torch.where(at.t == 1, at.g, moved) if o["dampening"] else moved
    direction = at.g.add(buffer, alpha=o["momentum"]) if o["nesterov"] else buffer
    return at.descend(direction), {"momentum_buffer": buffer}


def adam(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    r"""``p - lr / (1 - b1^t) m / (sqrt(v / (1 - b2^t)) + eps)``.

    Source: Kingma and Ba (2015), Algorithm 1; decoupled: Loshchilov and Hutter (2019), Algorithm 2.
    """
    beta1, beta2 = o["betas"]
    at = at.decayed(o)
    first, second = _moments(at, kept, beta1, beta2)
    new = {"exp_avg": first, "exp_avg_sq": second}
    if o["amsgrad"]:
        second = new["max_exp_avg_sq"] = torch.maximum(kept["max_exp_avg_sq"], second)
    scale = second.sqrt() / (1 - beta2**at.t).sqrt() + o["eps"]
    return at.descend(first / scale, at.lr / (1 - beta1**at.t)), new


def adamax(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """``u = max(b2 u, |g| + eps)``, ``p - lr / (1 - b1^t) m / u``. Source: Kingma and Ba (2015), Algorithm 2."""
    beta1, beta2 = o["betas"]
    at = at.decayed(o)
    first = torch.lerp(kept["exp_avg"], at.g, 1 - beta1)
    largest = torch.maximum(kept["exp_inf"] * beta2, at.g.abs() + o["eps"])
    step = at.lr / (1 - beta1**at.t)
    return at.descend(first / largest, step), {"exp_avg": first, "exp_inf": largest}


def nadam(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """Adam with Nesterov's momentum. Source: Dozat (2016)."""
    beta1, beta2 = o["betas"]
    at = at.decayed(o)
    first, second = _moments(at, kept, beta1, beta2)
    scale = (second / (1 - beta2**at.t)).sqrt() + o["eps"]
    now, after = (beta1 * (1 - 0.5 * 0.96 ** (t * o["momentum_decay"])) for t in (at.t, at.t + 1))
    product = kept["mu_product"] * now
    moved = at.descend(at.g / scale, at.lr * (1 - now) / (1 - product))
    moved = at._replace(p=moved).descend(first / scale, at.lr * after / (1 - product * after))
    return moved, {"exp_avg": first, "exp_avg_sq": second, "mu_product": product}


def radam(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """Adam whose adaptive step waits until its variance is known. Source: Liu et al. (2020), Algorithm 2."""
    beta1, beta2 = o["betas"]
    at = at.decayed(o)
    first, second = _moments(at, kept, beta1, beta2)
    correction = 1 - beta2**at.t
    most = 2 / (1 - beta2) - 1
    length = most - 2 * at.t * beta2**at.t / correction
    rectified = (((length - 4) * (length - 2) * most) / ((most - 4) * (most - 2) * length)).sqrt()
    adaptive = correction.sqrt() / (second.sqrt() + o["eps"])
    direction = (first / (1 - beta1**at.t)) * torch.where(length > 5, rectified * adaptive, 1.0)
    return at.descend(direction.to(at.p.dtype)), {"exp_avg": first, "exp_avg_sq": second}


def rmsprop(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """``v = a v + (1 - a) g^2``, ``p - lr g / (sqrt(v) + eps)``. Source: Tieleman and Hinton (2012), Lecture 6.5."""
    at = at.decayed(o)
    new = {"square_avg": torch.addcmul(kept["square_avg"] * o["alpha"], at.g, at.g, value=1 - o["alpha"])}
    variance = new["square_avg"]
    if o["centered"]:
        mean = new["grad_avg"] = torch.lerp(kept["grad_avg"], at.g, 1 - o["alpha"])
        variance = torch.addcmul(variance, mean, mean, value=-1)
    direction = at.g / (variance.sqrt() + o["eps"])
    if o["momentum"]:
        direction = new["momentum_buffer"] = kept["momentum_buffer"] * o["momentum"] + direction
    return at.descend(direction), new


def adagrad(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """``s = s + g^2``, ``p - lr g / (sqrt(s) + eps)``. Source: Duchi, Hazan and Singer (2011)."""
    at = at.decayed(o)
    total = torch.addcmul(kept["sum"], at.g, at.g)
    step = at.lr / (1 + (at.t - 1) * o["lr_decay"])
    return at.descend(at.g / (total.sqrt() + o["eps"]), step), {"sum": total}


def adadelta(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """``p - lr g sqrt(u + eps) / sqrt(v + eps)``. Source: Zeiler (2012), Algorithm 1."""
    at = at.decayed(o)
    square = torch.addcmul(kept["square_avg"] * o["rho"], at.g, at.g, value=1 - o["rho"])
    delta = (kept["acc_delta"] + o["eps"]).sqrt() / (square + o["eps"]).sqrt() * at.g
    moved = torch.addcmul(kept["acc_delta"] * o["rho"], delta, delta, value=1 - o["rho"])
    return at.descend(delta), {"square_avg": square, "acc_delta": moved}


def asgd(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """``p (1 - lambd eta) - eta g`` with a falling eta. The mean that ``torch.optim`` keeps too moves no parameter.

    Source: Polyak and Juditsky (1992).
    """
    at = at.decayed(o)
    moved = at._replace(p=at.p * at.rows(1 - o["lambd"] * kept["eta"])).descend(at.g, kept["eta"])
    return moved, {"eta": at.lr / (1 + o["lambd"] * at.lr * at.t) ** o["alpha"]}


def rprop(at: Moment, kept: Kept, o: Options) -> tuple[Tensor, Kept]:
    """Steps that grow while the gradient keeps its sign. Source: Riedmiller and Braun (1993)."""
    shrink, grow = o["etas"]
    agrees = at.g * kept["prev"]
    size = kept["step_size"]  # each factor in the precision of the rows: a number's own would be the default one
    size = torch.where(agrees > 0, size * grow, torch.where(agrees < 0, size * shrink, size)).clamp(*o["step_sizes"])
    gradient = torch.where(agrees < 0, 0.0, at.g)
    return torch.addcmul(at.p, gradient.sign(), size, value=-1), {"prev": gradient, "step_size": size}


def _moments(at: Moment, kept: Kept, beta1: float, beta2: float) -> tuple[Tensor, Tensor]:
    first = torch.lerp(kept["exp_avg"], at.g, 1 - beta1)
    return first, torch.addcmul(kept["exp_avg_sq"] * beta2, at.g, at.g, value=1 - beta2)


def _zeros(*names: str) -> Callable[[Tensor, Tensor, Options], Kept]:
    return lambda p, lr, o: {name: torch.zeros_like(p) for name in names}


def _where(**needed: str) -> Callable[[Tensor, Tensor, Options], Kept]:
    """Zeros for what these options need, by the name of what is kept."""
    return lambda p, lr, o: {name: torch.zeros_like(p) for name, option in needed.items() if o[option]}


def _both(*inits: Callable[[Tensor, Tensor, Options], Kept]) -> Callable[[Tensor, Tensor, Options], Kept]:
    return lambda p, lr, o: {name: zero for init in inits for name, zero in init(p, lr, o).items()}


_ADAM = Rule(_both(_zeros("exp_avg", "exp_avg_sq"), _where(max_exp_avg_sq="amsgrad")), adam)

RULES: Mapping[str, Rule] = {
    "SGD": Rule(_where(momentum_buffer="momentum"), sgd),
    "Adam": _ADAM,
    "AdamW": _ADAM,
    "Adamax": Rule(_zeros("exp_avg", "exp_inf"), adamax),
    "NAdam": Rule(
        _both(_zeros("exp_avg", "exp_avg_sq"), lambda p, lr, o: {"mu_product": lr.new_ones(())}),
        nadam,
    ),
    "RAdam": Rule(_zeros("exp_avg", "exp_avg_sq"), radam),
    "RMSprop": Rule(_both(_zeros("square_avg"), _where(grad_avg="centered", momentum_buffer="momentum")), rmsprop),
    "Adagrad": Rule(lambda p, lr, o: {"sum": torch.full_like(p, o["initial_accumulator_value"])}, adagrad),
    "Adadelta": Rule(_zeros("square_avg", "acc_delta"), adadelta),
    "ASGD": Rule(lambda p, lr, o: {"eta": lr.clone()}, asgd),
    "Rprop": Rule(
        lambda p, lr, o: {
            "prev": torch.zeros_like(p),
            "step_size": lr.to(p.dtype).view(-1, *[1] * (p.dim() - 1)).expand_as(p).clone(),
        },
        rprop,
    ),
}
"""Every optimizer that a recipe may name."""


def full_options(recipe: Optimizer) -> dict[str, Any]:
    """A recipe's options with ``torch.optim``'s defaults.

    Raises:
        SpecError: An option that the optimizer does not take, or a value that it refuses.
    """
    kind = getattr(torch.optim, recipe.name)
    known = [n for n in inspect.signature(kind.__init__).parameters if n not in ("self", "params")]
    valid = [n for n in known if n not in ENGINE_OPTIONS]
    for name in recipe.options:
        if name not in valid:
            message = f"{recipe.name} takes no option '{name}'"
            raise SpecError(message, place=f"train.optimizer.{name}", hint=closest(name, valid))
    try:
        defaults: dict[str, Any] = kind([torch.zeros(1)], **recipe.options).defaults
    except (TypeError, ValueError, RuntimeError) as error:
        given = ", ".join(f"{name}: {value}" for name, value in recipe.options.items())
        message = f"{recipe.name} refuses {{{given}}}: {error}"
        hint = f"fix the value; {recipe.name} takes {', '.join(valid)}"
        raise SpecError(message, place="train.optimizer", hint=hint) from error
    return {"decoupled_weight_decay": False, "weight_decay": 0.0, **defaults}


def initial(recipe: Optimizer, parameters: Mapping[str, Tensor], lr: Tensor) -> dict[str, Kept]:
    """What the optimizer keeps before the first step, by parameter; ``lr`` is ``[R]`` in double precision."""
    options = full_options(recipe)
    return {name: RULES[recipe.name].init(p.detach(), lr, options) for name, p in parameters.items()}


def scalar_dtype(device: torch.device) -> torch.dtype:
    """What step-sizes and counters are computed in: double precision where the device has it."""
    return torch.float32 if device.type == "mps" else torch.float64
