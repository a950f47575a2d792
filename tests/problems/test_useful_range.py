"""How wide the useful range of a dual step-size is: of the PI controller beside plain gradient ascent."""

from pathlib import Path
from typing import Any

import pytest

from cpd.run import commands
from cpd.run.options import Options
from cpd.spec.overrides import Overrides
from cpd.verdict.judgement import judge

GRID = "{min: 1.0e-3, max: 100, num: 11, scale: log}"


def decades(folder: Path, task: str, further: str, kp: float, words: str = "") -> tuple[Any, Any]:
    """Useful decades of gradient ascent and of nuPI, on one grid."""
    file = folder / "range.yaml"
    dual_lr = f"dual_lr: {GRID}{words}"
    methods = f"methods: {{lagrangian: {{{dual_lr}}}, nupi: {{{dual_lr}, kp: {kp}}}}}"
    file.write_text(f"task: {task}\n{further}\n{methods}\n")
    result = commands.sweep(str(file), Overrides(), Options(keep=False, jobs=1))
    summary = {row["method"]: row["useful_decades"] for row in judge(result.task, result.finished)["summary"]}
    return summary["lagrangian"], summary["nupi"]


@pytest.mark.slow
def test_nupis_useful_range_is_wider_where_the_lagrangian_is_concave(tmp_path: Path) -> None:
    plain, nupi = decades(tmp_path, "concave", "", 40, ", update: simultaneous")
    assert nupi == pytest.approx(1.5)
    assert (plain or 0) < 0.5


@pytest.mark.slow
@pytest.mark.parametrize(("cost", "at_least"), [("1.0", 1.4), ("null", 3.9)])
def test_nupis_useful_range_on_support_vectors(tmp_path: Path, cost: str, at_least: float) -> None:
    """With a soft margin ascent swings for ever at any step-size; with a hard one both settle."""
    plain, nupi = decades(tmp_path, "max_margin", f"arguments: {{slack_cost: {cost}}}", 0.3)
    assert nupi >= at_least
    assert nupi > (plain or 0)
