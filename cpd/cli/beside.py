"""Several stored sweeps side by side, as ``cpd show A B`` prints them; and what a user calls one."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from cpd.views.printable import one_line

if TYPE_CHECKING:
    from cpd.results.result import Result
    from cpd.store.labels import Labels
    from cpd.views.tables.shape import Shape


def show_beside(results: Mapping[str, Result], form: str, store: str | None, shape: Shape) -> int:
    """Print each setting of several sweeps in one table.

    Args:
        results: By the ids of the sweeps.
        form: How.
        store: Where they are.
        shape: Which rows and columns of the table are shown.

    Returns:
        The exit code: 1 where some run of any failed, 3 where none of them has anything feasible.
    """
    from cpd.views.tables.beside import answers, beside_section, headings, shown
    from cpd.views.tables.laid_out import print_laid_out
    from cpd.views.tables.records import records, to_csv
    from cpd.views.tables.shape import MOST, shaped
    from cpd.views.tables.terminal import on_terminal

    documents = {sweep: result.document for sweep, result in results.items()}
    labels = _labels(store)
    if form == "json":
        rows = [{"id": sweep, **_labelled(labels, sweep), **document} for sweep, document in documents.items()]
        sys.stdout.write(json.dumps({"sweeps": rows}, allow_nan=False, indent=2) + "\n")
    elif form == "csv":
        every = [{"sweep": sweep, **row} for sweep, document in documents.items() for row in records(document)]
        names = dict.fromkeys(name for row in every for name in row)
        sys.stdout.write(to_csv([{name: row.get(name) for name in names} for row in every]))
    else:
        sweeps = shown(documents)
        own = dict(zip(documents, (sweep.label for sweep in sweeps), strict=True))
        said = [f"{own[sweep]}: {words}" for sweep in documents if (words := words_of(labels.get(sweep)))]
        if shape.top is None and form == "table" and on_terminal(sys.stdout):
            shape = replace(shape, top=MOST)
        table = shaped(beside_section(sweeps), shape)
        print_laid_out([table], form, [*headings(sweeps), *said], answers(sweeps), wide=shape.wide)
    codes = [result.exit_code for result in results.values()]
    return 1 if 1 in codes else min(codes)


def print_labels(sweep: str, form: str, store: str | None) -> None:
    """Print what a user calls a sweep above its tables, where that is anything; data have it nowhere."""
    words = words_of(_labels(store).get(sweep))
    if words and form in ("table", "markdown"):
        from cpd.views.tables.laid_out import print_laid_out

        print_laid_out([], form, [words])


def words_of(labels: Labels | None) -> str:
    """``tags paper, final; note: the run of Table 3``; empty where there is nothing."""
    if labels is None:
        return ""
    tags = [f"tags {', '.join(labels.tags)}"] if labels.tags else []
    return one_line("; ".join([*tags, *([f"note: {labels.note}"] if labels.note else [])]))


def _labels(store: str | None) -> dict[str, Labels]:
    from cpd.store.labels import all_labels
    from cpd.store.store import open_store

    with open_store(store, "read") as opened:
        return all_labels(opened)


def _labelled(labels: Mapping[str, Labels], sweep: str) -> dict[str, object]:
    found = labels.get(sweep)
    return {} if found is None else {"tags": found.tags, "note": found.note}
