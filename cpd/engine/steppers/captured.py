"""The step as one captured program: traced once per batch shape, then replayed without Python per operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx
from torch.utils import _pytree as pytree

from cpd.engine.minibatches import Minibatches
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.steppers.draws import Draw, lift_draws


class Advance(Protocol):
    """An engine: ``(state, batches, n) -> (state, records)``, n >= 1.

    The records are those of the last ``min(n, history)`` steps, with a leading dimension of steps.
    """

    @property
    def history(self) -> int:
        """Steps whose records one call returns, at most."""
        ...

    @property
    def note(self) -> str | None:
        """What the user should know, e.g. why another engine took over."""
        ...

    def again(self) -> Callable[[Step], Advance] | None:
        """How to make the same engine for a step of fewer runs; None where that would cost more than it saves."""
        ...

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        ...


class Eager:
    """The step as it is written, one operation after another."""

    history = 1
    note: str | None = None

    def __init__(self, step: Step) -> None:
        self.step = step
        self._optimizer: torch.optim.Optimizer | None = None

    def again(self) -> Callable[[Step], Advance]:
        """Eager."""
        return Eager

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        optimizer = self._optimizer or self.step.optimizer(state)
        self._optimizer = optimizer
        for _ in range(n):
            state, record = self.step.advance(state, batches.next(), optimizer)
        return state, alone(record)


class Captured:
    """The step as replayed programs, one per batch shape. Gives the eager step's numbers to rounding.

    Where the step cannot be captured (an optimizer that reads its counters), it is executed as written, with a note.
    """

    history = 1

    def __init__(self, step: Step) -> None:
        self.step = step
        self.note: str | None = None
        self._eager: Eager | None = None
        self._programs: dict[Any, Trace] = {}

    def again(self) -> Callable[[Step], Advance]:
        """Captured anew."""
        return Captured

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps; the first of a training runs as written, since it sets up the optimizer."""
        for k in range(n):
            if self._eager is not None:
                return self._eager(state, batches, n - k)
            batch = batches.next()
            trace = None if is_first(state) else self.trace(state, batch)
            if trace is None:
                state, record = self.step.advance(state, batch, self.step.optimizer(state))
                continue
            with torch.no_grad():
                state, record = trace.unflatten(self.replay(trace, trace.flatten(state, batch)))
        return state, alone(record)

    def replay(self, trace: Trace, leaves: list[Any]) -> list[Any]:
        """The step from these leaves."""
        return trace.call(leaves)

    def trace(self, state: State, batch: Any) -> Trace | None:
        """The program for batches of this shape; None, with a note, where the step cannot be captured."""
        shape = shape_of(batch)
        try:
            if shape not in self._programs:
                self._programs[shape] = capture(self.step, state, batch)
        except RuntimeError as error:
            self.note = f"the step cannot be captured, it runs eagerly: {str(error).strip().splitlines()[0]}"
            self._eager = Eager(self.step)
            return None
        return self._programs[shape]


class Trace(NamedTuple):
    """A captured step.

    Attributes:
        graph: ``(*state, *batch, *constants, *draws) -> (*state, *record)``, flat; it changes nothing that is passed
            in.
        constants: Tensors that the step read from elsewhere: levels, hyperparameters, data of the problem's own. Passed
            in, so that the program does not depend on them.
        draws: Random numbers of a step, passed in; None where the graph draws them itself, for they depend on more than
            shapes.
        carried: Number of leaves of the state, the same before and after.
        spec: How the outputs fold back into a state and a record.
    """

    graph: GraphModule
    constants: list[Tensor]
    draws: list[Draw] | None
    carried: int
    spec: pytree.TreeSpec

    def flatten(self, state: State, batch: Any) -> list[Any]:
        """The program's arguments, without the constants and the draws."""
        return pytree.tree_leaves((state, batch))

    def call(self, leaves: list[Any]) -> list[Any]:
        """Replay the program once."""
        return self.graph.forward(*leaves, *self.constants, *(draw.now() for draw in self.draws or ()))

    def unflatten(self, outputs: Any) -> tuple[State, Record]:
        """Fold a program's outputs back."""
        return pytree.tree_unflatten(list(outputs), self.spec)


def alone(record: Record) -> Record:
    """One step's record as the records of one step."""
    return Record(*(value.unsqueeze(0) for value in record))


def is_first(state: State) -> bool:
    """Whether the optimizer has kept nothing yet."""
    return any(name not in state.optimizer for name in state.parameters)


def shape_of(batch: Any) -> tuple[Any, ...]:
    """Shapes of a batch: what a captured program depends on."""
    return tuple(tuple(t.shape) for t in batch or ())


_traces: dict[Any, tuple[Any, Trace, list[int | Tensor]]] = {}
MOST_TRACES = 32
"""Captured steps that a process keeps: a search trains the same step in every round."""


