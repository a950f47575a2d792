"""Runs whose weights are kept, in words and as rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from cpd.outcome import Number
from cpd.results.result import Result
from cpd.verdict.document import Document, Plain, RunRow
from cpd.verdict.judged import judged_row, judges
from cpd.views.printable import one_line
from cpd.views.tables.both import judged_on
from cpd.views.tables.lines import components, setting_text, share_decimals
from cpd.views.tables.names import readable
from cpd.views.tables.numbers import measured, number


def run_words(document: Document, place: int) -> str:
    """``lagrangian, dual_lr 0.01, seed 1``; with its levels where several are shown."""
    row = document["runs"][place]
    swept = [n for n in row["levels"] if len({run["levels"][n] for run in document["runs"]}) > 1]
    levels = ", ".join(f"{n} {number(row['levels'][n])}" for n in swept)
    parts = [row["method"], *([setting_text(row["setting"])] if row["setting"] else [])]
    return one_line(", ".join([*parts, *([f"at {levels}"] if levels else []), f"seed {row['seed']}"]))


def numbers_words(document: Document, place: int) -> str:
    """A run, its objective and values on the data that decide, and whether it is feasible there."""
    document = readable(document)
    row = judged_row(document["runs"][place], judges(document))
    numbers = [f"{one_line(document['objective'])} {measured(row['objective'])}"]
    numbers += [f"{one_line(name)} {_value(document, row, name)}" for name in row["constraints"]]
    judged = f", {said}" if (said := judged_on(document)) else ""
    said = "feasible" if row["feasible"] else "NOT feasible"
    return f"{run_words(document, place)}: {', '.join(numbers)}; {said}{judged}"


def kept_rows(result: Result, taken: int | None, form: str) -> list[dict[str, Plain]]:
    """A row for each run whose weights are kept, and for the one that would be taken.

    Args:
        result: With files.
        taken: The place of that one.
        form: ``table`` and the like are for reading, others for programs.
    """
    plain = form in ("json", "csv")
    document = result.document if plain else readable(result.document)
    places = [k for k, run in enumerate(result.finished) if run.model is not None or k == taken]
    rows = [_row(result, document, place, place == taken, plain) for place in places]
    if form != "csv":
        return rows
    flat = [_flat(row) for row in rows]
    names = dict.fromkeys(
        name for group in rows[:1] for key in group for row in flat for name in row if _is_of(name, key)
    )
    return [{name: row.get(name) for name in names} for row in flat]


def _value(document: Document, row: RunRow, name: str) -> str:
    """A constraint's value; of a vector the smallest and the largest one."""
    values = [x for x in components(row["constraints"][name]["value"]) if x is not None]
    percent = share_decimals(document, name)
    ends = list(dict.fromkeys([min(values), max(values)])) if values else []
    texts = [measured(x) if percent is None else f"{100 * x:.{percent}f}" for x in ends]
    return (" to ".join(texts) or "-") + (" %" if percent is not None and texts else "")


def _row(result: Result, document: Document, place: int, taken: bool, plain: bool) -> dict[str, Plain]:
    row = judged_row(document["runs"][place], judges(document))
    size = _size(result.finished[place].model)
    if not plain:
        found: dict[str, Plain] = {"taken": "yes" * taken, "run": run_words(document, place)}
        found |= {"feasible": "yes" if row["feasible"] else "no"}
        found |= {"file": "not kept" if size is None else f"{size / 1000:,.1f} kB"}
        found[_apart(document["objective"], found)] = measured(row["objective"])
        for name in row["constraints"]:
            found[_apart(name, found)] = _value(document, row, name)
        return found
    return {
        "taken": taken,
        "id": row["id"],
        "method": row["method"],
        "setting": dict(row["setting"]),
        "levels": dict(row["levels"]),
        "seed": row["seed"],
        "feasible": row["feasible"],
        "objective": row["objective"],
        "constraints": {name: _plain(c["value"]) for name, c in row["constraints"].items()},
        "bytes": size,
        "model": None if size is None else result.finished[place].model,
    }


def _size(file: str | None) -> int | None:
    """Bytes of a run's weights; None where there are none, or none any more: a sweep that goes on prunes them."""
    try:
        return None if file is None else Path(file).stat().st_size
    except OSError:
        return None


def _apart(name: str, columns: Mapping[str, Plain]) -> str:
    """What a column of values is called that has the name of another one."""
    return name if name not in columns else _apart(f"{name} (value)", columns)


def _is_of(name: str, group: str) -> bool:
    return name == group or name.startswith(f"{group}.")


def _flat(row: Mapping[str, Plain]) -> dict[str, Plain]:
    """A row whose mappings are columns of their own: ``setting.dual_lr``."""
    found: dict[str, Plain] = {}
    for name, value in row.items():
        found |= {f"{name}.{key}": inner for key, inner in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _plain(value: Number) -> Plain:
    return list(value) if isinstance(value, list) else value
