"""Configs of Hydra as tasks: what its sweepers sweep, the program they are for, and what is said of the rest."""

import shlex
from pathlib import Path
from typing import Any

import pytest

from cpd.errors import CpdError
from cpd.spec.foreign.importing import imported
from cpd.spec.yaml import parse_yaml

MAIN = """
import hydra
@hydra.main(version_base=None, config_path="conf", config_name="config")
def main(cfg): ...
"""


def task(folder: Path, config: str, name: str = "conf/config.yaml", **options: Any) -> tuple[dict[str, Any], str]:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(config, encoding="utf-8")
    text = imported(str(file), folder, **options)
    read = parse_yaml(text, "task.yaml")
    if isinstance(read["command"], str):
        read["command"] = shlex.split(read["command"])
    return read, " ".join(line.lstrip(" #") for line in text.splitlines())


def swept(folder: Path, params: str, sweeper: str = "optuna", more: str = "") -> tuple[dict[str, Any], str]:
    config = f"""
defaults:
  - override hydra/sweeper: {sweeper}
{more}
hydra:
  sweeper:
    params:
      {params}
"""
    return task(folder, config)


def grid_of(folder: Path, sweep: str, sweeper: str = "basic") -> Any:
    read, _ = swept(folder, f'x: "{sweep}"', sweeper)
    return read["methods"]["tuned"]["x"]


@pytest.mark.parametrize(
    ("sweep", "grid"),
    [
        ("1,2,5", {"values": [1, 2, 5]}),
        ("choice(adam, sgd)", {"values": ["adam", "sgd"]}),
        ("choice(1e-3, 0.5)", {"values": [0.001, 0.5]}),
        ("choice(true, false)", {"values": [True, False]}),
        ("choice(null, 'a b', 'it, is', [1,2])", {"values": ["null", "a b", "'it, is'", "[1,2]"]}),
        ("[1,2],[3,4]", {"values": ["[1,2]", "[3,4]"]}),
        ("a,'b,c',d", {"values": ["a", "'b,c'", "d"]}),
        ("range(1,5)", {"values": [1, 2, 3, 4]}),
        ("range(3)", {"values": [0, 1, 2]}),
        ("range(10, 0, -5)", {"values": [5, 10]}),
        ("range(start=0, stop=1, step=0.25)", {"values": [0, 0.25, 0.5, 0.75]}),
        ("interval(0.5, 2)", {"min": 0.5, "max": 2, "num": 7, "scale": "linear"}),
        ("tag(log, interval(1e-4, 1))", {"min": 1e-4, "max": 1, "num": 7, "scale": "log"}),
        ("interval(start=1, end=2)", {"min": 1, "max": 2, "num": 7, "scale": "linear"}),
        ("int(interval(1, 4))", {"values": [1, 2, 3, 4]}),
        ("tag(log, int(interval(1, 64)))", {"values": [1, 2, 4, 8, 16, 32, 64]}),
        ("shuffle(range(1, 4))", {"values": [1, 2, 3]}),
        ("sort(3,1,2)", {"values": [1, 2, 3]}),
        ("sort(choice(3,1,2), reverse=true)", {"values": [3, 2, 1]}),
        ("float(choice(1, 2))", {"values": [1, 2]}),
        ("str(choice(a, b))", {"values": ["a", "b"]}),
        ("int(choice(1.0, 2.0))", {"values": [1, 2]}),
    ],
)
def test_the_grammar_of_overrides(tmp_path: Path, sweep: str, grid: dict[str, Any]) -> None:
    assert grid_of(tmp_path, sweep) == grid


def test_optuna_counts_the_end_of_a_range_and_thins_long_ones(tmp_path: Path) -> None:
    assert grid_of(tmp_path, "range(1, 5)", "optuna") == {"values": [1, 2, 3, 4, 5]}
    assert grid_of(tmp_path, "range(0, 3, step=0.5)", "optuna") == {"values": [0, 0.5, 1, 1.5, 2, 2.5, 3]}
    assert grid_of(tmp_path, "range(0, 600)", "optuna") == {"values": [0, 100, 200, 300, 400, 500, 600]}
    assert len(grid_of(tmp_path, "range(0, 600)")["values"]) == 600


