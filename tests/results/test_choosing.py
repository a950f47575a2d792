"""Which run is taken: the best as the verdict has it, narrowed by words as users write them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from command_line import PROBLEM, SPEC

from cpd.errors import CpdError
from cpd.outcome import ConstraintOutcome, Run, RunKey, Status
from cpd.results.choosing import Wanted, chosen
from cpd.results.models import choose
from cpd.results.result import Result
from cpd.spec.reader import load_task

OPTIMIZERS = [{"name": "SGD", "momentum": 0.9}, {"name": "Adam"}]
ROWS: list[tuple[str, dict[str, Any], float, int, float, float]] = [
    # method, setting, level, seed, objective, value of g
    ("penalized", {"coefficient": 0.1}, 0.5, 1, 0.1, 0.9),
    ("penalized", {"coefficient": 0.1}, 0.5, 2, 0.1, 0.8),
    ("penalized", {"coefficient": 2.15443469}, 0.5, 1, 3.0, 0.4),
    ("penalized", {"coefficient": 2.15443469}, 0.5, 2, 3.0, 0.4),
    ("lagrangian", {"dual_lr": 0.01, "train.optimizer.lr": 0.5}, 0.5, 1, 1.0, 0.5),
    ("lagrangian", {"dual_lr": 0.01, "train.optimizer.lr": 0.5}, 0.5, 2, 1.2, 0.5),
    ("lagrangian", {"dual_lr": 0.01, "train.optimizer.lr": 0.25}, 0.5, 1, 0.5, 0.5),
    ("lagrangian", {"dual_lr": 0.01, "train.optimizer.lr": 0.25}, 0.5, 2, 0.5, 0.7),
    ("lagrangian", {"dual_lr": [0.1, 0.2], "dual_optimizer": OPTIMIZERS[0]}, 0.25, 1, 2.0, 0.2),
    ("lagrangian", {"dual_lr": [0.1, 0.2], "dual_optimizer": OPTIMIZERS[1]}, 0.25, 1, 2.5, 0.2),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("choosing")
    (folder / "mine.py").write_text(PROBLEM)
    (folder / "mine.yaml").write_text(SPEC)
    return folder


def result(folder: Path, rows: list[tuple[Any, ...]] = ROWS, kept: set[int] | None = None) -> Result:
    runs = [
        Run(
            RunKey(method, setting, {"g": level}, seed, f"c1:{k}"),
            Status.COMPLETED,
            objective,
            {"g": ConstraintOutcome(value=value)},
            model=f"{k}.safetensors" if kept is None or k in kept else None,
        )
        for k, (method, setting, level, seed, objective, value) in enumerate(rows)
    ]
    return Result(load_task(str(folder / "mine.yaml")), runs)


@pytest.mark.parametrize(
    ("words", "places"),
    [
        ({}, [4, 5]),
        ({"method": "penalized"}, [2, 3]),
        ({"method": "penalized", "seed": 2}, [3]),
        ({"seed": 2}, [5]),
        ({"seed": np.int64(2)}, [5]),
        ({"setting": "coefficient=0.1"}, [1]),  # not feasible: the one with the least violation
        ({"setting": "coefficient=0.1", "seed": 1}, [0]),
        ({"setting": "coefficient=2.154"}, [2, 3]),
        ({"setting": {"coefficient": np.float32(2.15443469)}}, [2, 3]),
        ({"setting": {"coefficient": torch.tensor(2.15443469)}}, [2, 3]),
        ({"setting": "penalized.coefficient=2.154"}, [2, 3]),
        ({"setting": ["dual_lr=0.01", "lr=0.25"]}, [6]),
        ({"setting": "dual_lr=0.01, train.optimizer.lr=0.25"}, [6]),
        ({"setting": {"optimizer.lr": 0.5}}, [4, 5]),
        ({"setting": "dual_lr=[0.1, 0.2]"}, [8]),
        ({"setting": {"dual_lr": (0.1, 0.2)}, "method": "lagrangian"}, [8]),
        ({"setting": {"dual_optimizer": OPTIMIZERS[1]}}, [9]),
        ({"setting": "dual_optimizer={name: Adam}"}, [9]),
        ({"setting": "dual_optimizer.name=Adam"}, [9]),
        ({"setting": "dual_optimizer.momentum=0.9"}, [8]),
        ({"levels": {"g": 0.25}}, [8]),
        ({"levels": "g=0.5", "method": "lagrangian"}, [4, 5]),
    ],
)
def test_the_best_of_what_words_leave(words: dict[str, Any], places: list[int], folder: Path) -> None:
    assert chosen(result(folder), Wanted.of(**words)) == places


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"method": "penalised"}, "method: no run has the method 'penalised'; did you mean 'penalized'?"),
        ({"setting": "coeficient=1"}, "setting: no run has 'coeficient'; did you mean 'coefficient'?"),
        ({"setting": "coefficient=7"}, "setting: no run has coefficient 7; valid: 0.1, 2.15443"),
        ({"setting": "coefficient"}, "setting: expected NAME=VALUE, got 'coefficient'"),
        ({"setting": "coefficient="}, "setting: expected NAME=VALUE, got 'coefficient='"),
        ({"setting": {"coefficient": True}}, "setting: no run has coefficient true"),
        ({"setting": "coefficient=0.1", "method": "lagrangian"}, "setting: no run has 'coefficient'"),
        ({"setting": "lagrangian.dual_lr=0.01", "method": "penalized"}, "method: no run has the method 'lagrangian'"),
        ({"levels": "h=1"}, "levels: no run has 'h'; valid: g"),
        ({"levels": {"g": 0.3}}, "levels: no run has g 0.3; "),
        ({"seed": 3}, "seed: no run has the seed '3'; valid: 1, 2"),
        ({"seed": "1"}, "seed: expected an integer, got '1'"),
        ({"seed": 1.5}, "seed: expected an integer, got 1.5"),
        ({"seed": True}, "seed: expected an integer, got True"),
        ({"seed": 3, "typed": True}, "--seed: no run has the seed '3'"),
        ({"levels": "h=1", "typed": True}, "--level: no run has 'h'"),
    ],
)
def test_what_no_run_has_is_told_in_one_line(words: dict[str, Any], said: str, folder: Path) -> None:
    with pytest.raises(CpdError) as caught:
        chosen(result(folder), Wanted.of(**words))
    assert str(caught.value).startswith(said)
    assert "\n" not in str(caught.value)


def test_without_a_feasible_setting_the_run_is_to_be_named(folder: Path) -> None:
    some = result(folder, ROWS[:2])
    with pytest.raises(CpdError, match=r"^mine: no setting of mine is feasible; name the run to take"):
        chosen(some, Wanted.of())
    assert chosen(some, Wanted.of("penalized")) == [1]


def test_the_first_seed_that_is_kept_is_taken_and_no_other_setting(folder: Path) -> None:
    assert choose(result(folder, kept={5, 2}), Wanted.of()).place == 5
    with pytest.raises(CpdError) as caught:
        choose(result(folder, kept={2, 8}), Wanted.of())
    assert str(caught.value) == (
        "mine: the weights of lagrangian, dual_lr 0.01, lr 0.5, at g 0.5, seed 1 are not kept; kept: penalized, "
        "coefficient 2.154, at g 0.5, seed 1 | lagrangian, dual_lr [0.1, 0.2], dual_optimizer {name: SGD, momentum: "
        "0.9}, at g 0.25, seed 1; train again with --keep-models all"
    )


def test_which_run_it_is_is_said_with_its_numbers(folder: Path) -> None:
    some = result(folder, ROWS[:4])
    assert choose(some, Wanted.of()).words == "penalized, coefficient 2.154, seed 1: error 3.000, g 0.4000; feasible"
    said = choose(some, Wanted.of(setting="coefficient=0.1")).words
    assert said == "penalized, coefficient 0.1, seed 2: error 0.1000, g 0.8000; NOT feasible"
