"""The commands on tasks of programs: searches along any hyperparameter, checks, what is stored and shown again."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
from program_tasks import refused, write_task

from cpd.cli.main import main
from cpd.errors import CpdError
from cpd.results import history
from cpd.run import commands
from cpd.run.bisection import keys_at
from cpd.run.options import Options
from cpd.run.target import with_target
from cpd.spec.overrides import Overrides
from cpd.spec.reader import load_task

VALUES = 'print(\'{"loss": %r, "density": %r}\' % (x, 1 / (1 + x)))'

SLOPE = f"import sys\nx = float(sys.argv[1] or 0) + 10 * float(sys.argv[2] or 0)\n{VALUES}\n"

TWO = """\
command: [{python}, program.py, "{{coefficient}}", "{{dual_lr}}"]
objective: loss
constraints: {{density: "<= 0.5"}}
methods: {{penalized: {{coefficient: 1}}, constrained: {{dual_lr: {{values: [0.01, 0.1]}}}}}}
"""


@pytest.fixture
def two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "program.py").write_text(SLOPE)
    (tmp_path / "task.yaml").write_text(TWO.format(python=json.dumps(sys.executable)))
    return tmp_path / "task.yaml"


def search(path: Path, **words: Any) -> Any:
    task = with_target(load_task(str(path)), words)
    return commands.bisect(task, options=Options(store=path.parent / "runs.sqlite"))


def test_a_bash_program_whose_value_jumps_is_unattainable(tmp_path: Path) -> None:
    (tmp_path / "jump.sh").write_text(
        'case "$1" in 0.00*|0.0*|0.1*|0.2*) echo \'{"loss": 0, "density": 0.9}\';; '
        '*) echo \'{"loss": 1, "density": 0.1}\';; esac\n'
    )
    (tmp_path / "task.yaml").write_text(
        'command: bash jump.sh {coefficient}\nobjective: loss\nconstraints: {density: "<= 0.5"}\n'
        "methods: {penalized: {coefficient: 1}, other: {coefficient: 1}}\nsearch: {target: 0.5}\n"
    )
    result = search(tmp_path / "task.yaml")
    assert result.search["outcome"] == "unattainable"
    assert result.exit_code == 3
    assert "a constrained method can reach a level that no coefficient gives" in result.advice.lower()
    assert result.advice.endswith(f"Try: cpd sweep {tmp_path}/task.yaml --method other --levels density=0.5")


def test_any_hyperparameter_may_be_searched(two: Path) -> None:
    result = search(two, hyperparameter="constrained.dual_lr", target=0.4, high=1.0)
    assert result.search["outcome"] == "solved"
    assert result.search["hyperparameter"] == "constrained.dual_lr"
    best = result.search["iterations"][-1]
    assert best["coefficient"] == pytest.approx(0.15, abs=0.01)
    assert {(run.key.method, *run.key.setting) for run in result.finished} == {("constrained", "dual_lr")}
    _, again = history.load("last", two.parent / "runs.sqlite")
    assert again.document["search"] == result.document["search"]


def test_searches_name_what_they_search(
    two: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ["cpd", "bisect", str(two), "--target", "0.4", "--hyperparameter", "constrained.dual_lr", "--no-store"]
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        main()
    out = capsys.readouterr().out
    assert ended.value.code == 0
    assert " iteration     dual_lr   density %        loss\n" in out
    assert "solved: for density 40 %, dual_lr 0.15" in out


@pytest.mark.parametrize(
    ("task", "words", "message"),
    [
        (TWO.replace("penalized", "mine"), {}, "search.hyperparameter: which hyperparameter?"),
        (TWO, {"hyperparameter": "weight"}, "no hyperparameter 'weight'; write METHOD.NAME"),
    ],
)
def test_what_is_not_to_be_searched(two: Path, task: str, words: dict[str, Any], message: str) -> None:
    two.write_text(task.format(python=json.dumps(sys.executable)))
    with pytest.raises(CpdError) as caught:
        search(two, target=0.4, **words)
    assert message in str(caught.value)


def test_a_problem_is_searched_along_other_hyperparameters_too() -> None:
    task = with_target(load_task("rate"), {"hyperparameter": "nupi.dual_lr", "target": "0.7"})
    (key,) = keys_at(task, [0.5])
    assert (key.method, dict(key.setting)) == ("nupi", {"kp": 1.0, "dual_lr": 0.5})
    with pytest.raises(CpdError, match=r"no hyperparameter 'nupi\.init' that is a number"):
        with_target(load_task("rate"), {"hyperparameter": "nupi.init", "target": "0.7"})
    (key,) = keys_at(with_target(load_task("rate"), {"target": "0.7"}), [0.5])
    assert (key.method, dict(key.setting)) == ("penalized", {"coefficient": 0.5})


def found(path: Path, *assign: str) -> dict[str, tuple[bool, str]]:
    return {one.check: (one.ok, one.found) for one in commands.check(str(path), Overrides(set=assign))}


def test_a_check_runs_the_program_once_with_less_to_do(tmp_path: Path) -> None:
    program = (
        "import os, sys\nassert os.environ['CPD_CHECK'] == '1'\nassert sys.argv[1:3] == ['1', '2']\n"
        "open('beside.txt', 'w').write('x')\nopen(sys.argv[3] + '/own.txt', 'w').write('x')\n"
        'print(\'{"loss": 1.5, "density": 0.25, "accuracy": 0.9}\')\n'
    )
    words = "{coefficient} {steps} {folder}"
    path = write_task(tmp_path, program, words=words, more="arguments: {steps: 100}\ncheck_with: {steps: 2}\n")
    rows = found(path)
    assert rows["spec"] == (True, "task: penalized; 1 runs")
    assert rows["command"] == (True, f"{sys.executable} program.py 1 2 FOLDER")
    assert rows["depends"] == (True, "program.py")
    assert rows["result"] == (True, "loss 1.5, density 0.25; metrics: accuracy")
    assert rows["files"][1].startswith("wrote beside.txt into its own folder: runs at once overwrite each other's")
    assert not (tmp_path / ".cpd").exists()


def test_a_check_of_a_program_that_fails(tmp_path: Path) -> None:
    rows = found(write_task(tmp_path, "print('{\"loss\": 1}')\n"))
    assert rows["result"][0] is False
    assert rows["result"][1].startswith("its result lacks the constraint 'density'")


def test_a_check_has_the_log_line_by_line(tmp_path: Path) -> None:
    path = write_task(tmp_path, "print('on')\nraise ValueError('too much')\n", values="[1, 2]")
    rows = [(one.check, one.ok, one.found) for one in commands.check(str(path))]
    assert ("result", False, "it ended with exit code 1: ValueError: too much") in rows
    assert [row[2] for row in rows if row[0] == "log"][::4] == ["on", "ValueError: too much"]
    words = "coefficient is a list, and one value: for a setting each write {values: [...]}"
    assert ("note", True, words) in rows


def test_an_unknown_device(tmp_path: Path) -> None:
    path = write_task(tmp_path, "")
    assert refused(path, devices=("gpu:1",)) == ("--devices: unknown device 'gpu:1'; write cpu, cuda, cuda:1 or mps")