def test_a_key_with_one_value_stays_as_it_is_written(tmp_path: Path) -> None:
    read, _ = swept(tmp_path, "{db: mysql, +n: 3, '~old': null, s: \"'a, b'\", e: '${oc.env:HOME}', x: '1,2'}", "basic")
    own = ["db=mysql", "+n=3", "~old", "s='a, b'", "e=${{oc.env:HOME}}", "x={x}"]
    assert read["command"][2:-1] == own
    assert read["depends"] == ["conf/config.yaml", "env:HOME"]


def test_the_program_is_found_beside_its_configs(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MAIN)
    (tmp_path / "other.py").write_text(MAIN.replace('"config"', '"other"'))
    read, text = swept(tmp_path, "{+loss.lam: 'tag(log, interval(0.01, 1))', lr: '0.1,0.2'}")
    words = ["python", "train.py", "+loss.lam={loss_lam}", "lr={lr}", "hydra.run.dir={folder}"]
    assert read["command"] == words
    assert read["depends"] == ["train.py", "conf/**/*.yaml"]
    assert "FILL IN the program" not in text
    assert list(read["methods"]["penalized"]) == ["loss_lam", "lr"]


def test_of_programs_the_one_whose_configs_are_nearest_is_meant(tmp_path: Path) -> None:
    (tmp_path / "inner").mkdir()
    (tmp_path / "a.py").write_text(MAIN.replace('"conf"', '"."'))
    (tmp_path / "inner" / "program.py").write_text(MAIN.replace('"conf"', '"."').replace('"config"', '"other"'))
    config = "hydra: {sweeper: {params: {x: '1,2'}}}"
    read, _ = task(tmp_path, config, "inner/config.yaml")
    assert read["command"][1:3] == ["inner/program.py", "--config-name=config"]


def test_a_config_of_another_name_or_of_a_group_is_chosen_in_the_command(tmp_path: Path) -> None:
    (tmp_path / "train.py").write_text(MAIN)
    config = (
        "# @package _global_\ndefaults:\n  - override /hydra/sweeper: optuna\nhydra: {sweeper: {params: {x: '1,2'}}}"
    )
    assert task(tmp_path, config, "conf/small.yaml")[0]["command"][2] == "--config-name=small"
    assert task(tmp_path, config, "conf/search/lr.yaml")[0]["command"][2] == "+search=lr"
    (tmp_path / "conf" / "config.yaml").write_text("defaults:\n  - optional search: null\nrun: {seed: 5}\n")
    read, _ = task(tmp_path, config, "conf/search/lr.yaml")
    assert read["command"][2:5] == ["search=lr", "x={x}", "run.seed={seed}"]
    assert read["seeds"] == [5], "the seed of the config that it is read into"


def test_a_program_that_is_nowhere_is_to_be_filled_in(tmp_path: Path) -> None:
    read, text = swept(tmp_path, "x: 1,2")
    assert read["command"][:2] == ["python", "PROGRAM.py"]
    assert "FILL IN the program" in text
    config = tmp_path / "conf" / "config.yaml"
    given = parse_yaml(imported(str(config), tmp_path, program="my.py"), "")
    assert shlex.split(given["command"])[:2] == ["python", "my.py"]


def test_a_template_for_searches_with_optuna(tmp_path: Path) -> None:
    config = """
# @package _global_
defaults:
  - override /hydra/sweeper: optuna
  - override /hydra/launcher: joblib
optimized_metric: "val/acc_best"
hydra:
  mode: "MULTIRUN"
  sweeper:
    _target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper
    storage: null
    n_jobs: 1
    direction: maximize
    n_trials: 20
    sampler: {_target_: optuna.samplers.TPESampler, seed: 1234}
    params:
      model.optimizer.lr: interval(0.0001, 0.1)
      data.batch_size: choice(32, 64)
"""
    read, text = task(tmp_path, config, "configs/hparams_search/mnist_optuna.yaml", program="src/train.py")
    assert read["command"][2] == "+hparams_search=mnist_optuna"
    assert read["command"][-2:] == ["hydra.run.dir={folder}", "hydra.mode=RUN"]
    assert read["objective"] == "minus_val_acc_best"
    assert read["methods"]["tuned"]["model_optimizer_lr"]["num"] == 10
    assert "seeds" not in read, "a sampler's seed is not the program's"
    for left in ("sampler: cpd trains the settings", "n_jobs: give cpd sweep --jobs N", "hydra/launcher: joblib"):
        assert left in text
    assert "storage" not in text


