"""Sweeps of Weights & Biases as tasks: the command, the grids, the seeds, and what is said of the rest."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.spec.foreign.importing import imported
from cpd.spec.yaml import parse_yaml


def task(folder: Path, sweep: str, **options: Any) -> tuple[dict[str, Any], str]:
    file = folder / "sweep.yaml"
    file.write_text(sweep, encoding="utf-8")
    text = imported(str(file), folder, **options)
    read = parse_yaml(text, "task.yaml")
    if isinstance(read["command"], str):
        read["command"] = shlex.split(read["command"])
    return read, " ".join(line.lstrip(" #") for line in text.splitlines())


SWEEP = """
program: train.py
method: {method}
metric: {{name: val_loss, goal: minimize}}
parameters:
  {parameters}
"""


def of(folder: Path, *parameters: str, method: str = "bayes") -> tuple[dict[str, Any], str]:
    return task(folder, SWEEP.format(method=method, parameters="\n  ".join(parameters)))


def test_the_command_has_a_flag_for_each_parameter_in_their_order(tmp_path: Path) -> None:
    read, _ = of(tmp_path, "lr: {values: [0.1, 0.01]}", "epochs: {value: 10}", "lambda: {values: [1, 2]}")
    assert read["command"] == ["python", "train.py", "--lr={lr}", "--epochs=10", "--lambda={lambda}"]
    assert read["objective"] == "val_loss"
    assert read["methods"] == {"penalized": {"lambda": {"values": [1, 2]}, "lr": {"values": [0.1, 0.01]}}}
    assert list(read["methods"]["penalized"]) == ["lambda", "lr"], "the weight is what settings are judged along"


@pytest.mark.parametrize(
    ("spec", "grid"),
    [
        ("{min: 0.5, max: 2.0}", {"min": 0.5, "max": 2, "num": 7, "scale": "linear"}),
        (
            "{distribution: log_uniform_values, min: 1e-4, max: !!float 1e-1}",
            {"min": 1e-4, "max": 0.1, "num": 7, "scale": "log"},
        ),
        (
            "{distribution: inv_log_uniform_values, min: 0.1, max: 10}",
            {"min": 0.1, "max": 10, "num": 7, "scale": "log"},
        ),
        (
            "{distribution: log_uniform, min: -2, max: 0}",
            {"min": 0.1353352832366127, "max": 1, "num": 7, "scale": "log"},
        ),
        (
            "{distribution: inv_log_uniform, min: 0, max: 2}",
            {"min": 0.1353352832366127, "max": 1, "num": 7, "scale": "log"},
        ),
        ("{min: 1, max: 4}", {"values": [1, 2, 3, 4]}),
        ("{distribution: int_uniform, min: 0, max: 60}", {"values": [0, 10, 20, 30, 40, 50, 60]}),
        ("{distribution: q_uniform, min: 0, max: 1, q: 0.25}", {"values": [0, 0.25, 0.5, 0.75, 1]}),
        ("{distribution: q_uniform, min: 16, max: 64, q: 16}", {"values": [16, 32, 48, 64]}),
        (
            "{distribution: q_log_uniform_values, min: 1, max: 64, q: 1}",
            {"values": [1, 2, 4, 8, 16, 32, 64]},
        ),
        ("{distribution: categorical, values: [a, 'b c', 1.0]}", {"values": ["a", "b c", 1]}),
        ("{values: [true, null, [1, 2]]}", {"values": ["True", "None", "[1, 2]"]}),
        ("{values: [1, 2, 1], probabilities: [0.2, 0.3, 0.5]}", {"values": [1, 2]}),
        ("{distribution: normal, mu: 1, sigma: 0.1}", {"values": [0.871845, 0.94756, 1, 1.05244, 1.12816]}),
        ("{distribution: q_normal, mu: 0, sigma: 2, q: 1}", {"values": [-3, -1, 0, 1, 3]}),
    ],
)
def test_distributions(tmp_path: Path, spec: str, grid: dict[str, Any]) -> None:
    read, _ = of(tmp_path, f"x: {spec}")
    assert read["methods"]["tuned"]["x"] == grid


def test_a_grid_tries_each_integer(tmp_path: Path) -> None:
    read, _ = of(tmp_path, "x: {min: 1, max: 12}", method="grid")
    assert read["methods"]["tuned"]["x"] == {"values": list(range(1, 13))}


@pytest.mark.parametrize(
    ("macro", "words"),
    [
        ("${args}", ["--lr={lr}", "--use=True", "--name=a b"]),
        ("${args_no_hyphens}", ["lr={lr}", "use=True", "name=a b"]),
        ("${args_no_equals}", ["--lr", "{lr}", "--use", "True", "--name", "a b"]),
        ("${args_no_boolean_flags}", ["--lr={lr}", "--use", "--name=a b"]),
        ("${args_json}", ['{{"lr": {lr}, "use": true, "name": "a b"}}']),
    ],
)
def test_commands(tmp_path: Path, macro: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATA", "/data/{x}")
    sweep = f"""
