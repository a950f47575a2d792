"""Who may import whom, read from the source; what a start loads, seen in a fresh interpreter."""

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent

import pytest

import cpd

PACKAGE = Path(cpd.__file__).parent
SHIPPED = "tasks"
"""Beside the modules of an installed package: programs as users write them, which nothing imports."""
SOURCES = sorted(
    path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if SHIPPED not in path.relative_to(PACKAGE).parts[:1]
)

MOST_FLAT = 8
"""Files directly under cpd/: the public face, and what every room may know."""

# The rooms of cpd, from the ground up, and what each may import besides itself: only rooms that stand before it. A room
# is a folder, or a file directly under cpd/. "cpd" is the public face: `import cpd`.
ROOMS = {
    "errors": set(),
    "outcome": {"errors"},
    "shares": {"errors"},
    "problem": {"shares", "errors"},
    "files": {"errors"},
    "trackers": {"errors"},
    "methods": {"errors"},
    "search": {"errors"},
    "samplers": {"errors"},  # as the search: numbers in, numbers out
    "executors": {"errors"},
    "spec": {"methods", "outcome", "files", "errors"},  # a task names its runs by outcome.RunKey
    # What a method says of a price, and of what to do; how far a search of several coefficients is from its aims.
    "verdict": {"methods", "search", "outcome", "errors"},
    # A step counts where constraints hold, as the verdict does.
    "engine": {"shares", "problem", "methods", "outcome", "spec", "verdict", "files", "errors"},
    # Programs of the user's: no torch, and of the engine what finds a function's modules alone.
    "external": {"engine", "methods", "outcome", "spec", "errors"},
    "store": {"external", "spec", "outcome", "files", "errors"},
    "views": {"verdict", "outcome", "files", "errors"},
    # What a command came to, fresh or stored, without torch until a kept model is loaded.
    "results": {"engine", "spec", "store", "verdict", "views", "outcome", "files", "errors"},
    "run": {
        "spec", "methods", "search", "samplers", "executors", "engine", "external", "store", "verdict", "views",
        "results", "trackers", "outcome", "errors",
    },
    "cli": {"run", "results", "views", "store", "spec", "verdict", "errors"},
    "bridges": {"problem", "errors"},  # problems that were written for other libraries
    "cpd": {"run", "results", "spec", "bridges", "problem", "shares", "trackers", "external", "errors"},
    "problems": {"cpd", "problem", "shares", "errors"},
}  # fmt: skip

# The packages from elsewhere that a room may import; a room that is not named imports none.
PACKAGES = {
    "cli": {"typer", "click", "rich"},
    "engine": {"torch", "numpy", "platformdirs", "scipy", "safetensors", "cloudpickle"},
    "problems": {"torch", "numpy", "sklearn", "pandas"},
    "problem": {"torch"},
    "bridges": {"torch"},
    "shares": {"torch"},
    "outcome": {"numpy"},
    "store": {"numpy"},
    "verdict": {"numpy"},
    "samplers": {"optuna"},
    "executors": {"loky", "dask", "distributed", "ray"},
    "spec": {"pydantic", "yaml"},
    "views": {"pandas", "numpy", "rich", "matplotlib", "plotly", "jinja2", "IPython"},
    "results": {"pandas", "torch"},
    "trackers": {"torch"},
}

SEARCH_MODULES = {"__future__", "collections", "dataclasses", "itertools", "math", "types", "typing"}
"""The search is pure arithmetic: from the standard library it takes ``math`` and what declares types, no more."""

HEAVY = {
    "torch",
    "safetensors",
    "numpy",
    "pandas",
    "matplotlib",
    "plotly",
    "joblib",
    "loky",
    "dask",
    "distributed",
    "ray",
    "sklearn",
    "scipy",
    "optuna",
}

JUNK_DRAWERS = {
    "utils",
    "util",
    "core",
    "helpers",
    "helper",
    "manager",
    "common",
    "misc",
    "base",
    "tools",
    "stuff",
    "shared",
}


FILES = set(SOURCES)


def parse(path: Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text(encoding="utf-8"), filename=str(path))


def room(path: Path) -> str:
    """``engine/step.py`` -> ``engine``; ``errors.py`` -> ``errors``; ``__init__.py`` and ``__main__.py`` -> ``cpd``."""
    name = path.parts[0].removesuffix(".py")
    return "cli" if name == "__main__" else "cpd" if name == "__init__" else name


def imported(tree: ast.AST, annotations: bool = False) -> Iterator[str]:
    """Dotted names that the source imports, at the top or in a function; those for annotations alone only if asked."""
    for node in ast.iter_child_nodes(tree):
        if not annotations and isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for otherwise in node.orelse:
                yield from imported(ast.Module([otherwise], []))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node, annotations)


def internal(name: str) -> str | None:
    """The room that a dotted name is in, None for a name from elsewhere; a public name is in ``cpd``."""
    first, *rest = name.split(".")
    if first != "cpd":
        return None
    return rest[0] if rest and rest[0] in ROOMS else "cpd"


