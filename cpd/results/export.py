"""A document as a tidy table in a file: one row per run, or one per recorded point."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas

from cpd import files
from cpd.errors import CpdError, closest
from cpd.views.tables.records import to_frame

SUFFIXES = (".csv", ".parquet", ".json")


def export(document: dict[str, Any], curves: Sequence[dict[str, Any] | None] | None, to: str) -> int:
    """Write the table; the file is whole or not there.

    Args:
        document: Contract 3's object.
        curves: What was recorded of each run of the document: then one row per point.
        to: Ends in one of :data:`SUFFIXES`.

    Returns:
        How many rows it has.

    Raises:
        CpdError: Another suffix, a package that is missing, or the file cannot be written.
    """
    path = Path(to)
    if path.suffix not in SUFFIXES:
        raise CpdError(f"cannot write '{path.suffix}' files", place=f"--to {to}", hint=closest(path.suffix, SUFFIXES))
    frame = to_frame(document) if curves is None else points(document, curves)
    try:
        files.write(path, _content(frame, path.suffix))
    except OSError as error:
        raise CpdError(
            f"cannot be written: {error.strerror}", place=f"--to {to}", hint="choose another place"
        ) from None
    return len(frame)


def points(document: dict[str, Any], curves: Sequence[dict[str, Any] | None]) -> pandas.DataFrame:
    """One row per recorded point: run, step, objective, and each constraint's value and multiplier."""
    frames = [_points_of(run, curve) for run, curve in zip(document["runs"], curves, strict=True) if curve is not None]
    return pandas.concat(frames, ignore_index=True) if frames else pandas.DataFrame()


def _points_of(run: dict[str, Any], curve: dict[str, Any]) -> pandas.DataFrame:
    columns: dict[str, Any] = {"step": curve["steps"], "objective": curve["objective"]}
    for kind in ("constraints", "multipliers"):
        for name, values in curve[kind].items():
            if values and isinstance(values[0], list):
                columns |= {f"{kind}.{name}.{k}": [v[k] for v in values] for k in range(len(values[0]))}
            else:
                columns[f"{kind}.{name}"] = values
    frame = pandas.DataFrame(columns)
    same = {"id": run["id"], "method": run["method"], "seed": run["seed"]}
    same |= {f"setting.{n}": str(v) if isinstance(v, list) else v for n, v in run["setting"].items()}
    same |= {f"levels.{n}": v for n, v in run["levels"].items()}
    for k, (name, value) in enumerate(same.items()):
        frame.insert(k, name, value)
    return frame


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
        raise CpdError("needs pyarrow", place="--to", hint="pip install 'cpd[parquet]', or write .csv") from None
    return buffer.getvalue()
