"""What cpd uses of torch that torch does not promise to keep, all in one place.

``tests/engine/steppers/test_torch_private.py`` says which of these an upgrade of torch has broken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Node
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry


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
