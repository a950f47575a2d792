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
SOURCES = sorted(path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py"))
STEMS = {path.parts[0].removesuffix(".py") for path in SOURCES}

# A room is a file or folder directly under cpd/. `store_schema.py` is a part of `store`; so are these of others.
PART_OF = {
    "__main__": "cli",
    "console": "cli",
    "batching": "runner",
    "execution": "runner",
    "searching": "runner",
    "execution_options": "runner",
    "provenance": "runner",
    "tracking": "runner",
    "working": "runner",
    "stopping": "runner",
    "storing": "runner",
    "series": "outcome",
    "stored": "result",
    "frames": "result",
    "exporting": "tables",
    "checkpoint": "engine",
    "file_lock": "durable",
    "bundled": "spec",
    "grids": "spec",
    "problem_source": "spec",
    "schema": "spec",
    "settings": "spec",
    "yaml_loader": "spec",
}

# The rooms of cpd that a room may import, besides itself. "cpd" is the public face: `import cpd`.
ROOMS = {
    "cpd": {"errors", "problem", "runner", "result", "spec"},
    "cli": {"runner", "result", "tables", "plots", "report", "store", "spec", "verdict", "sentences", "errors"},
    "runner": {"spec", "search", "executors", "store", "engine", "result", "trackers", "verdict", "outcome", "errors"},
    "trackers": {"errors"},
    # What a command came to, fresh or stored, without torch: `cpd show` needs it where `runner` is not.
    "result": {"spec", "store", "tables", "verdict", "outcome", "errors"},
    "engine": {"problem", "methods", "outcome", "spec", "durable", "errors"},
    "problems": {"cpd", "problem", "errors"},
    "problem": {"errors"},
    "methods": {"errors"},
    "search": {"errors"},
    "executors": {"errors"},
    "store": {"spec", "outcome", "durable", "errors"},
    "spec": {"outcome", "errors"},  # a task names its runs by outcome.RunKey
    "verdict": {"outcome", "sentences", "errors"},
    "tables": {"sentences", "durable", "errors"},
    # Pictures and reports read the same rows as the tables: grouped by setting, numbers worded alike.
    "plots": {"tables", "sentences", "durable", "errors"},
    "report": {"tables", "plots", "sentences", "durable", "errors"},
    "sentences": set(),
    "durable": set(),
    "outcome": {"errors"},
    "errors": set(),
}

# The packages from elsewhere that a room may import; a room that is not named imports none.
PACKAGES = {
    "cli": {"typer", "click", "rich"},
    "engine": {"torch", "platformdirs"},
    "problems": {"torch", "numpy", "sklearn"},
    "problem": {"torch"},
    "methods": {"torch"},
    "executors": {"joblib", "dask", "distributed", "ray"},
    "spec": {"pydantic", "yaml"},
    "tables": {"pandas", "numpy", "rich"},
    "result": {"pandas"},
    "trackers": {"torch"},
    "plots": {"pandas", "numpy", "matplotlib"},
    "report": {"pandas", "numpy", "plotly"},
}

SEARCH_MODULES = {"__future__", "collections", "dataclasses", "itertools", "math", "types", "typing"}
"""The search is pure arithmetic: from the standard library it takes ``math`` and what declares types, no more."""

HEAVY = {"torch", "numpy", "pandas", "matplotlib", "plotly", "joblib", "dask", "distributed", "ray", "sklearn", "scipy"}

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


def parse(path: Path) -> ast.Module:
    return ast.parse((PACKAGE / path).read_text(encoding="utf-8"), filename=str(path))


def room(path: Path) -> str:
    """``engine/step.py`` -> ``engine``; ``cli_options.py`` -> ``cli``; ``__init__.py`` -> ``cpd``."""
    name = path.parts[0].removesuffix(".py")
    if name == "__init__":
        return "cpd"
    whole = name.split("_")[0]
    return PART_OF.get(name, whole if whole in ROOMS else name)


def imported(tree: ast.AST) -> Iterator[str]:
    """Dotted names that the source imports, at the top or in a function; those for annotations alone are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            for otherwise in node.orelse:
                yield from imported(ast.Module([otherwise], []))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: write imports in full"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        else:
            yield from imported(node)


def internal(name: str) -> str | None:
    """The room that a dotted name is in, None for a name from elsewhere; a public name is in ``cpd``."""
    first, *rest = name.split(".")
    if first != "cpd":
        return None
    there = room(Path(rest[0])) if rest else "cpd"
    return there if there in ROOMS or rest[0] in STEMS else "cpd"


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
    assert {room(path) for path in SOURCES} <= ROOMS.keys()


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
        ("executors.py", "from cpd.spec import Task\nfrom joblib import Parallel", ["cpd.spec.Task"]),
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
    from cpd.methods import REGISTRY

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
        "import cpd.cli",
        "sys.argv = ['cpd', '--help']; from cpd.cli import main; main()",
        "sys.argv = ['cpd', 'sweep', '--help']; from cpd.cli import main; main()",
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
