"""A document as a tidy table in a file: one row per run, or one per recorded point."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from cpd.errors import CpdError, install
from cpd.outcome import Number, Recorded, RecordedMeasures
from cpd.verdict.document import Document, Plain, Recordings, RunRow
from cpd.views.output import check_output, write_output
from cpd.views.tables.records import to_frame

SUFFIXES = (".csv", ".parquet", ".json")

_COMPONENT = re.compile(r'^"|\.[0-9]+$')


def export(document: Document, curves: Recordings | None, to: str, form: str | None = None) -> int:
    """Write the table; the file is whole or not there.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each run of the document: then one row per point.
        to: Ends in one of :data:`SUFFIXES`, in small letters or capitals; ``-`` is stdout.
        form: One of them without its dot, whatever the file is called; default: as its name ends, csv to stdout.

    Returns:
        How many rows it has.

    Raises:
        CpdError: Another suffix, a package that is missing, or the file cannot be written.
    """
    path = Path(to)
    suffix = check_output(path, SUFFIXES) if form is None else check_output(path, (f".{form}",), any_name=True)
    frame = to_frame(document) if curves is None else points(document, curves)
    write_output(path, _content(frame, suffix))
    return len(frame)


def points(document: Document, curves: Recordings) -> pandas.DataFrame:
    """One row per recorded point: run, step, objective, and each constraint's value and multiplier.

    What was measured along the way stands in columns of its own, ``measured.objective`` ..., at its own steps.
    """
    frames = [_points_of(run, curve) for run, curve in zip(document["runs"], curves, strict=True) if curve is not None]
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()


def _points_of(run: RunRow, curve: Recorded) -> pandas.DataFrame:
    columns: dict[str, Sequence[Number]] = {"step": curve["steps"], "objective": curve["objective"]}
    for name, values in curve["constraints"].items():
        columns |= _components(f"constraints.{_word(name)}", values)
    for name, values in curve["multipliers"].items():
        columns |= _components(f"multipliers.{_word(name)}", values)
    frame = pandas.DataFrame(columns)
    if (measured := curve.get("measured")) is not None:
        frame = frame.merge(pandas.DataFrame(_measured(measured)), on="step", how="outer", sort=True)
    same: dict[str, Plain] = {"id": run["id"], "method": run["method"], "seed": run["seed"]}
    same |= {f"setting.{n}": str(v) if isinstance(v, list | dict) else v for n, v in run["setting"].items()}
    same |= {f"levels.{n}": v for n, v in run["levels"].items()}
    return pandas.concat(
        [pandas.DataFrame({name: [value] * len(frame) for name, value in same.items()}), frame], axis=1
    )


def _measured(found: RecordedMeasures, where: str = "measured") -> dict[str, Sequence[Number]]:
    """The columns of what was measured along the way."""
    columns: dict[str, Sequence[Number]] = {"step": found["steps"], f"{where}.objective": found["objective"]}
    groups = {"constraints": found["constraints"], "surrogates": found["surrogates"]}
    for group, named in groups.items():
        for name, values in named.items():
            columns |= _components(f"{where}.{group}.{_word(name)}", values)
    columns |= {f"{where}.metrics.{_word(name)}": values for name, values in found["metrics"].items()}
    return columns | (_measured(found["held_out"], f"{where}.held_out") if "held_out" in found else {})


def _components(name: str, points: Sequence[Number]) -> dict[str, Sequence[Number]]:
    """A scalar constraint's points as one column, a vector's as one for each component."""
    vectors = [point for point in points if isinstance(point, list)]
    if not vectors:
        return {name: points}
    return {f"{name}.{k}": column for k, column in enumerate(zip(*vectors, strict=True))}


def _word(name: str) -> str:
    """A constraint's name as a part of a column's; in quotes where it would read as a component of another's vector."""
    return json.dumps(name, ensure_ascii=False) if _COMPONENT.search(name) else name


def _plain(frame: pandas.DataFrame) -> list[dict[str, Any]]:
    """Rows of plain values, None where there is none."""
    whole = frame.astype(object)
    return [
        {str(name): value for name, value in row.items()} for row in whole.where(whole.notna(), None).to_dict("records")
    ]


def _content(frame: pandas.DataFrame, suffix: str) -> bytes:
    if suffix == ".csv":
        return frame.to_csv(index=False).encode()
    if suffix == ".json":
        return json.dumps(_plain(frame), allow_nan=False, indent=2).encode()  # pandas' own rounds numbers
    buffer = io.BytesIO()
    try:
        frame.to_parquet(buffer, index=False)
    except ImportError:
        hint = f"{install('pyarrow')}, or write .csv"
        raise CpdError("a .parquet file needs pyarrow", place="--to", hint=hint) from None
    return buffer.getvalue()