def capture(step: Step, state: State, batch: Any) -> Trace:
    """Trace one step on tensors like these, unless this process has traced such a step before."""
    leaves = pytree.tree_leaves((state, batch))
    shapes = [(tuple(t.shape), t.stride(), t.dtype, t.device) if isinstance(t, Tensor) else t for t in leaves]
    like = [(tuple(t.shape), t.dtype, t.device) for t in step.tensors]
    key = (id(step.stack.problem), step.structure, str(shapes), str(like))
    if key not in _traces:
        while len(_traces) >= MOST_TRACES:
            del _traces[next(iter(_traces))]
        trace = _capture(step, state, batch)
        # The problem is kept with it, so that no other one gets its id.
        _traces[key] = (step.stack.problem, trace, [_origin(c, step.tensors) for c in trace.constants])
    _, trace, origins = _traces[key]
    own = step.tensors
    return trace._replace(constants=[own[o] if isinstance(o, int) else o for o in origins])


def _origin(constant: Tensor, own: list[Tensor]) -> int | Tensor:
    """Which of the step's own tensors a constant is; itself where it is the problem's."""
    for k, tensor in enumerate(own):
        same = tensor.data_ptr() == constant.data_ptr() and tensor.stride() == constant.stride()
        if same and tensor.shape == constant.shape and tensor.numel():
            return k
    return constant


def _capture(step: Step, state: State, batch: Any) -> Trace:
    """Trace one step; tracing draws random numbers, which are given back."""
    leaves, spec = pytree.tree_flatten((state, batch))
    shape: list[pytree.TreeSpec] = []

    def flat(*leaves: Any) -> list[Any]:
        new, out = pytree.tree_flatten(_advance_copy(step, *pytree.tree_unflatten(list(leaves), spec)))
        shape.append(out)
        return [leaf.detach() if isinstance(leaf, Tensor) else leaf for leaf in new]

    devices = [step.levels.device] if step.levels.is_cuda else []
    with torch.random.fork_rng(devices=devices), compiling():
        graph = make_fx(flat)(*leaves)
    _drop_profiling(graph)
    _name_dtypes(graph)
    constants = _lift_constants(graph)
    return Trace(graph, constants, lift_draws(graph), len(pytree.tree_leaves(state)), shape[-1])


def _advance_copy(step: Step, state: State, batch: Any) -> tuple[State, Record]:
    """The step on tensors of its own, so that nothing that is passed in changes in place."""
    own = {n: p.detach().clone().requires_grad_() for n, p in state.parameters.items()}
    kept = {n: {k: _own(v) for k, v in s.items()} for n, s in state.optimizer.items()}
    copied = state._replace(parameters=own, optimizer=kept)
    with torch.enable_grad():
        new, record = step.advance(copied, batch, step.optimizer(copied, foreach=False, capturable=True))
    kept = {n: {k: _as_before(v, state.optimizer[n].get(k)) for k, v in s.items()} for n, s in new.optimizer.items()}
    return new._replace(optimizer=kept), record


def _own(value: Any) -> Any:
    """A copy; step counters in double precision, as the eager step, which reads them as Python numbers, has them."""
    if not isinstance(value, Tensor):
        return value
    return value.double() + 0 if value.dim() == 0 else value.clone()


def _as_before(value: Any, before: Any) -> Any:
    """What an optimizer keeps, in the precision in which it kept it before the step."""
    return value.to(before.dtype) if isinstance(value, Tensor) and isinstance(before, Tensor) else value


def _drop_profiling(graph: GraphModule) -> None:
    """Remove the profiler's marks that ``torch.optim`` leaves: compilers refuse them."""
    for node in reversed(graph.graph.nodes):
        if "profiler._record_function" in str(node.target):
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _name_dtypes(graph: GraphModule) -> None:
    """Write out the dtype of what a step makes anew: the default one is another when the program is replayed."""
    for node in graph.graph.nodes:
        schema = getattr(node.target, "_schema", None)
        takes = schema is not None and any(a.name == "dtype" and a.default_value is None for a in schema.arguments)
        makes = takes and not any(isinstance(argument, Node) for argument in node.args)
        if makes and node.kwargs.get("dtype") is None and isinstance(node.meta.get("val"), Tensor):
            node.kwargs = {**node.kwargs, "dtype": node.meta["val"].dtype}
    graph.recompile()


def _lift_constants(graph: GraphModule) -> list[Tensor]:
    """Turn every tensor that the graph holds into an argument, and return them in order."""
    nodes = [node for node in graph.graph.nodes if node.op == "get_attr"]
    names = list(dict.fromkeys(str(node.target) for node in nodes))
    last = [node for node in graph.graph.nodes if node.op == "placeholder"][-1]
    arguments = {}
    for k, name in enumerate(names):
        with graph.graph.inserting_after(last):
            last = arguments[name] = graph.graph.placeholder(f"constant_{k}")
    constants = [getattr(graph, name) for name in names]
    for node in nodes:
        node.replace_all_uses_with(arguments[str(node.target)])
        graph.graph.erase_node(node)
    graph.recompile()
    return [constant.detach() for constant in constants]


@contextmanager
def compiling() -> Iterator[None]:
    """Tell ``torch.optim`` that it is traced, so that its step counters stay tensors, as ``torch.export`` does."""
    before = torch.compiler._is_compiling_flag
    torch.compiler._is_compiling_flag = True
    try:
        yield
    finally:
        torch.compiler._is_compiling_flag = before
