"""The step as one captured program: traced once per batch shape, then replayed without Python per operation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.fx.experimental.proxy_tensor import make_fx

from cpd.engine.counting import out_of_memory
from cpd.engine.minibatches import Minibatches
from cpd.engine.python_state import PythonState
from cpd.engine.recorder import Record
from cpd.engine.step import State, Step
from cpd.engine.steppers.draws import Draw, lift_draws
from cpd.engine.steppers.pooling import pool_channels_last
from cpd.engine.steppers.stepper import Eager, Stepper, as_one
from cpd.engine.steppers.torch_private import CAST, ValueMode, drop_profiling, takes_dtype
from cpd.engine.surroundings import untouched
from cpd.engine.tracebacks import first_line
from cpd.engine.tree import leaves, named, refilled
from cpd.errors import CpdError

MOST_SHAPES = 8
"""Shapes of minibatches for which a step is captured; texts of many lengths have more."""


class Captured:
    """The step as replayed programs, one per batch shape. Gives the eager step's numbers to rounding.

    Where the step cannot be captured (an evaluation that reads its own numbers, minibatches of many shapes), it is
    executed as written, with a note.

    Args:
        step: The step to capture.
        shapes: Of the minibatches so far, in words, to which those of this training are added.
    """

    name = "captured"
    overwrites = False
    history = 1

    def __init__(self, step: Step, shapes: list[str] | None = None) -> None:
        self.step = step
        self.shapes = [] if shapes is None else shapes
        self.note: str | None = None
        self._eager: Eager | None = None
        self._programs: dict[Any, Trace] = {}

    def rebuild(self) -> Callable[[Step], Stepper]:
        """Captured anew."""
        return lambda step: Captured(step, self.shapes)

    def __call__(self, state: State, batches: Minibatches, n: int) -> tuple[State, Record]:
        """Advance ``n`` steps."""
        for k in range(n):
            if self._eager is not None:
                return self._eager(state, batches, n - k)
            batch = batches.next()
            trace = self.trace(state, batch)
            if trace is None:
                state, record = self.step.advance(state, batch)
            else:
                with torch.no_grad():
                    state, record = trace.folded(state, self.replay(trace, [*leaves(state), *leaves(batch)]))
        return state, as_one(record)

    def replay(self, trace: Trace, arguments: list[Any]) -> list[Any]:
        """The step from these arguments."""
        return trace.call(arguments)

    def trace(self, state: State, batch: Any) -> Trace | None:
        """The program for batches of this shape; None, with a note, where the step cannot be captured."""
        try:
            shape = shape_of(batch)
            if shape not in self._programs:
                self._bound(shape)
                self._programs[shape] = capture(self.step, state, batch)
        except CpdError:
            raise
        except Exception as error:
            if out_of_memory(error):
                raise
            self.note = f"the step cannot be captured, it runs eagerly: {first_line(error)}"
            self._eager = Eager(self.step)
            return None
        return self._programs[shape]

    def _bound(self, shape: tuple[Any, ...]) -> None:
        """Refuse to capture a step for each of many shapes."""
        if str(shape) not in self.shapes:
            self.shapes.append(str(shape))
        if len(self.shapes) > MOST_SHAPES:
            raise TooManyShapes(f"minibatches have more than {MOST_SHAPES} different shapes")


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
        changing: Which of them a step changes; the others it gives back as they are.
    """

    graph: GraphModule
    constants: list[Tensor]
    draws: list[Draw] | None
    carried: int
    changing: tuple[int, ...]

    def call(self, arguments: Sequence[Any]) -> list[Any]:
        """Replay the program once from a state's leaves and a batch's."""
        outputs: list[Any] = self.graph.forward(*arguments, *self.constants, *(draw.now() for draw in self.draws or ()))
        return outputs

    def folded(self, like: State, outputs: Sequence[Any]) -> tuple[State, Record]:
        """A program's outputs as a state of the same names, and a record."""
        return refilled(like, outputs[: self.carried]), Record(*outputs[self.carried :])


def shape_of(batch: Any) -> tuple[Any, ...]:
    """Shapes and types of a batch, and what is no tensor: what a captured program depends on.

    Raises:
        TypeError: It holds an object that nobody can compare with that of the next one.
    """
    return tuple(_shape(leaf) for leaf in leaves(batch))


def _shape(leaf: Any) -> Any:
    if isinstance(leaf, Tensor):
        return (tuple(leaf.shape), leaf.dtype)
    if not isinstance(leaf, int | float | complex | str | bytes | None):
        raise TypeError(f"a minibatch holds a {type(leaf).__name__}")
    return leaf


class TooManyShapes(RuntimeError):
    """Steps that are captured for one shape of minibatch after another."""


