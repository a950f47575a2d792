"""What cpd uses of torch that torch does not promise to keep, all in one place.

``tests/engine/steppers/test_torch_private.py`` says which of these an upgrade of torch has broken.
"""

from __future__ import annotations

import logging
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.data._utils import signal_handling
from torch.utils.flop_counter import flop_registry

CAST = torch.ops.aten._to_copy.default
"""The operation by which a graph turns a tensor into one of another type, its keyword ``dtype``."""


_FUNCTORCH: Any = torch._C._functorch
_FUNCTORCH._set_vmap_fallback_warning_enabled(False)  # operations without a rule of their own are done run by run


class OperationMode(TorchDispatchMode):
    """Calls a function with every tensor that an operation gives, and with the products that made it, while entered.

    ``torch.utils.flop_counter`` counts products in a mode of its own; its formulas are used here, for one pass counts
    results as well, and its hooks on modules do not go through ``vmap``.
    """

    def __init__(self, told: Callable[[Tensor, int], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.told = told

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = func(*args, **(kwargs or {}))
        formula = flop_registry.get(func._overloadpacket)
        products = 0 if formula is None else formula(*args, **(kwargs or {}), out_val=given)
        for tensor in given if isinstance(given, tuple | list) else (given,):
            if isinstance(tensor, Tensor):
                self.told(tensor, products)
                products = 0
        return given


class ValueMode(TorchDispatchMode):
    """Notes the first operation whose result's shape, or a number handed to Python, depends on what tensors hold.

    Attributes:
        found: Its name, and where the user's code asks for it; empty while there was none.
    """

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: tuple[str, ...] = ()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        if not self.found and _reads_values(func, args):
            self.found = (func.__name__.partition(".")[0], _asking())
        return func(*args, **(kwargs or {}))


def _reads_values(func: Any, args: tuple[Any, ...]) -> bool:
    if func is torch.ops.aten.index.Tensor:
        return any(i is not None and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.data_dependent_output in func.tags or torch.Tag.dynamic_output_shape in func.tags


def _asking() -> str:
    """The innermost line of the user's that is under way, as ``file.py:12``."""
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        line = users_line(frame, frame.f_lineno)
        if line is not None:
            return line
        frame = frame.f_back
    return ""


def users_line(frame: FrameType, number: int) -> str | None:
    """A line of the user's own code as ``file.py:12``; None where it is torch's, cpd's or an installed package's."""
    file = frame.f_code.co_filename
    if file.startswith(_NOT_THE_USERS) or "<" in file:
        return None
    return f"{Path(file).name}:{number}"


_NOT_THE_USERS = tuple(
    f"{folder}{os.sep}"
    for folder in (Path(torch.__file__).parent, Path(__file__).parents[1], sys.prefix, sys.base_prefix)
)


@contextmanager
def quiet_compiler() -> Iterator[None]:
    """Without what the compiler says of its own ways, unless it was asked to say more than its warnings."""
    logger = logging.getLogger("torch._inductor")
    level, asked = logger.level, logger.getEffectiveLevel() < logging.WARNING
    try:
        logger.setLevel(level if asked else logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def compile_package(exported: torch.export.ExportedProgram, to: Path, options: Mapping[str, Any]) -> str:
    """Compile an exported program into a file, with options of the compiler; returns the file's path."""
    made: str = torch._inductor.aoti_compile_and_package(exported, package_path=str(to), inductor_configs=dict(options))
    return made


def load_package(path: Path) -> Callable[[list[Tensor]], list[Tensor]]:
    """Load a compiled program as a function of a flat list of tensors, which it empties.

    The loader is called directly: ``torch._inductor.aoti_load_package`` probes the processor with a compiler first,
    which takes a second.
    """
    loader = torch._C._aoti.AOTIModelPackageLoader(str(path), "model", False, 1, -1)
    run: Callable[[list[Tensor]], list[Tensor]] = loader.boxed_run
    return run


def is_batched(tensor: Tensor) -> bool:
    """Whether a tensor stands for those of several runs under ``vmap``, or stood for them."""
    return bool(torch._C._functorch.is_batchedtensor(tensor))


@contextmanager
def deaths_met_when_asked() -> Iterator[None]:
    """For a DataLoader that is iterated: the death of one of its processes raises when the next batch is asked for.

    Otherwise a handler of signals raises, wherever this process happens to be.
    """
    before, signal_handling._SIGCHLD_handler_set = signal_handling._SIGCHLD_handler_set, True
    try:
        yield
    finally:
        signal_handling._SIGCHLD_handler_set = before


def end_workers(batches: Any) -> None:
    """End the processes of a DataLoader's iterator, and wait until they have."""
    shut_down = getattr(batches, "_shutdown_workers", None)
    if shut_down is not None:
        shut_down()


def takes_dtype(node: Node) -> bool:
    """Whether a graph's operation has an argument ``dtype`` whose default is the process's default dtype."""
    schema = getattr(node.target, "_schema", None)
    return schema is not None and any(a.name == "dtype" and a.default_value is None for a in schema.arguments)


def is_profiling(node: Node) -> bool:
    """Whether a graph's operation only marks a place for the profiler: compilers refuse such marks."""
    return "profiler._record_function" in str(node.target)


def drop_profiling(graph: GraphModule) -> None:
    """Remove the profiler's marks from a graph."""
    for node in reversed(graph.graph.nodes):
        if is_profiling(node):
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
