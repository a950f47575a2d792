"""The store's SQL: every statement takes its values as parameters, and lists of ids as one JSON array."""

from __future__ import annotations

from cpd.store.rows import COLUMNS

_RUN = ", ".join(f"runs.{name}" for name in COLUMNS)
_NEW = ", ".join(COLUMNS)
_PLACES = ", ".join(f":{name}" for name in COLUMNS)
_REPLACED = ", ".join(f"{name} = excluded.{name}" for name in COLUMNS if name != "id")

FINISHED = """
    SELECT runs.id FROM json_each(?) AS wanted CROSS JOIN runs ON runs.id = wanted.value WHERE runs.status <> 'failed'
"""

CANDIDATES = """
    SELECT wanted.value, runs.number, NULL
    FROM json_each(:ids) AS wanted
    CROSS JOIN runs ON runs.id = wanted.value
    WHERE runs.status <> 'failed' AND NOT EXISTS (SELECT 1 FROM run_inputs WHERE run_inputs.run = runs.number)
    UNION ALL
    SELECT wanted.value, runs.number, run_inputs.inputs
    FROM json_each(:ids) AS wanted
    CROSS JOIN run_inputs ON run_inputs.planned = wanted.value
    CROSS JOIN runs ON runs.number = run_inputs.run
    WHERE runs.status <> 'failed'
"""
"""Finished runs that were planned under these ids, and the files that each read."""

INPUTS = "SELECT number, files FROM json_each(?) AS wanted CROSS JOIN inputs ON inputs.number = wanted.value"

KNOWN = f"""
    SELECT {_RUN}, recordings.tails, recordings.curves
    FROM json_each(?) AS wanted
    CROSS JOIN runs ON runs.number = wanted.value
    CROSS JOIN recordings ON recordings.run = runs.number
    ORDER BY wanted.key
"""

ADD_INPUTS = "INSERT INTO inputs (digest, files) VALUES (?, ?) ON CONFLICT DO NOTHING"

ADD_RUN_INPUTS = """
    INSERT OR REPLACE INTO run_inputs (run, planned, inputs)
    SELECT ?, ?, number FROM inputs WHERE digest = ?
"""

RENAME_PLANNED = "UPDATE OR IGNORE sweep_runs SET run = :run, found = 0 WHERE sweep = :sweep AND run = :planned"

REMOVE_PLANNED = "DELETE FROM sweep_runs WHERE sweep = :sweep AND run = :planned"

REMOVE_INPUTS = "DELETE FROM inputs WHERE NOT EXISTS (SELECT 1 FROM run_inputs WHERE inputs = inputs.number)"

BEGIN_SWEEP = """
    INSERT INTO sweeps (id, spec, command, task, text, command_line, versions, git_commit, machine, options, started)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""

END_SWEEP = "UPDATE sweeps SET ended = ?, exit_status = ?, search = ? WHERE id = ?"

ADD_RUN = f"""
    INSERT INTO runs ({_NEW}, spec, stored) VALUES ({_PLACES}, :spec, :stored)
    ON CONFLICT (id) DO UPDATE
    SET {_REPLACED}, spec = excluded.spec, stored = excluded.stored, attempts = attempts + 1
    WHERE runs.status = 'failed' OR (:fresh AND excluded.status <> 'failed')
    RETURNING number
"""

ADD_RECORDING = "INSERT OR REPLACE INTO recordings (run, tails, curves) VALUES (?, ?, ?)"

_LINK = """
    INSERT INTO sweep_runs (sweep, position, run, found)
    SELECT
        :sweep,
        (SELECT coalesce(max(position) + 1, 0) FROM sweep_runs WHERE sweep = :sweep) + wanted.key,
        wanted.value,
        {found}
    FROM json_each(:ids) AS wanted
    WHERE true
    ON CONFLICT (run, sweep) DO {otherwise}
"""

LINK_PLANNED = _LINK.format(
    found="EXISTS (SELECT 1 FROM runs WHERE id = wanted.value AND status <> 'failed')", otherwise="NOTHING"
)

LINK_COMPUTED = _LINK.format(found="0", otherwise="UPDATE SET found = 0")

SHOWN_ELSEWHERE = """
    SELECT sweep_runs.run, other.id, other.ended,
        other.spec = own.spec AND other.command = own.command AND other.options = own.options
    FROM json_each(:ids) AS wanted
    CROSS JOIN sweep_runs ON sweep_runs.run = wanted.value
    JOIN sweeps AS other ON other.number = sweep_runs.sweep
    JOIN sweeps AS own ON own.id = :sweep
    WHERE other.number <> own.number