class ReadsValues(RuntimeError):
    """A step that cannot be captured: what it does depends on what its tensors hold, not on their shapes alone.

    Args:
        operation: The first one that does.
        place: Where the user's code asks for it.
    """

    def __init__(self, operation: str, place: str) -> None:
        at = f" at {place}" if place else ""
        taken = "a number off a tensor" if "scalar" in operation or operation == "item" else "what a mask picks"
        hint = "use tensors" if "number" in taken else "use weights, (p * mask).sum() / mask.sum()"
        super().__init__(f"it reads {taken} ({operation}{at}), which differs from batch to batch; faster: {hint}")


_traces: dict[Any, tuple[PythonState, Trace, list[int | Tensor]]] = {}
MOST_TRACES = 32
"""Captured steps that a process keeps: a search trains the same step in every round."""


def capture(step: Step, state: State, batch: Any) -> Trace:
    """Trace one step on tensors like these, unless this process has traced such a step before."""
    arguments = [*leaves(state), *leaves(batch)]
    shapes = [(tuple(t.shape), t.stride(), t.dtype, t.device) if isinstance(t, Tensor) else t for t in arguments]
    like = [(tuple(t.shape), t.dtype, t.device) for t in step.tensors]
    key = (id(step.stack.problem), step.structure, str(shapes), str(like))
    python = PythonState(step.stack.problem, step.stack.model)
    if key not in _traces or not _traces[key][0].alike(python):
        while len(_traces) >= MOST_TRACES:
            del _traces[next(iter(_traces))]
        trace = _capture(step, state, batch)
        # The problem is kept with it, so that no other one gets its id.
        _traces[key] = (python, trace, [_origin(c, step.tensors) for c in trace.constants])
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
    carried = len(leaves(state))

    watched = ValueMode()

    def flat(*arguments: Any) -> list[Any]:
        with watched:
            new, record = step.advance(refilled(state, arguments[:carried]), refilled(batch, arguments[carried:]))
        assert [name for name, _ in named(new)] == [name for name, _ in named(state)], "leaves go by place"
        return [leaf.detach().contiguous() if isinstance(leaf, Tensor) else leaf for leaf in [*leaves(new), *record]]

    stack = step.stack
    with untouched(step.levels.device, stack.problem, stack.model):
        try:
            graph = make_fx(flat)(*leaves(state), *leaves(batch))
        finally:
            if watched.found:
                raise ReadsValues(*watched.found)
    drop_profiling(graph)
    _name_dtypes(graph)
    _drop_detached(graph)
    pool_channels_last(graph)
    changing = _changing(graph, carried)
    constants = _lift_constants(graph)
    return Trace(graph, constants, lift_draws(graph), carried, changing)


def _drop_detached(graph: GraphModule) -> None:
    """Take tensors themselves where a step detaches them: a program is replayed without gradients."""
    for node in graph.graph.nodes:
        if node.target == torch.ops.aten.detach.default:
            node.replace_all_uses_with(node.args[0])
    graph.graph.eliminate_dead_code()
    graph.recompile()


def _changing(graph: GraphModule, carried: int) -> tuple[int, ...]:
    """Which of the first arguments do not come back as they are."""
    given = [node for node in graph.graph.nodes if node.op == "placeholder"]
    returned = graph.graph.output_node().args[0]
    assert isinstance(returned, list | tuple)
    return tuple(k for k in range(carried) if returned[k] is not given[k])


def _name_dtypes(graph: GraphModule) -> None:
    """Write out where the default dtype is used, in what a step makes anew and where it computes with whole numbers.

    It is another one when the program is replayed or compiled.
    """
    for node in graph.graph.nodes:
        given = node.meta.get("val")
        if not isinstance(given, Tensor):
            continue
        tensors = [argument for argument in node.args if isinstance(argument, Node)]
        if takes_dtype(node) and not tensors and node.kwargs.get("dtype") is None:
            node.kwargs = {**node.kwargs, "dtype": given.dtype}
        elif tensors and given.dtype.is_floating_point and given.dtype != torch.get_default_dtype():
            _cast_whole_numbers(graph, node, tensors, given.dtype)
    graph.recompile()


def _cast_whole_numbers(graph: GraphModule, node: Node, arguments: list[Node], dtype: torch.dtype) -> None:
    """Cast what an operation on whole numbers alone, element by element, turns into the default dtype."""
    whole = [_is_whole(argument.meta.get("val")) for argument in arguments]
    if torch.Tag.pointwise not in getattr(node.target, "tags", ()) or not all(whole) or "dtype" in node.kwargs:
        return
    with graph.graph.inserting_before(node):
        for argument in arguments:
            cast = graph.graph.call_function(CAST, (argument,), {"dtype": dtype})
            cast.meta["val"] = argument.meta["val"].to(dtype)
            node.replace_input_with(argument, cast)


def _is_whole(given: Any) -> bool:
    return isinstance(given, Tensor) and not given.dtype.is_floating_point and not given.dtype.is_complex


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
