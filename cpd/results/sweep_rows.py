"""A list of sweeps as rows: for programs with every number, for reading as few letters as will do."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime

from cpd.results.listing import Listed
from cpd.results.moments import age, took
from cpd.verdict.document import Plain
from cpd.views.printable import one_line, size
from cpd.views.tables.numbers import measured
from cpd.views.tables.sweeps import SweepLine


def rows_of(sweeps: Sequence[Listed], models: Mapping[str, int]) -> list[dict[str, Plain]]:
    """One record a sweep, in full: the same keys in all of them.

    Args:
        sweeps: Of the list.
        models: Bytes of the models of each sweep's runs; where there are none at all there is no such key.
    """
    rows = [_row(one) for one in sweeps]
    return [{**row, "models": models.get(str(row["id"]), 0)} for row in rows] if models else rows


def _row(one: Listed) -> dict[str, Plain]:
    info, headline = one.info, one.headline
    best = headline.best if headline is not None else None
    return {
        "id": info.id,
        "task": info.task,
        "command": info.command,
        "started": info.started,
        "ended": info.ended,
        "runs": info.runs,
        "completed": info.completed,
        "diverged": info.diverged,
        "failed": info.failed,
        "running": one.running,
        "settings": headline.settings if headline else None,
        "feasible_settings": headline.feasible if headline else None,
        "useful_settings": headline.useful if headline else None,
        "outcome": headline.outcome if headline else None,
        "objective": headline.objective if headline else None,
        "best_method": best.method if best else None,
        "best_setting": dict(best.setting) if best else None,
        "best_levels": dict(best.levels) if best else None,
        "best_objective": best.objective if best else None,
        "tags": list(one.labels.tags),
        "note": one.labels.note,
    }


def flat(rows: Sequence[Mapping[str, Plain]]) -> list[dict[str, Plain]]:
    """Records whose every value is one cell: what is a list or a mapping is written as JSON."""
    return [{name: json.dumps(v) if isinstance(v, list | dict) else v for name, v in row.items()} for row in rows]


def lines_of(sweeps: Sequence[Listed], models: Mapping[str, int], now: datetime | None = None) -> list[SweepLine]:
    """One line a sweep, for reading."""
    return [_line(one, models.get(one.info.id, 0), now) for one in sweeps]


def _line(one: Listed, models: int, now: datetime | None) -> SweepLine:
    info, headline = one.info, one.headline
    best = headline.best if headline is not None else None
    done = info.completed + info.diverged + info.failed
    return SweepLine(
        id=info.id,
        age=age(info.started, now),
        command=info.command,
        task=one_line(info.task),
        runs=f"{done:,}/{info.runs:,}" if done < info.runs else f"{info.runs:,}",
        feasible=f"{headline.feasible:,}/{headline.settings:,}" if headline and headline.settings else "-",
        best=measured(best.objective) if best else "-",
        objective=one_line(headline.objective) if headline else "",
        setting=one_line(f"{best.method}, {best.varied}".removesuffix(", -")) if best else "",
        state=", ".join(_states(one)),
        tags=one_line(", ".join(one.labels.tags)),
        note=one_line(one.labels.note or ""),
        models=size(models) if models else "",
        started=_seconds(info.started),
        ended=_seconds(info.ended) if info.ended is not None else "",
        took=took(info.started, info.ended),
        mark=_mark(one),
    )


def _seconds(moment: str) -> str:
    return datetime.fromisoformat(moment).isoformat(timespec="seconds")


def _states(one: Listed) -> list[str]:
    """What is out of the ordinary: that it runs or was stopped, runs that failed or diverged, a search without end."""
    info = one.info
    found = [] if one.error is None else ["not readable"]
    if info.ended is None:
        found.append("running" if one.running else "stopped")
    found += [f"{count:,} {word}" for count, word in ((info.failed, "failed"), (info.diverged, "diverged")) if count]
    outcome = one.headline.outcome if one.headline is not None else None
    return found if outcome in (None, "solved") else [*found, str(outcome).replace("_", " ")]


def _mark(one: Listed) -> str:
    """As rows of other tables are marked."""
    if one.error is not None or one.info.failed:
        return "bad"
    return "feasible" if one.headline is not None and one.headline.place is not None else ""
