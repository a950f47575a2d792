"""Bad input at the command line: one whole line on stderr, exit code 2, nothing on stdout, no traceback of cpd's."""

import csv
import io
import os
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import typer
from command_line import SPEC, InProcess
from commands import Command, Finished
from wording import THEIRS, ours

from cpd.cli.main import app
from cpd.methods.registry import REGISTRY
from cpd.spec.bundled import bundled

METHODS = ", ".join(REGISTRY)
NUMBER = "write a number like 0.5 or 1e-3"
GRID = "methods.penalized.coefficient"
SGD = "lr, momentum, dampening, weight_decay, nesterov, maximize"
OPTIMIZERS = "SGD, Adam, AdamW, RMSprop, Adagrad, Adadelta, Adamax, NAdam, RAdam, ASGD, Rprop, Adafactor, Muon, LBFGS"
KEYS = (
    "task, description, problem, arguments, depends, objective, constraints, train, seeds, methods, levels, search, "
    "budget, transfer, held_out, judge, command, timeout, files, check_with"
)
BUNDLED = ", ".join(one.name for one in bundled())
COMMANDS = ("sweep", "bisect", "check")
HERE = "cpu" + "".join(f", cuda:{k}" for k in range(torch.cuda.device_count()))
HERE += ", mps" if torch.backends.mps.is_available() else ""


@pytest.fixture
def cpd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> InProcess:
    return InProcess(tmp_path, monkeypatch, capsys)


def refused(done: Finished, line: str) -> None:
    """The one line and nothing else."""
    expected = f"cpd: {line}\n"
    assert (done.rc, done.stdout, ours(done.stderr, expected)) == (2, "", expected)


def all_commands() -> list[str]:
    group: Any = typer.main.get_command(app)
    return list(group.commands)


def no_store(cpd: InProcess) -> None:
    """A refused sweep leaves no sweep behind."""
    assert cpd("runs", "--format", "csv").stdout.strip() == ""