SPACES = {
    "optuna of Hydra 1.1": """
    n_trials: 50
    search_space:
      search_space:
        x: {type: float, low: 0.1, high: 1, log: true}
        y: {type: categorical, choices: [a, b]}
        z: {type: int, low: 1, high: 3}
        v: {type: float, low: 0, high: 1, step: 0.5}
""",
    "ax": """
    ax_config:
      max_trials: 50
      params:
        x: {type: range, bounds: [0.1, 1], value_type: float, log_scale: true}
        y: {type: choice, values: [a, b]}
        z: {type: range, bounds: [1, 3], value_type: int}
        v: {type: choice, values: [0, 0.5, 1]}
""",
    "nevergrad": """
    optim: {budget: 50}
    parametrization:
      x: {lower: 0.1, upper: 1, log: true}
      y: [a, b]
      z: {lower: 1, upper: 3, integer: true}
      v: [0, 0.5, 1]
""",
}


@pytest.mark.parametrize("name", list(SPACES))
def test_search_spaces_of_other_sweepers(tmp_path: Path, name: str) -> None:
    sweeper = name.partition(" ")[0]
    config = f"defaults:\n  - override hydra/sweeper: {sweeper}\nhydra:\n  sweeper:{SPACES[name]}"
    read, text = task(tmp_path, config)
    own = read["methods"]["tuned"]
    assert own["x"] == {"min": 0.1, "max": 1, "num": 5, "scale": "log"}
    assert own["y"] == {"values": ["a", "b"]}
    assert own["z"]["values"][0] == 1
    assert own["z"]["values"][-1] == 3
    assert own["v"]["values"] in ([0, 1], [0, 0.5, 1])
    assert f"{sweeper} sweeper" in text
    assert "Up to 50 settings" in text


def test_nevergrads_starts_with_a_step_and_wishes_of_ax(tmp_path: Path) -> None:
    config = "hydra:\n  sweeper:\n    optim: {maximize: true}\n    params: {lr: {init: 0.02, step: 2.0, log: true}}\n"
    read, text = task(tmp_path, config)
    assert read["methods"]["tuned"]["lr"] == {"values": [0.01, 0.02, 0.04]}
    assert "it has no ends there" in text
    config = """
hydra:
  sweeper:
    ax_config:
      experiment: {objective_name: acc, minimize: false, outcome_constraints: [size <= 3]}
      params: {x: {type: choice, values: [1, 2]}, y: {type: fixed, value: 3}}
"""
    read, text = task(tmp_path, config)
    assert (read["objective"], read["command"][3]) == ("minus_acc", "y=3")
    assert "write them under constraints" in text


def test_globs_name_the_configs_of_their_group(tmp_path: Path) -> None:
    for name in ("mysql", "my_other", "postgresql"):
        (tmp_path / "conf" / "db").mkdir(parents=True, exist_ok=True)
        (tmp_path / "conf" / "db" / f"{name}.yaml").write_text("a: 1")
    (tmp_path / "train.py").write_text(MAIN)
    read, _ = swept(tmp_path, "db: glob(*)")
    assert read["methods"]["tuned"]["db"] == {"values": ["my_other", "mysql", "postgresql"]}
    read, _ = swept(tmp_path, "db: 'glob([m*, p*], exclude=*other)'")
    assert read["methods"]["tuned"]["db"] == {"values": ["mysql", "postgresql"]}
    read, text = swept(tmp_path, "{nowhere: glob(*), x: '1,2'}")
    assert "nowhere: 'glob(*)' names configs, of which none is there" in text
    assert not any(word.startswith("nowhere") for word in read["command"])


