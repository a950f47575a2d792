"""What the verdicts of a sweep come to, remembered, so that a list of sweeps need not judge every run of them.

Verdicts are made when they are shown. A headline is one that was made before, and it counts only while all that it was
made of is as it was: the sweep, its runs, and the program that judged them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from sqlite3 import Connection
from typing import Any

from cpd.store.rows import to_json
from cpd.store.store import Store

_STATES = """
    SELECT
        sweeps.id, sweeps.ended, count(sweep_runs.run), count(runs.number), sum(runs.attempts), max(runs.stored)
    FROM sweeps
    LEFT JOIN sweep_runs ON sweep_runs.sweep = sweeps.number
    LEFT JOIN runs ON runs.id = sweep_runs.run
    {where}
    GROUP BY sweeps.number
"""
_ALL = _STATES.format(where="WHERE sweeps.number IN (SELECT sweep FROM headlines)")
_ONE = _STATES.format(where="WHERE sweeps.id = ?")
_KEPT = "SELECT sweeps.id, headline, made_of FROM headlines JOIN sweeps ON sweeps.number = headlines.sweep"
_KEEP = "INSERT OR REPLACE INTO headlines (sweep, headline, made_of) SELECT number, ?, ? FROM sweeps WHERE id = ?"


def kept(store: Store, judge: str) -> dict[str, dict[str, Any]]:
    """The headlines that count still, by sweep; a store of an earlier version has none.

    Args:
        store: An open one.
        judge: What stands for the program that judges.
    """
    if not store.file.rows("SELECT 1 FROM sqlite_master WHERE name = 'headlines'"):
        return {}
    with store.file.snapshot():
        states = {sweep: [sweep, *state] for sweep, *state in store.file.rows(_ALL)}
        rows = store.file.rows(_KEPT)
    return {
        sweep: json.loads(headline)
        for sweep, headline, made_of in rows
        if made_of == _made_of(states[sweep], judge, headline)
    }


def keep(store: Store, headlines: Mapping[str, Mapping[str, Any]], judge: str) -> None:
    """Remember headlines; of a sweep that is gone, none.

    Args:
        store: Open to write.
        headlines: By sweep, of plain values.
        judge: What stands for the program that judged.

    Raises:
        StoreError: They cannot be written.
    """
    with store.file.transaction() as connection:
        for sweep, headline in headlines.items():
            _keep(connection, sweep, to_json(headline), judge)


def _keep(connection: Connection, sweep: str, headline: str, judge: str) -> None:
    state = connection.execute(_ONE, [sweep]).fetchone()
    if state is not None:
        connection.execute(_KEEP, [headline, _made_of(list(state), judge, headline), sweep])


def _made_of(state: list[Any], judge: str, headline: str) -> bytes:
    return hashlib.sha256(json.dumps([state, judge, headline]).encode()).digest()