# --- the file


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("no.yaml", "no.yaml: no such file; check the path; cpd tasks lists the bundled ones"),
        ("no/no.yaml", "no/no.yaml: no such file; check the path; cpd tasks lists the bundled ones"),
        (
            "tabel1",
            f"no bundled task or sweep 'tabel1'; did you mean 'table1'? Valid: {BUNDLED}; or a path to a YAML file",
        ),
        (".", ".: is a folder; name a YAML file in it"),
        ("folder.yaml", "folder.yaml: is a folder; name a YAML file in it"),
        ("folder.yaml/", "folder.yaml/: is a folder; name a YAML file in it"),
        ("mine.py", f"mine.py:6:24: not valid YAML: {THEIRS}; "
         "check indentation, brackets and quotes from there upwards"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", COMMANDS)
def test_a_task_that_is_no_file(command: str, name: str, line: str, cpd: InProcess) -> None:
    Path("folder.yaml").mkdir()
    refused(cpd(command, name), line)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read every file")
def test_a_task_that_may_not_be_read(cpd: InProcess) -> None:
    Path("mine.yaml").chmod(0)
    line = "mine.yaml: cannot be read: Permission denied; check the path and its permissions"
    refused(cpd("sweep", "mine.yaml"), line)


BAD_TEXTS: dict[str, tuple[str | bytes, str]] = {
    "empty": (
        "",
        "x.yaml: is empty, a mapping was expected; write keys and values, e.g. problem: package.module:Class",
    ),
    "list": (
        "- 1\n",
        "x.yaml:1:1: a mapping was expected, not a list; write keys and values, e.g. problem: package.module:Class",
    ),
    "tab": (
        SPEC.replace("seeds:", "\tseeds:"),
        f"x.yaml:6:1: not valid YAML: {THEIRS}; indent with spaces, not tabs",
    ),
    "bracket": (
        SPEC.replace("dtype: float64}", "dtype: float64"),
        f"x.yaml:6:6: not valid YAML: {THEIRS}; check indentation, brackets and quotes from there upwards",
    ),
    "two documents": (
        f"{SPEC}---\nseeds: [2]\n",
        "x.yaml:10:1: a second document starts; keep one, remove the line '---'",
    ),
    "duplicate key": (
        f"{SPEC}seeds: [2]\n",
        "x.yaml:10:1: the key 'seeds' is on line 6 and again on line 10; keep one of them",
    ),
    "not UTF-8": (
        SPEC.encode().replace(b"interval", b"caf\xe9"),
        "x.yaml:1:38: byte 0xe9 is not UTF-8; save the file as UTF-8",
    ),
    "UTF-16": (SPEC.encode("utf-16"), "x.yaml:1:1: is UTF-16, not UTF-8; save the file as UTF-8"),
    "NUL": (SPEC.replace("interval", "\0"), "x.yaml:1:35: the character U+0000 is not allowed; remove it"),
    "alias": (
        "a: &one [1]\nb: *one\n",
        "x.yaml:1:4: anchors and aliases (&one) are not allowed; write the value out",
    ),
    "merge key": ("a: {<<: 1}\n", "x.yaml:1:5: merge keys (<<) are not allowed; write the keys out"),
    "deep": (f"a: {'[' * 100_000}", "x.yaml:1:53: nested deeper than 50 levels; flatten it"),
    "large": (
        f"#{'x' * 1_000_000}\n",
        "x.yaml: is larger than 1 MB; write long grids as {min, max, num, scale}",
    ),
}


@pytest.mark.parametrize("kind", BAD_TEXTS)
def test_a_task_that_is_no_strict_yaml(kind: str, cpd: InProcess) -> None:
    content, line = BAD_TEXTS[kind]
    cpd.write("x.yaml", content)
    refused(cpd("sweep", "x.yaml"), line)


@pytest.mark.parametrize(
    "tag",
    [
        "!!python/object/apply:os.system ['touch canary']",
        "!!python/object/new:subprocess.Popen [['touch', 'canary']]",
        "!!python/name:os.system ''",
        "!!python/module:canary_module ''",
    ],
)
def test_a_python_tag_is_refused_and_runs_nothing(tag: str, cpd: InProcess) -> None:
    cpd.write("canary_module.py", "open('canary', 'w')\n")
    cpd.write("x.yaml", f"{SPEC}arguments: {{size: {tag}}}\n")
    refused(cpd("sweep", "x.yaml"), f"x.yaml:10:19: tags ({tag.split(' ')[0]}) are not allowed; write a plain value")
    assert not Path("canary").exists()


def test_a_sweep_whose_task_is_not_there(cpd: InProcess) -> None:
    cpd.write("x.yaml", "task: ../mine.yaml\n")
    refused(cpd("sweep", "x.yaml"), "x.yaml: task: no such file '../mine.yaml'; the path starts at this file's folder")


def test_an_error_names_the_file_that_has_the_key(cpd: InProcess) -> None:
    cpd.edit("mine.yaml", "lr: 0.1}", "lr: 0.1, momentun: 1}")
    cpd.write("x.yaml", "task: mine.yaml\narguments: {sise: 3}\n")
    refused(
        cpd("sweep", "x.yaml"),
        "x.yaml: arguments.sise: Mine takes no argument 'sise'; did you mean 'size'? Valid: size",
    )
    cpd.write("x.yaml", "task: mine.yaml\nseeds: [2]\n")
    line = f"SGD takes no option 'momentun'; did you mean 'momentum'? Valid: {SGD}"
    refused(cpd("sweep", "x.yaml"), f"mine.yaml: train.optimizer.momentun: {line}")


def test_what_a_problem_says_of_its_arguments_names_the_spec(cpd: InProcess) -> None:
    line = "'x' is not used by data: digits; leave it out, or set data: mnist"
    refused(cpd("sweep", "sparsity", "--set", "arguments.folder=x"), f"--set arguments.folder: {line}")
    cpd.write("x.yaml", "task: sparsity\narguments: {folder: x}\n")
    refused(cpd("sweep", "x.yaml"), f"x.yaml: arguments.folder: {line}")


# --- keys and values

EDITS = {
    "key": ("seeds:", "seed:", f"seed: unknown key 'seed'; did you mean 'seeds'? Valid: {KEYS}"),
    "method": (
        "penalized:",
        "penalised:",
        f"methods.penalised: unknown method 'penalised'; did you mean 'penalized'? Valid: {METHODS}",
    ),
    "optimizer": (
        "name: SGD",
        "name: SDG",
        f"train.optimizer.name: unknown optimizer 'SDG'; did you mean 'SGD'? Valid: {OPTIMIZERS}",
    ),
    "optimizer that cannot be fused": (
        "name: SGD",
        "name: SparseAdam",
        "train.optimizer.name: SparseAdam takes sparse gradients alone; use Adam",
    ),
    "optimizer's option": (
        "lr: 0.1}",
        "lr: 0.1, momentun: 0.9}",
        f"train.optimizer.momentun: SGD takes no option 'momentun'; did you mean 'momentum'? Valid: {SGD}",
    ),
    "engine's option": (
        "lr: 0.1}",
        "lr: 0.1, foreach: true}",
        f"train.optimizer.foreach: SGD takes no option 'foreach'; valid: {SGD}",
    ),
    "optimizer's value": (
        "lr: 0.1}",
        "lr: 0.1, momentum: -1}",
        "train.optimizer: SGD refuses {lr: 0.1, momentum: -1}: Invalid momentum value: -1; "
        f"fix the value; SGD takes {SGD}",
    ),
    "hyperparameter": (
        "{coefficient:",
        "{coeficient:",
        "methods.penalized.coeficient: unknown hyperparameter 'coeficient'; "
        "did you mean 'coefficient'? Valid: coefficient",
    ),
    "not a number": (
        "[0.1, 1]",
        "[0.1, low]",
        f"methods.penalized.coefficient: 'low' is not a number; {NUMBER}",
    ),
    "NaN": ("[0.1, 1]", "[.nan, 1]", f"{GRID}.values: .nan is not a finite number; {NUMBER}"),
    "infinite": ("[0.1, 1]", "[1, .inf]", f"{GRID}.values: .inf is not a finite number; {NUMBER}"),
    "too large": ("[0.1, 1]", "[1e400]", f"{GRID}.values: 1e400 is not a finite number; {NUMBER}"),
    "negative": (
        "[0.1, 1]",
        "[-1, 1]",
        "methods.penalized.coefficient: -1 is out of range; write a number from 0 on",
    ),
    "empty grid": (
        "[0.1, 1]",
        "[]",
        "methods.penalized.coefficient: values is empty; write {values: [0.1, 1]}",
    ),
    "log grid from 0": (
        "{values: [0.1, 1]}",
        "{min: 0, max: 1, num: 3, scale: log}",
        "methods.penalized.coefficient: a log grid cannot start at 0; start above 0; {values: [0, ...]} may hold 0",
    ),
    "short grid": (
        "{values: [0.1, 1]}",
        "{min: 0.1, max: 1}",
        "methods.penalized.coefficient: a grid without num; write {values: [0.1, 1]} or {min: 0.1, max: 1, num: 5}",
    ),
    "steps": ("steps: 3", "steps: 0", "train.steps: expected an integer >= 1, got 0"),
    "dtype": (
        "float64",
        "float16",
        "train.dtype: 'float16' is not a valid choice; did you mean 'float64'? Valid: float32, float64",
    ),
    "sense": (
        '"<= 0.5"',
        '"=< 0.5"',
        "constraints.g: '=< 0.5' is no constraint; write e.g. \">= 0.7\", with <=, >= or ==",
    ),
    "problem's form": (
        "mine.py:Mine",
        "mine.py",
        "problem: 'mine.py' is no problem; write package.module:Class or file.py:Class",
    ),
    "problem's file": (
        "mine.py:Mine",
        "min.py:Mine",
        "problem: no file 'min.py'; its path starts at the spec's folder",
    ),
    "problem's module": (
        "mine.py:Mine",
        "no.such:Mine",
        "problem: no module 'no.such'; install it or put it beside the spec; "
        "write package.module:Class or file.py:Class",
    ),
    "problem's class": (
        "mine.py:Mine",
        "mine.py:Mien",
        "problem: no class 'Mien' in 'mine.py'; did you mean 'Mine'? Valid: Mine",
    ),
    "an argument": (
        "objective: error",
        "arguments: {sise: 3}",
        "arguments.sise: Mine takes no argument 'sise'; did you mean 'size'? Valid: size",
    ),
    "a constraint too many": (
        '{g: "<= 0.5"}',
        '{g: "<= 0.5", h: "<= 1"}',
        "constraints.h: mine.py:Mine.evaluate() does not return 'h'; return it there or remove it here; "
        "it returns: g",
    ),
    "a constraint's name": (
        '{g: "<= 0.5"}',
        '{G: "<= 0.5"}',
        "constraints.G: mine.py:Mine.evaluate() does not return 'G'; return it there or remove it here; "
        "it returns: g",
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", ["sweep", "check"])
@pytest.mark.parametrize("kind", EDITS)
def test_a_key_or_value_of_the_task(kind: str, command: str, cpd: InProcess) -> None:
    old, new, line = EDITS[kind]
    cpd.edit("mine.yaml", old, new)
    refused(cpd(command, "mine.yaml"), f"mine.yaml: {line}")
    no_store(cpd)


def test_a_number_as_people_write_it_is_one(cpd: InProcess) -> None:
    cpd.edit("mine.yaml", "[0.1, 1]", "[1e-3, 1E1, 0.001]")
    done = cpd("sweep", "mine.yaml", "--method", "penalized", "--format", "csv")
    assert [line.split(",")[2] for line in done.stdout.splitlines()[1:]] == ["0.001", "10.0"]
    assert done.stderr == "note: methods.penalized: 1 of 3 left out as duplicates\n"


# --- the problem's code

CODE = {
    "not Python": (
        "def data(self):",
        "def data(self:",
        f"mine.yaml: problem: 'mine.py:10' is not valid Python: {THEIRS}; fix the file",
    ),
    "missing package": (
        "import torch\n",
        "import torch\nimport numpi\n",
        f"mine.yaml: problem: 'mine.py' cannot be imported: ModuleNotFoundError: {THEIRS}'numpi' "
        "(line 2 of mine.py); fix the file, or install what it needs",
    ),
    "raises when imported": (
        "import torch\n",
        "import torch\n1 / 0\n",
        f"mine.yaml: problem: 'mine.py' cannot be imported: ZeroDivisionError: {THEIRS} "
        "(line 2 of mine.py); fix the file, or install what it needs",
    ),
    "ends Python": (
        "import torch\n",
        "import torch\nraise SystemExit(0)\n",
        "mine.yaml: problem: 'mine.py' cannot be imported: SystemExit: 0 "
        "(line 2 of mine.py); fix the file, or install what it needs",
    ),
    "no cpd.Problem": (
        "(cpd.Problem)",
        "",
        "mine.yaml: problem: 'Mine' in 'mine.py' is not a cpd.Problem; write class Mine(cpd.Problem): there",
    ),
    "needs an argument": (
        "size: int = 8",
        "size: int",
        "mine.yaml: arguments: Mine needs the argument 'size'; add arguments: {size: VALUE}",
    ),
    "data": (
        "return (torch",
        "return ['three', 4]\n        return (torch",
        "mine.py:Mine.data(): entry 1 is a str; return tensors in a tuple, a list or a dict, a torch Dataset, or None",
    ),
    "no model": (
        "return torch.nn.Linear(1, 1)",
        "torch.nn.Linear(1, 1)",
        "mine.py:Mine.model(): returned NoneType; return a torch.nn.Module",
    ),
    "no parameters": (
        "torch.nn.Linear(1, 1)",
        "torch.nn.Identity()",
        "mine.py:Mine.model(): returned a Identity without trainable parameters; "
        "give it parameters with requires_grad=True",
    ),
    "no Evaluation": (
        "return cpd.Evaluation(",
        "return y\n        return cpd.Evaluation(",
        "mine.py:Mine.evaluate(): returned Tensor; return cpd.Evaluation(objective, ...)",
    ),
    "vector objective": (
        "(y - 1).square().mean()",
        "(y - 1).square()",
        "mine.py:Mine.evaluate(): objective must be a scalar tensor, got shape [8, 1]; reduce it, e.g. with .mean()",
    ),
    "objective that is no tensor": (
        "(y - 1).square().mean()",
        "0.5",
        "mine.py:Mine.evaluate(): objective must be a scalar tensor, got float; reduce it, e.g. with .mean()",
    ),
    "matrix constraint": (
        '{"g": y.mean()}',
        '{"g": y}',
        "mine.py:Mine.evaluate(): constraints['g'] must be a scalar or [k] tensor, got shape [8, 1]; "
        "reduce or flatten it",
    ),
    "constraints that are no dict": (
        '{"g": y.mean()}',
        "y.mean()",
        "mine.py:Mine.evaluate(): constraints must be a dict of tensors by name, got Tensor; "
        "write constraints={'NAME': VALUE}",
    ),
    "strict of another shape": (
        '{"g": y.mean()}',
        '{"g": y.mean()}, strict={"g": y[:, 0]}',
        "mine.py:Mine.evaluate(): strict['g'] has shape [8], constraints['g'] has []; give both the same shape",
    ),
    "strict of another name": (
        '{"g": y.mean()}',
        '{"g": y.mean()}, strict={"h": y.mean()}',
        "mine.py:Mine.evaluate(): strict names 'h', which is no constraint; valid: g",
    ),
    "vector metric": (
        '"largest": y.max()',
        '"largest": y',
        "mine.py:Mine.evaluate(): metrics['largest'] must be a scalar tensor, got shape [8, 1]; "
        "reduce it, e.g. with .mean()",
    ),
    "another constraint": (
        '{"g": y.mean()}',
        '{"g": y.mean(), "h": y.max()}',
        "mine.yaml: constraints: mine.py:Mine.evaluate() returns 'h', which is not among them; "
        'add h: {level: VALUE, sense: "<="}; they are: g',
    ),
}  # fmt: skip


@pytest.mark.parametrize("command", ["sweep", "check"])
@pytest.mark.parametrize("kind", CODE)
def test_a_problem_that_breaks_its_contract(kind: str, command: str, cpd: InProcess) -> None:
    old, new, line = CODE[kind]
    cpd.edit("mine.py", old, new)
    refused(cpd(command, "mine.yaml"), line)
    no_store(cpd)


RAISE = 'raise ValueError("no [red]luck[/red] \\x1b[31m")'
RAISING = {
    "Mine()": ("        self.size = size\n", 9, "__init__"),
    "Mine.data()": ("        return (torch.linspace(0, 1, self.size)[:, None],)\n", 12, "data"),
    "Mine.model()": ("        return torch.nn.Linear(1, 1)\n", 15, "model"),
    "Mine.evaluate()": ("        y = model(batch[0])\n", 18, "evaluate"),
}


@pytest.mark.parametrize("command", ["sweep", "check"])
@pytest.mark.parametrize("where", RAISING)
def test_a_problem_that_raises_keeps_its_own_traceback(where: str, command: str, cpd: InProcess) -> None:
    old, line, function = RAISING[where]
    cpd.edit("mine.py", old, f"{old}        {RAISE}\n" if where == "Mine()" else f"        {RAISE}\n{old}")
    line = line if where == "Mine()" else line - 1
    done = cpd(command, "mine.yaml")
    text = r"ValueError: no [red]luck[/red] \x1b[31m"
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr == (
        "Traceback (most recent call last):\n"
        f'  File "{cpd.folder / "mine.py"}", line {line}, in {function}\n'
        f"    {RAISE}\n"
        f"{text}\n"
        f"cpd: mine.py:Mine: {where} raised {text}\n"
    )
    no_store(cpd)


def test_a_measure_that_raises_shows_before_the_training(cpd: InProcess) -> None:
    code = (cpd.folder / "mine.py").read_text()
    cpd.write("mine.py", code + "\n    def measure(self, model, batch):\n        return batch['examples']\n")
    done = cpd("sweep", "mine.yaml")
    assert (done.rc, done.stdout) == (2, "")
    lines = done.stderr.splitlines()
    assert lines[:3] == [
        "Traceback (most recent call last):",
        f'  File "{cpd.folder / "mine.py"}", line 21, in measure',
        "    return batch['examples']",
    ]
    assert lines[-1] == (
        "cpd: mine.py:Mine: Mine.measure() raised TypeError: tuple indices must be integers or slices, not str"
    )


def test_a_run_that_raises_alone_fails_and_the_others_are_shown(cpd: InProcess) -> None:
    cpd.edit(
        "mine.py",
        "        return torch.nn.Linear(1, 1)",
        "        if torch.initial_seed() == 2:\n            raise ValueError('two')\n"
        "        return torch.nn.Linear(1, 1)",
    )
    done = cpd("sweep", "mine.yaml", "--seeds", "1,2", "--method", "penalized", "--format", "csv")
    assert done.rc == 1
    statuses = [(row["seed"], row["status"]) for row in csv.DictReader(io.StringIO(done.stdout))]
    assert statuses == [("1", "completed"), ("2", "failed"), ("1", "completed"), ("2", "failed")]
    failed = "failed: penalized coefficient={} seed 2: ValueError: two\n"
    assert done.stderr == (
        failed.format("0.1")
        + failed.format("1.0")
        + "\n2 run(s) failed with this error, the first with seed 2:\nTraceback (most recent call last):\n"
        f'  File "{cpd.folder / "mine.py"}", line 15, in model\n'
        "    raise ValueError('two')\nValueError: two\n"
    )


def test_debug_shows_the_traceback(cpd: InProcess) -> None:
    quiet, loud = cpd("sweep", "no.yaml"), cpd("sweep", "no.yaml", "--debug")
    assert (loud.rc, loud.stdout) == (2, "")
    assert loud.stderr.startswith("Traceback (most recent call last):\n")
    assert loud.stderr.endswith(f"\n{quiet.stderr}")
    assert re.search(r'File ".*yaml\.py", line \d+, in load_yaml', loud.stderr)


# --- the words after cpd

WORDS = {
    "--frmat json": "--frmat: no such option; did you mean '--format'? See cpd sweep --help",
    "--zzz": "--zzz: no such option; see cpd sweep --help",
    "more": "sweep: got unexpected extra argument(s) (more); see cpd sweep --help",
    "--format": "--format: needs a value; see cpd --help",
    "--format jsn": (
        "--format: 'jsn' is not a valid choice; did you mean 'json'? Valid: table, json, csv, markdown, latex"
    ),
    "--engine fast": "--engine: 'fast' is not a valid choice; valid: auto, eager, captured, compiled",
    "--backend dusk": "--backend: 'dusk' is not a valid choice; did you mean 'dask'? Valid: local, dask, ray",
    "--jobs two": "--jobs: expected an integer >= 1, got 'two'",
    "-j 0": "--jobs: expected an integer >= 1, got '0'",
    "--gap=-1": "--gap: expected a number >= 0, or a share such as 5%, got '-1'",
    "--fuse many": "--fuse: expected an integer >= 1, auto or off, got 'many'",
    "--fuse 0": "--fuse: expected an integer >= 1, auto or off, got '0'",
    "--seeds 5:5": "--seeds: '5:5' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4",
    "--seeds 1,x": "--seeds: '1,x' gives no seeds; write e.g. 1,2,7, or 0:5 for 0 to 4",
    "--seeds 0:1000000": (
        "mine.yaml: makes 4,000,000 runs; at most 100,000; make its grids shorter, or raise --max-runs"
    ),
    "--levels g": "--levels: expected NAME=VALUE, got 'g'",
    "--levels h=1": "--levels h: no constraint 'h'; valid: g",
    "--levels g=high": f"--levels g: 'high' is not a number; {NUMBER}",
    "--method nupy": f"unknown method 'nupy'; did you mean 'nupi'? Valid: {METHODS}",
    "--method nupi": (
        "mine.yaml: methods: no settings for 'nupi'; give some: --set nupi.dual_lr=VALUES; "
        "it has: penalized, lagrangian"
    ),
    "--set coefficient=1": (
        f"--set coefficient: 'coefficient' is neither a method nor a key that can be set; valid: {METHODS}, arguments, "
        "budget, constraints, held_out, judge, levels, objective, search, seeds, timeout, train, transfer"
    ),
    "--set penalized=1": "--set penalized: 'penalized' is no single value; write penalized.NAME=VALUE",
    "--set penalized.coefficient": "--set: expected NAME=VALUE, got 'penalized.coefficient'",
    "--set penalized.coef=1": "--set penalized.coef: unknown hyperparameter 'coef'; valid: coefficient",
    "--set penalized.coefficient=1:2": (
        "--set penalized.coefficient: '1:2' is no range; write MIN:MAX:NUM or MIN:MAX:NUM:log"
    ),
    "--set penalized.coefficient=0:1:3:log": (
        "--set penalized.coefficient: a log grid cannot start at 0; start above 0; {values: [0, ...]} may hold 0"
    ),
    "--set penalized.coefficient=nan": f"--set penalized.coefficient: 'nan' is not a number; {NUMBER}",
    "--set train.stps=1": (
        "--set train.stps: unknown key 'stps'; did you mean 'steps'? Valid: steps, epochs, batch_size, "
        "constraint_batch_size, optimizer, dtype, groups, schedule, clip, average, accumulate, "
        "measure_every, select, stop, multipliers_share, autocast"
    ),
    "--set train.optimizer.momentun=1": (
        f"--set train.optimizer.momentun: SGD takes no option 'momentun'; did you mean 'momentum'? Valid: {SGD}"
    ),
    "--set arguments.sise=3": ("--set arguments.sise: Mine takes no argument 'sise'; did you mean 'size'? Valid: size"),
    "--set constraints.h.level=1": "--set constraints.h.level: no constraint 'h'; valid: g",
    "--device gpu": f"--device: unknown device 'gpu'; valid: {HERE}",
    "--device cuda:99": f"--device: no device 'cuda:99' here; available: {HERE}",
    "--devices cpu,cuda:99": f"--devices: no device 'cuda:99' here; available: {HERE}",
}


@pytest.mark.parametrize("words", WORDS)
def test_a_word_of_sweep(words: str, cpd: InProcess) -> None:
    refused(cpd("sweep", "mine.yaml", *words.split()), WORDS[words])
    no_store(cpd)


COMMAND_LINES = {
    "sweep": "sweep: the argument TASK is missing; see cpd sweep --help",
    "compare": "compare: the argument TASK is missing; see cpd compare --help",
    "compare penalized penalised": f"unknown method 'penalised'; did you mean 'penalized'? Valid: {METHODS}",
    "compare penalized nupi --task mine.yaml": (
        "mine.yaml: methods: no settings for 'nupi'; give some: --set nupi.dual_lr=VALUES; "
        "it has: penalized, lagrangian"
    ),
    "check mine.yaml --device gpu": f"--device: unknown device 'gpu'; valid: {HERE}",
    "export last": "export: the option --to is missing; see cpd export --help",
    "bisect mine.yaml": "--target: no target; write --target-g VALUE",
    "bisect mine.yaml --target-g": "--target: no target; write --target-g VALUE",
    "bisect mine.yaml --target high": "--target: 'high' is not a number; give a number, e.g. 0.5",
    "bisect mine.yaml --target-g nan": "--target-g: NaN is not a number; write a number like 0.5 or 1e-3",
    "bisect mine.yaml --target-h 0.5": "--target-h: no constraint 'h'; valid: g",
    "bisect mine.yaml --target 1 --low 1": "--low: low 1 is not below high 1; the search needs two different ends",
    "bisect mine.yaml --target 1 --low 0": "--low: 0.0 is out of range; write a number above 0",
    "bisect mine.yaml --target 1 --high inf": "--high: Infinity is not a number; write a number like 0.5 or 1e-3",
    "bisect mine.yaml --target 1 --tolerance 0": "--tolerance: 0.0 is out of range; write a number above 0",
    "bisect mine.yaml --target 1 --tolerance x": "--tolerance: expected a number, got 'x'",
    "bisect mine.yaml --target 1 --max-trainings 1": ("--max-trainings: expected an integer >= 2, got 1"),
    "bisect mine.yaml --target 1 --strategy newton": (
        "--strategy: 'newton' is not a valid choice; valid: bisection, illinois, coordinates, simplex"
    ),
}


@pytest.mark.parametrize("words", COMMAND_LINES)
def test_a_command_line(words: str, cpd: InProcess) -> None:
    refused(cpd(*words.split()), COMMAND_LINES[words])
    no_store(cpd)


def test_an_unknown_command_names_them_all(cpd: InProcess) -> None:
    names = all_commands()
    assert {"sweep", "compare", "bisect", "tasks", "check"} <= set(names)
    refused(cpd("swep", "mine.yaml"), f"no command 'swep'; did you mean 'sweep'? Valid: {', '.join(names)}")


def test_without_words_the_help_is_shown(cpd: InProcess) -> None:
    done = cpd()
    assert (done.rc, done.stdout) == (2, "")
    assert done.stderr.startswith("Usage: cpd [OPTIONS] COMMAND [ARGS]...\n")


# --- the same with a process of its own


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("sweep no.yaml", "no.yaml: no such file; check the path; cpd tasks lists the bundled ones"),
        ("sweep rate --format jsn", WORDS["--format jsn"]),
        ("sweep rate --device gpu", WORDS["--device gpu"]),
        ("bisect rate", "--target: no target; write --target-class0_rate VALUE"),
    ],
)
def test_a_process_ends_with_the_line_and_exit_code_2(words: str, line: str, cpd_command: Command) -> None:
    refused(cpd_command(*words.split()), line)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device here")
def test_an_unavailable_device_is_refused_before_anything_is_read(cpd_command: Command) -> None:
    refused(cpd_command("sweep", "rate", "--device", "cuda"), f"--device: no device 'cuda' here; available: {HERE}")
