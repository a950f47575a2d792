"""A constrained minimization problem of Cooper 1.x as a problem of cpd."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor, nn

from cpd.bridges.cooper_calls import needs_model, positional, spread
from cpd.bridges.cooper_states import evaluation, senses_of
from cpd.bridges.cooper_tensors import Held, Point, standing, tensors_of
from cpd.errors import CpdError
from cpd.problem import Evaluation, Problem

PLACE = "cpd.from_cooper()"
KEPT = "cooper_problem"
"""The attribute of a model that has its own problem of Cooper's."""


class Sources(NamedTuple):
    """What a problem is made of: functions, or a problem of Cooper's that is there already.

    Attributes:
        cmp: Makes the problem; it takes the model where it has a parameter of that name.
        model: Makes the model, a module or a tensor; None where the problem holds its own.
        data: Gives the examples; None where there are none.
        held_out: Gives those that no run trains on, likewise.
        call: ``(cmp, model, batch)``: calls ``compute_cmp_state``; None for what its signature says.
        start: Tensors of the model of a problem that is there already, as they stood; None for one that is made.
    """

    cmp: Any
    model: Callable[..., Any] | None
    data: Callable[..., Any] | None
    held_out: Callable[..., Any] | None
    call: Callable[..., Any] | None
    start: dict[str, Tensor] | None = None

    @property
    def parameters(self) -> dict[str, inspect.Parameter]:
        """What the functions take together, by name: the arguments of the problem."""
        found: dict[str, inspect.Parameter] = {}
        for function in (self.cmp, self.model, self.data, self.held_out):
            for name, parameter in positional(function).items() if callable(function) else ():
                required = parameter.default is parameter.empty
                if name != "model" and (name not in found or required):
                    found[name] = parameter.replace(kind=parameter.KEYWORD_ONLY, annotation=parameter.empty)
        return found


def from_cooper(
    cmp: Any,
    *,
    model: Callable[..., Any] | None = None,
    data: Callable[..., Any] | None = None,
    held_out: Callable[..., Any] | None = None,
    call: Callable[..., Any] | None = None,
) -> type[Problem]:
    r"""Return a problem of Cooper 1.x as a problem that cpd trains with any of its methods.

    .. math:: \min_x f(x) \quad \text{subject to} \quad g(x) \le 0, \; h(x) = 0

    Cooper's violations are the values of the constraints, under the names of the attributes that hold these: write the
    level 0, and ``<=`` for inequalities, ``==`` for equalities. Strict violations move the multipliers and decide what
    is feasible. What a task says of methods takes the place of Cooper's formulations, multipliers and optimizers.

    Args:
        cmp: The class of the problem, or a function that makes one, which gets the model where it has a parameter
            ``model``; or a problem that was made already.
        model: Makes a fresh module, or the tensor that is to be found. Left out where the problem holds its own: then
            the modules, parameters and tensors with gradients that are its attributes are trained.
        data: Gives the examples, as :meth:`cpd.Problem.data`; what ``compute_cmp_state`` takes besides the model is
            filled with a batch of them, in their order, or by name where they are a dict.
        held_out: Likewise, those that no run trains on.
        call: ``(cmp, model, batch)``, which returns a ``CMPState``; where the signature of ``compute_cmp_state`` does
            not say how it is called.

    Returns:
        A class, to be given a name in a file: ``problem: FILE.py:NAME``. Its arguments are those of the functions.

    Raises:
        CpdError: ``cmp`` is nothing of the kind.

    Source: Gallego-Posada, Ramirez, Hashemizadeh and Lacoste-Julien, "Cooper: A Library for Constrained Optimization
    in Deep Learning" (2025); version 1.0.1.

    Example:
        >>> import cooper
        >>> class Small(cooper.ConstrainedMinimizationProblem):
        ...     def __init__(self):
        ...         super().__init__()
        ...         kinds = {"constraint_type": cooper.ConstraintType.INEQUALITY}
        ...         kinds["formulation_type"] = cooper.formulations.Lagrangian
        ...         multiplier = cooper.multipliers.DenseMultiplier(num_constraints=1)
        ...         self.size = cooper.Constraint(multiplier=multiplier, **kinds)
        ...     def compute_cmp_state(self, model):
        ...         x = model(torch.ones(2)).sum()
        ...         size = cooper.ConstraintState(violation=(x - 1).reshape(1))
        ...         return cooper.CMPState(loss=(x - 2) ** 2, observed_constraints={self.size: size})
        >>> problem = cpd.from_cooper(Small, model=lambda: torch.nn.Linear(2, 1))
        >>> result = cpd.sweep(problem, constraints={"size": "<= 0"}, train=line["train"], methods=line["methods"])
        >>> result.best("lagrangian").feasible
        True
    """
    made = hasattr(cmp, "compute_cmp_state") and not inspect.isclass(cmp)
    if not (made or callable(cmp)) or (inspect.isclass(cmp) and not hasattr(cmp, "compute_cmp_state")):
        found = cmp.__name__ if inspect.isclass(cmp) else f"a {type(cmp).__name__}"
        hint = "give a cooper.ConstrainedMinimizationProblem, or a function that makes one"
        raise CpdError(f"got {found}", place=PLACE, hint=hint)
    start = {n: t.detach().clone() for n, t in tensors_of(Held(cmp))} if made and model is None else None
    sources = Sources((lambda: cmp) if made else cmp, model, data, held_out, call, start)
    home = type(cmp) if made else getattr(cmp, "func", cmp)
    name = home.__name__.replace("<lambda>", "FromCooper")
    # A name within this function: no source of a class of the file is taken for that of this one.
    body: dict[str, Any] = {"sources": sources, "__module__": home.__module__, "__qualname__": f"from_cooper.{name}"}
    body["__doc__"] = home.__doc__
    body["__signature__"] = inspect.Signature(list(sources.parameters.values()))
    for method, function in (("data", data), ("held_out", held_out)):
        if function is not None:
            body[method] = _method(method, function)
    return type(name, (FromCooper,), body)


