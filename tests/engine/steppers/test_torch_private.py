"""What cpd uses of torch that torch does not promise: each of these tests says which of it an upgrade has broken."""

import re
import warnings
from pathlib import Path

import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from cpd.engine.steppers import torch_private
from cpd.engine.steppers.packaging import missing_compiler
from cpd.engine.steppers.torch_private import OperationMode, compile_package, drop_profiling, load_package, takes_dtype

SOURCES = sorted(Path(torch_private.__file__).parents[1].rglob("*.py"))

PRIVATE = re.compile(r"torch(\.\w+)*\._(?!_)|\._schema|_is_compiling_flag|_pytree")
"""Names like this are torch's own business."""


def counted(function: object, *arguments: torch.Tensor) -> tuple[int, int]:
    """Numbers and products that an evaluation takes."""
    found = [0, 0]

    def told(given: torch.Tensor, products: int) -> None:
        found[0] += given.numel()
        found[1] += products

    with OperationMode(told):
        function(*arguments)  # type: ignore[operator]
    return found[0], found[1]


def test_a_mode_sees_every_operation_and_the_products_of_its_formula() -> None:
    """``TorchDispatchMode`` and ``flop_registry``."""
    assert counted(lambda x, y: (x @ y).relu(), torch.ones(3, 4), torch.ones(4, 5)) == (30, 2 * 3 * 4 * 5)
    image, kernel = torch.ones(2, 3, 8, 8), torch.ones(5, 3, 3, 3)
    assert counted(torch.nn.functional.conv2d, image, kernel)[1] == 2 * (2 * 5 * 6 * 6) * (3 * 3 * 3)


def test_products_are_counted_under_vmap() -> None:
    mapped = torch.func.vmap(lambda w: torch.ones(3, 4) @ w)
    assert counted(mapped, torch.ones(7, 4, 5))[1] == 7 * 2 * 3 * 4 * 5


def test_operations_without_a_rule_of_their_own_are_mapped_in_silence() -> None:
    """``_set_vmap_fallback_warning_enabled``; pytest makes errors of warnings."""
    torch.func.vmap(lambda w: torch._weight_norm_interface(w, w.norm(dim=1, keepdim=True)))(torch.ones(2, 3, 4))


def test_an_operation_says_whether_it_takes_the_default_dtype() -> None:
    """``OpOverload._schema``."""
    graph = make_fx(lambda x: x + torch.zeros(3))(torch.ones(3))
    found = {str(n.target): takes_dtype(n) for n in graph.graph.nodes if n.op == "call_function"}
    assert found == {"aten.zeros.default": True, "aten.add.Tensor": False}


def test_marks_of_the_profiler_are_found() -> None:
    """``torch.ops.profiler._record_function_enter_new``."""

    def marked(x: torch.Tensor) -> torch.Tensor:
        with torch.autograd.profiler.record_function("mark"):
            return x + 1

    graph = make_fx(marked)(torch.ones(3))
    assert any("profiler" in str(node.target) for node in graph.graph.nodes)
    drop_profiling(graph)
    assert not any("profiler" in str(node.target) for node in graph.graph.nodes)
    assert graph(torch.ones(3)).tolist() == [2, 2, 2]


@pytest.mark.slow
@pytest.mark.skipif(missing_compiler() is not None, reason=str(missing_compiler()))
def test_a_program_is_compiled_into_a_file_and_loaded(tmp_path: Path) -> None:
    """``torch._inductor.aoti_compile_and_package``, its options, and ``AOTIModelPackageLoader``."""

    class Twice(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x * 2

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates parts that it uses itself
        exported = torch.export.export(Twice(), (torch.ones(3),), strict=False)
        options = {"cpp.threads": 1, "aot_inductor.compile_wrapper_opt_level": "O0", "post_grad_custom_pre_pass": None}
        made = compile_package(exported, tmp_path / "p.pt2", options)
    (doubled,) = load_package(Path(made))([torch.arange(3.0)])
    assert doubled.tolist() == [0, 2, 4]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_nothing_private_of_torch_is_used_elsewhere(path: Path) -> None:
    if path.name != "torch_private.py":
        assert PRIVATE.search(path.read_text(encoding="utf-8")) is None