def test_references_are_followed_within_the_config(tmp_path: Path) -> None:
    more = "top: 0.5\nnested: {low: 0.1, name: '${oc.env:NAME,x}'}"
    read, text = swept(tmp_path, "{x: 'interval(${nested.low}, ${top})', y: 'interval(${else.where}, 1)'}", more=more)
    assert read["methods"]["tuned"]["x"] == {"min": 0.1, "max": 0.5, "num": 7, "scale": "linear"}
    assert "y: 'interval(${else.where}, 1)' has '${else.where}', which is no number" in text
    assert read["depends"][-1] == "env:NAME"


def test_seeds_of_the_sweep_or_of_the_config(tmp_path: Path) -> None:
    read, _ = swept(tmp_path, "{x: '1,2', seed: 'range(3)'}", "basic")
    assert (read["seeds"], read["command"][3]) == ([0, 1, 2], "seed={seed}")
    read, text = swept(tmp_path, "x: 1,2", more="trainer: {seed: 7}")
    assert (read["seeds"], read["command"][3]) == ([7], "trainer.seed={seed}")
    assert "trainer.seed is the config's" in text


def test_a_config_that_sweeps_nothing_gives_its_weight(tmp_path: Path) -> None:
    config = "defaults: [_self_, {model: small}]\nlr: 0.1\nloss: {fairness_coef: 0.3, other: 1}\nseed: 1\n"
    read, text = task(tmp_path, config)
    assert read["methods"] == {"penalized": {"loss_fairness_coef": {"values": [0.3]}}}
    assert read["command"][2:] == ["seed={seed}", "loss.fairness_coef={loss_fairness_coef}", "hydra.run.dir={folder}"]
    assert "loss.fairness_coef is 0.3 in the config" in text
    assert "composing the config of its defaults (model: small)" in text
    read, text = task(tmp_path, "defaults: [_self_]\nlr: 0.1\n")
    assert read["methods"] == {"tuned": {}}
    assert "Nothing is swept there" in text


def test_two_directions_are_an_objective_and_a_hint(tmp_path: Path) -> None:
    config = "hydra: {sweeper: {direction: [minimize, maximize], params: {x: '1,2'}}}"
    _, text = task(tmp_path, config)
    assert "directions: minimize, maximize: a task has one objective" in text
    assert "which has no name" in text


def test_a_file_of_a_sweeper_alone_and_overrides_in_lists(tmp_path: Path) -> None:
    alone = "_target_: hydra_plugins.hydra_optuna_sweeper.optuna_sweeper.OptunaSweeper\nparams: {x: '1,2'}\n"
    read, text = task(tmp_path, alone)
    assert read["methods"]["tuned"] == {"x": {"values": [1, 2]}}
    assert "optuna sweeper" in text
    listed = "hydra: {sweeper: {overrides: {seed: [123, 42], lr: '1e-5,1e-6'}}}"
    read, _ = task(tmp_path, listed)
    assert read["seeds"] == [123, 42]
    assert read["methods"]["tuned"] == {"lr": {"values": [1e-5, 1e-6]}}
    listed = "hydra: {sweeper: {params: ['lr=0.1,0.2', '+a=b']}}"
    assert task(tmp_path, listed)[0]["command"][2:4] == ["lr={lr}", "+a=b"]


@pytest.mark.parametrize(
    ("sweep", "why"),
    [
        ("range(5, 1)", "is empty"),
        ("interval(2, 1)", "nothing between its ends"),
        ("interval(a, 1)", "which is no number"),
        ("nonsense(1, 2)", "not of Hydra's grammar"),
        ("int(choice(a, b))", "not to be cast by int()"),
        ("choice()", "is empty"),
    ],
)
def test_what_is_not_of_the_grammar_is_left_out_with_the_reason(tmp_path: Path, sweep: str, why: str) -> None:
    read, text = swept(tmp_path, f"{{x: '{sweep}', y: '1,2'}}")
    assert why in text
    assert set(read["methods"]["tuned"]) == {"y"}


def test_files_that_cannot_be_read_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(CpdError, match="no such file"):
        imported(str(tmp_path / "no.yaml"), tmp_path)
    (tmp_path / "a.yaml").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(CpdError, match="not UTF-8"):
        imported(str(tmp_path / "a.yaml"), tmp_path)
