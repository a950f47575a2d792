"""A spec is read, or refused, by a process that loads nothing heavy."""

import json
import subprocess
import sys
from pathlib import Path
from textwrap import dedent, indent
from typing import Any

import pytest
from spec_files import Write, writer

HEAVY = {"torch", "numpy", "pandas", "sklearn", "joblib", "matplotlib", "plotly"}
MOST_SECONDS = 0.5


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    return writer(tmp_path, monkeypatch)


def run_fresh(program: str) -> dict[str, Any]:
    """Run a program in a fresh interpreter; the packages that it has loaded, its CPU seconds, its error."""
    wrapped = (
        "import json, resource, sys\nfrom cpd.errors import CpdError\nerror = None\ntry:\n"
        + indent(dedent(program), "    ")
        + "\nexcept CpdError as caught:\n    error = str(caught)\n"
        + "loaded = sorted({name.split('.')[0] for name in sys.modules})\n"
        + "seconds = resource.getrusage(resource.RUSAGE_SELF).ru_utime\n"
        + "print(json.dumps({'loaded': loaded, 'seconds': seconds, 'error': error}))\n"
    )
    done = subprocess.run([sys.executable, "-P", "-c", wrapped], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize(
    ("program", "error"),
    [
        ("from cpd.spec.reader import load_task; load_task('rate')", None),
        ("from cpd.spec.reader import load_task; load_task('figure2')", None),
        ("from cpd.spec.reader import load_task; load_task('x.yaml')", None),
        ("from cpd.spec.schema import file_schema; file_schema()", None),
        ("from cpd.spec.identity import runs\nfrom cpd.spec.reader import load_task\nruns(load_task('table1'))", None),
        ("from cpd.spec.reader import load_task; load_task('nosuchtask')", "no bundled task or sweep 'nosuchtask'"),
        ("from cpd.spec.reader import load_task; load_task('misspelt.yaml')", "misspelt.yaml: trian: unknown key"),
    ],
)
def test_a_spec_is_read_without_torch(program: str, error: str | None, write: Write) -> None:
    write()
    Path("helper.py").write_text("import torch\n")
    Path("mine.py").write_text("import numpy\nimport helper\nclass Mine: pass\n")
    write("misspelt.yaml", train=None, trian="{steps: 1}")
    found = run_fresh(program)
    assert "cpd" in found["loaded"]
    assert HEAVY.isdisjoint(found["loaded"])
    assert found["error"] is None if error is None else found["error"].startswith(error)
    assert found["seconds"] < MOST_SECONDS