program: src/train.py
command:
  - ${{env}}
  - ${{interpreter}}
  - -u
  - ${{program}}
  - --config={{a}}
  - --data=${{envvar:DATA}}
  - ${{unknown}}
  - {macro}
parameters:
  lr: {{values: [1, 2]}}
  use: {{value: true}}
  name: {{value: a b}}
"""
    read, text = task(tmp_path, sweep)
    own = ["--config={{a}}", "--data=/data/{{x}}"]
    assert read["command"] == ["python", "-u", "src/train.py", *own, *words]
    assert "${unknown}: W&B puts nothing in its place" in text


def test_a_command_without_arguments_gets_flags_and_says_so(tmp_path: Path) -> None:
    sweep = "command: ['${program}']\nparameters: {x: {values: [1, 2]}}\nmethod: grid\n"
    read, text = task(tmp_path, sweep)
    assert read["command"] == ["PROGRAM.py", "--x={x}"]
    assert "FILL IN the program" in text
    assert "through wandb.config alone" in text
    assert task(tmp_path, sweep, program="mine.py")[0]["command"] == ["mine.py", "--x={x}"]


def test_nested_parameters_are_handed_over_as_wandb_does(tmp_path: Path) -> None:
    nested = "opt: {parameters: {name: {values: [adam, sgd]}, lr: {min: 0.1, max: 0.2}, betas: {value: [0.9, 0.99]}}}"
    read, text = of(tmp_path, nested)
    assert read["command"][-1] == "--opt={{'name': '{opt_name}', 'lr': {opt_lr}, 'betas': [0.9, 0.99]}}"
    assert set(read["methods"]["tuned"]) == {"opt_lr", "opt_name"}
    assert "opt is nested" in text


def test_seeds_are_the_tasks(tmp_path: Path) -> None:
    read, _ = of(tmp_path, "x: {values: [1, 2]}", "seed: {values: [3, 1, 4]}")
    assert (read["seeds"], read["command"][-1]) == ([3, 1, 4], "--seed={seed}")
    read, _ = of(tmp_path, "x: {values: [1, 2]}", "random_seed: {value: 42}")
    assert (read["seeds"], read["command"][-1]) == ([42], "--random_seed={seed}")
    read, text = of(tmp_path, "x: {values: [1, 2]}", "seed: {distribution: int_uniform, min: 1, max: 99999}")
    assert read["seeds"] == [1, 2, 3]
    assert "seed is drawn from 1 to 99999 there" in text
    read, text = of(tmp_path, "x: {values: [1, 2]}")
    assert "seeds" not in read
    assert "takes no seed" in text
    read, _ = of(tmp_path, "seed: {values: [a, b]}")
    assert read["methods"]["tuned"] == {"seed_": {"values": ["a", "b"]}}, "words are no seeds, and the name is taken"


def test_a_parameter_called_method_says_which_methods_there_are(tmp_path: Path) -> None:
    read, _ = of(tmp_path, "method: {values: [plain, dual]}", "folder: {values: [1, 2]}")
    assert read["command"][2:] == ["--method={method}", "--folder={folder_}"]
    assert read["methods"] == {name: {"folder_": {"values": [1, 2]}} for name in ("plain", "dual")}


def test_what_is_maximised_must_be_written_as_its_negative(tmp_path: Path) -> None:
    sweep = "metric: {name: val/acc, goal: maximize, target: 0.9}\nprogram: a.py\nparameters: {x: {values: [1, 2]}}"
    read, text = task(tmp_path, sweep)
    assert read["objective"] == "minus_val_acc"
    assert 'val/acc: ">= LEVEL"' in text
    assert "metric.target: 0.9: cpd trains all settings" in text


def test_the_constraints_are_left_to_fill_in(tmp_path: Path) -> None:
    read, text = of(tmp_path, "x: {values: [1, 2]}")
    assert read["constraints"] is None
    assert "FILL IN what must hold" in text
    file = tmp_path / "sweep.yaml"
    filled = imported(str(file), tmp_path, constraints=["size_mb <= 20", "val/acc>=0.9"])
    assert parse_yaml(filled, "")["constraints"] == {"size_mb": "<= 20", "val/acc": ">= 0.9"}
    with pytest.raises(CpdError, match="expected NAME<=LEVEL, got 'size'"):
        imported(str(file), tmp_path, constraints=["size"])


def test_what_is_left_out_is_said_with_the_reason(tmp_path: Path) -> None:
    sweep = """