def module(name: str) -> str | None:
    """The module of cpd that an imported name comes from: ``cpd.engine.step.Step`` -> ``engine.step``."""
    parts = name.split(".")[1:]
    for length in range(len(parts), 0, -1):
        if Path(*parts[:length]).with_suffix(".py") in FILES or Path(*parts[:length], "__init__.py") in FILES:
            return ".".join(parts[:length])
    return None


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Modules that import each other, directly or by way of others."""
    found: list[list[str]] = []
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []

    def visit(node: str) -> None:
        index[node] = low[node] = len(index)
        stack.append(node)
        for to in graph.get(node, ()):
            if to not in index:
                visit(to)
                low[node] = min(low[node], low[to])
            elif to in stack:
                low[node] = min(low[node], index[to])
        if low[node] == index[node]:
            at = stack.index(node)
            together, stack[at:] = stack[at:], []
            if len(together) > 1:
                found.append(sorted(together))

    for node in graph:
        if node not in index:
            visit(node)
    return found


def forbidden(path: Path, tree: ast.Module) -> list[str]:
    """Every import that a file may not have, in words."""
    here, wrong = room(path), []
    for name in imported(tree):
        there = internal(name)
        if there is not None:
            allowed = there == here or there in ROOMS[here]
        elif (top := name.split(".")[0]) in sys.stdlib_module_names:
            allowed = here != "search" or top in SEARCH_MODULES
        else:
            allowed = top in PACKAGES.get(here, set())
        if not allowed:
            wrong.append(f"cpd/{path} ({here}) imports {name}")
    return wrong


def method_comparisons(tree: ast.AST, names: set[str]) -> list[int]:
    """Lines that compare something with a method's name, or match on it."""
    lines = []
    for node in ast.walk(tree):
        compared: list[ast.AST] = []
        if isinstance(node, ast.Compare):
            compared = [node.left, *node.comparators]
        elif isinstance(node, ast.MatchValue):
            compared = [node.value]
        constants = (part.value for whole in compared for part in ast.walk(whole) if isinstance(part, ast.Constant))
        if any(isinstance(value, str) and value in names for value in constants):
            lines.append(compared[0].lineno)  # type: ignore[attr-defined]
    return lines


def test_every_file_has_a_room() -> None:
    assert {room(path) for path in SOURCES} == ROOMS.keys()


def test_few_files_stand_outside_of_the_rooms() -> None:
    assert len([path for path in SOURCES if len(path.parts) == 1]) <= MOST_FLAT


def test_a_room_stands_on_rooms_below_it() -> None:
    order = list(ROOMS)
    upwards = [(here, to) for here, below in ROOMS.items() for to in below if order.index(to) >= order.index(here)]
    assert upwards == []


def test_no_two_modules_import_each_other() -> None:
    graph = {
        ".".join(path.with_suffix("").parts).removesuffix(".__init__"): {
            there
            for name in imported(parse(path), annotations=True)
            if name.startswith("cpd.") and (there := module(name))
        }
        for path in SOURCES
        if room(path) != "cpd"
    }
    assert circles(graph) == []


def test_a_circle_is_seen() -> None:
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]
    assert circles({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_packages_hold_no_code() -> None:
    """An ``__init__.py`` is a docstring, or a lazy list of names: a start loads what it needs, no more."""
    for path in SOURCES:
        if path.name == "__init__.py" and len(path.parts) > 1:
            assert [type(node) for node in parse(path).body] == [ast.Expr], path


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_imports_follow_the_design(path: Path) -> None:
    assert forbidden(path, parse(path)) == []


@pytest.mark.parametrize(
    ("path", "source", "wrong"),
    [
        ("search/bisection.py", "import math\nimport random", ["random"]),
        ("search/bisection.py", "def f():\n    import torch", ["torch"]),
        ("methods/nupi.py", "from cpd import errors, engine", ["cpd.engine"]),
        ("methods/nupi.py", "import cpd", ["cpd"]),
        ("executors/start.py", "from cpd.spec.models import Task\nimport loky", ["cpd.spec.models.Task"]),
        ("engine/step.py", "from cpd.engine.batch import Batch\nimport pandas", ["pandas"]),
        ("problem.py", "if TYPE_CHECKING:\n    import pandas\nelse:\n    import numpy", ["numpy"]),
    ],
)
def test_a_forbidden_import_is_seen(path: str, source: str, wrong: list[str]) -> None:
    found = forbidden(Path(path), ast.parse(source))
    assert [line.split(" imports ")[1] for line in found] == wrong


def test_no_junk_drawers() -> None:
    stems = {part.removesuffix(".py").strip("_") for path in SOURCES for part in path.parts}
    assert stems & JUNK_DRAWERS == set()


@pytest.mark.parametrize("path", [path for path in SOURCES if room(path) != "methods"], ids=str)
def test_only_methods_know_methods_by_name(path: Path) -> None:
    from cpd.methods.registry import REGISTRY

    assert method_comparisons(parse(path), set(REGISTRY)) == []


@pytest.mark.parametrize(
    "source",
    [
        "if method == 'nupi': pass",
        "x = 'nupi' != run.method",
        "x = name in ('penalized', 'nupi')",
        "match method:\n    case 'nupi': pass",
    ],
)
def test_a_comparison_with_a_method_is_seen(source: str) -> None:
    assert method_comparisons(ast.parse(source), {"nupi"}) != []
    assert method_comparisons(ast.parse(source), {"lagrangian"}) == []


@pytest.mark.parametrize(
    "start",
    [
        "import cpd",
        "import cpd; cpd.__version__; dir(cpd)",
        "import cpd.cli.main",
        "sys.argv = ['cpd', '--help']; from cpd.cli.main import main; main()",
        "sys.argv = ['cpd', 'sweep', '--help']; from cpd.cli.main import main; main()",
    ],
)
def test_a_start_loads_nothing_heavy(start: str, tmp_path: Path) -> None:
    program = dedent(
        f"""
        import json, sys
        try:
            {start}
        except SystemExit as end:
            assert not end.code, end.code
        print(json.dumps(sorted({{name.split(".")[0] for name in sys.modules}})), file=sys.stderr)
        """
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", program], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stderr))
    assert "cpd" in loaded
    assert loaded & HEAVY == set()
