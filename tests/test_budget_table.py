"""The table of equal budgets: how its commands are made, and its rows from documents."""

import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from cpd.verdict.budgets import quartiles

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def maker() -> ModuleType:
    """``docs/make_budget_table.py``, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("make_budget_table", ROOT / "docs" / "make_budget_table.py")
    assert spec is not None
    assert spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(made)
    return made


def document(*rows: tuple[str, int, Sequence[float], Sequence[float], Sequence[float]]) -> Any:
    """What ``cpd compare`` has of these methods: trainings, steps and distance of each seed."""
    return {
        "budget": {
            "methods": [
                {
                    "method": method,
                    "seeds": len(firsts),
                    "trainings": trainings,
                    "useful_seeds": sum(first < float("inf") for first in firsts),
                    "trainings_to_first_useful": quartiles(firsts),
                    "steps_to_first_useful": quartiles(steps),
                    "distance": quartiles(distance),
                }
                for method, trainings, firsts, steps, distance in rows
            ]
        }
    }


def test_the_dual_step_size_is_the_middle_of_the_grid(maker: ModuleType) -> None:
    assert maker.middle([0, 1, 100, 10]) == 10
    assert maker.middle([4, 3, 2, 1]) == 2
    assert {task: maker.dual_lr_of(task) for task in maker.TRAININGS} == dict.fromkeys(maker.TRAININGS, 0.1)
    said = "--set lagrangian.dual_lr=0.1 --budget 16 --sampler tpe --parallel 1 --seeds 0:20"
    assert maker.command("rate", 16, 20) == f"cpd compare rate --method penalized --method lagrangian {said}"


def test_rows_have_medians_and_quartiles_and_say_what_lies_beyond(maker: ModuleType) -> None:
    inf = float("inf")
    few = ("penalized", 16, [3, 5, inf, inf], [30_000, 50_000, inf, inf], [0.125, 0, 0, 0.0375])
    one = ("lagrangian", 1, [1, 1, 1, 1], [10_000] * 4, [0, 0, 0, 0])
    lines = maker.table({"a": document(few, one), "b": document(one)}).splitlines()
    assert lines[2:] == [
        "| `a` | penalized, TPE | 16 | > 16 (4.5 to > 16) | - (45,000 to -) | 2 of 4 | 0.019 (0 to 0.059) |",
        "|  | lagrangian, one training | 1 | 1 | 10,000 | 4 of 4 | 0 |",
        "| `b` | lagrangian, one training | 1 | 1 | 10,000 | 4 of 4 | 0 |",
    ]
    assert len({line.count("|") for line in lines}) == 1
    page = maker.written(f"above\n{maker.START}\nold\n{maker.END}\nbelow\n", "new\n")
    assert page == f"above\n{maker.START}\nnew\n{maker.END}\nbelow\n"


def test_the_pages_have_one_table_with_a_row_of_each_method_of_each_task(maker: ModuleType) -> None:
    found = [page.read_text().split(maker.START)[1].split(maker.END)[0] for page in maker.PAGES]
    assert found[0] == found[1]
    rows = [line.split("|")[1:4] for line in found[0].strip().splitlines()[2:]]
    expected = [
        [f" `{task}` " if trainings > 1 else "  ", f" {method} ", f" {trainings} "]
        for task, most in maker.TRAININGS.items()
        for method, trainings in (("penalized, TPE", most), ("lagrangian, one training", 1))
    ]
    assert rows == expected


@pytest.mark.slow
def test_a_small_table_is_made_and_no_page_touched(
    maker: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setenv("CPD_STORE", str(tmp_path / "runs.sqlite"))
    monkeypatch.setattr(sys, "argv", ["make_budget_table.py", "recall", "--budget", "2", "--seeds", "2"])
    before = [page.read_bytes() for page in maker.PAGES]
    maker.main()
    assert [line.split("|")[3].strip() for line in capsys.readouterr().out.splitlines()[2:]] == ["2", "1"]
    assert [page.read_bytes() for page in maker.PAGES] == before