method: random
run_cap: 40
project: mine
early_terminate: {type: hyperband, min_iter: 3, eta: 2}
program: a.py
parameters:
  x: {distribution: beta, a: 1, b: 2}
  y: {min: 0, max: hundred}
  z: {distribution: log_uniform_values, min: 0, max: 1}
  w: {}
  coef: {min: 0.1, max: 10.0}
  v: {min: 0.0, max: 1.0}
"""
    read, text = task(tmp_path, sweep)
    assert "early_terminate (type hyperband, min_iter 3, eta 2): give cpd sweep --halving 3" in text
    assert "x: the distribution beta has no counterpart" in text
    assert "y: its max is 'hundred', no number" in text
    assert "z: a log scale has no number from 0 down" in text
    assert "w: it has neither value, values, nor min and max" in text
    assert "project: cpd keeps its runs in a store of its own" in text
    assert read["command"] == ["python", "a.py", "--coef={coef}", "--v={v}"]
    assert [one["num"] for one in read["methods"]["penalized"].values()] == [6, 6], "about as many as run_cap"
    assert "Up to 40 settings are drawn there, one after the other; here is a grid of 36" in text


def test_names_are_told_apart(tmp_path: Path) -> None:
    read, _ = of(tmp_path, "a.b: {values: [1, 2]}", "a_b: {values: [3, 4]}", "'-': {values: [5, 6]}")
    assert read["command"][2:] == ["--a.b={a_b}", "--a_b={a_b_}", "---={parameter}"]
    assert {name: one["values"] for name, one in read["methods"]["tuned"].items()} == {
        "a_b": [1, 2],
        "a_b_": [3, 4],
        "parameter": [5, 6],
    }


def test_anchors_are_written_out_and_text_cannot_leave_its_comment(tmp_path: Path) -> None:
    sweep = """
name: "two\\nlines: x"
method: grid
program: "train me.py"
metric: {name: "loss: {x}", goal: minimize, target: "a\\u2028task: no"}
parameters:
  a: &grid {values: [1, 2]}
  b: *grid
  c: {<<: *grid}
"""
    read, text = task(tmp_path, sweep)
    assert text.startswith("two lines: x ")
    assert read["objective"] == "loss: {x}"
    assert read["command"][1] == "train me.py"
    assert "task" not in read
    assert read["methods"]["tuned"] == {name: {"values": [1, 2]} for name in "abc"}


BOMB = "a: &a [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join([f'*{old}'] * 9)}]\n" for old, new in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("lr: 0.1\nepochs: 10\n", "is neither a sweep of W&B nor a config of Hydra"),
        ("- a\n- b\n", "holds no mapping"),
        ("", "holds no mapping"),
        ("parameters: [", "not plain YAML: "),
        ("method: grid\nparameters: !!python/object/apply:os.system ['true']\n", "not plain YAML: "),
        (BOMB, "stands for more than 100,000 values"),
        ("a: &a [*a]", "an anchor holds itself"),
        ("x: " + "[" * 300 + "]" * 300, "nested deeper than 100 levels"),
        ("a: 1\n---\nb: 2\n", "not plain YAML: "),
        ("method: grid\nprogram: a.py\nparameters: {x: 3}\n", "'3' is no parameter; write x: {value: 3}"),
        ("method: grid\nprogram: a.py\nparameters: {x: [1, 2]}\n", "is no parameter; write x: {values: [...]}"),
        ("command: ['${x}']\nparameters: {y: {min: 1}}\n", "sweep.yaml: command: it comes to no word"),
        ("command: a {x}\nconstraints: {x: '<= 1'}\n", "is a task of cpd"),
    ],
)
def test_what_is_no_sweep_is_refused_in_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(CpdError) as caught:
        task(tmp_path, text)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("seeds", "more"), [("[1]", False), ("[1, 2]", True)])
def test_a_grid_that_is_not_trained_unasked_says_so(tmp_path: Path, seeds: str, more: bool) -> None:
    values = "".join(f"  p{k}: {{values: [1, 2, 3, 4]}}\n" for k in range(8))
    sweep = f"program: a.py\nmethod: bayes\nparameters:\n  seed: {{values: {seeds}}}\n{values}"
    _, text = task(tmp_path, sweep)
    assert ("That is more than cpd trains unasked" in text) is more