def _method(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def method(self: FromCooper) -> Any:
        return self.filled(function)

    method.__name__ = name
    return method


class FromCooper(Problem):
    """A problem of Cooper's, evaluated by its ``compute_cmp_state``.

    Args:
        arguments: Of the functions that it is made of, by name.
    """

    sources: Sources

    def __init__(self, **arguments: Any) -> None:
        self.arguments = arguments
        holds = self.sources.model is None or needs_model(self.sources.cmp)
        self.cmp = None if holds else self._made(None)

    def declared_senses(self, model: nn.Module) -> dict[str, str]:
        """The sense of each constraint, ``<=`` or ``==``, of a problem with its model."""
        return senses_of(self._of(model))

    def _of(self, model: nn.Module) -> Any:
        """The problem of Cooper's that goes with a model."""
        return getattr(model, KEPT) if self.cmp is None else self.cmp

    def filled(self, function: Callable[..., Any], **further: Any) -> Any:
        """What a function returns, called with those arguments that it takes."""
        names = positional(function)
        own = {name: value for name, value in self.arguments.items() if name in names}
        return function(**own, **further)

    def model(self) -> nn.Module:
        """Return a fresh model; a problem of Cooper's that holds it is made with it."""
        if self.sources.model is None:
            cmp = self._made(None)
            module: nn.Module = Held(cmp)
            for name, tensor in tensors_of(module) if self.sources.start is not None else ():
                tensor.data = (self.sources.start or {})[name].clone()
        else:
            made = self.filled(self.sources.model)
            module = Point(made) if isinstance(made, Tensor) else made
            cmp = self.cmp
            if cmp is None:
                cmp = self._made(module.x if isinstance(module, Point) else module)
        if self.cmp is None and isinstance(module, nn.Module):
            setattr(module, KEPT, cmp)
        return module

    def _made(self, model: Any) -> Any:
        """The problem of Cooper's."""
        further = {"model": model} if needs_model(self.sources.cmp) and model is not None else {}
        cmp = self.filled(self.sources.cmp, **further)
        if not hasattr(cmp, "compute_cmp_state") or not hasattr(cmp, "named_constraints"):
            hint = "return a cooper.ConstrainedMinimizationProblem"
            raise CpdError(f"the function returned {type(cmp).__name__}", place=PLACE, hint=hint)
        return cmp

    def evaluate(self, model: nn.Module, batch: Any) -> Evaluation:
        """Evaluate the state of Cooper's problem."""
        return self._evaluated(model, batch, judged=False)

    def measure(self, model: nn.Module, batch: Any) -> Evaluation:
        """Judge a finished model by all values of the state, whether or not they move multipliers."""
        return self._evaluated(model, batch, judged=True)

    def _evaluated(self, model: nn.Module, batch: Any, judged: bool) -> Evaluation:
        cmp = self._of(model)
        given = model.x if isinstance(model, Point) else model
        with standing(cmp, model):
            if self.sources.call is not None:
                state = self.sources.call(cmp, given, batch)
            else:
                state = spread(cmp, None if self.sources.model is None else given, batch, self.cmp is not None)
            return evaluation(cmp, state, judged)