"""
"""The other sweeps that show these runs, whether they have ended, and whether they ask the same."""

SHOWN = """
    SELECT sweeps.id, sweep_runs.run
    FROM json_each(?) AS wanted
    CROSS JOIN sweep_runs ON sweep_runs.run = wanted.value
    JOIN sweeps ON sweeps.number = sweep_runs.sweep
"""

SHOWN_HERE_ONLY = """
    SELECT run FROM sweep_runs WHERE sweep = :sweep
    AND NOT EXISTS (SELECT 1 FROM sweep_runs AS other WHERE other.run = sweep_runs.run AND other.sweep <> :sweep)
"""

COUNT_STORED = "SELECT count(*) FROM sweep_runs JOIN runs ON runs.id = sweep_runs.run WHERE sweep_runs.sweep = ?"

WORKED_HERE_ONLY = """
    WITH own AS (
        SELECT run FROM sweep_runs WHERE sweep = :sweep AND NOT EXISTS
        (SELECT 1 FROM sweep_runs AS other WHERE other.run = sweep_runs.run AND other.sweep <> :sweep)
    )
    SELECT run FROM own
    UNION
    SELECT planned FROM run_inputs JOIN runs ON runs.number = run_inputs.run WHERE runs.id IN (SELECT run FROM own)
"""
"""The ids, and those that were planned, of runs that no other sweep shows."""

REMOVE_RUNS = """
    DELETE FROM runs
    WHERE id IN (SELECT run FROM sweep_runs WHERE sweep = :sweep)
    AND NOT EXISTS (SELECT 1 FROM sweep_runs AS other WHERE other.run = runs.id AND other.sweep <> :sweep)
"""

REMOVE_SPECS = """
    DELETE FROM specs
    WHERE NOT EXISTS (SELECT 1 FROM sweeps WHERE spec = specs.number)
    AND NOT EXISTS (SELECT 1 FROM runs WHERE spec = specs.number)
"""

NAMES = "SELECT id, task FROM sweeps ORDER BY number DESC"

_INFO = """
    SELECT
        sweeps.id, sweeps.task, sweeps.command, sweeps.started, sweeps.ended,
        count(sweep_runs.run),
        count(*) FILTER (WHERE runs.status = 'completed'),
        count(*) FILTER (WHERE runs.status = 'diverged'),
        count(*) FILTER (WHERE runs.status = 'failed')
    FROM sweeps
    LEFT JOIN sweep_runs ON sweep_runs.sweep = sweeps.number
    LEFT JOIN runs ON runs.id = sweep_runs.run
    {where}
    GROUP BY sweeps.number
    ORDER BY sweeps.number DESC
"""

SWEEPS = _INFO.format(where="")

SWEEP = _INFO.format(where="WHERE sweeps.id = ?")

SWEEP_OF = """
    SELECT sweeps.id FROM sweep_runs JOIN sweeps ON sweeps.number = sweep_runs.sweep
    WHERE sweep_runs.run = ?
    ORDER BY sweeps.number DESC
    LIMIT 1
"""

RECORD = """
    SELECT
        command, sweeps.task, text, command_line, versions, git_commit, machine, options, started,
        specs.task, specs.digest,
        (SELECT count(*) FROM sweep_runs WHERE sweep = sweeps.number AND found),
        exit_status, search
    FROM sweeps JOIN specs ON specs.number = sweeps.spec
    WHERE sweeps.id = ?
"""

_RUNS = f"""
    SELECT sweep_runs.position, {_RUN}, recordings.tails{{more}}
    FROM sweeps
    JOIN sweep_runs ON sweep_runs.sweep = sweeps.number
    JOIN runs ON runs.id = sweep_runs.run
    JOIN recordings ON recordings.run = runs.number
    WHERE sweeps.id = ?
    ORDER BY sweep_runs.position
"""

RUNS = _RUNS.format(more="")

RUNS_AND_CURVES = _RUNS.format(more=", recordings.curves")
