"""Exports in which every column is what its name says, whatever constraints are called."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas
import pytest
import sample_documents as samples

from cpd.outcome import ConstraintOutcome, Recorded, Run, RunKey, Status
from cpd.results.export import export
from cpd.verdict.judgement import judge

NAMES = [
    "g",
    "g.0",
    "g.0.1",
    '"g.0"',
    "a b",
    "[x]",
    "\u00e9\u4e2d",
    "objective",
    "step",
    "x" * 300,
    "g.value",
    'say "no"',
]


def exported(folder: Path, suffix: str, curves: bool) -> pandas.DataFrame:
    """One run whose first constraint is a vector and whose k-th has the value k."""
    task = samples.task()
    task.constraints = {name: SimpleNamespace(level=0.0, sense="<=", tolerance=0.1) for name in NAMES}
    values: dict[str, Any] = {name: [0.25, 0.5] if name == "g" else float(k) for k, name in enumerate(NAMES)}
    outcomes = {name: ConstraintOutcome(value, value, None, [value]) for name, value in values.items()}
    run = Run(RunKey("penalized", {}, dict.fromkeys(NAMES, 0.0), 1, "c1:1"), Status.COMPLETED, 9.0, outcomes)
    points: Recorded = {
        "steps": [3, 5],
        "objective": [9.0, 9.0],
        "constraints": {name: [value, value] for name, value in values.items()},
        "multipliers": {name: [value, value] for name, value in values.items()},
    }
    to = folder / f"out{suffix}"
    export(judge(task, [run]), [points] if curves else None, str(to))
    if suffix == ".json":
        return pandas.DataFrame(json.loads(to.read_text()))
    return pandas.read_csv(to) if suffix == ".csv" else pandas.read_parquet(to)


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_points_have_a_column_for_every_component_of_every_constraint(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame = exported(tmp_path, suffix, curves=True)
    assert frame.columns.is_unique
    assert frame["step"].tolist() == [3, 5]
    assert frame["objective"].tolist() == [9.0, 9.0]
    for kind in ("constraints", "multipliers"):
        columns = {str(n).removeprefix(f"{kind}."): x for n, x in frame.iloc[0].items() if str(n).startswith(kind)}
        expected = {"g.0": 0.25, "g.1": 0.5, '"g.0"': 1.0, '"g.0.1"': 2.0, json.dumps('"g.0"'): 3.0}
        assert columns == expected | {name: float(k) for k, name in enumerate(NAMES) if k > 3}


@pytest.mark.parametrize("suffix", [".csv", ".json", ".parquet"])
def test_runs_have_a_column_for_every_component_of_every_constraint(suffix: str, tmp_path: Path) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    frame = exported(tmp_path, suffix, curves=False)
    assert frame.columns.is_unique
    row = frame.iloc[0]
    assert (row["constraints.g.value.0"], row["constraints.g.value.1"]) == (0.25, 0.5)
    assert [row[f"constraints.{name}.value"] for name in NAMES[1:]] == [float(k) for k in range(1, len(NAMES))]
    assert row["objective"] == 9.0


def test_what_was_measured_along_the_way_has_columns_and_steps_of_its_own(tmp_path: Path) -> None:
    task = samples.task(g=(0.5, "<=", 0.1))
    run = Run(RunKey("penalized", {}, {"g": 0.5}, 1, "c1:1"), Status.COMPLETED, 9.0, {"g": ConstraintOutcome(1.0)})
    points: Recorded = {
        "steps": [3, 5],
        "objective": [9.0, 8.0],
        "constraints": {"g": [1.0, 2.0]},
        "multipliers": {},
        "measured": {
            "steps": [4, 5],
            "objective": [7.0, None],
            "constraints": {"g": [[1.0, 2.0], [3.0, 4.0]]},
            "surrogates": {"g": [[0.0, 0.0], [0.5, 0.5]]},
            "metrics": {"objective": [0.1, 0.2]},
        },
    }
    assert export(judge(task, [run]), [points], str(tmp_path / "out.csv")) == 3
    frame = pandas.read_csv(tmp_path / "out.csv")
    assert frame["id"].tolist() == ["c1:1"] * 3
    assert frame["step"].tolist() == [3, 4, 5]
    found = frame.astype(object).where(frame.notna(), None)
    assert found["objective"].tolist() == [9.0, None, 8.0]
    assert found["measured.objective"].tolist() == [None, 7.0, None]
    assert found["measured.constraints.g.1"].tolist() == [None, 2.0, 4.0]
    assert found["measured.surrogates.g.0"].tolist() == [None, 0.0, 0.5]
    assert found["measured.metrics.objective"].tolist() == [None, 0.1, 0.2]
