"""The files that a sweep's runs read."""

from __future__ import annotations

import json

from cpd.store.store import Store

_READ = """
    SELECT DISTINCT inputs.files
    FROM sweeps
    JOIN sweep_runs ON sweep_runs.sweep = sweeps.number
    JOIN runs ON runs.id = sweep_runs.run
    JOIN run_inputs ON run_inputs.run = runs.number
    JOIN inputs ON inputs.number = run_inputs.inputs
    WHERE sweeps.id = ?
"""


def files_read(store: Store, sweep: str) -> dict[str, str]:
    """The content's hash of each file that some run of a sweep read, by path; of a changed one all of them."""
    if not store.file.rows("SELECT 1 FROM sqlite_master WHERE name = 'run_inputs'"):
        return {}
    found: dict[str, list[str]] = {}
    for (written,) in store.file.rows(_READ, [sweep]):
        for path, (content, _) in json.loads(written).items():
            if content not in found.setdefault(path, []):
                found[path].append(content)
    return {path: ", ".join(sorted(contents)) for path, contents in found.items()}
