"""The examples run from top to bottom, and what is kept of them in git is of their sources, and small."""

import base64
import importlib.util
import json
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from commands import ROOT

EXAMPLES = ROOT / "examples"
NAMES = ["cnn", "fairness", "paper-in-five-minutes"]
SHOWN = {"cnn": 1, "fairness": 1, "paper-in-five-minutes": 2}
"""How many pictures each has at least."""


def loaded(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


execute = loaded(EXAMPLES / "execute.py")


def kept(name: str, folder: Path = EXAMPLES) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / f"{name}.ipynb").read_text(encoding="utf-8"))
    return found


def joined(text: str | list[str]) -> str:
    return text if isinstance(text, str) else "".join(text)


def outputs(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [output for cell in notebook["cells"] if cell["cell_type"] == "code" for output in cell["outputs"]]


def pictures(notebook: dict[str, Any]) -> list[bytes]:
    shown = [output["data"]["image/png"] for output in outputs(notebook) if "image/png" in output.get("data", {})]
    return [base64.b64decode(joined(one)) for one in shown]


def printed(notebook: dict[str, Any]) -> str:
    """All that was printed, on either stream."""
    return "".join(joined(output["text"]) for output in outputs(notebook) if output["output_type"] == "stream")


def check_shown(name: str, notebook: dict[str, Any]) -> None:
    """Every cell ran, in order, and the notebook shows a result as a table, and pictures."""
    ran = [cell["execution_count"] for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert ran == list(range(1, len(ran) + 1))
    assert [o for o in outputs(notebook) if o["output_type"] == "error"] == []
    assert any("<table" in joined(o.get("data", {}).get("text/html", "")) for o in outputs(notebook))
    assert len(pictures(notebook)) >= SHOWN[name]


def test_every_example_is_tested() -> None:
    assert execute.names() == NAMES
    assert sorted(path.stem for path in EXAMPLES.glob("*.ipynb")) == NAMES


def test_a_source_becomes_cells_of_text_and_code() -> None:
    source = (
        "# %% [markdown]\n# # A title\n#\n# - text\n# %%\nx = 1\n\n\n# %% [markdown]\n# more\n# %%\n# a comment\nx\n"
    )
    found = [("markdown", "# A title\n\n- text"), ("code", "x = 1"), ("markdown", "more"), ("code", "# a comment\nx")]
    assert execute.cells(source) == found


@pytest.mark.parametrize("name", NAMES)
def test_a_kept_notebook_is_of_its_source_whole_and_small(name: str) -> None:
    notebook, path = kept(name), EXAMPLES / f"{name}.ipynb"
    cells = [(cell["cell_type"], joined(cell["source"])) for cell in notebook["cells"]]
    assert cells == execute.cells((EXAMPLES / f"{name}.py").read_text(encoding="utf-8")), (
        "run: python examples/execute.py"
    )
    check_shown(name, notebook)
    assert path.stat().st_size < 200_000
    assert max(map(len, pictures(notebook))) < 40_000
    text = path.read_text(encoding="utf-8")
    assert [word for word in ("/tmp/", "/home/", "/root/", "Traceback", "Warning") if word in text] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_an_example_runs_from_top_to_bottom(name: str, tmp_path: Path) -> None:
    """Its own asserts say that what it computes anew is what the tables say."""
    for package in ("nbclient", "nbformat", "ipykernel"):
        pytest.importorskip(package, reason=f"{package} is missing: pip install '.[notebooks]'")
    command = [sys.executable, "-P", str(EXAMPLES / "execute.py"), name, "--to", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout == f"executed: {name}.ipynb\n"
    notebook = kept(name, tmp_path)
    check_shown(name, notebook)
    if name == "cnn":
        numbers = printed(notebook).split("weights left, accuracy ")[1]
        assert float(numbers.partition("%")[0]) > 90
