"""What is answered from a spec alone never loads torch: the whole command, in a fresh interpreter."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

NEVER = {"torch", "numpy", "pandas", "matplotlib", "plotly", "sklearn", "loky", "distributed", "ray"}

PROGRAM = """
import atexit, json, sys

def loaded():
    print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.__stderr__)

atexit.register(loaded)
import runpy
sys.argv = ["cpd", *sys.argv[1:]]
runpy.run_module("cpd", run_name="__main__")
"""


def loaded_by(words: str, folder: Path) -> tuple[int, str, set[str]]:
    """Exit code of a command, what it said, and the packages that it loaded."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", PROGRAM, *words.split()], cwd=folder, capture_output=True, text=True, check=False
    )
    *said, modules = done.stderr.splitlines()
    return done.returncode, "\n".join(said), set(json.loads(modules))


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ("sweep nosuchtask", 2, "no bundled task or sweep 'nosuchtask'"),
        ("sweep rate --set trian.steps=1", 2, "did you mean 'train'?"),
        ("sweep rate --set train.stps=1", 2, "did you mean 'steps'?"),
        ("sweep misspelt.yaml", 2, "misspelt.yaml: seed: unknown key 'seed'; did you mean 'seeds'?"),
        ("check nosuch", 2, "no bundled task or sweep 'nosuch'"),
        ("check misspelt.yaml", 2, "unknown key 'seed'"),
        ("compare nosuchmethod x", 2, "unknown method 'nosuchmethod'"),
        ("bisect rate", 2, "--target: no target"),
        ("bisect rate --target 0.5 --low 2", 2, "--low: "),
        ("sweep rate --format jsn", 2, "--format: 'jsn' is not a valid choice"),
        ("schema", 0, ""),
        ("tasks", 0, ""),
    ],
)
def test_a_command_without_torch(words: str, code: int, said: str, tmp_path: Path) -> None:
    (tmp_path / "misspelt.yaml").write_text("task: rate\nseed: [1]\n")
    ended, stderr, modules = loaded_by(words, tmp_path)
    assert ended == code, stderr
    assert said in stderr
    assert "cpd" in modules
    assert modules & NEVER == set()


def test_a_training_is_seen_to_load_it(tmp_path: Path) -> None:
    words = "sweep concave --set train.steps=2 --method penalized --set penalized.coefficient=1 --no-store"
    _, _, modules = loaded_by(words, tmp_path)
    assert "torch" in modules
